import type { JsonObject } from '@bufbuild/protobuf';
import type { Steps } from '@outrigger/xds/slices';
import type { Runtime } from '../engine/runtime.ts';
import { type Http1Options, http1Options } from '../http1/options.ts';
import { type Http2Options, http2Options, windowsWithin } from '../http2/options.ts';
import { compileLbOptions } from '../lb/compile-lb.ts';
import type { LbContext } from '../lb/context.ts';
import { DEFAULT_OVERPROVISIONING, LoadBalancer } from '../lb/load-balancer.ts';
import type { LbOptions } from '../lb/options.ts';
import { SubsetBalancer } from '../lb/subset-balancer.ts';
import type { LocalZone } from '../lb/zone-aware.ts';
import type { TimerTarget, WheelTimer } from '../net/timer-wheel.ts';
import type { HealthTransition } from '../resilience/active-health.ts';
import { type ClusterLimits, checkLimits, compileLimits, compilePerHostConnections, type ResourceLimits } from '../resilience/limits.ts';
import type { OutlierPolicy } from '../resilience/outlier-detection.ts';
import { compileOutlierPolicy, OutlierDetector, type OutlierEvents } from '../resilience/outlier-detection.ts';
import { type CompileError, CompileReport } from '../routing/compile-result.ts';
import type { ClusterConfig, TransportSocketSettings } from '../xds/cluster-config.ts';
import { addressText } from '../xds/compile-endpoints.ts';
import type { EndpointConfig, EndpointSetConfig } from '../xds/endpoint-config.ts';
import { ForwardProxyHosts, splitAuthority } from './forward-proxy-hosts.ts';
import { type CheckedCluster, HealthChecker } from './health/health-checker.ts';
import { HttpPool } from './http-pool.ts';
import { OriginalDstHosts } from './original-dst-hosts.ts';
import { OWN_CONNECTION, type ProxiedConnection, proxyHeader } from './proxy-header.ts';
import { UpstreamHost } from './upstream-host.ts';
import type { ConnectHow } from './upstream-transport.ts';

/** Pools of single downstream connections that an endpoint may have; beyond it the one goes that was not used for longest. */
export const MAX_PROXIED_POOLS = 256;

/** What balancing and resilience make of a Cluster message; decided before the cluster is taken, so that it can be refused. */
export interface ClusterPolicies {
  readonly lb: LbOptions;
  readonly outlier: OutlierPolicy;
  readonly ignored: readonly string[];
}

export function compileClusterPolicies(
  config: ClusterConfig,
): { readonly ok: true; readonly value: ClusterPolicies } | { readonly ok: false; readonly errors: readonly CompileError[] } {
  const lb = compileLbOptions(config.message);
  if (!lb.ok) return lb;
  const report = new CompileReport();
  const outlier = compileOutlierPolicy(config.message.outlierDetection, config.mesh, report);
  checkLimits(config.message.circuitBreakers, report);
  if (report.errors.length > 0) return { ok: false, errors: report.errors };
  return { ok: true, value: { lb: lb.value, outlier, ignored: [...lb.ignored, ...report.ignored] } };
}

