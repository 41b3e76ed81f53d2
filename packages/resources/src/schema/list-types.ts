import { isJsonObject, type Json } from '../json.ts';
import { own } from './defaults.ts';
import { child, duplicate, type FieldError } from './field-error.ts';
import type { Schema } from './structural.ts';
import { canonical } from './values.ts';

/** Items twice in lists that Kubernetes treats as sets, or as maps by some of their keys (`x-kubernetes-list-type`). */
export function duplicateItems(value: Json, schema: Schema, path: string, errors: FieldError[]): void {
  if (Array.isArray(value)) {
    const seen = new Set<string>();
    for (const [index, item] of (value as readonly Json[]).entries()) {
      const key = keyOf(item, schema);
      if (key !== undefined) {
        const text = canonical(key);
        if (seen.has(text)) errors.push(duplicate(`${path}[${index}]`, key));
        seen.add(text);
      }
      if (schema.items !== undefined) duplicateItems(item, schema.items, `${path}[${index}]`, errors);
    }
  } else if (isJsonObject(value)) {
    const additional = typeof schema.additionalProperties === 'object' ? schema.additionalProperties : undefined;
    for (const [key, item] of Object.entries(value)) {
      const property = own(schema.properties, key) ?? additional;
      if (property !== undefined) duplicateItems(item, property, child(path, key), errors);
    }
  }
}

function keyOf(item: Json, schema: Schema): Json | undefined {
  if (schema['x-kubernetes-list-type'] === 'set') return item;
  if (schema['x-kubernetes-list-type'] !== 'map' || !isJsonObject(item)) return undefined;
  const keys = schema['x-kubernetes-list-map-keys'] ?? [];
  return Object.fromEntries(keys.filter((key) => Object.hasOwn(item, key)).map((key) => [key, item[key] as Json]));
}
