/** For tests: values that arrive, to be awaited one by one. */
export class Mailbox<T> {
  readonly #values: T[] = [];
  readonly #takers: ((value: T) => void)[] = [];

  put(value: T): void {
    const taker = this.#takers.shift();
    if (taker === undefined) this.#values.push(value);
    else taker(value);
  }

  take(): Promise<T> {
    const value = this.#values.shift();
    if (value !== undefined) return Promise.resolve(value);
    return new Promise((resolve) => this.#takers.push(resolve));
  }

  async takeUntil(matches: (value: T) => boolean): Promise<T> {
    for (;;) {
      const value = await this.take();
      if (matches(value)) return value;
    }
  }

  get size(): number {
    return this.#values.length;
  }
}
