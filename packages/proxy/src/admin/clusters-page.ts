import type { ResourceLimits } from '../resilience/limits.ts';
import type { Cluster } from '../upstream/cluster.ts';
import type { ClusterSet } from '../upstream/cluster-set.ts';
import type { UpstreamHost } from '../upstream/upstream-host.ts';

const MAX_UINT32 = 4_294_967_295;

/** Envoy's /clusters in text: "CLUSTER::HOST::FIELD::VALUE". */
export function clustersText(clusters: ClusterSet): string {
  const lines: string[] = [];
  for (const cluster of sorted(clusters)) {
    const { name, limits } = cluster;
    lines.push(`${name}::observability_name::${name}`);
    for (const priority of ['default_priority', 'high_priority'])
      for (const [field, value] of Object.entries(limitsOf(cluster.limitsOf(priority === 'high_priority'))))
        lines.push(`${name}::${priority}::${field}::${value}`);
    lines.push(`${name}::added_via_api::${!clusters.isStatic(name)}`);
    if (hasServiceName(cluster)) lines.push(`${name}::eds_service_name::${cluster.config.edsServiceName}`);
    lines.push(`${name}::default_priority::active_connections::${limits.connections}`);
    lines.push(`${name}::default_priority::active_requests::${limits.requests}`);
    lines.push(`${name}::default_priority::active_retries::${limits.retries}`);
    lines.push(`${name}::default_priority::rq_pending_active::${limits.pendingRequests}`);
    lines.push(`${name}::warm::${cluster.warm}`);
    if (cluster.checker !== null) for (const [field, value] of Object.entries(cluster.checker.stats)) lines.push(`${name}::health_check::${field}::${value}`);
    for (const ignored of [...cluster.config.ignored, ...cluster.policies.ignored]) lines.push(`${name}::without_effect::${ignored}`);
    for (const host of cluster.hosts) {
      const at = `${name}::${host.address}`;
      for (const [field, value] of Object.entries(statsOf(host))) lines.push(`${at}::${field}::${value}`);
      lines.push(`${at}::hostname::${host.endpoint.hostname}`);
      lines.push(`${at}::health_flags::${healthFlags(host)}`);
      lines.push(`${at}::weight::${host.weight}`);
      const { region, zone, sub_zone } = localityOf(host);
      lines.push(`${at}::region::${region}`, `${at}::zone::${zone}`, `${at}::sub_zone::${sub_zone}`);
      lines.push(`${at}::canary::${isCanary(host)}`, `${at}::priority::${host.priority}`);
      lines.push(`${at}::breaker::${host.outlier.state}`);
    }
  }
  return `${lines.join('\n')}\n`;
}

/** envoy.admin.v3.Clusters. */
export function clustersJson(clusters: ClusterSet): object {
  return {
    cluster_statuses: sorted(clusters).map((cluster) => ({
      name: cluster.name,
      ...said({ added_via_api: !clusters.isStatic(cluster.name) }),
      host_statuses: Array.from(cluster.hosts, (host) => ({
        address: addressJson(host),
        stats: statsJson(host),
        health_status: healthStatus(host),
        weight: host.weight,
        ...said({ hostname: host.endpoint.hostname }),
        locality: said(localityOf(host)),
        ...said({ priority: host.priority }),
      })),
      circuit_breakers: { thresholds: [limitsOf(cluster.limits), { priority: 'HIGH', ...limitsOf(cluster.limitsOf(true)) }] },
      observability_name: cluster.name,
      ...(hasServiceName(cluster) ? { eds_service_name: cluster.config.edsServiceName } : {}),
    })),
  };
}

/** As protobuf is in JSON: what has its default is left out. */
function said(fields: Readonly<Record<string, string | number | boolean>>): object {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== '' && value !== 0 && value !== false));
}

/** Of its own; else it is the cluster's. */
function hasServiceName({ name, config }: Cluster): boolean {
  return config.discovery === 'eds' && config.edsServiceName !== name;
}

function limitsOf({ settings }: ResourceLimits): object {
  const shown = (limit: number): number => Math.min(limit, MAX_UINT32);
  return {
    max_connections: shown(settings.maxConnections),
    max_pending_requests: shown(settings.maxPendingRequests),
    max_requests: shown(settings.maxRequests),
    max_retries: shown(settings.maxRetries),
  };
}

function localityOf({ locality }: UpstreamHost): { region: string; zone: string; sub_zone: string } {
  const [region = '', zone = '', sub_zone = ''] = locality.split('/');
  return { region, zone, sub_zone };
}

/** Counters before gauges. */
function statsJson(host: UpstreamHost): object[] {
  const stats = Object.entries(statsOf(host)).map(([name, value]) => ({
    ...(name.endsWith('_active') ? { type: 'GAUGE' } : {}),
    ...(value === 0 ? {} : { value: String(value) }),
    name,
  }));
  return [...stats.filter((stat) => !('type' in stat)), ...stats.filter((stat) => 'type' in stat)];
}

function sorted(clusters: ClusterSet): Cluster[] {
  return [...clusters.all].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function statsOf(host: UpstreamHost): Record<string, number> {
  const { stats } = host;
  return {
    cx_active: host.connections,
    cx_connect_fail: stats.connectFail,
    cx_total: stats.connectTotal,
    rq_active: host.activeRequests,
    rq_error: stats.requestError,
    rq_success: stats.requestSuccess,
    rq_timeout: stats.requestTimeout,
    rq_total: stats.requestTotal,
  };
}

/** envoy.lb metadata of the endpoint. */
function isCanary({ metadata }: UpstreamHost): boolean {
  return metadata['canary'] === true;
}

function healthFlags(host: UpstreamHost): string {
  const { active, endpoint, outlier, removalPending } = host;
  const flags: readonly (readonly [string, boolean])[] = [
    ['failed_active_hc', active?.failed === true],
    ['failed_outlier_check', outlier.state !== 'closed'],
    ['failed_eds_health', endpoint.health === 'unhealthy'],
    ['degraded_active_hc', active?.degraded === true],
    ['degraded_eds_health', endpoint.health === 'degraded'],
    ['pending_dynamic_removal', removalPending],
    ['pending_active_hc', active?.waiting === true],
    ['excluded_via_immediate_hc_fail', active?.excluded === true],
    ['active_hc_timeout', active?.timedOut === true],
  ];
  const set = flags.filter(([, is]) => is).map(([flag]) => `/${flag}`);
  return set.length === 0 ? 'healthy' : set.join('');
}

/** envoy.admin.v3.HostHealthStatus: what is so, and nothing that is not. */
function healthStatus({ active, endpoint, outlier, removalPending }: UpstreamHost): object {
  const said: Readonly<Record<string, boolean>> = {
    failed_active_health_check: active?.failed === true,
    failed_outlier_check: outlier.state !== 'closed',
    failed_active_degraded_check: active?.degraded === true,
    pending_dynamic_removal: removalPending,
    pending_active_hc: active?.waiting === true,
    excluded_via_immediate_hc_fail: active?.excluded === true,
    active_hc_timeout: active?.timedOut === true,
  };
  return { eds_health_status: endpoint.edsHealth, ...Object.fromEntries(Object.entries(said).filter(([, is]) => is)) };
}

function addressJson({ endpoint: { address } }: UpstreamHost): object {
  if (address.kind === 'pipe') return { pipe: { path: address.path } };
  if (address.kind === 'internal') return { envoy_internal_address: { server_listener_name: address.listener } };
  return { socket_address: { address: address.host, port_value: address.port } };
}
