import { type CelEnv, type CelInput, celEnv, isCelError, parse, plan } from '@bufbuild/cel';
import { isJsonObject, type Json } from '../json.ts';
import { own } from '../schema/defaults.ts';
import { child, duplicate, type FieldError, forbidden, invalid, required } from '../schema/field-error.ts';
import type { Schema, ValidationRule } from '../schema/structural.ts';
import { kubernetesFunctions } from './functions.ts';
import { CelValues } from './values.ts';

type Program = (bindings: Record<string, CelInput>) => unknown;

interface CompiledRule {
  readonly rule: ValidationRule;
  readonly program: Program;
  readonly message: Program | undefined;
}

/** Rules that compare with the object's earlier state say nothing about a new one. */
const usesOldSelf = /\boldSelf\b/;

/** Evaluates the CEL rules of schemas (`x-kubernetes-validations`), compiled when first met. */
export class RuleValidator {
  readonly #environment: CelEnv = celEnv({ funcs: kubernetesFunctions });
  /** By their texts, which many rules share, and by themselves: most are met again and again. */
  readonly #compiled = new Map<string, CompiledRule>();
  readonly #byRule = new WeakMap<ValidationRule, CompiledRule | 'of changes'>();
  readonly #holdsRules = new WeakMap<Schema, boolean>();

  validate(value: Json, schema: Schema, errors: FieldError[]): void {
    this.#walk(value, schema, '', new CelValues(), errors);
  }

  #walk(value: Json, schema: Schema, path: string, values: CelValues, errors: FieldError[]): void {
    // A rule looks at values only; whether null may stand here is said by the schema around it.
    if (value === null || !this.#hasRules(schema)) return;
    for (const rule of schema['x-kubernetes-validations'] ?? []) this.#evaluate(rule, value, schema, path, values, errors);
    for (const option of schema.allOf ?? []) this.#walk(value, option, path, values, errors);
    if (Array.isArray(value)) {
      if (schema.items === undefined) return;
      for (const [index, item] of (value as readonly Json[]).entries()) this.#walk(item, schema.items, `${path}[${index}]`, values, errors);
    } else if (isJsonObject(value)) {
      const additional = typeof schema.additionalProperties === 'object' ? schema.additionalProperties : undefined;
      for (const [key, item] of Object.entries(value)) {
        const property = own(schema.properties, key);
        if (property !== undefined) this.#walk(item, property, child(path, key), values, errors);
        else if (additional !== undefined) this.#walk(item, additional, `${path}[${key}]`, values, errors);
      }
    }
  }

  #evaluate(rule: ValidationRule, value: Json, schema: Schema, path: string, values: CelValues, errors: FieldError[]): void {
    const compiled = this.#byRule.get(rule) ?? (usesOldSelf.test(rule.rule) ? 'of changes' : this.#compile(rule));
    this.#byRule.set(rule, compiled);
    if (compiled === 'of changes') return;
    const bindings = { self: values.of(value, schema) };
    const result = compiled.program(bindings);
    if (result === true) return;
    const field = rule.fieldPath === undefined ? path : `${path}${rule.fieldPath}`;
    if (result === false) {
      errors.push(failure(rule, field, value, this.#message(compiled, bindings)));
    } else {
      const cause = isCelError(result) ? inKubernetesWords(result.message) : 'not a bool';
      errors.push(invalid(field, schema.type ?? '', `${cause} evaluating rule: ${(rule.message ?? rule.rule).trim()}`));
    }
  }

  #message({ rule, message }: CompiledRule, bindings: Record<string, CelInput>): string {
    const text = message?.(bindings);
    if (typeof text === 'string' && text.trim() !== '' && !text.includes('\n')) return text.trim();
    return rule.message?.trim() ?? `failed rule: ${rule.rule.trim()}`;
  }

  #compile(rule: ValidationRule): CompiledRule {
    const key = `${rule.rule}\n${rule.messageExpression ?? ''}\n${rule.message ?? ''}\n${rule.reason ?? ''}`;
    let compiled = this.#compiled.get(key);
    if (compiled === undefined) {
      const program = plan(this.#environment, parse(rule.rule)) as Program;
      const message = rule.messageExpression === undefined ? undefined : (plan(this.#environment, parse(rule.messageExpression)) as Program);
      compiled = { rule, program, message };
      this.#compiled.set(key, compiled);
    }
    return compiled;
  }

  /** Whether a schema or anything below it has rules: most of a resource needs no look. */
  #hasRules(schema: Schema): boolean {
    let known = this.#holdsRules.get(schema);
    if (known === undefined) {
      const below = [...Object.values(schema.properties ?? {}), ...(schema.allOf ?? [])];
      if (schema.items !== undefined) below.push(schema.items);
      if (typeof schema.additionalProperties === 'object') below.push(schema.additionalProperties);
      known = (schema['x-kubernetes-validations']?.length ?? 0) > 0 || below.some((part) => this.#hasRules(part));
      this.#holdsRules.set(schema, known);
    }
    return known;
  }
}

/** What cel-go, which Kubernetes evaluates by, says where our library says it otherwise. */
function inKubernetesWords(message: string): string {
  if (message.startsWith('Failed to parse duration')) return "type conversion error from 'string' to 'google.protobuf.Duration'";
  if (/^Cannot convert .* to a BigInt$/s.test(message)) return "type conversion error from 'string' to 'int'";
  return message.replace(/^field not found:/, 'no such key:');
}

function failure(rule: ValidationRule, field: string, value: Json, detail: string): FieldError {
  switch (rule.reason) {
    case 'FieldValueForbidden':
      return forbidden(field, detail);
    case 'FieldValueRequired':
      return required(field, detail);
    case 'FieldValueDuplicate':
      return duplicate(field, value);
    default:
      return invalid(field, isJsonObject(value) || Array.isArray(value) ? undefined : value, detail);
  }
}
