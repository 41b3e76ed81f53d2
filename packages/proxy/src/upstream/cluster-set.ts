import { atOnce, type Steps } from '@outrigger/xds/slices';
import type { Runtime } from '../engine/runtime.ts';
import type { LocalZone } from '../lb/zone-aware.ts';
import type { TimerTarget, TimerWheel, WheelTimer } from '../net/timer-wheel.ts';
import type { ClusterConfig } from '../xds/cluster-config.ts';
import type { EndpointSetConfig } from '../xds/endpoint-config.ts';
import { Cluster, type ClusterPolicies } from './cluster.ts';
import { DnsDiscovery } from './dns-discovery.ts';

/** Asks for what is not here. Implemented by the xDS side; without one, what is not in the bootstrap does not exist. */
export interface ClusterDemand {
  /** False: it is not to be had, so nobody need wait for it. */
  wantCluster(name: string): boolean;
  wantEndpoints(serviceName: string): void;
  dropEndpoints(serviceName: string): void;
}

const NO_DEMAND: ClusterDemand = { wantCluster: () => false, wantEndpoints: () => {}, dropEndpoints: () => {} };

/** All clusters of a proxy by name, swapped whole. */
export class ClusterSet {
  readonly #runtime: Runtime;
  readonly #clusters = new Map<string, Cluster>();
  /** Those that will take the place of one of that name when they are warm. */
  readonly #warming = new Map<string, Cluster>();
  readonly #static = new Set<string>();
  readonly #dns = new Map<Cluster, DnsDiscovery>();
  /** Last endpoints by EDS name, so that a cluster that changes keeps them. */
  readonly #assignments = new Map<string, EndpointSetConfig>();
  /** Those that take their endpoints from EDS, warming ones too, by the name there. */
  readonly #byService = new Map<string, Set<Cluster>>();
  /** Names that the server says do not exist. */
  readonly #absent = new Set<string>();
  #local: { readonly name: string; readonly locality: string } | null = null;
  readonly #waiters = new Set<ClusterWaiter>();
  demand: ClusterDemand = NO_DEMAND;

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  get(name: string): Cluster | undefined {
    return this.#clusters.get(name);
  }

  get all(): Iterable<Cluster> {
    return this.#clusters.values();
  }

  isStatic(name: string): boolean {
    return this.#static.has(name);
  }

  addStatic(config: ClusterConfig, policies: ClusterPolicies): void {
    this.#static.add(config.name);
    this.set(config, policies);
  }

  /** The proxies like this one, and where it is: what zone-aware balancing goes by (cluster_manager.local_cluster_name). */
  setLocal(name: string, locality: string): void {
    this.#local = { name, locality };
    this.#localChanged();
  }

  #localZone(): LocalZone | null {
    const cluster = this.#local === null ? undefined : this.#clusters.get(this.#local.name);
    if (cluster === undefined || !cluster.warm) return null;
    const wellByLocality = new Map<string, number>();
    let all = 0;
    let well = 0;
    for (const host of cluster.hosts) {
      const isWell = host.admits && host.health === 'healthy';
      wellByLocality.set(host.locality, (wellByLocality.get(host.locality) ?? 0) + (isWell ? 1 : 0));
      if (!host.excluded) all++;
      if (isWell) well++;
    }
    return { locality: this.#local!.locality, wellByLocality, panic: well / Math.max(1, all) < cluster.policies.lb.panicThreshold };
  }

  #localChanged(): void {
    for (const cluster of this.#each()) if (cluster.name !== this.#local!.name) cluster.balancer.healthChanged();
  }

  /**
   * Adds it, or puts it in the place of the one with that name, whose requests under way end in peace: at once, or, where
   * that one can serve and this one cannot yet, when it can.
   */
  set(config: ClusterConfig, policies: ClusterPolicies): void {
    atOnce(this.setSteps(config, policies));
  }

