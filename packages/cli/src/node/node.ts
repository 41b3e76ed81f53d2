import { readFileSync } from 'node:fs';
import type { ControlPlaneTarget } from '@outrigger/identity';
import { giveBackMemory } from '@outrigger/proxy/give-back-memory';
import { CliError, describe } from '../error.ts';
import { RestartNote } from '../workload/restart.ts';
import { Workload } from '../workload/workload.ts';
import { SharedProcess } from './shared-process.ts';
import type { NodeWorkload } from './workloads-file.ts';

/** A workload that could not be started, or whose application has ended, is started again after this long, doubling up to the second figure. */
const retryMinMs = 1_000;
const retryMaxMs = 30_000;
/** One that ran this long starts over at the first figure. */
const steadyMs = 30_000;
/** Identities and ports of so many are made ready at once. */
const maxStarting = 8;
/** After a start: registrations and first answers have come by then. */
const settleMs = 3_000;

export interface NodeSetup {
  readonly stateDirectory: string;
  /** With a workload's own join token, or without. */
  readonly controlPlane: (joinToken: string | undefined) => ControlPlaneTarget;
  readonly environment: NodeJS.ProcessEnv;
  readonly log: (message: string) => void;
}

/** The workloads of a host: their agents and applications are this process's, their proxies are in one other. */
export class Node {
  readonly #setup: NodeSetup;
  readonly #shared: SharedProcess;
  readonly #tenancies = new Map<string, Tenancy>();
  readonly #starts = new Turnstile(maxStarting);
  #applying: Promise<void> = Promise.resolve();
  #stopping = false;
  #settled: NodeJS.Timeout | undefined;

