import type { LocalityLoadBalancerSetting } from '@outrigger/resources';
import type { LbEndpointSchema, LocalityLbEndpointsSchema } from '@outrigger/xds/protos/envoy/config/endpoint/v3/endpoint_components';
import type { Init } from '../messages.ts';

type Group = Init<typeof LocalityLbEndpointsSchema>;

/** An endpoint, and what it is chosen by. */
export interface LocatedEndpoint {
  readonly endpoint: Init<typeof LbEndpointSchema>;
  /** "region/zone/subzone" */
  readonly locality: string;
  readonly labels: Readonly<Record<string, string>>;
  /** As its instance has it; absent: 0. */
  readonly priority?: number;
}

/** Who calls. */
export interface Caller {
  readonly locality: string;
  readonly labels: Readonly<Record<string, string>>;
}

/**
 * Endpoints by locality, with priorities where they have some of their own, and (nearest first) where a DestinationRule asks for locality balancing. Every group has
 * a weight: gRPC leaves out a locality without one.
 */
export function placeLocalities(endpoints: readonly LocatedEndpoint[], caller: Caller, setting: LocalityLoadBalancerSetting | undefined): Group[] {
  const used = setting?.enabled === false ? undefined : setting;
  const distribute = used?.distribute?.find(({ from }) => localityMatches(from ?? '*', caller.locality));
  const distanceOf = distances(caller, distribute === undefined ? used : undefined);
  const placed = new Map<string, { readonly locality: string; readonly rank: number; readonly endpoints: Init<typeof LbEndpointSchema>[] }>();
  for (const one of endpoints) {
    // Who says what is called first means it for callers of every place.
    const rank = (one.priority ?? 0) * MAX_DISTANCES + Math.min(distanceOf(one), MAX_DISTANCES - 1);
    const key = `${one.locality} ${rank}`;
    const group = placed.get(key) ?? { locality: one.locality, rank, endpoints: [] };
    group.endpoints.push(one.endpoint);
    placed.set(key, group);
  }
  const ordered = [...placed.values()].sort((a, b) => (a.locality < b.locality ? -1 : a.locality > b.locality ? 1 : a.rank - b.rank));
  const weights = distribute === undefined ? ordered.map(weightOf) : shares(ordered, distribute.to ?? {});
  // Priorities must have no gap.
  const levels = [...new Set(ordered.filter((_, index) => weights[index] !== undefined).map(({ rank }) => rank))].sort((a, b) => a - b);
  return ordered.flatMap(({ locality, rank, endpoints: own }, index): Group[] => {
    const loadBalancingWeight = weights[index];
    if (loadBalancingWeight === undefined) return [];
    const [region = '', zone = '', subZone = ''] = locality.split('/');
    return [{ locality: { region, zone, subZone }, lbEndpoints: own, loadBalancingWeight, priority: Math.min(levels.indexOf(rank), MAX_PRIORITY) }];
  });
}

/** More labels than anybody gives as failoverPriority. */
const MAX_DISTANCES = 1_024;
/** An Envoy refuses priorities above. */
const MAX_PRIORITY = 128;

interface Placed {
  readonly locality: string;
  readonly endpoints: readonly Init<typeof LbEndpointSchema>[];
}

function weightOf({ endpoints }: Placed): number {
  return endpoints.reduce((sum, endpoint) => sum + (endpoint?.loadBalancingWeight ?? 1), 0);
}

/** Fine enough to divide a percent. */
const PARTS_OF_PERCENT = 100;

/** Each locality's part of the percents that are given to a pattern, as its endpoints weigh; undefined: it gets none. */
function shares(placed: readonly Placed[], to: Readonly<Record<string, number>>): readonly (number | undefined)[] {
  const patterns = Object.keys(to);
  const patternOf = placed.map(({ locality }) => patterns.find((pattern) => localityMatches(pattern, locality)));
  const totals = new Map<string, number>();
  for (const [index, pattern] of patternOf.entries()) if (pattern !== undefined) totals.set(pattern, (totals.get(pattern) ?? 0) + weightOf(placed[index]!));
  const whole = new Set(patternOf.filter((pattern) => pattern !== undefined)).size === patternOf.filter((pattern) => pattern !== undefined).length;
  const parts = whole ? 1 : PARTS_OF_PERCENT;
  return placed.map((one, index) => {
    const pattern = patternOf[index];
    return pattern === undefined ? undefined : Math.max(1, Math.round((to[pattern]! * parts * weightOf(one)) / totals.get(pattern)!));
  });
}

/** How far an endpoint is: 0 is nearest. */
function distances(caller: Caller, setting: LocalityLoadBalancerSetting | undefined): (endpoint: LocatedEndpoint) => number {
  if (setting === undefined) return () => 0;
  const labels = setting.failoverPriority ?? [];
  if (labels.length > 0) return (endpoint) => labels.length - leadingMatches(labels, caller, endpoint);
  return caller.locality === '' ? () => 0 : ({ locality }) => localityDistance(caller.locality, locality, setting);
}

/** How many of the labels, in their order and without a gap, the endpoint has as the caller has them, or as the list itself says ("key=value"). */
function leadingMatches(wanted: readonly string[], caller: Caller, endpoint: LocatedEndpoint): number {
  const matches = (entry: string): boolean => {
    const [name = '', ...value] = entry.split('=');
    return (value.length > 0 ? value.join('=') : (labelOf(caller, name) ?? '')) === (labelOf(endpoint, name) ?? '');
  };
  const missed = wanted.findIndex((entry) => !matches(entry));
  return missed < 0 ? wanted.length : missed;
}

const PARTS_OF_LOCALITY: Readonly<Record<string, number>> = {
  'topology.kubernetes.io/region': 0,
  'topology.kubernetes.io/zone': 1,
  'topology.istio.io/subzone': 2,
};

function labelOf({ labels, locality }: Caller, name: string): string | undefined {
  const part = PARTS_OF_LOCALITY[name];
  return labels[name] ?? (part === undefined ? undefined : locality.split('/')[part]);
}

/** "region/*", "region/zone/*", "*" or a whole locality. */
function localityMatches(pattern: string, locality: string): boolean {
  if (pattern === '*' || pattern === locality) return true;
  return pattern.endsWith('/*') && `${locality}/`.startsWith(pattern.slice(0, -1));
}

function localityDistance(own: string, other: string, setting: LocalityLoadBalancerSetting): number {
  const [region, zone, subZone] = own.split('/');
  const [otherRegion, otherZone, otherSubZone] = other.split('/');
  if (region === otherRegion) return zone !== otherZone ? 2 : subZone !== otherSubZone ? 1 : 0;
  return setting.failover?.some(({ from, to }) => from === region && to === otherRegion) ? 3 : 4;
}
