import type { Runtime } from '../engine/runtime.ts';
import type { ClusterConfig } from '../xds/cluster-config.ts';
import { hostPort } from '../xds/compile-endpoints.ts';
import { addressEndpoint } from './address-endpoint.ts';
import { DnsCache } from './resolver.ts';
import { UpstreamHost } from './upstream-host.ts';

/** Hosts kept at once; the oldest goes when there are more (Envoy's max_hosts). */
export const MAX_FORWARD_HOSTS = 1024;
/** How long a name's addresses are used, ms (Envoy's dns_refresh_rate of a DNS cache). */
const DNS_TTL_MS = 60_000;

/** The endpoints of a dynamic forward proxy: one for each address that a request named. */
export class ForwardProxyHosts {
  readonly #runtime: Runtime;
  readonly #config: ClusterConfig;
  readonly #dns: DnsCache;
  readonly #hosts = new Map<string, UpstreamHost>();

  constructor(runtime: Runtime, config: ClusterConfig) {
    this.#runtime = runtime;
    this.#config = config;
    this.#dns = new DnsCache(runtime.resolver, config.dns, DNS_TTL_MS, runtime.nowMs);
  }

  get hosts(): Iterable<UpstreamHost> {
    return this.#hosts.values();
  }

  /** The endpoint for an authority ("example.com:8080"); null with the reason where the name has no address. May call back at once. */
  resolve(authority: string, defaultPort: number, done: (host: UpstreamHost | null, error: string) => void): void {
    const split = splitAuthority(authority, defaultPort);
    if (split === undefined) {
      done(null, 'the host cannot be read');
      return;
    }
    this.#dns.get(split.host, (addresses, error) => {
      const address = addresses[0];
      if (address === undefined) done(null, error);
      else done(this.#hostFor(address, split.port), '');
    });
  }

  close(): void {
    this.#hosts.clear();
  }

  #hostFor(address: string, port: number): UpstreamHost {
    const text = hostPort(address, port);
    const known = this.#hosts.get(text);
    if (known !== undefined) return known;
    if (this.#hosts.size >= MAX_FORWARD_HOSTS) {
      const [oldest, host] = this.#hosts.entries().next().value!;
      this.#hosts.delete(oldest);
      host.drain();
    }
    const host = new UpstreamHost(addressEndpoint(address, port), this.#config.transportSocket, this.#runtime.nowMs());
    host.connectWith(this.#config.connection);
    this.#hosts.set(text, host);
    return host;
  }
}

/** undefined where it is no host, or the port is none. */
export function splitAuthority(authority: string, defaultPort: number): { readonly host: string; readonly port: number } | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]/?#@\s]+))(?::(\d{1,5}))?$/.exec(authority);
  if (match === null) return undefined;
  const port = match[3] === undefined ? defaultPort : Number(match[3]);
  if (port < 1 || port > 65_535) return undefined;
  return { host: match[1] ?? match[2]!, port };
}
