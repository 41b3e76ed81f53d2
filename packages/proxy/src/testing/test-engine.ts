import type { JsonObject } from '@bufbuild/protobuf';
import { FastRandom, formatResponseFlags, type StreamInfo, writePrometheus } from '@outrigger/telemetry';
import { atOnce, type Steps } from '@outrigger/xds/slices';
import { Faults } from '../engine/faults.ts';
import { HttpManager } from '../engine/http-manager.ts';
import { RouteSlot } from '../engine/route-slot.ts';
import type { Runtime } from '../engine/runtime.ts';
import { HeaderNames } from '../http/header-names.ts';
import { http1Options } from '../http1/options.ts';
import { http2Options } from '../http2/options.ts';
import { ConnectionInfo, NOT_SECURE, type Security } from '../listener/connection-info.ts';
import { ConnectionOrigin } from '../listener/connection-origin.ts';
import { HttpConnection } from '../listener/http-connection.ts';
import { InternalListeners } from '../listener/internal-listeners.ts';
import { ListenerSet } from '../listener/listener-set.ts';
import { Intake } from '../net/intake.ts';
import { memoryPair } from '../net/memory-transport.ts';
import { TimerWheel } from '../net/timer-wheel.ts';
import { Turn } from '../net/turn-writer.ts';
import { ProxyTelemetry } from '../observe/telemetry.ts';
import { OverloadState } from '../overload/overload-state.ts';
import { GivenUpMemory } from '../resilience/given-up.ts';
import { assembleRouteTable, compileVirtualHost } from '../routing/compile-routes.ts';
import { compileWhole } from '../subscribe/cluster-subscription.ts';
import { TlsContexts } from '../tls/contexts.ts';
import { SecretTable } from '../tls/secrets.ts';
import type { Cluster } from '../upstream/cluster.ts';
import { ClusterSet } from '../upstream/cluster-set.ts';
import type { Resolver } from '../upstream/resolver.ts';
import { compileLoadAssignment } from '../xds/compile-endpoints.ts';
import { FakeClock } from './fake-clock.ts';
import {
  assignmentMessage,
  type ClusterGiven,
  cluster as clusterMessage,
  type ListenerGiven,
  listener as listenerMessage,
  routeConfiguration,
} from './messages.ts';
import { TestClient } from './test-client.ts';
import { TestUpstream } from './test-upstream.ts';

/** How long `until` lets time pass, ms of the fake clock. */
const PATIENCE_MS = 120_000;

/** Of a client's connection, as if it had come over a socket. */
export interface ClientGiven extends Partial<Security> {
  readonly localIp?: string;
  readonly localPort?: number;
  readonly remoteIp?: string;
  readonly remotePort?: number;
  readonly serverName?: string;
}

/** What is known of a request that is over. */
export interface Outcome {
  readonly code: number;
  readonly flags: string;
  readonly details: string;
  readonly attempts: number;
  readonly durationMs: number;
  readonly host: string;
  readonly failure: string;
}

/**
 * The data plane's engine without sockets: listeners, clients and upstreams joined by memory, on a clock that the test
 * moves. What is between them (codecs, pools, balancing, filters) is the real thing.
 */
export class TestEngine {
  readonly clock = new FakeClock();
  readonly runtime: Runtime;
  readonly clusters: ClusterSet;
  readonly listeners: ListenerSet;
  readonly telemetry: ProxyTelemetry;
  readonly managers: HttpManager[] = [];
  readonly slots = new Map<string, RouteSlot>();
  /** Requests that have come to a listener. */
  begun = 0;
  /** Requests that are over, in that order. */
  readonly records: Outcome[] = [];
  readonly log: string[] = [];
  readonly #seen = new Set<Cluster>();
  readonly #connections = new Set<HttpConnection>();
  #scheduledTurns = 0;
  #lastConnectionId = 0;

