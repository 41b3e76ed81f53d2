import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { CliError } from '../error.ts';
import { type AdminAddress, askAdmin } from './admin.ts';
import type { Child } from './child.ts';
import { DataPlaneProcess, proxyCommand, usualDrainGraceMs } from './data-plane-process.ts';
import { drainEnvoy } from './envoy-drain.ts';

const envoyVersion = '1.40.0';
const readyPollMs = 20;
const readyTimeoutMs = 15_000;

/** The proxy of a sidecar, wherever it runs. */
export interface PlacedProxy {
  /** Of the process that it runs in; 0: of none. */
  readonly pid: number;
  /** Until it serves. */
  start(): Promise<void>;
  /** By another process, under its connections. Where that one does not come to serve, this one goes on. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

export type PlaceProxy = (options: ProxyPlaceOptions) => PlacedProxy;

export interface ProxyPlaceOptions {
  readonly dataPlane: 'outrigger' | 'envoy';
  /** Unique on this machine and state directory. */
  readonly key: string;
  readonly bootstrapPath: string;
  /** Where our proxy keeps the last good configuration. */
  readonly cacheDirectory: string;
  /** Where our proxy has its Prometheus page. */
  readonly metricsAddress: string;
  readonly logPath: string;
  /** Processes of ours, threads of an Envoy. */
  readonly concurrency: number;
  readonly admin: AdminAddress;
  /** So long what is under way may take when it is stopped; absent: the usual time. */
  readonly drainGraceMs?: number;
  readonly log: (message: string) => void;
  /** Called with false when it ends by itself, with true when its successor is ready. */
  readonly onReadiness: (ready: boolean) => void;
}

/** A process of its own, ours or Envoy; the application beside it is not touched by its end. */
export function ownProcess(options: ProxyPlaceOptions): PlacedProxy {
  return new DataPlaneProcess({
    logPath: options.logPath,
    ...(options.drainGraceMs === undefined ? {} : { drainGraceMs: options.drainGraceMs }),
    takesOver: options.dataPlane === 'outrigger',
    log: options.log,
    onReadiness: options.onReadiness,
    run: (spawn) => {
      const child = spawn(command(options));
      return {
        child,
        ready: () => untilReady(child, options),
        ...(options.dataPlane === 'envoy' ? { drain: () => drainEnvoy(options.admin, options.drainGraceMs ?? usualDrainGraceMs) } : {}),
      };
    },
  });
}

async function untilReady(child: Child, { admin, logPath }: ProxyPlaceOptions): Promise<void> {
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

/** '' where it answers 200. */
function ask(admin: AdminAddress, path: string): Promise<string> {
  return askAdmin(admin, 'GET', path).then(
    ({ status }) => (status === 200 ? '' : `${path} answered ${status}`),
    (error: Error) => error.message,
  );
}

function command({ dataPlane, bootstrapPath, cacheDirectory, metricsAddress, concurrency }: ProxyPlaceOptions): string[] {
  if (dataPlane === 'envoy')
    return [
      envoyProgram(),
      '-c',
      bootstrapPath,
      '--concurrency',
      String(concurrency),
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
  const workers = concurrency === 1 ? [] : ['--concurrency', String(concurrency)];
  return proxyCommand('--config', bootstrapPath, '--cache', cacheDirectory, '--metrics', metricsAddress, ...workers);
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
