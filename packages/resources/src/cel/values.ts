import { type CelInput, celList, celMap } from '@bufbuild/cel';
import { isJsonObject, type Json } from '../json.ts';
import { own } from '../schema/defaults.ts';
import type { Schema } from '../schema/structural.ts';

const keywords = new Set([
  'true',
  'false',
  'null',
  'in',
  'as',
  'break',
  'const',
  'continue',
  'else',
  'for',
  'function',
  'if',
  'import',
  'let',
  'loop',
  'package',
  'namespace',
  'return',
  'var',
  'void',
  'while',
]);

/** How a rule names a property: Kubernetes escapes what CEL's identifiers cannot hold ("namespace" -> "__namespace__"). */
export function escapedName(name: string): string {
  if (keywords.has(name)) return `__${name}__`;
  return name.replaceAll('__', '__underscores__').replaceAll('.', '__dot__').replaceAll('-', '__dash__').replaceAll('/', '__slash__');
}

/** CEL values of a resource, each converted once however many rules look at it. */
export class CelValues {
  readonly #converted = new WeakMap<object, CelInput>();

  of(value: Json, schema: Schema | undefined): CelInput {
    if (typeof value === 'number') return Number.isInteger(value) && schema?.type !== 'number' ? BigInt(value) : value;
    if (typeof value !== 'object' || value === null) return value;
    let converted = this.#converted.get(value);
    if (converted === undefined) {
      converted = Array.isArray(value) ? this.#list(value, schema?.items) : this.#map(value as Readonly<Record<string, Json>>, schema);
      this.#converted.set(value, converted);
    }
    return converted;
  }

  #list(value: readonly Json[], items: Schema | undefined): CelInput {
    return celList(value.map((item) => this.of(item, items)));
  }

  #map(value: Readonly<Record<string, Json>>, schema: Schema | undefined): CelInput {
    const additional = isJsonObject(schema?.additionalProperties) ? (schema.additionalProperties as Schema) : undefined;
    const entries = new Map<string, CelInput>();
    for (const [key, item] of Object.entries(value)) {
      const property = own(schema?.properties, key);
      // A null property counts as absent for `has`; a map's null value does not.
      if (property !== undefined && item === null) continue;
      entries.set(property === undefined ? key : escapedName(key), this.of(item, property ?? additional));
    }
    return celMap(entries);
  }
}
