import type { Random } from '@outrigger/telemetry';
import { atOnce, type Steps } from '@outrigger/xds/slices';
import { BoundedLoad } from './bounded-load.ts';
import type { LbContext } from './context.ts';
import type { Host } from './host.ts';
import { Maglev } from './maglev.ts';
import type { LbOptions } from './options.ts';
import type { Picker } from './picker.ts';
import { priorityLoads } from './priority-load.ts';
import { RingHash } from './ring-hash.ts';
import { below, LeastRequest, RandomPick, RoundRobin } from './unweighted.ts';
import { WeightedPick } from './weighted.ts';
import { modulo64 } from './xxhash64.ts';
import { type LocalZone, zoneShares } from './zone-aware.ts';

/** Envoy's default of ClusterLoadAssignment.policy.overprovisioning_factor, as a ratio. */
export const DEFAULT_OVERPROVISIONING = 1.4;

/** The endpoints of a cluster at one moment. Immutable. */
export interface HostSet {
  readonly hosts: readonly Host[];
  /** LocalityLbEndpoints.load_balancing_weight by "PRIORITY|LOCALITY"; a locality without one gets no traffic where localities are weighted. */
  readonly localityWeights: ReadonlyMap<string, number>;
  readonly overprovisioning: number;
}

export const NO_HOSTS: HostSet = { hosts: [], localityWeights: new Map(), overprovisioning: DEFAULT_OVERPROVISIONING };

/** Hosts of one priority (and locality) with the share of requests that they take. */
interface Pool {
  readonly picker: Picker;
  readonly load: number;
  readonly panic: boolean;
}

/** Hosts of one priority that are alike, and the share of requests that they take; `all`: those of the priority, whatever their health: a locality's weight shrinks with the share that is well. */
interface Part {
  readonly kind: 'healthy' | 'degraded' | 'panic';
  readonly hosts: readonly Host[];
  readonly all: readonly Host[];
  readonly load: number;
}

/** Who takes part, and the sum of their shares. */
interface Shares {
  readonly pools: readonly Pool[];
  readonly totalLoad: number;
}

/** After so many picks of hosts that take nobody right now, all are looked at. */
const MAX_UNAVAILABLE_PICKS = 4;

/** Does what need not be done at once. */
export type Background = (steps: Steps<void>) => void;

const NO_PRIORITIES: ReadonlySet<number> = new Set();

/** Chooses an endpoint for each request. One per cluster; `pick` allocates nothing. */
export class LoadBalancer<H extends Host = Host> {
  readonly #options: LbOptions;
  readonly #random: Random;
  readonly #zone: () => LocalZone | null;
  #set: HostSet = NO_HOSTS;
  #shares: Shares = { pools: [], totalLoad: 0 };
  /** Without some of the priorities, by their numbers. */
  readonly #without = new Map<string, Shares>();
  /** Of hashes, by priority and kind. */
  #tables = new Map<string, Picker>();
  readonly #background: Background;
  /** Of the last time that shares began to be worked out, and of those in force. */
  #begun = 0;
  #inForce = 0;
  /** Anew, for what health has become: asked for and not begun. */
  #waiting = false;

  /** `zone`: where this proxy is; asked whenever the shares are worked out. `background`: where tables of hashes are built when health changes. */
  constructor(options: LbOptions, random: Random, zone: () => LocalZone | null = () => null, background: Background = atOnce) {
    this.#options = options;
    this.#random = random;
    this.#zone = zone;
    this.#background = this.#hashing ? background : atOnce;
  }

  get hosts(): readonly H[] {
    return this.#set.hosts as readonly H[];
  }

  /** New endpoints, weights or health from EDS or DNS. */
  update(set: HostSet): void {
    atOnce(this.updateSteps(set));
  }

  /** What was there before is asked until the new shares are whole. */
  *updateSteps(set: HostSet): Steps<void> {
    this.#set = set;
    yield* this.#rebuildSteps();
  }

  /** After an ejection, its end, or a change of Host.health: the shares are worked out anew. */
  healthChanged(): void {
    if (this.#waiting) return;
    this.#waiting = true;
    this.#background(this.#rebuildSteps());
  }

  /** null: no endpoint may be asked (Envoy: no healthy upstream, flag UH). */
  pick(context: LbContext): H | null {
    const shares = context.prioritiesAfter > 0 ? this.#sharesFor(context) : this.#shares;
    if (shares.pools.length === 0) return null;
    let unavailable = 0;
    let repicks = 0;
    for (let attempt = 0; ; attempt++) {
      const pool = shares.pools.length === 1 ? shares.pools[0]! : this.#hashing && context.hasHash ? this.#poolOf(shares, context) : this.#choosePool(shares);
      const host = pool.picker.pick(context, attempt) as H;
      if (!host.admits && !pool.panic) {
        // Ejected or busy with its trial since the last rebuild.
        if (++unavailable >= MAX_UNAVAILABLE_PICKS) return this.#anyAdmitting(shares);
        continue;
      }
      if (repicks >= context.maxRepicks || !context.avoids(host)) return host;
      repicks++;
    }
  }

  #anyAdmitting({ pools }: Shares): H | null {
    for (const pool of pools) {
      const hosts = pool.picker.hosts;
      const start = below(this.#random, hosts.length);
      for (let i = 0; i < hosts.length; i++) {
        const host = hosts[(start + i) % hosts.length]!;
        if (host.admits) return host as H;
      }
    }
    return null;
  }

  /** A key stays with its priority too. */
  #poolOf({ pools }: Shares, { hashHigh, hashLow }: LbContext): Pool {
    let left = modulo64(hashHigh, hashLow, 100) + 1;
    for (const pool of pools) {
      left -= pool.load;
      if (left <= 0) return pool;
    }
    return pools[pools.length - 1]!;
  }

