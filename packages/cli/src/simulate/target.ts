import { parseOutboundCluster } from '@outrigger/translate';
import type { SimulatedDestination } from './outcome.ts';

const APPLICATION = '127.0.0.1';

/** Where a cluster leads, by its name. */
export function targetOf(cluster: string): Pick<SimulatedDestination, 'host' | 'port' | 'subset'> {
  const parsed = parseOutboundCluster(cluster);
  if (parsed !== undefined) return parsed;
  const own = /^inbound\|(\d+)\|\|$/.exec(cluster);
  return own === null ? { host: cluster, port: 0, subset: '' } : { host: APPLICATION, port: Number(own[1]), subset: '' };
}

/** To where it was sent, whatever the mesh knows. */
export function leavesMesh(cluster: string): boolean {
  return parseOutboundCluster(cluster) === undefined && !cluster.startsWith('inbound|');
}
