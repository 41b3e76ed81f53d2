import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** With it a child gets a signal from the kernel when its supervisor is killed with -9. */
const setpriv = '/usr/bin/setpriv';

export interface Exit {
  /** The code, or 128 + the signal's number as shells report it. */
  readonly code: number;
  readonly signal: NodeJS.Signals | null;
}

/** One run of one child process. */
export class Child {
  readonly process: ChildProcess;
  readonly exited: Promise<Exit>;
  #ended = false;

  constructor(command: readonly string[], options: SpawnOptions, signalWhenOrphaned: 'TERM' | 'KILL' | undefined) {
    const wrapped = signalWhenOrphaned !== undefined && existsSync(setpriv) && isExecutable(command[0] ?? '', options.env ?? process.env);
    const [program = '', ...args] = wrapped ? [setpriv, '--pdeathsig', signalWhenOrphaned, '--', ...command] : command;
    this.process = spawn(program, args, options);
    this.exited = new Promise((resolve, reject) => {
      this.process.once('error', (error) => {
        this.#ended = true;
        reject(error);
      });
      this.process.once('exit', (code, signal) => {
        this.#ended = true;
        resolve({ code: code ?? 128 + (signal === null ? 0 : signalNumber(signal)), signal });
      });
    });
    // Whoever awaits gets the error; without a waiter it is no reason to end this process.
    this.exited.catch(() => {});
  }

  get pid(): number {
    return this.process.pid ?? 0;
  }

  get running(): boolean {
    return !this.#ended;
  }

  kill(signal: NodeJS.Signals): void {
    if (!this.#ended) this.process.kill(signal);
  }

  /** SIGTERM, and SIGKILL once the grace is over. */
  async stop(graceMs: number): Promise<void> {
    if (this.#ended) return;
    this.kill('SIGTERM');
    const timer = setTimeout(() => this.kill('SIGKILL'), graceMs);
    await this.exited.catch(() => {});
    clearTimeout(timer);
  }
}

/** Whether a shell would find it. What it would not, is started unwrapped, so that the failure is Node's and names it. */
function isExecutable(program: string, environment: NodeJS.ProcessEnv): boolean {
  const candidates = program.includes('/') ? [program] : (environment['PATH'] ?? '').split(delimiter).map((folder) => join(folder, program));
  return candidates.some((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** As shells have it: 127 not found, 126 found and not executable. */
export function notStartedCode(cause: Error): number {
  return (cause as NodeJS.ErrnoException).code === 'ENOENT' ? 127 : 126;
}

export function signalNumber(signal: NodeJS.Signals): number {
  const numbers: Partial<Record<NodeJS.Signals, number>> = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGABRT: 6, SIGKILL: 9, SIGSEGV: 11, SIGPIPE: 13, SIGTERM: 15 };
  return numbers[signal] ?? 0;
}
