import type { Clock } from '../options.ts';

/** Runs at once for the first call, then at most once in `windowMs`: a burst costs one run more, not one for each call. */
export class Debounce {
  readonly #clock: Clock;
  readonly #windowMs: number;
  readonly #run: () => void;
  #nextAtMs = 0;
  #cancel: (() => void) | undefined;
  #stopped = false;

  constructor(clock: Clock, windowMs: number, run: () => void) {
    this.#clock = clock;
    this.#windowMs = windowMs;
    this.#run = run;
  }

  trigger(): void {
    if (this.#stopped || this.#cancel !== undefined) return;
    const waitMs = Math.max(0, this.#nextAtMs - this.#clock.now());
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
