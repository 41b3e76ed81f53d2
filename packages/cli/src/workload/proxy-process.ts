import { closeSync, existsSync, openSync } from 'node:fs';
import { request } from 'node:http';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isHandOver, receiveSockets, sendSockets, TAKE_OVER, tell } from '@outrigger/proxy/hand-over';
import { CliError } from '../error.ts';
import { Child } from './child.ts';

const envoyVersion = '1.40.0';
/** A proxy that ended is started again after this long, doubling up to the second figure. */
const restartMinMs = 100;
const restartMaxMs = 5000;
/** One that ran this long starts over at the first figure. */
const steadyMs = 10_000;
const readyPollMs = 20;
const readyTimeoutMs = 15_000;
const drainGraceMs = 5000;
/** One that was followed by another has a minute for what is under way, and ends by itself. */
const retireGraceMs = 65_000;

export interface ProxyProcessOptions {
  readonly dataPlane: 'outrigger' | 'envoy';
  readonly bootstrapPath: string;
  /** Where our proxy keeps the last good configuration. */
  readonly cacheDirectory: string;
  /** Where our proxy has its Prometheus page. */
  readonly metricsAddress: string;
  readonly logPath: string;
  readonly admin: { readonly host: string; readonly port: number };
  readonly log: (message: string) => void;
  /** Called with false when it ends by itself, with true when its successor is ready. */
  readonly onReadiness: (ready: boolean) => void;
}

/** The data plane's process, ours or Envoy, started again when it ends; the application beside it is not touched by that. */
export class ProxyProcess {
  readonly #options: ProxyProcessOptions;
  #child: Child | undefined;
  #stopped = false;
  #restartMs = restartMinMs;
  #timer: NodeJS.Timeout | undefined;
  #restarting: Promise<void> | undefined;
  /** Followed by another, with connections still. */
  readonly #retired = new Set<Child>();

