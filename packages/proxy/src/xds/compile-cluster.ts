import type { JsonObject, JsonValue } from '@bufbuild/protobuf';
import {
  type Cluster,
  Cluster_CommonLbConfigSchema,
  Cluster_DiscoveryType,
  Cluster_DnsLookupFamily,
  Cluster_EdsClusterConfigSchema,
  Cluster_LbPolicy,
  Cluster_OriginalDstLbConfigSchema,
  type Cluster_PreconnectPolicy,
  Cluster_PreconnectPolicySchema,
  ClusterSchema,
} from '@outrigger/xds/protos/envoy/config/cluster/v3/cluster';
import type { Address } from '@outrigger/xds/protos/envoy/config/core/v3/address';
import type { TransportSocket } from '@outrigger/xds/protos/envoy/config/core/v3/base';
import { type HttpProtocolOptions as CommonHttp, UpstreamHttpProtocolOptionsSchema } from '@outrigger/xds/protos/envoy/config/core/v3/protocol';
import { ProxyProtocolConfig_Version, ProxyProtocolConfigSchema } from '@outrigger/xds/protos/envoy/config/core/v3/proxy_protocol';
import { ClusterConfigSchema as ForwardProxySchema } from '@outrigger/xds/protos/envoy/extensions/clusters/dynamic_forward_proxy/v3/cluster';
import { CaresDnsResolverConfigSchema } from '@outrigger/xds/protos/envoy/extensions/network/dns_resolver/cares/v3/cares_dns_resolver';
import { ProxyProtocolUpstreamTransportSchema } from '@outrigger/xds/protos/envoy/extensions/transport_sockets/proxy_protocol/v3/upstream_proxy_protocol';
import { UpstreamTlsContextSchema } from '@outrigger/xds/protos/envoy/extensions/transport_sockets/tls/v3/tls';
import {
  type HttpProtocolOptions,
  HttpProtocolOptions_AutoHttpConfigSchema,
  HttpProtocolOptionsSchema,
} from '@outrigger/xds/protos/envoy/extensions/upstreams/http/v3/http_protocol_options';
import { atOnce, type Steps } from '@outrigger/xds/slices';
import { DEFAULT_BUFFER_LIMIT_BYTES } from '../http2/options.ts';
import { CompileReport, type CompileResult } from '../routing/compile-result.ts';
import { durationMs } from '../routing/duration.ts';
import type {
  ClusterConfig,
  ClusterDiscovery,
  DnsSettings,
  OriginalDstSettings,
  ServiceName,
  TransportSocketSettings,
  UpstreamHttpSettings,
  UpstreamProtocol,
} from './cluster-config.ts';
import { compileAddress, endpointSteps, hostPort } from './compile-endpoints.ts';
import { compileHealthCheck } from './compile-health-check.ts';
import { compileUpstreamTls } from './compile-tls.ts';
import { compileConnectionSettings } from './connection-settings.ts';
import { checkFields, fieldPolicy, typeNameOf, unpack } from './fields.ts';
import { checkAds, checkCommonOptions, checkHttp1Options, compileHttp2, DEFAULT_MAX_HEADERS_COUNT } from './protocol-options.ts';
import { compileTlvSelection, NO_TLVS, type TlvSelection } from './tlv-selection.ts';

/** Envoy's default (Cluster.connect_timeout). The control plane sets 1 s. */
export const DEFAULT_CONNECT_TIMEOUT_MS = 5000;
const DEFAULT_IDLE_TIMEOUT_MS = 3_600_000;
const DEFAULT_DNS_REFRESH_MS = 5000;

