import { isGateway, type RegisteredInstance } from '@outrigger/discovery';
import { formatSpiffeId } from '@outrigger/identity';
import { type MetricRegistry, parsePrometheus } from '@outrigger/telemetry';
import type { StreamMethods } from '@outrigger/xds';
import type { GraphView, Problem, TopRow } from '../api/shapes.ts';
import { every } from '../clock.ts';
import type { Clock, LogEntry } from '../options.ts';
import { accessLogMethods, type Directory } from './access-logs.ts';
import { type BreakerStates, breakersOf, breakersOfEnvoy } from './breakers.ts';
import { fetchPage } from './fetch-page.ts';
import { RequestSamples, readSamplesPage } from './request-samples.ts';
import { Series } from './series.ts';
import { type Group, graphOf, topRows } from './views.ts';
import { type Edge, type Party, type Traffic, type Unreached, Windows } from './windows.ts';

/** Sidecars that are asked at the same time. */
const CONCURRENCY = 32;
/** A sidecar that says nothing for so long is a problem; shorter, it is starting or ending. */
const SILENT_MS = 10_000;
const METRICS_PATH = '/metrics';
const FINE_METRICS_PATH = '/metrics?buckets=fine';
const SAMPLES_PATH = '/request_samples';
/** As often as a sidecar has new ones. */
const SAMPLES_INTERVAL_MS = 5_000;
/** From all sidecars together, a second: what is read of each is less where there are many. */
const MAX_SAMPLES_PER_SECOND = 1_000;
const ENVOY_CLUSTERS_PATH = '/clusters?format=json';

export interface TelemetryOptions {
  readonly clock: Clock;
  readonly log: (entry: LogEntry) => void;
  readonly intervalMs: number;
  readonly world: { registered(): Iterable<RegisteredInstance> };
  readonly onChange: () => void;
  /** Default true: heads of requests are collected, for replay. */
  readonly requestSamples?: boolean;
  /** Who looks at what is seen beyond the last minute's sums. */
  readonly watcher?: TrafficWatcher;
  /** Default: over HTTP. */
  readonly fetch?: (hostPort: string, path: string) => Promise<string>;
}

export interface TrafficWatcher {
  /** Whether every bucket of this service's histograms is wanted. */
  watches(service: string, namespace: string): boolean;
  seen(edge: Edge, traffic: Traffic, unreached: boolean): void;
  seenUnreached(unreached: Unreached): void;
}

interface Target {
  readonly series: Series;
  breakers: BreakerStates;
  lastGoodMs: number;
  failure: string;
  samplesAskedMs: number;
}

/** The telemetry role: asks every sidecar what it counted, takes the Envoys' access logs, and sums both up. */
export class Telemetry {
  readonly samples = new RequestSamples();
  readonly #options: TelemetryOptions;
  readonly #fetch: (hostPort: string, path: string) => Promise<string>;
  readonly #windows = new Windows();
  readonly #targets = new Map<string, Target>();
  /** That are asked. */
  #sidecars = 0;
  #stop = () => {};
  #scrapes = 0;
  #failures = 0;

  constructor(options: TelemetryOptions) {
    this.#options = options;
    this.#fetch = options.fetch ?? fetchPage;
  }

  start(): void {
    this.#stop = every(this.#options.clock, this.#options.intervalMs, () => this.scrape());
  }

  stop(): void {
    this.#stop();
  }

