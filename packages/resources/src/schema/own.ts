import type { KindSchemas } from './structural.ts';
import type { VendoredKind } from './vendored.ts';

/** Kinds of our own, where neither Istio nor Gateway API has one. */
export const ownKinds: readonly VendoredKind[] = [
  {
    group: 'outrigger.dev',
    kind: 'Rollout',
    plural: 'rollouts',
    scope: 'Namespaced',
    versions: ['v1alpha1'],
    storageVersion: 'v1alpha1',
    load: async () => (await import('../../schemas/own/outrigger.dev.Rollout.json', { with: { type: 'json' } })).default as unknown as KindSchemas,
  },
];