const CLUSTER = fieldPolicy(
  `transport_socket_matches name type cluster_type eds_cluster_config connect_timeout lb_policy load_assignment max_requests_per_connection circuit_breakers
   common_http_protocol_options http_protocol_options http2_protocol_options typed_extension_protocol_options dns_refresh_rate dns_failure_refresh_rate
   dns_lookup_family outlier_detection lb_subset_config ring_hash_lb_config maglev_lb_config least_request_lb_config round_robin_lb_config common_lb_config
   transport_socket metadata load_balancing_policy upstream_http_protocol_options health_checks upstream_connection_options upstream_bind_config
   close_connections_on_host_health_failure respect_dns_ttl dns_resolvers dns_resolution_config typed_dns_resolver_config
   original_dst_lb_config cleanup_interval
   ignore_health_on_host_removal wait_for_warm_on_init per_connection_buffer_limit_bytes preconnect_policy`,
  `alt_stat_name use_tcp_for_dns_lookups
      track_timeout_budgets track_cluster_stats lrs_report_endpoint_metrics protocol_selection`,
);
const EDS = fieldPolicy('eds_config service_name');
const COMMON_LB = fieldPolicy(
  // Those that are not supported are named by compileLbOptions.
  `healthy_panic_threshold zone_aware_lb_config locality_weighted_lb_config consistent_hashing_lb_config
   ignore_new_hosts_until_first_hc`,
  'update_merge_window close_connections_on_host_set_change override_host_status',
);
const PRECONNECT = fieldPolicy('per_upstream_preconnect_ratio', 'predictive_preconnect_ratio');
const MAX_PRECONNECT_RATIO = 3;
const UPSTREAM_HTTP = fieldPolicy('');
const FORWARD_PROXY = fieldPolicy('dns_cache_config', 'allow_insecure_cluster_options allow_coalesced_connections');
const PROTOCOL_OPTIONS = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
const CARES = fieldPolicy('resolvers use_resolvers_as_fallback', 'dns_resolver_options filter_unroutable_families udp_max_queries');
const CARES_RESOLVER = 'envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig';
const ORIGINAL_DST = fieldPolicy('use_http_header http_header_name upstream_port_override');
const ORIGINAL_DST_HEADER = 'x-envoy-original-dst-host';
const DEFAULT_CLEANUP_INTERVAL_MS = 5_000;
const AUTO = fieldPolicy('http_protocol_options http2_protocol_options', 'alternate_protocols_cache_options');
const PROXY_PROTOCOL = fieldPolicy('config transport_socket');
const PROXY_CONFIG = fieldPolicy('version pass_through_tlvs');
const PROXY_TRANSPORT = 'envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport';
const HTTP = fieldPolicy(
  'common_http_protocol_options upstream_http_protocol_options explicit_http_config use_downstream_protocol_config auto_config',
  'header_validation_config',
);

function compileTransportSocket(socket: TransportSocket | undefined, path: string, report: CompileReport): TransportSocketSettings {
  if (socket === undefined) return null;
  const any = socket.configType.case === 'typedConfig' ? socket.configType.value : undefined;
  const type = typeNameOf(any);
  switch (type) {
    case UpstreamTlsContextSchema.typeName: {
      const tls = unpack(any, UpstreamTlsContextSchema, `${path}.typed_config`, report);
      return tls === undefined ? null : compileUpstreamTls(tls, `${path}.typed_config`, report);
    }
    case 'envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer':
    case 'envoy.extensions.transport_sockets.internal_upstream.v3.InternalUpstreamTransport':
      return null;
    default:
      if (any === undefined && (socket.name === 'raw_buffer' || socket.name === 'envoy.transport_sockets.raw_buffer')) return null;
      report.error(path, `transport socket ${type === '' ? socket.name : type} is not supported by this proxy`);
      return null;
  }
}

/** Of a cluster that has requests and other connections, and says of itself only what the others offer. */
function httpAlpnOf(mesh: JsonObject | undefined): readonly string[] | null {
  const offered = mesh?.['httpAlpn'];
  return Array.isArray(offered) ? offered.filter((protocol) => typeof protocol === 'string') : null;
}

/** What is under a PROXY protocol's socket, and that protocol's version; 0 where there is none. */
function unwrapProxyProtocol(
  socket: TransportSocket | undefined,
  report: CompileReport,
): { readonly version: 0 | 1 | 2; readonly tlvs: TlvSelection; readonly socket: TransportSocket | undefined } {
  const any = socket?.configType.case === 'typedConfig' ? socket.configType.value : undefined;
  if (typeNameOf(any) !== PROXY_TRANSPORT) return { version: 0, tlvs: NO_TLVS, socket };
  const at = 'transport_socket.typed_config';
  const wrapper = unpack(any, ProxyProtocolUpstreamTransportSchema, at, report);
  if (wrapper === undefined) return { version: 0, tlvs: NO_TLVS, socket: undefined };
  checkFields(ProxyProtocolUpstreamTransportSchema, wrapper, PROXY_PROTOCOL, at, report);
  if (wrapper.config !== undefined) checkFields(ProxyProtocolConfigSchema, wrapper.config, PROXY_CONFIG, `${at}.config`, report);
  const tlvs = compileTlvSelection(wrapper.config?.passThroughTlvs, `${at}.config.pass_through_tlvs`, report);
  return { version: wrapper.config?.version === ProxyProtocolConfig_Version.V2 ? 2 : 1, tlvs, socket: wrapper.transportSocket };
}

