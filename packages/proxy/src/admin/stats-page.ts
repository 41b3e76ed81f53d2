import { RE2JS } from 're2js';
import type { HttpManager } from '../engine/http-manager.ts';
import type { ListenerSet } from '../listener/listener-set.ts';
import type { OverloadControl } from '../overload/overload-control.ts';
import type { ClusterSet } from '../upstream/cluster-set.ts';
import type { UpstreamHost } from '../upstream/upstream-host.ts';
import type { AdminAnswer, AdminSource } from './pages.ts';

/** A statistic under the name that Envoy has for it. */
export interface Stat {
  readonly name: string;
  readonly value: number;
}

/** Envoy's /stats. */
export function statsAnswer(source: AdminSource, query: URLSearchParams): AdminAnswer {
  return statsPage(statsOf(source), query);
}

/** As text or `?format=json`, of those whose name holds `filter` (RE2), without zeros where `usedonly`. */
export function statsPage(all: readonly Stat[], query: URLSearchParams): AdminAnswer {
  const filter = query.get('filter') ?? '';
  let matches = (_name: string): boolean => true;
  if (filter !== '') {
    try {
      const regex = RE2JS.compile(filter);
      matches = (name) => regex.matcher(name).find();
    } catch (error) {
      return { status: 400, text: `Invalid re2 regex: ${(error as Error).message}\n` };
    }
  }
  const usedOnly = query.has('usedonly');
  const stats = all.filter(({ name, value }) => matches(name) && !(usedOnly && value === 0)).sort((a, b) => (a.name < b.name ? -1 : 1));
  if (query.get('format') === 'json') return { json: { stats } };
  return { text: stats.map(({ name, value }) => `${name}: ${value}\n`).join('') };
}

/** Counters to 0: gauges, and what Prometheus reads, stay as they are. */
export function resetCounters({ clusters, listeners }: AdminSource): void {
  for (const cluster of clusters.all) for (const host of cluster.hosts) zero(host.stats);
  for (const listener of listeners.all) {
    zero(listener.stats);
    for (const manager of listener.managers) zero(manager.stats);
  }
}

function zero(counters: object): void {
  for (const [name, value] of Object.entries(counters)) {
    if (typeof value === 'number') (counters as Record<string, number>)[name] = 0;
    else if (Array.isArray(value)) value.fill(0);
  }
}

function statsOf(source: AdminSource): Stat[] {
  const stats: Stat[] = [
    { name: 'server.live', value: source.state() === 'LIVE' ? 1 : 0 },
    { name: 'server.uptime', value: Math.floor((source.nowUnixMs() - source.startedAtUnixMs) / 1000) },
    { name: 'server.concurrency', value: 1 },
    { name: 'server.memory_allocated', value: process.memoryUsage().heapUsed },
    { name: 'server.total_connections', value: source.listeners.connectionCount },
  ];
  if (source.loop !== undefined) {
    const { usedMs, deferred } = source.loop.share;
    stats.push({ name: 'server.loop_used_ms', value: Math.round(usedMs) }, { name: 'server.loop_deferred', value: deferred });
  }
  addListeners(source.listeners, stats);
  addOverload(source.overload, stats);
  addClusters(source.clusters, stats);
  return stats;
}

function addListeners(listeners: ListenerSet, stats: Stat[]): void {
  let active = 0;
  // Connection managers of one prefix are one to the reader.
  const http = new Map<string, number>();
  for (const { config, stats: counted, connections, managers, address } of listeners.all) {
    active++;
    // Envoy's: with what would be read as a part of the name left out.
    const at = `listener.${config.address.kind === 'socket' ? address.replace(/[:[\]]/g, '_') : config.name}`;
    stats.push(
      { name: `${at}.downstream_cx_total`, value: counted.accepted },
      { name: `${at}.downstream_cx_active`, value: connections.count },
      { name: `${at}.downstream_cx_overflow`, value: counted.overflow },
      { name: `${at}.downstream_global_cx_overflow`, value: counted.globalOverflow },
      { name: `${at}.downstream_cx_overload_reject`, value: counted.shed },
      { name: `${at}.no_filter_chain_match`, value: counted.noFilterChain },
      { name: `${at}.ssl.connection_error`, value: counted.tlsRefused },
    );
    for (const manager of managers) addManager(manager, http);
  }
  for (const [name, value] of http) stats.push({ name, value });
  stats.push({ name: 'listener_manager.total_listeners_active', value: active });
}

