import type { Bootstrap } from '@outrigger/xds/protos/envoy/config/bootstrap/v3/bootstrap';
import type { HostPort, ProxyNode } from './node.ts';

export type AdsAddress =
  | { readonly pipe: string }
  | (HostPort & { /** SANs that the server's certificate must show. */ readonly subjectAltNames: readonly string[] });

export interface EnvoyBootstrapOptions {
  readonly node: ProxyNode;
  /** The agent's relay (pipe), or the control plane itself over mTLS with the SDS secrets. */
  readonly ads: AdsAddress;
  /** Unix socket of the agent's SDS. */
  readonly sdsPipe: string;
  /** Loopback. */
  readonly admin: HostPort;
  /** Our proxy: Prometheus page apart from the admin interface. */
  readonly metrics?: HostPort;
  readonly configRevision?: string;
}

/** Envoy's Bootstrap, for our proxy and for Envoy alike (docs/xds.md). */
export function envoyBootstrap(_options: EnvoyBootstrapOptions): Bootstrap {
  throw new Error('being written');
}

/** JSON text of it, which is YAML too: `envoy -c FILE.json`. */
export function bootstrapText(_bootstrap: Bootstrap): string {
  throw new Error('being written');
}
