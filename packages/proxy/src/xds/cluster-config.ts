import type { JsonObject } from '@bufbuild/protobuf';
import type { Cluster } from '@outrigger/xds/protos/envoy/config/cluster/v3/cluster';
import type { ConnectionSettings } from './connection-settings.ts';
import type { EndpointSetConfig } from './endpoint-config.ts';
import type { HealthCheckConfig } from './health-check-config.ts';
import type { Http2Settings } from './protocol-options.ts';
import type { UpstreamTlsSettings } from './tls-settings.ts';
import type { TlvSelection } from './tlv-selection.ts';

export type ClusterDiscovery = 'static' | 'strict-dns' | 'logical-dns' | 'eds' | 'dynamic-forward-proxy' | 'original-dst';
/** 'downstream': as the request came (use_downstream_protocol_config). */
/** 'auto': as ALPN decides (auto_config). */
export type UpstreamProtocol = 'http1' | 'http2' | 'downstream' | 'auto';

/** null: plain bytes. */
export type TransportSocketSettings = UpstreamTlsSettings | null;

export interface TransportSocketRule {
  readonly name: string;
  /** Every key must be in the endpoint's metadata with the same value. */
  readonly match: JsonObject;
  readonly socket: TransportSocketSettings;
}

export interface UpstreamHttpSettings {
  readonly protocol: UpstreamProtocol;
  /** Idle connections are closed after it, ms; 0: never. Envoy's default of an hour. */
  readonly idleTimeoutMs: number;
  /** ms; 0: no limit. */
  readonly maxConnectionDurationMs: number;
  /** 0: no limit. */
  readonly maxRequestsPerConnection: number;
  readonly http2: Http2Settings;
  /** Header lines of a response. */
  readonly maxHeadersCount: number;
}

export interface DnsSettings {
  readonly family: 'auto' | 'v4' | 'v6' | 'v4-preferred' | 'all';
  readonly refreshMs: number;
  /** After a failure: the first window of the back-off. */
  readonly failureRefreshMs: number;
  /** The back-off's longest window; 0: none, each look-up comes `failureRefreshMs` after the last. */
  readonly failureMaxMs: number;
  /** An answer is used as long as its records say, in the place of `refreshMs`. */
  readonly respectTtl: boolean;
  /** "ip:port" of DNS servers; none: the system's. */
  readonly servers: readonly string[];
}

export interface OriginalDstSettings {
  /** Lower case; '': no header is looked at. */
  readonly httpHeader: string;
  /** 0: the destination's own. */
  readonly portOverride: number;
  /** How long an endpoint that nobody uses is kept, ms. */
  readonly cleanupIntervalMs: number;
}

/** A service of the mesh as filter_metadata["istio"].services names it. */
export interface ServiceName {
  readonly host: string;
  readonly name: string;
  readonly namespace: string;
}

/** Cluster, decoded; immutable. */
export interface ClusterConfig {
  readonly name: string;
  readonly discovery: ClusterDiscovery;
  /** Name asked for over EDS. */
  readonly edsServiceName: string;
  /** Endpoints in the message itself; null for EDS. */
  readonly endpoints: EndpointSetConfig | null;
  readonly connectTimeoutMs: number;
  /** Streams that connections of an endpoint are to be there for, for each that there is (per_upstream_preconnect_ratio); 1: none ahead. */
  readonly preconnectRatio: number;
  /** What is kept for a connection whose endpoint does not take it, bytes. Envoy's default of 1 MiB. */
  readonly bufferLimitBytes: number;
  readonly http: UpstreamHttpSettings;
  readonly transportSocketRules: readonly TransportSocketRule[];
  readonly transportSocket: TransportSocketSettings;
  /** Version of the PROXY protocol that connections begin with; 0: none. */
  readonly proxyProtocol: 0 | 1 | 2;
  /** TLVs of the downstream's header that its own has too. */
  readonly proxyTlvs: TlvSelection;
  readonly connection: ConnectionSettings;
  readonly dns: DnsSettings;
  readonly originalDst: OriginalDstSettings;
  /** null: endpoints are what discovery says of them. */
  readonly healthCheck: HealthCheckConfig | null;
  /** An endpoint that discovery drops goes at once, whatever its checks say (ignore_health_on_host_removal). */
  readonly ignoreHealthOnRemoval: boolean;
  /** A failed check ends TCP connections too (close_connections_on_host_health_failure). */
  readonly closeOnHealthFailure: boolean;
  /** undefined where the cluster is no service. */
  readonly service: ServiceName | undefined;
  /** What TLS offers where requests come through it; null: as everywhere. */
  readonly httpAlpn: readonly string[] | null;
  /** filter_metadata["outrigger.dev"], {} if none. */
  readonly mesh: JsonObject;
  /** What balancing, outlier detection and limits are compiled from. */
  readonly message: Cluster;
  readonly ignored: readonly string[];
}