  constructor(given: { readonly resolver?: Resolver; readonly localUri?: string } = {}) {
    const secrets = new SecretTable();
    const { clock } = this;
    const log: Runtime['log'] = (level, message, fields) => this.log.push(`${level} ${message} ${fields?.['stack'] ?? ''}`);
    const faults = new Faults(log);
    this.runtime = {
      background: atOnce,
      turn: new Turn(
        (run) => setImmediate(this.#counted(run)),
        (error) => faults.report(error, 'a write'),
        undefined,
        (run) => queueMicrotask(this.#counted(run)),
      ),
      gate: null,
      intake: new Intake(),
      wheel: new TimerWheel(clock, 10, (error) => faults.report(error, 'a timer')),
      random: new FastRandom([1, 2, 3, 4]),
      names: new HeaderNames(),
      secrets,
      tls: new TlsContexts(secrets),
      internalListeners: new InternalListeners(),
      resolver: given.resolver ?? { resolve: (_host, _family, done) => queueMicrotask(() => done([], 'ENOTFOUND')) },
      givenUp: new GivenUpMemory(),
      nowMs: () => clock.nowMs(),
      unixMs: () => 1_700_000_000_000 + clock.nowMs(),
      localUri: () => given.localUri ?? '',
      health: { failing: false },
      worker: null,
      overload: new OverloadState(),
      log,
      faults,
    };
    this.clusters = new ClusterSet(this.runtime);
    this.telemetry = new ProxyTelemetry(
      { id: 'web-1.default', workload: 'web', namespace: 'default', service: 'web', version: '' },
      this.runtime.localUri,
      this.runtime.log,
    );
    this.listeners = new ListenerSet(
      {
        runtime: this.runtime,
        clusters: this.clusters,
        tcpRecorder: this.telemetry.tcp,
        makeManager: (http, { name, direction, bufferLimitBytes }) => {
          const { routes } = http;
          const slot = routes.kind === 'inline' ? new RouteSlot(routes.table.name, routes.table) : this.slot(routes.name);
          const telemetry = this.telemetry.recorder(http, name);
          const begin = telemetry.begin.bind(telemetry);
          const record = (stream: StreamInfo & Parameters<typeof telemetry.record>[0]): void => {
            this.records.push(recordOf(stream));
            telemetry.record(stream);
          };
          const manager = new HttpManager(this.runtime, http, this.clusters, slot, { begin, record }, direction, bufferLimitBytes);
          const link = manager.link.bind(manager);
          manager.link = (stream) => {
            this.begun++;
            link(stream);
          };
          this.managers.push(manager);
          return manager;
        },
        nextConnectionId: () => ++this.#lastConnectionId,
        admit: () => true,
        onConnectionGone: () => {},
        connectionLimit: () => Number.POSITIVE_INFINITY,
        connectionLogger: (listener) => this.telemetry.connectionLogger(listener),
        listenerAt: (ip, port) => this.listeners.at(ip, port),
        inherited: () => undefined,
        handedOver: () => false,
        onSockets: () => {},
      },
      'web-1.default',
    );
  }

  get http1Options() {
    return http1Options({ names: this.runtime.names });
  }

  get http2Options() {
    return http2Options({ names: this.runtime.names, nowMs: this.runtime.nowMs });
  }

  get last(): Outcome {
    return this.records.at(-1)!;
  }

  /** The slot of an RDS name; without a table until `setRoutes`. */
  slot(name: string): RouteSlot {
    let slot = this.slots.get(name);
    if (slot === undefined) {
      slot = new RouteSlot(name, null);
      this.slots.set(name, slot);
    }
    return slot;
  }

  setRoutes(json: JsonObject & { readonly name: string }): void {
    const config = routeConfiguration(json);
    const hosts = config.virtualHosts.map((host) => taken(compileVirtualHost(config, host)));
    this.slot(json.name).set(taken(assembleRouteTable(config, hosts)));
  }

  cluster(name: string, given: ClusterGiven): Cluster {
    const compiled = compileWhole(clusterMessage(name, given));
    if (typeof compiled === 'string') throw new Error(compiled);
    this.clusters.set(compiled.config, compiled.policies);
    const cluster = this.clusters.get(name)!;
    this.#seen.add(cluster);
    return cluster;
  }

  endpoints(name: string, endpoints: NonNullable<ClusterGiven['endpoints']>): void {
    atOnce(this.endpointSteps(name, endpoints));
  }

  endpointSteps(name: string, endpoints: NonNullable<ClusterGiven['endpoints']>): Steps<void> {
    return this.clusters.endpointSteps(name, taken(compileLoadAssignment(assignmentMessage(name, endpoints))));
  }

  /** An upstream of that name, for endpoints of clusters. */
  upstream(name: string, given: { readonly http2?: boolean; readonly maxConcurrentStreams?: number } = {}): TestUpstream {
    return new TestUpstream(this, name, given.http2 ?? false, given.maxConcurrentStreams);
  }

  async listener(name: string, given: ListenerGiven): Promise<void> {
    const config = this.listeners.compile(listenerMessage(name, given));
    if (typeof config === 'string') throw new Error(config);
    await this.listeners.set(config);
  }

  /** A connection to a listener. `info`: as if it had come over such a socket. */
  client(name: string, given: { readonly http2?: boolean; readonly info?: ClientGiven } = {}): TestClient {
    const [ours, theirs] = memoryPair();
    if (given.info === undefined) {
      this.runtime.internalListeners.get(name)!(theirs, (sink) => {
        theirs.sink = sink;
      });
    } else {
      const [manager] = this.listeners.get(name)!.managers;
      const connection = new HttpConnection(manager!, connectionInfo(given.info), theirs, (gone) => this.#connections.delete(gone));
      this.#connections.add(connection);
      theirs.sink = connection;
    }
    return new TestClient(this, ours, given.http2 ?? false);
  }

  /** Until nothing happens any more without time passing. */
  async settle(): Promise<void> {
    do await new Promise((resolve) => setImmediate(resolve));
    while (this.#scheduledTurns > 0);
  }

  async advance(ms: number): Promise<void> {
    const untilMs = this.clock.nowMs() + ms;
    await this.settle();
    while (this.clock.step(untilMs)) await this.settle();
    await this.settle();
  }

  #counted(run: () => void): () => void {
    this.#scheduledTurns++;
    return () => {
      this.#scheduledTurns--;
      run();
    };
  }

  /** Lets time pass until it is so. */
  async until(condition: () => boolean): Promise<void> {
    const untilMs = this.clock.nowMs() + PATIENCE_MS;
    await this.settle();
    while (!condition() && this.clock.step(untilMs)) await this.settle();
    if (!condition()) throw new Error(`not so within ${PATIENCE_MS} ms of the fake clock`);
  }

  get metrics(): string {
    return writePrometheus(this.telemetry.registry, 'edges');
  }

  /** Whatever is counted as under way; [] where nothing is. */
  underWay(): string[] {
    const left: string[] = [];
    const note = (what: string, count: number): void => {
      if (count !== 0) left.push(`${what}: ${count}`);
    };
    for (const manager of this.managers) {
      note(`${manager.config.statPrefix} active streams`, manager.activeStreams);
    }
    note('bytes kept', this.runtime.overload.bufferedBytes);
    for (const cluster of this.#seen) {
      const { name, limits } = cluster;
      note(`${name} requests`, limits.requests);
      note(`${name} pending requests`, limits.pendingRequests);
      note(`${name} retries`, limits.retries);
      for (const host of cluster.hosts) {
        note(`${name} ${host.address} active requests`, host.activeRequests);
        note(`${name} ${host.address} trial in flight`, host.outlier.trialInFlight ? 1 : 0);
      }
    }
    return left;
  }

  /** Closes everything, and tells what is left all the same. */
  async close(): Promise<string[]> {
    for (const connection of this.#connections) connection.destroy();
    this.listeners.close();
    await this.settle();
    this.clusters.close();
    await this.settle();
    const left = this.underWay();
    for (const cluster of this.#seen) {
      if (cluster.limits.connections !== 0) left.push(`${cluster.name} connections: ${cluster.limits.connections}`);
      for (const host of cluster.hosts) if (host.connections !== 0) left.push(`${cluster.name} ${host.address} connections: ${host.connections}`);
    }
    if (this.runtime.wheel.size !== 0) left.push(`timers: ${this.runtime.wheel.size}`);
    await this.telemetry.close();
    return left;
  }
}

function recordOf(stream: StreamInfo): Outcome {
  return {
    code: stream.responseCode,
    flags: formatResponseFlags(stream.responseFlags),
    details: stream.responseCodeDetails,
    attempts: stream.upstreamRequestAttemptCount,
    durationMs: stream.durationMs,
    host: stream.upstreamHost,
    failure: stream.upstreamTransportFailureReason,
  };
}

function connectionInfo(given: ClientGiven): ConnectionInfo {
  const { localIp, localPort, remoteIp, remotePort, serverName, ...security } = {
    localIp: '127.0.0.1',
    localPort: 8080,
    remoteIp: '127.0.0.9',
    remotePort: 40_000,
    serverName: '',
    ...given,
  };
  const origin = new ConnectionOrigin(localIp, localPort, remoteIp, remotePort);
  origin.serverName = serverName;
  return new ConnectionInfo({ id: 1, origin, ...NOT_SECURE, ...security });
}

function taken<T>(result: { readonly ok: true; readonly value: T } | { readonly ok: false; readonly errors: readonly object[] }): T {
  if (!result.ok) throw new Error(JSON.stringify(result.errors));
  return result.value;
}
