import { isJsonObject, type Json } from '../json.ts';
import { nearest } from '../suggest.ts';
import { own } from './defaults.ts';
import { child, type FieldError, unknownField } from './field-error.ts';
import type { Schema } from './structural.ts';

/** Fields that the schema does not have, which strict decoding refuses. */
export function unknownFields(value: Json, schema: Schema, path: string, errors: FieldError[]): void {
  if (Array.isArray(value)) {
    if (schema.items === undefined) return;
    for (const [index, item] of (value as readonly Json[]).entries()) unknownFields(item, schema.items, `${path}[${index}]`, errors);
    return;
  }
  if (!isJsonObject(value)) return;
  const keepsAll = schema['x-kubernetes-preserve-unknown-fields'] === true || schema.additionalProperties === true;
  const additional = typeof schema.additionalProperties === 'object' ? schema.additionalProperties : undefined;
  for (const [key, item] of Object.entries(value)) {
    const known = own(schema.properties, key) ?? additional;
    if (known !== undefined) unknownFields(item, known, child(path, key), errors);
    else if (!keepsAll)
      errors.push(
        unknownField(
          child(path, key),
          nearest(
            key,
            Object.keys(schema.properties ?? {}).filter((name) => !(name in value)),
          ),
        ),
      );
  }
}
