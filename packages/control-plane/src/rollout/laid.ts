import { type Resource, refKey, refOf } from '@outrigger/resources';
import type { MeshChange } from '@outrigger/translate';
import type { Arms } from './admit.ts';
import { isOver, type RolloutPlan, type RolloutState, type Split, splitOf } from './decide.ts';
import { overlay } from './overlay.ts';

/** A rollout as far as routes go. */
export interface Layer {
  readonly plan: RolloutPlan;
  readonly state: RolloutState;
  readonly arms: Arms;
  readonly sticky: { readonly header?: string; readonly cookie?: string } | undefined;
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

  constructor(resources: () => readonly Resource[], domainSuffix: string) {
    this.#resources = resources;
    this.#domainSuffix = domainSuffix;
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
    const now = new Map<string, Resource>();
    if (splits.length === 0 && before.size === 0) return {};
    const written = new Map(this.#resources().map((resource) => [refKey(refOf(resource)), resource]));
    for (const { layer, split } of splits) {
      if (split === undefined) {
        done(layer, NOTHING);
        continue;
      }
      const { plan, state, arms, sticky } = layer;
      const result = overlay({
        // One route may lead to several services: each split is laid over the one before.
        resources: [...new Map([...written, ...now]).values()],
        service: arms.service,
        from: plan.from,
        to: plan.to,
        split,
        sticky: isOver(state) ? undefined : sticky,
        domainSuffix: this.#domainSuffix,
      });
      for (const resource of result.put) now.set(refKey(refOf(resource)), resource);
      done(layer, result);
    }
    this.#laid = now;
    const put = [...now].filter(([key, resource]) => !sameContent(before.get(key), resource)).map(([, resource]) => resource);
    const lifted = [...before].filter(([key]) => !now.has(key));
    return {
      put: [...put, ...lifted.flatMap(([key]) => written.get(key) ?? [])],
      remove: lifted.filter(([key]) => !written.has(key)).map(([, resource]) => refOf(resource)),
    };
  }
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