  constructor(options: ProxyProcessOptions) {
    this.#options = options;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  async start(): Promise<void> {
    const child = this.launch();
    await this.untilReady(child);
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
    await Promise.all([this.#child, ...this.#retired].map((child) => child?.stop(drainGraceMs)));
  }

  private async replace(): Promise<void> {
    const old = this.#child;
    if (this.#options.dataPlane === 'envoy' || old === undefined || !old.running) {
      this.#child = undefined;
      clearTimeout(this.#timer);
      await old?.stop(drainGraceMs);
      await this.start();
      return;
    }
    const next = this.spawn({ ...proxyEnvironment(), [TAKE_OVER]: '1' });
    try {
      await takeOver(old, next, this.#options.logPath);
    } catch (error) {
      next.kill('SIGKILL');
      throw error;
    }
    if (this.#stopped) {
      next.kill('SIGKILL');
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

  private launch(): Child {
    const child = this.spawn(proxyEnvironment());
    this.adopt(child);
    return child;
  }

  private spawn(environment: NodeJS.ProcessEnv): Child {
    const log = openSync(this.#options.logPath, 'a', 0o600);
    // A sidecar without its supervisor would serve with a certificate that nobody renews. Detached: a terminal's Ctrl-C is for the application, whose
    // last requests still need the proxy.
    const channel = this.#options.dataPlane === 'outrigger' ? (['ipc'] as const) : [];
    const child = new Child(command(this.#options), { stdio: ['ignore', log, log, ...channel], env: environment, detached: true }, 'KILL');
    closeSync(log);
    return child;
  }

  /** Its end is looked after from now on. */
  private adopt(child: Child): void {
    this.#child = child;
    const startedMs = performance.now();
    child.process.on('message', (message) => {
      if (isHandOver(message) && message.outrigger === 'restart') this.restart().catch((error: Error) => this.#options.log(error.message));
    });
    child.exited.then(
      ({ code, signal }) => {
        if (this.#stopped || this.#child !== child) return;
        this.#options.onReadiness(false);
        this.#restartMs = performance.now() - startedMs > steadyMs ? restartMinMs : Math.min(this.#restartMs * 2, restartMaxMs);
        this.#options.log(`the proxy ended with ${signal ?? code}; its log is ${this.#options.logPath}; starting it again in ${this.#restartMs} ms`);
        this.#timer = setTimeout(() => {
          this.untilReady(this.launch()).then(
            () => this.#options.onReadiness(true),
            (error: Error) => this.#options.log(error.message),
          );
        }, this.#restartMs);
      },
      (error: Error) => this.#options.log(`the proxy could not be started: ${error.message}`),
    );
  }

  private async untilReady(child: Child): Promise<void> {
    const { admin, logPath } = this.#options;
    const endMs = performance.now() + readyTimeoutMs;
    let last = '';
    while (child.running && performance.now() < endMs) {
      last = await ask(admin, '/ready');
      if (last === '') return;
      await new Promise((resolve) => setTimeout(resolve, readyPollMs));
    }
    throw new CliError(child.running ? `the proxy was not ready within ${readyTimeoutMs / 1000} s: ${last}` : 'the proxy ended before it was ready', {
      where: logPath,
      next: 'its log says why; `rig check` looks at the machine and the mesh',
    });
  }
}

/** Passes the sockets of the one to the other; fulfilled when that one serves. */
function takeOver(old: Child, next: Child, logPath: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (what: string, cause?: unknown): void => {
      clearTimeout(timer);
      reject(new CliError(`the new proxy ${what}; the one before it serves on`, { where: logPath, next: 'its log says why', cause }));
    };
    const timer = setTimeout(() => fail(`did not serve within ${readyTimeoutMs / 1000} s`), readyTimeoutMs);
    next.exited.then(
      ({ code, signal }) => fail(`ended with ${signal ?? code} before it served`),
      (cause: Error) => fail(`could not be started: ${cause.message}`, cause),
    );
    next.process.on('message', (message) => {
      if (!isHandOver(message)) return;
      if (message.outrigger === 'serving') {
        clearTimeout(timer);
        resolve();
      } else if (message.outrigger === 'take-sockets') {
        receiveSockets(old.process, 'give-sockets').then(
          (sockets) => sendSockets(next.process, sockets, true),
          (cause: Error) => fail(`could not take over: ${cause.message}`, cause),
        );
      }
    });
  });
}

/** '' where it answers 200. */
function ask({ host, port }: { host: string; port: number }, path: string): Promise<string> {
  return new Promise((resolve) => {
    const call = request({ host, port, path, agent: false, timeout: 1000 }, (response) => {
      response.resume();
      resolve(response.statusCode === 200 ? '' : `${path} answered ${response.statusCode}`);
    });
    call.on('timeout', () => call.destroy(new Error(`${path} did not answer`)));
    call.on('error', (error) => resolve(error.message));
    call.end();
  });
}

function command({ dataPlane, bootstrapPath, cacheDirectory, metricsAddress }: ProxyProcessOptions): string[] {
  if (dataPlane === 'envoy')
    return [
      envoyProgram(),
      '-c',
      bootstrapPath,
      '--concurrency',
      '1',
      '--disable-hot-restart',
      '--log-level',
      'warn',
      // The access log is there to be read while something happens: by default it comes ten seconds late.
      '--file-flush-interval-msec',
      '500',
      '--drain-time-s',
      '2',
      '--drain-strategy',
      'immediate',
    ];
  // Half of V8's default young generation: a fifth less memory under load for the same CPU a request (npm run bench, pair-mtls-1k).
  return [
    process.execPath,
    '--max-semi-space-size=8',
    ...process.execArgv,
    proxyEntry(),
    'proxy',
    '--config',
    bootstrapPath,
    '--cache',
    cacheDirectory,
    '--metrics',
    metricsAddress,
  ];
}

/** The bundle that runs now. */
function proxyEntry(): string {
  return process.env['OUTRIGGER_RIG'] ?? fileURLToPath(new URL('./rig.js', import.meta.url)).replace(/\/chunks\/rig\.js$/, '/rig.js');
}

function proxyEnvironment(): NodeJS.ProcessEnv {
  const environment = { ...process.env };
  // What is meant for applications must not turn the proxy's own connections round to itself.
  for (const name of ['HTTP_PROXY', 'http_proxy', 'HTTPS_PROXY', 'https_proxy', 'grpc_proxy', 'NODE_USE_ENV_PROXY', 'JAVA_TOOL_OPTIONS', 'NODE_OPTIONS'])
    delete environment[name];
  return environment;
}

/** OUTRIGGER_ENVOY, the peers' cache, or PATH. */
function envoyProgram(): string {
  const cache = process.env['OUTRIGGER_PEERS'] ?? join(homedir(), '.cache/outrigger/peers');
  const candidates = [
    process.env['OUTRIGGER_ENVOY'],
    join(cache, `envoy-${envoyVersion}`, 'envoy'),
    ...(process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, 'envoy')),
  ];
  const found = candidates.find((path) => path !== undefined && path !== '' && existsSync(path));
  if (found === undefined)
    throw new CliError('no Envoy is on this machine', {
      where: '--data-plane envoy',
      next: '`bash scripts/peers envoy` installs one, or set OUTRIGGER_ENVOY to its path',
    });
  return found;
}
