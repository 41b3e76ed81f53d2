import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { isHandOver } from '@outrigger/proxy/hand-over';
import { isNodeAnswer, type NodeAnswer, type NodeOrder, type WorkloadOrder } from '@outrigger/proxy/node-orders';
import { CliError } from '../error.ts';
import type { Child } from '../workload/child.ts';
import { DataPlaneProcess, type DataPlaneRun, proxyCommand } from '../workload/data-plane-process.ts';
import type { PlacedProxy, ProxyPlaceOptions } from '../workload/proxy-process.ts';

/** Longer than the process waits for the configuration of a workload. */
const answerTimeoutMs = 20_000;
/** One that failed is tried again after this long, */
const retryMs = 5_000;
/** and one that was ended by its admin interface after this. */
const againMs = 500;

export interface SharedProcessOptions {
  readonly stateDirectory: string;
  readonly log: (message: string) => void;
  /** Another process serves from now on. */
  readonly onMoved: () => void;
}

/** A workload that has its proxy in the shared process. */
interface Tenant {
  readonly order: WorkloadOrder;
  readonly options: ProxyPlaceOptions;
  serving: boolean;
  /** Somebody waits for its first answer, and is told of a failure. */
  answered: ((reason: string) => void) | undefined;
  retry: NodeJS.Timeout | undefined;
}

/** One process of the data plane for all workloads of a host. */
export class SharedProcess {
  readonly #options: SharedProcessOptions;
  readonly #process: DataPlaneProcess;
  readonly #tenants = new Map<string, Tenant>();
  readonly #logPath: string;
  #current: Hosted | undefined;

  constructor(options: SharedProcessOptions) {
    this.#options = options;
    const folder = join(options.stateDirectory, 'node');
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    this.#logPath = join(folder, 'proxy.log');
    this.#process = new DataPlaneProcess({
      logPath: this.#logPath,
      takesOver: true,
      log: options.log,
      run: (spawn) =>
        new Hosted(
          spawn(proxyCommand('--node')),
          Array.from(this.#tenants.values(), ({ order }) => order),
          (key) => this.#tenants.get(key)?.serving === true,
          this.#logPath,
        ),
      onAdopted: (run) => this.#adopt(run as Hosted),
      onReadiness: (ready) => {
        // Each is told by its own answer.
        if (!ready) for (const tenant of this.#tenants.values()) this.#unready(tenant);
      },
    });
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** With no workload yet. */
  start(): Promise<void> {
    return this.#process.start();
  }

  /** All workloads at once, without a refused connection. */
  restart(): Promise<void> {
    return this.#process.restart();
  }

  stop(): Promise<void> {
    for (const { retry } of this.#tenants.values()) clearTimeout(retry);
    return this.#process.stop();
  }

  /** For a Sidecar: its place among the others. */
  place(options: ProxyPlaceOptions, maxConnections: number): PlacedProxy {
    const shared = this;
    const { key, bootstrapPath, cacheDirectory, metricsAddress } = options;
    const tenant: Tenant = {
      order: { key, bootstrapPath, cacheDirectory, metricsAddress, maxConnections },
      options,
      serving: false,
      answered: undefined,
      retry: undefined,
    };
    return {
      get pid() {
        return shared.pid;
      },
      start: () => shared.#add(tenant),
      restart: () => shared.restart(),
      stop: () => shared.#remove(tenant),
    };
  }

  async #add(tenant: Tenant): Promise<void> {
    await this.#process.settled();
    const { key } = tenant.order;
    this.#tenants.set(key, tenant);
    const reason = await new Promise<string>((resolve) => {
      const timer = setTimeout(() => resolve(`the shared process did not answer within ${answerTimeoutMs / 1000} s`), answerTimeoutMs);
      tenant.answered = (text) => {
        clearTimeout(timer);
        resolve(text);
      };
      // Where there is none it is among those with which the next one begins.
      this.#current?.order({ node: 'add', workload: tenant.order });
    });
    tenant.answered = undefined;
    if (reason === '') return;
    this.#tenants.delete(key);
    throw new CliError(`its proxy does not serve: ${reason}`, {
      where: this.#logPath,
      next: 'the log says more; `rig check` looks at the machine and the mesh',
    });
  }

  async #remove(tenant: Tenant): Promise<void> {
    await this.#process.settled();
    const { key } = tenant.order;
    clearTimeout(tenant.retry);
    if (this.#tenants.get(key) !== tenant) return;
    this.#tenants.delete(key);
    const order: NodeOrder = { node: 'remove', key };
    for (const child of this.#process.retired) send(child, order);
    await this.#current?.remove(key);
  }

  #adopt(hosted: Hosted): void {
    this.#current = hosted;
    this.#options.onMoved();
    for (const [key, reason] of hosted.outcomes) this.#answer(key, reason);
    hosted.onOutcome = (key, reason) => this.#answer(key, reason);
    hosted.onEnded = (key) => {
      const tenant = this.#tenants.get(key);
      if (tenant === undefined) return;
      this.#unready(tenant);
      tenant.options.log('its proxy was ended by its admin interface');
      this.#tryAgain(tenant, againMs);
    };
  }

  #answer(key: string, reason: string): void {
    const tenant = this.#tenants.get(key);
    if (tenant === undefined) return;
    tenant.serving = reason === '';
    if (tenant.answered !== undefined) {
      tenant.answered(reason);
      return;
    }
    if (reason === '') tenant.options.onReadiness(true);
    else {
      tenant.options.log(`its proxy does not serve: ${reason}; trying again in ${retryMs / 1000} s`);
      this.#tryAgain(tenant, retryMs);
    }
  }

