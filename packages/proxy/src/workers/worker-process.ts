import { type ChildProcess, spawn } from 'node:child_process';
import type { AdminAnswer } from '../admin/pages.ts';
import { type Channel, isHandOver, type SocketHandle, sendSockets, tell } from '../restart/hand-over.ts';
import { isWorkerMessage, WORKER, type WorkerMessage, type WorkerPlace } from './worker-place.ts';

/** How long a page waits for a worker, ms. */
const ANSWER_TIMEOUT_MS = 5_000;

export interface WorkerEvents {
  onServing(): void;
  onSocket(key: string, handle: SocketHandle): void;
  onSocketClosed(key: string): void;
  /** `reason`: in words. */
  onExit(reason: string): void;
}

/** One run of a worker. */
export class WorkerProcess {
  readonly #child: ChildProcess;
  readonly #asked = new Map<number, (answer: AdminAnswer | undefined) => void>();
  #lastId = 0;
  serving = false;
  readonly exited: Promise<void>;

  /** `sockets`: those that the one before it at this place had. */
  constructor(place: WorkerPlace, sockets: ReadonlyMap<string, SocketHandle>, events: WorkerEvents) {
    const child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      env: { ...process.env, [WORKER]: JSON.stringify(place) },
      // A terminal's Ctrl-C is for the parent, which tells its workers.
      detached: true,
    });
    this.#child = child;
    this.exited = new Promise((resolve) => {
      let over = false;
      const gone = (reason: string): void => {
        if (over) return;
        over = true;
        for (const resolveAsked of this.#asked.values()) resolveAsked(undefined);
        this.#asked.clear();
        this.serving = false;
        events.onExit(reason);
        resolve();
      };
      child.once('error', (error) => gone(`could not be started: ${error.message}`));
      child.once('exit', (code, signal) => gone(`ended with ${signal ?? code}`));
    });
    child.on('message', (message, handle) => {
      if (isWorkerMessage(message)) {
        if (message.worker === 'answer') {
          this.#asked.get(message.id)?.(message);
          this.#asked.delete(message.id);
        } else if (message.worker === 'closed-socket') events.onSocketClosed(message.key);
      } else if (isHandOver(message)) {
        if (message.outrigger === 'take-sockets') sendSockets(child as Channel, sockets);
        else if (message.outrigger === 'socket' && handle) events.onSocket(message.key, handle as SocketHandle);
        else if (message.outrigger === 'serving') {
          this.serving = true;
          events.onServing();
        }
      }
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** undefined: it has not answered, or is gone. */
  ask(path: string, query: string): Promise<AdminAnswer | undefined> {
    // One that starts hears nothing yet.
    if (!this.#child.connected || !this.serving) return Promise.resolve(undefined);
    const id = ++this.#lastId;
    return new Promise((resolve) => {
      const timer = setTimeout(() => done(undefined), ANSWER_TIMEOUT_MS);
      const done = (answer: AdminAnswer | undefined): void => {
        clearTimeout(timer);
        this.#asked.delete(id);
        resolve(answer);
      };
      this.#asked.set(id, done);
      this.#child.send({ worker: 'ask', id, path, query } satisfies WorkerMessage);
    });
  }

  /** One that starts may not hear it: it serves nobody, or drains. */
  retire(): void {
    if (!this.serving) this.kill('SIGTERM');
    else if (this.#child.connected) tell(this.#child as Channel, { outrigger: 'retire' });
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }
}
