import type { Clock } from '../clock.ts';

/**
 * Calls back when the earliest of many deadlines has passed, with one timer for all. Deadlines move with each heartbeat, so the timer is not:
 * when it fires, the caller looks which have really passed and says the earliest of the rest.
 *
 * A timer that fires late means that this process itself stood still, and so did its reading of heartbeats that lie in its sockets. Then it says
 * so (`stalledMs`), and nobody may be given up for what was not read.
 */
export class LeaseSweep {
  readonly #clock: Clock;
  readonly #sweep: (stalledMs: number) => number | undefined;
  #dueMs = Number.POSITIVE_INFINITY;
  #cancel: (() => void) | undefined;

  /** `sweep` returns the earliest deadline that is left; undefined: none. */
  constructor(clock: Clock, sweep: (stalledMs: number) => number | undefined) {
    this.#clock = clock;
    this.#sweep = sweep;
  }

  /** There is a deadline at this time. */
  expect(deadlineMs: number): void {
    if (deadlineMs >= this.#dueMs) return;
    this.#cancel?.();
    this.#dueMs = deadlineMs;
    this.#cancel = this.#clock.after(Math.min(deadlineMs - this.#clock.now(), MAX_WAIT_MS), () => this.#fire());
  }

  #fire(): void {
    const nowMs = this.#clock.now();
    const dueMs = this.#dueMs;
    this.#dueMs = Number.POSITIVE_INFINITY;
    this.#cancel = undefined;
    const stalledMs = nowMs - dueMs;
    const nextMs = this.#sweep(stalledMs > STALL_MS ? stalledMs : 0);
    if (nextMs !== undefined) this.expect(nextMs);
  }

  stop(): void {
    this.#cancel?.();
    this.#dueMs = Number.NEGATIVE_INFINITY;
  }
}

/** Later than this is no ordinary lateness of a timer. */
export const STALL_MS = 200;
/** Node's timers end here; the sweep then finds nothing and waits on. */
const MAX_WAIT_MS = 2 ** 31 - 1;
