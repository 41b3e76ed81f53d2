import type { Stat } from '../admin/stats-page.ts';

/** Fields of /clusters that count: the whole is their sum. Of all others the first worker's word stands. */
const COUNTED: ReadonlySet<string> = new Set([
  'cx_active',
  'cx_connect_fail',
  'cx_total',
  'rq_active',
  'rq_error',
  'rq_success',
  'rq_timeout',
  'rq_total',
  'active_connections',
  'active_requests',
  'active_retries',
  'rq_pending_active',
]);
/** Statistics that say the same of each worker, or of the worst: no sum. */
const LARGEST = /^(server\.(uptime|live)|cluster_manager\.|listener_manager\.|cluster\..*\.membership_|overload\..*\.(pressure|active|scale_percent)$)/;

/** /stats of all workers as of one proxy. */
export function mergeStats(lists: readonly (readonly Stat[])[]): Stat[] {
  const merged = new Map<string, number>();
  for (const list of lists)
    for (const { name, value } of list) {
      const before = merged.get(name) ?? 0;
      if (name === 'server.live') merged.set(name, merged.has(name) ? Math.min(before, value) : value);
      else if (LARGEST.test(name)) merged.set(name, Math.max(before, value));
      else merged.set(name, before + value);
    }
  return Array.from(merged, ([name, value]) => ({ name, value }));
}

/** /clusters in text: "CLUSTER::...::FIELD::VALUE". */
export function mergeClustersText(texts: readonly string[]): string {
  const merged = new Map<string, string>();
  for (const text of texts)
    for (const line of text.split('\n')) {
      if (line === '') continue;
      const end = line.lastIndexOf('::');
      const key = line.slice(0, end);
      const value = line.slice(end + 2);
      const before = merged.get(key);
      const field = key.slice(key.lastIndexOf('::') + 2);
      if (before === undefined) merged.set(key, value);
      else if (COUNTED.has(field) || key.includes('::health_check::')) merged.set(key, String(Number(before) + Number(value)));
      else if (field === 'health_flags' && before === 'healthy') merged.set(key, value);
    }
  return Array.from(merged, ([key, value]) => `${key}::${value}\n`).join('');
}

interface StatJson {
  readonly name: string;
  readonly type?: string;
  readonly value?: string;
}
interface HostJson {
  readonly address: object;
  readonly stats: readonly StatJson[];
}
interface ClusterJson {
  readonly name: string;
  readonly host_statuses: readonly HostJson[];
}
export interface ClustersJson {
  readonly cluster_statuses: readonly ClusterJson[];
}

/** envoy.admin.v3.Clusters. */
export function mergeClustersJson(pages: readonly ClustersJson[]): ClustersJson {
  const clusters = new Map<string, ClusterJson>();
  for (const page of pages)
    for (const cluster of page.cluster_statuses) {
      const before = clusters.get(cluster.name);
      clusters.set(cluster.name, before === undefined ? cluster : { ...before, host_statuses: mergeHosts(before.host_statuses, cluster.host_statuses) });
    }
  return { cluster_statuses: [...clusters.values()].sort((one, other) => (one.name < other.name ? -1 : 1)) };
}

function mergeHosts(hosts: readonly HostJson[], others: readonly HostJson[]): HostJson[] {
  const merged = new Map(hosts.map((host) => [JSON.stringify(host.address), host]));
  for (const host of others) {
    const key = JSON.stringify(host.address);
    const before = merged.get(key);
    merged.set(key, before === undefined ? host : { ...before, stats: before.stats.map((stat) => addStat(stat, host.stats)) });
  }
  return [...merged.values()];
}

function addStat(stat: StatJson, others: readonly StatJson[]): StatJson {
  const sum = Number(stat.value ?? 0) + Number(others.find(({ name }) => name === stat.name)?.value ?? 0);
  if (sum === 0) return stat;
  const { name, value: _value, ...type } = stat;
  return { ...type, value: String(sum), name };
}

/** envoy.admin.v3.Memory: each number a text. */
export function mergeMemory(pages: readonly Readonly<Record<string, string>>[]): Record<string, string> {
  const merged: Record<string, string> = {};
  for (const page of pages) for (const [name, value] of Object.entries(page)) merged[name] = String(Number(merged[name] ?? 0) + Number(value));
  return merged;
}
