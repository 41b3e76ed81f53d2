import type { TimerClock } from '../net/timer-wheel.ts';

interface Due {
  readonly atMs: number;
  readonly callback: () => void;
}

/** Time that passes when a test says so. */
export class FakeClock implements TimerClock {
  #nowMs = 1_000_000;
  #due: Due[] = [];

  nowMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, callback: () => void): () => void {
    const due = { atMs: this.#nowMs + delayMs, callback };
    this.#due.push(due);
    return () => {
      this.#due = this.#due.filter((other) => other !== due);
    };
  }

  /** Moves on to the next callback that is due by `untilMs`, and runs it; false where there is none: then it is `untilMs`. */
  step(untilMs: number): boolean {
    const next = this.#due.reduce<Due | undefined>(
      (first, due) => (due.atMs <= untilMs && (first === undefined || due.atMs < first.atMs) ? due : first),
      undefined,
    );
    this.#nowMs = Math.max(this.#nowMs, next?.atMs ?? untilMs);
    if (next === undefined) return false;
    this.#due = this.#due.filter((other) => other !== next);
    next.callback();
    return true;
  }

  /** Runs everything that is due within that time, in its order. */
  advance(byMs: number): void {
    const untilMs = this.#nowMs + byMs;
    while (this.step(untilMs));
  }
}
