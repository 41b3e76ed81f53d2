import type { SrvEndpoint } from '@outrigger/resources';
import { type MeshSettings, type ProxyNode, type RefusedFilter, refusalsOf } from '@outrigger/translate';
import type { Configuration } from '../config/configuration.ts';
import type { MeshState } from '../push/mesh-state.ts';
import type { PushSource } from '../push/push-source.ts';
import type { Existing } from '../registry/declared.ts';
import type { SplitInForce } from '../rollout/laid.ts';
import type { Rollouts } from '../rollout/rollouts.ts';
import type { StoredItem } from '../store/resource-store.ts';

export { resourceOf } from '../config/resource-of.ts';
export { worldWith } from '../registry/declared.ts';
export { laidOver, type SplitInForce } from '../rollout/laid.ts';

/** GET /api/v1/mesh: all that translation looks at, so that `rig plan` can ask it what a change would do. */
export interface MeshView {
  readonly revision: string;
  readonly settings: MeshSettings;
  readonly resources: readonly StoredItem[];
  /** What registered itself, without what the resources declare. */
  readonly attached: Existing;
  /** What DNS says of the names of SRV records. */
  readonly resolvedSrv: Readonly<Record<string, readonly SrvEndpoint[]>>;
  /** EnvoyFilters that proxies of a kind are spared, since one of them has refused what they make. */
  readonly refusals: readonly RefusedFilter[];
  /** What rollouts have laid over the resources. */
  readonly rollouts: readonly SplitInForce[];
  readonly proxies: readonly MeshProxy[];
}

export interface MeshProxy {
  readonly node: ProxyNode;
  /** Names by type URL: what it has asked for. */
  readonly subscribed: Readonly<Record<string, readonly string[]>>;
  /** Type URLs of which it has all that there are for it. */
  readonly wildcards: readonly string[];
}

export interface MeshViewParts {
  readonly configuration: Configuration;
  readonly mesh: MeshState;
  readonly push: PushSource;
  readonly rollouts: Pick<Rollouts, 'inForce'>;
  readonly attached: () => Existing;
  readonly resolvedSrv: () => MeshView['resolvedSrv'];
}

export function meshView({ configuration, mesh, push, rollouts, attached, resolvedSrv }: MeshViewParts): MeshView {
  return {
    revision: configuration.revision,
    settings: mesh.current.settings,
    resources: configuration.items,
    attached: attached(),
    resolvedSrv: resolvedSrv(),
    refusals: refusalsOf(mesh.current),
    rollouts: rollouts.inForce,
    proxies: [...push.proxies.connectedNodes()].map(({ node }): MeshProxy => {
      const view = push.proxies.current(node.id);
      const subscribed: Record<string, string[]> = {};
      for (const { typeUrl, name } of view?.entries() ?? []) {
        subscribed[typeUrl] ??= [];
        subscribed[typeUrl].push(name);
      }
      return { node, subscribed, wildcards: [...(view?.wildcards ?? [])] };
    }),
  };
}