function addManager({ config, stats, activeStreams, activeConnections }: HttpManager, sums: Map<string, number>): void {
  const add = (name: string, value: number): void => {
    const key = `http.${config.statPrefix}.${name}`;
    sums.set(key, (sums.get(key) ?? 0) + value);
  };
  const completed = stats.completed.reduce((sum, count) => sum + count, 0);
  add('downstream_rq_total', completed + activeStreams);
  add('downstream_rq_active', activeStreams);
  add('downstream_rq_completed', completed);
  for (let status = 1; status <= 5; status++) add(`downstream_rq_${status}xx`, stats.completed[status]!);
  add('downstream_rq_overload_close', stats.overloadClosed);
  add('downstream_cx_total', stats.connections);
  add('downstream_cx_active', activeConnections);
  add('downstream_cx_http2_total', stats.http2Connections);
  add('downstream_cx_overload_disable_keepalive', stats.keepAliveDisabled);
}

function addOverload({ monitor, resets, shrinks }: OverloadControl, stats: Stat[]): void {
  for (const [name, { pressure, failedUpdates }] of monitor.monitorStats) {
    stats.push({ name: `overload.${name}.pressure`, value: Math.round(pressure * 100) }, { name: `overload.${name}.failed_updates`, value: failedUpdates });
    // A look never waits for the one before it.
    stats.push({ name: `overload.${name}.skipped_updates`, value: 0 });
  }
  for (const { config, state } of monitor.actionStats) {
    const at = `overload.${config.name}`;
    stats.push({ name: `${at}.scale_percent`, value: Math.round(state * 100) });
    if (!config.point) stats.push({ name: `${at}.active`, value: state >= 1 ? 1 : 0 });
    else stats.push({ name: `${at}.shed_load_count`, value: monitor.shedAt(config) });
    // Envoy has this one outside of the tree.
    if (config.kind === 'reset-streams') stats.push({ name: `${config.name}.count`, value: resets });
    if (config.kind === 'shrink-heap') stats.push({ name: `${at}.shrink_count`, value: shrinks });
  }
}

function addClusters(clusters: ClusterSet, stats: Stat[]): void {
  let count = 0;
  for (const cluster of clusters.all) {
    const { name, limits } = cluster;
    const hosts = [...cluster.hosts];
    count++;
    const sum = (of: (host: UpstreamHost) => number): number => hosts.reduce((total, host) => total + of(host), 0);
    const at = `cluster.${name}`;
    stats.push(
      { name: `${at}.membership_total`, value: sum(() => 1) },
      { name: `${at}.membership_healthy`, value: sum((host) => (host.health === 'healthy' && host.outlier.state === 'closed' ? 1 : 0)) },
      { name: `${at}.upstream_cx_active`, value: sum((host) => host.connections) },
      { name: `${at}.upstream_cx_total`, value: sum((host) => host.stats.connectTotal) },
      { name: `${at}.upstream_cx_connect_fail`, value: sum((host) => host.stats.connectFail) },
      { name: `${at}.upstream_rq_active`, value: sum((host) => host.activeRequests) },
      { name: `${at}.upstream_cx_overflow`, value: limits.connectionOverflows },
      { name: `${at}.upstream_rq_pending_active`, value: limits.pendingRequests },
      { name: `${at}.upstream_rq_pending_overflow`, value: limits.overflows },
      { name: `${at}.upstream_rq_total`, value: sum((host) => host.stats.requestTotal) },
      { name: `${at}.upstream_rq_timeout`, value: sum((host) => host.stats.requestTimeout) },
    );
  }
  stats.push({ name: 'cluster_manager.active_clusters', value: count });
}
