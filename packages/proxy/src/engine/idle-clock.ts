import type { TimerTarget, TimerWheel, WheelTimer } from '../net/timer-wheel.ts';

/** An idle clock is looked at this often within its timeout: whoever moves writes a flag, and no clock. */
export const IDLE_STEPS = 4;

export interface IdleTarget {
  /** Something has moved since this was last set to false. */
  moved: boolean;
  /** Nothing has moved for the timeout. */
  onIdle(): void;
}

/** An idle timeout of its own, where a route has another one than its connection manager. */
export class IdleClock implements TimerTarget {
  readonly #target: IdleTarget;
  readonly #wheel: TimerWheel;
  readonly #stepMs: number;
  #steps = 0;
  #timer: WheelTimer | undefined;

  constructor(target: IdleTarget, wheel: TimerWheel, timeoutMs: number) {
    this.#target = target;
    this.#wheel = wheel;
    this.#stepMs = timeoutMs / IDLE_STEPS;
    this.#timer = wheel.arm(this.#stepMs, this);
  }

  cancel(): void {
    if (this.#timer !== undefined) this.#wheel.cancel(this.#timer);
    this.#timer = undefined;
  }

  onTimer(): void {
    this.#timer = undefined;
    if (this.#target.moved) {
      this.#target.moved = false;
      this.#steps = 0;
    } else if (++this.#steps >= IDLE_STEPS) {
      this.#target.onIdle();
      return;
    }
    this.#timer = this.#wheel.arm(this.#stepMs, this);
  }
}
