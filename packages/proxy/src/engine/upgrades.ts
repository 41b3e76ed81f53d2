import type { RouteEntry } from '../routing/route-entry.ts';
import type { StreamRecord } from './stream-record.ts';

/** CONNECT only where it is said; other upgrades pass unless it is said that they do not, as if no proxy were there. */
export function allowsUpgrade(stream: StreamRecord, route: RouteEntry): boolean {
  const token = stream.head.method === 'CONNECT' ? 'connect' : stream.head.protocol;
  return route.fields.upgrades.get(token) ?? stream.manager.config.upgrades.get(token) ?? token !== 'connect';
}
