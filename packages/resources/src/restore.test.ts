import { expect, it } from 'vitest';
import { isKind } from './kinds/known.ts';
import { readResources } from './read.ts';
import { manifestOf, resourceFrom } from './restore.ts';

it('a resource survives the store', async () => {
  const { resources } = await readResources([
    { file: 'x', text: 'apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: a, labels: {b: c}}\nspec: {host: a}\n' },
  ]);
  const manifest = manifestOf(resources[0]!);
  expect(manifest).toEqual({
    apiVersion: 'networking.istio.io/v1',
    kind: 'DestinationRule',
    metadata: { name: 'a', namespace: 'default', labels: { b: 'c' } },
    spec: { host: 'a' },
  });
  const restored = resourceFrom(JSON.parse(JSON.stringify(manifest)), { file: 'x', line: 1 });
  const { lineOf: _lineOf, ...original } = resources[0]!;
  expect(restored).toEqual(original);
  expect(Object.isFrozen(restored.spec)).toBe(true);
  expect(isKind(restored, 'DestinationRule') && restored.spec.host).toBe('a');
});

it('shares with its manifest what cannot change, and copies what can', () => {
  const manifest = { apiVersion: 'networking.istio.io/v1', kind: 'DestinationRule', metadata: { name: 'a' }, spec: { host: 'a' } };
  const copied = resourceFrom(manifest);
  manifest.spec.host = 'b';
  expect(copied.spec).toEqual({ host: 'a' });
  Object.freeze(manifest.spec);
  expect(resourceFrom(manifest).spec).toBe(manifest.spec);
});
