import type { Clock } from '../options.ts';

/** Runs `firstMs` after the first call, then at most once in `windowMs`: a burst costs one run more, not one for each call. */
export class Debounce {
  readonly #clock: Clock;
  readonly #windowMs: number;
  readonly #firstMs: number;
  readonly #run: () => void;
  #nextAtMs = 0;
  #cancel: (() => void) | undefined;
  #stopped = false;

  constructor(clock: Clock, windowMs: number, run: () => void, firstMs = 0) {
    this.#clock = clock;
    this.#windowMs = windowMs;
    this.#firstMs = firstMs;
    this.#run = run;
  }

  trigger(): void {
    if (this.#stopped || this.#cancel !== undefined) return;
    const waitMs = Math.max(this.#firstMs, this.#nextAtMs - this.#clock.now());
    this.#cancel = this.#clock.after(waitMs, () => {
      this.#cancel = undefined;
      this.#nextAtMs = this.#clock.now() + this.#windowMs;
      this.#run();
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
    this.#cancel = undefined;
  }
}
