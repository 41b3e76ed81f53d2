/** Whom a timer wakes. `kind` is the number given to `arm`, so that one object can own several timers without a closure each. */
export interface TimerTarget {
  onTimer(kind: number): void;
}

/** A place in the wheel; kept by its owner to cancel it. */
export class WheelTimer {
  prev: WheelTimer | undefined = undefined;
  next: WheelTimer | undefined = undefined;
  slot = -1;
  readonly target: TimerTarget;
  readonly kind: number;
  readonly dueMs: number;

  constructor(target: TimerTarget, kind: number, dueMs: number) {
    this.target = target;
    this.kind = kind;
    this.dueMs = dueMs;
  }
}

export interface TimerClock {
  nowMs(): number;
  /** Calls back once after `delayMs`; returns how to take it back. */
  after(delayMs: number, callback: () => void): () => void;
}

export const systemClock: TimerClock = {
  nowMs: () => performance.now(),
  after: (delayMs, callback) => {
    const handle = setTimeout(callback, delayMs);
    handle.unref();
    return () => clearTimeout(handle);
  },
};

const SLOTS = 512;
export const DEFAULT_TICK_MS = 10;

/**
 * Coarse timers for what every request may arm and hardly any lets expire: arming and cancelling are a few pointer
 * writes, and one system timer serves them all. A timer fires up to one tick late, never early.
 */
export class TimerWheel {
  readonly #heads: (WheelTimer | undefined)[] = new Array<WheelTimer | undefined>(SLOTS).fill(undefined);
  readonly #clock: TimerClock;
  readonly #tickMs: number;
  readonly #wake: () => void;
  readonly #onFault: (error: unknown) => void;
  #count = 0;
  #tick: number;
  #wakeTick = Number.POSITIVE_INFINITY;
  #cancelWake: (() => void) | undefined;

  /** `onFault`: what a callback throws; the other timers fire all the same. */
  constructor(clock: TimerClock = systemClock, tickMs: number = DEFAULT_TICK_MS, onFault: (error: unknown) => void = rethrow) {
    this.#onFault = onFault;
    this.#clock = clock;
    this.#tickMs = tickMs;
    this.#tick = Math.floor(clock.nowMs() / tickMs);
    this.#wake = () => this.#advance();
  }

  get size(): number {
    return this.#count;
  }

  arm(delayMs: number, target: TimerTarget, kind = 0): WheelTimer {
    const dueMs = this.#clock.nowMs() + delayMs;
    const timer = new WheelTimer(target, kind, dueMs);
    const tick = Math.max(Math.ceil(dueMs / this.#tickMs), this.#tick + 1);
    const slot = tick % SLOTS;
    const head = this.#heads[slot];
    timer.slot = slot;
    timer.next = head;
    if (head !== undefined) head.prev = timer;
    this.#heads[slot] = timer;
    this.#count++;
    if (tick < this.#wakeTick) this.#schedule(tick);
    return timer;
  }

  cancel(timer: WheelTimer): void {
    if (timer.slot < 0) return;
    if (timer.prev === undefined) this.#heads[timer.slot] = timer.next;
    else timer.prev.next = timer.next;
    if (timer.next !== undefined) timer.next.prev = timer.prev;
    timer.prev = timer.next = undefined;
    timer.slot = -1;
    this.#count--;
  }

  /** Forgets every timer. */
  clear(): void {
    for (let slot = 0; slot < SLOTS; slot++) {
      for (let timer = this.#heads[slot]; timer !== undefined; timer = this.#heads[slot]) this.cancel(timer);
    }
    this.#cancelWake?.();
    this.#cancelWake = undefined;
    this.#wakeTick = Number.POSITIVE_INFINITY;
  }

  #schedule(tick: number): void {
    this.#cancelWake?.();
    this.#wakeTick = tick;
    this.#cancelWake = this.#clock.after(Math.max(0, tick * this.#tickMs - this.#clock.nowMs()), this.#wake);
  }

  #advance(): void {
    this.#cancelWake = undefined;
    this.#wakeTick = Number.POSITIVE_INFINITY;
    const nowMs = this.#clock.nowMs();
    const until = Math.floor(nowMs / this.#tickMs);
    const from = this.#tick;
    const steps = Math.min(until - from, SLOTS);
    // Before any callback: what it arms is for a later tick, never for the walk under way.
    this.#tick = until;
    for (let step = 1; step <= steps; step++) {
      let timer = this.#heads[(from + step) % SLOTS];
      while (timer !== undefined) {
        // A callback may cancel its neighbour, so the walk restarts from the head after each one that fired.
        if (timer.dueMs <= nowMs) {
          this.cancel(timer);
          try {
            timer.target.onTimer(timer.kind);
          } catch (error) {
            this.#onFault(error);
          }
          timer = this.#heads[(from + step) % SLOTS];
        } else timer = timer.next;
      }
    }
    if (this.#count === 0) return;
    for (let step = 1; step <= SLOTS; step++) {
      if (this.#heads[(until + step) % SLOTS] !== undefined) {
        if (until + step < this.#wakeTick) this.#schedule(until + step);
        return;
      }
    }
  }
}

function rethrow(error: unknown): never {
  throw error;
}
