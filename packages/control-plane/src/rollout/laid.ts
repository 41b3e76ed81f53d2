import { type Resource, refKey, refOf } from '@outrigger/resources';
import type { MeshChange } from '@outrigger/translate';
import type { Arms } from './admit.ts';
import { isOver, type RolloutPlan, type RolloutState, type Split, splitOf } from './decide.ts';
import { type OverlayInput, overlay } from './overlay.ts';

/** A rollout as far as routes go. */
export interface Layer {
  readonly resource: Resource;
  readonly plan: RolloutPlan;
  readonly state: RolloutState;
  readonly arms: Arms;
  readonly sticky: { readonly header?: string; readonly cookie?: string } | undefined;
}

/** The split of one service, as it is in force: all that is needed to lay it over other resources. */
export interface SplitInForce extends Pick<OverlayInput, 'service' | 'from' | 'to' | 'split' | 'sticky'> {
  /** The Rollout's. */
  readonly rollout: { readonly namespace: string; readonly name: string };
}

/** What one layer came to. */
export interface LayerResult {
  readonly routes: readonly string[];
  readonly conflict: string | undefined;
}

const NOTHING: LayerResult = { routes: [], conflict: undefined };

/** The splits of all rollouts, laid over what people have written: what the mesh has in place of that, or beside it. */
export class Laid {
  readonly #resources: () => readonly Resource[];
  readonly #domainSuffix: string;
  /** By `refKey`. */
  #laid: ReadonlyMap<string, Resource> = new Map();
  #splits = '';
  #inForce: readonly SplitInForce[] = [];

  constructor(resources: () => readonly Resource[], domainSuffix: string) {
    this.#resources = resources;
    this.#domainSuffix = domainSuffix;
  }

  get inForce(): readonly SplitInForce[] {
    return this.#inForce;
  }

  /** What the mesh has of a resource that somebody has written. */
  inPlaceOf(resource: Resource): Resource {
    return this.#laid.get(refKey(refOf(resource))) ?? resource;
  }

  /** Lays them anew where a split is another, or where `written` says that the resources are; gives what is different. */
  lay<L extends Layer>(layers: readonly L[], written: boolean, done: (layer: L, result: LayerResult) => void): MeshChange | undefined {
    const inForce = ofEachService(layers);
    const splits = inForce.map((layer) => ({ layer, split: splitOf(layer.plan, layer.state, layer.arms.present) }));
    const signature = JSON.stringify(splits.map(({ layer: { plan, arms }, split }) => [arms.service.hostname, plan.from, plan.to, split]));
    if (!written && signature === this.#splits) return undefined;
    this.#splits = signature;
    for (const layer of layers) if (!inForce.includes(layer)) done(layer, NOTHING);
    return this.#difference(splits, done);
  }

  #difference<L extends Layer>(
    splits: readonly { readonly layer: L; readonly split: Split | undefined }[],
    done: (layer: L, result: LayerResult) => void,
  ): MeshChange {
    const before = this.#laid;
    this.#inForce = [];
    if (splits.length === 0 && before.size === 0) return {};
    const laying = new Map<SplitInForce, L>();
    for (const { layer, split } of splits) {
      if (split === undefined) done(layer, NOTHING);
      else laying.set(inForceOf(layer, split), layer);
    }
    this.#inForce = [...laying.keys()];
    const resources = this.#resources();
    const written = new Map(resources.map((resource) => [refKey(refOf(resource)), resource]));
    const now = laidOver(resources, this.#inForce, this.#domainSuffix, (one, result) => done(laying.get(one)!, result));
    this.#laid = now;
    const put = [...now].filter(([key, resource]) => !sameContent(before.get(key), resource)).map(([, resource]) => resource);
    const lifted = [...before].filter(([key]) => !now.has(key));
    return {
      put: [...put, ...lifted.flatMap(([key]) => written.get(key) ?? [])],
      remove: lifted.filter(([key]) => !written.has(key)).map(([, resource]) => refOf(resource)),
    };
  }
}

function inForceOf({ plan, state, arms, sticky, resource }: Layer, split: Split): SplitInForce {
  const { namespace, name } = resource.metadata;
  const { hostname } = arms.service;
  return {
    rollout: { namespace, name },
    service: { hostname, name: arms.service.name, namespace: arms.service.namespace },
    from: plan.from,
    to: plan.to,
    split,
    sticky: isOver(state) ? undefined : sticky,
  };
}

/** What a mesh has, by `refKey`, in place of what is written and beside it. One route may lead to several services: each split is laid over the one before. */
export function laidOver(
  written: readonly Resource[],
  splits: readonly SplitInForce[],
  domainSuffix: string,
  done: (split: SplitInForce, result: LayerResult) => void,
): Map<string, Resource> {
  const all = new Map(splits.length === 0 ? [] : written.map((resource) => [refKey(refOf(resource)), resource]));
  const laid = new Map<string, Resource>();
  for (const one of splits) {
    const result = overlay({ ...one, resources: [...all.values()], domainSuffix });
    for (const resource of result.put) {
      all.set(refKey(refOf(resource)), resource);
      laid.set(refKey(refOf(resource)), resource);
    }
    done(one, result);
  }
  return laid;
}

/** Of one service the one that is under way, else the last one. */
function ofEachService<L extends Layer>(layers: readonly L[]): readonly L[] {
  const byHost = new Map<string, L>();
  const rank = ({ state }: L): number => (isOver(state) ? state.startedAtMs : Number.POSITIVE_INFINITY);
  for (const layer of layers) {
    const other = byHost.get(layer.arms.service.hostname);
    if (other === undefined || rank(layer) > rank(other)) byHost.set(layer.arms.service.hostname, layer);
  }
  return [...byHost.values()];
}

function sameContent(a: Resource | undefined, b: Resource): boolean {
  return a !== undefined && (a === b || (a.metadata.resourceVersion === b.metadata.resourceVersion && JSON.stringify(a.spec) === JSON.stringify(b.spec)));
}