  /** Asks everyone once. */
  async scrape(): Promise<void> {
    const entries = [...this.#options.world.registered()].filter(({ registration }) => registration.metricsAddress !== '');
    this.#sidecars = entries.length;
    const present = new Set(entries.map(({ instance }) => instance.id));
    for (const id of this.#targets.keys()) if (!present.has(id)) this.#targets.delete(id);
    const queue = entries.values();
    await Promise.all(
      Array.from({ length: Math.min(CONCURRENCY, entries.length) }, async () => {
        for (const entry of queue) await this.#scrapeOne(entry);
      }),
    );
    this.#options.onChange();
  }

  get methods(): StreamMethods {
    return accessLogMethods({
      directory: () => this.#directory(),
      record: (edge, traffic, unreached) => this.#add(edge, traffic, unreached, this.#options.clock.now()),
      recordUnreached: (unreached) => this.#options.watcher?.seenUnreached(unreached),
      wantsFine: (service, namespace) => this.#options.watcher?.watches(service, namespace) === true,
    });
  }

  top(windowMs: number): TopRow[] {
    return topRows(this.#windows.since(this.#options.clock.now(), windowMs), this.#groups(), windowMs);
  }

  graph(windowMs: number): GraphView {
    return graphOf(this.#windows.since(this.#options.clock.now(), windowMs), this.#groups(), windowMs);
  }

  get problems(): Problem[] {
    const now = this.#options.clock.now();
    return [...this.#targets]
      .filter(([, target]) => target.failure !== '' && now - target.lastGoodMs > SILENT_MS)
      .map(([id, target]) => ({
        what: `the metrics of ${id} cannot be read: ${target.failure}`,
        where: id,
        next: 'Look whether its sidecar still runs (rig status).',
        sinceMs: target.lastGoodMs,
      }));
  }

  /** What the control plane says of itself. */
  describe(metrics: MetricRegistry): void {
    metrics.counter('outrigger_scrapes_total', 'Pages of sidecars that were read.').with().add(this.#scrapes);
    metrics.counter('outrigger_scrape_failures_total', 'Pages of sidecars that could not be read.').with().add(this.#failures);
    metrics.gauge('outrigger_telemetry_edges', 'Edges of the last minute that are kept.').with().set(this.#windows.edges);
    metrics.gauge('outrigger_request_samples_bytes', 'Of the heads of requests that are kept for replay.').with().set(this.samples.bytes);
    metrics.counter('outrigger_telemetry_dropped_total', 'Observations for which there was no room.').with().add(this.#windows.dropped);
  }

  async #scrapeOne({ instance, registration }: RegisteredInstance): Promise<void> {
    const { clock } = this.#options;
    let target = this.#targets.get(instance.id);
    if (target === undefined) {
      target = { series: new Series(), breakers: new Map(), lastGoodMs: clock.now(), failure: '', samplesAskedMs: 0 };
      this.#targets.set(instance.id, target);
    }
    try {
      if (registration.dataPlane === 'envoy') {
        // Envoy's requests come by its access log; its statistics have no labels for who called.
        target.breakers = breakersOfEnvoy(await this.#fetch(registration.metricsAddress, ENVOY_CLUSTERS_PATH));
      } else {
        const fine = this.#options.watcher?.watches(registration.service, registration.namespace) === true;
        const parsed = parsePrometheus(await this.#fetch(registration.metricsAddress, fine ? FINE_METRICS_PATH : METRICS_PATH));
        if (!parsed.ok) throw new Error(parsed.message);
        target.breakers = breakersOf(parsed.samples);
        const now = clock.now();
        const { sightings, unreached } = target.series.advance(parsed.samples, fine);
        for (const sighting of sightings) this.#add(sighting.edge, sighting.traffic, sighting.unreached, now);
        for (const requests of unreached) this.#options.watcher?.seenUnreached(requests);
        await this.#takeSamples(target, registration.metricsAddress, registration.nodeId);
      }
      target.lastGoodMs = clock.now();
      target.failure = '';
      this.#scrapes += 1;
    } catch (error) {
      this.#failures += 1;
      target.failure = error instanceof Error ? error.message : String(error);
    }
  }

  async #takeSamples(target: Target, hostPort: string, node: string): Promise<void> {
    const { clock } = this.#options;
    if (this.#options.requestSamples === false || clock.now() - target.samplesAskedMs < SAMPLES_INTERVAL_MS) return;
    target.samplesAskedMs = clock.now();
    let windows: ReturnType<typeof readSamplesPage>;
    try {
      // Of two windows each, one of either direction.
      const most = Math.max(1, Math.floor((MAX_SAMPLES_PER_SECOND * SAMPLES_INTERVAL_MS) / 2_000 / this.#sidecars));
      windows = readSamplesPage(await this.#fetch(hostPort, `${SAMPLES_PATH}?since=${this.samples.untilMs(node)}&most=${most}`), node);
    } catch {
      // A proxy of an older version has no such page, and is none the worse for it.
      return;
    }
    this.samples.add(windows, clock.now());
  }

  #add(edge: Edge, traffic: Traffic, unreached: boolean, nowMs: number): void {
    this.#windows.add(edge, traffic, nowMs);
    this.#options.watcher?.seen(edge, traffic, unreached);
  }

  #groups(): Group[] {
    const states = new Map<string, 1 | 2>();
    for (const { breakers } of this.#targets.values()) {
      for (const [endpoint, state] of breakers) if (state === 2 || !states.has(endpoint)) states.set(endpoint, state);
    }
    const groups = new Map<string, { -readonly [Field in keyof Group]: Group[Field] }>();
    for (const entry of this.#options.world.registered()) {
      // One that only calls is called by nobody.
      const gateway = isGateway(entry.registration);
      if (entry.registration.ports.length === 0 && !gateway) continue;
      const party = partyOf(entry);
      const key = JSON.stringify(party);
      const group = groups.get(key) ?? { ...party, instances: 0, open: 0, halfOpen: 0, gateway };
      groups.set(key, group);
      group.instances += 1;
      const worst = Math.max(0, ...entry.instance.ports.map(({ meshPort }) => states.get(`${entry.instance.address}:${meshPort}`) ?? 0));
      if (worst === 2) group.open += 1;
      if (worst === 1) group.halfOpen += 1;
    }
    return [...groups.values()];
  }

  #directory(): Directory {
    const { world } = this.#options;
    return {
      ofNode(nodeId) {
        for (const entry of world.registered()) if (entry.registration.nodeId === nodeId) return { ...partyOf(entry), spiffeId: spiffeIdOf(entry) };
        return undefined;
      },
      ofEndpoint(address) {
        for (const entry of world.registered()) {
          if (entry.instance.ports.some(({ meshPort }) => `${entry.instance.address}:${meshPort}` === address)) return partyOf(entry);
        }
        return undefined;
      },
      ofSpiffeId(spiffeId) {
        const found = [...world.registered()].filter((entry) => spiffeIdOf(entry) === spiffeId).map(partyOf);
        const first = found[0];
        // Several versions under one account: which of them it was, its certificate does not say.
        return first === undefined ? undefined : { ...first, version: found.every(({ version }) => version === first.version) ? first.version : '' };
      },
    };
  }
}

function partyOf({ registration }: RegisteredInstance): Party {
  return { service: registration.service, namespace: registration.namespace, version: registration.labels.version ?? '' };
}

function spiffeIdOf({ instance }: RegisteredInstance): string {
  const { trustDomain, namespace, serviceAccount } = instance;
  return formatSpiffeId({ trustDomain, namespace, serviceAccount });
}
