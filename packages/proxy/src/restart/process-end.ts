import { type Channel, isHandOver, type SocketHandle, sendSockets } from './hand-over.ts';

/** What runs in a process: one proxy, or those of a node. */
export interface Serving {
  drain(): Promise<void>;
  retire(): Promise<void>;
  close(): Promise<void>;
  sockets(): ReadonlyMap<string, SocketHandle>;
}

/** How a process comes to its end: SIGTERM or SIGINT drain what it serves, a second one ends it at once, and its parent may have another take over. */
export class ProcessEnd {
  readonly ended: Promise<void>;
  readonly #serving: Serving;
  readonly #onRetire: () => void;
  #resolve!: () => void;
  #begun = false;

  constructor(serving: Serving, parent: Channel, onRetire: () => void = () => {}) {
    this.#serving = serving;
    this.#onRetire = onRetire;
    this.ended = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    process.on('SIGTERM', this.begin);
    process.on('SIGINT', this.begin);
    process.on('message', (message) => {
      if (!isHandOver(message)) return;
      if (message.outrigger === 'give-sockets') sendSockets(parent, serving.sockets());
      else if (message.outrigger === 'retire' && !this.#begun) this.retire();
    });
  }

  get begun(): boolean {
    return this.#begun;
  }

  readonly begin = (): void => {
    this.#after(this.#begun ? this.#serving.close() : this.#serving.drain());
  };

  /** Another process serves in place of this one. */
  readonly retire = (): void => {
    this.#onRetire();
    this.#after(this.#serving.retire());
  };

  #after(work: Promise<void>): void {
    this.#begun = true;
    work.then(this.#resolve, this.#resolve);
  }
}