  #choosePool({ pools, totalLoad }: Shares): Pool {
    let left = (this.#random.uint32() / 0x1_0000_0000) * totalLoad;
    for (let i = 0; i < pools.length - 1; i++) {
      left -= pools[i]!.load;
      if (left < 0) return pools[i]!;
    }
    return pools[pools.length - 1]!;
  }

  /** As Envoy's previous_priorities: without those that were tried, and anew with all once none is left. */
  #sharesFor({ tried, prioritiesAfter }: LbContext): Shares {
    const counted = tried.length - (tried.length % prioritiesAfter);
    if (counted === 0) return this.#shares;
    let excluded = new Set<number>();
    for (let i = 0; i < counted; i += prioritiesAfter) {
      for (const host of tried.slice(i, i + prioritiesAfter)) excluded.add(host.priority);
      if (this.#sharesWithout(excluded).pools.length === 0) excluded = new Set();
    }
    return excluded.size === 0 ? this.#shares : this.#sharesWithout(excluded);
  }

  #sharesWithout(excluded: ReadonlySet<number>): Shares {
    const key = [...excluded].sort().join();
    let shares = this.#without.get(key);
    if (shares === undefined) {
      shares = atOnce(this.#buildSteps(excluded, this.#tables));
      this.#without.set(key, shares);
    }
    return shares;
  }

  *#rebuildSteps(): Steps<void> {
    this.#waiting = false;
    this.#begun += 1;
    const begun = this.#begun;
    const tables = new Map<string, Picker>();
    const built = yield* this.#buildSteps(NO_PRIORITIES, tables);
    // What began later knows more.
    if (begun < this.#inForce) return;
    this.#inForce = begun;
    this.#without.clear();
    this.#shares = built;
    this.#tables = tables;
  }

