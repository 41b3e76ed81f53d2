import { laidOver, type SplitInForce } from '@outrigger/control-plane/mesh-view';
import { isKind, type Resource, refKey, refOf } from '@outrigger/resources';
import type { ResourceDifference } from './input.ts';

/** Resources as a mesh has them, and why a rollout would not go on. */
export interface Overlaid {
  readonly config: readonly Resource[];
  readonly conflicts: ReadonlyMap<string, string>;
}

/** The splits that are in force, of the rollouts that are there, laid over resources as the control plane lays them. */
export function withSplits(resources: readonly Resource[], splits: readonly SplitInForce[], domainSuffix: string): Overlaid {
  const there = new Set(rolloutNames(resources));
  const conflicts = new Map<string, string>();
  const laid = laidOver(
    resources,
    splits.filter(({ rollout }) => there.has(nameOf(rollout))),
    domainSuffix,
    ({ rollout }, { conflict }) => {
      if (conflict !== undefined) conflicts.set(nameOf(rollout), conflict);
    },
  );
  const kept = resources.filter((resource) => !laid.has(refKey(refOf(resource))));
  return { config: [...kept, ...laid.values()], conflicts };
}

/** What is said of rollouts beside the plan: which weights they have shifted, and what they would do that is not in it. */
export function rolloutNotes(
  splits: readonly SplitInForce[],
  changes: readonly ResourceDifference[],
  { before, after }: { readonly before: Overlaid; readonly after: Overlaid },
): readonly string[] {
  const changed = new Map(changes.flatMap(({ resource, change }) => (resource.kind === 'Rollout' ? [[nameOf(resource), change] as const] : [])));
  const shifted = splits.flatMap(({ rollout, service, from, to, split }) =>
    changed.get(nameOf(rollout)) === 'deleted'
      ? []
      : [`weights are as the rollout ${nameOf(rollout)} has shifted them, before and after: ${split.to} % of ${service.name} to ${to}, the rest to ${from}`],
  );
  const begun = [...changed].flatMap(([name, change]) =>
    change === 'deleted' ? [] : [`the rollout ${name} begins when it is applied, and shifts weights step by step: none of that is in this plan`],
  );
  const stopped = [...after.conflicts].flatMap(([name, why]) => (before.conflicts.has(name) ? [] : [`the rollout ${name} would be paused: ${why}`]));
  return [...shifted, ...begun, ...stopped];
}

function rolloutNames(resources: readonly Resource[]): readonly string[] {
  return resources.filter((resource) => isKind(resource, 'Rollout')).map(({ metadata }) => nameOf(metadata));
}

function nameOf({ namespace, name }: { readonly namespace: string; readonly name: string }): string {
  return `${namespace}/${name}`;
}
