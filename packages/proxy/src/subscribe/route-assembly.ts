import type { RouteConfiguration } from '@outrigger/xds/protos/envoy/config/route/v3/route';
import type { VirtualHost } from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
import { atOnce, type Steps } from '@outrigger/xds/slices';
import type { RouteSlot, RouteWaiter, VirtualHostDemand } from '../engine/route-slot.ts';
import type { CompileError, CompileResult } from '../routing/compile-result.ts';
import { conflictSteps, routeTableSteps, virtualHostSteps } from '../routing/compile-routes.ts';
import type { CompiledVirtualHost, RouteTable } from '../routing/route-table.ts';

/** Hosts that requests may have asked for at once; beyond it the one unused for longest goes, and if all are waited for, the new one is not found. */
export const MAX_HOSTS_ON_DEMAND = 1024;
/** A virtual host that no request has used for so long is forgotten, ms; so is one that does not exist. */
export const VIRTUAL_HOST_IDLE_MS = 15 * 60_000;
/** Longer authorities are not asked for (a DNS name and a port). */
const MAX_AUTHORITY_LENGTH = 262;

export interface RouteAssemblyEvents {
  /** Subscribes to a VHDS resource. */
  want(resourceName: string): void;
  drop(resourceNames: readonly string[]): void;
  nowMs(): number;
}

/** As it came over VHDS. */
export interface VirtualHostOnDemand {
  readonly name: string;
  readonly message: VirtualHost;
  readonly aliases: readonly string[];
}

/** What it was before goes on. */
export interface RefusedVirtualHost {
  readonly name: string;
  readonly errors: readonly CompileError[];
}

interface OnDemandHost {
  readonly message: VirtualHost;
  readonly aliases: readonly string[];
  compiled: CompiledVirtualHost;
  usedAtMs: number;
}

/** A host that a request asked for. */
interface Asked {
  /** False once the server has said what there is. */
  open: boolean;
  readonly waiters: Set<RouteWaiter>;
  /** By a request that found nothing. */
  askedAtMs: number;
}

/** One route configuration with the virtual hosts that came on demand: builds its tables aside, and gives them to its slot. */
export class RouteAssembly implements VirtualHostDemand {
  readonly slot: RouteSlot;
  readonly #events: RouteAssemblyEvents;
  #config: RouteConfiguration | null = null;
  #inline: readonly CompiledVirtualHost[] = [];
  #onDemand = new Map<string, OnDemandHost>();
  /** By resource name, in the order in which they were asked for. */
  readonly #asked = new Map<string, Asked>();
  readonly #used = new Set<CompiledVirtualHost>();
  /** The newest table that is whole; null: none yet. */
  pending: RouteTable | null = null;
  #sequence = new WeakMap<RouteTable, number>();
  #lastSequence = 0;
  /** How many hosts on demand were forgotten, and how many of them the newest table knows of: the others it still has, and nobody hears what becomes of them. */
  #forgotten = 0;
  #left = 0;

  constructor(slot: RouteSlot, events: RouteAssemblyEvents) {
    this.slot = slot;
    this.#events = events;
  }

  /** A new route configuration. What cannot be compiled changes nothing. */
  configure(config: RouteConfiguration): CompileResult<RouteTable> {
    return atOnce(this.configureSteps(config));
  }