  /** `tables`: those that are there already, and those that are built. */
  *#buildSteps(excluded: ReadonlySet<number>, tables: Map<string, Picker>): Steps<Shares> {
    const byPriority: Host[][] = [];
    for (const host of this.#set.hosts) {
      while (byPriority.length <= host.priority) byPriority.push([]);
      if (!excluded.has(host.priority)) byPriority[host.priority]!.push(host);
    }
    const healthy = byPriority.map((hosts) => hosts.filter((host) => host.admits && host.health === 'healthy'));
    const degraded = byPriority.map((hosts) => hosts.filter((host) => host.admits && host.health === 'degraded'));
    const counts = byPriority.map((hosts, p) => ({ hosts: hosts.length, total: countOf(hosts), healthy: healthy[p]!.length, degraded: degraded[p]!.length }));
    const loads = priorityLoads(counts, this.#set.overprovisioning, excluded.size > 0 ? 0 : this.#options.panicThreshold);
    const parts: Part[] = [];
    for (const [p, all] of byPriority.entries()) {
      const panic = loads.panic[p]!;
      if (panic) parts.push({ kind: 'panic', hosts: all, all, load: loads.healthy[p]! + loads.degraded[p]! });
      parts.push({ kind: 'healthy', hosts: healthy[p]!, all, load: panic ? 0 : loads.healthy[p]! });
    }
    for (const [p, all] of byPriority.entries()) parts.push({ kind: 'degraded', hosts: degraded[p]!, all, load: loads.panic[p]! ? 0 : loads.degraded[p]! });
    const pools: Pool[] = [];
    for (const part of parts) {
      if (part.hosts.length === 0) continue;
      if (part.kind === 'panic' && this.#options.zoneAware?.failTrafficOnPanic === true) continue;
      if (!this.#hashing) this.#addPools(pools, part);
      // What has no load may have some for a retry that leaves priorities out, and that cannot wait for a table.
      else if (part.load > 0 || (byPriority.length > 1 && excluded.size === 0)) {
        const picker = yield* this.#tableSteps(part, tables);
        if (part.load > 0 && picker !== null) pools.push({ picker, load: part.load, panic: part.kind === 'panic' });
      }
    }
    return { pools, totalLoad: pools.reduce((sum, pool) => sum + pool.load, 0) };
  }

  #addPools(pools: Pool[], { kind, hosts, all, load }: Part): void {
    if (load === 0) return;
    const panic = kind === 'panic';
    if (!this.#localities) {
      const given = kind === 'healthy' ? this.#addZones(pools, hosts, all, load) : 0;
      if (given < load) pools.push({ picker: this.#makePicker(hosts), load: load - given, panic });
      return;
    }
    const localities = [...new Set(hosts.map((host) => host.locality))].map((locality) => {
      const members = hosts.filter((host) => host.locality === locality);
      const total = countOf(all.filter((host) => host.locality === locality));
      const weight = this.#set.localityWeights.get(`${members[0]!.priority}|${locality}`) ?? 0;
      return { members, weight: weight * Math.min(1, (this.#set.overprovisioning * members.length) / total) };
    });
    const sum = localities.reduce((total, locality) => total + locality.weight, 0);
    for (const { members, weight } of localities) {
      if (weight > 0) pools.push({ picker: this.#makePicker(members), load: (load * weight) / sum, panic });
    }
  }

  /** Keeps requests of the first priority in their zone; the load that is given away so. */
  #addZones(pools: Pool[], hosts: readonly Host[], all: readonly Host[], load: number): number {
    const { zoneAware } = this.#options;
    if (zoneAware === null || all[0]!.priority > 0) return 0;
    const zone = this.#zone();
    if (zone === null) return 0;
    const byLocality = new Map<string, Host[]>(all.map((host) => [host.locality, []]));
    for (const host of hosts) byLocality.get(host.locality)!.push(host);
    const counts = new Map([...byLocality].map(([locality, members]) => [locality, members.length]));
    const shares = zoneShares(zone, counts, zoneAware.minClusterSize);
    if (shares === null) return 0;
    const given = load * zoneAware.enabledRatio;
    for (const [locality, share] of shares) {
      const members = byLocality.get(locality) ?? [];
      if (share > 0 && members.length > 0) pools.push({ picker: this.#makePicker(members), load: given * share, panic: false });
    }
    return given;
  }

  get #hashing(): boolean {
    return this.#options.policy === 'ring-hash' || this.#options.policy === 'maglev';
  }

  /** Whether localities have weights. */
  get #localities(): boolean {
    return this.#options.localityWeighted && this.#set.localityWeights.size > 0;
  }

  /** One table for all localities: a key has one place, whatever its locality. null: none of them has a weight. */
  *#tableSteps({ kind, hosts, all }: Part, tables: Map<string, Picker>): Steps<Picker | null> {
    const key = `${all[0]!.priority} ${kind}`;
    const known = tables.get(key);
    if (known !== undefined) return known;
    const { members, weights } = this.#localities ? this.#acrossLocalities(hosts, all) : { members: hosts, weights: shares(hosts, 1) };
    if (members.length === 0) return null;
    const picker = yield* this.#hashingSteps(members, weights);
    tables.set(key, picker);
    return picker;
  }

  /** Hosts of the localities that have a weight, each with its share of it. As in Envoy health does not make it less. */
  #acrossLocalities(hosts: readonly Host[], all: readonly Host[]): { members: Host[]; weights: number[] } {
    const weightOf = (locality: string): number => this.#set.localityWeights.get(`${all[0]!.priority}|${locality}`) ?? 0;
    const localities = [...new Set(all.map((host) => host.locality))];
    const sum = localities.reduce((total, locality) => total + weightOf(locality), 0);
    const members: Host[] = [];
    const weights: number[] = [];
    for (const locality of localities) {
      if (weightOf(locality) === 0) continue;
      const there = hosts.filter((host) => host.locality === locality);
      members.push(...there);
      weights.push(...shares(there, weightOf(locality) / sum));
    }
    return { members, weights };
  }

  *#hashingSteps(hosts: readonly Host[], weights: readonly number[]): Steps<Picker> {
    const { policy, minimumRingSize, maximumRingSize, maglevTableSize, hashBalancePercent } = this.#options;
    const picker =
      policy === 'maglev'
        ? yield* Maglev.build(hosts, weights, this.#random, maglevTableSize)
        : yield* RingHash.build(hosts, weights, this.#random, minimumRingSize, maximumRingSize);
    return hashBalancePercent === 0 ? picker : new BoundedLoad(picker, weights, hashBalancePercent);
  }

  #makePicker(hosts: readonly Host[]): Picker {
    const { policy, slowStart, choiceCount, activeRequestBias } = this.#options;
    const random = this.#random;
    if (policy === 'random') return new RandomPick(hosts, random);
    if (!equalWeights(hosts) || slowStart !== null) return new WeightedPick(hosts, random, slowStart, policy === 'round-robin' ? 0 : activeRequestBias);
    return policy === 'round-robin' ? new RoundRobin(hosts, random) : new LeastRequest(hosts, random, choiceCount);
  }
}

/** Each host's part of `whole` by its weight. */
function shares(hosts: readonly Host[], whole: number): number[] {
  const sum = hosts.reduce((total, host) => total + host.weight, 0);
  return hosts.map((host) => (host.weight * whole) / sum);
}

function countOf(hosts: readonly Host[]): number {
  return hosts.reduce((count, host) => (host.excluded ? count : count + 1), 0);
}

function equalWeights(hosts: readonly Host[]): boolean {
  return hosts.every((host) => host.weight === hosts[0]!.weight);
}
