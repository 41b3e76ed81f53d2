import { request } from 'node:http';
import { connect } from 'node:net';
import { Child, type Exit } from './child.ts';

const probeIntervalMs = 50;
const probeTimeoutMs = 1000;

/** After so long it is said what is waited for. */
const patienceMs = 5000;

/** Once it is up, it is looked at so often; two misses take it out. */
const watchIntervalMs = 500;
const missesToFail = 2;

export interface ApplicationOptions {
  readonly command: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
  /** Loopback port that tells whether it takes requests; undefined: it serves nothing, so it is ready at once. */
  readonly port: number | undefined;
  /** '' : a connection is enough. */
  readonly healthPath: string;
  readonly cwd?: string;
  readonly stdout?: 'inherit' | 'pipe' | 'ignore';
  /** In a process group of its own. */
  readonly detached?: boolean;
}

/** The application of a workload: somebody's process that knows nothing of a mesh. */
export class Application {
  readonly #options: ApplicationOptions;
  readonly child: Child | undefined;
  #watching: NodeJS.Timeout | undefined;

  /** With an empty command the process is somebody else's, and only looked at. */
  constructor(options: ApplicationOptions) {
    this.#options = options;
    if (options.command.length > 0)
      this.child = new Child(
        options.command,
        {
          stdio: ['inherit', options.stdout ?? 'inherit', 'inherit'],
          env: options.environment,
          detached: options.detached ?? false,
          ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
        },
        'TERM',
      );
  }

  get exited(): Promise<Exit> {
    return this.child?.exited ?? new Promise(() => {});
  }

  /** Until it takes requests. Ends early when the process does. */
  async ready(signal: AbortSignal, log: (message: string) => void): Promise<boolean> {
    const startedMs = performance.now();
    let said = false;
    while (!signal.aborted && this.child?.running !== false) {
      const reason = await this.probe();
      if (reason === '') return true;
      if (!said && performance.now() - startedMs > patienceMs) {
        said = true;
        log(`the application does not take requests yet: ${reason}; no traffic is sent to it until it does`);
      }
      await new Promise((resolve) => setTimeout(resolve, probeIntervalMs));
    }
    return false;
  }

  /** Reports each change between healthy ('') and not (why). */
  watch(report: (reason: string) => void): void {
    if (this.#options.port === undefined) return;
    let misses = 0;
    let failing = false;
    const look = async (): Promise<void> => {
      const reason = await this.probe();
      misses = reason === '' ? 0 : misses + 1;
      if (failing && misses === 0) report('');
      else if (!failing && misses >= missesToFail) report(reason);
      failing = failing ? misses > 0 : misses >= missesToFail;
      if (this.#watching !== undefined) this.#watching = setTimeout(look, watchIntervalMs);
    };
    this.#watching = setTimeout(look, watchIntervalMs);
  }

  unwatch(): void {
    clearTimeout(this.#watching);
    this.#watching = undefined;
  }

  /** '' where it takes requests, else why not. */
  private probe(): Promise<string> {
    const { port, healthPath } = this.#options;
    if (port === undefined) return Promise.resolve('');
    return healthPath === '' ? probeConnect(port) : probeHttp(port, healthPath);
  }
}

function probeConnect(port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    const end = (reason: string): void => {
      socket.destroy();
      resolve(reason);
    };
    socket.setTimeout(probeTimeoutMs, () => end(`no connection to 127.0.0.1:${port} within ${probeTimeoutMs} ms`));
    socket.once('connect', () => end(''));
    socket.once('error', (error) => end(error.message));
  });
}

function probeHttp(port: number, path: string): Promise<string> {
  return new Promise((resolve) => {
    const probe = request(
      { host: '127.0.0.1', port, path, agent: false, timeout: probeTimeoutMs, headers: { 'user-agent': 'outrigger-health' } },
      (response) => {
        response.resume();
        const status = response.statusCode ?? 0;
        resolve(status < 400 ? '' : `${path} answered ${status}`);
      },
    );
    probe.on('timeout', () => probe.destroy(new Error(`${path} did not answer within ${probeTimeoutMs} ms`)));
    probe.on('error', (error) => resolve(error.message));
    probe.end();
  });
}
