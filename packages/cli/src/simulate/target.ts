import {
  BLACK_HOLE_CLUSTER,
  DYNAMIC_DNS_CLUSTER,
  HTTP_TUNNEL,
  INBOUND_PASSTHROUGH_CLUSTER,
  PASSTHROUGH_CLUSTER,
  parseOutboundCluster,
} from '@outrigger/translate';
import type { SimulatedDestination } from './outcome.ts';

const APPLICATION = '127.0.0.1';

/** Where a cluster leads, by its name. */
export function targetOf(cluster: string): Pick<SimulatedDestination, 'host' | 'port' | 'subset'> {
  const parsed = parseOutboundCluster(cluster);
  if (parsed !== undefined) return parsed;
  const own = /^inbound\|(\d+)\|\|$/.exec(cluster);
  return own === null ? { host: cluster, port: 0, subset: '' } : { host: APPLICATION, port: Number(own[1]), subset: '' };
}

const OF_NO_SERVICE: ReadonlySet<string> = new Set([PASSTHROUGH_CLUSTER, DYNAMIC_DNS_CLUSTER, INBOUND_PASSTHROUGH_CLUSTER, BLACK_HOLE_CLUSTER, HTTP_TUNNEL]);

/** To where it was sent, whatever the mesh knows. */
export function leavesMesh(cluster: string): boolean {
  return OF_NO_SERVICE.has(cluster);
}
