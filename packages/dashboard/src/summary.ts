import type { MeshData } from './api.ts';
import { count, duration, type Grade, gradeOfMtls, gradeOfSuccess, percent, perSecond, unknown } from './text.ts';

/** One figure of the whole mesh. */
export interface Tile {
  readonly label: string;
  readonly value: string;
  readonly detail: string;
  readonly grade: Grade | 'plain';
  readonly page: string;
}

export function tiles(data: MeshData, nowMs: number): Tile[] {
  return [requests(data), success(data), mtls(data), breakers(data), proxies(data), certificates(data, nowMs), resources(data)];
}

function requests({ graph }: MeshData): Tile {
  const tile = { label: 'Requests', page: 'services', grade: 'plain' } as const;
  if (graph === undefined) return { ...tile, value: unknown, detail: '' };
  const rate = graph.edges.reduce((sum, edge) => sum + edge.requestsPerSecond, 0);
  return { ...tile, value: perSecond(rate), detail: `over ${count(graph.edges.length, 'hop')}` };
}

function success({ graph }: MeshData): Tile {
  const ratio = weighted(graph?.edges, 'successRatio');
  return { label: 'Success', value: percent(ratio), detail: 'of requests, all hops', grade: gradeOfSuccess(ratio), page: 'services' };
}

function mtls({ graph }: MeshData): Tile {
  const ratio = weighted(graph?.edges, 'mtlsRatio');
  return { label: 'Mutual TLS', value: percent(ratio), detail: 'of requests, all hops', grade: gradeOfMtls(ratio), page: 'services' };
}

function breakers({ top }: MeshData): Tile {
  const tile = { label: 'Breakers', page: 'services' } as const;
  if (top === undefined) return { ...tile, value: unknown, detail: '', grade: 'unknown' };
  const sum = (field: 'open' | 'halfOpen' | 'endpoints'): number => top.reduce((total, { breaker }) => total + breaker[field], 0);
  const [open, halfOpen, endpoints] = [sum('open'), sum('halfOpen'), sum('endpoints')];
  if (open === 0 && halfOpen === 0) return { ...tile, value: 'closed', detail: `for ${count(endpoints, 'instance')}`, grade: 'good' };
  return {
    ...tile,
    value: open > 0 ? `${open} open` : `${halfOpen} half-open`,
    detail: `of ${count(endpoints, 'instance')}${open > 0 && halfOpen > 0 ? `, ${halfOpen} half-open` : ''}`,
    grade: open > 0 ? 'bad' : 'warn',
  };
}

function proxies({ proxies: all, version }: MeshData): Tile {
  const tile = { label: 'Proxies in sync', page: 'proxies' } as const;
  if (all === undefined) return { ...tile, value: unknown, detail: '', grade: 'unknown' };
  const number = (wanted: Sync): number => all.filter((proxy) => syncOf(proxy) === wanted).length;
  const [inSync, refused, away] = [number('in sync'), number('refused'), number('away')];
  const revision = version === undefined ? '' : `configuration ${version.configRevision}`;
  return {
    ...tile,
    value: `${inSync} of ${all.length}`,
    detail: refused > 0 ? `${refused} refused an update` : away > 0 ? `${away} not connected` : revision,
    grade: refused > 0 ? 'bad' : all.length === 0 ? 'unknown' : inSync < all.length ? 'warn' : 'good',
  };
}

function certificates({ proxies: all = [] }: MeshData, nowMs: number): Tile {
  const tile = { label: 'Next certificate end', page: 'proxies' } as const;
  const known = all.filter(({ connected, certificateExpiresAtMs }) => connected && certificateExpiresAtMs !== null);
  const first = known.reduce<(typeof known)[number] | undefined>(
    (soonest, proxy) => (soonest === undefined || proxy.certificateExpiresAtMs! < soonest.certificateExpiresAtMs! ? proxy : soonest),
    undefined,
  );
  if (first === undefined) return { ...tile, value: unknown, detail: '', grade: 'unknown' };
  const leftMs = first.certificateExpiresAtMs! - nowMs;
  return { ...tile, value: leftMs <= 0 ? 'over' : `in ${duration(leftMs)}`, detail: first.node, grade: leftMs <= 0 ? 'bad' : 'good' };
}

function resources({ resources: all }: MeshData): Tile {
  const tile = { label: 'Resources in effect', page: 'resources' } as const;
  if (all === undefined) return { ...tile, value: unknown, detail: '', grade: 'unknown' };
  if (all.length === 0) return { ...tile, value: 'none', detail: 'defaults hold', grade: 'plain' };
  const states = all.map(({ status }) => status.state);
  const inEffect = states.filter((state) => state === 'in-effect').length;
  const bad = states.filter((state) => state === 'quarantined').length;
  const idle = states.filter((state) => state === 'without-effect' || state === 'shadowed').length;
  return {
    ...tile,
    value: `${inEffect} of ${all.length}`,
    detail: bad > 0 ? `${bad} quarantined` : idle > 0 ? `${idle} without effect` : inEffect === all.length ? 'every one' : 'see their status',
    grade: bad > 0 ? 'bad' : inEffect === all.length ? 'good' : 'warn',
  };
}

/** Whether requests fail, or cannot be sent: coarse, so that it is not read out anew each second. */
export function failing({ graph, top }: MeshData): string {
  const grade = gradeOfSuccess(weighted(graph?.edges, 'successRatio'));
  if (grade === 'bad') return 'Requests fail.';
  return top?.some(({ breaker }) => breaker.open > 0) ? 'A breaker is open.' : '';
}

/** Mean of what is known, by requests. */
function weighted<Field extends 'successRatio' | 'mtlsRatio'>(
  edges: readonly ({ requestsPerSecond: number } & Record<Field, number | null>)[] | undefined,
  field: Field,
): number | null {
  const known = (edges ?? []).filter((edge) => edge[field] !== null);
  const rate = known.reduce((sum, edge) => sum + edge.requestsPerSecond, 0);
  if (rate === 0) return null;
  // All of them is said only of all: sums of fractions come near it.
  if (known.every((edge) => edge[field] === 1)) return 1;
  return known.reduce((sum, edge) => sum + edge.requestsPerSecond * (edge[field] ?? 0), 0) / rate;
}

export type Sync = 'in sync' | 'behind' | 'refused' | 'away';

export function syncOf({ connected, sync }: { connected: boolean; sync: Readonly<Record<string, string>> }): Sync {
  if (!connected) return 'away';
  const states = Object.values(sync);
  return states.includes('refused') ? 'refused' : states.includes('stale') ? 'behind' : 'in sync';
}
