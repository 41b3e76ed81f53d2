import { isIP } from 'node:net';
import type { Runtime } from '../engine/runtime.ts';
import type { TimerTarget, WheelTimer } from '../net/timer-wheel.ts';
import { addressText } from '../xds/compile-endpoints.ts';
import type { EndpointConfig } from '../xds/endpoint-config.ts';
import type { Cluster } from './cluster.ts';

/**
 * STRICT_DNS: every address of every name is an endpoint. LOGICAL_DNS: one address of the one name, the first, and the
 * same as long as it is among the answers, since servers turn their order around. A failed look-up leaves the last good
 * addresses in place.
 */
export class DnsDiscovery implements TimerTarget {
  readonly #runtime: Runtime;
  readonly #cluster: Cluster;
  readonly #found = new Map<string, readonly string[]>();
  /** Addresses in force, to leave the balancer alone where nothing has changed. */
  #applied: string | undefined;
  #waiting = 0;
  #failed = false;
  #timer: WheelTimer | undefined;
  #closed = false;

  constructor(runtime: Runtime, cluster: Cluster) {
    this.#runtime = runtime;
    this.#cluster = cluster;
  }

  start(): void {
    this.onTimer();
  }

  close(): void {
    this.#closed = true;
    if (this.#timer !== undefined) this.#runtime.wheel.cancel(this.#timer);
  }

  onTimer(): void {
    this.#timer = undefined;
    const names = new Set<string>();
    for (const { address } of this.#endpoints()) if (address.kind === 'socket' && isIP(address.host) === 0) names.add(address.host);
    const logical = this.#cluster.config.discovery === 'logical-dns';
    this.#failed = false;
    this.#waiting = names.size;
    if (names.size === 0) this.#apply();
    for (const name of names) {
      this.#runtime.resolver.resolve(name, this.#cluster.config.dns.family, (addresses, error) => {
        if (addresses.length > 0) this.#found.set(name, logical ? [this.#stay(name, addresses)] : addresses);
        if (error !== '') this.#failed = true;
        if (--this.#waiting === 0 && !this.#closed) this.#apply();
      });
    }
  }

  #stay(name: string, addresses: readonly string[]): string {
    const before = this.#found.get(name)?.[0];
    return before !== undefined && addresses.includes(before) ? before : addresses[0]!;
  }

  #endpoints(): readonly EndpointConfig[] {
    return this.#cluster.config.endpoints?.endpoints ?? [];
  }

  #apply(): void {
    const endpoints: EndpointConfig[] = [];
    const seen = new Set<string>();
    for (const endpoint of this.#endpoints()) {
      const { address } = endpoint;
      const hosts = address.kind !== 'socket' || isIP(address.host) !== 0 ? undefined : (this.#found.get(address.host) ?? []);
      const resolved =
        hosts === undefined || address.kind !== 'socket' ? [address] : hosts.map((host) => ({ kind: 'socket' as const, host, port: address.port }));
      for (const one of resolved) {
        const text = addressText(one);
        if (seen.has(text)) continue;
        seen.add(text);
        const hostname = endpoint.hostname === '' && address.kind === 'socket' ? address.host : endpoint.hostname;
        endpoints.push({ ...endpoint, address: one, text, hostname });
      }
    }
    const applied = [...seen].sort().join(' ');
    if (applied !== this.#applied) {
      this.#applied = applied;
      this.#cluster.setEndpoints({
        clusterName: this.#cluster.name,
        endpoints,
        overprovisioningFactor: this.#cluster.config.endpoints?.overprovisioningFactor ?? 140,
      });
    }
    const { refreshMs, failureRefreshMs } = this.#cluster.config.dns;
    this.#timer = this.#runtime.wheel.arm(this.#failed ? failureRefreshMs : refreshMs, this);
  }
}