  *setSteps(config: ClusterConfig, policies: ClusterPolicies): Steps<void> {
    const { name } = config;
    const cluster = new Cluster(this.#runtime, config, policies, () => this.#localZone());
    cluster.onHosts = () => {
      if (name === this.#local?.name) this.#localChanged();
    };
    this.#absent.delete(name);
    if (config.discovery === 'eds') {
      this.demand.wantEndpoints(config.edsServiceName);
      const ofService = this.#byService.get(config.edsServiceName);
      if (ofService === undefined) this.#byService.set(config.edsServiceName, new Set([cluster]));
      else ofService.add(cluster);
    }
    const overtaken = this.#warming.get(name);
    this.#warming.delete(name);
    if (this.#clusters.get(name)?.warm === true) this.#warming.set(name, cluster);
    else this.#replace(cluster);
    cluster.onWarm = () => {
      if (this.#warming.get(name) === cluster) this.#replace(cluster);
      if (name === this.#local?.name) this.#localChanged();
      this.#changed(name);
    };
    switch (config.discovery) {
      case 'eds': {
        const known = this.#assignments.get(config.edsServiceName);
        if (known !== undefined) yield* cluster.endpointSteps(known);
        break;
      }
      case 'strict-dns':
      case 'logical-dns': {
        const discovery = new DnsDiscovery(this.#runtime, cluster);
        this.#dns.set(cluster, discovery);
        discovery.start();
        if (config.message.waitForWarmOnInit === false) cluster.serveAtOnce();
        break;
      }
      case 'static':
        yield* cluster.endpointSteps(config.endpoints!);
    }
    if (cluster.warm && this.#warming.get(name) === cluster) this.#replace(cluster);
    if (overtaken !== undefined) this.#leave(overtaken);
    this.#changed(name);
  }

  #replace(cluster: Cluster): void {
    const before = this.#clusters.get(cluster.name);
    this.#warming.delete(cluster.name);
    this.#clusters.set(cluster.name, cluster);
    if (before !== undefined) this.#leave(before);
  }

  #leave(cluster: Cluster): void {
    this.#retire(cluster);
    if (cluster.config.discovery === 'eds') this.#leaveService(cluster, cluster.config.edsServiceName);
  }

  /** Those that serve and those that will. */
  *#each(): Iterable<Cluster> {
    yield* this.#clusters.values();
    yield* this.#warming.values();
  }

  /** Gone, or known not to exist. */
  remove(name: string): void {
    if (this.#static.has(name)) return;
    this.forget(name);
    this.#absent.add(name);
    this.#changed(name);
  }

  /** Nobody uses it any more. */
  forget(name: string): void {
    this.#absent.delete(name);
    for (const clusters of [this.#warming, this.#clusters]) {
      const cluster = clusters.get(name);
      if (cluster === undefined) continue;
      clusters.delete(name);
      this.#leave(cluster);
    }
  }

  setEndpoints(serviceName: string, set: EndpointSetConfig): void {
    atOnce(this.endpointSteps(serviceName, set));
  }

  *endpointSteps(serviceName: string, set: EndpointSetConfig): Steps<void> {
    this.#assignments.set(serviceName, set);
    // What leaves while others have the event loop keeps those that it had.
    for (const cluster of [...(this.#byService.get(serviceName) ?? [])]) if (this.#byService.get(serviceName)?.has(cluster)) yield* cluster.endpointSteps(set);
  }

  /** Names of the clusters that take their endpoints from there. */
  ofService(serviceName: string): string[] {
    return Array.from(this.#byService.get(serviceName) ?? [], (cluster) => cluster.name);
  }

  /** EDS says that there are none. */
  removeEndpoints(serviceName: string): void {
    this.setEndpoints(serviceName, { clusterName: serviceName, endpoints: [], overprovisioningFactor: 140 });
    this.#assignments.delete(serviceName);
  }

  /** Whether a request may go there without waiting, or need not wait since there is none. */
  settled(name: string): boolean {
    return this.#absent.has(name) || this.#clusters.get(name)?.warm === true;
  }

  /** Asks for those that are not here and is fulfilled with true when all are known with their endpoints, with false after `timeoutMs`. */
  ready(names: Iterable<string>, timeoutMs: number): Promise<boolean> {
    const missing = new Set<string>();
    for (const name of names) {
      const known = this.#clusters.has(name) || this.demand.wantCluster(name);
      if (known && !this.settled(name)) missing.add(name);
    }
    if (missing.size === 0) return Promise.resolve(true);
    return new Promise((resolve) => this.#waiters.add(new ClusterWaiter(this.#runtime.wheel, timeoutMs, missing, resolve, this.#waiters)));
  }

  close(): void {
    for (const cluster of this.#each()) {
      this.#dns.get(cluster)?.close();
      cluster.close();
    }
    this.#clusters.clear();
    this.#warming.clear();
    for (const waiter of [...this.#waiters]) waiter.done(false);
  }

  #changed(name: string): void {
    if (this.#waiters.size > 0 && this.settled(name)) for (const waiter of [...this.#waiters]) waiter.onSettled(name);
  }

  #retire(cluster: Cluster): void {
    this.#dns.get(cluster)?.close();
    this.#dns.delete(cluster);
    cluster.drain();
  }

  #leaveService(cluster: Cluster, serviceName: string): void {
    const ofService = this.#byService.get(serviceName);
    if (ofService === undefined || !ofService.delete(cluster) || ofService.size > 0) return;
    this.#byService.delete(serviceName);
    this.#assignments.delete(serviceName);
    this.demand.dropEndpoints(serviceName);
  }
}

/** Who waits until clusters are settled. */
class ClusterWaiter implements TimerTarget {
  readonly #missing: Set<string>;
  readonly #resolve: (there: boolean) => void;
  readonly #waiters: Set<ClusterWaiter>;
  readonly #wheel: TimerWheel;
  readonly #timer: WheelTimer;

  constructor(wheel: TimerWheel, timeoutMs: number, missing: Set<string>, resolve: (there: boolean) => void, waiters: Set<ClusterWaiter>) {
    this.#missing = missing;
    this.#resolve = resolve;
    this.#waiters = waiters;
    this.#wheel = wheel;
    this.#timer = wheel.arm(timeoutMs, this);
  }

  onSettled(name: string): void {
    if (this.#missing.delete(name) && this.#missing.size === 0) this.done(true);
  }

  onTimer(): void {
    this.done(false);
  }

  done(there: boolean): void {
    this.#wheel.cancel(this.#timer);
    this.#waiters.delete(this);
    this.#resolve(there);
  }
}
