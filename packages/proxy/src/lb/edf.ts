import type { Random } from '@outrigger/telemetry';

/**
 * Earliest deadline first: each entry comes up in proportion to its weight, evenly spread. Weights may change between
 * picks: the weight given with `next` holds for the entry's next turn. A heap in flat arrays, nothing allocated per pick.
 */
export class EdfScheduler {
  /** Entry numbers, ordered as a heap by deadline, then by age of the entry in the heap. */
  readonly #heap: Int32Array;
  readonly #deadlines: Float64Array;
  readonly #order: Float64Array;
  #clock = 0;
  #turn: number;

  constructor(weights: readonly number[], random: Random) {
    const count = weights.length;
    this.#heap = Int32Array.from({ length: count }, (_, index) => index);
    this.#order = Float64Array.from({ length: count }, (_, index) => index);
    // Each starts somewhere within its own period: many proxies that start together must not all begin with one host.
    this.#deadlines = Float64Array.from(weights, (weight) => (1 - random.uint32() / 0x1_0000_0000) / weight);
    this.#turn = count;
    for (let i = (count >> 1) - 1; i >= 0; i--) this.#sink(i);
  }

  /** The entry whose turn it is; follow with `advance`. */
  peek(): number {
    return this.#heap[0]!;
  }

  /** Puts the entry of `peek` behind, by its weight. */
  advance(weight: number): void {
    const entry = this.#heap[0]!;
    this.#clock = Math.max(this.#clock, this.#deadlines[entry]!);
    this.#deadlines[entry] = this.#clock + 1 / weight;
    this.#order[entry] = this.#turn++;
    this.#sink(0);
  }

  #before(a: number, b: number): boolean {
    const difference = this.#deadlines[a]! - this.#deadlines[b]!;
    return difference < 0 || (difference === 0 && this.#order[a]! < this.#order[b]!);
  }

  #sink(start: number): void {
    const heap = this.#heap;
    const entry = heap[start]!;
    let at = start;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && this.#before(heap[child + 1]!, heap[child]!)) child++;
      if (!this.#before(heap[child]!, entry)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = entry;
  }
}
