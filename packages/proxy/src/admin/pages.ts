import { type MetricRegistry, writePrometheus } from '@outrigger/telemetry';
import type { AdsClient, LastGoodCache } from '@outrigger/xds';
import type { Node } from '@outrigger/xds/protos/envoy/config/core/v3/base';
import type { BootstrapConfig } from '../bootstrap/bootstrap-config.ts';
import type { Faults } from '../engine/faults.ts';
import type { LogControl, ProxyState } from '../engine/options.ts';
import type { RouteSlot } from '../engine/route-slot.ts';
import type { ListenerSet } from '../listener/listener-set.ts';
import type { RequestSamples } from '../observe/request-samples.ts';
import type { OverloadControl } from '../overload/overload-control.ts';
import type { SecretTable } from '../tls/secrets.ts';
import type { ClusterSet } from '../upstream/cluster-set.ts';
import type { BreakerGauge } from './breaker-gauge.ts';
import { certsJson } from './certs-page.ts';
import { clustersJson, clustersText } from './clusters-page.ts';
import { configDump } from './config-dump.ts';
import { listenersJson, listenersText } from './listeners-page.ts';
import type { LoopFigures } from './loop-figures.ts';
import { dumpSecrets } from './secrets-dump.ts';
import { loggingAnswer, memoryJson, serverInfo } from './server-pages.ts';
import { resetCounters, statsAnswer } from './stats-page.ts';

/** What the pages tell of, and what they may do. */
export interface AdminSource {
  readonly node: Node;
  readonly bootstrap: BootstrapConfig;
  readonly version: string;
  readonly startedAtUnixMs: number;
  readonly nowUnixMs: () => number;
  readonly state: () => ProxyState;
  readonly ads: () => AdsClient | null;
  readonly cache: () => LastGoodCache | undefined;
  readonly slots: () => Iterable<RouteSlot>;
  readonly registry: MetricRegistry;
  readonly samples: RequestSamples;
  readonly breakers: BreakerGauge;
  /** undefined: it has its process for itself. */
  readonly loop: LoopFigures | undefined;
  readonly listeners: ListenerSet;
  readonly clusters: ClusterSet;
  readonly secrets: SecretTable;
  readonly faults: Faults;
  readonly overload: OverloadControl;
  readonly logging: LogControl;
  /** Whether it says of itself that it is well. */
  setHealth(well: boolean): void;
  drainListeners(graceful: boolean, inboundOnly: boolean): void;
  quit(): void;
}

export interface AdminAnswer {
  readonly status?: number;
  readonly text?: string;
  readonly json?: object;
}

/** `Source`: what it tells of. */
export interface AdminPage<Source = AdminSource> {
  readonly help: string;
  readonly prometheus?: true;
  /** It does something: POST alone. */
  readonly post?: true;
  render(source: Source, query: URLSearchParams): AdminAnswer | Promise<AdminAnswer>;
}

const prometheus: AdminPage = {
  help: 'metrics in Prometheus text',
  prometheus: true,
  render: ({ registry, breakers, loop }, query) => {
    breakers.refresh();
    loop?.refresh();
    return { text: writePrometheus(registry, query.get('buckets') === 'fine' ? 'fine' : 'edges') };
  },
};

/** Where `rig plan --replay` has its requests from. */
export const SAMPLES_PATH = '/request_samples';
export const SAMPLES_HELP = 'heads of requests, a fair choice of those of the last half minute; ?since=UNIX_MS, &most=PER_WINDOW';
const samples: AdminPage = {
  help: SAMPLES_HELP,
  render: ({ samples, nowUnixMs }, query) => {
    const most = Math.floor(Number(query.get('most')));
    return { json: { windows: samples.since(Number(query.get('since') ?? 0), nowUnixMs(), most >= 1 ? most : undefined) } };
  },
};

/** The admin interface, with Envoy's paths where Envoy has the page. */
export const ADMIN_PAGES: Readonly<Record<string, AdminPage>> = {
  '/ready': {
    help: '200 LIVE while it takes traffic',
    render: ({ state }) => ({ status: state() === 'LIVE' ? 200 : 503, text: `${state()}\n` }),
  },
  '/server_info': { help: 'version, state, age of the configuration', render: (source) => ({ json: serverInfo(source) }) },
  '/clusters': {
    help: 'clusters and endpoints; ?format=json',
    render: ({ clusters }, query) => (query.get('format') === 'json' ? { json: clustersJson(clusters) } : { text: clustersText(clusters) }),
  },
  '/listeners': {
    help: 'listeners and their addresses; ?format=json, &detail: their connections, and what of their configuration has no effect',
    render: ({ listeners }, query) =>
      query.get('format') === 'json' ? { json: listenersJson(listeners, query.has('detail')) } : { text: listenersText(listeners) },
  },
  '/routes': { help: 'route tables in effect', render: ({ slots }) => ({ json: routesJson(slots()) }) },
  '/certs': { help: 'certificates in use, without keys', render: ({ secrets, nowUnixMs }) => ({ json: certsJson(secrets, nowUnixMs()) }) },
  '/config_dump': {
    help: 'the configuration as it came; ?include_eds, ?resource=FIELD, &mask=FIELDS, ?name_regex=REGEX',
    render: ({ bootstrap, cache, secrets }, query) => configDump(bootstrap, cache(), dumpSecrets(secrets), query),
  },
  '/stats': {
    help: 'statistics; ?filter=REGEX, ?usedonly, ?format=json|prometheus',
    render: (source, query) => (query.get('format') === 'prometheus' ? prometheus.render(source, query) : statsAnswer(source, query)),
  },
  '/stats/prometheus': prometheus,
  [SAMPLES_PATH]: samples,
  '/memory': { help: 'memory of the process', render: () => ({ json: memoryJson() }) },
  '/logging': { help: 'level of the log; ?level=LEVEL', post: true, render: loggingAnswer },
  '/reset_counters': { help: 'all counters of /stats to 0', post: true, render: (source) => done(() => resetCounters(source)) },
  '/healthcheck/fail': { help: 'not ready until /healthcheck/ok', post: true, render: (source) => done(() => source.setHealth(false)) },
  '/healthcheck/ok': { help: 'ready again', post: true, render: (source) => done(() => source.setHealth(true)) },
  '/drain_listeners': {
    help: 'takes no new connection; ?graceful: and asks those that are there to end; ?inboundonly',
    post: true,
    render: (source, query) => done(() => source.drainListeners(query.has('graceful'), query.has('inboundonly'))),
  },
  '/quitquitquit': { help: 'drains and ends', post: true, render: (source) => done(() => source.quit()) },
};

function done(act: () => void): AdminAnswer {
  act();
  return { text: 'OK\n' };
}

export const METRICS_PAGES: Readonly<Record<string, AdminPage>> = { '/metrics': prometheus, '/stats/prometheus': prometheus, [SAMPLES_PATH]: samples };

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
