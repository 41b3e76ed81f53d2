import type { Message } from '@outrigger/analysis';
import type { ResourceRef } from '@outrigger/resources';
import type { Key, ProxyNode } from '@outrigger/translate';
import type { World } from '../simulate/world.ts';

/** A proxy that a plan is made for. */
export interface PlannedProxy {
  readonly node: ProxyNode;
  /** undefined: no mesh was asked, so it is taken to use all that it may. */
  readonly uses: ProxyUse | undefined;
}

export interface ProxyUse {
  /** Names by type URL. */
  readonly subscribed: Readonly<Record<string, readonly string[]>>;
  /** Type URLs of which it has all that there are for it. */
  readonly wildcards: readonly string[];
}

/** A mesh before or after the change. */
export interface Side {
  readonly world: World;
  readonly proxies: readonly PlannedProxy[];
  readonly messages: readonly Message[];
}

export interface ResourceDifference {
  readonly resource: ResourceRef;
  readonly change: 'created' | 'configured' | 'deleted';
}

/** What a plan is made of. */
export interface PlanInput {
  readonly before: Side;
  readonly after: Side;
  /** What of translation's input differs; undefined: it may be anything. */
  readonly touched: ReadonlySet<Key> | undefined;
  readonly resources: readonly ResourceDifference[];
  /** What was taken to be so, in words. */
  readonly assumed: readonly string[];
}
