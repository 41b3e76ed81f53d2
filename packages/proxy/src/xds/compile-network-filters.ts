import { compileFormat } from '@outrigger/telemetry';
import type { Filter } from '@outrigger/xds/protos/envoy/config/listener/v3/listener_components';
import { ConnectionLimitSchema } from '@outrigger/xds/protos/envoy/extensions/filters/network/connection_limit/v3/connection_limit';
import { HttpConnectionManagerSchema } from '@outrigger/xds/protos/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager';
import { LocalRateLimitSchema } from '@outrigger/xds/protos/envoy/extensions/filters/network/local_ratelimit/v3/local_rate_limit';
import { RBACSchema } from '@outrigger/xds/protos/envoy/extensions/filters/network/rbac/v3/rbac';
import {
  type TcpProxy,
  type TcpProxy_TunnelingConfig,
  TcpProxy_TunnelingConfigSchema,
  TcpProxySchema,
} from '@outrigger/xds/protos/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy';
import type { Steps } from '@outrigger/xds/slices';
import { criteriaOf } from '../lb/subset-criteria.ts';
import type { CompileReport } from '../routing/compile-result.ts';
import { durationMs } from '../routing/duration.ts';
import { compileHeaderMutations } from '../routing/header-mutations.ts';
import { compileAccessLogs } from './compile-access-logs.ts';
import { compileConnectionLimit, compileConnectionRateLimit } from './compile-connection-gates.ts';
import { httpManagerSteps } from './compile-http-manager.ts';
import { checkFields, fieldPolicy, typeNameOf, unpack, unpackSteps } from './fields.ts';
import { compileNetworkPolicy, type NetworkPolicy } from './http-filters.ts';
import type { ConnectionGateConfig, NetworkFilterConfig, TcpProxyConfig, TunnelingConfig, WeightedTcpCluster } from './listener-config.ts';

const LB_METADATA = 'envoy.lb';
const SNI_CLUSTER = 'envoy.extensions.filters.network.sni_cluster.v3.SniCluster';
const DEFAULT_TCP_IDLE_TIMEOUT_MS = 3_600_000;

/** What the filters of a listener name, gathered while it is compiled. */
export interface NetworkContext {
  readonly nodeId: string;
  readonly nodeCluster: string;
  readonly routeNames: Set<string>;
  readonly clusters: Set<string>;
  readonly bufferLimitBytes: number;
}

const TUNNELING = fieldPolicy('hostname use_post headers_to_add post_path', 'propagate_response_headers propagate_response_trailers');
const TCP_PROXY = fieldPolicy(
  // A cluster that is not known is asked for, whether on_demand says so or not.
  'stat_prefix cluster weighted_clusters idle_timeout access_log max_connect_attempts max_downstream_connection_duration hash_policy on_demand metadata_match tunneling_config',
  'downstream_idle_timeout upstream_idle_timeout access_log_flush_interval flush_access_log_on_connected access_log_options',
);

function compileTcpProxy(
  config: TcpProxy,
  path: string,
  policies: readonly NetworkPolicy[],
  clusterFromSni: boolean,
  context: NetworkContext,
  report: CompileReport,
): TcpProxyConfig {
  checkFields(TcpProxySchema, config, TCP_PROXY, path, report);
  const specifier = config.clusterSpecifier;
  const clusters: WeightedTcpCluster[] = [];
  const own = config.metadataMatch?.filterMetadata[LB_METADATA];
  if (specifier.case === 'cluster') clusters.push({ name: specifier.value, weight: 1, subset: criteriaOf(own) });
  else if (specifier.case === 'weightedClusters') {
    for (const { name, weight, metadataMatch } of specifier.value.clusters)
      clusters.push({ name, weight, subset: criteriaOf(own, metadataMatch?.filterMetadata[LB_METADATA]) });
  }
  if (clusters.length === 0) report.error(path, 'needs cluster or weighted_clusters');
  for (const cluster of clusters) context.clusters.add(cluster.name);
  const totalWeight = clusters.reduce((sum, cluster) => sum + cluster.weight, 0);
  if (clusters.length > 0 && totalWeight === 0) report.error(`${path}.weighted_clusters`, 'the weights must not all be 0');
  config.hashPolicy.forEach((policy, index) => {
    if (policy.policySpecifier.case !== 'sourceIp') report.error(`${path}.hash_policy[${index}]`, 'only source_ip is supported by this proxy');
  });
  if (config.maxConnectAttempts === 0) report.error(`${path}.max_connect_attempts`, 'must be at least 1');
  return {
    statPrefix: config.statPrefix,
    clusters,
    totalWeight,
    clusterFromSni,
    hashSourceIp: config.hashPolicy.length > 0,
    idleTimeoutMs: durationMs(config.idleTimeout, DEFAULT_TCP_IDLE_TIMEOUT_MS),
    maxConnectAttempts: config.maxConnectAttempts ?? 1,
    bufferLimitBytes: context.bufferLimitBytes,
    maxConnectionDurationMs: durationMs(config.maxDownstreamConnectionDuration, 0),
    policies,
    tunneling: compileTunneling(config.tunnelingConfig, `${path}.tunneling_config`, report),
    accessLogs: compileAccessLogs(config.accessLog, `${path}.access_log`, report),
  };
}