/** A cluster at work: endpoints with their pools, balancing, breakers, limits. */
export class Cluster implements OutlierEvents<UpstreamHost>, TimerTarget, CheckedCluster {
  readonly name: string;
  readonly config: ClusterConfig;
  readonly policies: ClusterPolicies;
  readonly balancer: LoadBalancer<UpstreamHost> | SubsetBalancer<UpstreamHost>;
  readonly outlier: OutlierDetector<UpstreamHost>;
  readonly #limits: ClusterLimits;
  readonly maxConnectionsPerHost: number;
  readonly http1Options: Http1Options;
  readonly http2Options: Http2Options;
  /** Only for a dynamic forward proxy: endpoints made from the requests' own hosts. */
  readonly forwardProxy: ForwardProxyHosts | null;
  /** null: endpoints are not checked. */
  readonly checker: HealthChecker | null;
  /** False until endpoints have come for the first time (EDS, DNS), and each of those has been checked once. */
  warm = false;
  /** Called when its endpoints, or what checks say of them, have changed. */
  onHosts: () => void = () => {};
  /** Called when it becomes warm. */
  onWarm: () => void = () => {};
  /** Only for ORIGINAL_DST: endpoints made from where connections were going. */
  readonly originalDst: OriginalDstHosts | null;
  /** When it was added, for /clusters and /config_dump. */
  readonly addedAtUnixMs: number;
  readonly #runtime: Runtime;
  readonly #hosts = new Map<string, UpstreamHost>();
  /** Of the first endpoints, those whose first check has not ended; null: none have come yet. */
  #unchecked: Set<UpstreamHost> | null = null;
  #localityWeights: ReadonlyMap<string, number> = new Map();
  #overprovisioning = DEFAULT_OVERPROVISIONING;
  #hadConnections = false;
  #sweep: WheelTimer | undefined;
  #sweepAtMs = Number.POSITIVE_INFINITY;
  #draining = false;
  /** How often endpoints have come: what comes later may be there earlier. */
  #told = 0;
  /** Hosts that are there before they can be chosen: so many times. */
  #placing = 0;

  /** `zone`: where this proxy is, and those like it. */
  constructor(runtime: Runtime, config: ClusterConfig, policies: ClusterPolicies, zone: () => LocalZone | null = () => null) {
    this.#runtime = runtime;
    this.name = config.name;
    this.config = config;
    this.policies = policies;
    const { subsets } = policies.lb;
    this.balancer =
      subsets === null
        ? new LoadBalancer<UpstreamHost>(policies.lb, runtime.random, zone, runtime.background)
        : new SubsetBalancer<UpstreamHost>(policies.lb, subsets, runtime.random, zone, runtime.background);
    this.outlier = new OutlierDetector<UpstreamHost>(policies.outlier, this, runtime.random);
    this.#limits = compileLimits(config.message.circuitBreakers);
    this.maxConnectionsPerHost = compilePerHostConnections(config.message.circuitBreakers);
    this.http1Options = http1Options({ names: runtime.names, maxHeaderCount: config.http.maxHeadersCount });
    this.http2Options = http2Options({
      names: runtime.names,
      nowMs: runtime.nowMs,
      maxHeaderCount: config.http.maxHeadersCount,
      ...windowsWithin(config.bufferLimitBytes),
      ...config.http.http2.codec,
    });
    this.forwardProxy = config.discovery === 'dynamic-forward-proxy' ? new ForwardProxyHosts(runtime, config) : null;
    this.addedAtUnixMs = runtime.unixMs();
    this.checker = config.healthCheck === null ? null : new HealthChecker(runtime, this, config.healthCheck);
    this.originalDst = config.discovery === 'original-dst' ? new OriginalDstHosts(runtime, config) : null;
    if (this.forwardProxy !== null || this.originalDst !== null) this.warm = true;
  }

  get limits(): ResourceLimits {
    return this.#limits.default;
  }

  /** Of RoutingPriority HIGH, or DEFAULT. */
  limitsOf(highPriority: boolean): ResourceLimits {
    return highPriority ? this.#limits.high : this.#limits.default;
  }

  get hosts(): Iterable<UpstreamHost> {
    return (this.forwardProxy ?? this.originalDst)?.hosts ?? this.#hosts.values();
  }

  /** null: no endpoint may be asked. Not for a dynamic forward proxy. */
  pick(context: LbContext): UpstreamHost | null {
    return this.originalDst === null ? this.balancer.pick(context) : this.originalDst.host(context.destination);
  }

  /** `downstreamVersion`: 10, 11 or 20, as the request came. */
  usesHttp2(downstreamVersion: number): boolean {
    const { protocol } = this.config.http;
    return protocol === 'http2' || protocol === 'auto' || (protocol === 'downstream' && downstreamVersion === 20);
  }