  constructor(setup: NodeSetup) {
    this.#setup = setup;
    this.#shared = new SharedProcess({
      stateDirectory: setup.stateDirectory,
      log: setup.log,
      onMoved: () => {
        for (const { note } of this.#tenancies.values()) note?.moved();
      },
    });
  }

  async start(): Promise<void> {
    await this.#shared.start();
  }

  /** These, and no others: fulfilled when those that are to go are gone, and each of the others has been tried. Those that stay as they are notice nothing. */
  apply(workloads: readonly NodeWorkload[]): Promise<void> {
    this.#applying = this.#applying.then(() => this.#apply(workloads));
    return this.#applying;
  }

  /** The proxies of all by another process. */
  async restart(): Promise<void> {
    let failure = '';
    try {
      await this.#shared.restart();
      this.#setup.log(`the proxies were replaced; they are in process ${this.#shared.pid} now`);
    } catch (error) {
      failure = describe(error);
      this.#setup.log(failure);
    }
    for (const tenancy of this.#tenancies.values()) tenancy.note?.restarted(failure);
  }

  async stop(signal: NodeJS.Signals): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#settled);
    await Promise.all(Array.from(this.#tenancies.values(), (tenancy) => tenancy.stop(signal)));
    await this.#shared.stop();
  }

  async #apply(workloads: readonly NodeWorkload[]): Promise<void> {
    if (this.#stopping) return;
    const wanted = new Map(workloads.map((workload) => [keyOf(workload), workload]));
    const gone = [...this.#tenancies].filter(([key, { fingerprint }]) => !wanted.has(key) || fingerprintOf(wanted.get(key)!) !== fingerprint);
    await Promise.all(
      gone.map(async ([key, tenancy]) => {
        this.#setup.log(`${key} ${wanted.has(key) ? 'has changed' : 'is not in the file any more'}; it is drained`);
        await tenancy.stop('SIGTERM');
        this.#tenancies.delete(key);
      }),
    );
    const tried: Promise<void>[] = [];
    for (const [key, workload] of wanted) {
      if (this.#tenancies.has(key) || this.#stopping) continue;
      const tenancy = new Tenancy(this.#setup, this.#shared, workload, this.#starts);
      this.#tenancies.set(key, tenancy);
      tried.push(tenancy.start());
    }
    await Promise.all(tried);
    if (tried.length === 0) return;
    clearTimeout(this.#settled);
    this.#settled = setTimeout(giveBackMemory, settleMs);
    this.#settled.unref();
  }
}

/** One workload, for as long as the file has it as it is. */
class Tenancy {
  readonly fingerprint: string;
  note: RestartNote | undefined;
  readonly #setup: NodeSetup;
  readonly #shared: SharedProcess;
  readonly #spec: NodeWorkload;
  readonly #starts: Turnstile;
  readonly #log: (message: string) => void;
  #workload: Workload | undefined;
  #retryMs = retryMinMs;
  #retry: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(setup: NodeSetup, shared: SharedProcess, spec: NodeWorkload, starts: Turnstile) {
    this.#setup = setup;
    this.#shared = shared;
    this.#spec = spec;
    this.#starts = starts;
    this.#log = (message) => setup.log(`${keyOf(spec)}: ${message}`);
    this.fingerprint = fingerprintOf(spec);
  }

  /** Fulfilled when its sidecar serves, or has failed to. */
  async start(): Promise<void> {
    const leave = await this.#starts.enter();
    try {
      if (!this.#stopped) await this.#start();
    } catch (error) {
      this.#log(describe(error));
      this.#tryAgain();
    } finally {
      leave();
    }
  }

  async #start(): Promise<void> {
    const { options, command, env, cwd, maxConnections, joinTokenFile } = this.#spec;
    const workload = new Workload({
      options,
      command,
      environment: { ...this.#setup.environment, ...env },
      stateDirectory: this.#setup.stateDirectory,
      controlPlane: this.#setup.controlPlane(joinTokenFile === undefined ? undefined : tokenIn(joinTokenFile)),
      log: this.#log,
      place: (place) => this.#shared.place(place, maxConnections),
      // Ended in order by this process.
      detached: true,
      ...(cwd === undefined ? {} : { cwd }),
    });
    this.#workload = workload;
    const startedMs = performance.now();
    try {
      await workload.prepare();
    } catch (error) {
      // The instance is its own no longer: it is tried again.
      await workload.stop('SIGTERM');
      throw error;
    }
    this.note = new RestartNote(workload.sidecar);
    // Its application takes the time that it takes: the others need not wait for it.
    workload.start().catch((error: unknown) => this.#log(describe(error)));
    void workload.ended.then(({ code }) => {
      if (this.#stopped || this.#workload !== workload) return;
      if (performance.now() - startedMs > steadyMs) this.#retryMs = retryMinMs;
      this.#log(`its application has ended with ${code}; starting it again in ${this.#retryMs / 1000} s`);
      this.#tryAgain();
    });
  }

  async stop(signal: NodeJS.Signals): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#retry);
    await this.#workload?.stop(signal);
  }

  #tryAgain(): void {
    this.note = undefined;
    if (this.#stopped) return;
    this.#retry = setTimeout(() => void this.start(), this.#retryMs);
    this.#retryMs = Math.min(this.#retryMs * 2, retryMaxMs);
  }
}

/** Lets so many in at once, in their order. */
class Turnstile {
  #free: number;
  readonly #queue: (() => void)[] = [];

  constructor(places: number) {
    this.#free = places;
  }

  /** Gives what is to be called when one leaves. */
  async enter(): Promise<() => void> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#queue.push(resolve));
    return () => {
      const next = this.#queue.shift();
      if (next === undefined) this.#free++;
      else next();
    };
  }
}

function tokenIn(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (cause) {
    throw new CliError(`its join token cannot be read: ${(cause as Error).message}`, {
      where: path,
      next: '`rig token create --name NAME` there prints one',
      cause,
    });
  }
}

function keyOf({ options }: NodeWorkload): string {
  return `${options.namespace}.${options.instance}`;
}

function fingerprintOf(workload: NodeWorkload): string {
  return JSON.stringify(workload);
}
