import type { Runtime } from '../engine/runtime.ts';
import type { TimerTarget, WheelTimer } from '../net/timer-wheel.ts';
import type { ResourceLimits } from '../resilience/limits.ts';
import type { AttemptFailure } from '../resilience/retry-policy.ts';
import type { Cluster } from './cluster.ts';
import { PooledConnection } from './pooled-connection.ts';
import type { UpstreamHost } from './upstream-host.ts';
import type { ConnectHow } from './upstream-transport.ts';

/** Who waits for a connection. Called back at most once, maybe from within `acquire`. */
export interface PoolClient {
  onPoolReady(connection: PooledConnection): void;
  onPoolFailure(failure: AttemptFailure, detail: string): void;
}

/** What an upstream does with idle connections is learnt from closes after at least this; a restart closes young ones too. */
const MIN_LEARNED_IDLE_MS = 1000;
/** A connection is retired at this share of the idle time that its upstream gave others: the rest is for clocks and the way. */
const LEARNED_IDLE_SHARE = 0.8;
/** Streams that a connection under way will surely take (RFC 9113 section 6.5.2 recommends at least 100). */
const STREAMS_OF_UNOPENED = 100;
/** Connections made ahead at once. */
const MAX_CONNECTED_AHEAD = 3;

/**
 * Connections of one codec to one endpoint. HTTP/1: as many as there are requests at once, the last used first. HTTP/2:
 * one, and another only when that is full.
 */
export class HttpPool implements TimerTarget {
  readonly runtime: Runtime;
  readonly cluster: Cluster;
  readonly host: UpstreamHost;
  /** With auto_config as ALPN has decided last; the first connection is taken for HTTP/2. */
  http2: boolean;
  readonly how: ConnectHow;
  /** Called when nothing is left of it. */
  onEmpty: () => void = () => {};
  readonly limits: ResourceLimits;
  /** With capacity; the last is used first. */
  readonly #ready: PooledConnection[] = [];
  readonly #pending: PoolClient[] = [];
  readonly #all = new Set<PooledConnection>();
  #connecting = 0;
  readonly #ratio: number;
  #draining = false;
  #sweep: WheelTimer | undefined;

  constructor(runtime: Runtime, cluster: Cluster, host: UpstreamHost, http2: boolean, how: ConnectHow, limits: ResourceLimits) {
    this.runtime = runtime;
    this.cluster = cluster;
    this.host = host;
    this.http2 = http2;
    this.how = how;
    this.limits = limits;
    this.#ratio = cluster.config.preconnectRatio;
  }

  get size(): number {
    return this.#all.size;
  }

