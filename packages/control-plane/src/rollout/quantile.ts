import { bucketIndex, bucketUpperBound, ISTIO_EDGES } from '@outrigger/telemetry';
import type { Buckets } from '../telemetry/windows.ts';
import { evidenceAbove, evidenceBelow } from './sequential.ts';

const HALF_THOUSANDTH = 0.0005;

/** A count of durations between two edges, in ms. */
interface Bucket {
  readonly above: number;
  readonly upTo: number;
  readonly count: number;
  /** Of it and of all that are longer. */
  readonly fromHere: number;
}

/** Durations of one arm, in buckets: what can be said of a quantile without knowing the distribution. */
export class Durations {
  readonly count: number;
  /** Ascending. Of two kinds of histograms they may overlap. */
  readonly #buckets: readonly Bucket[];

  constructor(buckets: Buckets) {
    let fromHere = 0;
    this.#buckets = [...buckets]
      .sort(([a], [b]) => b - a)
      .map(([upTo, count]) => {
        fromHere += count;
        return { above: lowerEdge(upTo), upTo, count, fromHere };
      })
      .reverse();
    this.count = fromHere;
  }

  /** At least so many took longer than `ms`: buckets that lie above it whole. */
  surelyAbove(ms: number): number {
    return this.#buckets.reduce((sum, { above, count }) => (above >= ms ? sum + count : sum), 0);
  }

  /** At most so many did: with the bucket in which it lies. */
  maybeAbove(ms: number): number {
    return this.#buckets[this.#first(({ upTo }) => upTo > ms)]?.fromHere ?? 0;
  }

  /** Above it the quantile of `tail` (0.01: p99) lies with no more than `alpha`; infinite where the count is too small to say. */
  upperBound(tail: number, alpha: number): number {
    const refuted = (index: number): boolean => evidenceBelow(this.#buckets[index + 1]?.fromHere ?? 0, this.count, tail) >= -Math.log(alpha);
    return this.#buckets[this.#first((_, index) => refuted(index))]?.upTo ?? Number.POSITIVE_INFINITY;
  }

  /** Below it the quantile lies with no more than `alpha`; 0 where the count is too small to say. */
  lowerBound(tail: number, alpha: number): number {
    const refuted = ({ fromHere }: Bucket): boolean => evidenceAbove(fromHere, this.count, tail) >= -Math.log(alpha);
    return this.#buckets[this.#first((bucket) => !refuted(bucket)) - 1]?.above ?? 0;
  }

  /** As it was measured, to be shown and not to be decided upon. */
  measured(tail: number): number | null {
    const rank = Math.max(1, Math.ceil((1 - tail) * this.count));
    let seen = 0;
    for (const { above, upTo, count } of this.#buckets) {
      seen += count;
      if (seen >= rank) return Number.isFinite(upTo) ? (above + upTo) / 2 : above;
    }
    return null;
  }

  /** Index of the first bucket from which on something holds; their number where it holds of none. */
  #first(holds: (bucket: Bucket, index: number) => boolean): number {
    let [low, high] = [0, this.#buckets.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (holds(this.#buckets[middle]!, middle)) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

/** Where a bucket begins: those of our histograms, and those of Istio's edges, none of which is one of ours. */
function lowerEdge(upTo: number): number {
  const edge = upTo === Number.POSITIVE_INFINITY ? ISTIO_EDGES.length : ISTIO_EDGES.indexOf(upTo);
  if (edge >= 0) return edge === 0 ? 0 : ISTIO_EDGES[edge - 1]!;
  // Bounds are whole thousandths, and the smallest value of the next bucket.
  const index = bucketIndex(upTo + HALF_THOUSANDTH) - 1;
  return index <= 0 ? 0 : bucketUpperBound(index - 1);
}
