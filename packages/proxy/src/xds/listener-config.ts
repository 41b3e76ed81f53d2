import type { Format } from '@outrigger/telemetry';
import type { HttpConnectionManager_Tracing } from '@outrigger/xds/protos/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager';
import type { ClientAddressConfig } from '../engine/client-address.ts';
import type { LocalReplies } from '../engine/local-replies.ts';
import type { HttpFilterChain } from '../filters/filter-chain.ts';
import type { UnderscoresAction } from '../http/underscores.ts';
import type { SubsetCriteria } from '../lb/subset-criteria.ts';
import type { HeaderMutations } from '../routing/header-mutations.ts';
import type { RouteTable } from '../routing/route-table.ts';
import type { AccessLogConfig } from './compile-access-logs.ts';
import type { EndpointAddress } from './endpoint-config.ts';
import type { NetworkPolicy } from './http-filters.ts';
import type { Http2Settings } from './protocol-options.ts';
import type { DownstreamTlsSettings } from './tls-settings.ts';
import type { TlvSelection } from './tlv-selection.ts';

/** '' , "tls", "raw_buffer"; empty lists match anything. */
export interface FilterChainMatchConfig {
  readonly destinationPort: number;
  readonly prefixRanges: readonly CidrConfig[];
  readonly directSourcePrefixRanges: readonly CidrConfig[];
  readonly sourcePrefixRanges: readonly CidrConfig[];
  readonly sourcePorts: readonly number[];
  /** Lower case; "*.example.com" matches below it. */
  readonly serverNames: readonly string[];
  readonly transportProtocol: string;
  readonly applicationProtocols: readonly string[];
  readonly sourceType: 'any' | 'local' | 'external';
}

export interface CidrConfig {
  readonly address: string;
  readonly prefixLength: number;
}

export type RouteSource = { readonly kind: 'inline'; readonly table: RouteTable } | { readonly kind: 'rds'; readonly name: string };

export type ForwardClientCert = 'sanitize' | 'forward-only' | 'append-forward' | 'sanitize-set' | 'always-forward-only';

export interface HttpManagerConfig {
  readonly statPrefix: string;
  readonly codec: 'auto' | 'http1' | 'http2';
  readonly routes: RouteSource;
  readonly filters: HttpFilterChain;
  readonly generateRequestId: boolean;
  readonly preserveExternalRequestId: boolean;
  readonly alwaysSetRequestIdInResponse: boolean;
  readonly forwardClientCert: ForwardClientCert;
  /** Whether the parts of SANITIZE_SET and APPEND_FORWARD go into x-forwarded-client-cert. */
  readonly certDetails: { readonly uri: boolean; readonly dns: boolean; readonly subject: boolean };
  readonly clientAddress: ClientAddressConfig;
  readonly appendXForwardedPort: boolean;
  /** In the place of the request's; '' keeps it. */
  readonly schemeToOverwrite: string;
  /** Server header of answers; '' leaves them as they are. */
  readonly serverName: string;
  /** An answer that has one keeps it (APPEND_IF_ABSENT). */
  readonly keepServer: boolean;
  readonly skipXffAppend: boolean;
  readonly normalizePath: boolean;
  readonly mergeSlashes: boolean;
  readonly escapedSlashes: 'keep' | 'reject' | 'unescape-redirect' | 'unescape-forward';
  /** By lower-case token. */
  readonly upgrades: ReadonlyMap<string, boolean>;
  /** Name in Proxy-Status; '' says none is written. */
  readonly proxyName: string;
  readonly stripMatchingHostPort: boolean;
  readonly stripAnyHostPort: boolean;
  readonly stripTrailingHostDot: boolean;
  readonly via: string;
  /** add_user_agent: what this proxy says of itself to its upstreams; null: nothing. */
  readonly userAgent: { readonly cluster: string; readonly node: string } | null;
  /** Before anything else looks at a request (early_header_mutation_extensions); null: none. */
  readonly earlyMutations: HeaderMutations | null;
  readonly maxRequestHeadersKb: number;
  readonly maxHeadersCount: number;
  readonly underscores: UnderscoresAction;
  readonly http2: Http2Settings;
  /** Then the connection takes no more; 0: no limit. */
  readonly maxRequestsPerConnection: number;
  /** From the first byte of a head to its last, ms; 0: the stream idle timeout. */
  readonly requestHeadersTimeoutMs: number;
  /** How long the peer may take to read the last answer after our FIN, ms. Envoy's default of 1 s. */
  readonly delayedCloseTimeoutMs: number;
  /** How long a client may take to answer the first GOAWAY of a drain, ms. Envoy's default of 5 s. */
  readonly drainTimeoutMs: number;
  /** ms; 0: none. */
  readonly idleTimeoutMs: number;
  readonly maxConnectionDurationMs: number;
  readonly streamIdleTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly maxStreamDurationMs: number;
  readonly tracing: HttpConnectionManager_Tracing | undefined;
  /** null: answers of the proxy's own stay as they are. */
  readonly localReplies: LocalReplies | null;
  readonly accessLogs: readonly AccessLogConfig[];
}

/** Network filters before the one that ends the chain. */
export type ConnectionGateConfig =
  | { readonly kind: 'connection-limit'; readonly maxConnections: number; readonly delayMs: number }
  | { readonly kind: 'rate-limit'; readonly maxTokens: number; readonly tokensPerFill: number; readonly fillIntervalMs: number }
  | { readonly kind: 'rbac'; readonly policy: NetworkPolicy };

