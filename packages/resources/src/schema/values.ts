import { isJsonObject, type Json } from '../json.ts';
import { nearest } from '../suggest.ts';
import { own } from './defaults.ts';
import { child, type FieldError, invalid, notSupported, required, tooLong, tooMany, typeInvalid } from './field-error.ts';
import { fitsFormat, hasFormat } from './formats.ts';
import type { Patterns } from './patterns.ts';
import type { Schema } from './structural.ts';

/** Of a list that is refused for its length: thousands of items more are not looked at one by one. */
const maxItemsOfTooMany = 64;

/** Checks values against a schema as Kubernetes' OpenAPI validator does, with its sentences. */
export class ValueValidator {
  readonly #patterns: Patterns;

  constructor(patterns: Patterns) {
    this.#patterns = patterns;
  }

  validate(value: Json, schema: Schema, path: string, errors: FieldError[]): void {
    if (!this.#type(value, schema, path, errors) || value === null) {
      this.#enum(value, schema, path, errors);
      return;
    }
    this.#combinations(value, schema, path, errors);
    if (typeof value === 'string') this.#string(value, schema, path, errors);
    else if (typeof value === 'number') this.#number(value, schema, path, errors);
    else if (Array.isArray(value)) this.#array(value, schema, path, errors);
    this.#enum(value, schema, path, errors);
    if (isJsonObject(value)) this.#object(value, schema, path, errors);
  }

