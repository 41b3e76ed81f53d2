import type { Filter } from '@outrigger/xds/protos/envoy/config/listener/v3/listener_components';
import { HttpConnectionManagerSchema } from '@outrigger/xds/protos/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager';
import { RBACSchema } from '@outrigger/xds/protos/envoy/extensions/filters/network/rbac/v3/rbac';
import { type TcpProxy, TcpProxySchema } from '@outrigger/xds/protos/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy';
import type { CompileReport } from '../routing/compile-result.ts';
import { durationMs } from '../routing/duration.ts';
import { compileAccessLogs } from './compile-access-logs.ts';
import { compileHttpManager } from './compile-http-manager.ts';
import { checkFields, fieldPolicy, typeNameOf, unpack } from './fields.ts';
import { compileNetworkPolicy, type NetworkPolicy } from './http-filters.ts';
import type { NetworkFilterConfig, TcpProxyConfig, WeightedTcpCluster } from './listener-config.ts';

const DEFAULT_TCP_IDLE_TIMEOUT_MS = 3_600_000;

/** What the filters of a listener name, gathered while it is compiled. */
export interface NetworkContext {
  readonly nodeId: string;
  readonly routeNames: Set<string>;
  readonly clusters: Set<string>;
}

const TCP_PROXY = fieldPolicy(
  'stat_prefix cluster weighted_clusters idle_timeout access_log max_connect_attempts max_downstream_connection_duration',
  'downstream_idle_timeout upstream_idle_timeout access_log_flush_interval flush_access_log_on_connected access_log_options on_demand hash_policy',
);

function compileTcpProxy(config: TcpProxy, path: string, policies: readonly NetworkPolicy[], context: NetworkContext, report: CompileReport): TcpProxyConfig {
  checkFields(TcpProxySchema, config, TCP_PROXY, path, report);
  const specifier = config.clusterSpecifier;
  const clusters: WeightedTcpCluster[] = [];
  if (specifier.case === 'cluster') clusters.push({ name: specifier.value, weight: 1 });
  else if (specifier.case === 'weightedClusters') {
    specifier.value.clusters.forEach((cluster, index) => {
      if (cluster.metadataMatch !== undefined) report.error(`${path}.weighted_clusters.clusters[${index}].metadata_match`, 'not supported by this proxy');
      clusters.push({ name: cluster.name, weight: cluster.weight });
    });
  }
  if (clusters.length === 0) report.error(path, 'needs cluster or weighted_clusters');
  for (const cluster of clusters) context.clusters.add(cluster.name);
  const totalWeight = clusters.reduce((sum, cluster) => sum + cluster.weight, 0);
  if (clusters.length > 0 && totalWeight === 0) report.error(`${path}.weighted_clusters`, 'the weights must not all be 0');
  return {
    statPrefix: config.statPrefix,
    clusters,
    totalWeight,
    idleTimeoutMs: durationMs(config.idleTimeout, DEFAULT_TCP_IDLE_TIMEOUT_MS),
    maxConnectAttempts: config.maxConnectAttempts ?? 1,
    maxConnectionDurationMs: durationMs(config.maxDownstreamConnectionDuration, 0),
    policies,
    accessLogs: compileAccessLogs(config.accessLog, `${path}.access_log`, report),
  };
}

/** RBAC filters, then one that ends the chain: the HTTP connection manager or the TCP proxy. undefined: errors were reported. */
export function compileNetworkFilters(
  filters: readonly Filter[],
  path: string,
  context: NetworkContext,
  report: CompileReport,
): NetworkFilterConfig | undefined {
  const policies: NetworkPolicy[] = [];
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
      case HttpConnectionManagerSchema.typeName: {
        if (policies.length > 0) report.error(at, 'a network RBAC filter before the HTTP connection manager is not supported by this proxy; use the HTTP one');
        if (index !== filters.length - 1) report.error(`${path}[${index}]`, 'must be the last filter');
        const manager = unpack(any, HttpConnectionManagerSchema, at, report);
        return manager === undefined ? undefined : { kind: 'http', http: compileHttpManager(manager, at, context, report) };
      }
      case TcpProxySchema.typeName: {
        if (index !== filters.length - 1) report.error(`${path}[${index}]`, 'must be the last filter');
        const proxy = unpack(any, TcpProxySchema, at, report);
        return proxy === undefined ? undefined : { kind: 'tcp', tcp: compileTcpProxy(proxy, at, policies, context, report) };
      }
      default:
        report.error(`${path}[${index}]`, `network filter ${type === '' ? filter.name : type} is not supported by this proxy`);
    }
  }
  report.error(path, 'needs an HTTP connection manager or a TCP proxy as the last filter');
  return undefined;
}
