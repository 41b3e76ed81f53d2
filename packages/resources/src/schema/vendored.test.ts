import { describe, expect, it } from 'vitest';
import { RuleValidator } from '../cel/rules.ts';
import { kindOf, kinds, loadSchema } from '../registry.ts';
import { Patterns } from './patterns.ts';
import type { Schema } from './structural.ts';

/** Every schema below one, itself included. */
function* nodes(schema: Schema): Generator<Schema> {
  yield schema;
  const below = [...Object.values(schema.properties ?? {}), ...(schema.allOf ?? []), ...(schema.anyOf ?? []), ...(schema.oneOf ?? [])];
  for (const part of [schema.items, schema.not, schema.additionalProperties]) if (typeof part === 'object') below.push(part);
  for (const part of below) yield* nodes(part);
}

describe('the vendored CRDs', () => {
  it('are all kinds of Istio and Gateway API', () => {
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
    '%s: patterns compile in RE2, rules parse and call only functions that are there',
    async (_, kind, version) => {
      const loaded = await loadSchema(kind, version);
      expect(loaded?.schema.type).toBe('object');
      const patterns = new Patterns();
      const rules = new RuleValidator();
      for (const node of nodes(loaded?.schema as Schema)) {
        if (node.pattern !== undefined) patterns.matches(node.pattern, '');
        for (const rule of node['x-kubernetes-validations'] ?? []) expect(rules.unknownFunctions(rule), rule.rule).toEqual([]);
      }
    },
  );
});
