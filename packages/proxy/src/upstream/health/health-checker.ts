import type { Runtime } from '../../engine/runtime.ts';
import type { TimerTarget, WheelTimer } from '../../net/timer-wheel.ts';
import { ActiveHealth, type CheckFailure, type HealthTransition, nextCheckMs } from '../../resilience/active-health.ts';
import type { TransportSocketSettings } from '../../xds/cluster-config.ts';
import type { EndpointAddress } from '../../xds/endpoint-config.ts';
import type { HealthCheckConfig } from '../../xds/health-check-config.ts';
import type { UpstreamHost } from '../upstream-host.ts';
import type { ConnectHow } from '../upstream-transport.ts';
import { GrpcCheckKind } from './grpc-check.ts';
import { HttpCheckKind } from './http-check.ts';
import { HttpProbe, type ProbeCodecs } from './http-probe.ts';
import type { Probe, ProbeEvents, ProbeTarget } from './probe.ts';
import { TcpProbe } from './tcp-probe.ts';

/** What the checker needs of its cluster. */
export interface CheckedCluster extends ProbeCodecs {
  readonly name: string;
  /** Whether it has ever had a connection. */
  readonly hadConnections: boolean;
  /** What the criteria choose of the cluster's transport sockets. */
  socketFor(criteria: NonNullable<HealthCheckConfig['socketMatch']>): TransportSocketSettings;
  how(host: UpstreamHost, origin: null): ConnectHow;
  /** After each check; `passed`: of this one alone. */
  onChecked(host: UpstreamHost, transition: HealthTransition, passed: boolean): void;
}

/** Counters of /clusters, by Envoy's names (cluster.NAME.health_check). */
export class HealthCheckStats {
  attempt = 0;
  success = 0;
  failure = 0;
  passive_failure = 0;
  network_failure = 0;
}

/** Active health checks of one cluster: a session for each endpoint that is checked. */
export class HealthChecker {
  readonly runtime: Runtime;
  readonly cluster: CheckedCluster;
  readonly config: HealthCheckConfig;
  readonly stats = new HealthCheckStats();
  readonly #sessions = new Map<UpstreamHost, CheckSession>();
  readonly #sockets = new Map<TransportSocketSettings, TransportSocketSettings>();

  constructor(runtime: Runtime, cluster: CheckedCluster, config: HealthCheckConfig) {
    this.runtime = runtime;
    this.cluster = cluster;
    this.config = config;
  }

  /** The state of an endpoint that is new: failed until its first check has passed. */
  healthOf(waiting: boolean): ActiveHealth {
    return new ActiveHealth(this.config, waiting);
  }

  setHosts(hosts: Iterable<UpstreamHost>): void {
    const gone = new Map(this.#sessions);
    for (const host of hosts) {
      if (host.active === null) continue;
      if (gone.delete(host)) continue;
      const session = new CheckSession(this, host, host.active);
      this.#sessions.set(host, session);
      session.start();
    }
    for (const [host, session] of gone) {
      this.#sessions.delete(host);
      session.close();
    }
  }

  /** An endpoint has said in an ordinary answer that it is not to be asked (x-envoy-immediate-health-check-fail). */
  failAtOnce(host: UpstreamHost): void {
    this.#sessions.get(host)?.failAtOnce();
  }

  close(): void {
    for (const session of this.#sessions.values()) session.close();
    this.#sessions.clear();
  }

  targetOf(host: UpstreamHost): ProbeTarget {
    const { check, socketMatch, timeoutMs } = this.config;
    const { endpoint } = host;
    const given = check.kind === 'http' ? check.host : check.kind === 'grpc' ? check.authority : '';
    return {
      address: checkedAddress(endpoint),
      socket: this.#withAlpn(socketMatch === null ? host.socket : this.cluster.socketFor(socketMatch)),
      authority: endpoint.healthCheck.hostname || given || this.cluster.name,
      text: endpoint.text,
      timeoutMs,
      how:
        endpoint.healthCheck.address === null && endpoint.healthCheck.port === 0
          ? this.cluster.how(host, null)
          : { ...this.cluster.how(host, null), others: [] },
    };
  }

  #withAlpn(socket: TransportSocketSettings): TransportSocketSettings {
    const { alpn } = this.config;
    if (alpn === null || socket === null) return socket;
    // One object for each: TLS contexts are kept by it.
    let other = this.#sockets.get(socket);
    if (other === undefined) {
      other = { ...socket, alpn };
      this.#sockets.set(socket, other);
    }
    return other;
  }
}

function checkedAddress({ address: own, healthCheck }: UpstreamHost['endpoint']): EndpointAddress {
  const address = healthCheck.address ?? own;
  return healthCheck.port > 0 && address.kind === 'socket' ? { ...address, port: healthCheck.port } : address;
}

const Timer = { NEXT: 0, TIMEOUT: 1 } as const;

/** The checks of one endpoint, one after another. */
class CheckSession implements TimerTarget, ProbeEvents {
  readonly #checker: HealthChecker;
  readonly #host: UpstreamHost;
  readonly #health: ActiveHealth;
  readonly #probe: Probe;
  #next: WheelTimer | undefined;
  #timeout: WheelTimer | undefined;
  #closed = false;

