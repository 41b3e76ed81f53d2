export interface RateLimit {
  /** Calls allowed at once. */
  readonly burst: number;
  readonly perSecond: number;
}

interface Bucket {
  tokens: number;
  atMs: number;
}

/** Callers remembered at once; the one asked for longest ago is forgotten first. */
const MAX_BUCKETS = 10_000;

/** Token buckets by key. Pure: time comes in. */
export class RateLimiter {
  readonly #limit: RateLimit;
  readonly #buckets = new Map<string, Bucket>();

  constructor(limit: RateLimit) {
    this.#limit = limit;
  }

  /** Takes one call of the key's; undefined: allowed, else milliseconds until one is. */
  take(key: string, nowMs: number): number | undefined {
    const bucket = this.#buckets.get(key) ?? { tokens: this.#limit.burst, atMs: nowMs };
    bucket.tokens = Math.min(this.#limit.burst, bucket.tokens + (Math.max(nowMs - bucket.atMs, 0) / 1000) * this.#limit.perSecond);
    bucket.atMs = nowMs;
    // Set anew, so that the map's order is the order of use.
    this.#buckets.delete(key);
    if (this.#buckets.size >= MAX_BUCKETS) this.#buckets.delete(this.#buckets.keys().next().value!);
    this.#buckets.set(key, bucket);
    if (bucket.tokens < 1) return Math.ceil(((1 - bucket.tokens) / this.#limit.perSecond) * 1000);
    bucket.tokens -= 1;
    return undefined;
  }
}
