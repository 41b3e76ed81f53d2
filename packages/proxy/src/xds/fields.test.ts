import type { DescMessage, JsonObject } from '@bufbuild/protobuf';
import { CircuitBreakers_ThresholdsSchema } from '@outrigger/xds/protos/envoy/config/cluster/v3/circuit_breaker';
import {
  Cluster_CommonLbConfigSchema,
  Cluster_OriginalDstLbConfigSchema,
  Cluster_PreconnectPolicySchema,
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
import {
  LoadShedPointSchema,
  OverloadActionSchema,
  OverloadManagerSchema,
  ResourceMonitorSchema,
  ScaleTimersOverloadActionConfig_ScaleTimerSchema,
} from '@outrigger/xds/protos/envoy/config/overload/v3/overload';
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
import { AdaptiveConcurrencySchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/adaptive_concurrency/v3/adaptive_concurrency';
import { BufferSchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/buffer/v3/buffer';
import { CompressorSchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/compressor/v3/compressor';
import { DecompressorSchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/decompressor/v3/decompressor';
import { ExtAuthzSchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/ext_authz/v3/ext_authz';
import { HTTPFaultSchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/fault/v3/fault';
import { HeaderMutationSchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/header_mutation/v3/header_mutation';
import { HealthCheckSchema as HealthCheckFilterSchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/health_check/v3/health_check';
import { JwtAuthenticationSchema, JwtProviderSchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/jwt_authn/v3/config';
import { LocalRateLimitSchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit';
import { RateLimitSchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/ratelimit/v3/rate_limit';
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
import { TcpProxy_TunnelingConfigSchema, TcpProxySchema } from '@outrigger/xds/protos/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy';
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
import { filterTypes } from '../filters/filter-types.ts';
import { CompileReport } from '../routing/compile-result.ts';
import { compileRouteConfiguration } from '../routing/compile-routes.ts';
import { message, typed } from '../testing/messages.ts';
import { TestAuthority } from '../tls/testing/certificates.ts';
import { compileClusterPolicies } from '../upstream/cluster.ts';
import { compileCluster } from './compile-cluster.ts';
import { compileLoadAssignment } from './compile-endpoints.ts';
import { compileListener } from './compile-listener.ts';
import { compileOverload } from './compile-overload.ts';
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
const httpFilter = (type: string, schema: DescMessage, base: JsonObject = {}): Subject => ({
  schema,
  base,
  path: `${HCM_PATH}.http_filters[0].typed_config`,
  compile: (json) => manager({ ...MANAGER, httpFilters: [{ name: 'f', typedConfig: typed(type, json) }, ROUTER] }),
});

const JWT = 'envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication';
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

const HEAP: JsonObject = {
  name: 'envoy.resource_monitors.fixed_heap',
  typedConfig: typed('envoy.extensions.resource_monitors.fixed_heap.v3.FixedHeapConfig', { maxHeapSizeBytes: '1' }),
};
const TRIGGERS: JsonObject = { triggers: [{ name: 'envoy.resource_monitors.fixed_heap', threshold: { value: 1 } }] };
const SHED: JsonObject = { name: 'envoy.overload_actions.stop_accepting_requests', ...TRIGGERS };
const POINT: JsonObject = { name: 'envoy.load_shed_points.tcp_listener_accept', ...TRIGGERS };
function overload(json: JsonObject): Outcome {
  const report = new CompileReport();
  compileOverload(message(OverloadManagerSchema, json), 'overload_manager', report);
  return report;
}

const PER_FILTER: JsonObject = { typedPerFilterConfig: { x: typed('envoy.extensions.filters.http.cors.v3.CorsPolicy') } };
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
  Listener: {
    schema: ListenerSchema,
    base: LISTENER,
    right: { listenerFilters: [{ name: 'x', typedConfig: typed(TLS_INSPECTOR) }] },
    path: '',
    compile: listener,
  },
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
    right: { transportSocket: { name: 'tls', typedConfig: typed(DOWNSTREAM_TLS, { commonTlsContext: COMMON_TLS }) } },
    path: 'filter_chains[0]',
    compile: chain,
  },
  FilterChainMatch: {
    schema: FilterChainMatchSchema,
    base: {},
    path: 'filter_chains[0].filter_chain_match',
    compile: (json) => chain({ filters: [{ name: 'x', typedConfig: typed(HCM_TYPE, MANAGER) }], filterChainMatch: json }),
  },
  HttpConnectionManager: {
    schema: HttpConnectionManagerSchema,
    base: MANAGER,
    right: {
      rds: { routeConfigName: 'r', configSource: ADS },
      originalIpDetectionExtensions: [
        { name: 'x', typedConfig: typed('envoy.extensions.http.original_ip_detection.xff.v3.XffConfig', { xffNumTrustedHops: 1 }) },
      ],
      accessLog: [{ name: 'x', typedConfig: typed('envoy.extensions.access_loggers.file.v3.FileAccessLog', { path: '/dev/null' }) }],
    },
    path: HCM_PATH,
    compile: manager,
  },
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
  HeaderMutation: httpFilter('envoy.extensions.filters.http.header_mutation.v3.HeaderMutation', HeaderMutationSchema),
  Buffer: httpFilter('envoy.extensions.filters.http.buffer.v3.Buffer', BufferSchema, { maxRequestBytes: 1 }),
  'LocalRateLimit, HTTP': httpFilter('envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit', LocalRateLimitSchema),
  'RateLimit, HTTP': httpFilter('envoy.extensions.filters.http.ratelimit.v3.RateLimit', RateLimitSchema, {
    domain: 'x',
    rateLimitService: { grpcService: { envoyGrpc: { clusterName: 'x' } } },
  }),
  ExtAuthz: httpFilter('envoy.extensions.filters.http.ext_authz.v3.ExtAuthz', ExtAuthzSchema, {
    grpcService: { envoyGrpc: { clusterName: 'x' } },
    transportApiVersion: 'V3',
  }),
  JwtAuthentication: httpFilter(JWT, JwtAuthenticationSchema),
  JwtProvider: {
    schema: JwtProviderSchema,
    base: { localJwks: { inlineString: '{"keys":[]}' } },
    path: `${HCM_PATH}.http_filters[0].typed_config.providers["p"]`,
    compile: (json) => manager({ ...MANAGER, httpFilters: [{ name: 'f', typedConfig: typed(JWT, { providers: { p: json } }) }, ROUTER] }),
  },
  Compressor: httpFilter('envoy.extensions.filters.http.compressor.v3.Compressor', CompressorSchema, {
    compressorLibrary: { name: 'gzip', typedConfig: typed('envoy.extensions.compression.gzip.compressor.v3.Gzip') },
  }),
  Decompressor: httpFilter('envoy.extensions.filters.http.decompressor.v3.Decompressor', DecompressorSchema, {
    decompressorLibrary: { name: 'gzip', typedConfig: typed('envoy.extensions.compression.gzip.decompressor.v3.Gzip') },
  }),
  'HealthCheck, HTTP filter': httpFilter('envoy.extensions.filters.http.health_check.v3.HealthCheck', HealthCheckFilterSchema),
  AdaptiveConcurrency: httpFilter('envoy.extensions.filters.http.adaptive_concurrency.v3.AdaptiveConcurrency', AdaptiveConcurrencySchema, {
    gradientControllerConfig: { concurrencyLimitParams: { concurrencyUpdateInterval: '1s' }, minRttCalcParams: { interval: '1s' } },
  }),
  TcpProxy: {
    schema: TcpProxySchema,
    base: { statPrefix: 'x', cluster: 'c' },
    right: { hashPolicy: [{ sourceIp: {} }] },
    path: HCM_PATH,
    compile: (json) => chain({ filters: [{ name: 'x', typedConfig: typed('envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', json) }] }),
  },
  'TcpProxy.TunnelingConfig': {
    schema: TcpProxy_TunnelingConfigSchema,
    base: { hostname: 'h' },
    right: { postPath: '/', headersToAdd: [{ header: { key: 'x', value: 'y' } }] },
    path: `${HCM_PATH}.tunneling_config`,
    compile: (json) =>
      chain({
        filters: [
          {
            name: 'x',
            typedConfig: typed('envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', {
              statPrefix: 'x',
              cluster: 'c',
              tunnelingConfig: { usePost: true, ...json },
            }),
          },
        ],
      }),
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
  RouteConfiguration: {
    schema: RouteConfigurationSchema,
    base: ROUTES,
    right: { vhds: { configSource: ADS }, ...PER_FILTER },
    path: '',
    compile: routes,
  },
  VirtualHost: { schema: VirtualHostSchema, base: ROUTES.virtualHosts[0]!, right: PER_FILTER, path: 'virtual_hosts[0]', compile: virtualHost },
  Route: { schema: RouteSchema, base: ROUTES.virtualHosts[0]!.routes[0]!, right: PER_FILTER, path: 'virtual_hosts[0].routes[0]', compile: route },
  RouteMatch: {
    schema: RouteMatchSchema,
    base: { prefix: '/' },
    right: {
      pathMatchPolicy: { name: 'x', typedConfig: typed('envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig', { pathTemplate: '/{x}' }) },
    },
    path: 'virtual_hosts[0].routes[0].match',
    compile: (json) => route({ match: json, route: { cluster: 'c' } }),
  },
  RouteAction: { schema: RouteActionSchema, base: { cluster: 'c' }, path: ACTION_PATH, compile: action },
  RetryPolicy: {
    schema: RetryPolicySchema,
    base: {},
    right: {
      retryHostPredicate: [{ name: 'x', typedConfig: typed('envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate') }],
      retryPriority: {
        name: 'x',
        typedConfig: typed('envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig', { updateFrequency: 1 }),
      },
    },
    path: `${ACTION_PATH}.retry_policy`,
    compile: (json) => action({ cluster: 'c', retryPolicy: json }),
  },
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
  Cluster: {
    schema: ClusterSchema,
    base: EDS,
    right: {
      lbPolicy: 'LEAST_REQUEST',
      transportSocket: { name: 'tls', typedConfig: typed(UPSTREAM_TLS, {}) },
      typedExtensionProtocolOptions: { [OPTIONS]: typed(OPTIONS, EXPLICIT) },
    },
    path: '',
    compile: cluster,
  },
  'Cluster.PreconnectPolicy': {
    ...inCluster('preconnectPolicy', 'preconnect_policy', Cluster_PreconnectPolicySchema),
    right: { perUpstreamPreconnectRatio: 2 },
  },
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
  OverloadManager: {
    schema: OverloadManagerSchema,
    base: { resourceMonitors: [HEAP] },
    right: { actions: [SHED], loadshedPoints: [POINT], bufferFactoryConfig: { minimumAccountToTrackPowerOfTwo: 20 } },
    path: 'overload_manager',
    compile: overload,
  },
  ResourceMonitor: {
    schema: ResourceMonitorSchema,
    base: HEAP,
    path: 'overload_manager.resource_monitors[0]',
    compile: (json) => overload({ resourceMonitors: [json] }),
  },
  OverloadAction: {
    schema: OverloadActionSchema,
    base: SHED,
    path: 'overload_manager.actions[0]',
    compile: (json) => overload({ resourceMonitors: [HEAP], actions: [json] }),
  },
  LoadShedPoint: {
    schema: LoadShedPointSchema,
    base: POINT,
    path: 'overload_manager.loadshed_points[0]',
    compile: (json) => overload({ resourceMonitors: [HEAP], loadshedPoints: [json] }),
  },
  ScaleTimer: {
    schema: ScaleTimersOverloadActionConfig_ScaleTimerSchema,
    base: { timer: 'HTTP_DOWNSTREAM_STREAM_IDLE', minScale: { value: 50 } },
    path: 'overload_manager.actions[0].typed_config.timer_scale_factors[0]',
    compile: (json) =>
      overload({
        resourceMonitors: [HEAP],
        actions: [
          {
            ...SHED,
            name: 'envoy.overload_actions.reduce_timeouts',
            typedConfig: typed('envoy.config.overload.v3.ScaleTimersOverloadActionConfig', { timerScaleFactors: [json] }),
          },
        ],
      }),
  },
};

it.each(Object.keys(SUBJECTS))('the right %s is taken as a whole, with nothing to be named', (name) => {
  const { base, compile } = SUBJECTS[name]!;
  expect(compile(base)).toEqual({ errors: [], ignored: [] });
});

/** docs/proxy.md is what comes of feeding each field: `vitest -u` writes it anew, and whoever reads the difference has decided. */
it('each field has an effect, or is named in the admin interface, or is refused, as docs/proxy.md says', async () => {
  const rows = Object.entries(SUBJECTS).map(([name, subject]) => {
    const { effect, named, refused } = probe(subject);
    const cell = (fields: readonly string[]): string => (fields.length === 0 ? '' : fields.map((field) => `\`${field}\``).join(', '));
    return `| \`${subject.schema.typeName}\`${name.includes(',') || name.includes(' ') ? ` (${name})` : ''} | ${cell(effect)} | ${cell(named)} | ${cell(refused)} |`;
  });
  const filters = [...filterTypes.keys()].sort().map((type) => `- \`${type}\``);
  await expect(`${HEAD}\n${filters.join('\n')}\n${TABLE}\n${rows.join('\n')}\n`).toMatchFileSnapshot('../../../../docs/proxy.md');
});

const HEAD = `# What our proxy makes of xDS

Written by a test that feeds each field of these messages to the code that reads it (packages/proxy/src/xds/fields.test.ts); do not edit it by hand.

A field **in effect** does what Envoy's documentation says of it. One that is **named** is accepted without effect, since it only tunes, and the admin interface lists it (\`/config_dump\`, \`without_effect\`).
One that is **refused** is answered with a NACK that names it: it bears on matching, routing or security, so that leaving it out would be another configuration. Fields that hold one of several extensions are in effect for the extensions that are
here, and refused for others; so are single values of enums (HTTP/3 is).

## HTTP filters

In the order of the configuration; \`envoy.extensions.filters.http.router.v3.Router\` is the last. \`on_demand\`, \`dynamic_forward_proxy\` and \`grpc_stats\` are taken, their work is done elsewhere. A filter that is not here is refused unless it \`is_optional\`.
`;
const TABLE = `
## Fields

| message | in effect | named | refused |
| --- | --- | --- | --- |`;