  #tryAgain(tenant: Tenant, delayMs: number): void {
    clearTimeout(tenant.retry);
    tenant.retry = setTimeout(() => this.#current?.order({ node: 'add', workload: tenant.order }), delayMs);
  }

  #unready(tenant: Tenant): void {
    clearTimeout(tenant.retry);
    const was = tenant.serving;
    tenant.serving = false;
    if (was) tenant.options.onReadiness(false);
  }
}

/** One run of the shared process. */
class Hosted implements DataPlaneRun {
  readonly child: Child;
  /** What it answered of each workload: '' or why it does not serve. */
  readonly outcomes = new Map<string, string>();
  onOutcome: (key: string, reason: string) => void = () => {};
  onEnded: (key: string) => void = () => {};
  readonly #serves: Promise<void>;
  readonly #logPath: string;
  readonly #removals = new Map<string, () => void>();

  constructor(child: Child, workloads: readonly WorkloadOrder[], mustServe: (key: string) => boolean, logPath: string) {
    this.child = child;
    this.#logPath = logPath;
    // Of now: when its predecessor has died by then, none of them serves any more.
    const must = workloads.filter(({ key }) => mustServe(key)).map(({ key }) => key);
    const served = new Promise<void>((resolve, reject) => {
      child.process.on('message', (message) => {
        if (isHandOver(message) && message.outrigger === 'serving') resolve();
        else if (isNodeAnswer(message)) this.#hear(message);
      });
      child.exited.then(
        () => reject(this.#failed('ended before it served')),
        (error: Error) => reject(this.#failed(`could not be started: ${error.message}`)),
      );
    });
    this.#serves = served.then(() => {
      const lost = must.find((key) => this.outcomes.get(key) !== '');
      if (lost !== undefined) throw this.#failed(`cannot serve ${lost}, which the one before it serves: ${this.outcomes.get(lost)}`);
    });
    this.#serves.catch(() => {});
    child.exited
      .catch(() => {})
      .finally(() => {
        for (const removed of this.#removals.values()) removed();
      });
    this.order({ node: 'start', workloads });
  }

  ready(): Promise<void> {
    return this.#serves;
  }

  order(order: NodeOrder): void {
    send(this.child, order);
  }

  remove(key: string): Promise<void> {
    if (!this.child.running) return Promise.resolve();
    return new Promise((resolve) => {
      this.#removals.set(key, resolve);
      this.order({ node: 'remove', key });
    });
  }

  #hear(answer: NodeAnswer): void {
    switch (answer.node) {
      case 'serving':
      case 'failed': {
        const reason = answer.node === 'failed' ? answer.reason : '';
        this.outcomes.set(answer.key, reason);
        this.onOutcome(answer.key, reason);
        return;
      }
      case 'removed':
        this.outcomes.delete(answer.key);
        this.#removals.get(answer.key)?.();
        this.#removals.delete(answer.key);
        return;
      case 'ended':
        this.onEnded(answer.key);
    }
  }

  #failed(what: string): CliError {
    return new CliError(`the shared process of the proxies ${what}`, { where: this.#logPath, next: 'its log says why' });
  }
}

function send(child: Child, order: NodeOrder): void {
  // A process that has gone needs no orders; its successor begins with all of them.
  if (child.running && child.process.connected) child.process.send(order, () => {});
}
