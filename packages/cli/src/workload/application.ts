import { request } from 'node:http';
import { connect } from 'node:net';
import { Child, type Exit } from './child.ts';
import { HealthVerdict, type Look, WELL } from './health-verdict.ts';

const probeIntervalMs = 50;
const probeTimeoutMs = 1000;

/** After so long it is said what is waited for. */
const patienceMs = 5000;

/** Once it is up, it is looked at so often. */
const watchIntervalMs = 500;

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
      const { reason } = await this.probe();
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
    const verdict = new HealthVerdict();
    const look = async (): Promise<void> => {
      const found = await this.probe();
      if (verdict.add(found)) report(found.reason);
      if (this.#watching !== undefined) this.#watching = setTimeout(look, watchIntervalMs);
    };
    this.#watching = setTimeout(look, watchIntervalMs);
  }

  unwatch(): void {
    clearTimeout(this.#watching);
    this.#watching = undefined;
  }

  private probe(): Promise<Look> {
    const { port, healthPath } = this.#options;
    if (port === undefined) return Promise.resolve(WELL);
    return healthPath === '' ? probeConnect(port) : probeHttp(port, healthPath);
  }
}

function probeConnect(port: number): Promise<Look> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    const end = (look: Look): void => {
      socket.destroy();
      resolve(look);
    };
    socket.setTimeout(probeTimeoutMs, () => end({ reason: `no connection to 127.0.0.1:${port} within ${probeTimeoutMs} ms`, silent: true }));
    socket.once('connect', () => end(WELL));
    socket.once('error', ({ message }) => end({ reason: message, silent: false }));
  });
}

function probeHttp(port: number, path: string): Promise<Look> {
  return new Promise((resolve) => {
    const probe = request(
      { host: '127.0.0.1', port, path, agent: false, timeout: probeTimeoutMs, headers: { 'user-agent': 'outrigger-health' } },
      (response) => {
        response.resume();
        const status = response.statusCode ?? 0;
        resolve(status < 400 ? WELL : { reason: `${path} answered ${status}`, silent: false });
      },
    );
    probe.on('timeout', () => {
      resolve({ reason: `${path} did not answer within ${probeTimeoutMs} ms`, silent: true });
      probe.destroy();
    });
    probe.on('error', ({ message }) => resolve({ reason: message, silent: false }));
    probe.end();
  });
}