  constructor(checker: HealthChecker, host: UpstreamHost, health: ActiveHealth) {
    const { runtime, cluster, config } = checker;
    this.#checker = checker;
    this.#host = host;
    this.#health = health;
    const { check, reuseConnection } = config;
    const target = checker.targetOf(host);
    this.#probe =
      check.kind === 'tcp'
        ? new TcpProbe(runtime, check, target, reuseConnection, this)
        : new HttpProbe(runtime, cluster, check.kind === 'http' ? new HttpCheckKind(check) : new GrpcCheckKind(check), target, reuseConnection, this);
  }

  start(): void {
    const { initialJitterMs } = this.#checker.config;
    if (initialJitterMs > 0) this.#armNext((this.#checker.runtime.random.uint32() / 0x1_0000_0000) * initialJitterMs);
    // Not from within: whoever sets the endpoints is not done with them.
    else this.#armNext(0);
  }

  onTimer(kind: number): void {
    if (kind === Timer.NEXT) {
      this.#next = undefined;
      this.#checker.stats.attempt++;
      this.#timeout = this.#checker.runtime.wheel.arm(this.#checker.config.timeoutMs, this, Timer.TIMEOUT);
      this.#probe.check();
    } else {
      this.#timeout = undefined;
      this.#probe.giveUp();
      this.onFailed('network-timeout', false, false);
    }
  }

  onPassed(degraded: boolean): void {
    if (this.#closed) return;
    this.#checker.stats.success++;
    this.#ended(true, this.#health.onSuccess(degraded));
  }

  onFailed(failure: CheckFailure, retriable: boolean, excluded: boolean): void {
    if (this.#closed) return;
    const { stats } = this.#checker;
    stats.failure++;
    if (failure === 'network' || failure === 'network-timeout') stats.network_failure++;
    if (excluded) this.#health.excluded = true;
    this.#ended(false, this.#health.onFailure(failure, retriable));
  }

  failAtOnce(): void {
    const { stats, cluster } = this.#checker;
    stats.failure++;
    stats.passive_failure++;
    this.#health.excluded = true;
    cluster.onChecked(this.#host, this.#health.onFailure('passive', false), false);
  }

  close(): void {
    this.#closed = true;
    this.#cancel();
    this.#probe.close();
  }

  #ended(passed: boolean, transition: HealthTransition): void {
    const { config, cluster, runtime } = this.#checker;
    this.#cancel();
    cluster.onChecked(this.#host, transition, passed);
    // What was just said may have cost the endpoint its place.
    if (!this.#closed) this.#armNext(nextCheckMs(config, passed, transition, cluster.hadConnections, runtime.random));
  }

  #armNext(delayMs: number): void {
    this.#next = this.#checker.runtime.wheel.arm(delayMs, this, Timer.NEXT);
  }

  #cancel(): void {
    const { wheel } = this.#checker.runtime;
    if (this.#next !== undefined) wheel.cancel(this.#next);
    if (this.#timeout !== undefined) wheel.cancel(this.#timeout);
    this.#next = this.#timeout = undefined;
  }
}
