/** CommonLbConfig.ZoneAwareLbConfig. */
export interface ZoneAwareOptions {
  /** Share of the requests that it is done for, [0, 1]. */
  readonly enabledRatio: number;
  /** With fewer endpoints that are well it is not done. */
  readonly minClusterSize: number;
  /** In panic nobody is asked, in the place of everybody. */
  readonly failTrafficOnPanic: boolean;
}

export const DEFAULT_ZONE_AWARE: ZoneAwareOptions = { enabledRatio: 1, minClusterSize: 6, failTrafficOnPanic: false };

/** Where this proxy is, and those like it (the bootstrap's local cluster). */
export interface LocalZone {
  /** "region/zone/subzone" of this proxy. */
  readonly locality: string;
  /** Proxies that are well, by locality; those where none is too. */
  readonly wellByLocality: ReadonlyMap<string, number>;
  /** So few of them are well that what they say of the zones is worth nothing. */
  readonly panic: boolean;
}

const sumOf = (counts: ReadonlyMap<string, number>): number => [...counts.values()].reduce((sum, count) => sum + count, 0);

/**
 * The share of each locality so that requests stay in their own as far as that leaves all endpoints evenly loaded: a zone
 * has as many requests as it has proxies, and takes as many as it has endpoints. What it cannot take goes to those
 * zones that have room. null: there is nothing to choose by.
 */
export function zoneShares(local: LocalZone | null, upstream: ReadonlyMap<string, number>, minClusterSize: number): ReadonlyMap<string, number> | null {
  if (local === null || local.panic || upstream.size < 2 || local.wellByLocality.size < 2) return null;
  if ((local.wellByLocality.get(local.locality) ?? 0) === 0) return null;
  const wanted = sumOf(upstream);
  const callers = sumOf(local.wellByLocality);
  if (wanted === 0 || wanted < minClusterSize) return null;
  // Hundredths of a percent, as Envoy counts.
  const part = (count: number, all: number): number => Math.floor((10_000 * count) / all);
  const offered = (locality: string): number => part(upstream.get(locality) ?? 0, wanted);
  const asked = (locality: string): number => part(local.wellByLocality.get(locality) ?? 0, callers);
  const own = offered(local.locality);
  if (own > 0 && own >= asked(local.locality)) return new Map([[local.locality, 1]]);
  const stays = Math.floor((own * 10_000) / asked(local.locality)) / 10_000;
  const room = new Map<string, number>();
  for (const locality of upstream.keys())
    if (locality !== local.locality && offered(locality) > asked(locality)) room.set(locality, offered(locality) - asked(locality));
  const all = sumOf(room);
  if (all === 0) return null;
  const shares = new Map([[local.locality, stays]]);
  for (const [locality, capacity] of room) shares.set(locality, ((1 - stays) * capacity) / all);
  return shares;
}
