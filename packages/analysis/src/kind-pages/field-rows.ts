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

const onPlane = { all: '', outrigger: 'our proxy', envoy: 'Envoy', grpc: 'gRPC without a proxy' };

/** A field, and what is known of it. */
interface Field {
  readonly path: string;
  readonly depth: number;
  readonly schema: Schema;
  readonly effect: string;
  /** By its shape; undefined: it is said in one row. */
  readonly shape: string | undefined;
}

/** Every field of a spec: what it takes, and whether it does anything. What is of one shape with a field nearer to the top is referred to that. */
export function fieldRows(kind: KindInEffect, spec: Schema): readonly FieldRow[] {
  const first = new Map<string, Field>();
  eachField(kind, spec, (field) => {
    const { shape, depth } = field;
    if (shape !== undefined && depth < (first.get(shape)?.depth ?? Number.POSITIVE_INFINITY)) first.set(shape, field);
    return true;
  });
  const rows: FieldRow[] = [];
  eachField(kind, spec, ({ path, schema, effect, shape }) => {
    const same = shape === undefined ? path : first.get(shape)!.path;
    const repeated = same !== path && size(schema.items ?? schema) >= MIN_REPEATED;
    rows.push({ path, type: repeated ? `${schema.items === undefined ? '' : 'list, '}as \`${same}\`` : typeOf(schema), effect });
    return !repeated;
  });
  return rows;
}

/** `visit` says whether what is below the field is to be visited too. */
function eachField(kind: KindInEffect, spec: Schema, visit: (field: Field) => boolean): void {
  const walk = (parent: Schema, at: string, depth: number, patterns: readonly string[]): void => {
    for (const [name, schema] of sorted(parent.properties ?? {})) {
      const path = at === '' ? name : `${at}.${name}`;
      const under = patterns.map((pattern) => (pattern === '' ? name : `${pattern}.${name}`));
      const item = schema.items ?? schema;
      const { effect, whole } = effectOf(kind, under);
      const one = whole || !hasFields(item) || isPlain(item);
      if (!visit({ path, depth, schema, effect, shape: one ? undefined : JSON.stringify(item) }) || one) continue;
      const suffix = schema.items === undefined ? '' : '[]';
      walk(
        item,
        path + suffix,
        depth + 1,
        under.flatMap((pattern) => policyPatterns(pattern + suffix)),
      );
    }
  };
  walk(spec, '', 0, ['']);
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
