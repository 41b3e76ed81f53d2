import { ownText } from '../http/own-text.ts';

/** The value of x-envoy-ratelimited that says "retried already, do not retry again" (docs/xds.md). */
export const GAVE_UP = 'outrigger-gave-up';
export const GAVE_UP_HEADER = 'x-envoy-ratelimited';

/** Long enough for an application to turn a failed call into its own answer. */
export const GIVEN_UP_TTL_MS = 60_000;
export const GIVEN_UP_CAPACITY = 4096;

/**
 * Request ids whose calls were given up here, so that the application's own failure for the same id is marked too.
 * Bounded: when full, the oldest goes. Insertion order of the map is the order of expiry, since all live equally long.
 */
export class GivenUpMemory {
  readonly #expiryMs = new Map<string, number>();
  readonly #capacity: number;
  readonly #ttlMs: number;

  constructor(capacity: number = GIVEN_UP_CAPACITY, ttlMs: number = GIVEN_UP_TTL_MS) {
    this.#capacity = capacity;
    this.#ttlMs = ttlMs;
  }

  get size(): number {
    return this.#expiryMs.size;
  }

  add(requestId: string, nowMs: number): void {
    if (requestId === '') return;
    const entries = this.#expiryMs;
    entries.delete(requestId);
    entries.set(ownText(requestId), nowMs + this.#ttlMs);
    for (const [oldest, expiryMs] of entries) {
      if (expiryMs > nowMs && entries.size <= this.#capacity) break;
      entries.delete(oldest);
    }
  }

  has(requestId: string, nowMs: number): boolean {
    // Asked for every failure of the application; nearly always empty.
    if (this.#expiryMs.size === 0) return false;
    const expiryMs = this.#expiryMs.get(requestId);
    return expiryMs !== undefined && expiryMs > nowMs;
  }
}
