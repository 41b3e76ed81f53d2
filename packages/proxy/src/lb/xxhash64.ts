const PRIME1_HIGH = 0x9e3779b1;
const PRIME1_LOW = 0x85ebca87;
const PRIME2_HIGH = 0xc2b2ae3d;
const PRIME2_LOW = 0x27d4eb4f;
const PRIME3_HIGH = 0x165667b1;
const PRIME3_LOW = 0x9e3779f9;
const PRIME4_HIGH = 0x85ebca77;
const PRIME4_LOW = 0xc2b2ae63;
const PRIME5_HIGH = 0x27d4eb2f;
const PRIME5_LOW = 0x165667c5;

/**
 * XXH64 over latin1 text, the hash by which Envoy places hosts and requests, so that both data planes send a key to the
 * same endpoint. 64-bit values are two 32-bit halves: BigInt would cost microseconds a request. The result is left in
 * `high` and `low`.
 */
export class XxHash64 {
  /** Upper half, [0, 2^32). */
  high = 0;
  low = 0;
  readonly #lanes = [0, 0, 0, 0, 0, 0, 0, 0];

  hash(text: string, seed = 0): void {
    const length = text.length;
    let at = 0;
    if (length >= 32) {
      const lanes = this.#lanes;
      this.#set(PRIME1_HIGH, PRIME1_LOW);
      this.#add(PRIME2_HIGH, PRIME2_LOW);
      this.#add(0, seed);
      this.#store(lanes, 0);
      this.#set(PRIME2_HIGH, PRIME2_LOW);
      this.#add(0, seed);
      this.#store(lanes, 2);
      this.#set(0, seed);
      this.#store(lanes, 4);
      // seed - PRIME1, as an addition of the complement.
      this.#set(~PRIME1_HIGH, ~PRIME1_LOW);
      this.#add(0, 1);
      this.#add(0, seed);
      this.#store(lanes, 6);
      for (; at + 32 <= length; at += 32) {
        for (let lane = 0; lane < 4; lane++) {
          this.#round(lanes[lane * 2]!, lanes[lane * 2 + 1]!, word(text, at + lane * 8 + 4), word(text, at + lane * 8));
          this.#store(lanes, lane * 2);
        }
      }
      this.#set(lanes[0]!, lanes[1]!);
      this.#rotate(1);
      for (const [lane, bits] of [
        [2, 7],
        [4, 12],
        [6, 18],
      ] as const) {
        const high = this.high;
        const low = this.low;
        this.#set(lanes[lane]!, lanes[lane + 1]!);
        this.#rotate(bits);
        this.#add(high, low);
      }
      for (let lane = 0; lane < 8; lane += 2) {
        const high = this.high;
        const low = this.low;
        this.#round(0, 0, lanes[lane]!, lanes[lane + 1]!);
        this.#xor(high, low);
        this.#multiply(PRIME1_HIGH, PRIME1_LOW);
        this.#add(PRIME4_HIGH, PRIME4_LOW);
      }
    } else {
      this.#set(PRIME5_HIGH, PRIME5_LOW);
      this.#add(0, seed);
    }
    this.#add(0, length);
    for (; at + 8 <= length; at += 8) {
      const high = this.high;
      const low = this.low;
      this.#round(0, 0, word(text, at + 4), word(text, at));
      this.#xor(high, low);
      this.#rotate(27);
      this.#multiply(PRIME1_HIGH, PRIME1_LOW);
      this.#add(PRIME4_HIGH, PRIME4_LOW);
    }
    if (at + 4 <= length) {
      const high = this.high;
      const low = this.low;
      this.#set(0, word(text, at));
      this.#multiply(PRIME1_HIGH, PRIME1_LOW);
      this.#xor(high, low);
      this.#rotate(23);
      this.#multiply(PRIME2_HIGH, PRIME2_LOW);
      this.#add(PRIME3_HIGH, PRIME3_LOW);
      at += 4;
    }
    for (; at < length; at++) {
      const high = this.high;
      const low = this.low;
      this.#set(0, text.charCodeAt(at) & 0xff);
      this.#multiply(PRIME5_HIGH, PRIME5_LOW);
      this.#xor(high, low);
      this.#rotate(11);
      this.#multiply(PRIME1_HIGH, PRIME1_LOW);
    }
    this.#shiftXor(33);
    this.#multiply(PRIME2_HIGH, PRIME2_LOW);
    this.#shiftXor(29);
    this.#multiply(PRIME3_HIGH, PRIME3_LOW);
    this.#shiftXor(32);
  }

  #set(high: number, low: number): void {
    this.high = high >>> 0;
    this.low = low >>> 0;
  }

  #store(lanes: number[], at: number): void {
    lanes[at] = this.high;
    lanes[at + 1] = this.low;
  }

  #xor(high: number, low: number): void {
    this.high = (this.high ^ high) >>> 0;
    this.low = (this.low ^ low) >>> 0;
  }

  #add(high: number, low: number): void {
    const sum = this.low + (low >>> 0);
    this.low = sum >>> 0;
    this.high = (this.high + (high >>> 0) + (sum > 0xffffffff ? 1 : 0)) >>> 0;
  }

  /** Low 64 bits of the product, from 16-bit pieces so that nothing passes 2^53. */
  #multiply(high: number, low: number): void {
    const aHigh = this.low >>> 16;
    const aLow = this.low & 0xffff;
    const bHigh = low >>> 16;
    const bLow = low & 0xffff;
    const bottom = aLow * bLow;
    const middle = aHigh * bLow + (bottom >>> 16);
    const cross = aLow * bHigh + (middle & 0xffff);
    const carry = aHigh * bHigh + Math.floor(middle / 0x10000) + Math.floor(cross / 0x10000);
    this.high = (carry + Math.imul(this.high, low) + Math.imul(this.low, high)) >>> 0;
    this.low = (((cross & 0xffff) << 16) | (bottom & 0xffff)) >>> 0;
  }

  #rotate(bits: number): void {
    const { high, low } = this;
    this.#set((high << bits) | (low >>> (32 - bits)), (low << bits) | (high >>> (32 - bits)));
  }

  /** Exclusive or with itself shifted right. */
  #shiftXor(bits: number): void {
    if (bits >= 32) this.#xor(0, bits === 32 ? this.high : this.high >>> (bits - 32));
    else this.#xor(this.high >>> bits, (this.low >>> bits) | (this.high << (32 - bits)));
  }

  /** accumulator + input * PRIME2, rotated, * PRIME1. */
  #round(accumulatorHigh: number, accumulatorLow: number, inputHigh: number, inputLow: number): void {
    this.#set(inputHigh, inputLow);
    this.#multiply(PRIME2_HIGH, PRIME2_LOW);
    this.#add(accumulatorHigh, accumulatorLow);
    this.#rotate(31);
    this.#multiply(PRIME1_HIGH, PRIME1_LOW);
  }
}

function word(text: string, at: number): number {
  return (
    ((text.charCodeAt(at) & 0xff) |
      ((text.charCodeAt(at + 1) & 0xff) << 8) |
      ((text.charCodeAt(at + 2) & 0xff) << 16) |
      ((text.charCodeAt(at + 3) & 0xff) << 24)) >>>
    0
  );
}

/** The 64-bit value modulo a divisor below 2^26 (so that no product passes 2^53). */
export function modulo64(high: number, low: number, divisor: number): number {
  return ((high % divisor) * (0x1_0000_0000 % divisor) + (low % divisor)) % divisor;
}
