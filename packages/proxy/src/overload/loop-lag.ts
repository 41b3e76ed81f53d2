/** So many looks in a row must find the loop late: a pause of its own (garbage, a large configuration) is not load. */
const LOOKS = 8;
/** A lag that has lasted, at which the pressure is 1, ms. */
const SATURATED_LAG_MS = 1_000;

/**
 * Pressure on the event loop: the least lag of the last looks, as CoDel takes the least of a queue's delays. One look at the due time of a
 * timer costs nothing; a queue that drains between two looks is a burst, one that does not is overload.
 */
export class LoopLag {
  readonly #lagsMs = new Array<number>(LOOKS).fill(0);
  #at = 0;

  /** `lateMs`: how long after it was due the loop came to this. */
  look(lateMs: number): void {
    this.#lagsMs[this.#at] = Math.max(0, lateMs);
    this.#at = (this.#at + 1) % LOOKS;
  }

  get pressure(): number {
    return Math.min(1, Math.min(...this.#lagsMs) / SATURATED_LAG_MS);
  }
}
