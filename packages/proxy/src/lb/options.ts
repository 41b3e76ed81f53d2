import type { SubsetOptions } from './subset-balancer.ts';
import { DEFAULT_ZONE_AWARE, type ZoneAwareOptions } from './zone-aware.ts';

export type LbPolicy = 'round-robin' | 'least-request' | 'random' | 'ring-hash' | 'maglev';

/** Cluster.slow_start_config. */
export interface SlowStart {
  readonly windowMs: number;
  readonly aggression: number;
  readonly minWeightRatio: number;
}

/** A cluster's balancing, decided. */
export interface LbOptions {
  readonly policy: LbPolicy;
  /** Least request: how many are compared. */
  readonly choiceCount: number;
  /** Least request with unequal weights: weight / (active + 1)^bias. */
  readonly activeRequestBias: number;
  /** null: hosts count in full at once. */
  readonly slowStart: SlowStart | null;
  /** Share of available hosts below which all are used (healthy_panic_threshold), [0, 1]. */
  readonly panicThreshold: number;
  /** Localities are chosen by their own weights first (locality_weighted_lb_config). */
  readonly localityWeighted: boolean;
  readonly minimumRingSize: number;
  readonly maximumRingSize: number;
  readonly maglevTableSize: number;
  /** Hashing: keys are placed by the endpoint's hostname in the place of its address. */
  readonly useHostname: boolean;
  /** Hashing: a host may have so many percent of its share of the requests under way; 0: any number. */
  readonly hashBalancePercent: number;
  /** null: zones do not matter. Without a local cluster in the bootstrap they never do. */
  readonly zoneAware: ZoneAwareOptions | null;
  /** null: every endpoint may take every request. */
  readonly subsets: SubsetOptions | null;
}

/** Envoy's defaults. */
export const DEFAULT_LB_OPTIONS: LbOptions = {
  policy: 'round-robin',
  choiceCount: 2,
  activeRequestBias: 1,
  slowStart: null,
  panicThreshold: 0.5,
  localityWeighted: false,
  minimumRingSize: 1024,
  maximumRingSize: 8 * 1024 * 1024,
  maglevTableSize: 65_537,
  useHostname: false,
  hashBalancePercent: 0,
  zoneAware: DEFAULT_ZONE_AWARE,
  subsets: null,
};

/** The weight of a host that came `ageMs` ago, as a share of its own. */
export function slowStartRatio(slowStart: SlowStart, ageMs: number): number {
  if (ageMs >= slowStart.windowMs) return 1;
  const time = Math.max(ageMs, 1) / slowStart.windowMs;
  return Math.max(slowStart.minWeightRatio, time ** (1 / slowStart.aggression));
}
