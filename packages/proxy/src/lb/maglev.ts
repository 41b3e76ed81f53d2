import type { Random } from '@outrigger/telemetry';
import type { LbContext } from './context.ts';
import type { Host } from './host.ts';
import type { Picker } from './picker.ts';
import { modulo64, XxHash64 } from './xxhash64.ts';

/** Maglev's table (Eisenbud et al. 2016, section 3.4), weighted as Envoy does it. `tableSize` is prime. */
export class Maglev implements Picker {
  readonly hosts: readonly Host[];
  readonly #random: Random;
  /** Position in `hosts` of each slot. */
  readonly table: Uint16Array | Uint32Array;

  /** `weights`: of each host, as shares of 1. */
  constructor(hosts: readonly Host[], weights: readonly number[], random: Random, tableSize: number) {
    this.hosts = hosts;
    this.#random = random;
    this.table = buildTable(hosts, weights, tableSize);
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

function buildTable(hosts: readonly Host[], weights: readonly number[], tableSize: number): Uint16Array | Uint32Array {
  const count = hosts.length;
  const table = count < 0xffff ? new Uint16Array(tableSize) : new Uint32Array(tableSize);
  const free = new Uint8Array(tableSize).fill(1);
  const heaviest = Math.max(...weights);
  const hasher = new XxHash64();
  const position = new Float64Array(count);
  const skip = new Float64Array(count);
  const target = new Float64Array(count);
  // By key, as in Envoy: whoever comes first takes what several want, whatever order discovery has.
  const order = hosts.map((_, index) => index).sort((a, b) => (hosts[a]!.hashKey < hosts[b]!.hashKey ? -1 : 1));
  hosts.forEach((host, index) => {
    hasher.hash(host.hashKey);
    position[index] = modulo64(hasher.high, hasher.low, tableSize);
    hasher.hash(host.hashKey, 1);
    skip[index] = modulo64(hasher.high, hasher.low, tableSize - 1) + 1;
  });
  let filled = 0;
  for (let round = 1; filled < tableSize; round++) {
    for (let turn = 0; turn < count && filled < tableSize; turn++) {
      const index = order[turn]!;
      // The heaviest host takes a slot each round, the others each time their share has grown by its.
      if (round * weights[index]! < target[index]!) continue;
      target[index] = target[index]! + heaviest;
      let slot = position[index]!;
      while (free[slot] === 0) slot = (slot + skip[index]!) % tableSize;
      free[slot] = 0;
      table[slot] = index;
      filled++;
      position[index] = (slot + skip[index]!) % tableSize;
    }
  }
  return table;
}
