import { LbContext } from '../lb/context.ts';
import type { SubsetCriteria } from '../lb/subset-criteria.ts';
import type { RouteEntry } from '../routing/route-entry.ts';
import type { Cluster } from '../upstream/cluster.ts';
import type { UpstreamHost } from '../upstream/upstream-host.ts';
import type { StreamRecord } from './stream-record.ts';

/** A context of its own for a request that is balanced by a hash; null: the manager's serves. */
export function hashContext({ head, connection, client, manager }: StreamRecord, route: RouteEntry): LbContext | null {
  if (route.fields.hash.empty) return null;
  const context = new LbContext();
  route.fields.hash.apply(head, client?.host ?? connection.info.remoteHost, manager.runtime.random, context);
  return context;
}

/** The endpoint for the next attempt, those of earlier attempts (`tried`) and others left out as the route says; null: there is none that may be asked. */
export function pickEndpoint(
  { manager, head, connection }: StreamRecord,
  route: RouteEntry,
  cluster: Cluster,
  own: LbContext | null,
  tried: readonly UpstreamHost[] | null,
  subset: SubsetCriteria | null,
): UpstreamHost | null {
  const context = own ?? manager.lbContext;
  if (own === null) context.reset();
  if (tried !== null) {
    const { avoided, hostSelectionMaxAttempts } = route.retry.fields;
    context.tried = tried;
    context.avoidsTried = avoided.previous;
    context.omitted = avoided.omitted;
    context.prioritiesAfter = avoided.prioritiesAfter;
    context.maxRepicks = hostSelectionMaxAttempts;
  }
  context.subset = subset;
  context.nowMs = manager.runtime.nowMs();
  if (cluster.originalDst !== null) context.destination = cluster.originalDst.destinationOf(head.headers, connection.info);
  return cluster.pick(context);
}