export interface WeightedTcpCluster {
  readonly name: string;
  readonly weight: number;
  /** Of its endpoints those alone (metadata_match); null: any. */
  readonly subset: SubsetCriteria | null;
}

/** TcpProxy.tunneling_config. */
export interface TunnelingConfig {
  /** Authority of the CONNECT or POST. */
  readonly hostname: Format;
  /** Of the POST; '': it is a CONNECT. */
  readonly path: string;
  readonly headers: HeaderMutations;
}

export interface TcpProxyConfig {
  readonly statPrefix: string;
  readonly clusters: readonly WeightedTcpCluster[];
  readonly totalWeight: number;
  /** The name that the client asked for in TLS (SNI), where it sent one, is the cluster (envoy.filters.network.sni_cluster). */
  readonly clusterFromSni: boolean;
  /** A client has the same endpoint each time, where the cluster hashes. */
  readonly hashSourceIp: boolean;
  /** ms; 0: none. Envoy's default of an hour. */
  readonly idleTimeoutMs: number;
  readonly maxConnectAttempts: number;
  /** Of the listener, bytes. */
  readonly bufferLimitBytes: number;
  readonly maxConnectionDurationMs: number;
  readonly policies: readonly NetworkPolicy[];
  /** null: plain TCP. */
  readonly tunneling: TunnelingConfig | null;
  readonly accessLogs: readonly AccessLogConfig[];
}

export type NetworkFilterConfig = { readonly kind: 'http'; readonly http: HttpManagerConfig } | { readonly kind: 'tcp'; readonly tcp: TcpProxyConfig };

export interface FilterChainConfig {
  readonly name: string;
  /** Two of the same are the same message. */
  readonly fingerprint: string;
  readonly match: FilterChainMatchConfig;
  readonly tls: DownstreamTlsSettings | null;
  readonly gates: readonly ConnectionGateConfig[];
  readonly filter: NetworkFilterConfig;
  /** TLS handshake, ms; 0: the listener's. */
  readonly handshakeTimeoutMs: number;
}

export interface ProxyProtocolConfig {
  readonly kind: 'proxy-protocol';
  /** A connection that begins otherwise is taken as it is. */
  readonly allowWithout: boolean;
  readonly v1: boolean;
  readonly v2: boolean;
  /** TLVs that are kept for upstreams that want the protocol too. */
  readonly tlvs: TlvSelection;
}

/** Those that read bytes. */
export type ListenerFilterConfig = ProxyProtocolConfig | { readonly kind: 'tls-inspector' | 'http-inspector' };

/** One that the kernel knows. */
export type SocketAddress = Exclude<EndpointAddress, { kind: 'internal' }>;

/** setsockopt(2) on the listening socket; accepted ones inherit it. */
export interface SocketOptionConfig {
  readonly level: number;
  readonly name: number;
  readonly value: Uint8Array;
  readonly path: string;
}

/** Listener, decoded; immutable. */
export interface ListenerConfig {
  readonly name: string;
  /** Two of the same differ in their filter chains at most. */
  readonly fingerprint: string;
  readonly address: EndpointAddress;
  /** With its own options, where they are not the listener's. */
  readonly additionalAddresses: readonly { readonly address: SocketAddress; readonly socketOptions: readonly SocketOptionConfig[] }[];
  /** False: only connections that others hand over (use_original_dst). */
  readonly bindToPort: boolean;
  readonly backlog: number;
  readonly reusePort: boolean;
  readonly socketOptions: readonly SocketOptionConfig[];
  /** Connections whose destination was another before they were redirected: it is asked of the kernel. */
  readonly originalDst: boolean;
  /** They go to the listener that has that address, if there is one. */
  readonly useOriginalDst: boolean;
  /** Connections keep the addresses that they had before they were turned round to it (TPROXY). */
  readonly transparent: boolean;
  /** Not counted among the connections of the proxy. */
  readonly ignoreGlobalConnLimit: boolean;
  /** The overload manager has no say over its connections and requests. */
  readonly bypassOverload: boolean;
  readonly accessLogs: readonly AccessLogConfig[];
  readonly direction: 'inbound' | 'outbound' | 'unspecified';
  readonly filterChains: readonly FilterChainConfig[];
  readonly defaultFilterChain: FilterChainConfig | null;
  readonly listenerFilters: readonly ListenerFilterConfig[];
  /** ms; 0: none. Envoy's default of 15 s. */
  readonly listenerFiltersTimeoutMs: number;
  readonly continueOnListenerFiltersTimeout: boolean;
  /** What is kept for a connection: request bodies for a retry, and what its peer has not taken. Envoy's default of 1 MiB. */
  readonly bufferLimitBytes: number;
  /** Route configurations that it names. */
  readonly routeNames: ReadonlySet<string>;
  /** Clusters that its TCP proxies name. */
  readonly clusters: ReadonlySet<string>;
  readonly secretNames: ReadonlySet<string>;
  readonly ignored: readonly string[];
}

/** The one for what no other matches is the last. */
export function allFilterChains({
  filterChains,
  defaultFilterChain,
}: Pick<ListenerConfig, 'filterChains' | 'defaultFilterChain'>): readonly FilterChainConfig[] {
  return defaultFilterChain === null ? filterChains : [...filterChains, defaultFilterChain];
}
