import type { Registry } from '@bufbuild/protobuf';
import { isKind, type Resource, type ResourceRef, refKey, refOf, refText } from '@outrigger/resources';
import { changeMesh, type Note, type Place } from '@outrigger/translate';
import type { AppliedPatch, Outcome } from './outcome.ts';
import type { World } from './world.ts';
import { writtenAt } from './written-at.ts';

/** What EnvoyFilters are made of; undefined where there is none, since it takes its time to load. */
export async function patchTypes(resources: readonly Resource[]): Promise<Registry | undefined> {
  if (!resources.some((resource) => isKind(resource, 'EnvoyFilter'))) return undefined;
  const { loadTypeRegistry } = await import('@outrigger/xds');
  return loadTypeRegistry();
}

/** Something that our proxy would not take. */
export class RefusedByProxy extends Error {
  readonly sources: readonly ResourceRef[];

  constructor(what: string, sources: readonly ResourceRef[]) {
    super(what);
    this.sources = sources;
  }
}

/** Asks a world in which our proxies are spared the EnvoyFilters that they refuse, one after the other, as the control plane spares them. */
export function withoutRefused(world: World, ask: (world: World) => Outcome): Outcome {
  let spared = world;
  for (;;) {
    try {
      return ask(spared);
    } catch (error) {
      if (!(error instanceof RefusedByProxy)) throw error;
      const latest = latestFilter(spared.resources, error.sources);
      if (latest === undefined) throw error;
      const { mesh } = changeMesh(spared.mesh, { refusals: [{ ref: refOf(latest), dataPlane: 'outrigger', message: error.message }] });
      if (mesh.refusals === spared.mesh.refusals) throw error;
      const { file, line } = writtenAt(spared.resources, refOf(latest));
      spared = {
        ...spared,
        mesh,
        assumed: [...spared.assumed, `${refText(refOf(latest))}, ${file}:${line}, is left out: our proxy refuses it, ${error.message}`],
      };
    }
  }
}

/** Likely the fault; where another is, that is refused next. */
function latestFilter(resources: readonly Resource[], sources: readonly ResourceRef[]): Resource | undefined {
  const keys = new Set(sources.map(refKey));
  return resources
    .filter((resource) => isKind(resource, 'EnvoyFilter') && keys.has(refKey(refOf(resource))))
    .sort((a, b) => (a.metadata.creationTimestamp < b.metadata.creationTimestamp ? -1 : a.metadata.creationTimestamp > b.metadata.creationTimestamp ? 1 : 0))
    .at(-1);
}

export function appliedPatches(resources: readonly Resource[], places: readonly Place[] | undefined, to: string): readonly AppliedPatch[] {
  return (places ?? []).map(({ resource, field }) => ({ resource: refText(resource), ...writtenAt(resources, resource, field), rule: field, to }));
}

/** What of EnvoyFilters is without effect, in words. */
export function patchNotes(resources: readonly Resource[], notes: readonly Note[]): readonly string[] {
  return notes
    .filter(({ resource, on }) => resource.kind === 'EnvoyFilter' && (on === 'all' || on === 'outrigger'))
    .map(({ resource, field, message }) => {
      const { file, line } = writtenAt(resources, resource, field);
      return `${refText(resource)} ${field}, ${file}:${line}, does nothing: ${message}`;
    });
}

/** The same patches may have been met in several places. */
export function withPatches(found: Outcome, patches: readonly AppliedPatch[], notes: readonly string[]): Outcome {
  if (patches.length === 0 && notes.length === 0) return found;
  const known = new Map([...patches, ...found.patchedBy].map((patch) => [JSON.stringify(patch), patch]));
  return { ...found, patchedBy: [...known.values()], explanation: [...new Set([...found.explanation, ...notes])] };
}
