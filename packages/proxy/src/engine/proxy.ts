import { join } from 'node:path';
import { AdsClient, type GrpcTarget, LastGoodCache } from '@outrigger/xds';
import { Slices } from '@outrigger/xds/slices';
import { AdminInterfaces } from '../admin/admin-interfaces.ts';
import { adsEventLog } from '../admin/ads-events.ts';
import { BreakerGauge } from '../admin/breaker-gauge.ts';
import { LoopFigures } from '../admin/loop-figures.ts';
import { ADMIN_PAGES, type AdminAnswer, type AdminSource, METRICS_PAGES } from '../admin/pages.ts';
import { type BootstrapConfig, BootstrapError } from '../bootstrap/bootstrap-config.ts';
import type { ListenerParts } from '../listener/listener-parts.ts';
import { ListenerSet } from '../listener/listener-set.ts';
import { systemClock } from '../net/timer-wheel.ts';
import { nodeIdentity } from '../observe/node-identity.ts';
import { ProxyTelemetry } from '../observe/telemetry.ts';
import { DEFAULT_OVERLOAD, SHARED_OVERLOAD } from '../overload/overload-config.ts';
import { OverloadControl } from '../overload/overload-control.ts';
import { NO_OVERLOAD } from '../overload/overload-state.ts';
import type { SocketHandle } from '../restart/hand-over.ts';
import { ADS_SECRETS_TIMEOUT_MS, adsTarget, SDS_CLUSTER, sdsPath } from '../subscribe/ads-target.ts';
import { ClusterSubscription, compileWhole, secretsOf } from '../subscribe/cluster-subscription.ts';
import { ListenerSubscription } from '../subscribe/listener-subscription.ts';
import { RouteSubscription } from '../subscribe/route-subscription.ts';
import { SecretSubscription } from '../subscribe/secret-subscription.ts';
import { SecretTable } from '../tls/secrets.ts';
import { ClusterSet } from '../upstream/cluster-set.ts';
import { addressText, localityText } from '../xds/compile-endpoints.ts';
import { HttpManager } from './http-manager.ts';
import { makeRuntime, processParts } from './make-runtime.ts';
import type { ProxyLog, ProxyOptions, ProxyState, Proxy as RunnableProxy } from './options.ts';
import { RouteSlot } from './route-slot.ts';
import type { Runtime } from './runtime.ts';

const DEFAULT_DRAIN_TIMEOUT_MS = 15_000;
/** Downstream connections of one proxy; beyond it new ones are closed at once. */
export const DEFAULT_MAX_CONNECTIONS = 20_000;
/** How often what is no longer used is looked for. */
const SWEEP_INTERVAL_MS = 60_000;
const DRAIN_POLL_MS = 10;
/** What is idle has ended by then. */
const DRAIN_TELL_MS = 500;
const DEFAULT_RETIRE_TIMEOUT_MS = 60_000;
/** An idle HTTP/1 connection may bring one more request for so long, ms. */
const RETIRE_IDLE_MS = 5_000;
export const CACHE_FILE = 'xds.cache';

/** A proxy from its bootstrap; nothing is opened before `start`. Throws a BootstrapError where the bootstrap cannot be used. */
export function createProxy(bootstrap: BootstrapConfig, options: ProxyOptions = {}): RunnableProxy {
  return new RunningProxy(bootstrap, options);
}

class RunningProxy implements RunnableProxy {
  readonly #bootstrap: BootstrapConfig;
  readonly #options: ProxyOptions;
  readonly #log: ProxyLog;
  readonly #secretTable = new SecretTable();
  readonly #runtime: Runtime;
  readonly #clusters: ClusterSet;
  readonly #telemetry: ProxyTelemetry;
  readonly #listeners: ListenerSet;
  readonly #breakers: BreakerGauge;
  readonly #interfaces = new AdminInterfaces();
  readonly #loop: LoopFigures | undefined;
  readonly #overload: OverloadControl;
  readonly #startedAtUnixMs = Date.now();
  #secrets: SecretSubscription | null = null;
  #ads: AdsClient | null = null;
  #cache: LastGoodCache | undefined;
  #routes: RouteSubscription | null = null;
  /** Where what comes over xDS is decoded and compiled. */
  readonly #slices = new Slices();
  #listenerSubscription: ListenerSubscription | null = null;
  #clusterSubscription: ClusterSubscription | null = null;
  #sweep: NodeJS.Timeout | undefined;
  #connections = 0;
  readonly #maxConnections: number;
  readonly #inherited: Map<string, SocketHandle>;
  #handedOver = false;
  #lastConnectionId = 0;
  state: ProxyState = 'PRE_INITIALIZING';