/** TLS that offers both where auto_config asks for a choice and the context names none (as Envoy). */
function withAlpn(socket: TransportSocketSettings, protocol: UpstreamProtocol, path: string, report: CompileReport): TransportSocketSettings {
  if (protocol !== 'auto') return socket;
  if (socket === null) report.error(path, 'auto_config is not supported without TLS, whose ALPN decides');
  return socket === null || socket.alpn.length > 0 ? socket : { ...socket, alpn: ['h2', 'http/1.1'] };
}

function discoveryOf(config: Cluster, report: CompileReport): ClusterDiscovery {
  const type = config.clusterDiscoveryType;
  if (type.case === 'clusterType') {
    if (type.value.name === 'envoy.clusters.dynamic_forward_proxy') {
      const forward = unpack(type.value.typedConfig, ForwardProxySchema, 'cluster_type.typed_config', report);
      if (forward !== undefined) checkFields(ForwardProxySchema, forward, FORWARD_PROXY, 'cluster_type.typed_config', report);
      return 'dynamic-forward-proxy';
    }
    report.error('cluster_type', `${type.value.name} is not supported by this proxy`);
    return 'static';
  }
  switch (type.value) {
    case Cluster_DiscoveryType.EDS:
      return 'eds';
    case Cluster_DiscoveryType.STRICT_DNS:
      return 'strict-dns';
    case Cluster_DiscoveryType.LOGICAL_DNS:
      return 'logical-dns';
    case Cluster_DiscoveryType.ORIGINAL_DST:
      if (config.lbPolicy !== Cluster_LbPolicy.CLUSTER_PROVIDED) report.error('lb_policy', 'must be CLUSTER_PROVIDED for ORIGINAL_DST');
      if (config.loadAssignment !== undefined) report.error('load_assignment', 'not together with type ORIGINAL_DST');
      return 'original-dst';
    default:
      return 'static';
  }
}

function protocolOf(options: HttpProtocolOptions | undefined, config: Cluster, report: CompileReport): UpstreamProtocol {
  const choice = options?.upstreamProtocolOptions;
  switch (choice?.case) {
    case 'explicitHttpConfig':
      if (choice.value.protocolConfig.case === 'http3ProtocolOptions')
        report.error(`typed_extension_protocol_options.${PROTOCOL_OPTIONS}.explicit_http_config`, 'HTTP/3 is not supported by this proxy');
      return choice.value.protocolConfig.case === 'http2ProtocolOptions' ? 'http2' : 'http1';
    case 'useDownstreamProtocolConfig':
      return 'downstream';
    case 'autoConfig': {
      const at = `typed_extension_protocol_options.${PROTOCOL_OPTIONS}.auto_config`;
      checkFields(HttpProtocolOptions_AutoHttpConfigSchema, choice.value, AUTO, at, report);
      return 'auto';
    }
    default:
      return config.http2ProtocolOptions === undefined ? 'http1' : 'http2';
  }
}

function compileHttp(config: Cluster, report: CompileReport): UpstreamHttpSettings {
  let options: HttpProtocolOptions | undefined;
  for (const [name, any] of Object.entries(config.typedExtensionProtocolOptions)) {
    const path = `typed_extension_protocol_options.${name}`;
    if (name !== PROTOCOL_OPTIONS) {
      report.error(path, 'not supported by this proxy');
      continue;
    }
    options = unpack(any, HttpProtocolOptionsSchema, path, report);
    if (options !== undefined) checkFields(HttpProtocolOptionsSchema, options, HTTP, path, report);
  }
  const common: CommonHttp | undefined = options?.commonHttpProtocolOptions ?? config.commonHttpProtocolOptions;
  const choice = options?.upstreamProtocolOptions;
  const http2 =
    choice?.case === 'explicitHttpConfig' && choice.value.protocolConfig.case === 'http2ProtocolOptions'
      ? choice.value.protocolConfig.value
      : choice?.case === 'useDownstreamProtocolConfig' || choice?.case === 'autoConfig'
        ? choice.value.http2ProtocolOptions
        : config.http2ProtocolOptions;
  const http1 =
    choice?.case === 'explicitHttpConfig' && choice.value.protocolConfig.case === 'httpProtocolOptions'
      ? choice.value.protocolConfig.value
      : choice?.case === 'useDownstreamProtocolConfig' || choice?.case === 'autoConfig'
        ? choice.value.httpProtocolOptions
        : config.httpProtocolOptions;
  const upstream = options?.upstreamHttpProtocolOptions ?? config.upstreamHttpProtocolOptions;
  const at = options === undefined ? '' : `typed_extension_protocol_options.${PROTOCOL_OPTIONS}.`;
  checkCommonOptions(common, 'upstream', `${at}common_http_protocol_options`, report);
  checkHttp1Options(http1, `${at}http_protocol_options`, report);
  // SNI and names from the request: a certificate would be checked against nothing.
  if (upstream !== undefined) checkFields(UpstreamHttpProtocolOptionsSchema, upstream, UPSTREAM_HTTP, `${at}upstream_http_protocol_options`, report);
  return {
    protocol: protocolOf(options, config, report),
    idleTimeoutMs: durationMs(common?.idleTimeout, DEFAULT_IDLE_TIMEOUT_MS),
    maxConnectionDurationMs: durationMs(common?.maxConnectionDuration, 0),
    maxRequestsPerConnection: common?.maxRequestsPerConnection ?? config.maxRequestsPerConnection ?? 0,
    http2: compileHttp2(http2, undefined, `${at}http2_protocol_options`, report),
    maxHeadersCount: common?.maxHeadersCount ?? DEFAULT_MAX_HEADERS_COUNT,
  };
}

