import type { KindInEffect, Schema } from '@outrigger/resources';
import { fieldsThatDiffer } from '../fields-that-differ.ts';
import { fieldsNotInEffect } from '../not-in-effect.ts';

export interface FieldRow {
  readonly path: string;
  readonly type: string;
  readonly effect: string;
}

/** Fewer fields than that are said again rather than referred to. */
const MIN_REPEATED = 4;

const onPlane = { all: '', envoy: 'Envoy', grpc: 'gRPC without a proxy' };

/** Every field of a spec: what it takes, and whether it does anything. What is of one shape with fields before it is referred to. */
export function fieldRows(kind: KindInEffect, spec: Schema): readonly FieldRow[] {
  const rows: FieldRow[] = [];
  const seen = new Map<string, string>();
  const walk = (schema: Schema, path: string, patterns: readonly string[]): void => {
    for (const [name, child] of sorted(schema.properties ?? {})) {
      const at = path === '' ? name : `${path}.${name}`;
      const under = patterns.map((pattern) => (pattern === '' ? name : `${pattern}.${name}`));
      const item = child.items ?? child;
      const type = typeOf(child);
      const { effect, whole } = effectOf(kind, under);
      if (whole || !hasFields(item) || isPlain(item)) {
        rows.push({ path: at, type, effect });
        continue;
      }
      const shape = JSON.stringify(item);
      const before = seen.get(shape);
      if (before !== undefined && size(item) >= MIN_REPEATED) {
        rows.push({ path: at, type: `${child.items === undefined ? '' : 'list, '}as \`${before}\``, effect });
        continue;
      }
      seen.set(shape, before ?? at);
      rows.push({ path: at, type, effect });
      const suffix = child.items === undefined ? '' : '[]';
      walk(
        item,
        at + suffix,
        under.flatMap((pattern) => policyPatterns(pattern + suffix)),
      );
    }
  };
  walk(spec, '', ['']);
  return rows;
}

/** A traffic policy means the same at each level where one may stand. */
function policyPatterns(pattern: string): readonly string[] {
  return pattern === 'subsets[].trafficPolicy' || pattern.endsWith('.portLevelSettings[]') ? [pattern, 'trafficPolicy'] : [pattern];
}

/** `whole`: nothing below it has an effect either. */
function effectOf(kind: KindInEffect, patterns: readonly string[]): { readonly effect: string; readonly whole: boolean } {
  for (const pattern of patterns) {
    const why = fieldsNotInEffect[kind][pattern];
    if (why !== undefined) return { effect: `no: ${why}`, whole: true };
    const differs = fieldsThatDiffer[kind]?.[pattern];
    if (differs === undefined) continue;
    const where = onPlane[differs.on];
    return { effect: where === '' ? `yes; ${differs.why}` : `yes; ${where}: ${differs.effect === 'none' ? 'no, ' : ''}${differs.why}`, whole: false };
  }
  return { effect: 'yes', whole: false };
}

function sorted(properties: Readonly<Record<string, Schema>>): readonly (readonly [string, Schema])[] {
  return Object.entries(properties).sort(([left], [right]) => (left < right ? -1 : 1));
}

function hasFields(schema: Schema): boolean {
  return schema.properties !== undefined && Object.keys(schema.properties).length > 0;
}

function size(schema: Schema): number {
  return Object.values(schema.properties ?? {}).reduce((sum, child) => sum + 1 + size(child.items ?? child), 0);
}

/** Said by its type alone. */
function isPlain(schema: Schema): boolean {
  return plainNames.has(namesOf(schema));
}

const plainNames: ReadonlyMap<string, string> = new Map([
  ['exact,prefix,regex', 'text match: `exact`, `prefix` or `regex`'],
  ['name,value', '`name` and `value`'],
  ['matchExpressions,matchLabels', 'label selector'],
  ['value', 'percentage, `value`'],
  ['number', '`number`'],
  ['denominator,numerator', 'fraction'],
]);

function namesOf(schema: Schema): string {
  return Object.keys(schema.properties ?? {})
    .sort()
    .join(',');
}

function typeOf(schema: Schema): string {
  if (schema['x-kubernetes-int-or-string']) return 'number or text';
  if (schema.enum !== undefined)
    return schema.enum
      .filter((value) => value !== '' && value !== null)
      .map((value) => `\`${value}\``)
      .join(', ');
  switch (schema.type) {
    case 'array':
      return `list of ${schema.items === undefined ? 'values' : itemType(schema.items)}`;
    case 'object':
      if (hasFields(schema)) return plainNames.get(namesOf(schema)) ?? 'object';
      return typeof schema.additionalProperties === 'object' ? `map of ${itemType(schema.additionalProperties)}` : 'object';
    case 'string':
      return 'text';
    case 'integer':
    case 'number':
      return 'number';
    case 'boolean':
      return 'true or false';
    default:
      return 'any';
  }
}

function itemType(schema: Schema): string {
  const type = typeOf(schema);
  return type === 'object' ? 'objects' : type === 'text' ? 'texts' : type === 'number' ? 'numbers' : type;
}
