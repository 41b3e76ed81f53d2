import type { Random } from '@outrigger/telemetry';
import type { LbContext } from './context.ts';
import type { Host } from './host.ts';
import type { Picker } from './picker.ts';
import { XxHash64 } from './xxhash64.ts';

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

  /** `weights`: of each host, as shares of 1. */
  constructor(hosts: readonly Host[], weights: readonly number[], random: Random, minimumSize: number, maximumSize: number) {
    this.hosts = hosts;
    this.#random = random;
    const least = Math.min(...weights);
    const scale = Math.min(Math.ceil(least * minimumSize) / least, maximumSize);
    const entries: { high: number; low: number; host: number }[] = [];
    const hasher = new XxHash64();
    let target = 0;
    hosts.forEach((host, index) => {
      target += scale * weights[index]!;
      for (let i = 0; entries.length < target; i++) {
        hasher.hash(`${host.hashKey}_${i}`);
        entries.push({ high: hasher.high, low: hasher.low, host: index });
      }
    });
    entries.sort((a, b) => a.high - b.high || a.low - b.low);
    this.#high = Uint32Array.from(entries, (entry) => entry.high);
    this.#low = Uint32Array.from(entries, (entry) => entry.low);
    this.#points = Uint32Array.from(entries, (entry) => entry.host);
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
