import { isIP } from 'node:net';
import type { Runtime } from '../engine/runtime.ts';
import type { TimerTarget, WheelTimer } from '../net/timer-wheel.ts';
import { headerValue } from '../routing/headers.ts';
import type { ClusterConfig } from '../xds/cluster-config.ts';
import { addressEndpoint } from './address-endpoint.ts';
import { splitAuthority } from './forward-proxy-hosts.ts';
import { UpstreamHost } from './upstream-host.ts';

/** What of a downstream connection says where it was meant to go. */
export interface OriginalConnection {
  /** "ip:port". */
  readonly localAddress: string;
  /** A listener filter has brought back what redirection had hidden. */
  readonly restored: boolean;
}

/** The endpoints of an ORIGINAL_DST cluster: where each connection was going before it was redirected to this proxy. */
export class OriginalDstHosts implements TimerTarget {
  readonly #runtime: Runtime;
  readonly #config: ClusterConfig;
  readonly #hosts = new Map<string, UpstreamHost>();
  /** Asked for since the last sweep. */
  readonly #used = new Set<UpstreamHost>();
  #sweep: WheelTimer | undefined;
  #closed = false;

  constructor(runtime: Runtime, config: ClusterConfig) {
    this.#runtime = runtime;
    this.#config = config;
  }

  get hosts(): Iterable<UpstreamHost> {
    return this.#hosts.values();
  }

  /** "ip:port": what a header of the request says, where the cluster looks at it, else where the connection was going; '' where nothing is known. */
  destinationOf(headers: readonly string[], connection: OriginalConnection): string {
    const { httpHeader, portOverride } = this.#config.originalDst;
    const asked = httpHeader === '' ? undefined : addressOf(headerValue(headers, httpHeader));
    const found = asked ?? (connection.restored ? addressOf(connection.localAddress) : undefined);
    if (found === undefined) return '';
    return addressEndpoint(found.host, portOverride > 0 ? portOverride : found.port).text;
  }

  /** null: it is no address. */
  host(destination: string): UpstreamHost | null {
    let host = this.#hosts.get(destination);
    if (host === undefined) {
      const address = addressOf(destination);
      if (address === undefined || this.#closed) return null;
      host = new UpstreamHost(addressEndpoint(address.host, address.port), this.#config.transportSocket, this.#runtime.nowMs());
      host.connectWith(this.#config.connection);
      this.#hosts.set(destination, host);
      this.#sweep ??= this.#runtime.wheel.arm(this.#config.originalDst.cleanupIntervalMs, this);
    }
    this.#used.add(host);
    return host;
  }

  /** Forgets what nobody has asked for in a whole interval and is not in use. */
  onTimer(): void {
    for (const [destination, host] of this.#hosts) {
      if (this.#used.has(host) || host.activeRequests > 0) continue;
      this.#hosts.delete(destination);
      host.drain();
    }
    this.#used.clear();
    this.#sweep = this.#hosts.size === 0 ? undefined : this.#runtime.wheel.arm(this.#config.originalDst.cleanupIntervalMs, this);
  }

  close(): void {
    this.#closed = true;
    if (this.#sweep !== undefined) this.#runtime.wheel.cancel(this.#sweep);
    this.#sweep = undefined;
  }
}

/** Names are not looked up: the address of a connection is one. */
function addressOf(text: string | undefined): { readonly host: string; readonly port: number } | undefined {
  const split = text === undefined ? undefined : splitAuthority(text, 0);
  return split === undefined || isIP(split.host) === 0 ? undefined : split;
}
