import type { TokenBucket as TokenBucketConfig } from '@outrigger/xds/protos/envoy/type/v3/token_bucket';
import type { CompileReport } from '../../routing/compile-result.ts';
import { durationMs } from '../../routing/duration.ts';

/** The shortest that Envoy allows, ms. */
const MIN_FILL_INTERVAL_MS = 50;

/** envoy.type.v3.TokenBucket: full at first, filled in steps. */
export class TokenBucket {
  readonly maxTokens: number;
  readonly tokensPerFill: number;
  readonly fillIntervalMs: number;
  #tokens: number;
  /** Of the last fill; -1: nobody has asked yet. */
  #filledMs = -1;

  constructor(maxTokens: number, tokensPerFill: number, fillIntervalMs: number) {
    this.maxTokens = maxTokens;
    this.tokensPerFill = tokensPerFill;
    this.fillIntervalMs = fillIntervalMs;
    this.#tokens = maxTokens;
  }

  /** False: there are not so many. */
  take(count: number, nowMs: number): boolean {
    this.#fill(nowMs);
    if (this.#tokens < count) return false;
    this.#tokens -= count;
    return true;
  }

  remaining(nowMs: number): number {
    this.#fill(nowMs);
    return this.#tokens;
  }

  /** Until the next fill, ms. */
  resetMs(nowMs: number): number {
    return Math.max(0, this.#filledMs + this.fillIntervalMs - nowMs);
  }

  #fill(nowMs: number): void {
    if (this.#filledMs < 0) this.#filledMs = nowMs;
    const steps = Math.floor((nowMs - this.#filledMs) / this.fillIntervalMs);
    if (steps <= 0) return;
    this.#filledMs += steps * this.fillIntervalMs;
    this.#tokens = Math.min(this.maxTokens, this.#tokens + steps * this.tokensPerFill);
  }
}

export function compileTokenBucket(config: TokenBucketConfig, path: string, report: CompileReport): TokenBucket {
  const fillIntervalMs = durationMs(config.fillInterval, 0);
  if (fillIntervalMs < MIN_FILL_INTERVAL_MS) report.error(`${path}.fill_interval`, `must be at least ${MIN_FILL_INTERVAL_MS} ms`);
  const tokensPerFill = config.tokensPerFill ?? 1;
  if (tokensPerFill === 0) report.error(`${path}.tokens_per_fill`, 'must be more than 0');
  return new TokenBucket(config.maxTokens, tokensPerFill, Math.max(fillIntervalMs, MIN_FILL_INTERVAL_MS));
}
