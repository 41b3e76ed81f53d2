import { AdminInterfaces } from '../admin/admin-interfaces.ts';
import { configDump } from '../admin/config-dump.ts';
import type { AdminAnswer } from '../admin/pages.ts';
import type { SecretDump } from '../admin/secrets-dump.ts';
import { controlPlane } from '../admin/server-pages.ts';
import type { BootstrapConfig } from '../bootstrap/bootstrap-config.ts';
import type { ProxyLog, ProxyOptions, ProxyState, Proxy as RunnableProxy } from '../engine/options.ts';
import type { SocketHandle } from '../restart/hand-over.ts';
import { KeptSockets } from './kept-sockets.ts';
import { WorkerAds } from './worker-ads.ts';
import { WORKERS_METRICS_PAGES, WORKERS_PAGES, type WorkersSource } from './worker-pages.ts';
import { WorkerProcess } from './worker-process.ts';

/** A worker that ended is started again after this long, ms, doubling up to the second figure. */
const RESTART_MIN_MS = 100;
const RESTART_MAX_MS = 5_000;
/** One that is started again later than this keeps no connections waiting, ms: it has died several times in a row. */
const PATIENT_MS = 500;
/** One that served this long starts over at the first figure, ms. */
const STEADY_MS = 10_000;
/** Beyond its own drain a worker has so long, ms. */
const END_GRACE_MS = 20_000;

interface Place {
  worker: WorkerProcess | undefined;
  startedAtMs: number;
  restartMs: number;
  timer: NodeJS.Timeout | undefined;
}

/**
 * One proxy of several processes. This one has the admin interface, the connection to the control plane, and a copy of each listening socket; it serves
 * nothing itself.
 */
export class WorkerPool implements RunnableProxy, WorkersSource {
  readonly #bootstrap: BootstrapConfig;
  readonly #options: ProxyOptions;
  readonly #log: ProxyLog;
  readonly #places: readonly Place[];
  readonly #sockets: KeptSockets;
  readonly #interfaces = new AdminInterfaces();
  readonly #ads: WorkerAds | null;
  readonly #startedAtMs = Date.now();
  #failing = false;
  /** What all workers were told and have in effect, by what it is about. */
  readonly #told = new Map<string, readonly [path: string, query: string]>();
  #ending = false;
  #handedOver = false;
  #onServing: () => void = () => {};
  #onFailed: (error: Error) => void = () => {};
  #state: ProxyState = 'PRE_INITIALIZING';

  constructor(bootstrap: BootstrapConfig, options: ProxyOptions, count: number) {
    this.#bootstrap = bootstrap;
    this.#options = options;
    this.#log = options.log ?? (() => {});
    this.#sockets = new KeptSockets(options.inherited ?? new Map(), count);
    this.#places = Array.from({ length: count }, () => ({ worker: undefined, startedAtMs: 0, restartMs: RESTART_MIN_MS, timer: undefined }));
    this.#ads = bootstrap.ads === null ? null : new WorkerAds(bootstrap, options.cacheDir, this.#log);
  }

  get state(): ProxyState {
    return this.#state;
  }

  get shownState(): string {
    return this.#state === 'LIVE' && (this.#failing || !this.#allServe) ? 'DRAINING' : this.#state;
  }

  get adminAddress(): string | undefined {
    return this.#interfaces.adminAddress;
  }

  get metricsAddress(): string | undefined {
    return this.#interfaces.metricsAddress;
  }

  /** They are the workers'. */
  listenerAddress(): string | undefined {
    return undefined;
  }