  /** `origin`: the connection that asks, where its upstream must hear of it. */
  pool(host: UpstreamHost, http2: boolean, origin: ProxiedOrigin | null = null, highPriority = false): HttpPool {
    if (this.config.proxyProtocol !== 0) return this.#proxiedPool(host, http2, origin, highPriority);
    if (highPriority) return this.#highPool(host, http2);
    if (http2) {
      host.http2 ??= this.#newPool(host, true);
      return host.http2;
    }
    host.http1 ??= this.#newPool(host, false);
    return host.http1;
  }

  #highPool(host: UpstreamHost, http2: boolean): HttpPool {
    host.high ??= { http1: undefined, http2: undefined };
    const kind = http2 ? 'http2' : 'http1';
    host.high[kind] ??= this.#newPool(host, http2, host.how, true);
    return host.high[kind];
  }

  /** Connections that begin with the addresses of one downstream connection are of use to no other. */
  #proxiedPool(host: UpstreamHost, http2: boolean, origin: ProxiedOrigin | null, highPriority: boolean): HttpPool {
    const key = `${http2} ${highPriority} ${origin?.remoteAddress} ${origin?.localAddress} ${origin?.tlvs.toString('latin1')}`;
    host.proxied ??= new Map();
    const pools = host.proxied;
    const known = pools.get(key);
    const pool = known ?? this.#newPool(host, http2, this.how(host, origin), highPriority);
    if (known === undefined) {
      pool.onEmpty = () => {
        if (pools.get(key) === pool) pools.delete(key);
      };
      const [oldest] = pools;
      // Its downstream connection may be gone, and nobody would tell.
      if (pools.size >= MAX_PROXIED_POOLS) {
        pools.delete(oldest![0]);
        oldest![1].drain();
      }
    } else pools.delete(key);
    // The last used is the last to go.
    pools.set(key, pool);
    return pool;
  }

  /** How to connect to an endpoint for a downstream connection; null: for none. */
  how(host: UpstreamHost, origin: ProxiedOrigin | null): ConnectHow {
    const { proxyProtocol, proxyTlvs } = this.config;
    return proxyProtocol === 0 ? host.how : { ...host.how, header: proxyHeader(proxyProtocol, proxiedConnection(origin), proxyTlvs) };
  }

  #newPool(host: UpstreamHost, http2: boolean, how: ConnectHow = host.how, highPriority = false): HttpPool {
    const { httpAlpn } = this.config;
    const pool = new HttpPool(this.#runtime, this, host, http2, httpAlpn === null ? how : { ...how, alpn: httpAlpn }, this.limitsOf(highPriority));
    if (host.draining) pool.drain();
    return pool;
  }

  /** Endpoints from DNS. */
  setEndpoints(set: EndpointSetConfig): void {
    this.#runtime.background(this.endpointSteps(set));
  }

  /** Endpoints from EDS, or the message itself. Those that stay keep their connections and breaker. Makes what is new in steps, puts all in place in one, and lets requests choose among it when the balancer is ready. */
  *endpointSteps(set: EndpointSetConfig): Steps<void> {
    this.#told += 1;
    const told = this.#told;
    const made = new Map<string, UpstreamHost>();
    const localityWeights = new Map<string, number>();
    for (const endpoint of set.endpoints) {
      if (endpoint.localityWeight > 0) localityWeights.set(`${endpoint.priority}|${endpoint.locality}`, endpoint.localityWeight);
      const socket = this.socketFor(endpoint.transportSocketMatch);
      if (this.#known(endpoint, socket) === undefined) made.set(endpoint.text, this.#newHost(endpoint, socket));
      yield;
    }
    if (!this.#draining && told === this.#told) yield* this.#putSteps(set, made, localityWeights);
  }

  /** The host that an endpoint is already; undefined: it needs one of its own. */
  #known(endpoint: EndpointConfig, socket: TransportSocketSettings): UpstreamHost | undefined {
    const known = this.#hosts.get(endpoint.text);
    return known !== undefined && known.socket === socket && (this.checker === null || sameCheck(known.endpoint, endpoint)) ? known : undefined;
  }

  *#putSteps(set: EndpointSetConfig, made: ReadonlyMap<string, UpstreamHost>, localityWeights: ReadonlyMap<string, number>): Steps<void> {
    const gone = new Map(this.#hosts);
    const recovered: UpstreamHost[] = [];
    for (const endpoint of set.endpoints) {
      const socket = this.socketFor(endpoint.transportSocketMatch);
      const known = this.#known(endpoint, socket);
      if (known !== undefined) {
        const wasIll = known.endpoint.health === 'unhealthy';
        if (known.endpoint.healthCheck.disabled !== endpoint.healthCheck.disabled) known.active = this.#activeOf(endpoint);
        known.apply(endpoint, socket);
        known.connectWith(this.config.connection);
        if (wasIll && known.health !== 'unhealthy') recovered.push(known);
        gone.delete(endpoint.text);
      } else this.#hosts.set(endpoint.text, made.get(endpoint.text) ?? this.#newHost(endpoint, socket));
    }
    for (const [address, host] of gone) {
      // Discovery may be what is wrong: an endpoint whose checks pass stays until they fail.
      if (this.checker !== null && !this.config.ignoreHealthOnRemoval && host.health !== 'unhealthy' && this.#hosts.get(address) === host)
        host.removalPending = true;
      else {
        if (this.#hosts.get(address) === host) this.#hosts.delete(address);
        host.drain();
      }
    }
    this.#localityWeights = localityWeights;
    this.#overprovisioning = set.overprovisioningFactor / 100;
    yield* this.#hostSteps();
    for (const host of recovered) this.outlier.onRecovered(host);
  }

  #newHost(endpoint: EndpointConfig, socket: TransportSocketSettings): UpstreamHost {
    const host = new UpstreamHost(endpoint, socket, this.#runtime.nowMs());
    if (this.policies.lb.useHostname && endpoint.hashKey === '' && endpoint.hostname !== '') host.hashKey = endpoint.hostname;
    host.active = this.#activeOf(endpoint);
    host.connectWith(this.config.connection);
    if (this.config.closeOnHealthFailure) host.closers = new Set();
    host.settleHealth();
    return host;
  }

  #activeOf(endpoint: EndpointConfig): UpstreamHost['active'] {
    if (this.checker === null || endpoint.healthCheck.disabled) return null;
    return this.checker.healthOf(this.config.message.commonLbConfig?.ignoreNewHostsUntilFirstHc === true);
  }

  *#hostSteps(): Steps<void> {
    const hosts = [...this.#hosts.values()];
    this.outlier.setHosts(hosts);
    this.checker?.setHosts(hosts);
    this.#unchecked ??= new Set(hosts.filter((host) => host.active !== null));
    this.#placing += 1;
    yield* this.balancer.updateSteps({ hosts, localityWeights: this.#localityWeights, overprovisioning: this.#overprovisioning });
    this.#placing -= 1;
    if (this.#draining) return;
    this.onHosts();
    for (const host of this.#unchecked) if (host.active === null || this.#hosts.get(host.address) !== host) this.#unchecked.delete(host);
    this.#checkWarm();
  }

  /** Without waiting for the first answer of DNS (wait_for_warm_on_init false). */
  serveAtOnce(): void {
    this.#unchecked ??= new Set();
    this.#checkWarm();
  }

  #checkWarm(): void {
    if (this.warm || this.#placing > 0 || this.#unchecked === null || this.#unchecked.size > 0) return;
    this.warm = true;
    this.onWarm();
  }

  /** A health check has ended. */
  onChecked(host: UpstreamHost, transition: HealthTransition, passed: boolean): void {
    const active = host.active!;
    const { outlier } = this.policies;
    if (passed && !active.failed && outlier.unejectByCheck) this.outlier.onRecovered(host);
    host.settleHealth();
    if (transition === 'changed') {
      if (active.failed) host.retireConnections();
      else host.addedAtMs = this.#runtime.nowMs();
      if (active.failed && host.removalPending) {
        this.#hosts.delete(host.address);
        host.drain();
        this.#runtime.background(this.#hostSteps());
      } else {
        this.balancer.healthChanged();
        this.onHosts();
      }
    }
    this.#unchecked?.delete(host);
    this.#checkWarm();
  }

  get http1(): Http1Options {
    return this.http1Options;
  }

  get http2(): Http2Options {
    return this.http2Options;
  }

  /** Whether it has ever had a connection: without traffic checks are rare. */
  get hadConnections(): boolean {
    if (!this.#hadConnections) for (const host of this.#hosts.values()) if (host.stats.connectTotal > 0) this.#hadConnections = true;
    return this.#hadConnections;
  }

  onOutlierChange(host: UpstreamHost): void {
    // As Envoy: what its connections have in common may be what is wrong.
    if (host.outlier.state === 'open') host.retireConnections();
    this.balancer.healthChanged();
    this.#armSweep();
  }

  onOutlierInterval(): void {
    this.#armSweep();
  }

  onTimer(): void {
    this.#sweep = undefined;
    this.#sweepAtMs = Number.POSITIVE_INFINITY;
    this.outlier.sweep(this.#runtime.nowMs());
    this.#armSweep();
  }

  /** Takes nothing new; requests under way end. */
  drain(): void {
    this.#disarmSweep();
    this.checker?.close();
    this.originalDst?.close();
    for (const host of this.hosts) host.drain();
  }

  close(): void {
    this.#disarmSweep();
    this.checker?.close();
    for (const host of this.hosts) host.close();
    this.forwardProxy?.close();
    this.originalDst?.close();
  }

  /** Nobody comes any more whom an endpoint could be let back for. */
  #disarmSweep(): void {
    this.#draining = true;
    if (this.#sweep !== undefined) this.#runtime.wheel.cancel(this.#sweep);
    this.#sweep = undefined;
  }

  #armSweep(): void {
    if (this.#draining) return;
    const atMs = this.outlier.nextSweepMs();
    if (atMs >= this.#sweepAtMs) return;
    if (this.#sweep !== undefined) this.#runtime.wheel.cancel(this.#sweep);
    this.#sweepAtMs = atMs;
    this.#sweep = this.#runtime.wheel.arm(Math.max(0, atMs - this.#runtime.nowMs()), this);
  }

  /** The first transport socket whose every key the criteria, an endpoint's metadata, have (Envoy's transport_socket_matches). */
  socketFor(criteria: JsonObject): TransportSocketSettings {
    for (const rule of this.config.transportSocketRules) {
      if (Object.entries(rule.match).every(([key, value]) => criteria[key] === value)) return rule.socket;
    }
    return this.config.transportSocket;
  }
}

/** Of a downstream connection: "ip:port", the client's and ours. */
export interface ProxiedOrigin {
  readonly remoteAddress: string;
  readonly localAddress: string;
  /** TLVs of the PROXY header that it began with. */
  readonly tlvs: Buffer;
}

function proxiedConnection(origin: ProxiedOrigin | null): ProxiedConnection {
  const source = splitAuthority(origin?.remoteAddress ?? '', 0);
  const destination = splitAuthority(origin?.localAddress ?? '', 0);
  if (source === undefined || destination === undefined) return OWN_CONNECTION;
  return { sourceHost: source.host, sourcePort: source.port, destinationHost: destination.host, destinationPort: destination.port, tlvs: origin!.tlvs };
}

/** Whether checks of the one are checks of the other. */
function sameCheck({ healthCheck: before }: EndpointConfig, { healthCheck: after }: EndpointConfig): boolean {
  const addressOf = ({ address }: EndpointConfig['healthCheck']): string => (address === null ? '' : addressText(address));
  return before.port === after.port && before.hostname === after.hostname && addressOf(before) === addressOf(after);
}
