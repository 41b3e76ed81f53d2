import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { lockFile } from '@outrigger/control-plane/directory-lock';
import { CliError } from '../error.ts';

/** Unix socket paths are cut at 108 bytes by the kernel. */
const maxSocketPathBytes = 104;

const PORTS_FILE = 'ports.json';
const SUPERVISOR_FILE = 'supervisor.json';

/** Another process is that instance now. */
export class InstanceTaken extends CliError {}

/** What an instance keeps on disk: `STATE/sidecars/NAMESPACE.INSTANCE/`, readable by its user alone, and of one process at a time. */
export class InstanceDirectory {
  readonly path: string;
  readonly #unlock: () => void;

  /** Throws `InstanceTaken` where another process has it. */
  constructor(stateDirectory: string, namespace: string, instance: string) {
    this.path = join(stateDirectory, 'sidecars', `${namespace}.${instance}`);
    if (Buffer.byteLength(this.adsSocket) > maxSocketPathBytes)
      throw new CliError(`the path of a socket would be longer than ${maxSocketPathBytes} bytes`, {
        where: this.adsSocket,
        next: 'choose a shorter --state directory',
      });
    let unlock: (() => void) | undefined;
    try {
      mkdirSync(this.path, { recursive: true, mode: 0o700 });
      chmodSync(this.path, 0o700);
      unlock = lockFile(join(this.path, 'lock'));
    } catch (cause) {
      throw new CliError(`the directory of this instance cannot be used: ${(cause as Error).message}`, {
        where: this.path,
        next: 'choose a --state directory that this user may write to',
        cause,
      });
    }
    if (unlock === undefined)
      throw new InstanceTaken(`${instance} runs in namespace ${namespace} already`, {
        where: this.path,
        next: 'end that one, or give this one another name (--instance)',
      });
    this.#unlock = unlock;
  }

  /** The directory may be another process's from now on. */
  release(): void {
    rmSync(this.supervisor, { force: true });
    this.#unlock();
  }

  get bootstrap(): string {
    return join(this.path, 'bootstrap.json');
  }
  get identity(): string {
    return join(this.path, 'identity');
  }
  get secretsSocket(): string {
    return join(this.path, 'sds.sock');
  }
  get adsSocket(): string {
    return join(this.path, 'ads.sock');
  }
  get adminSocket(): string {
    return join(this.path, 'admin.sock');
  }
  get cache(): string {
    return join(this.path, 'xds-cache');
  }
  get accessLog(): string {
    return join(this.path, 'access.log');
  }
  /** Of the process that has the instance. */
  get supervisor(): string {
    return join(this.path, SUPERVISOR_FILE);
  }
  get proxyLog(): string {
    return join(this.path, 'proxy.log');
  }

  /** Ports given at an earlier start, so that a restart takes the same ones. */
  rememberedPorts(): number[] {
    return portsIn(this.path);
  }

  /** What the other instances of this state directory have, or will have when they start again. */
  portsOfOthers(): ReadonlySet<number> {
    const folder = dirname(this.path);
    const others = readdirSync(folder).map((name) => join(folder, name));
    return new Set(others.filter((path) => path !== this.path).flatMap(portsIn));
  }

  rememberPorts(ports: readonly number[]): void {
    this.write(join(this.path, PORTS_FILE), JSON.stringify(ports));
  }

  write(path: string, text: string): void {
    writeFileSync(`${path}.new`, text, { mode: 0o600 });
    renameSync(`${path}.new`, path);
  }
}

/** Who supervises a sidecar that runs, and what became of the restarts of its proxy. */
export interface SupervisorState {
  readonly pid: number;
  readonly proxyPid: number;
  readonly restarts: number;
  /** Of the last one; '': it went well. */
  readonly error: string;
}

/** "NAMESPACE.INSTANCE" of all that have been run. */
export function instanceDirectories(stateDirectory: string): string[] {
  const folder = join(stateDirectory, 'sidecars');
  return existsSync(folder) ? readdirSync(folder).filter((name) => existsSync(join(folder, name, SUPERVISOR_FILE))) : [];
}

/** undefined: no process has that instance, or one whose proxy cannot be replaced (the demo's). */
export function supervisorOf(stateDirectory: string, name: string): SupervisorState | undefined {
  const path = join(stateDirectory, 'sidecars', name);
  try {
    // A pid alone may be somebody else's by now.
    const unlock = lockFile(join(path, 'lock'));
    if (unlock === undefined) return JSON.parse(readFileSync(join(path, SUPERVISOR_FILE), 'utf8')) as SupervisorState;
    unlock();
  } catch {
    // No such directory, or not yet a supervisor in it.
  }
  return undefined;
}

/** Keeps ports that no instance of this state directory is to take for itself, under a name that is no instance's. */
export function promisePorts(stateDirectory: string, name: string, ports: readonly number[]): void {
  const directory = join(stateDirectory, 'sidecars', name);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  writeFileSync(join(directory, PORTS_FILE), JSON.stringify(ports));
}

function portsIn(instance: string): number[] {
  try {
    const ports: unknown = JSON.parse(readFileSync(join(instance, PORTS_FILE), 'utf8'));
    return Array.isArray(ports) && ports.every((port) => Number.isInteger(port) && port > 0 && port < 65_536) ? ports : [];
  } catch {
    return [];
  }
}
