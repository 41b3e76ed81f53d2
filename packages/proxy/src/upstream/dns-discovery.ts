import { isIP } from 'node:net';
import type { Runtime } from '../engine/runtime.ts';
import type { TimerTarget, WheelTimer } from '../net/timer-wheel.ts';
import { addressText } from '../xds/compile-endpoints.ts';
import type { EndpointAddress, EndpointConfig } from '../xds/endpoint-config.ts';
import type { Cluster } from './cluster.ts';

/** A look-up that fails at once is not repeated at once. */
const MIN_REFRESH_MS = 10;

/**
 * STRICT_DNS: every address of every name is an endpoint. LOGICAL_DNS: one address of the one name, the first, and the
 * same as long as it is among the answers, since servers turn their order around. A failed look-up leaves the last good
 * addresses in place.
 */
export class DnsDiscovery {
  readonly #cluster: Cluster;
  readonly #names: ReadonlyMap<string, DnsName>;
  /** Addresses in force, to leave the balancer alone where nothing has changed. */
  #applied: string | undefined;
  #waiting: number;

  constructor(runtime: Runtime, cluster: Cluster) {
    this.#cluster = cluster;
    const names = new Map<string, DnsName>();
    for (const { address } of this.#endpoints())
      if (address.kind === 'socket' && isIP(address.host) === 0) names.set(address.host, new DnsName(runtime, address.host, this));
    this.#names = names;
    this.#waiting = names.size;
  }

  get settings(): Cluster['config']['dns'] {
    return this.#cluster.config.dns;
  }

  start(): void {
    if (this.#names.size === 0) this.#apply();
    for (const name of this.#names.values()) name.lookUp();
  }

  close(): void {
    for (const name of this.#names.values()) name.close();
  }

  /** `first`: of this name. Nothing is applied before all of them have been asked for once. */
  onAnswer(first: boolean): void {
    if (first) this.#waiting--;
    if (this.#waiting === 0) this.#apply();
  }

  #endpoints(): readonly EndpointConfig[] {
    return this.#cluster.config.endpoints?.endpoints ?? [];
  }

  /** The addresses of one endpoint as configured; each is one by itself, but for LOGICAL_DNS. */
  #resolved({ address }: EndpointConfig): readonly EndpointAddress[] {
    const name = address.kind === 'socket' ? this.#names.get(address.host) : undefined;
    if (name === undefined || address.kind !== 'socket') return [address];
    return name.addresses.map((host) => ({ kind: 'socket', host, port: address.port }));
  }

  #apply(): void {
    const logical = this.#cluster.config.discovery === 'logical-dns';
    const endpoints: EndpointConfig[] = [];
    const seen = new Set<string>();
    for (const endpoint of this.#endpoints()) {
      const resolved = this.#resolved(endpoint);
      const hostname = endpoint.hostname === '' && endpoint.address.kind === 'socket' ? endpoint.address.host : endpoint.hostname;
      for (const address of logical ? resolved.slice(0, 1) : resolved) {
        const text = addressText(address);
        if (seen.has(text)) continue;
        seen.add(text);
        // One host by all of its addresses, which are tried in turn.
        const additionalAddresses = logical && this.settings.family === 'all' ? resolved.slice(1) : endpoint.additionalAddresses;
        endpoints.push({ ...endpoint, address, text, hostname, additionalAddresses });
      }
    }
    const applied = endpoints.map(({ text, additionalAddresses }) => [text, ...(additionalAddresses ?? []).map(addressText)].join('+')).sort();
    if (applied.join(' ') === this.#applied) return;
    this.#applied = applied.join(' ');
    this.#cluster.setEndpoints({
      clusterName: this.#cluster.name,
      endpoints,
      overprovisioningFactor: this.#cluster.config.endpoints?.overprovisioningFactor ?? 140,
    });
  }
}

/** One name, looked up time and again. */
class DnsName implements TimerTarget {
  readonly #runtime: Runtime;
  readonly #host: string;
  readonly #owner: DnsDiscovery;
  #timer: WheelTimer | undefined;
  #answered = false;
  #closed = false;
  /** Failures in a row. */
  #failures = 0;
  /** Of the last look-up that was good. The one in use stays first. */
  addresses: readonly string[] = [];

  constructor(runtime: Runtime, host: string, owner: DnsDiscovery) {
    this.#runtime = runtime;
    this.#host = host;
    this.#owner = owner;
  }

  lookUp(): void {
    this.#runtime.resolver.resolve(this.#host, this.#owner.settings, (addresses, error, ttlMs) => {
      if (this.#closed) return;
      const [before] = this.addresses;
      if (addresses.length > 0)
        this.addresses = before !== undefined && addresses.includes(before) ? [before, ...addresses.filter((address) => address !== before)] : addresses;
      this.#failures = error === '' ? 0 : this.#failures + 1;
      this.#timer = this.#runtime.wheel.arm(this.#refreshMs(ttlMs), this);
      const first = !this.#answered;
      this.#answered = true;
      this.#owner.onAnswer(first);
    });
  }

  onTimer(): void {
    this.#timer = undefined;
    this.lookUp();
  }

  close(): void {
    this.#closed = true;
    if (this.#timer !== undefined) this.#runtime.wheel.cancel(this.#timer);
  }

  #refreshMs(ttlMs: number | undefined): number {
    const { refreshMs, failureRefreshMs, failureMaxMs, respectTtl } = this.#owner.settings;
    if (this.#failures === 0) return respectTtl && ttlMs !== undefined && ttlMs > 0 ? ttlMs : refreshMs;
    if (failureMaxMs === 0) return failureRefreshMs;
    // Envoy's back-off: anywhere within a window that doubles.
    const windowMs = Math.min(failureRefreshMs * 2 ** (this.#failures - 1), failureMaxMs);
    return Math.max(MIN_REFRESH_MS, (this.#runtime.random.uint32() / 0x1_0000_0000) * windowMs);
  }
}
