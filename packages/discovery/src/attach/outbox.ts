/** Messages on their way to one stream, the newest of each kind only: a peer that does not read costs no memory. */
export class Outbox<Kind extends string, Message> implements AsyncIterable<Message> {
  readonly #waiting = new Map<Kind, Message>();
  #ended = false;
  #error: Error | undefined;
  #wake: (() => void) | undefined;

  put(kind: Kind, message: Message): void {
    if (this.#ended) return;
    this.#waiting.set(kind, message);
    this.#wake?.();
  }

  /** No message more; what waits is still sent, unless there is an error. */
  end(error?: Error): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = error;
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Message> {
    for (;;) {
      if (this.#error !== undefined) throw this.#error;
      for (const [kind, message] of this.#waiting) {
        this.#waiting.delete(kind);
        yield message;
      }
      if (this.#error !== undefined) throw this.#error;
      if (this.#waiting.size > 0) continue;
      if (this.#ended) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
  }
}