  constructor(bootstrap: BootstrapConfig, options: ProxyOptions) {
    this.#bootstrap = bootstrap;
    this.#options = options;
    this.#log = options.log ?? (() => {});
    this.#inherited = new Map(options.inherited);
    this.#maxConnections = options.maxConnections ?? bootstrap.maxConnections ?? DEFAULT_MAX_CONNECTIONS;
    const parts = options.tenancy?.parts ?? processParts();
    this.#runtime = makeRuntime(this.#secretTable, this.#log, parts, options);
    this.#clusters = new ClusterSet(this.#runtime);
    this.#telemetry = new ProxyTelemetry(nodeIdentity(bootstrap.node), this.#runtime.localUri, this.#log);
    this.#breakers = new BreakerGauge(this.#telemetry.registry, this.#clusters);
    this.#loop = options.tenancy === undefined ? undefined : new LoopFigures(this.#telemetry.registry, options.tenancy.share);
    this.#listeners = new ListenerSet(this.#parts(), bootstrap.node.id, bootstrap.node.cluster);
    // Where many proxies share a process each of them looks less often.
    const overload = options.tenancy !== undefined && bootstrap.overload === DEFAULT_OVERLOAD ? SHARED_OVERLOAD : bootstrap.overload;
    this.#overload = new OverloadControl(overload, this.#runtime.overload, this.#listeners, parts.overload, this.#log, systemClock, options.worker?.count);
    for (const message of bootstrap.clusters) {
      const compiled = compileWhole(message);
      if (typeof compiled === 'string') throw new BootstrapError('invalid', `static cluster ${message.name} cannot be used: ${compiled}`);
      this.#clusters.addStatic(compiled.config, compiled.policies);
    }
    if (bootstrap.localCluster !== '') this.#clusters.setLocal(bootstrap.localCluster, localityText(bootstrap.node.locality));
  }

  get adminAddress(): string | undefined {
    return this.#interfaces.adminAddress;
  }

  get metricsAddress(): string | undefined {
    return this.#interfaces.metricsAddress;
  }

  listenerAddress(name: string): string | undefined {
    const address = this.#listeners.get(name)?.address;
    return address === '' ? undefined : address;
  }

