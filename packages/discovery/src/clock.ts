/** Time as a parameter, so that leases and intervals are tested without waiting. */
export interface Clock {
  /** Unix milliseconds. */
  now(): number;
  /** Calls back once after `delayMs`; the returned function cancels. */
  after(delayMs: number, callback: () => void): () => void;
}