function compileTunneling(config: TcpProxy_TunnelingConfig | undefined, path: string, report: CompileReport): TunnelingConfig | null {
  if (config === undefined) return null;
  checkFields(TcpProxy_TunnelingConfigSchema, config, TUNNELING, path, report);
  const hostname = compileFormat(config.hostname);
  if (!hostname.ok) report.error(`${path}.hostname`, hostname.message);
  else if (config.hostname === '') report.error(`${path}.hostname`, 'must not be empty');
  if (config.postPath !== '' && !config.usePost) report.error(`${path}.post_path`, 'needs use_post');
  if (!hostname.ok) return null;
  return {
    hostname: hostname.format,
    path: config.usePost ? config.postPath || '/' : '',
    headers: compileHeaderMutations(config.headersToAdd, [], `${path}.headers_to_add`, '', report),
  };
}

export interface NetworkFilters {
  readonly gates: readonly ConnectionGateConfig[];
  readonly filter: NetworkFilterConfig;
}

/** Filters that let a connection in or not, then one that ends the chain: the HTTP connection manager or the TCP proxy. undefined: errors were reported. */
export function* networkFilterSteps(
  filters: readonly Filter[],
  path: string,
  context: NetworkContext,
  report: CompileReport,
): Steps<NetworkFilters | undefined> {
  const gates: ConnectionGateConfig[] = [];
  const policies: NetworkPolicy[] = [];
  let clusterFromSni = false;
  for (const [index, filter] of filters.entries()) {
    const at = `${path}[${index}].typed_config`;
    const any = filter.configType.case === 'typedConfig' ? filter.configType.value : undefined;
    const type = typeNameOf(any);
    switch (type) {
      case RBACSchema.typeName: {
        const policy = compileNetworkPolicy(any, at, report);
        if (policy !== undefined) policies.push(policy);
        break;
      }
      case ConnectionLimitSchema.typeName: {
        const limit = unpack(any, ConnectionLimitSchema, at, report);
        if (limit !== undefined) gates.push(...compileConnectionLimit(limit, at, report));
        break;
      }
      case LocalRateLimitSchema.typeName: {
        const limit = unpack(any, LocalRateLimitSchema, at, report);
        if (limit !== undefined) gates.push(...compileConnectionRateLimit(limit, at, report));
        break;
      }
      case SNI_CLUSTER:
        clusterFromSni = true;
        break;
      case HttpConnectionManagerSchema.typeName: {
        if (index !== filters.length - 1) report.error(`${path}[${index}]`, 'must be the last filter');
        const manager = yield* unpackSteps(any, HttpConnectionManagerSchema, at, report);
        if (manager === undefined) return undefined;
        const rbac = policies.map((policy): ConnectionGateConfig => ({ kind: 'rbac', policy }));
        return { gates: [...gates, ...rbac], filter: { kind: 'http', http: yield* httpManagerSteps(manager, at, context, report) } };
      }
      case TcpProxySchema.typeName: {
        if (index !== filters.length - 1) report.error(`${path}[${index}]`, 'must be the last filter');
        const proxy = unpack(any, TcpProxySchema, at, report);
        if (proxy === undefined) return undefined;
        return { gates, filter: { kind: 'tcp', tcp: compileTcpProxy(proxy, at, policies, clusterFromSni, context, report) } };
      }
      default:
        report.error(`${path}[${index}]`, `network filter ${type === '' ? filter.name : type} is not supported by this proxy`);
    }
  }
  report.error(path, 'needs an HTTP connection manager or a TCP proxy as the last filter');
  return undefined;
}
