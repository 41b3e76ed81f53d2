import type { Clock } from '../clock.ts';

/** A clock that stands until a test moves it. */
export class FakeClock implements Clock {
  #nowMs: number;
  #armed = () => {};
  readonly #timers = new Set<{ atMs: number; callback: () => void }>();

  constructor(nowMs = Date.UTC(2030, 0, 1)) {
    this.#nowMs = nowMs;
  }

  now(): number {
    return this.#nowMs;
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer = { atMs: this.#nowMs + Math.max(delayMs, 0), callback };
    this.#timers.add(timer);
    this.#armed();
    return () => this.#timers.delete(timer);
  }

  /** How many timers are set. */
  get timers(): number {
    return this.#timers.size;
  }

  /** Runs what falls due on the way, in order. */
  advance(ms: number): void {
    const untilMs = this.#nowMs + ms;
    for (;;) {
      const next = [...this.#timers].filter((timer) => timer.atMs <= untilMs).sort((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined) break;
      this.#timers.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.callback();
    }
    this.#nowMs = untilMs;
  }

  /** Resolves, once a timer is set, with the time for which it is. */
  async nextTimer(): Promise<number> {
    while (this.#timers.size === 0) {
      await new Promise<void>((resolve) => {
        this.#armed = resolve;
      });
    }
    return Math.min(...[...this.#timers].map((timer) => timer.atMs));
  }

  /** Time passes and no timer runs; then those that are due do, all late. */
  stall(ms: number): void {
    this.#nowMs += ms;
    this.advance(0);
  }
}
