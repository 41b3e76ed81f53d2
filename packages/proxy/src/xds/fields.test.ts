import type { DescMessage, JsonObject } from '@bufbuild/protobuf';
import { CircuitBreakers_ThresholdsSchema } from '@outrigger/xds/protos/envoy/config/cluster/v3/circuit_breaker';
import {
  Cluster_CommonLbConfigSchema,
  Cluster_OriginalDstLbConfigSchema,
  ClusterSchema,
  UpstreamConnectionOptionsSchema,
} from '@outrigger/xds/protos/envoy/config/cluster/v3/cluster';
import { OutlierDetectionSchema } from '@outrigger/xds/protos/envoy/config/cluster/v3/outlier_detection';
import { BindConfigSchema } from '@outrigger/xds/protos/envoy/config/core/v3/address';
import {
  HealthCheck_GrpcHealthCheckSchema,
  HealthCheck_HttpHealthCheckSchema,
  HealthCheck_TcpHealthCheckSchema,
  HealthCheckSchema,
} from '@outrigger/xds/protos/envoy/config/core/v3/health_check';
import {
  HttpProtocolOptionsSchema as CommonOptionsSchema,
  Http1ProtocolOptionsSchema,
  Http2ProtocolOptionsSchema,
  KeepaliveSettingsSchema,
  UpstreamHttpProtocolOptionsSchema,
} from '@outrigger/xds/protos/envoy/config/core/v3/protocol';
import { ProxyProtocolPassThroughTLVsSchema } from '@outrigger/xds/protos/envoy/config/core/v3/proxy_protocol';
import { SocketOptionSchema } from '@outrigger/xds/protos/envoy/config/core/v3/socket_option';
import { ClusterLoadAssignment_PolicySchema, ClusterLoadAssignmentSchema } from '@outrigger/xds/protos/envoy/config/endpoint/v3/endpoint';
import { EndpointSchema, LbEndpointSchema, LocalityLbEndpointsSchema } from '@outrigger/xds/protos/envoy/config/endpoint/v3/endpoint_components';
import { AdditionalAddressSchema, ListenerSchema } from '@outrigger/xds/protos/envoy/config/listener/v3/listener';
import { FilterChainMatchSchema, FilterChainSchema, ListenerFilterSchema } from '@outrigger/xds/protos/envoy/config/listener/v3/listener_components';
import { RouteConfigurationSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route';
import {
  RetryPolicySchema,
  RouteAction_RequestMirrorPolicySchema,
  RouteActionSchema,
  RouteMatchSchema,
  RouteSchema,
  VirtualHostSchema,
  WeightedCluster_ClusterWeightSchema,
  WeightedClusterSchema,
} from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
import { HTTPFaultSchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/fault/v3/fault';
import { RBACSchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/rbac/v3/rbac';
import { RouterSchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/router/v3/router';
import { ProxyProtocolSchema } from '@outrigger/xds/protos/envoy/extensions/filters/listener/proxy_protocol/v3/proxy_protocol';
import { ConnectionLimitSchema } from '@outrigger/xds/protos/envoy/extensions/filters/network/connection_limit/v3/connection_limit';
import {
  HttpConnectionManager_ProxyStatusConfigSchema,
  HttpConnectionManager_SetCurrentClientCertDetailsSchema,
  HttpConnectionManager_TracingSchema,
  HttpConnectionManager_UpgradeConfigSchema,
  HttpConnectionManagerSchema,
  HttpFilterSchema,
} from '@outrigger/xds/protos/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager';
import { LocalRateLimitSchema as NetworkRateLimitSchema } from '@outrigger/xds/protos/envoy/extensions/filters/network/local_ratelimit/v3/local_rate_limit';
import { TcpProxySchema } from '@outrigger/xds/protos/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy';
import { CaresDnsResolverConfigSchema } from '@outrigger/xds/protos/envoy/extensions/network/dns_resolver/cares/v3/cares_dns_resolver';
import {
  CertificateValidationContextSchema,
  TlsCertificateSchema,
  TlsParametersSchema,
} from '@outrigger/xds/protos/envoy/extensions/transport_sockets/tls/v3/common';
import {
  CommonTlsContextSchema,
  DownstreamTlsContextSchema,
  UpstreamTlsContextSchema,
} from '@outrigger/xds/protos/envoy/extensions/transport_sockets/tls/v3/tls';
import { HttpProtocolOptionsSchema } from '@outrigger/xds/protos/envoy/extensions/upstreams/http/v3/http_protocol_options';
import { expect, it } from 'vitest';
import { compileRouteConfiguration } from '../routing/compile-routes.ts';
import { message, typed } from '../testing/messages.ts';
import { TestAuthority } from '../tls/testing/certificates.ts';
import { compileClusterPolicies } from '../upstream/cluster.ts';
import { compileCluster } from './compile-cluster.ts';
import { compileLoadAssignment } from './compile-endpoints.ts';
import { compileListener } from './compile-listener.ts';
import { type Outcome, probe, type Subject } from './testing/probe.ts';

type Compiled = { readonly ok: true; readonly ignored: readonly string[] } | { readonly ok: false; readonly errors: Outcome['errors'] };

const outcome = (compiled: Compiled): Outcome => (compiled.ok ? { errors: [], ignored: compiled.ignored } : { errors: compiled.errors, ignored: [] });

// ---- the messages, each in its place ----

const ADS = { ads: {} };
const ROUTES = { name: 'r', virtualHosts: [{ name: 'v', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: 'c' } }] }] };
const HCM_TYPE = 'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';
const HCM_PATH = 'filter_chains[0].filters[0].typed_config';
const ROUTER: JsonObject = { name: 'router', typedConfig: typed('envoy.extensions.filters.http.router.v3.Router') };
const MANAGER: JsonObject = { statPrefix: 'x', routeConfig: ROUTES, httpFilters: [ROUTER] };
const LISTENER: JsonObject = { name: 'l', internalListener: {}, filterChains: [{ filters: [{ name: 'x', typedConfig: typed(HCM_TYPE, MANAGER) }] }] };

const listener = (json: JsonObject): Outcome => outcome(compileListener(message(ListenerSchema, json), 'node'));
const chain = (json: JsonObject): Outcome => listener({ ...LISTENER, filterChains: [json] });
const manager = (json: JsonObject): Outcome => chain({ filters: [{ name: 'x', typedConfig: typed(HCM_TYPE, json) }] });
const inManager = (field: string, schema: DescMessage, base: JsonObject = {}): Subject => ({
  schema,
  base,
  path: `${HCM_PATH}.${field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}`,
  compile: (json) => manager({ ...MANAGER, [field]: json }),
});
const httpFilter = (type: string, schema: DescMessage): Subject => ({
  schema,
  base: {},
  path: `${HCM_PATH}.http_filters[0].typed_config`,
  compile: (json) => manager({ ...MANAGER, httpFilters: [{ name: 'f', typedConfig: typed(type, json) }, ROUTER] }),
});

const TLS_INSPECTOR = 'envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector';
const proxyProtocol = (json: JsonObject): Outcome =>
  listener({
    ...LISTENER,
    listenerFilters: [{ name: 'x', typedConfig: typed('envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol', json) }],
  });
/** A network filter before the TCP proxy. */
const gate = (type: string, schema: DescMessage, base: JsonObject): Subject => ({
  schema,
  base,
  path: HCM_PATH,
  compile: (json) =>
    chain({
      filters: [
        { name: 'x', typedConfig: typed(`envoy.extensions.filters.network.${type}`, json) },
        { name: 'y', typedConfig: typed('envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', { statPrefix: 'x', cluster: 'c' }) },
      ],
    }),
});

const routes = (json: JsonObject): Outcome => outcome(compileRouteConfiguration(message(RouteConfigurationSchema, json)));
const virtualHost = (json: JsonObject): Outcome => routes({ name: 'r', virtualHosts: [json] });
const route = (json: JsonObject): Outcome => virtualHost({ name: 'v', domains: ['*'], routes: [json] });
const action = (json: JsonObject): Outcome => route({ match: { prefix: '/' }, route: json });
const ACTION_PATH = 'virtual_hosts[0].routes[0].route';

const EDS: JsonObject = { name: 'c', type: 'EDS', edsClusterConfig: { edsConfig: ADS } };
function cluster(json: JsonObject): Outcome {
  const compiled = compileCluster(message(ClusterSchema, json));
  if (!compiled.ok) return outcome(compiled);
  const policies = compileClusterPolicies(compiled.value);
  return policies.ok ? { errors: [], ignored: [...compiled.value.ignored, ...policies.value.ignored] } : { errors: policies.errors, ignored: [] };
}
const inCluster = (field: string, path: string, schema: DescMessage, base: JsonObject = {}, list = false): Subject => ({
  schema,
  base,
  path,
  compile: (json) => cluster({ ...EDS, [field]: list ? [json] : json }),
});
const CARES = 'envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig';
const HEALTH_CHECK: JsonObject = { timeout: '1s', interval: '1s', unhealthyThreshold: 1, healthyThreshold: 1, tcpHealthCheck: {} };
const healthCheck = (field: string, schema: DescMessage, base: JsonObject = {}): Subject => ({
  schema,
  base,
  path: `health_checks[0]${field === '' ? '' : `.${field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}`}`,
  compile: (json) => {
    const { tcpHealthCheck: _, ...rest } = HEALTH_CHECK;
    return cluster({ ...EDS, healthChecks: [field === '' ? json : { ...rest, [field]: json }] });
  },
});
const OPTIONS = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
const EXPLICIT: JsonObject = { explicitHttpConfig: { http2ProtocolOptions: {} } };
const options = (json: JsonObject): Outcome => cluster({ ...EDS, typedExtensionProtocolOptions: { [OPTIONS]: typed(OPTIONS, json) } });
const breakers = (field: 'thresholds' | 'perHostThresholds', path: string): Subject => ({
  schema: CircuitBreakers_ThresholdsSchema,
  base: {},
  path: `circuit_breakers.${path}[0]`,
  compile: (json) => cluster({ ...EDS, circuitBreakers: { [field]: [json] } }),
});

const endpoints = (json: JsonObject): Outcome => outcome(compileLoadAssignment(message(ClusterLoadAssignmentSchema, json)));
const ENDPOINT: JsonObject = { address: { socketAddress: { address: '127.0.0.1', portValue: 1 } } };

const DOWNSTREAM_TLS = 'envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext';
const UPSTREAM_TLS = 'envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext';
const ISSUED = new TestAuthority().issue({ dns: ['a'] });
const CERTIFICATE = { certificateChain: { inlineString: ISSUED.chainPem }, privateKey: { inlineString: ISSUED.keyPem } };
const COMMON_TLS: JsonObject = { tlsCertificates: [CERTIFICATE] };
const downstreamTls = (json: JsonObject): Outcome =>
  chain({ filters: [{ name: 'x', typedConfig: typed(HCM_TYPE, MANAGER) }], transportSocket: { name: 'tls', typedConfig: typed(DOWNSTREAM_TLS, json) } });
const commonTls = (json: JsonObject): Outcome => downstreamTls({ commonTlsContext: json });
const TLS_PATH = 'filter_chains[0].transport_socket.typed_config';

const SUBJECTS: Readonly<Record<string, Subject>> = {
  Listener: { schema: ListenerSchema, base: LISTENER, path: '', compile: listener },
  ListenerFilter: {
    schema: ListenerFilterSchema,
    base: { name: 'x', typedConfig: typed(TLS_INSPECTOR) },
    path: 'listener_filters[0]',
    compile: (json) => listener({ ...LISTENER, listenerFilters: [json] }),
  },
  ProxyProtocol: { schema: ProxyProtocolSchema, base: {}, path: 'listener_filters[0].typed_config', compile: proxyProtocol },
  ProxyProtocolPassThroughTLVs: {
    schema: ProxyProtocolPassThroughTLVsSchema,
    base: {},
    path: 'listener_filters[0].typed_config.pass_through_tlvs',
    compile: (json) => proxyProtocol({ passThroughTlvs: json }),
  },
  'Listener.AdditionalAddress': {
    schema: AdditionalAddressSchema,
    base: ENDPOINT,
    path: 'additional_addresses[0]',
    compile: (json) => listener({ ...LISTENER, additionalAddresses: [json] }),
  },
  SocketOption: {
    schema: SocketOptionSchema,
    base: { level: '1', name: '9', intValue: '1' },
    path: 'socket_options[0]',
    compile: (json) => listener({ ...LISTENER, socketOptions: [json] }),
  },
  ConnectionLimit: gate('connection_limit.v3.ConnectionLimit', ConnectionLimitSchema, { maxConnections: '1' }),
  LocalRateLimit: gate('local_ratelimit.v3.LocalRateLimit', NetworkRateLimitSchema, { tokenBucket: { maxTokens: 1, fillInterval: '1s' } }),
  FilterChain: {
    schema: FilterChainSchema,
    base: { filters: [{ name: 'x', typedConfig: typed(HCM_TYPE, MANAGER) }] },
    path: 'filter_chains[0]',
    compile: chain,
  },
  FilterChainMatch: {
    schema: FilterChainMatchSchema,
    base: {},
    path: 'filter_chains[0].filter_chain_match',
    compile: (json) => chain({ filters: [{ name: 'x', typedConfig: typed(HCM_TYPE, MANAGER) }], filterChainMatch: json }),
  },
  HttpConnectionManager: { schema: HttpConnectionManagerSchema, base: MANAGER, path: HCM_PATH, compile: manager },
  'HttpConnectionManager.Tracing': inManager('tracing', HttpConnectionManager_TracingSchema),
  'HttpConnectionManager.SetCurrentClientCertDetails': inManager('setCurrentClientCertDetails', HttpConnectionManager_SetCurrentClientCertDetailsSchema),
  'HttpConnectionManager.ProxyStatusConfig': inManager('proxyStatusConfig', HttpConnectionManager_ProxyStatusConfigSchema),
  'HttpConnectionManager.UpgradeConfig': {
    schema: HttpConnectionManager_UpgradeConfigSchema,
    base: {},
    path: `${HCM_PATH}.upgrade_configs[0]`,
    compile: (json) => manager({ ...MANAGER, upgradeConfigs: [json] }),
  },
  'HttpProtocolOptions, downstream': inManager('commonHttpProtocolOptions', CommonOptionsSchema),
  Http1ProtocolOptions: inManager('httpProtocolOptions', Http1ProtocolOptionsSchema),
  Http2ProtocolOptions: inManager('http2ProtocolOptions', Http2ProtocolOptionsSchema),
  KeepaliveSettings: {
    schema: KeepaliveSettingsSchema,
    base: { timeout: '1s' },
    path: `${HCM_PATH}.http2_protocol_options.connection_keepalive`,
    compile: (json) => manager({ ...MANAGER, http2ProtocolOptions: { connectionKeepalive: json } }),
  },
  HttpFilter: {
    schema: HttpFilterSchema,
    base: ROUTER,
    path: `${HCM_PATH}.http_filters[0]`,
    compile: (json) => manager({ ...MANAGER, httpFilters: [json] }),
  },
  Router: {
    ...httpFilter('envoy.extensions.filters.http.router.v3.Router', RouterSchema),
    compile: (json) => manager({ ...MANAGER, httpFilters: [{ name: 'r', typedConfig: typed('envoy.extensions.filters.http.router.v3.Router', json) }] }),
  },
  RBAC: httpFilter('envoy.extensions.filters.http.rbac.v3.RBAC', RBACSchema),
  HTTPFault: httpFilter('envoy.extensions.filters.http.fault.v3.HTTPFault', HTTPFaultSchema),
  TcpProxy: {
    schema: TcpProxySchema,
    base: { statPrefix: 'x', cluster: 'c' },
    path: HCM_PATH,
    compile: (json) => chain({ filters: [{ name: 'x', typedConfig: typed('envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', json) }] }),
  },
  DownstreamTlsContext: { schema: DownstreamTlsContextSchema, base: { commonTlsContext: COMMON_TLS }, path: TLS_PATH, compile: downstreamTls },
  CommonTlsContext: { schema: CommonTlsContextSchema, base: COMMON_TLS, path: `${TLS_PATH}.common_tls_context`, compile: commonTls },
  TlsCertificate: {
    schema: TlsCertificateSchema,
    base: CERTIFICATE,
    path: `${TLS_PATH}.common_tls_context.tls_certificates[0]`,
    compile: (json) => commonTls({ tlsCertificates: [json] }),
  },
  TlsParameters: {
    schema: TlsParametersSchema,
    base: {},
    path: `${TLS_PATH}.common_tls_context.tls_params`,
    compile: (json) => commonTls({ ...COMMON_TLS, tlsParams: json }),
  },
  CertificateValidationContext: {
    schema: CertificateValidationContextSchema,
    base: {},
    path: `${TLS_PATH}.common_tls_context.validation_context`,
    compile: (json) => commonTls({ ...COMMON_TLS, validationContext: json }),
  },
  RouteConfiguration: { schema: RouteConfigurationSchema, base: ROUTES, path: '', compile: routes },
  VirtualHost: { schema: VirtualHostSchema, base: ROUTES.virtualHosts[0]!, path: 'virtual_hosts[0]', compile: virtualHost },
  Route: { schema: RouteSchema, base: ROUTES.virtualHosts[0]!.routes[0]!, path: 'virtual_hosts[0].routes[0]', compile: route },
  RouteMatch: {
    schema: RouteMatchSchema,
    base: { prefix: '/' },
    path: 'virtual_hosts[0].routes[0].match',
    compile: (json) => route({ match: json, route: { cluster: 'c' } }),
  },
  RouteAction: { schema: RouteActionSchema, base: { cluster: 'c' }, path: ACTION_PATH, compile: action },
  RetryPolicy: { schema: RetryPolicySchema, base: {}, path: `${ACTION_PATH}.retry_policy`, compile: (json) => action({ cluster: 'c', retryPolicy: json }) },
  RequestMirrorPolicy: {
    schema: RouteAction_RequestMirrorPolicySchema,
    base: { cluster: 'm' },
    path: `${ACTION_PATH}.request_mirror_policies[0]`,
    compile: (json) => action({ cluster: 'c', requestMirrorPolicies: [json] }),
  },
  WeightedCluster: {
    schema: WeightedClusterSchema,
    base: { clusters: [{ name: 'c', weight: 1 }] },
    path: `${ACTION_PATH}.weighted_clusters`,
    compile: (json) => action({ weightedClusters: json }),
  },
  'WeightedCluster.ClusterWeight': {
    schema: WeightedCluster_ClusterWeightSchema,
    base: { name: 'c', weight: 1 },
    path: `${ACTION_PATH}.weighted_clusters.clusters[0]`,
    compile: (json) => action({ weightedClusters: { clusters: [json] } }),
  },
  Cluster: { schema: ClusterSchema, base: EDS, path: '', compile: cluster },
  'Cluster.CommonLbConfig': inCluster('commonLbConfig', 'common_lb_config', Cluster_CommonLbConfigSchema),
  OutlierDetection: inCluster('outlierDetection', 'outlier_detection', OutlierDetectionSchema, { enforcingSuccessRate: 0 }),
  HealthCheck: healthCheck('', HealthCheckSchema, HEALTH_CHECK),
  'HealthCheck.HttpHealthCheck': healthCheck('httpHealthCheck', HealthCheck_HttpHealthCheckSchema, { path: '/', method: 'POST' }),
  'HealthCheck.TcpHealthCheck': healthCheck('tcpHealthCheck', HealthCheck_TcpHealthCheckSchema),
  'HealthCheck.GrpcHealthCheck': healthCheck('grpcHealthCheck', HealthCheck_GrpcHealthCheckSchema),
  UpstreamConnectionOptions: inCluster('upstreamConnectionOptions', 'upstream_connection_options', UpstreamConnectionOptionsSchema),
  'BindConfig of the cluster': inCluster('upstreamBindConfig', 'upstream_bind_config', BindConfigSchema),
  'Cluster.OriginalDstLbConfig': {
    schema: Cluster_OriginalDstLbConfigSchema,
    base: {},
    path: 'original_dst_lb_config',
    compile: (json) => cluster({ name: 'c', type: 'ORIGINAL_DST', lbPolicy: 'CLUSTER_PROVIDED', originalDstLbConfig: json }),
  },
  CaresDnsResolverConfig: {
    schema: CaresDnsResolverConfigSchema,
    base: {},
    path: 'typed_dns_resolver_config.typed_config',
    compile: (json) => cluster({ ...EDS, typedDnsResolverConfig: { name: 'cares', typedConfig: typed(CARES, json) } }),
  },
  'CircuitBreakers.Thresholds': breakers('thresholds', 'thresholds'),
  'CircuitBreakers.Thresholds, per host': breakers('perHostThresholds', 'per_host_thresholds'),
  'HttpProtocolOptions of the cluster': {
    schema: HttpProtocolOptionsSchema,
    base: EXPLICIT,
    path: `typed_extension_protocol_options.${OPTIONS}`,
    compile: options,
  },
  'HttpProtocolOptions, upstream': {
    schema: CommonOptionsSchema,
    base: {},
    path: `typed_extension_protocol_options.${OPTIONS}.common_http_protocol_options`,
    compile: (json) => options({ ...EXPLICIT, commonHttpProtocolOptions: json }),
  },
  UpstreamHttpProtocolOptions: {
    schema: UpstreamHttpProtocolOptionsSchema,
    base: {},
    path: `typed_extension_protocol_options.${OPTIONS}.upstream_http_protocol_options`,
    compile: (json) => options({ ...EXPLICIT, upstreamHttpProtocolOptions: json }),
  },
  UpstreamTlsContext: {
    schema: UpstreamTlsContextSchema,
    base: {},
    path: 'transport_socket.typed_config',
    compile: (json) => cluster({ ...EDS, transportSocket: { name: 'tls', typedConfig: typed(UPSTREAM_TLS, json) } }),
  },
  ClusterLoadAssignment: { schema: ClusterLoadAssignmentSchema, base: { clusterName: 'c' }, path: '', compile: endpoints },
  'ClusterLoadAssignment.Policy': {
    schema: ClusterLoadAssignment_PolicySchema,
    base: {},
    path: 'policy',
    compile: (json) => endpoints({ clusterName: 'c', policy: json }),
  },
  LocalityLbEndpoints: {
    schema: LocalityLbEndpointsSchema,
    base: {},
    path: 'endpoints[0]',
    compile: (json) => endpoints({ clusterName: 'c', endpoints: [json] }),
  },
  LbEndpoint: {
    schema: LbEndpointSchema,
    base: { endpoint: ENDPOINT },
    path: 'endpoints[0].lb_endpoints[0]',
    compile: (json) => endpoints({ clusterName: 'c', endpoints: [{ lbEndpoints: [json] }] }),
  },
  Endpoint: {
    schema: EndpointSchema,
    base: ENDPOINT,
    path: 'endpoints[0].lb_endpoints[0].endpoint',
    compile: (json) => endpoints({ clusterName: 'c', endpoints: [{ lbEndpoints: [{ endpoint: json }] }] }),
  },
};

it.each(Object.keys(SUBJECTS))('the right %s is taken as a whole, with nothing to be named', (name) => {
  const { base, compile } = SUBJECTS[name]!;
  expect(compile(base)).toEqual({ errors: [], ignored: [] });
});

/** What this proxy says that it does. A field that a later version of the messages brings fails here until somebody has decided. */
const BECOMES: Readonly<Record<string, { readonly effect: string; readonly named: string; readonly refused: string }>> = {
  Listener: {
    effect: `name address additional_addresses filter_chains use_original_dst default_filter_chain per_connection_buffer_limit_bytes
       listener_filters_timeout continue_on_listener_filters_timeout socket_options tcp_fast_open_queue_length traffic_direction reuse_port
       enable_reuse_port tcp_backlog_size bind_to_port internal_listener ignore_global_conn_limit`,
    named: `stat_prefix metadata drain_type freebind connection_balance_config access_log max_connections_to_accept_per_socket_event enable_mptcp
       bypass_overload_manager`,
    refused: 'filter_chain_matcher deprecated_v1 listener_filters transparent udp_listener_config api_listener',
  },
  ListenerFilter: { effect: 'name typed_config', named: '', refused: 'config_discovery filter_disabled' },
  ProxyProtocol: {
    effect: 'allow_requests_without_proxy_protocol pass_through_tlvs disallowed_versions',
    named: 'stat_prefix',
    refused: 'rules',
  },
  ProxyProtocolPassThroughTLVs: { effect: 'match_type tlv_type', named: '', refused: '' },
  'Listener.AdditionalAddress': { effect: 'address socket_options', named: '', refused: '' },
  SocketOption: { effect: 'description level name int_value buf_value state', named: '', refused: '' },
  ConnectionLimit: { effect: 'max_connections delay runtime_enabled', named: 'stat_prefix', refused: '' },
  LocalRateLimit: { effect: 'token_bucket runtime_enabled', named: 'stat_prefix', refused: 'share_key' },
  FilterChain: {
    effect: 'filter_chain_match transport_socket_connect_timeout name',
    named: 'metadata',
    refused: 'filters use_proxy_proto transport_socket on_demand_configuration',
  },
  FilterChainMatch: {
    effect: `destination_port prefix_ranges direct_source_prefix_ranges source_type source_prefix_ranges source_ports server_names
       transport_protocol application_protocols`,
    named: '',
    refused: 'address_suffix suffix_len',
  },
  HttpConnectionManager: {
    effect: `stat_prefix route_config tracing common_http_protocol_options http_protocol_options http2_protocol_options server_name
       server_header_transformation scheme_header_transformation max_request_headers_kb stream_idle_timeout request_timeout request_headers_timeout
       drain_timeout delayed_close_timeout use_remote_address xff_num_trusted_hops internal_address_config skip_xff_append via generate_request_id
       preserve_external_request_id always_set_request_id_in_response forward_client_cert_details set_current_client_cert_details upgrade_configs
       normalize_path merge_slashes path_with_escaped_slashes_action local_reply_config strip_matching_host_port strip_any_host_port
       stream_error_on_invalid_http_message strip_trailing_host_dot proxy_status_config append_x_forwarded_port`,
    named: `add_user_agent http3_protocol_options access_log access_log_flush_interval flush_access_log_on_new_request access_log_options
       proxy_100_continue represent_ipv4_remote_address_as_ipv4_mapped_ipv6 append_local_overload add_proxy_protocol_connection_state`,
    refused: `codec_type rds scoped_routes http_filters original_ip_detection_extensions early_header_mutation_extensions request_id_extension
       path_normalization_options typed_header_validation_config`,
  },
  'HttpConnectionManager.Tracing': {
    effect: 'random_sampling',
    named: 'client_sampling overall_sampling verbose max_path_tag_length custom_tags provider spawn_upstream_span',
    refused: '',
  },
  'HttpConnectionManager.SetCurrentClientCertDetails': {
    effect: 'subject dns uri',
    named: '',
    refused: 'cert chain',
  },
  'HttpConnectionManager.ProxyStatusConfig': {
    effect: 'use_node_id literal_proxy_name',
    named: 'remove_details remove_connection_termination_details remove_response_flags set_recommended_response_code',
    refused: '',
  },
  'HttpConnectionManager.UpgradeConfig': {
    effect: 'upgrade_type enabled',
    named: '',
    refused: 'filters',
  },
  'HttpProtocolOptions, downstream': {
    effect: 'idle_timeout max_connection_duration max_headers_count max_stream_duration headers_with_underscores_action max_requests_per_connection',
    named: '',
    refused: '',
  },
  Http1ProtocolOptions: {
    effect: 'accept_http_10',
    named: `allow_absolute_url header_key_format enable_trailers allow_chunked_length override_stream_error_on_invalid_http_message
       send_fully_qualified_url use_balsa_parser allow_custom_methods`,
    refused: 'default_host_for_http_10',
  },
  Http2ProtocolOptions: {
    effect: `hpack_table_size max_concurrent_streams initial_stream_window_size initial_connection_window_size allow_connect max_outbound_frames
       max_outbound_control_frames max_consecutive_inbound_frames_with_empty_payload max_inbound_priority_frames_per_stream
       max_inbound_window_update_frames_per_data_frame_sent stream_error_on_invalid_http_messaging
       override_stream_error_on_invalid_http_message custom_settings_parameters connection_keepalive`,
    named: 'allow_metadata use_oghttp2_codec',
    refused: '',
  },
  KeepaliveSettings: {
    effect: 'interval timeout interval_jitter connection_idle_interval',
    named: '',
    refused: '',
  },
  HttpFilter: {
    effect: 'name typed_config is_optional disabled',
    named: '',
    refused: 'config_discovery',
  },
  Router: {
    effect: 'suppress_envoy_headers',
    named: `dynamic_stats start_child_span upstream_log upstream_log_options strict_check_headers respect_expected_rq_timeout
       suppress_grpc_request_failure_code_stats`,
    refused: 'upstream_http_filters',
  },
  RBAC: {
    effect: 'rules',
    named: 'rules_stat_prefix shadow_rules shadow_matcher shadow_rules_stat_prefix track_per_rule_stats',
    refused: 'matcher',
  },
  HTTPFault: {
    effect: 'delay abort upstream_cluster headers',
    named: `max_active_faults delay_percent_runtime abort_percent_runtime delay_duration_runtime abort_http_status_runtime max_active_faults_runtime
       response_rate_limit_percent_runtime abort_grpc_status_runtime disable_downstream_cluster_stats filter_metadata`,
    refused: 'downstream_nodes response_rate_limit',
  },
  TcpProxy: {
    effect: 'stat_prefix cluster weighted_clusters on_demand metadata_match idle_timeout max_connect_attempts max_downstream_connection_duration',
    named: `downstream_idle_timeout upstream_idle_timeout access_log access_log_flush_interval flush_access_log_on_connected access_log_options`,
    // A hash policy that names nothing is none.
    refused: 'hash_policy tunneling_config',
  },
  DownstreamTlsContext: {
    effect: `common_tls_context require_client_certificate require_sni session_ticket_keys disable_stateless_session_resumption
       disable_stateful_session_resumption session_timeout`,
    named: 'session_ticket_keys_sds_secret_config full_scan_certs_on_sni_mismatch',
    refused: 'ocsp_staple_policy',
  },
  CommonTlsContext: {
    effect: `tls_params tls_certificates tls_certificate_sds_secret_configs validation_context validation_context_sds_secret_config
       combined_validation_context alpn_protocols`,
    named: 'key_log',
    refused: `tls_certificate_provider_instance tls_certificate_certificate_provider tls_certificate_certificate_provider_instance
       validation_context_certificate_provider validation_context_certificate_provider_instance custom_handshaker`,
  },
  TlsCertificate: {
    effect: 'certificate_chain private_key',
    named: 'watched_directory ocsp_staple signed_certificate_timestamp',
    refused: 'pkcs12 private_key_provider password',
  },
  TlsParameters: {
    effect: 'tls_minimum_protocol_version tls_maximum_protocol_version cipher_suites ecdh_curves signature_algorithms',
    named: '',
    refused: '',
  },
  CertificateValidationContext: {
    effect: 'trusted_ca verify_certificate_spki verify_certificate_hash match_typed_subject_alt_names match_subject_alt_names crl',
    named: 'watched_directory',
    refused: `ca_certificate_provider_instance system_root_certs require_signed_certificate_timestamp allow_expired_certificate
       trust_chain_verification custom_validator_config only_verify_leaf_cert_crl max_verify_depth`,
  },
  RouteConfiguration: {
    effect: `name virtual_hosts response_headers_to_add response_headers_to_remove request_headers_to_add request_headers_to_remove
       most_specific_header_mutations_wins max_direct_response_body_size_bytes request_mirror_policies ignore_port_in_host_matching
       ignore_path_parameters_in_path_matching`,
    named: 'validate_clusters metadata',
    refused: 'vhds internal_only_headers cluster_specifier_plugins typed_per_filter_config',
  },
  VirtualHost: {
    effect: `name domains routes require_tls rate_limits request_headers_to_add request_headers_to_remove response_headers_to_add
       response_headers_to_remove cors include_request_attempt_count include_attempt_count_in_response retry_policy hedge_policy
       include_is_timeout_retry_header per_request_buffer_limit_bytes request_mirror_policies`,
    named: 'virtual_clusters metadata',
    refused: 'matcher typed_per_filter_config retry_policy_typed_config',
  },
  Route: {
    effect: `name match route redirect direct_response non_forwarding_action metadata decorator request_headers_to_add request_headers_to_remove
       response_headers_to_add response_headers_to_remove per_request_buffer_limit_bytes`,
    named: 'tracing stat_prefix',
    refused: 'filter_action typed_per_filter_config',
  },
  RouteMatch: {
    effect: `prefix path safe_regex connect_matcher path_separated_prefix case_sensitive runtime_fraction headers query_parameters grpc tls_context
       dynamic_metadata`,
    named: '',
    refused: 'path_match_policy',
  },
  RouteAction: {
    effect: `cluster cluster_header weighted_clusters cluster_not_found_response_code metadata_match prefix_rewrite regex_rewrite
       host_rewrite_literal auto_host_rewrite host_rewrite_header host_rewrite_path_regex append_x_forwarded_host timeout idle_timeout
       retry_policy request_mirror_policies rate_limits include_vh_rate_limits hash_policy cors max_grpc_timeout grpc_timeout_offset
       upgrade_configs internal_redirect_policy internal_redirect_action max_internal_redirects hedge_policy max_stream_duration`,
    named: 'early_data_policy priority',
    refused: 'cluster_specifier_plugin inline_cluster_specifier_plugin path_rewrite_policy retry_policy_typed_config',
  },
  RetryPolicy: {
    effect: `retry_on num_retries per_try_timeout per_try_idle_timeout host_selection_retry_max_attempts retriable_status_codes retry_back_off
       rate_limited_retry_back_off retriable_headers retriable_request_headers`,
    named: 'retry_options_predicates',
    refused: 'retry_priority retry_host_predicate',
  },
  RequestMirrorPolicy: {
    effect: 'cluster cluster_header runtime_fraction disable_shadow_host_suffix_append',
    named: 'trace_sampled',
    refused: '',
  },
  WeightedCluster: {
    effect: 'clusters total_weight header_name',
    named: 'runtime_key_prefix',
    refused: '',
  },
  'WeightedCluster.ClusterWeight': {
    effect: `name cluster_header weight metadata_match request_headers_to_add request_headers_to_remove response_headers_to_add
       response_headers_to_remove host_rewrite_literal`,
    named: '',
    refused: 'typed_per_filter_config',
  },
  Cluster: {
    effect: `transport_socket_matches name type connect_timeout load_assignment health_checks max_requests_per_connection circuit_breakers
       upstream_http_protocol_options common_http_protocol_options http_protocol_options http2_protocol_options dns_refresh_rate
       dns_failure_refresh_rate respect_dns_ttl dns_lookup_family dns_resolvers dns_resolution_config typed_dns_resolver_config
       wait_for_warm_on_init outlier_detection cleanup_interval upstream_bind_config lb_subset_config ring_hash_lb_config
       maglev_lb_config original_dst_lb_config least_request_lb_config round_robin_lb_config common_lb_config metadata
       upstream_connection_options close_connections_on_host_health_failure ignore_health_on_host_removal load_balancing_policy`,
    named: `alt_stat_name per_connection_buffer_limit_bytes use_tcp_for_dns_lookups protocol_selection lrs_report_endpoint_metrics
       track_timeout_budgets track_cluster_stats preconnect_policy`,
    refused: `cluster_type eds_cluster_config lb_policy typed_extension_protocol_options transport_socket filters lrs_server upstream_config
       connection_pool_per_downstream_connection`,
  },
  'Cluster.CommonLbConfig': {
    effect: `healthy_panic_threshold zone_aware_lb_config locality_weighted_lb_config ignore_new_hosts_until_first_hc
       consistent_hashing_lb_config`,
    named: 'update_merge_window close_connections_on_host_set_change override_host_status',
    refused: '',
  },
  OutlierDetection: {
    effect: `consecutive_5xx interval base_ejection_time max_ejection_percent enforcing_consecutive_5xx enforcing_success_rate success_rate_minimum_hosts
       success_rate_request_volume success_rate_stdev_factor consecutive_gateway_failure enforcing_consecutive_gateway_failure
       split_external_local_origin_errors consecutive_local_origin_failure enforcing_consecutive_local_origin_failure
       enforcing_local_origin_success_rate failure_percentage_threshold enforcing_failure_percentage enforcing_failure_percentage_local_origin
       failure_percentage_minimum_hosts failure_percentage_request_volume max_ejection_time max_ejection_time_jitter
       successful_active_health_check_uneject_host always_eject_one_host`,
    named: 'monitors',
    refused: '',
  },
  HealthCheck: {
    effect: `timeout interval initial_jitter interval_jitter interval_jitter_percent unhealthy_threshold healthy_threshold reuse_connection
       http_health_check tcp_health_check grpc_health_check no_traffic_interval no_traffic_healthy_interval unhealthy_interval
       unhealthy_edge_interval healthy_edge_interval tls_options transport_socket_match_criteria`,
    named: 'alt_port event_log_path event_logger event_service always_log_health_check_failures always_log_health_check_success',
    refused: 'custom_health_check',
  },
  'HealthCheck.HttpHealthCheck': {
    effect: `host path send receive response_buffer_size request_headers_to_add request_headers_to_remove expected_statuses retriable_statuses
       service_name_matcher method`,
    named: '',
    refused: 'codec_client_type',
  },
  'HealthCheck.TcpHealthCheck': {
    effect: 'send receive',
    named: '',
    refused: 'proxy_protocol_config',
  },
  'HealthCheck.GrpcHealthCheck': {
    effect: 'service_name authority initial_metadata',
    named: '',
    refused: '',
  },
  UpstreamConnectionOptions: {
    effect: 'tcp_keepalive happy_eyeballs_config',
    named: 'set_local_interface_name_on_upstream_connections',
    refused: '',
  },
  'BindConfig of the cluster': {
    effect: 'source_address extra_source_addresses additional_source_addresses',
    named: '',
    refused: 'freebind socket_options local_address_selector',
  },
  'Cluster.OriginalDstLbConfig': {
    effect: 'use_http_header http_header_name upstream_port_override',
    named: '',
    refused: 'metadata_key',
  },
  CaresDnsResolverConfig: {
    effect: 'resolvers use_resolvers_as_fallback',
    named: 'filter_unroutable_families dns_resolver_options udp_max_queries',
    refused: '',
  },
  'CircuitBreakers.Thresholds': {
    effect: 'priority max_connections max_pending_requests max_requests max_retries retry_budget',
    named: 'track_remaining max_connection_pools',
    refused: '',
  },
  'CircuitBreakers.Thresholds, per host': {
    effect: 'priority max_connections',
    named: 'max_pending_requests max_requests max_retries retry_budget track_remaining max_connection_pools',
    refused: '',
  },
  'HttpProtocolOptions of the cluster': {
    effect: 'common_http_protocol_options upstream_http_protocol_options explicit_http_config use_downstream_protocol_config auto_config',
    named: 'header_validation_config',
    refused: 'http_filters',
  },
  'HttpProtocolOptions, upstream': {
    effect: 'idle_timeout max_connection_duration max_headers_count headers_with_underscores_action max_requests_per_connection',
    named: 'max_stream_duration',
    refused: '',
  },
  UpstreamHttpProtocolOptions: {
    effect: '',
    named: '',
    refused: 'auto_sni auto_san_validation override_auto_sni_header',
  },
  UpstreamTlsContext: {
    effect: 'common_tls_context sni max_session_keys',
    named: 'allow_renegotiation enforce_rsa_key_usage',
    refused: '',
  },
  ClusterLoadAssignment: {
    effect: 'cluster_name endpoints policy',
    named: '',
    refused: 'named_endpoints',
  },
  'ClusterLoadAssignment.Policy': {
    effect: 'overprovisioning_factor',
    named: 'endpoint_stale_after weighted_priority_health',
    refused: 'drop_overloads',
  },
  LocalityLbEndpoints: {
    effect: 'locality lb_endpoints load_balancing_weight priority',
    named: 'metadata proximity',
    refused: 'load_balancer_endpoints leds_cluster_locality_config',
  },
  LbEndpoint: {
    effect: 'endpoint health_status metadata load_balancing_weight',
    named: '',
    refused: 'endpoint_name',
  },
  Endpoint: {
    effect: 'address health_check_config hostname additional_addresses',
    named: '',
    refused: '',
  },
};

it.each(Object.keys(SUBJECTS))('%s: each field has an effect, or is named in the admin interface, or is refused', (name) => {
  const words = ({ effect, named, refused }: (typeof BECOMES)[string]) => [effect, named, refused].map((list) => list.split(/\s+/).join(' '));
  expect(words(probe(SUBJECTS[name]!))).toEqual(words(BECOMES[name]!));
});
