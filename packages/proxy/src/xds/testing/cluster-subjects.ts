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
import { HttpProtocolOptionsSchema as CommonOptionsSchema, UpstreamHttpProtocolOptionsSchema } from '@outrigger/xds/protos/envoy/config/core/v3/protocol';
import { ClusterLoadAssignment_PolicySchema, ClusterLoadAssignmentSchema } from '@outrigger/xds/protos/envoy/config/endpoint/v3/endpoint';
import { EndpointSchema, LbEndpointSchema, LocalityLbEndpointsSchema } from '@outrigger/xds/protos/envoy/config/endpoint/v3/endpoint_components';
import { CaresDnsResolverConfigSchema } from '@outrigger/xds/protos/envoy/extensions/network/dns_resolver/cares/v3/cares_dns_resolver';
import { UpstreamTlsContextSchema } from '@outrigger/xds/protos/envoy/extensions/transport_sockets/tls/v3/tls';
import { HttpProtocolOptionsSchema } from '@outrigger/xds/protos/envoy/extensions/upstreams/http/v3/http_protocol_options';
import { message, typed } from '../../testing/messages.ts';
import { compileClusterPolicies } from '../../upstream/cluster.ts';
import { compileCluster } from '../compile-cluster.ts';
import { compileLoadAssignment } from '../compile-endpoints.ts';
import { type Outcome, outcome, type Subject } from './probe.ts';
import { ADS } from './route-subjects.ts';

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
export const ENDPOINT: JsonObject = { address: { socketAddress: { address: '127.0.0.1', portValue: 1 } } };

const UPSTREAM_TLS = 'envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext';

/** A cluster and its endpoints. */
export const CLUSTER_SUBJECTS: Readonly<Record<string, Subject>> = {
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
};
