import { expect, test } from 'vitest';
import type { Json } from '../json.ts';
import { kinds, loadSchema } from '../registry.ts';
import type { FieldError } from '../schema/field-error.ts';
import type { Schema, ValidationRule } from '../schema/structural.ts';
import { RuleValidator } from './rules.ts';

/** Texts of which rules tell one sort from another. */
const TEXTS = [
  '', 'a', 'b', 'A', 'a b', '*', '*.a.example.com', 'a.example.com', 'a.*', '*a', 'a/b', './a', '/', '/a', '/a/', '//a', '/a/../b', '/a/..', '/./a', '/a%2fb', '/a%2Fb',
  '/a#b', '#a', 'http://a.example.com/b', 'https://a', 'ftp://a', 'a:80', 'unix:///a', 'unix:///a/', 'unix://@a', 'unix://a', '10.0.0.1', '10.0.0.0/8', '::1', '0s', '1s', '-1s',
  '5ms', '1h', '10000s', 'x', '80', '0', '70000', 'app=a', 'a*', 'GET', 'core', 'Service', 'Gateway', `${'a'.repeat(260)}/b`,
]; // biome-ignore format: one list
const NUMBERS = [0, 1, 2, 3, 80, 100, 200, 301, 302, 443, 500, 1000, 65_535, 65_536, -1];
/** Of samples for one rule. */
const MOST = 6_000;

interface PlacedRule {
  readonly place: string;
  readonly rule: ValidationRule;
  readonly schema: Schema;
}

async function allRules(): Promise<readonly PlacedRule[]> {
  const found = new Map<string, PlacedRule>();
  const walk = (schema: Schema, place: string): void => {
    for (const rule of schema['x-kubernetes-validations'] ?? []) {
      const key = `${rule.rule} ${rule.message ?? ''}`;
      if (!/\boldSelf\b/.test(rule.rule) && !found.has(key)) found.set(key, { place, rule, schema });
    }
    for (const [name, property] of Object.entries(schema.properties ?? {})) walk(property, `${place}.${name}`);
    if (schema.items !== undefined) walk(schema.items, `${place}[]`);
    if (typeof schema.additionalProperties === 'object') walk(schema.additionalProperties, `${place}{}`);
    for (const option of schema.allOf ?? []) walk(option, place);
  };
  for (const kind of kinds) for (const version of kind.versions) walk((await loadSchema(kind, version))!.schema, kind.kind);
  return [...found.values()];
}

/** Without the rules of its parts, which would speak as well. */
function alone(schema: Schema, rules: readonly ValidationRule[] = []): Schema {
  const { 'x-kubernetes-validations': _rules, properties, items, additionalProperties, allOf: _allOf, ...rest } = schema;
  return {
    ...rest,
    ...(rules.length === 0 ? {} : { 'x-kubernetes-validations': rules }),
    ...(properties === undefined ? {} : { properties: Object.fromEntries(Object.entries(properties).map(([name, part]) => [name, alone(part)])) }),
    ...(items === undefined ? {} : { items: alone(items) }),
    ...(additionalProperties === undefined
      ? {}
      : { additionalProperties: typeof additionalProperties === 'object' ? alone(additionalProperties) : additionalProperties }),
  };
}

/** The same numbers each time: a rule that no sample breaks today is one that none breaks tomorrow. */
function dice(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Values of a schema's shape; what a rule names is in them more often, and so are the texts that it compares with. */
function sampler(rule: string, random: () => number) {
  const literals = [...rule.matchAll(/'([^']*)'|"([^"]*)"/g)].map(([, single, double]) => single ?? double ?? '');
  const named = new Set(rule.match(/[A-Za-z_][A-Za-z0-9_]*/g));
  const numbers = [...NUMBERS, ...(rule.match(/\b\d+\b/g) ?? []).map(Number)];
  // Only those that add up need long lists, which others would compare each with each.
  const counts = /size\(\)[^&|]*\+/.test(rule);
  const pick = <Value>(values: readonly Value[]): Value => values[Math.floor(random() * values.length)]!;
  return function sample(schema: Schema, depth = 0): Json {
    if (schema.enum !== undefined && random() < 0.9) return pick(schema.enum);
    if (schema['x-kubernetes-int-or-string'] === true) return random() < 0.5 ? pick(numbers) : pick(TEXTS);
    if (schema.type === 'array') {
      const items = Array.from({ length: Math.floor(random() * 4) }, () => (schema.items === undefined ? 'a' : sample(schema.items, depth + 1)));
      if (items.length > 1 && random() < 0.4) items[1] = structuredClone(items[0]!);
      return counts && random() < 0.3 ? Array.from({ length: 70 }, () => items[0] ?? 'a') : items;
    }
    if (schema.type === 'object') {
      const known = Object.entries(schema.properties ?? {}).filter(
        ([name]) => schema.required?.includes(name) === true || random() < (named.has(name) ? 0.55 : depth === 0 ? 0.2 : 0.3),
      );
      const free = typeof schema.additionalProperties === 'object' ? schema.additionalProperties : undefined;
      const extra = free === undefined ? [] : Array.from({ length: Math.floor(random() * 3) }, (): [string, Json] => [pick(TEXTS), sample(free, depth + 1)]);
      return Object.fromEntries([...known.map(([name, part]): [string, Json] => [name, sample(part, depth + 1)]), ...extra]);
    }
    if (schema.type === 'boolean') return random() < 0.5;
    if (schema.type === 'integer' || schema.type === 'number') return pick(numbers);
    if (random() < 0.15) return '';
    return literals.length > 0 && random() < 0.4 ? pick(literals) : pick(TEXTS);
  };
}

test('each rule of each definition is kept by something and broken by something', async () => {
  const validator = new RuleValidator();
  const rules = await allRules();
  expect(rules.length).toBeGreaterThan(100);
  const left: string[] = [];
  for (const [index, { place, rule, schema }] of rules.entries()) {
    const { fieldPath: _fieldPath, ...own } = rule;
    const subject = alone(schema, [own]);
    const sample = sampler(rule.rule, dice(index + 1));
    let kept = false;
    let broken = false;
    for (let tries = 0; tries < MOST && !(kept && broken); tries++) {
      const errors: FieldError[] = [];
      validator.validate(sample(subject), subject, errors);
      if (errors.length === 0) kept = true;
      // Of one that cannot be worked out nothing is known.
      else if (!errors[0]!.message.includes('evaluating rule')) broken = true;
    }
    if (!kept || !broken) left.push(`${place}: ${rule.rule} (${kept ? 'nothing breaks it' : broken ? 'nothing keeps it' : 'it cannot be worked out'})`);
  }
  expect(left).toEqual([]);
}, 60_000);
