import type { JsonObject, JsonValue } from '@bufbuild/protobuf';
import type { Random } from '@outrigger/telemetry';
import { atOnce, type Steps } from '@outrigger/xds/slices';
import type { LbContext } from './context.ts';
import type { Host } from './host.ts';
import { type Background, type HostSet, LoadBalancer, NO_HOSTS } from './load-balancer.ts';
import type { LbOptions } from './options.ts';
import { SubsetCriteria } from './subset-criteria.ts';
import type { LocalZone } from './zone-aware.ts';

/** Where requests go whose subset does not exist. */
export type SubsetFallback = 'none' | 'any' | 'default';

export interface SubsetSelector {
  readonly keys: readonly string[];
  /** null: the fallback of all. 'keys': the same again with `fallbackKeys` alone. */
  readonly fallback: SubsetFallback | 'keys' | null;
  readonly fallbackKeys: ReadonlySet<string>;
}

/** Cluster.lb_subset_config. */
export interface SubsetOptions {
  /** By SubsetCriteria.keysId. */
  readonly selectors: ReadonlyMap<string, SubsetSelector>;
  readonly fallback: SubsetFallback;
  /** What endpoints of the default subset have; empty: all of them are in it. */
  readonly defaultSubset: JsonObject;
  readonly localityWeightAware: boolean;
  /** A locality weighs as much less as it has fewer endpoints in the subset. */
  readonly scaleLocalityWeight: boolean;
  /** Where the fallback has nobody either, anybody. */
  readonly panicModeAny: boolean;
  /** An endpoint is in the subset of each value of a list. */
  readonly listAsAny: boolean;
}

/** A balancer for each subset of the endpoints that a selector makes of their metadata. */
export class SubsetBalancer<H extends Host = Host> {
  readonly #options: LbOptions;
  readonly #subsetOptions: SubsetOptions;
  readonly #random: Random;
  readonly #zone: () => LocalZone | null;
  readonly #background: Background;
  /** By SubsetCriteria.id. */
  #subsets = new Map<string, LoadBalancer<H>>();
  /** How many have begun: one that is overtaken ends. */
  #updates = 0;
  #healthChanges = 0;
  readonly #any: LoadBalancer<H>;
  readonly #default: LoadBalancer<H>;

  constructor(options: LbOptions, subsets: SubsetOptions, random: Random, zone: () => LocalZone | null = () => null, background: Background = atOnce) {
    this.#zone = zone;
    this.#background = background;
    this.#options = { ...options, localityWeighted: options.localityWeighted && subsets.localityWeightAware };
    this.#subsetOptions = subsets;
    this.#random = random;
    this.#any = new LoadBalancer(this.#options, random, zone, background);
    this.#default = new LoadBalancer(this.#options, random, zone, background);
  }

  update(set: HostSet): void {
    atOnce(this.updateSteps(set));
  }

  /** Subsets that were there before are asked, each until its new shares are whole. */
  *updateSteps(set: HostSet): Steps<void> {
    this.#updates += 1;
    const update = this.#updates;
    const healthChanges = this.#healthChanges;
    const { selectors, defaultSubset } = this.#subsetOptions;
    const groups = new Map<string, Host[]>();
    for (const host of set.hosts) {
      for (const { keys } of selectors.values())
        for (const id of this.#idsOf(host, keys)) {
          const group = groups.get(id);
          if (group === undefined) groups.set(id, [host]);
          else group.push(host);
        }
      yield;
    }
    if (update !== this.#updates) return;
    const subsets = new Map<string, LoadBalancer<H>>();
    for (const [id, hosts] of groups) {
      // One that was there goes on where it was.
      const balancer = this.#subsets.get(id) ?? new LoadBalancer<H>(this.#options, this.#random, this.#zone, this.#background);
      yield* balancer.updateSteps(this.#part(set, hosts));
      subsets.set(id, balancer);
      yield;
      if (update !== this.#updates) return;
    }
    yield* this.#any.updateSteps(set);
    if (update !== this.#updates) return;
    const inDefault = Object.entries(defaultSubset);
    yield* this.#default.updateSteps(
      this.#part(
        set,
        set.hosts.filter((host) => inDefault.every(([key, value]) => this.#valuesOf(host, key).some((one) => sameValue(one, value)))),
      ),
    );
    if (update !== this.#updates) return;
    this.#subsets = subsets;
    // New subsets have not heard of it.
    if (healthChanges !== this.#healthChanges) this.healthChanged();
  }

  healthChanged(): void {
    this.#healthChanges += 1;
    for (const balancer of [...this.#subsets.values(), this.#any, this.#default]) balancer.healthChanged();
  }

  pick(context: LbContext): H | null {
    let criteria = context.subset;
    while (criteria !== null) {
      const balancer = this.#subsets.get(criteria.id);
      if (balancer !== undefined) return balancer.pick(context);
      const selector = this.#subsetOptions.selectors.get(criteria.keysId);
      if (selector === undefined || selector.fallback === null) break;
      if (selector.fallback !== 'keys') return this.#fallBack(selector.fallback, context);
      criteria = criteria.only(selector.fallbackKeys);
    }
    return this.#fallBack(this.#subsetOptions.fallback, context);
  }

  #fallBack(fallback: SubsetFallback, context: LbContext): H | null {
    if (fallback === 'none') return null;
    const found = fallback === 'any' ? null : this.#default.pick(context);
    return found ?? (fallback === 'any' || this.#subsetOptions.panicModeAny ? this.#any.pick(context) : null);
  }

  #part(set: HostSet, hosts: readonly Host[]): HostSet {
    if (hosts.length === 0) return NO_HOSTS;
    if (!this.#subsetOptions.scaleLocalityWeight) return { ...set, hosts };
    const localityWeights = new Map<string, number>();
    for (const [key, weight] of set.localityWeights) {
      const count = (list: readonly Host[]): number => list.filter((host) => `${host.priority}|${host.locality}` === key).length;
      if (count(hosts) > 0) localityWeights.set(key, Math.max(1, Math.round((weight * count(hosts)) / count(set.hosts))));
    }
    return { ...set, hosts, localityWeights };
  }

  /** The subsets that a selector's keys put the host into: none, where it has not all of them. */
  #idsOf(host: Host, keys: readonly string[]): string[] {
    let combinations: (readonly [string, JsonValue])[][] = [[]];
    for (const key of keys) {
      const values = this.#valuesOf(host, key);
      combinations = combinations.flatMap((pairs) => values.map((value) => [...pairs, [key, value] as const]));
    }
    return combinations.map((pairs) => new SubsetCriteria(pairs).id);
  }

  #valuesOf(host: Host, key: string): readonly JsonValue[] {
    const value = host.metadata[key];
    if (value === undefined) return [];
    return this.#subsetOptions.listAsAny && Array.isArray(value) ? value : [value];
  }
}

function sameValue(a: JsonValue, b: JsonValue): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