/** DNS servers that the cluster names, in one of three places, each newer than the other. */
function compileServers(config: Cluster, report: CompileReport): string[] {
  const any = config.typedDnsResolverConfig?.typedConfig;
  const typed = typeNameOf(any);
  let addresses: readonly Address[] = config.dnsResolutionConfig?.resolvers ?? config.dnsResolvers;
  let at = config.dnsResolutionConfig === undefined ? 'dns_resolvers' : 'dns_resolution_config.resolvers';
  if (typed === CARES_RESOLVER) {
    const cares = unpack(any, CaresDnsResolverConfigSchema, 'typed_dns_resolver_config.typed_config', report);
    if (cares !== undefined) checkFields(CaresDnsResolverConfigSchema, cares, CARES, 'typed_dns_resolver_config.typed_config', report);
    // Only where the system has none.
    addresses = cares?.useResolversAsFallback === true ? [] : (cares?.resolvers ?? []);
    at = 'typed_dns_resolver_config.typed_config.resolvers';
  } else if (typed !== '' && typed !== 'envoy.extensions.network.dns_resolver.getaddrinfo.v3.GetAddrInfoDnsResolverConfig')
    report.ignore('typed_dns_resolver_config');
  return addresses.flatMap((address, index) => {
    const compiled = compileAddress(address, `${at}[${index}]`, report);
    return compiled?.kind === 'socket' ? [hostPort(compiled.host, compiled.port)] : [];
  });
}

function compileDns(config: Cluster, report: CompileReport): DnsSettings {
  const refreshMs = durationMs(config.dnsRefreshRate, DEFAULT_DNS_REFRESH_MS);
  const families: Readonly<Record<number, DnsSettings['family']>> = {
    [Cluster_DnsLookupFamily.V4_ONLY]: 'v4',
    [Cluster_DnsLookupFamily.V6_ONLY]: 'v6',
    [Cluster_DnsLookupFamily.V4_PREFERRED]: 'v4-preferred',
    [Cluster_DnsLookupFamily.ALL]: 'all',
  };
  const failure = config.dnsFailureRefreshRate;
  const failureRefreshMs = durationMs(failure?.baseInterval, refreshMs);
  return {
    family: families[config.dnsLookupFamily] ?? 'auto',
    refreshMs,
    failureRefreshMs,
    failureMaxMs: failure === undefined ? 0 : durationMs(failure.maxInterval, failureRefreshMs * 10),
    respectTtl: config.respectDnsTtl,
    servers: compileServers(config, report),
  };
}

function compileOriginalDst({ lbConfig, cleanupInterval }: Cluster, report: CompileReport): OriginalDstSettings {
  const config = lbConfig.case === 'originalDstLbConfig' ? lbConfig.value : undefined;
  if (config !== undefined) checkFields(Cluster_OriginalDstLbConfigSchema, config, ORIGINAL_DST, 'original_dst_lb_config', report);
  return {
    httpHeader: config?.useHttpHeader !== true ? '' : config.httpHeaderName === '' ? ORIGINAL_DST_HEADER : config.httpHeaderName.toLowerCase(),
    portOverride: config?.upstreamPortOverride ?? 0,
    cleanupIntervalMs: Math.max(1, durationMs(cleanupInterval, DEFAULT_CLEANUP_INTERVAL_MS)),
  };
}

function serviceOf(istio: JsonObject | undefined): ServiceName | undefined {
  const services = istio?.['services'];
  const first: JsonValue | undefined = Array.isArray(services) ? services[0] : undefined;
  if (typeof first !== 'object' || first === null || Array.isArray(first)) return undefined;
  const text = (value: JsonValue | undefined): string => (typeof value === 'string' ? value : '');
  return { host: text(first['host']), name: text(first['name']), namespace: text(first['namespace']) };
}

