/** Work in steps: at each `yield` others may have the event loop. */
export type Steps<T> = Generator<void, T, void>;

export interface SliceClock {
  /** Monotonic. */
  nowMs(): number;
  /** Calls back once what is waiting on sockets and timers has had its turn. */
  defer(run: () => void): void;
}

const LOOP_CLOCK: SliceClock = { nowMs: () => performance.now(), defer: (run) => void setImmediate(run) };

/** How long the event loop is held in one turn of it, ms, plus the last step. */
export const SLICE_MS = 4;

interface Task {
  readonly steps: Steps<unknown>;
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

/**
 * Does one task after another, each whole before the next, and gives the event loop back whenever a slice of time is used up.
 * What is small, and has nothing before it, is done before `run` returns.
 */
export class Slices {
  readonly #clock: SliceClock;
  readonly #sliceMs: number;
  readonly #tasks: Task[] = [];
  /** End of this turn's slice; undefined: nothing was done in this turn yet. */
  #endMs: number | undefined;
  #working = false;
  #closed = false;

  constructor(clock: SliceClock = LOOP_CLOCK, sliceMs = SLICE_MS) {
    this.#clock = clock;
    this.#sliceMs = sliceMs;
  }

  run<T>(steps: Steps<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#tasks.push({ steps, resolve: resolve as (value: unknown) => void, reject });
      this.#work();
    });
  }

  /** Fulfilled when everything that was asked for so far is done. */
  afterAll(): Promise<void> {
    return this.run(nothing());
  }

  /** Leaves what is not done undone: its promises are never settled. */
  close(): void {
    this.#closed = true;
    this.#tasks.length = 0;
  }

  get closed(): boolean {
    return this.#closed;
  }

  #work(): void {
    if (this.#working || this.#closed) return;
    if (this.#endMs === undefined) {
      this.#endMs = this.#clock.nowMs() + this.#sliceMs;
      this.#clock.defer(() => {
        this.#endMs = undefined;
        if (this.#tasks.length > 0) this.#work();
      });
    }
    this.#working = true;
    while (!this.#closed && this.#tasks.length > 0 && this.#clock.nowMs() < this.#endMs) this.#advance(this.#tasks[0]!, this.#endMs);
    this.#working = false;
  }

  #advance(task: Task, endMs: number): void {
    try {
      do {
        const { done, value } = task.steps.next();
        if (done !== true) continue;
        this.#tasks.shift();
        task.resolve(value);
        return;
      } while (!this.#closed && this.#clock.nowMs() < endMs);
    } catch (error) {
      this.#tasks.shift();
      task.reject(error);
    }
  }
}

function* nothing(): Steps<void> {}

/** All steps without a pause: where nothing else is waiting for the loop. */
export function atOnce<T>(steps: Steps<T>): T {
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
  }
}