  async start(): Promise<void> {
    try {
      await this.#start();
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  async #start(): Promise<void> {
    const { ads, node, listenersOverAds, listeners } = this.#bootstrap;
    this.state = 'INITIALIZING';
    for (const field of this.#bootstrap.ignored) this.#log('warn', `the bootstrap's ${field} has no effect in this proxy`);
    this.#overload.start();
    const pages = { admin: ADMIN_PAGES, metrics: METRICS_PAGES };
    await this.#interfaces.start(this.#bootstrap, this.#options.metricsAddress, this.#adminSource(), pages, (key) => this.#take(key));
    this.#secrets = new SecretSubscription(this.#secretTable, sdsPath(this.#clusters.get(SDS_CLUSTER)?.config), node.id, this.#log);
    for (const cluster of this.#clusters.all) this.#secrets.want(secretsOf(cluster.config));
    const client = ads === null ? null : this.#subscribe();
    await this.#startStaticListeners();
    if (client !== null) await this.#startAds(client, listenersOverAds);
    else if (listeners.length === 0) this.#log('warn', 'the bootstrap has neither ads_config nor a listener: this proxy does nothing');
    this.#sweep = setInterval(() => this.#forgetUnused(), SWEEP_INTERVAL_MS);
    this.#sweep.unref();
    // Of listeners that are no more.
    for (const handle of this.#inherited.values()) handle.close?.();
    this.#inherited.clear();
    this.state = 'LIVE';
  }

  async drain(): Promise<void> {
    this.state = 'DRAINING';
    this.#options.tenancy?.share.hurry();
    this.#listeners.drain();
    const timeoutMs = this.#options.drainTimeoutMs ?? DEFAULT_DRAIN_TIMEOUT_MS;
    const tell = setTimeout(() => this.#log('info', `drains, for at most ${timeoutMs / 1000} s; ${this.#listeners.underWay}`), DRAIN_TELL_MS);
    const endMs = performance.now() + timeoutMs;
    while (!this.#listeners.empty && performance.now() < endMs) await new Promise((resolve) => setTimeout(resolve, DRAIN_POLL_MS));
    clearTimeout(tell);
    if (!this.#listeners.empty) this.#log('warn', `has drained for ${timeoutMs / 1000} s and ends all the same; ${this.#listeners.underWay}`);
    await this.close();
  }

  sockets(): ReadonlyMap<string, SocketHandle> {
    const sockets = new Map<string, SocketHandle>(this.#interfaces.sockets);
    for (const listener of this.#listeners.all)
      for (const { address, handle } of listener.sockets.all)
        if (address.kind === 'socket' && address.port !== 0 && handle) sockets.set(addressText(address), handle);
    return sockets;
  }

  async retire(): Promise<void> {
    this.state = 'DRAINING';
    this.#handedOver = true;
    this.#options.tenancy?.share.hurry();
    await this.#interfaces.close(false);
    this.#listeners.drain(true);
    const startMs = performance.now();
    let idle = true;
    for (;;) {
      const passedMs = performance.now() - startMs;
      if (this.#listeners.empty || passedMs >= (this.#options.retireTimeoutMs ?? DEFAULT_RETIRE_TIMEOUT_MS)) break;
      if (idle && passedMs >= RETIRE_IDLE_MS) {
        idle = false;
        this.#listeners.endIdle();
      }
      await new Promise((resolve) => setTimeout(resolve, DRAIN_POLL_MS));
    }
    await this.close();
  }

  /** A socket of the process before this one is taken once. */
  #take(key: string): SocketHandle | undefined {
    const handle = this.#inherited.get(key);
    this.#inherited.delete(key);
    return handle;
  }

  async close(): Promise<void> {
    clearInterval(this.#sweep);
    this.#overload.close();
    this.#listenerSubscription?.close();
    this.#clusterSubscription?.close();
    this.#listeners.close();
    this.#ads?.close();
    this.#secrets?.close();
    this.#clusters.close();
    this.#options.tenancy?.share.close();
    this.#runtime.wheel.clear();
    await Promise.all([this.#telemetry.close(), this.#interfaces.close(!this.#handedOver)]);
  }

  #parts(): ListenerParts {
    return {
      runtime: this.#runtime,
      clusters: this.#clusters,
      tcpRecorder: this.#telemetry.tcp,
      makeManager: (http, listener) => {
        const { routes } = http;
        const slot =
          routes.kind === 'inline' ? new RouteSlot(routes.table.name, routes.table) : (this.#routes?.slot(routes.name) ?? new RouteSlot(routes.name, null));
        return new HttpManager(
          this.#runtime,
          http,
          this.#clusters,
          slot,
          this.#telemetry.recorder(http, listener.name),
          listener.direction,
          listener.bufferLimitBytes,
          listener.bypassOverload ? NO_OVERLOAD : this.#runtime.overload,
        );
      },
      nextConnectionId: () => ++this.#lastConnectionId,
      admit: () => {
        if (this.#connections >= this.#maxConnections) return false;
        this.#connections++;
        return true;
      },
      onConnectionGone: () => {
        this.#connections--;
      },
      connectionLimit: (listener) => this.#bootstrap.runtime.get(`envoy.resource_limits.listener.${listener}.connection_limit`) ?? Number.POSITIVE_INFINITY,
      connectionLogger: (listener) => this.#telemetry.connectionLogger(listener),
      listenerAt: (ip, port) => this.#listeners.at(ip, port),
      inherited: (address) => this.#take(addressText(address)),
      handedOver: () => this.#handedOver,
      onSockets: () => this.#options.worker?.onSockets(),
    };
  }

  async #startStaticListeners(): Promise<void> {
    for (const message of this.#bootstrap.listeners) {
      const config = this.#listeners.compile(message);
      if (typeof config === 'string') throw new BootstrapError('invalid', `static listener ${message.name} cannot be used: ${config}`);
      await this.#secrets!.ready(config.secretNames, ADS_SECRETS_TIMEOUT_MS);
      await this.#listeners.set(config);
    }
  }

  /** Before there is any listener: one from the bootstrap may name routes that come over ADS. */
  #subscribe(): AdsClient {
    const { cacheDir } = this.#options;
    if (cacheDir !== undefined) this.#cache = LastGoodCache.open(join(cacheDir, CACHE_FILE), { onWarning: (message) => this.#log('warn', message) });
    // Of several workers their parent has it.
    else if (this.#options.worker === undefined) this.#cache = LastGoodCache.inMemory();
    const ads = new AdsClient({
      target: this.#adsTarget(),
      node: this.#bootstrap.node,
      ...(this.#cache === undefined ? {} : { cache: this.#cache }),
      onEvent: adsEventLog(this.#log),
      slices: this.#slices,
    });
    this.#ads = ads;
    this.#secrets!.overAds(ads);
    this.#clusterSubscription = new ClusterSubscription(ads, this.#clusters, this.#secrets!, this.#slices, this.#bootstrap.clustersOverAds);
    const routes = new RouteSubscription(ads, this.#clusters, this.#slices, this.#runtime.nowMs);
    this.#routes = routes;
    this.#clusterSubscription.isRouted = (cluster) => routes.names(cluster);
    return ads;
  }

  async #startAds(ads: AdsClient, listenersOverAds: boolean): Promise<void> {
    const sources = {
      listeners: this.#listeners,
      clusters: this.#clusters,
      routes: this.#routes!,
      secrets: this.#secrets!,
      slices: this.#slices,
      log: this.#log,
    };
    await new Promise<void>((resolve) => {
      if (listenersOverAds) this.#listenerSubscription = new ListenerSubscription(ads, { ...sources, onFirst: resolve });
      else resolve();
      ads.start();
    });
  }

  #adsTarget(): GrpcTarget {
    const { worker } = this.#options;
    if (worker !== undefined) return { socketPath: worker.adsPath };
    const { cluster, spiffeIds } = this.#bootstrap.ads!;
    return adsTarget(this.#clusters.get(cluster)!.config, spiffeIds, this.#secrets!, this.#runtime.tls);
  }

  async page(path: string, query: URLSearchParams): Promise<AdminAnswer> {
    return await ADMIN_PAGES[path]!.render(this.#adminSource(), query);
  }

  #forgetUnused(): void {
    const routeNames = new Set<string>();
    const clusters = new Set<string>();
    const add = (configs: Iterable<string>, to: Set<string>): void => {
      for (const name of configs) to.add(name);
    };
    for (const { config } of this.#listeners.withDraining) {
      add(config.routeNames, routeNames);
      add(config.clusters, clusters);
    }
    this.#routes?.sweep(routeNames);
    for (const slot of this.#routes?.slots ?? []) add(slot.table?.clusters ?? [], clusters);
    this.#clusterSubscription?.sweep(clusters);
  }

  #adminSource(): AdminSource {
    return {
      node: this.#bootstrap.node,
      bootstrap: this.#bootstrap,
      version: this.#options.version ?? '',
      startedAtUnixMs: this.#startedAtUnixMs,
      nowUnixMs: this.#runtime.unixMs,
      registry: this.#telemetry.registry,
      samples: this.#telemetry.samples,
      breakers: this.#breakers,
      loop: this.#loop,
      listeners: this.#listeners,
      clusters: this.#clusters,
      secrets: this.#secretTable,
      faults: this.#runtime.faults,
      overload: this.#overload,
      logging: this.#options.logging ?? { level: 'info' },
      state: () => (this.state === 'LIVE' && this.#runtime.health.failing ? 'DRAINING' : this.state),
      ads: () => this.#ads,
      cache: () => this.#cache,
      slots: () => this.#routes?.slots ?? [],
      setHealth: (well) => {
        this.#runtime.health.failing = !well;
      },
      drainListeners: (graceful, inboundOnly) => this.#listeners.stopAccepting(graceful, inboundOnly),
      quit: this.#options.onQuit ?? (() => void this.drain()),
    };
  }
}
