import { type MetricRegistry, writePrometheus } from '@outrigger/telemetry';
import type { AdsClient, LastGoodCache } from '@outrigger/xds';
import type { Node } from '@outrigger/xds/protos/envoy/config/core/v3/base';
import type { Faults } from '../engine/faults.ts';
import type { ProxyState } from '../engine/options.ts';
import type { RouteSlot } from '../engine/route-slot.ts';
import type { ListenerSet } from '../listener/listener-set.ts';
import type { SecretTable } from '../tls/secrets.ts';
import type { ClusterSet } from '../upstream/cluster-set.ts';
import type { BreakerGauge } from './breaker-gauge.ts';
import { certsJson } from './certs-page.ts';
import { clustersJson, clustersText } from './clusters-page.ts';
import { configDumpJson } from './config-dump.ts';

/** What the pages tell of. */
export interface AdminSource {
  readonly node: Node;
  readonly version: string;
  readonly state: ProxyState;
  readonly startedAtUnixMs: number;
  readonly nowUnixMs: () => number;
  readonly ads: AdsClient | null;
  readonly cache: LastGoodCache | undefined;
  readonly registry: MetricRegistry;
  readonly breakers: BreakerGauge;
  readonly listeners: ListenerSet;
  readonly clusters: ClusterSet;
  readonly slots: Iterable<RouteSlot>;
  readonly secrets: SecretTable;
  readonly faults: Faults;
}

export interface AdminAnswer {
  readonly status?: number;
  readonly text?: string;
  readonly json?: object;
}

export interface AdminPage {
  readonly help: string;
  readonly prometheus?: true;
  render(source: AdminSource, query: URLSearchParams): AdminAnswer | Promise<AdminAnswer>;
}

const prometheus: AdminPage = {
  help: 'metrics in Prometheus text',
  prometheus: true,
  render: ({ registry, breakers }, query) => {
    breakers.refresh();
    return { text: writePrometheus(registry, query.get('buckets') === 'fine' ? 'fine' : 'edges') };
  },
};

/** The admin interface, with Envoy's paths where Envoy has the page. */
export const ADMIN_PAGES: Readonly<Record<string, AdminPage>> = {
  '/ready': { help: '200 LIVE while it takes traffic', render: ({ state }) => ({ status: state === 'LIVE' ? 200 : 503, text: `${state}\n` }) },
  '/server_info': {
    help: 'version, state, age of the configuration',
    render: (source) => {
      const status = source.ads?.status();
      return {
        json: {
          version: source.version,
          state: source.state,
          uptime_seconds: Math.floor((source.nowUnixMs() - source.startedAtUnixMs) / 1000),
          node: { id: source.node.id, cluster: source.node.cluster },
          control_plane: status === undefined ? null : controlPlane(status, source.nowUnixMs()),
          memory: process.memoryUsage(),
          mistakes: source.faults.count,
        },
      };
    },
  },
  '/clusters': {
    help: 'clusters and endpoints; ?format=json',
    render: ({ clusters }, query) => (query.get('format') === 'json' ? { json: clustersJson(clusters) } : { text: clustersText(clusters) }),
  },
  '/listeners': {
    help: 'listeners, their connections, and what of their configuration has no effect',
    render: ({ listeners }) => ({ json: listenersJson(listeners) }),
  },
  '/routes': { help: 'route tables in effect', render: ({ slots }) => ({ json: routesJson(slots) }) },
  '/certs': { help: 'certificates in use, without keys', render: ({ secrets, nowUnixMs }) => ({ json: certsJson(secrets, nowUnixMs()) }) },
  '/config_dump': { help: 'what came over xDS', render: async ({ cache }) => ({ json: await configDumpJson(cache) }) },
  '/stats/prometheus': prometheus,
};

export const METRICS_PAGES: Readonly<Record<string, AdminPage>> = { '/metrics': prometheus, '/stats/prometheus': prometheus };

function controlPlane(status: ReturnType<AdsClient['status']>, nowUnixMs: number): object {
  const { lastContactMs } = status;
  return {
    connected: status.connected,
    last_contact: lastContactMs === undefined ? null : new Date(lastContactMs).toISOString(),
    configuration_age_seconds: lastContactMs === undefined ? null : Math.floor((nowUnixMs - lastContactMs) / 1000),
    last_error: status.lastError,
    types: status.types,
  };
}

function listenersJson(listeners: ListenerSet): object {
  return {
    listener_statuses: Array.from(listeners.all, (listener) => ({
      name: listener.config.name,
      local_address: listener.address,
      downstream_cx_total: listener.stats.accepted,
      downstream_cx_active: listener.stats.active,
      no_filter_chain_match: listener.stats.noFilterChain,
      tls_refused: listener.stats.tlsRefused,
      last_tls_refusal: listener.lastRefusal,
      overload_refused: listener.stats.overload,
      without_effect: listener.config.ignored,
    })),
  };
}

function routesJson(slots: Iterable<RouteSlot>): object {
  return {
    route_tables: Array.from(slots, ({ name, table }) => ({
      name,
      virtual_hosts:
        table?.virtualHosts.map((host) => ({
          name: host.name,
          domains: host.domains,
          routes: host.routes.map((route) => route.name),
          clusters: [...host.clusters],
        })) ?? null,
      without_effect: table?.ignored ?? [],
    })),
  };
}
