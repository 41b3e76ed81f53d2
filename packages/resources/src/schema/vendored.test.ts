import { celEnv, parse } from '@bufbuild/cel';
import { describe, expect, it } from 'vitest';
import { kubernetesFunctions } from '../cel/functions.ts';
import { kindOf, kinds, loadSchema } from '../registry.ts';
import { isKnownFormat } from './formats.ts';
import { Patterns } from './patterns.ts';
import type { Schema } from './structural.ts';

/** Every schema below one, itself included. */
function* nodes(schema: Schema): Generator<Schema> {
  yield schema;
  const below = [...Object.values(schema.properties ?? {}), ...(schema.allOf ?? []), ...(schema.anyOf ?? []), ...(schema.oneOf ?? [])];
  for (const part of [schema.items, schema.not, schema.additionalProperties]) if (typeof part === 'object') below.push(part);
  for (const part of below) yield* nodes(part);
}

const environment = celEnv({ funcs: kubernetesFunctions });
/** What the planner does itself: logic, and access by index. */
const builtin: ReadonlySet<string> = new Set(['_&&_', '_||_', '_?_:_', '_[_]', '@not_strictly_false']);

/** Names of the functions that an expression calls; one of a namespace by its whole name ("format.dns1123Label"). */
function* calls(node: unknown): Generator<string> {
  if (typeof node !== 'object' || node === null) return;
  if ('function' in node && 'args' in node) {
    const target = 'target' in node ? (node.target as { exprKind?: { value?: { name?: string } } } | undefined) : undefined;
    yield target?.exprKind?.value?.name === 'format' ? `format.${node.function}` : String(node.function);
  }
  for (const value of Object.values(node)) yield* calls(value);
}

const unknownFunctions = (rule: string): string[] =>
  [...calls(parse(rule).expr)].filter((name) => environment.funcs.find(name) === undefined && !builtin.has(name));

describe('the vendored CRDs', () => {
  it('would fail with a rule that calls what we lack', () => {
    expect(unknownFunctions("cidr(self).containsIP('10.0.0.1') && format.uuid().validate(self).hasValue()")).toEqual(['containsIP', 'cidr', 'format.uuid']);
  });

  it('are all kinds of Istio and Gateway API, and after them come ours', () => {
    expect(kinds.map(({ group, kind }) => `${group}/${kind}`)).toMatchSnapshot();
    expect(kindOf('networking.istio.io/v1', 'VirtualService')).toEqual({
      group: 'networking.istio.io',
      kind: 'VirtualService',
      plural: 'virtualservices',
      scope: 'Namespaced',
      versions: ['v1', 'v1beta1', 'v1alpha3'],
      storageVersion: 'v1',
      inEffect: true,
    });
    expect(kindOf('gateway.networking.k8s.io/v1', 'GatewayClass')?.scope).toBe('Cluster');
  });

  it.each(kinds.flatMap((kind) => kind.versions.map((version) => [`${kind.group}/${version} ${kind.kind}`, kind, version] as const)))(
    '%s: patterns compile in RE2, formats are known, rules parse and call only functions that are there',
    async (_, kind, version) => {
      const loaded = await loadSchema(kind, version);
      expect(loaded?.schema.type).toBe('object');
      const patterns = new Patterns();
      for (const node of nodes(loaded?.schema as Schema)) {
        if (node.pattern !== undefined) patterns.matches(node.pattern, '');
        if (node.format !== undefined) expect(isKnownFormat(node.format), node.format).toBe(true);
        for (const { rule, messageExpression = 'true' } of node['x-kubernetes-validations'] ?? []) {
          expect([...unknownFunctions(rule), ...unknownFunctions(messageExpression)], rule).toEqual([]);
        }
      }
    },
  );
});