function compileChecks(config: Cluster, discovery: ClusterDiscovery, report: CompileReport): ClusterConfig['healthCheck'] {
  if ((discovery !== 'dynamic-forward-proxy' && discovery !== 'original-dst') || config.healthChecks.length === 0)
    return compileHealthCheck(config.healthChecks, 'health_checks', report);
  // Its endpoints come and go with the requests that name them.
  report.ignore('health_checks');
  return null;
}

function compilePreconnect(policy: Cluster_PreconnectPolicy | undefined, report: CompileReport): number {
  if (policy === undefined) return 1;
  checkFields(Cluster_PreconnectPolicySchema, policy, PRECONNECT, 'preconnect_policy', report);
  const ratio = policy.perUpstreamPreconnectRatio ?? 1;
  if (!(ratio >= 1 && ratio <= MAX_PRECONNECT_RATIO))
    report.error('preconnect_policy.per_upstream_preconnect_ratio', `must be from 1 to ${MAX_PRECONNECT_RATIO}`);
  return ratio;
}

export function* clusterSteps(config: Cluster): Steps<CompileResult<ClusterConfig>> {
  const report = new CompileReport();
  if (config.name === '') report.error('name', 'must not be empty');
  checkFields(ClusterSchema, config, CLUSTER, '', report);
  const discovery = discoveryOf(config, report);
  let endpoints = config.loadAssignment === undefined ? null : yield* endpointSteps(config.loadAssignment, 'load_assignment.', report);
  if (config.commonLbConfig !== undefined) checkFields(Cluster_CommonLbConfigSchema, config.commonLbConfig, COMMON_LB, 'common_lb_config', report);
  if (config.edsClusterConfig !== undefined) checkFields(Cluster_EdsClusterConfigSchema, config.edsClusterConfig, EDS, 'eds_cluster_config', report);
  if (discovery === 'eds') {
    checkAds(config.edsClusterConfig?.edsConfig, 'eds_cluster_config.eds_config', report);
    if (endpoints !== null) report.error('load_assignment', 'not together with type EDS');
    endpoints = null;
  } else if (endpoints === null && discovery !== 'dynamic-forward-proxy' && discovery !== 'original-dst')
    endpoints = { clusterName: config.name, endpoints: [], overprovisioningFactor: 140 };
  const connectTimeoutMs = durationMs(config.connectTimeout, DEFAULT_CONNECT_TIMEOUT_MS);
  if (connectTimeoutMs <= 0) report.error('connect_timeout', 'must be more than 0');
  const http = compileHttp(config, report);
  const proxied = unwrapProxyProtocol(config.transportSocket, report);
  const transportSocketRules = config.transportSocketMatches.map((rule, index) => ({
    name: rule.name,
    match: rule.match ?? {},
    socket: withAlpn(
      compileTransportSocket(rule.transportSocket, `transport_socket_matches[${index}].transport_socket`, report),
      http.protocol,
      `transport_socket_matches[${index}].transport_socket`,
      report,
    ),
  }));
  const metadata = config.metadata?.filterMetadata ?? {};
  const edsServiceName = config.edsClusterConfig?.serviceName ?? '';
  return report.result({
    name: config.name,
    discovery,
    edsServiceName: edsServiceName === '' ? config.name : edsServiceName,
    endpoints,
    connectTimeoutMs,
    preconnectRatio: compilePreconnect(config.preconnectPolicy, report),
    bufferLimitBytes: config.perConnectionBufferLimitBytes ?? DEFAULT_BUFFER_LIMIT_BYTES,
    http,
    transportSocketRules,
    transportSocket: withAlpn(compileTransportSocket(proxied.socket, 'transport_socket', report), http.protocol, 'transport_socket', report),
    proxyProtocol: proxied.version,
    proxyTlvs: proxied.tlvs,
    connection: compileConnectionSettings(config, report),
    dns: compileDns(config, report),
    originalDst: compileOriginalDst(config, report),
    healthCheck: compileChecks(config, discovery, report),
    ignoreHealthOnRemoval: config.ignoreHealthOnHostRemoval,
    closeOnHealthFailure: config.closeConnectionsOnHostHealthFailure,
    service: serviceOf(metadata['istio']),
    httpAlpn: httpAlpnOf(metadata['outrigger.dev']),
    mesh: metadata['outrigger.dev'] ?? {},
    message: config,
    ignored: report.ignored,
  });
}

export function compileCluster(config: Cluster): CompileResult<ClusterConfig> {
  return atOnce(clusterSteps(config));
}
