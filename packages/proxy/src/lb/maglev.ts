import type { Random } from '@outrigger/telemetry';
import type { Steps } from '@outrigger/xds/slices';
import type { LbContext } from './context.ts';
import type { Host } from './host.ts';
import type { Picker } from './picker.ts';
import { sortedPositions } from './sort-steps.ts';
import { modulo64, XxHash64 } from './xxhash64.ts';

/** Maglev's table (Eisenbud et al. 2016, section 3.4), weighted as Envoy does it. `tableSize` is prime. */
export class Maglev implements Picker {
  readonly hosts: readonly Host[];
  readonly #random: Random;
  /** Position in `hosts` of each slot. */
  readonly table: Uint16Array | Uint32Array;

  private constructor(hosts: readonly Host[], random: Random, table: Uint16Array | Uint32Array) {
    this.hosts = hosts;
    this.#random = random;
    this.table = table;
  }

  /** `weights`: of each host, as shares of 1. */
  static *build(hosts: readonly Host[], weights: readonly number[], random: Random, tableSize: number): Steps<Maglev> {
    return new Maglev(hosts, random, yield* tableSteps(hosts, weights, tableSize));
  }

  pick(context: LbContext, attempt: number): Host {
    let high = context.hasHash ? context.hashHigh : this.#random.uint32();
    let low = context.hasHash ? context.hashLow : this.#random.uint32();
    if (attempt > 0) {
      // Envoy's other slots for further attempts: exclusive or with 2^64 - attempt.
      high = ~high >>> 0;
      low = (low ^ (0x1_0000_0000 - attempt)) >>> 0;
    }
    return this.hosts[this.table[modulo64(high, low, this.table.length)]!]!;
  }
}

const HOSTS_PER_STEP = 64;
/** Looked at between two pauses: the last slots of a large table are found among millions that are taken. */
const SLOTS_PER_STEP = 4096;

function* tableSteps(hosts: readonly Host[], weights: readonly number[], tableSize: number): Steps<Uint16Array | Uint32Array> {
  // By key, as in Envoy: whoever comes first takes what several want, whatever order discovery has.
  const order = yield* sortedPositions(hosts.length, (a, b) => (hosts[a]!.hashKey < hosts[b]!.hashKey ? -1 : 1));
  const seats = new Seats(order, weights, tableSize);
  const hasher = new XxHash64();
  for (const [index, host] of hosts.entries()) {
    hasher.hash(host.hashKey);
    seats.position[index] = modulo64(hasher.high, hasher.low, tableSize);
    hasher.hash(host.hashKey, 1);
    seats.skip[index] = modulo64(hasher.high, hasher.low, tableSize - 1) + 1;
    if (index % HOSTS_PER_STEP === 0) yield;
  }
  while (!seats.fill(SLOTS_PER_STEP)) yield;
  return seats.table;
}

/** A table that is being filled. */
class Seats {
  readonly table: Uint16Array | Uint32Array;
  /** Of each host, by its index: where it looks next, and how far on after that. */
  readonly position: Uint32Array;
  readonly skip: Uint32Array;
  readonly #order: Uint32Array;
  readonly #weights: readonly number[];
  readonly #heaviest: number;
  readonly #taken: Uint8Array;
  readonly #target: Float64Array;
  #filled = 0;
  #round = 1;
  /** In `#order`: whose turn it is. */
  #turn = 0;

  constructor(order: Uint32Array, weights: readonly number[], size: number) {
    const count = order.length;
    this.table = count < 0xffff ? new Uint16Array(size) : new Uint32Array(size);
    this.position = new Uint32Array(count);
    this.skip = new Uint32Array(count);
    this.#order = order;
    this.#weights = weights;
    this.#heaviest = Math.max(...weights);
    this.#taken = new Uint8Array(size);
    this.#target = new Float64Array(count);
  }

  /** Goes on for so many looks at a slot. True: the table is full. */
  fill(looks: number): boolean {
    const { table, position, skip } = this;
    const size = table.length;
    const order = this.#order;
    const weights = this.#weights;
    const taken = this.#taken;
    const target = this.#target;
    const heaviest = this.#heaviest;
    for (let left = looks; this.#filled < size; left--) {
      const index = order[this.#turn]!;
      // The heaviest host takes a slot each round, the others each time their share has grown by its.
      if (this.#round * weights[index]! >= target[index]!) {
        const step = skip[index]!;
        let slot = position[index]!;
        for (; taken[slot] !== 0 && left > 0; left--) slot = after(slot, step, size);
        position[index] = slot;
        if (taken[slot] !== 0) return false;
        taken[slot] = 1;
        table[slot] = index;
        target[index] = target[index]! + heaviest;
        position[index] = after(slot, step, size);
        this.#filled++;
      }
      if (++this.#turn === order.length) {
        this.#turn = 0;
        this.#round++;
      }
      if (left <= 0) return false;
    }
    return true;
  }
}

/** The slot that comes `step` on, around the table; without a division. */
function after(slot: number, step: number, size: number): number {
  const next = slot + step;
  return next < size ? next : next - size;
}