  async start(): Promise<void> {
    try {
      await this.#start();
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  async #start(): Promise<void> {
    this.#state = 'INITIALIZING';
    const pages = { admin: WORKERS_PAGES, metrics: WORKERS_METRICS_PAGES };
    await this.#interfaces.start<WorkersSource>(this.#bootstrap, this.#options.metricsAddress, this, pages, (key) => this.#sockets.own(key));
    await this.#ads?.start();
    await new Promise<void>((resolve, reject) => {
      this.#onServing = resolve;
      this.#onFailed = reject;
      for (let index = 0; index < this.#places.length; index++) this.#launch(index);
    });
    this.#state = 'LIVE';
  }

  #launch(index: number): void {
    const place = this.#places[index]!;
    place.startedAtMs = performance.now();
    place.worker = new WorkerProcess({ index, count: this.#places.length, adsPath: this.#ads?.path ?? '' }, this.#sockets.of(index), {
      onServing: () => {
        for (const [path, query] of this.#told.values()) void place.worker!.ask(path, query);
        if (this.#state === 'LIVE') this.#log('info', `worker ${index} serves again, as process ${place.worker!.pid}`);
        if (this.#allServe) this.#onServing();
      },
      onSocket: (key, handle) => this.#sockets.keep(index, key, handle),
      onSocketClosed: (key) => this.#sockets.drop(index, key),
      onExit: (reason) => this.#onExit(index, reason),
    });
  }

  get #allServe(): boolean {
    return this.#places.every(({ worker }) => worker?.serving === true);
  }

  #onExit(index: number, reason: string): void {
    const place = this.#places[index]!;
    place.worker = undefined;
    if (this.#ending) return;
    if (this.#state !== 'LIVE') {
      this.#onFailed(new Error(`worker ${index} ${reason} before it served`));
      return;
    }
    place.restartMs = performance.now() - place.startedAtMs > STEADY_MS ? RESTART_MIN_MS : Math.min(place.restartMs * 2, RESTART_MAX_MS);
    if (place.restartMs > PATIENT_MS) this.#sockets.forget(index);
    this.#log('error', `worker ${index} ${reason}; the others serve on, and it is started again in ${place.restartMs} ms`);
    place.timer = setTimeout(() => this.#launch(index), place.restartMs);
  }

  sockets(): ReadonlyMap<string, SocketHandle> {
    return this.#sockets.all(this.#interfaces.sockets);
  }

  async drain(): Promise<void> {
    this.#state = 'DRAINING';
    await this.#end((worker) => worker.kill('SIGTERM'));
    await this.close();
  }

  async retire(): Promise<void> {
    this.#state = 'DRAINING';
    this.#handedOver = true;
    this.#stopRestarts();
    await this.#interfaces.close(false);
    // Its successor has them by now: what would be left is a queue that nobody accepts from.
    this.#sockets.close();
    await this.#end((worker) => worker.retire(), 0x7fffffff);
    await this.close();
  }

  async #end(ask: (worker: WorkerProcess) => void, graceMs = (this.#options.drainTimeoutMs ?? 0) + END_GRACE_MS): Promise<void> {
    const workers = this.#stopRestarts();
    for (const worker of workers) ask(worker);
    const timer = setTimeout(() => {
      for (const worker of workers) worker.kill('SIGKILL');
    }, graceMs);
    await Promise.all(workers.map(({ exited }) => exited));
    clearTimeout(timer);
  }

  #stopRestarts(): WorkerProcess[] {
    this.#ending = true;
    for (const { timer } of this.#places) clearTimeout(timer);
    return this.#places.flatMap(({ worker }) => (worker === undefined ? [] : [worker]));
  }

  async close(): Promise<void> {
    const workers = this.#stopRestarts();
    for (const worker of workers) worker.kill('SIGKILL');
    await Promise.all(workers.map(({ exited }) => exited));
    this.#sockets.close();
    await Promise.all([this.#ads?.close(), this.#interfaces.close(!this.#handedOver)]);
  }

  async page(path: string, query: URLSearchParams): Promise<AdminAnswer> {
    return await WORKERS_PAGES[path]!.render(this, query);
  }

  async ask(path: string, query: string): Promise<readonly AdminAnswer[]> {
    const answers = await Promise.all(this.#places.map(({ worker }) => worker?.ask(path, query)));
    return answers.filter((answer) => answer !== undefined);
  }

  serverInfo(ofFirst: object): object {
    const seconds = `${Math.floor((Date.now() - this.#startedAtMs) / 1000)}s`;
    const info = ofFirst as { readonly command_line_options: object; readonly outrigger: object };
    return {
      ...info,
      state: this.shownState,
      uptime_current_epoch: seconds,
      uptime_all_epochs: seconds,
      command_line_options: { ...info.command_line_options, concurrency: this.#places.length },
      outrigger: {
        ...info.outrigger,
        control_plane: this.#ads === null ? null : controlPlane(this.#ads.status, Date.now()),
        workers: this.#places.map(({ worker }) => ({ pid: worker?.pid ?? 0, serving: worker?.serving === true })),
      },
    };
  }

  async configDump(query: URLSearchParams): Promise<AdminAnswer> {
    const [answer] = await this.ask('/config_dump', 'resource=dynamic_active_secrets');
    const { configs } = (answer?.json ?? { configs: [] }) as { readonly configs: readonly (SecretDump & { readonly '@type': string })[] };
    return configDump(
      this.#bootstrap,
      this.#ads ?? undefined,
      configs.map(({ name, secret }) => ({ name, secret })),
      query,
    );
  }

  async tell(path: string, query: string): Promise<readonly AdminAnswer[]> {
    const answers = await this.ask(path, query);
    if (path.startsWith('/healthcheck/')) {
      this.#failing = path === '/healthcheck/fail';
      this.#told.set('health', [path, query]);
    } else if (path === '/logging' && query !== '' && answers[0]?.status === undefined) this.#told.set(path, [path, query]);
    else if (path === '/drain_listeners') this.#told.set(path, [path, query]);
    return answers;
  }

  quit(): void {
    (this.#options.onQuit ?? (() => void this.drain()))();
  }
}
