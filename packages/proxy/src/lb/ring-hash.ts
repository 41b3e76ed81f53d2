import type { Random } from '@outrigger/telemetry';
import type { Steps } from '@outrigger/xds/slices';
import type { LbContext } from './context.ts';
import type { Host } from './host.ts';
import type { Picker } from './picker.ts';
import { sortedPositions } from './sort-steps.ts';
import { XxHash64 } from './xxhash64.ts';

/** Hashed, and put in order, between two pauses. */
const POINTS_PER_STEP = 64;
const MOVED_PER_STEP = 4096;

/**
 * Ketama ring as Envoy builds it: a host has points "KEY_0", "KEY_1" ... in proportion to its weight, so that the
 * lightest host has at least its share of `minimumSize`, and the ring stays below `maximumSize`.
 */
export class RingHash implements Picker {
  readonly hosts: readonly Host[];
  readonly #random: Random;
  readonly #high: Uint32Array;
  readonly #low: Uint32Array;
  readonly #points: Uint32Array;

  private constructor(hosts: readonly Host[], random: Random, high: Uint32Array, low: Uint32Array, points: Uint32Array) {
    this.hosts = hosts;
    this.#random = random;
    this.#high = high;
    this.#low = low;
    this.#points = points;
  }

  /** `weights`: of each host, as shares of 1. */
  static *build(hosts: readonly Host[], weights: readonly number[], random: Random, minimumSize: number, maximumSize: number): Steps<RingHash> {
    const least = Math.min(...weights);
    const scale = Math.min(Math.ceil(least * minimumSize) / least, maximumSize);
    let target = 0;
    for (const weight of weights) target += scale * weight;
    const high = new Uint32Array(Math.ceil(target));
    const low = new Uint32Array(high.length);
    const points = new Uint32Array(high.length);
    const hasher = new XxHash64();
    let count = 0;
    target = 0;
    for (const [index, host] of hosts.entries()) {
      target += scale * weights[index]!;
      for (let i = 0; count < target; i++) {
        hasher.hash(`${host.hashKey}_${i}`);
        high[count] = hasher.high;
        low[count] = hasher.low;
        points[count] = index;
        count += 1;
        if (count % POINTS_PER_STEP === 0) yield;
      }
    }
    const order = yield* sortedPositions(count, (a, b) => high[a]! - high[b]! || low[a]! - low[b]!);
    return new RingHash(hosts, random, yield* inOrder(high, order), yield* inOrder(low, order), yield* inOrder(points, order));
  }

  get size(): number {
    return this.#points.length;
  }

  pick(context: LbContext, attempt: number): Host {
    const high = context.hasHash ? context.hashHigh : this.#random.uint32();
    const low = context.hasHash ? context.hashLow : this.#random.uint32();
    // The next point on the ring for each further attempt.
    const at = (this.#search(high, low) + attempt) % this.#points.length;
    return this.hosts[this.#points[at]!]!;
  }

  /** First point that is not before the hash, around the ring. */
  #search(high: number, low: number): number {
    let first = 0;
    let last = this.#points.length;
    while (first < last) {
      const middle = (first + last) >>> 1;
      const difference = this.#high[middle]! - high || this.#low[middle]! - low;
      if (difference < 0) first = middle + 1;
      else last = middle;
    }
    return first === this.#points.length ? 0 : first;
  }
}

function* inOrder(values: Uint32Array, order: Uint32Array): Steps<Uint32Array> {
  const sorted = new Uint32Array(order.length);
  for (let at = 0; at < sorted.length; at++) {
    sorted[at] = values[order[at]!]!;
    if (at % MOVED_PER_STEP === 0) yield;
  }
  return sorted;
}
