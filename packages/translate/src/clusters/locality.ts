import type { LocalityLoadBalancerSetting } from '@outrigger/resources';
import type { LbEndpointSchema, LocalityLbEndpointsSchema } from '@outrigger/xds/protos/envoy/config/endpoint/v3/endpoint_components';
import type { Init } from '../messages.ts';

type Endpoints = Init<typeof LbEndpointSchema>[];
type Group = Init<typeof LocalityLbEndpointsSchema>;

/**
 * Endpoints by locality, with priorities (nearest first) where a DestinationRule asks for locality balancing. Every group has
 * a weight: gRPC leaves out a locality without one.
 */
export function placeLocalities(
  byLocality: ReadonlyMap<string, Endpoints>,
  own: string,
  setting: LocalityLoadBalancerSetting | undefined,
): Init<typeof LocalityLbEndpointsSchema>[] {
  const names = [...byLocality.keys()].sort();
  const distribute = setting?.enabled === false ? undefined : setting?.distribute?.find(({ from }) => localityMatches(from ?? '*', own));
  const byDistance = setting !== undefined && setting.enabled !== false && distribute === undefined && own !== '';
  const distances = new Map(names.map((name) => [name, byDistance ? distance(own, name, setting) : 0]));
  // Priorities must have no gap.
  const levels = [...new Set(distances.values())].sort((a, b) => a - b);
  const groups: Group[] = [];
  for (const name of names) {
    const endpoints = byLocality.get(name)!;
    const share = distribute === undefined ? undefined : Object.entries(distribute.to ?? {}).find(([pattern]) => localityMatches(pattern, name));
    if (distribute !== undefined && share === undefined) continue;
    const [region = '', zone = '', subZone = ''] = name.split('/');
    const total = endpoints.reduce((sum, endpoint) => sum + (endpoint?.loadBalancingWeight ?? 1), 0);
    groups.push({
      locality: { region, zone, subZone },
      lbEndpoints: endpoints,
      loadBalancingWeight: share === undefined ? total : share[1],
      priority: levels.indexOf(distances.get(name)!),
    });
  }
  return groups;
}

/** "region/*", "region/zone/*", "*" or a whole locality. */
function localityMatches(pattern: string, locality: string): boolean {
  if (pattern === '*' || pattern === locality) return true;
  return pattern.endsWith('/*') && `${locality}/`.startsWith(pattern.slice(0, -1));
}

function distance(own: string, other: string, setting: LocalityLoadBalancerSetting): number {
  const [region, zone, subZone] = own.split('/');
  const [otherRegion, otherZone, otherSubZone] = other.split('/');
  if (region === otherRegion) return zone !== otherZone ? 2 : subZone !== otherSubZone ? 1 : 0;
  return setting.failover?.some(({ from, to }) => from === region && to === otherRegion) ? 3 : 4;
}
