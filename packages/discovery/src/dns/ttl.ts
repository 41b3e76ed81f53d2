/** An answer that may not be kept is asked for this often. */
const MIN_HELD_MS = 1_000;
/** One that holds for longer may have changed since, where somebody hurried. */
const MAX_HELD_MS = 300_000;
const DEFAULT_NEGATIVE_MS = 5_000;
const MAX_NEGATIVE_MS = 30_000;

/** From a failure to the next try at first, and at most. */
export const FAILED_RETRY_MS = 1_000;
const MAX_RETRY_MS = 30_000;

/** How long an answer is taken to hold. */
export function heldMs(ttlMs: number): number {
  return Math.min(Math.max(ttlMs, MIN_HELD_MS), MAX_HELD_MS);
}

/** The same of "there is none". */
export function negativeMs(ttlS: number | undefined): number {
  return Math.min(Math.max(ttlS === undefined ? DEFAULT_NEGATIVE_MS : ttlS * 1000, MIN_HELD_MS), MAX_NEGATIVE_MS);
}

/** `failures`: in a row, from 1. */
export function retryMs(failures: number): number {
  return Math.min(FAILED_RETRY_MS * 2 ** Math.min(failures - 1, 16), MAX_RETRY_MS);
}
