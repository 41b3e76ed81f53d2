import type { Registry } from '@bufbuild/protobuf';
import { type AnalyzeOptions, analyze, messagesOf } from '@outrigger/analysis';
import { type MeshView, resourceOf, worldWith } from '@outrigger/control-plane/mesh-view';
import { instancesOf, type ReadResult, type Resource, refKey, refOf, servicesOf } from '@outrigger/resources';
import { buildMesh, changeMesh, type MeshSettings } from '@outrigger/translate';
import { meshConfigFor } from '../mesh-config-file.ts';
import { meshConfigOf } from '../simulate/mesh-config.ts';
import { unresolvedSrv } from '../simulate/unresolved-srv.ts';
import { type World, worldOf } from '../simulate/world.ts';
import { resourceDifferences, touchedBetween } from './differences.ts';
import type { PlanInput, PlannedProxy, Side } from './input.ts';
import { proxiesOf } from './proxies.ts';
import { type Overlaid, rolloutNotes, withSplits } from './rollouts.ts';

/** A mesh that runs, and what it would be with these resources. `prune`: what they do not name is taken away. */
export function inputOfMesh(
  view: MeshView,
  read: ReadResult,
  { prune, nowMs, types }: { readonly prune: boolean; readonly nowMs: number; readonly types: Registry },
): PlanInput {
  const present = view.resources.map(resourceOf);
  const before = new Map(present.map((resource) => [refKey(refOf(resource)), resource]));
  const wanted = read.resources.map((resource) => stamped(resource, before.get(refKey(refOf(resource))), nowMs));
  const after = new Map([...(prune ? [] : before), ...wanted.map((resource) => [refKey(refOf(resource)), resource] as const)]);
  const proxies = view.proxies.map(({ node, subscribed, wildcards }): PlannedProxy => ({ node, uses: { subscribed, wildcards } }));
  const now = [...after.values()];
  const { domainSuffix } = view.settings;
  const overlaid = { before: withSplits(present, view.rollouts, domainSuffix), after: withSplits(now, view.rollouts, domainSuffix) };
  const assumed = [...rolloutNotes(view.rollouts, resourceDifferences(present, now), overlaid), ...unresolvedSrv(now, view.resolvedSrv)];
  const side = (written: readonly Resource[], { config }: Overlaid): Side => sideOfMesh(view, { written, config }, proxies, types);
  return inputOf(side(present, overlaid.before), side(now, overlaid.after), assumed);
}

/** As the store would have it: age decides between resources that conflict. */
function stamped(resource: Resource, present: Resource | undefined, nowMs: number): Resource {
  const { creationTimestamp = new Date(nowMs).toISOString() } = present?.metadata ?? {};
  return { ...resource, metadata: { ...resource.metadata, creationTimestamp } };
}

/** `written` as people have written it, `config` as the mesh has it. */
function sideOfMesh(
  view: MeshView,
  { written, config }: { readonly written: readonly Resource[]; readonly config: readonly Resource[] },
  proxies: readonly PlannedProxy[],
  types: Registry,
): Side {
  const { settings } = view;
  const { services, instances } = worldWith(written, view);
  const { mesh } = changeMesh(buildMesh({ config, services, instances, settings, types }), { refusals: stillRefused(view, written) });
  const world: World = { mesh, resources: written, others: [], services, instances, assumed: [] };
  const { rootNamespace, domainSuffix } = settings;
  return { world, proxies, messages: analyze(written, { services, instances }, { rootNamespace, clusterDomain: domainSuffix }) };
}

/** What its proxies have refused of EnvoyFilters they are spared until that changes. */
function stillRefused({ resources, refusals }: MeshView, now: readonly Resource[]): MeshView['refusals'] {
  if (refusals.length === 0) return refusals;
  const changed = new Set(resourceDifferences(resources.map(resourceOf), now).map(({ resource }) => refKey(resource)));
  return refusals.filter(({ ref }) => !changed.has(refKey(ref)));
}

/** Two meshes of which only files tell. What of the former cannot be read is left out of it. */
export function inputOfFiles(
  before: ReadResult,
  after: ReadResult,
  {
    settings = {},
    meshConfigFile,
    types,
  }: { readonly settings?: Partial<MeshSettings>; readonly meshConfigFile?: string | undefined; readonly types: Registry | undefined },
): PlanInput {
  const [old, now] = [before, after].map((read) => sideOfFiles(read, settings, meshConfigFile, types)) as [Side, Side];
  const left = before.problems.filter(({ level }) => level === 'Error');
  const assumed = [
    'every proxy uses all that it may: no mesh was asked',
    ...new Set([...old.world.assumed, ...now.world.assumed]),
    ...left.map(({ file, line, message }) => `what ${file}:${line} said before is left out: ${message}`),
  ];
  return inputOf(old, now, assumed);
}

function sideOfFiles(read: ReadResult, settings: Partial<MeshSettings>, meshConfigFile: string | undefined, types: Registry | undefined): Side {
  const { settings: meshConfig } = meshConfigFor(meshConfigFile, read.others);
  const world = worldOf(read.resources, read.others, settings, { meshConfig: meshConfigOf(meshConfig.value), types });
  const options: AnalyzeOptions = { others: read.others, statuses: read.statuses, meshConfig };
  const mesh = { services: servicesOf(read.resources), instances: instancesOf(read.resources) };
  return { world, proxies: proxiesOf(world), messages: [...messagesOf(read.problems), ...analyze([...read.resources, ...read.refused], mesh, options)] };
}

function inputOf(before: Side, after: Side, assumed: readonly string[]): PlanInput {
  return {
    before,
    after,
    touched: touchedBetween(before.world, after.world),
    resources: resourceDifferences(before.world.resources, after.world.resources),
    assumed,
  };
}
