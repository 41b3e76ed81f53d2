/** Source of uniform random integers, injected so that every choice can be replayed in a test. */
export interface Random {
  /** Uniform in [0, 2^32). */
  uint32(): number;
}

/**
 * xoshiro128**: fast and of good quality for balancing, sampling and ids; not for secrets.
 * One per process or workload; the seed comes from a real entropy source at the edge.
 */
export class FastRandom implements Random {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  /** Four 32-bit words, not all zero. */
  constructor(seed: readonly [number, number, number, number]) {
    this.#a = seed[0] | 0;
    this.#b = seed[1] | 0;
    this.#c = seed[2] | 0;
    this.#d = seed[3] | 0;
    // An all-zero state would stay zero for ever.
    if ((this.#a | this.#b | this.#c | this.#d) === 0) this.#a = 1;
  }

  uint32(): number {
    const b = this.#b;
    let result = Math.imul(b, 5);
    result = Math.imul((result << 7) | (result >>> 25), 9) >>> 0;
    const t = b << 9;
    this.#c ^= this.#a;
    this.#d ^= b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= t;
    this.#d = (this.#d << 11) | (this.#d >>> 21);
    return result;
  }
}
