import type { JsonObject } from '@bufbuild/protobuf';
import type { HostHealth } from '../lb/host.ts';

export type EndpointAddress =
  | { readonly kind: 'socket'; readonly host: string; readonly port: number }
  | { readonly kind: 'pipe'; readonly path: string }
  | { readonly kind: 'internal'; readonly listener: string };

/** Endpoint.health_check_config, decoded. */
export interface EndpointCheck {
  readonly disabled: boolean;
  /** In the place of the endpoint's own; null: that. */
  readonly address: EndpointAddress | null;
  /** In the place of the address's own; 0: that. */
  readonly port: number;
  /** Host or :authority of checks, '' if none. */
  readonly hostname: string;
}

export const PLAIN_CHECK: EndpointCheck = { disabled: false, address: null, port: 0, hostname: '' };

/** LbEndpoint, decoded. */
export interface EndpointConfig {
  /** "10.0.0.1:8080", "/run/x.sock", "internal:NAME". */
  readonly text: string;
  readonly address: EndpointAddress;
  /** Of the same endpoint, tried with it (Endpoint.additional_addresses). */
  readonly additionalAddresses: readonly EndpointAddress[];
  /** Endpoint.hostname, '' if none. */
  readonly hostname: string;
  readonly weight: number;
  readonly priority: number;
  /** "region/zone/subzone". */
  readonly locality: string;
  readonly localityWeight: number;
  readonly health: HostHealth;
  /** As named in EDS: HEALTHY, DRAINING... */
  readonly edsHealth: string;
  /** envoy.lb.hash_key, '' if none. */
  readonly hashKey: string;
  /** filter_metadata["envoy.lb"]. */
  readonly metadata: JsonObject;
  /** filter_metadata["envoy.transport_socket_match"]. */
  readonly transportSocketMatch: JsonObject;
  readonly healthCheck: EndpointCheck;
  /** filter_metadata["istio"].workload: "WORKLOAD;NAMESPACE;SERVICE;VERSION;", '' if none. */
  readonly workload: string;
}

export interface EndpointSetConfig {
  readonly clusterName: string;
  readonly endpoints: readonly EndpointConfig[];
  /** Percent, Envoy's default 140. */
  readonly overprovisioningFactor: number;
}
