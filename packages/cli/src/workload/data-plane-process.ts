import { closeSync, openSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { isHandOver, receiveSockets, sendSockets, TAKE_OVER, tell } from '@outrigger/proxy/hand-over';
import { CliError } from '../error.ts';
import { Child } from './child.ts';

/** A process that ended is started again after this long, doubling up to the second figure. */
const restartMinMs = 100;
const restartMaxMs = 5000;
/** One that ran this long starts over at the first figure. */
const steadyMs = 10_000;
export const usualDrainGraceMs = 5000;
/** What takes longer than this to end is explained. */
const stopTellMs = 1000;
const takeOverTimeoutMs = 15_000;
/** One that was followed by another has a minute for what is under way, and ends by itself. */
const retireGraceMs = 65_000;

/** One run of a data plane's program. */
export interface DataPlaneRun {
  readonly child: Child;
  /** Rejects with a CliError where it does not come to serve. */
  ready(): Promise<void>;
  /** Of a program that does not wait for what is under way when it is told to end. */
  readonly drain?: () => Promise<void>;
}

export interface DataPlaneProcessOptions {
  readonly logPath: string;
  /** So long what is under way may take when it is stopped; absent: the usual time. */
  readonly drainGraceMs?: number;
  /** Ours passes its sockets on to its successor; an Envoy is ended before its successor is started. */
  readonly takesOver: boolean;
  /** Starts the program; `spawn` gives it its log, and its channel where it takes over. */
  readonly run: (spawn: (command: readonly string[]) => Child) => DataPlaneRun;
  /** That run is the one that serves, from the beginning or in place of the one before it. */
  readonly onAdopted?: (run: DataPlaneRun) => void;
  readonly log: (message: string) => void;
  /** Called with false when it ends by itself, with true when its successor is ready. */
  readonly onReadiness: (ready: boolean) => void;
}

async function end(run: DataPlaneRun | undefined, graceMs: number): Promise<void> {
  if (run?.child.running === true) await run.drain?.();
  await run?.child.stop(graceMs);
}

/** A process of the data plane, started again when it ends, and replaced without a refused connection. */
export class DataPlaneProcess {
  readonly #options: DataPlaneProcessOptions;
  #run: DataPlaneRun | undefined;
  #stopped = false;
  #restartMs = restartMinMs;
  #timer: NodeJS.Timeout | undefined;
  #restarting: Promise<void> | undefined;
  /** Followed by another, with connections still. */
  readonly #retired = new Set<Child>();

  constructor(options: DataPlaneProcessOptions) {
    this.#options = options;
  }

  get pid(): number {
    return this.#run?.child.pid ?? 0;
  }

  /** Those that were followed by another and have connections still. */
  get retired(): Iterable<Child> {
    return this.#retired;
  }

  /** Fulfilled when it is known which process serves. */
  async settled(): Promise<void> {
    await this.#restarting?.catch(() => {});
  }

  async start(): Promise<void> {
    await this.launch().ready();
  }

  /**
   * Starts another one, of the program as it is on the disk now. Ours takes over the sockets of the one before, which drains beside it: no
   * connection is refused. An Envoy is ended first. Where the new one does not come to serve, the old one goes on.
   */
  restart(): Promise<void> {
    this.#restarting ??= this.replace().finally(() => {
      this.#restarting = undefined;
    });
    return this.#restarting;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    const graceMs = this.#graceMs;
    const { logPath, log } = this.#options;
    const tell = setTimeout(
      () => log(`the proxy has connections still, and up to ${graceMs / 1000} s for them (${logPath} says which); a second signal ends it at once`),
      stopTellMs,
    );
    await Promise.all([end(this.#run, graceMs), ...[...this.#retired].map((child) => child.stop(graceMs))]);
    clearTimeout(tell);
  }

  get #graceMs(): number {
    return this.#options.drainGraceMs ?? usualDrainGraceMs;
  }

  private async replace(): Promise<void> {
    const run = this.#run;
    const old = run?.child;
    if (!this.#options.takesOver || old === undefined || !old.running) {
      this.#run = undefined;
      clearTimeout(this.#timer);
      await end(run, this.#graceMs);
      await this.start();
      return;
    }
    const next = this.spawn(true);
    try {
      await takeOver(old, next, this.#options.logPath);
    } catch (error) {
      next.child.kill('SIGKILL');
      throw error;
    }
    if (this.#stopped) {
      next.child.kill('SIGKILL');
      return;
    }
    this.adopt(next);
    this.#options.onReadiness(true);
    this.#retired.add(old);
    tell(old.process, { outrigger: 'retire' });
    const timer = setTimeout(() => old.kill('SIGKILL'), retireGraceMs);
    old.exited
      .catch(() => {})
      .finally(() => {
        clearTimeout(timer);
        this.#retired.delete(old);
      });
  }

  private launch(): DataPlaneRun {
    const run = this.spawn(false);
    this.adopt(run);
    return run;
  }

  private spawn(takesOver: boolean): DataPlaneRun {
    const { logPath } = this.#options;
    const environment = { ...proxyEnvironment(), ...(takesOver ? { [TAKE_OVER]: '1' } : {}) };
    return this.#options.run((command) => {
      const log = openSync(logPath, 'a', 0o600);
      // A sidecar without its supervisor would serve with a certificate that nobody renews. Detached: a terminal's Ctrl-C is for the application, whose
      // last requests still need the proxy.
      const channel = this.#options.takesOver ? (['ipc'] as const) : [];
      const child = new Child(command, { stdio: ['ignore', log, log, ...channel], env: environment, detached: true }, 'KILL');
      closeSync(log);
      return child;
    });
  }

  /** Its end is looked after from now on. */
  private adopt(run: DataPlaneRun): void {
    const { child } = run;
    this.#run = run;
    this.#options.onAdopted?.(run);
    const startedMs = performance.now();
    child.process.on('message', (message) => {
      if (isHandOver(message) && message.outrigger === 'restart') this.restart().catch((error: Error) => this.#options.log(error.message));
    });
    child.exited.then(
      ({ code, signal }) => {
        if (this.#stopped || this.#run !== run) return;
        this.#options.onReadiness(false);
        this.#restartMs = performance.now() - startedMs > steadyMs ? restartMinMs : Math.min(this.#restartMs * 2, restartMaxMs);
        this.#options.log(`the proxy ended with ${signal ?? code}; its log is ${this.#options.logPath}; starting it again in ${this.#restartMs} ms`);
        this.#timer = setTimeout(() => {
          this.launch()
            .ready()
            .then(
              () => this.#options.onReadiness(true),
              (error: Error) => this.#options.log(error.message),
            );
        }, this.#restartMs);
      },
      (error: Error) => this.#options.log(`the proxy could not be started: ${error.message}`),
    );
  }
}

/** Passes the sockets of the one to the other; fulfilled when that one serves. */
async function takeOver(old: Child, next: DataPlaneRun, logPath: string): Promise<void> {
  const { child } = next;
  const failed = (what: string, cause?: unknown): CliError =>
    new CliError(`the new proxy ${what}; the one before it serves on`, { where: logPath, next: 'its log says why', cause });
  let timer: NodeJS.Timeout | undefined;
  const served = new Promise<void>((resolve, reject) => {
    timer = setTimeout(() => reject(failed(`did not serve within ${takeOverTimeoutMs / 1000} s`)), takeOverTimeoutMs);
    child.exited.then(
      ({ code, signal }) => reject(failed(`ended with ${signal ?? code} before it served`)),
      (cause: Error) => reject(failed(`could not be started: ${cause.message}`, cause)),
    );
    child.process.on('message', (message) => {
      if (!isHandOver(message)) return;
      if (message.outrigger === 'serving') resolve();
      else if (message.outrigger === 'take-sockets')
        receiveSockets(old.process, 'give-sockets').then(
          (sockets) => sendSockets(child.process, sockets, true),
          (cause: Error) => reject(failed(`could not take over: ${cause.message}`, cause)),
        );
    });
  });
  try {
    await served;
    await next.ready();
  } finally {
    clearTimeout(timer);
  }
}

/** Our data plane's program: the bundle that runs now. */
export function proxyCommand(...args: readonly string[]): string[] {
  // Half of V8's default young generation: a fifth less memory under load for the same CPU a request (npm run bench, pair-mtls-1k).
  return [process.execPath, '--max-semi-space-size=8', ...process.execArgv, proxyEntry(), 'proxy', ...args];
}

function proxyEntry(): string {
  return process.env['OUTRIGGER_RIG'] ?? fileURLToPath(new URL('./rig.js', import.meta.url)).replace(/\/chunks\/rig\.js$/, '/rig.js');
}

function proxyEnvironment(): NodeJS.ProcessEnv {
  const environment = { ...process.env };
  // What is meant for applications must not turn the proxy's own connections round to itself.
  for (const name of ['HTTP_PROXY', 'http_proxy', 'HTTPS_PROXY', 'https_proxy', 'grpc_proxy', 'NODE_USE_ENV_PROXY', 'JAVA_TOOL_OPTIONS', 'NODE_OPTIONS'])
    delete environment[name];
  // One heap of the C library for all threads: each of V8's would have its own, of which it uses little (3 MB of an idle sidecar's 53).
  return { MALLOC_ARENA_MAX: '1', ...environment };
}