  /** Whoever gets a connection has taken one of the cluster's requests, and gives it back with `release`. */
  acquire(client: PoolClient): void {
    const ready = this.#ready;
    while (ready.length > 0) {
      const connection = ready[ready.length - 1]!;
      // One that is ending tells its streams first, and they may come here before it tells the pool.
      if (connection.capacity === 0) {
        this.#unready(connection);
        continue;
      }
      if (this.#stale(connection)) {
        this.#unready(connection);
        connection.retire();
        continue;
      }
      this.#give(connection, client);
      if (this.#ratio > 1) this.#connectAhead();
      return;
    }
    if (!this.limits.tryPendingRequest()) {
      client.onPoolFailure('overflow', 'max_pending_requests of the cluster is reached');
      return;
    }
    this.#pending.push(client);
    this.#grow();
    if (this.#ratio > 1) this.#connectAhead();
  }

  /** As in Envoy those that wait for a connection are not among max_requests yet. */
  #give(connection: PooledConnection, client: PoolClient): void {
    if (this.limits.tryRequest()) client.onPoolReady(connection);
    else client.onPoolFailure('overflow', 'max_requests of the cluster is reached');
  }

  release(): void {
    this.limits.releaseRequest();
  }

  /** Takes back an `acquire` that has not been answered. */
  cancel(client: PoolClient): void {
    const index = this.#pending.indexOf(client);
    if (index < 0) return;
    this.#pending.splice(index, 1);
    this.limits.releasePendingRequest();
  }

  /** A request was put on this connection. */
  onUsed(connection: PooledConnection): void {
    if (connection.capacity === 0) this.#unready(connection);
  }

  onOpen(connection: PooledConnection): void {
    this.#connecting--;
    this.onCapacity(connection);
    // Taken for HTTP/2, one would have been enough for all that wait.
    if (!this.http2) this.#grow();
  }

  onOpenFailed(connection: PooledConnection, timeout: boolean, detail: string): void {
    this.#connecting--;
    this.#forget(connection);
    this.host.stats.connectFail++;
    // As in Envoy, all who wait learn of it: each chooses anew, maybe another endpoint.
    const waiting = this.#pending.splice(0);
    for (let i = 0; i < waiting.length; i++) {
      this.limits.releasePendingRequest();
      waiting[i]!.onPoolFailure(timeout ? 'connect-timeout' : 'connect-failure', detail);
    }
  }

  /** A stream has ended there, or the peer allows more. */
  onCapacity(connection: PooledConnection): void {
    while (this.#pending.length > 0 && connection.capacity > 0) {
      const client = this.#pending.shift()!;
      this.limits.releasePendingRequest();
      this.#give(connection, client);
    }
    if (connection.capacity === 0) return;
    if (this.#draining && connection.activeStreams === 0) {
      connection.retire();
      return;
    }
    if (!connection.inReady) {
      connection.inReady = true;
      this.#ready.push(connection);
    }
    if (this.#sweep === undefined && connection.activeStreams === 0) this.#armSweep(this.#idleLimitMs());
  }

  /** No more requests there. */
  onDraining(connection: PooledConnection): void {
    this.#unready(connection);
    this.#grow();
  }

  /** `idleMs`: how long it had been idle when the upstream closed it; -1 where we did, or it was busy. */
  onClosed(connection: PooledConnection, idleMs: number): void {
    this.#unready(connection);
    if (idleMs >= MIN_LEARNED_IDLE_MS && idleMs * LEARNED_IDLE_SHARE < this.host.learnedIdleMs) {
      this.host.learnedIdleMs = idleMs * LEARNED_IDLE_SHARE;
      // The others may be due sooner than it is armed for.
      if (this.#sweep !== undefined) this.#armSweep(0);
    }
    this.#forget(connection);
    this.#grow();
  }

  drain(): void {
    this.#draining = true;
    this.#disarmSweep();
    for (const connection of [...this.#all]) if (connection.activeStreams === 0 && connection.opened && this.#pending.length === 0) connection.retire();
  }

  /** Connections that there are take no more requests; the next ones get new ones. */
  retireAll(): void {
    for (const connection of [...this.#all]) {
      if (!connection.opened) continue;
      this.#unready(connection);
      connection.retire();
    }
  }

  close(): void {
    this.#draining = true;
    this.#disarmSweep();
    for (const connection of [...this.#all]) connection.destroy();
  }

  /** Retires what has been idle for too long. */
  onTimer(): void {
    this.#sweep = undefined;
    const limitMs = this.#idleLimitMs();
    const nowMs = this.runtime.nowMs();
    let oldestMs = Number.POSITIVE_INFINITY;
    for (const connection of [...this.#ready]) {
      if (connection.activeStreams > 0) continue;
      if (nowMs - connection.idleSinceMs >= limitMs) {
        this.#unready(connection);
        connection.retire();
      } else oldestMs = Math.min(oldestMs, connection.idleSinceMs);
    }
    if (oldestMs !== Number.POSITIVE_INFINITY) this.#armSweep(Math.max(10, oldestMs + limitMs - nowMs));
  }

  #armSweep(delayMs: number): void {
    this.#disarmSweep();
    this.#sweep = this.runtime.wheel.arm(delayMs, this);
  }

  #disarmSweep(): void {
    if (this.#sweep !== undefined) this.runtime.wheel.cancel(this.#sweep);
    this.#sweep = undefined;
  }

  #idleLimitMs(): number {
    const configured = this.cluster.config.http.idleTimeoutMs;
    return Math.min(configured === 0 ? Number.MAX_SAFE_INTEGER : configured, this.host.learnedIdleMs, 0x7fffffff);
  }

  #stale(connection: PooledConnection): boolean {
    if (connection.activeStreams > 0) return false;
    const maxAgeMs = this.cluster.config.http.maxConnectionDurationMs;
    if (this.host.learnedIdleMs === Number.POSITIVE_INFINITY && maxAgeMs === 0) return false;
    const nowMs = this.runtime.nowMs();
    return nowMs - connection.idleSinceMs >= this.host.learnedIdleMs || (maxAgeMs > 0 && nowMs - connection.openedAtMs >= maxAgeMs);
  }

  #grow(): void {
    const each = this.#each();
    while (this.#pending.length > this.#connecting * each) {
      if (this.#hostFull() || !this.limits.tryConnection()) {
        // One connection is always allowed, else nothing would ever move (as in Envoy).
        if (this.#all.size > 0) return;
        this.limits.connections++;
      }
      this.#connect();
    }
  }

  /** As Envoy: so that there is room for `ratio` streams for each that waits or is under way, a few connections at a time. */
  #connectAhead(): void {
    if (this.host.health !== 'healthy') return;
    for (let made = 0; made < MAX_CONNECTED_AHEAD; made++) {
      let active = 0;
      let room = this.#connecting * this.#each();
      for (const connection of this.#all) {
        active += connection.activeStreams;
        room += connection.capacity;
      }
      if ((this.#pending.length + active) * this.#ratio <= room + active || this.#hostFull() || !this.limits.tryConnection()) return;
      this.#connect();
    }
  }

  #each(): number {
    return this.http2 ? Math.min(STREAMS_OF_UNOPENED, this.cluster.config.http.http2.maxConcurrentStreams) : 1;
  }

  #connect(): void {
    this.#connecting++;
    this.host.connections++;
    this.host.stats.connectTotal++;
    const connection = new PooledConnection(this);
    this.#all.add(connection);
    connection.connect();
  }

  #hostFull(): boolean {
    return this.host.connections >= this.cluster.maxConnectionsPerHost;
  }

  #forget(connection: PooledConnection): void {
    if (!this.#all.delete(connection)) return;
    this.limits.releaseConnection();
    this.host.connections--;
    if (this.#all.size === 0 && this.#pending.length === 0) this.onEmpty();
  }

  #unready(connection: PooledConnection): void {
    if (!connection.inReady) return;
    connection.inReady = false;
    const ready = this.#ready;
    if (ready[ready.length - 1] === connection) ready.pop();
    else {
      const index = ready.indexOf(connection);
      if (index >= 0) ready.splice(index, 1);
    }
  }
}
