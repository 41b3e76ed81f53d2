import type { Cluster } from '../upstream/cluster.ts';
import type { ClusterSet } from '../upstream/cluster-set.ts';
import type { UpstreamHost } from '../upstream/upstream-host.ts';

/** Envoy's /clusters in text: "CLUSTER::HOST::FIELD::VALUE". */
export function clustersText(clusters: ClusterSet): string {
  const lines: string[] = [];
  for (const cluster of sorted(clusters)) {
    const { name, limits } = cluster;
    lines.push(`${name}::observability_name::${name}`);
    lines.push(`${name}::default_priority::active_connections::${limits.connections}`);
    lines.push(`${name}::default_priority::active_requests::${limits.requests}`);
    lines.push(`${name}::default_priority::active_retries::${limits.retries}`);
    lines.push(`${name}::warm::${cluster.warm}`);
    for (const ignored of [...cluster.config.ignored, ...cluster.policies.ignored]) lines.push(`${name}::without_effect::${ignored}`);
    for (const host of cluster.hosts) {
      const at = `${name}::${host.address}`;
      for (const [field, value] of Object.entries(statsOf(host))) lines.push(`${at}::${field}::${value}`);
      lines.push(`${at}::hostname::${host.endpoint.hostname}`);
      lines.push(`${at}::health_flags::${healthFlags(host)}`);
      lines.push(`${at}::weight::${host.weight}`);
      lines.push(`${at}::locality::${host.locality}`);
      lines.push(`${at}::priority::${host.priority}`);
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
      observability_name: cluster.name,
      added_via_api: !clusters.isStatic(cluster.name),
      ...(cluster.config.discovery === 'eds' ? { eds_service_name: cluster.config.edsServiceName } : {}),
      host_statuses: Array.from(cluster.hosts, (host) => ({
        address: addressJson(host),
        hostname: host.endpoint.hostname,
        stats: Object.entries(statsOf(host)).map(([name, value]) => ({ name, value: String(value), ...(name.endsWith('_active') ? { type: 'GAUGE' } : {}) })),
        health_status: { eds_health_status: host.endpoint.edsHealth, ...(host.outlier.state === 'closed' ? {} : { failed_outlier_check: true }) },
        weight: host.weight,
        priority: host.priority,
      })),
    })),
  };
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

function healthFlags(host: UpstreamHost): string {
  const flags: string[] = [];
  if (host.outlier.state !== 'closed') flags.push('/failed_outlier_check');
  if (host.health === 'unhealthy') flags.push('/failed_eds_health');
  if (host.health === 'degraded') flags.push('/eds_degraded');
  return flags.length === 0 ? 'healthy' : flags.join('');
}

function addressJson({ endpoint: { address } }: UpstreamHost): object {
  if (address.kind === 'pipe') return { pipe: { path: address.path } };
  if (address.kind === 'internal') return { envoy_internal_address: { server_listener_name: address.listener } };
  return { socket_address: { address: address.host, port_value: address.port } };
}