  #valid(value: Json, schema: Schema, path: string): boolean {
    const errors: FieldError[] = [];
    this.validate(value, schema, path, errors);
    return errors.length === 0;
  }

  /** Whether the value's type is one that the schema takes. */
  #type(value: Json, schema: Schema, path: string, errors: FieldError[]): boolean {
    const expected = schema['x-kubernetes-int-or-string'] === true ? ['integer', 'string'] : schema.type === undefined ? [] : [schema.type as string];
    if (expected.length === 0) return true;
    const actual = typeOf(value);
    if (actual === 'null') {
      if (schema.nullable === true) return true;
    } else if (expected.includes(actual) || (actual === 'integer' && expected.includes('number'))) return true;
    errors.push(typeInvalid(path, expected.join(','), actual));
    return false;
  }

  #combinations(value: Json, schema: Schema, path: string, errors: FieldError[]): void {
    const combination = (detail: string): void => {
      // The API server gives these without a path of their own ("<nil>"); the line is the field's all the same.
      errors.push({ type: 'Invalid', field: path, message: `<nil>: Invalid value: "": "${path}" ${detail}` });
    };
    if (schema.anyOf !== undefined && !schema.anyOf.some((option) => this.#valid(value, option, path))) {
      combination('must validate at least one schema (anyOf)');
      this.#bestFailure(value, schema.anyOf, path, errors);
    }
    if (schema.oneOf !== undefined) {
      const matching = schema.oneOf.filter((option) => this.#valid(value, option, path)).length;
      if (matching !== 1) {
        combination(`must validate one and only one schema (oneOf). ${matching === 0 ? 'Found none valid' : `Found ${matching} valid alternatives`}`);
        if (matching === 0) this.#bestFailure(value, schema.oneOf, path, errors);
      }
    }
    if (schema.allOf !== undefined) {
      let valid = 0;
      for (const option of schema.allOf) {
        const before = errors.length;
        this.validate(value, option, path, errors);
        if (errors.length === before) valid++;
      }
      if (valid < schema.allOf.length) combination(`must validate all the schemas (allOf)${valid === 0 ? '. None validated' : ''}`);
    }
    if (schema.not !== undefined && this.#valid(value, schema.not, path)) combination('must not validate the schema (not)');
  }

  /** What the alternative says that came nearest: the one with the fewest errors. */
  #bestFailure(value: Json, options: readonly Schema[], path: string, errors: FieldError[]): void {
    let best: FieldError[] | undefined;
    for (const option of options) {
      const failures: FieldError[] = [];
      this.validate(value, option, path, failures);
      if (best === undefined || failures.length < best.length) best = failures;
    }
    errors.push(...(best ?? []));
  }

  #string(value: string, schema: Schema, path: string, errors: FieldError[]): void {
    const fail = (detail: string): void => {
      errors.push(invalid(path, value, `${path} in body ${detail}`));
    };
    if (schema.maxLength !== undefined || schema.minLength !== undefined) {
      const length = codePoints(value);
      if (schema.maxLength !== undefined && length > schema.maxLength) errors.push(tooLong(path, schema.maxLength));
      if (schema.minLength !== undefined && length < schema.minLength) fail(`should be at least ${schema.minLength} chars long`);
    }
    if (schema.pattern !== undefined && !this.#patterns.matches(schema.pattern, value)) fail(`should match '${schema.pattern}'`);
    if (schema.format !== undefined && !hasFormat(value, schema.format)) {
      errors.push(invalid(path, value, `${path} in body must be of type ${schema.format}: ${JSON.stringify(value)}`));
    }
  }

  #number(value: number, schema: Schema, path: string, errors: FieldError[]): void {
    const fail = (detail: string): void => {
      errors.push(invalid(path, value, `${path} in body should be ${detail}`));
    };
    if (schema.format !== undefined && Number.isInteger(value) && !fitsFormat(value, schema.format)) {
      const detail = `Checked value must be of type ${schema.type} with format ${schema.format} in ${path}`;
      errors.push({ type: 'Invalid', field: path, message: `<nil>: Invalid value: "": ${detail}` });
    }
    const { maximum, minimum, multipleOf } = schema;
    if (multipleOf !== undefined && !Number.isInteger(value / multipleOf)) fail(`a multiple of ${multipleOf}`);
    if (maximum !== undefined) {
      if (schema.exclusiveMaximum === true ? value >= maximum : value > maximum)
        fail(`less than ${schema.exclusiveMaximum === true ? '' : 'or equal to '}${maximum}`);
    }
    if (minimum !== undefined) {
      if (schema.exclusiveMinimum === true ? value <= minimum : value < minimum)
        fail(`greater than ${schema.exclusiveMinimum === true ? '' : 'or equal to '}${minimum}`);
    }
  }

  #array(value: readonly Json[], schema: Schema, path: string, errors: FieldError[]): void {
    if (schema.minItems !== undefined && value.length < schema.minItems) {
      errors.push(invalid(path, value.length, `${path} in body should have at least ${schema.minItems} items`));
    }
    let looked: readonly Json[] = value;
    if (schema.maxItems !== undefined && value.length > schema.maxItems) {
      errors.push(tooMany(path, value.length, schema.maxItems));
      looked = value.slice(0, maxItemsOfTooMany);
    }
    if (schema.uniqueItems === true && new Set(value.map((item) => canonical(item))).size < value.length) {
      errors.push(invalid(path, '', `${path} in body shouldn't contain duplicates`));
    }
    if (schema.items === undefined) return;
    for (const [index, item] of looked.entries()) this.validate(item, schema.items, `${path}[${index}]`, errors);
  }

  #enum(value: Json, schema: Schema, path: string, errors: FieldError[]): void {
    if (schema.enum === undefined || schema.enum.some((allowed) => canonical(allowed) === canonical(value))) return;
    const names = schema.enum.filter((allowed) => typeof allowed === 'string');
    errors.push(notSupported(path, value, schema.enum, typeof value === 'string' ? nearest(value, names) : undefined));
  }

  #object(value: Readonly<Record<string, Json>>, schema: Schema, path: string, errors: FieldError[]): void {
    const count = Object.keys(value).length;
    if (schema.minProperties !== undefined && count < schema.minProperties) {
      errors.push(invalid(path, count, `${path} in body should have at least ${schema.minProperties} properties`));
    }
    if (schema.maxProperties !== undefined && count > schema.maxProperties) {
      errors.push(tooMany(path, count, schema.maxProperties));
      return;
    }
    for (const name of schema.required ?? []) if (!Object.hasOwn(value, name)) errors.push(required(child(path, name)));
    const additional = typeof schema.additionalProperties === 'object' ? schema.additionalProperties : undefined;
    for (const [key, item] of Object.entries(value)) {
      const property = own(schema.properties, key) ?? additional;
      if (property !== undefined) this.validate(item, property, child(path, key), errors);
    }
  }
}

function typeOf(value: Json): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value;
}

/** Length as Kubernetes counts it. */
function codePoints(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}

/** The same text for values that are the same but for the order of their keys. */
export function canonical(value: Json): string {
  if (Array.isArray(value)) return `[${(value as readonly Json[]).map(canonical).join(',')}]`;
  if (!isJsonObject(value)) return JSON.stringify(value);
  const keys = Object.keys(value).sort();
  return `{${keys.map((key) => `${JSON.stringify(key)}:${canonical(value[key] as Json)}`).join(',')}}`;
}
