import { type AdminAnswer, type AdminPage, SAMPLES_HELP, SAMPLES_PATH } from '../admin/pages.ts';
import { type Stat, statsPage } from '../admin/stats-page.ts';
import type { SampleWindow } from '../observe/request-samples.ts';
import { type ClustersJson, mergeClustersJson, mergeClustersText, mergeMemory, mergeStats } from './merge-pages.ts';
import { mergePrometheus } from './merge-prometheus.ts';

/** What the pages of several workers are made of. */
export interface WorkersSource {
  /** "LIVE" while all serve. */
  readonly shownState: string;
  /** Of those that answer, the first worker's first. */
  ask(path: string, query: string): Promise<readonly AdminAnswer[]>;
  serverInfo(ofFirst: object): object;
  configDump(query: URLSearchParams): Promise<AdminAnswer>;
  /** The same, of what does something: a worker that is started later does it too. */
  tell(path: string, query: string): Promise<readonly AdminAnswer[]>;
  quit(): void;
}

type Page = AdminPage<WorkersSource>;

const NOBODY: AdminAnswer = { status: 503, text: 'no worker answers\n' };

/** The first worker's word, where all say the same. */
const first = (path: string, help: string): Page => ({
  help,
  render: async (source, query) => (await source.ask(path, query.toString()))[0] ?? NOBODY,
});

/** To all of them. */
const all = (path: string, help: string): Page => ({
  help,
  post: true,
  render: async (source, query) => {
    const [answer] = await source.tell(path, query.toString());
    return answer ?? NOBODY;
  },
});

const prometheus: Page = {
  help: 'metrics of all workers in Prometheus text',
  prometheus: true,
  render: async (source, query) => ({ text: mergePrometheus((await source.ask('/stats/prometheus', query.toString())).map(({ text }) => text ?? '')) }),
};

const samples: Page = {
  help: SAMPLES_HELP,
  render: async (source, query) => {
    const answers = await source.ask(SAMPLES_PATH, query.toString());
    return { json: { windows: answers.flatMap(({ json }) => (json as { readonly windows: readonly SampleWindow[] }).windows) } };
  },
};

/** One admin interface for all workers, with the paths of the one that a single process has. */
export const WORKERS_PAGES: Readonly<Record<string, Page>> = {
  '/ready': {
    help: '200 LIVE while all workers take traffic',
    render: (source) => ({ status: source.shownState === 'LIVE' ? 200 : 503, text: `${source.shownState}\n` }),
  },
  '/server_info': {
    help: 'version, state, workers, age of the configuration',
    render: async (source) => {
      const [answer] = await source.ask('/server_info', '');
      return answer?.json === undefined ? NOBODY : { json: source.serverInfo(answer.json) };
    },
  },
  '/clusters': {
    help: 'clusters and endpoints, counts of all workers; ?format=json',
    render: async (source, query) => {
      const answers = await source.ask('/clusters', query.toString());
      if (query.get('format') === 'json') return { json: mergeClustersJson(answers.map(({ json }) => json as ClustersJson)) };
      return { text: mergeClustersText(answers.map(({ text }) => text ?? '')) };
    },
  },
  '/listeners': first('/listeners', 'listeners and their addresses; ?format=json'),
  '/routes': first('/routes', 'route tables in effect'),
  '/certs': first('/certs', 'certificates in use, without keys'),
  '/config_dump': {
    help: 'the configuration as it came; ?include_eds, ?resource=FIELD, &mask=FIELDS, ?name_regex=REGEX',
    render: (source, query) => source.configDump(query),
  },
  '/stats': {
    help: 'statistics of all workers; ?filter=REGEX, ?usedonly, ?format=json|prometheus',
    render: async (source, query) => {
      if (query.get('format') === 'prometheus') return prometheus.render(source, query);
      const answers = await source.ask('/stats', 'format=json');
      return statsPage(mergeStats(answers.map(({ json }) => (json as { readonly stats: readonly Stat[] }).stats)), query);
    },
  },
  '/stats/prometheus': prometheus,
  [SAMPLES_PATH]: samples,
  '/memory': {
    help: 'memory of all workers',
    render: async (source) => ({ json: mergeMemory((await source.ask('/memory', '')).map(({ json }) => json as Record<string, string>)) }),
  },
  '/logging': all('/logging', 'level of the log; ?level=LEVEL'),
  '/reset_counters': all('/reset_counters', 'all counters of /stats to 0'),
  '/healthcheck/fail': all('/healthcheck/fail', 'not ready until /healthcheck/ok'),
  '/healthcheck/ok': all('/healthcheck/ok', 'ready again'),
  '/drain_listeners': all('/drain_listeners', 'takes no new connection; ?graceful: and asks those that are there to end; ?inboundonly'),
  '/quitquitquit': {
    help: 'drains and ends',
    post: true,
    render: (source) => {
      source.quit();
      return { text: 'OK\n' };
    },
  },
};

export const WORKERS_METRICS_PAGES: Readonly<Record<string, Page>> = {
  '/metrics': prometheus,
  '/stats/prometheus': prometheus,
  [SAMPLES_PATH]: samples,
};
