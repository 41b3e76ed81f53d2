/**
 * Code lengths of RFC 7541 appendix B for the 256 bytes. The code is canonical: these lengths say all of it.
 */
// biome-ignore format: a table
const CODE_LENGTHS: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
  6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
  15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
  20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
  22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
  26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
  20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
];

const EOS = 256;
const EOS_LENGTH = 30;

/** An entry of the table: next state, a byte if one is complete, and what may stand at the end. */
const EMITS = 1 << 24;
const FAILS = 1 << 25;
const MAY_END = 1 << 26;

/**
 * The code as a machine that takes four bits at a time, since no code is shorter than five: entry `state * 16 + nibble`
 * holds the next state in bits 0-15, the byte in bits 16-23, and the flags above.
 */
const MACHINE: Int32Array = machine();

function machine(): Int32Array {
  // A tree of the code, in arrays: child[2 * node + bit] is a node, or -1 - symbol.
  const children: number[] = [0, 0];
  const symbols = [...CODE_LENGTHS.keys(), EOS].sort((a, b) => lengthOf(a) - lengthOf(b) || a - b);
  let code = 0;
  let length = 0;
  for (const symbol of symbols) {
    code = code * 2 ** (lengthOf(symbol) - length);
    length = lengthOf(symbol);
    let node = 0;
    for (let bit = length - 1; bit >= 0; bit--) {
      const slot = 2 * node + (Math.floor(code / 2 ** bit) & 1);
      if (bit === 0) children[slot] = -1 - symbol;
      else if (children[slot] === 0) {
        node = children.length / 2;
        children[slot] = node;
        children.push(0, 0);
      } else node = children[slot]!;
    }
    code++;
  }
  const mayEnd = new Set<number>();
  for (let node = 0, depth = 0; depth < 8; depth++) {
    mayEnd.add(node);
    node = children[2 * node + 1]!;
  }
  const table = new Int32Array(children.length * 8);
  for (let state = 0; state < children.length / 2; state++) {
    for (let nibble = 0; nibble < 16; nibble++) {
      let node = state;
      let entry = 0;
      for (let bit = 3; bit >= 0; bit--) {
        const next = children[2 * node + ((nibble >> bit) & 1)]!;
        if (next >= 0) node = next;
        else {
          const symbol = -1 - next;
          entry |= symbol === EOS ? FAILS : EMITS | (symbol << 16);
          node = 0;
        }
      }
      table[state * 16 + nibble] = entry | node | (mayEnd.has(node) ? MAY_END : 0);
    }
  }
  return table;
}

function lengthOf(symbol: number): number {
  return symbol === EOS ? EOS_LENGTH : CODE_LENGTHS[symbol]!;
}

/** Bytes that `length` coded bytes can become at most. */
export function maxHuffmanDecodedBytes(length: number): number {
  return Math.ceil((length * 8) / 5);
}

/** Decodes into `target` from 0; the number of bytes, or -1 where the coding is wrong (RFC 7541 section 5.2). */
export function decodeHuffman(source: Buffer, start: number, end: number, target: Buffer): number {
  let state = 0;
  let written = 0;
  let entry = MAY_END;
  for (let p = start; p < end; p++) {
    const byte = source[p]!;
    entry = MACHINE[state * 16 + (byte >> 4)]!;
    if ((entry & FAILS) !== 0) return -1;
    if ((entry & EMITS) !== 0) target[written++] = (entry >> 16) & 255;
    state = entry & 0xffff;
    entry = MACHINE[state * 16 + (byte & 15)]!;
    if ((entry & FAILS) !== 0) return -1;
    if ((entry & EMITS) !== 0) target[written++] = (entry >> 16) & 255;
    state = entry & 0xffff;
  }
  return (entry & MAY_END) === 0 ? -1 : written;
}
