import { manifestOf, type Resource, refKey, refOf } from '@outrigger/resources';
import { changeMesh, type Key } from '@outrigger/translate';
import type { World } from '../simulate/world.ts';
import type { ResourceDifference } from './input.ts';

/** Resources whose content differs, sorted as people name them. */
export function resourceDifferences(before: readonly Resource[], after: readonly Resource[]): ResourceDifference[] {
  const old = new Map(before.map((resource) => [refKey(refOf(resource)), resource]));
  const now = new Map(after.map((resource) => [refKey(refOf(resource)), resource]));
  return [...new Set([...old.keys(), ...now.keys()])].sort().flatMap((key): ResourceDifference[] => {
    const from = old.get(key);
    const to = now.get(key);
    if (from === undefined) return [{ resource: refOf(to!), change: 'created' }];
    if (to === undefined) return [{ resource: refOf(from), change: 'deleted' }];
    return contentOf(from) === contentOf(to) ? [] : [{ resource: refOf(to), change: 'configured' }];
  });
}

function contentOf(resource: Resource): string {
  const { name, namespace, labels, annotations } = resource.metadata;
  return JSON.stringify([resource.apiVersion, name, namespace, sorted(labels), sorted(annotations), sorted(manifestOf(resource)['spec'])]);
}

/** The order of keys is no content. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, sorted(inner)]),
  );
}

/** The keys by which translation finds what differs; undefined where the settings of the mesh do, on which all hangs. */
export function touchedBetween(before: World, after: World): ReadonlySet<Key> | undefined {
  if (JSON.stringify(before.mesh.settings) !== JSON.stringify(after.mesh.settings)) return undefined;
  const here = <T>(items: readonly T[], keyOf: (item: T) => string): ReadonlySet<string> => new Set(items.map(keyOf));
  const services = here(after.services, ({ hostname, namespace }) => `${hostname} ${namespace}`);
  const instances = here(after.instances, ({ id }) => id);
  return changeMesh(before.mesh, {
    remove: [...before.mesh.resources.entries()].filter(([key]) => after.mesh.resources.get(key) === undefined).map(([, resource]) => refOf(resource)),
    put: [...after.mesh.resources.values()],
    removeServices: before.services.filter(({ hostname, namespace }) => !services.has(`${hostname} ${namespace}`)),
    putServices: after.services,
    removeInstances: before.instances.map(({ id }) => id).filter((id) => !instances.has(id)),
    putInstances: after.instances,
  }).touched;
}
