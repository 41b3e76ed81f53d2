import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { StartError } from '../options.ts';
import { lockFile } from './directory-lock.ts';

/**
 * The state directory (mode 0700; default `~/.outrigger`):
 *
 *     lock                     held while a control plane runs
 *     store/data.mdb           everything that outlives it, the certificate authority's key among that
 *     request-samples/         (0700) heads of requests that were seen, for replay
 *     run/                     (0700) what is true while it runs
 *     run/api.sock             (0600) the HTTP API
 *     run/agent.sock           (0600) agents of this machine and user
 *     run/control-plane.json   (0600) `Addresses` and the pid
 *     run/api-token            (0600) the API's bearer token
 */
export interface StateDirectory {
  readonly path: string;
  readonly store: string;
  readonly requestSamples: string;
  readonly apiSocket: string;
  readonly agentSocket: string;
  /** Writes a file of `run/` whole, for its owner alone. */
  publish(name: 'control-plane.json' | 'api-token', text: string): void;
  /** Takes away what `publish` wrote, and lets others start here. */
  release(): void;
}

/** Makes it where it is not there, and locks it. Throws a `StartError`: STATE_DIRECTORY, ALREADY_RUNNING. */
export function openStateDirectory(path: string | undefined): StateDirectory {
  const directory = resolve(path ?? join(homedir(), '.outrigger'));
  const run = join(directory, 'run');
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    mkdirSync(run, { recursive: true, mode: 0o700 });
    checkPrivate(run);
  } catch (cause) {
    if (cause instanceof StartError) throw cause;
    throw new StartError(
      'STATE_DIRECTORY',
      `the state directory cannot be used: ${(cause as Error).message}`,
      directory,
      'Give a directory that this user may write to (--state DIR).',
      { cause },
    );
  }
  const unlock = lock(directory, join(run, 'control-plane.json'));
  const published = new Set<string>();
  return {
    path: directory,
    store: join(directory, 'store'),
    requestSamples: join(directory, 'request-samples'),
    apiSocket: join(run, 'api.sock'),
    agentSocket: join(run, 'agent.sock'),
    publish(name, text) {
      const file = join(run, name);
      writeFileSync(`${file}.new`, text, { mode: 0o600 });
      renameSync(`${file}.new`, file);
      published.add(file);
    },
    release() {
      for (const file of published) rmSync(file, { force: true });
      unlock();
    },
  };
}

/** Sockets lie here: whoever may enter may act as this user's mesh. */
function checkPrivate(directory: string): void {
  const stat = statSync(directory);
  const own = process.getuid?.();
  if (own !== undefined && stat.uid !== own) {
    throw new StartError(
      'STATE_DIRECTORY',
      `${directory} belongs to another user`,
      directory,
      'Run as that user, or give another state directory (--state DIR).',
    );
  }
  if ((stat.mode & 0o077) !== 0) chmodSync(directory, 0o700);
}

function lock(directory: string, addresses: string): () => void {
  const file = join(directory, 'lock');
  let unlock: (() => void) | undefined;
  try {
    unlock = lockFile(file);
  } catch (cause) {
    throw new StartError(
      'STATE_DIRECTORY',
      `the lock file cannot be used: ${(cause as Error).message}`,
      file,
      'Remove that file if it is no lock of Outrigger, or give another state directory (--state DIR).',
      { cause },
    );
  }
  if (unlock !== undefined) return unlock;
  const pid = runningPid(addresses);
  throw new StartError(
    'ALREADY_RUNNING',
    `a control plane${pid === undefined ? '' : ` (process ${pid})`} runs with this state directory already`,
    directory,
    'Use that one (rig status), end it, or give another state directory (--state DIR).',
  );
}

function runningPid(file: string): number | undefined {
  try {
    const { pid } = JSON.parse(readFileSync(file, 'utf8')) as { pid?: unknown };
    return typeof pid === 'number' ? pid : undefined;
  } catch {
    return undefined;
  }
}
