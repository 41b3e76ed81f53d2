import type { RouteConfiguration } from '@outrigger/xds/protos/envoy/config/route/v3/route';
import type { VirtualHost } from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
import { atOnce, type Steps } from '@outrigger/xds/slices';
import type { RouteSlot, RouteWaiter, VirtualHostDemand } from '../engine/route-slot.ts';
import type { CompileError, CompileResult } from '../routing/compile-result.ts';
import { assembleRouteTable, compileVirtualHost, routeTableSteps, virtualHostSteps } from '../routing/compile-routes.ts';
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
  /** How often hosts on demand were forgotten. */
  #forgotten = 0;

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
    let table: CompileResult<RouteTable>;
    let forgotten: number;
    // While others had the event loop, requests may have made room among the hosts on demand.
    do {
      forgotten = this.#forgotten;
      const present = new Set(this.#onDemand.values());
      for (const host of anew.keys()) if (!present.has(host)) anew.delete(host);
      table = yield* routeTableSteps(config, [...inline, ...anew.values()]);
    } while (forgotten !== this.#forgotten);
    if (!table.ok) return table;
    for (const [host, compiled] of anew) host.compiled = compiled;
    this.#config = config;
    this.#inline = inline;
    this.slot.demand = config.vhds === undefined ? null : this;
    this.#offer(table.value);
    return table;
  }

  /** null: taken. `leaving`: what the same update removes, so that its domains are free. */
  setVirtualHost(resourceName: string, message: VirtualHost, aliases: readonly string[], leaving: readonly string[] = []): readonly CompileError[] | null {
    if (this.#config === null) return [{ path: '', message: `the route configuration ${this.slot.name} has not come yet` }];
    const compiled = compileVirtualHost(this.#config, message);
    if (!compiled.ok) return compiled.errors;
    const before = new Map(this.#onDemand);
    for (const name of leaving) this.#onDemand.delete(name);
    this.#onDemand.set(resourceName, { message, aliases, compiled: compiled.value, usedAtMs: this.#events.nowMs() });
    const errors = this.#rebuild();
    if (errors !== null) this.#onDemand = before;
    return errors;
  }

  /** All of one update, or, where that does not make a table, none: false. Domains may go round among them. `leaving`: as above. */
  *setVirtualHosts(hosts: readonly VirtualHostOnDemand[], leaving: readonly string[]): Steps<boolean> {
    const taken: [name: string, host: OnDemandHost][] = [];
    for (const { name, message, aliases } of hosts) {
      if (this.#config === null) return false;
      const compiled = yield* virtualHostSteps(this.#config, message);
      if (!compiled.ok) return false;
      taken.push([name, { message, aliases, compiled: compiled.value, usedAtMs: this.#events.nowMs() }]);
      yield;
    }
    const before = new Map(this.#onDemand);
    for (const name of leaving) this.#onDemand.delete(name);
    for (const [name, host] of taken) this.#onDemand.set(name, host);
    if (this.#rebuild() === null) return true;
    this.#onDemand = before;
    return false;
  }

  /** True: the table has changed. */
  removeVirtualHost(resourceName: string): boolean {
    const asked = this.#asked.get(resourceName);
    const removed = this.#onDemand.delete(resourceName);
    // Another one may answer for that name from now on.
    if (asked !== undefined && this.#hostOf(resourceName) === undefined) {
      asked.open = false;
      this.#wake(asked, false);
    }
    return removed && this.#rebuild() === null;
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

  /** Forgets what has been idle for too long. Called from time to time. */
  sweep(nowMs: number): void {
    let changed = false;
    for (const [name, host] of this.#onDemand) {
      if (this.#used.has(host.compiled)) host.usedAtMs = nowMs;
      else if (nowMs - host.usedAtMs >= VIRTUAL_HOST_IDLE_MS) {
        this.#forget([name, ...host.aliases]);
        changed = true;
      }
    }
    this.#used.clear();
    for (const [name, { waiters, askedAtMs }] of this.#asked)
      if (waiters.size === 0 && nowMs - askedAtMs >= VIRTUAL_HOST_IDLE_MS && this.#hostOf(name) === undefined) this.#forget([name]);
    if (changed && this.#rebuild() === null && this.pending !== null) this.publish(this.pending);
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
    this.#forgotten += 1;
    const dropped = names.filter((name) => this.#asked.delete(name));
    for (const name of names) this.#onDemand.delete(name);
    if (dropped.length > 0) this.#events.drop(dropped);
  }

  #rebuild(): readonly CompileError[] | null {
    if (this.#config === null) return null;
    const table = assembleRouteTable(this.#config, [...this.#inline, ...Array.from(this.#onDemand.values(), (host) => host.compiled)]);
    if (!table.ok) return table.errors;
    this.#offer(table.value);
    return null;
  }

  #offer(table: RouteTable): void {
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
