import type { Runtime } from '../engine/runtime.ts';
import { type Http1Options, http1Options } from '../http1/options.ts';
import { type Http2Options, http2Options } from '../http2/options.ts';
import { compileLbOptions } from '../lb/compile-lb.ts';
import type { LbContext } from '../lb/context.ts';
import { LoadBalancer } from '../lb/load-balancer.ts';
import type { LbOptions } from '../lb/options.ts';
import type { TimerTarget, WheelTimer } from '../net/timer-wheel.ts';
import { type ClusterLimits, checkLimits, compileLimits, compilePerHostConnections, type ResourceLimits } from '../resilience/limits.ts';
import type { OutlierPolicy } from '../resilience/outlier-detection.ts';
import { compileOutlierPolicy, OutlierDetector, type OutlierEvents } from '../resilience/outlier-detection.ts';
import { type CompileError, CompileReport } from '../routing/compile-result.ts';
import type { ClusterConfig, TransportSocketSettings } from '../xds/cluster-config.ts';
import type { EndpointConfig, EndpointSetConfig } from '../xds/endpoint-config.ts';
import { ForwardProxyHosts } from './forward-proxy-hosts.ts';
import { HttpPool } from './http-pool.ts';
import { UpstreamHost } from './upstream-host.ts';

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
export class Cluster implements OutlierEvents<UpstreamHost>, TimerTarget {
  readonly name: string;
  readonly config: ClusterConfig;
  readonly policies: ClusterPolicies;
  readonly balancer: LoadBalancer<UpstreamHost>;
  readonly outlier: OutlierDetector<UpstreamHost>;
  readonly #limits: ClusterLimits;
  readonly maxConnectionsPerHost: number;
  readonly http1Options: Http1Options;
  readonly http2Options: Http2Options;
  /** Only for a dynamic forward proxy: endpoints made from the requests' own hosts. */
  readonly forwardProxy: ForwardProxyHosts | null;
  /** False until endpoints have come for the first time (EDS, DNS). */
  warm = false;
  /** When it was added, for /clusters and /config_dump. */
  readonly addedAtUnixMs: number;
  readonly #runtime: Runtime;
  readonly #hosts = new Map<string, UpstreamHost>();
  #sweep: WheelTimer | undefined;
  #sweepAtMs = Number.POSITIVE_INFINITY;
  #draining = false;

  constructor(runtime: Runtime, config: ClusterConfig, policies: ClusterPolicies) {
    this.#runtime = runtime;
    this.name = config.name;
    this.config = config;
    this.policies = policies;
    this.balancer = new LoadBalancer<UpstreamHost>(policies.lb, runtime.random);
    this.outlier = new OutlierDetector<UpstreamHost>(policies.outlier, this, runtime.random);
    this.#limits = compileLimits(config.message.circuitBreakers);
    this.maxConnectionsPerHost = compilePerHostConnections(config.message.circuitBreakers);
    this.http1Options = http1Options({ names: runtime.names });
    this.http2Options = http2Options({ names: runtime.names, nowMs: runtime.nowMs });
    this.forwardProxy = config.discovery === 'dynamic-forward-proxy' ? new ForwardProxyHosts(runtime, config) : null;
    this.addedAtUnixMs = runtime.unixMs();
    if (this.forwardProxy !== null) this.warm = true;
  }

  get limits(): ResourceLimits {
    return this.#limits.default;
  }

  get hosts(): Iterable<UpstreamHost> {
    return this.forwardProxy === null ? this.#hosts.values() : this.forwardProxy.hosts;
  }

  /** null: no endpoint may be asked. Not for a dynamic forward proxy. */
  pick(context: LbContext): UpstreamHost | null {
    return this.balancer.pick(context);
  }

  /** `downstreamVersion`: 10, 11 or 20, as the request came. */
  usesHttp2(downstreamVersion: number): boolean {
    const { protocol } = this.config.http;
    return protocol === 'http2' || (protocol === 'downstream' && downstreamVersion === 20);
  }

  pool(host: UpstreamHost, http2: boolean): HttpPool {
    if (http2) {
      host.http2 ??= this.#newPool(host, true);
      return host.http2;
    }
    host.http1 ??= this.#newPool(host, false);
    return host.http1;
  }

  #newPool(host: UpstreamHost, http2: boolean): HttpPool {
    const pool = new HttpPool(this.#runtime, this, host, http2);
    if (host.draining) pool.drain();
    return pool;
  }

  /** Endpoints from EDS, DNS or the message itself. Those that stay keep their connections and breaker. */
  setEndpoints(set: EndpointSetConfig): void {
    const nowMs = this.#runtime.nowMs();
    const gone = new Map(this.#hosts);
    const recovered: UpstreamHost[] = [];
    const localityWeights = new Map<string, number>();
    for (const endpoint of set.endpoints) {
      if (endpoint.localityWeight > 0) localityWeights.set(`${endpoint.priority}|${endpoint.locality}`, endpoint.localityWeight);
      const socket = this.#socketFor(endpoint);
      const known = this.#hosts.get(endpoint.text);
      if (known !== undefined && known.socket === socket) {
        const wasIll = known.health === 'unhealthy';
        known.apply(endpoint, socket);
        if (wasIll && known.health !== 'unhealthy') recovered.push(known);
        gone.delete(endpoint.text);
      } else this.#hosts.set(endpoint.text, new UpstreamHost(endpoint, socket, nowMs));
    }
    for (const [address, host] of gone) {
      if (this.#hosts.get(address) === host) this.#hosts.delete(address);
      host.drain();
    }
    const hosts = [...this.#hosts.values()];
    this.outlier.setHosts(hosts);
    this.balancer.update({ hosts, localityWeights, overprovisioning: set.overprovisioningFactor / 100 });
    for (const host of recovered) this.outlier.onRecovered(host);
    this.warm = true;
  }

  onOutlierChange(): void {
    this.balancer.healthChanged();
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
    for (const host of this.hosts) host.drain();
  }

  close(): void {
    this.#disarmSweep();
    for (const host of this.hosts) host.close();
    this.forwardProxy?.close();
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

  /** The first transport socket whose every key the endpoint's metadata has (Envoy's transport_socket_matches). */
  #socketFor(endpoint: EndpointConfig): TransportSocketSettings {
    for (const rule of this.config.transportSocketRules) {
      if (Object.entries(rule.match).every(([key, value]) => endpoint.transportSocketMatch[key] === value)) return rule.socket;
    }
    return this.config.transportSocket;
  }
}
