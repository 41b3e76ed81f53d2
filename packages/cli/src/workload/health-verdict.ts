/** What came of a look at an application. */
export interface Look {
  /** '' where it takes requests, else why not. */
  readonly reason: string;
  /** It said nothing at all in time. */
  readonly silent: boolean;
}

export const WELL: Look = { reason: '', silent: false };

/** So many looks in a row at which it says no take an application out, */
const REFUSALS_TO_FAIL = 2;
/** and so many at which it says no or nothing: on a busy machine the answer is late, and callers that wait for it are better off than with a 503. */
const MISSES_TO_FAIL = 5;

/** Whether an application is to have requests, by one look after another. */
export class HealthVerdict {
  #refusals = 0;
  #misses = 0;
  failing = false;

  /** True: `failing` has changed. */
  add({ reason, silent }: Look): boolean {
    const before = this.failing;
    if (reason === '') {
      this.#refusals = this.#misses = 0;
      this.failing = false;
    } else {
      this.#misses++;
      if (!silent) this.#refusals++;
      this.failing ||= this.#refusals >= REFUSALS_TO_FAIL || this.#misses >= MISSES_TO_FAIL;
    }
    return this.failing !== before;
  }
}