  *configureSteps(config: RouteConfiguration): Steps<CompileResult<RouteTable>> {
    const inline: CompiledVirtualHost[] = [];
    const errors: CompileError[] = [];
    for (const [index, message] of config.virtualHosts.entries()) {
      const compiled = yield* virtualHostSteps(config, message, `virtual_hosts[${index}]`);
      if (compiled.ok) inline.push(compiled.value);
      else errors.push(...compiled.errors);
      yield;
    }
    // They inherit from the configuration, so they are compiled under the new one.
    const anew = new Map<OnDemandHost, CompiledVirtualHost>();
    for (const host of [...this.#onDemand.values()]) {
      const compiled = yield* virtualHostSteps(config, host.message);
      if (compiled.ok) anew.set(host, compiled.value);
      else errors.push(...compiled.errors);
      yield;
    }
    if (errors.length > 0) return { ok: false, errors };
    // While others had the event loop, requests may have made room among the hosts on demand.
    const present = new Set(this.#onDemand.values());
    for (const host of anew.keys()) if (!present.has(host)) anew.delete(host);
    const forgotten = this.#forgotten;
    const table = yield* routeTableSteps(config, [...inline, ...anew.values()]);
    if (!table.ok) return table;
    for (const [host, compiled] of anew) host.compiled = compiled;
    this.#config = config;
    this.#inline = inline;
    this.slot.demand = config.vhds === undefined ? null : this;
    this.#offer(table.value, forgotten);
    return table;
  }

  /**
   * One update as one table: domains may pass among what it brings and what it removes. What of it is wrong is refused and holds nothing else up, and what
   * that was to take the place of goes on.
   */
  *updateSteps(added: readonly VirtualHostOnDemand[], removed: readonly string[]): Steps<readonly RefusedVirtualHost[]> {
    const refused: RefusedVirtualHost[] = [];
    const leaving = new Set(removed);
    const taken = new Map<CompiledVirtualHost, VirtualHostOnDemand>();
    const refuse = (one: VirtualHostOnDemand, errors: readonly CompileError[]): void => {
      refused.push({ name: one.name, errors });
      for (const alias of one.aliases) leaving.delete(alias);
    };
    for (const one of added) {
      const compiled = yield* this.#compileSteps(one.message);
      if (compiled.ok) taken.set(compiled.value, one);
      else refuse(one, compiled.errors);
      yield;
    }
    while (this.#config !== null && (taken.size > 0 || [...leaving].some((name) => this.#onDemand.has(name)))) {
      const before = this.#onDemand;
      const names = [...before.keys()];
      const next = this.#onDemandWith(taken, leaving);
      const hosts = this.#hostsWith(next);
      const forgotten = this.#forgotten;
      const table = yield* routeTableSteps(this.#config, hosts);
      if (table.ok) {
        // Requests may have made room meanwhile.
        for (const name of names) if (!before.has(name)) next.delete(name);
        this.#onDemand = next;
        this.#offer(table.value, forgotten);
      }
      if (table.ok || taken.size === 0) break;
      const conflicts = yield* conflictSteps(this.#config, hosts);
      const blamed = [...taken].filter(([compiled]) => conflicts.has(compiled));
      // What stays is good by itself, so one of these is to blame.
      for (const [compiled, one] of blamed.length > 0 ? blamed : [...taken]) {
        taken.delete(compiled);
        refuse(one, conflicts.get(compiled) ?? table.errors);
      }
    }
    // Another one may answer for their names from now on.
    for (const name of leaving) {
      const asked = this.#asked.get(name);
      if (asked === undefined || this.#hostOf(name) !== undefined) continue;
      asked.open = false;
      this.#wake(asked, false);
    }
    return refused;
  }

  /** Puts a table into effect, unless a newer one is already. */
  publish(table: RouteTable): void {
    const { slot } = this;
    const current = slot.table === null ? 0 : (this.#sequence.get(slot.table) ?? 0);
    if ((this.#sequence.get(table) ?? 0) > current) slot.set(table);
    for (const [name, asked] of this.#asked) {
      // Open until it is in effect: a request that comes while its clusters are fetched waits too.
      if (!asked.open || slot.table?.findVirtualHost(name.slice(slot.name.length + 1)) == null) continue;
      asked.open = false;
      this.#wake(asked, true);
    }
  }

  // ---- VirtualHostDemand ----

  request(authority: string, waiter: RouteWaiter): boolean {
    if (authority === '' || authority.length > MAX_AUTHORITY_LENGTH) return false;
    const name = `${this.slot.name}/${authority.toLowerCase()}`;
    let asked = this.#asked.get(name);
    if (asked === undefined) {
      if (this.#asked.size >= MAX_HOSTS_ON_DEMAND && !this.#makeRoom()) return false;
      asked = { open: true, waiters: new Set(), askedAtMs: 0 };
      this.#asked.set(name, asked);
      this.#events.want(name);
    }
    asked.askedAtMs = this.#events.nowMs();
    if (!asked.open) return false;
    asked.waiters.add(waiter);
    return true;
  }

  touch(virtualHost: CompiledVirtualHost): void {
    this.#used.add(virtualHost);
  }

  cancel(waiter: RouteWaiter): void {
    for (const { waiters } of this.#asked.values()) waiters.delete(waiter);
  }

  // ---- end of use ----

  /** Forgets what has been idle for too long. True: the newest table has hosts that are forgotten; `renewSteps` makes one without them. */
  sweep(nowMs: number): boolean {
    for (const [name, host] of this.#onDemand) {
      if (this.#used.has(host.compiled)) host.usedAtMs = nowMs;
      else if (nowMs - host.usedAtMs >= VIRTUAL_HOST_IDLE_MS) this.#forget([name, ...host.aliases]);
    }
    this.#used.clear();
    for (const [name, { waiters, askedAtMs }] of this.#asked)
      if (waiters.size === 0 && nowMs - askedAtMs >= VIRTUAL_HOST_IDLE_MS && this.#hostOf(name) === undefined) this.#forget([name]);
    return this.#forgotten > this.#left;
  }

  *renewSteps(): Steps<void> {
    if (this.#config === null) return;
    const forgotten = this.#forgotten;
    const table = yield* routeTableSteps(this.#config, this.#hostsWith(this.#onDemand));
    if (!table.ok) return;
    this.#offer(table.value, forgotten);
    this.publish(table.value);
  }

  close(): void {
    this.#events.drop([...this.#asked.keys()]);
    for (const asked of this.#asked.values()) this.#wake(asked, false);
    this.#asked.clear();
    this.#onDemand.clear();
  }

  #makeRoom(): boolean {
    let oldest: string | undefined;
    let oldestMs = Number.POSITIVE_INFINITY;
    for (const [name, { waiters }] of this.#asked) {
      if (waiters.size > 0) continue;
      const host = this.#hostOf(name);
      const usedAtMs = host === undefined ? 0 : this.#used.has(host.compiled) ? this.#events.nowMs() : host.usedAtMs;
      if (usedAtMs < oldestMs) {
        oldest = name;
        oldestMs = usedAtMs;
      }
    }
    if (oldest === undefined) return false;
    this.#forget([oldest]);
    return true;
  }

  #hostOf(name: string): OnDemandHost | undefined {
    const host = this.#onDemand.get(name);
    if (host !== undefined) return host;
    for (const candidate of this.#onDemand.values()) if (candidate.aliases.includes(name)) return candidate;
    return undefined;
  }

  #forget(names: readonly string[]): void {
    const dropped = names.filter((name) => this.#asked.delete(name));
    for (const name of names) if (this.#onDemand.delete(name)) this.#forgotten += 1;
    if (dropped.length > 0) this.#events.drop(dropped);
  }

  *#compileSteps(message: VirtualHost): Steps<CompileResult<CompiledVirtualHost>> {
    if (this.#config !== null) return yield* virtualHostSteps(this.#config, message);
    return { ok: false, errors: [{ path: '', message: `the route configuration ${this.slot.name} has not come yet` }] };
  }

  #onDemandWith(taken: ReadonlyMap<CompiledVirtualHost, VirtualHostOnDemand>, leaving: ReadonlySet<string>): Map<string, OnDemandHost> {
    const next = new Map(this.#onDemand);
    for (const name of leaving) next.delete(name);
    // Behind what stays: of two that want a domain the later is refused.
    for (const { name } of taken.values()) next.delete(name);
    for (const [compiled, { name, message, aliases }] of taken) next.set(name, { message, aliases, compiled, usedAtMs: this.#events.nowMs() });
    return next;
  }

  #hostsWith(onDemand: ReadonlyMap<string, OnDemandHost>): CompiledVirtualHost[] {
    return [...this.#inline, ...Array.from(onDemand.values(), ({ compiled }) => compiled)];
  }

  /** `left`: of those forgotten, how many were before it was begun. */
  #offer(table: RouteTable, left: number): void {
    this.#left = left;
    this.#lastSequence += 1;
    this.#sequence.set(table, this.#lastSequence);
    this.pending = table;
  }

  #wake(asked: Asked, given: boolean): void {
    const waiters = [...asked.waiters];
    asked.waiters.clear();
    for (const waiter of waiters) waiter.onRoutes(given);
  }
}
