import { quantileOfBuckets } from '@outrigger/telemetry';
import type { GraphView, TopRow } from '../api/shapes.ts';
import { addBuckets, type Buckets, type EdgeTraffic, type Party } from './windows.ts';

/** One row's workload: how many there are, and how their callers' breakers stand. */
export interface Group extends Party {
  readonly instances: number;
  readonly open: number;
  readonly halfOpen: number;
  /** Nobody stands behind it: what it sent on is what it was asked. */
  readonly gateway: boolean;
}

/** Nodes of the graph without a service: callers without a sidecar, and what requests were for that no service of the mesh is. */
const UNKNOWN_CALLER = 'unknown caller';
const UNKNOWN_DESTINATION = 'unknown destination';

interface Sum {
  requests: number;
  failures: number;
  mtls: number;
  plain: number;
  readonly durations: Map<number, number>;
}

/** A line for each service and version that is registered or was called, as the called side counted; of a gateway as it counted itself. */
export function topRows(traffic: readonly EdgeTraffic[], groups: readonly Group[], windowMs: number): TopRow[] {
  const rows = new Map<string, { party: Party; sum: Sum; group: Group | undefined }>();
  const rowOf = (party: Party): { party: Party; sum: Sum; group: Group | undefined } => {
    const key = partyId(party);
    let row = rows.get(key);
    if (row === undefined) {
      row = { party, sum: newSum(), group: undefined };
      rows.set(key, row);
    }
    return row;
  };
  for (const group of groups) rowOf(group).group = group;
  const gateways = new Set(groups.filter(({ gateway }) => gateway).map(partyId));
  for (const edge of traffic) {
    if (edge.reporter === 'destination' && edge.to.service !== '') add(rowOf(edge.to).sum, edge);
    // Whether its own callers came by mutual TLS it does not count.
    else if (edge.reporter === 'source' && gateways.has(partyId(edge.from))) add(rowOf(edge.from).sum, { ...edge, mtls: 0, plain: 0 });
  }
  return [...rows.values()]
    .map(({ party, sum, group }) => ({
      service: party.service,
      namespace: party.namespace,
      version: party.version,
      ...figures(sum, windowMs),
      mtlsRatio: ratio(sum.mtls, sum.mtls + sum.plain),
      breaker: { open: group?.open ?? 0, halfOpen: group?.halfOpen ?? 0, endpoints: group?.instances ?? 0 },
      instances: group?.instances ?? 0,
    }))
    .sort((a, b) => compare(partyId(a), partyId(b)));
}

/**
 * Who calls whom. The caller's count is taken, since it has the requests that reached nobody; of callers without a sidecar the called side's.
 * Whether it was mutual TLS the called side says; of what reached no sidecar, the caller's, where it knows.
 */
export function graphOf(traffic: readonly EdgeTraffic[], groups: readonly Group[], windowMs: number): GraphView {
  const nodes = new Map<string, Party>();
  for (const group of groups) nodes.set(partyId(group), group);
  const edges = new Map<string, { from: string; to: string; source: Sum; destination: Sum }>();
  for (const edge of traffic) {
    const ends = { from: edge.from.service === '' ? UNKNOWN_CALLER : partyId(edge.from), to: edge.to.service === '' ? UNKNOWN_DESTINATION : partyId(edge.to) };
    nodes.set(ends.from, edge.from);
    nodes.set(ends.to, edge.to);
    const key = `${ends.from} ${ends.to}`;
    let found = edges.get(key);
    if (found === undefined) {
      found = { ...ends, source: newSum(), destination: newSum() };
      edges.set(key, found);
    }
    add(edge.reporter === 'source' ? found.source : found.destination, edge);
  }
  return {
    windowMs,
    nodes: [...nodes].map(([id, { service, namespace, version }]) => ({ id, service, namespace, version })).sort((a, b) => compare(a.id, b.id)),
    edges: [...edges.values()]
      .map(({ from, to, source, destination }) => {
        const counted = source.requests > 0 ? source : destination;
        const judge = destination.requests > 0 ? destination : source;
        return { from, to, ...figures(counted, windowMs), mtlsRatio: ratio(judge.mtls, judge.mtls + judge.plain) };
      })
      .sort((a, b) => compare(`${a.from} ${a.to}`, `${b.from} ${b.to}`)),
  };
}

function newSum(): Sum {
  return { requests: 0, failures: 0, mtls: 0, plain: 0, durations: new Map() };
}

function add(sum: Sum, edge: EdgeTraffic): void {
  sum.requests += edge.requests;
  sum.failures += edge.failures;
  sum.mtls += edge.mtls;
  sum.plain += edge.plain;
  addBuckets(sum.durations, edge.durations);
}

function figures(sum: Sum, windowMs: number): Pick<TopRow, 'requestsPerSecond' | 'successRatio' | 'p50Ms' | 'p99Ms'> {
  return {
    requestsPerSecond: sum.requests / (windowMs / 1000),
    successRatio: ratio(sum.requests - sum.failures, sum.requests),
    p50Ms: quantile(sum.durations, 0.5),
    p99Ms: quantile(sum.durations, 0.99),
  };
}

function quantile(buckets: Buckets, q: number): number | null {
  let cumulative = 0;
  const sorted: [number, number][] = [];
  for (const [bound, count] of [...buckets].sort(([a], [b]) => a - b)) {
    cumulative += count;
    sorted.push([bound, cumulative]);
  }
  const value = quantileOfBuckets(sorted, q);
  return Number.isFinite(value) ? value : null;
}

function ratio(part: number, whole: number): number | null {
  return whole === 0 ? null : part / whole;
}

/** "order-service.default v1" */
export function partyId({ service, namespace, version }: Party): string {
  return `${service}.${namespace}${version === '' ? '' : ` ${version}`}`;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
