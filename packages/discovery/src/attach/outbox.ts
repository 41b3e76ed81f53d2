import type { ServerCall } from '@outrigger/xds';

/** Messages on their way to one stream; those that wait are the newest of each kind only, so a peer that does not read costs no memory. */
export class Outbox<Kind extends string> {
  readonly #call: Pick<ServerCall, 'send'>;
  readonly #waiting = new Map<Kind, Uint8Array>();
  #writable = true;

  constructor(call: Pick<ServerCall, 'send'>) {
    this.#call = call;
  }

  put(kind: Kind, message: Uint8Array): void {
    if (this.#writable) this.#writable = this.#call.send(message);
    else this.#waiting.set(kind, message);
  }

  drained(): void {
    this.#writable = true;
    for (const [kind, message] of this.#waiting) {
      if (!this.#writable) return;
      this.#waiting.delete(kind);
      this.put(kind, message);
    }
  }
}
