import { bucketIndex, bucketUpperBound } from '@outrigger/telemetry';
import type { Arm } from '../judge.ts';

/** Uniform in [0, 1): a small generator, the same numbers for the same seed. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}

export interface Behaviour {
  /** Share of requests that fail. */
  readonly failing: number;
  readonly medianMs: number;
}

/** What a version of that behaviour does with so many requests: durations are log-normal, so that p99 is 3.2 times the median. */
export function served(requests: number, { failing, medianMs }: Behaviour, random: () => number): Arm {
  const durations = new Map<number, number>();
  let failures = 0;
  for (let request = 0; request < requests; request++) {
    if (random() < failing) failures += 1;
    const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    const bound = bucketUpperBound(bucketIndex(medianMs * Math.exp(0.5 * normal)));
    durations.set(bound, (durations.get(bound) ?? 0) + 1);
  }
  return { requests, failures, durations };
}
