import type { LbContext } from './context.ts';
import type { Host } from './host.ts';
import type { Picker } from './picker.ts';

/**
 * Consistent hashing with bounded loads (Mirrokni et al. 2016) around another picker: a host with more than its share of
 * the requests under way, times the factor, gives way to others in an order that depends on the hash alone.
 */
export class BoundedLoad implements Picker {
  readonly hosts: readonly Host[];
  readonly #inner: Picker;
  readonly #weights: ReadonlyMap<Host, number>;
  readonly #factorPercent: number;

  /** `weights` add up to 1. */
  constructor(inner: Picker, weights: readonly number[], factorPercent: number) {
    this.hosts = inner.hosts;
    this.#inner = inner;
    this.#weights = new Map(inner.hosts.map((host, index) => [host, weights[index]!]));
    this.#factorPercent = factorPercent;
  }

  pick(context: LbContext, attempt: number): Host {
    const first = this.#inner.pick(context, attempt);
    const active = this.hosts.reduce((sum, host) => sum + host.activeRequests, 0);
    const slots = Math.floor(((active + 1) * this.#factorPercent + 99) / 100);
    const overload = (host: Host): number => host.activeRequests / Math.max(1, Math.ceil(slots * this.#weights.get(host)!));
    let best = first;
    let least = overload(first);
    if (least <= 1) return first;
    const twister = new MersenneTwister(context.hashLow);
    const order = [...this.hosts];
    for (let i = 0; i < order.length; i++) {
      const other = i + twister.below(order.length - i);
      [order[i], order[other]] = [order[other]!, order[i]!];
      const host = order[i]!;
      if (host === first) continue;
      const load = overload(host);
      if (load <= 1) return host;
      if (load < least) {
        best = host;
        least = load;
      }
    }
    return best;
  }
}

const STATE_WORDS = 624;
const SHIFT_WORDS = 397;

/** MT19937 (Matsumoto and Nishimura 1998), since Envoy's order of other hosts comes from it. */
export class MersenneTwister {
  readonly #state = new Uint32Array(STATE_WORDS);
  #at = STATE_WORDS;

  constructor(seed: number) {
    const state = this.#state;
    state[0] = seed >>> 0;
    for (let i = 1; i < STATE_WORDS; i++) {
      const before = state[i - 1]! ^ (state[i - 1]! >>> 30);
      state[i] = Math.imul(1_812_433_253, before) + i;
    }
  }

  next(): number {
    if (this.#at === STATE_WORDS) this.#twist();
    let word = this.#state[this.#at++]!;
    word ^= word >>> 11;
    word ^= (word << 7) & 0x9d2c5680;
    word ^= (word << 15) & 0xefc60000;
    return (word ^ (word >>> 18)) >>> 0;
  }

  /** Each of 0 to `count` - 1 as likely as another. */
  below(count: number): number {
    const size = Math.floor(0x1_0000_0000 / count);
    for (;;) {
      const value = Math.floor(this.next() / size);
      if (value < count) return value;
    }
  }

  #twist(): void {
    const state = this.#state;
    for (let i = 0; i < STATE_WORDS; i++) {
      const mixed = (state[i]! & 0x8000_0000) | (state[(i + 1) % STATE_WORDS]! & 0x7fff_ffff);
      state[i] = state[(i + SHIFT_WORDS) % STATE_WORDS]! ^ (mixed >>> 1) ^ ((mixed & 1) === 0 ? 0 : 0x9908b0df);
    }
    this.#at = 0;
  }
}
