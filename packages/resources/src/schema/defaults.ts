import { isJsonObject, type Json } from '../json.ts';
import type { Schema } from './structural.ts';

/** The value with the schema's defaults filled in; what the schema does not speak of stays as it is. */
export function withDefaults(value: Json, schema: Schema | undefined): Json {
  if (schema === undefined) return value;
  if (Array.isArray(value)) return (value as readonly Json[]).map((item) => withDefaults(replaceNull(item, schema.items), schema.items));
  if (!isJsonObject(value)) return value;
  const result: Record<string, Json> = {};
  const additional = typeof schema.additionalProperties === 'object' ? schema.additionalProperties : undefined;
  for (const [key, item] of Object.entries(value)) {
    const property = own(schema.properties, key) ?? additional;
    result[key] = withDefaults(replaceNull(item, property), property);
  }
  for (const [key, property] of Object.entries(schema.properties ?? {})) {
    if (property.default !== undefined && result[key] === undefined) result[key] = withDefaults(property.default, property);
  }
  return result;
}

/** A null where null may not stand counts as absent. */
function replaceNull(value: Json, schema: Schema | undefined): Json {
  return value === null && schema?.default !== undefined && schema.nullable !== true ? schema.default : value;
}

/** A property that the record itself has: a key "constructor" comes from people and must not find Object's. */
export function own<T>(record: Readonly<Record<string, T>> | undefined, key: string): T | undefined {
  return record !== undefined && Object.hasOwn(record, key) ? record[key] : undefined;
}
