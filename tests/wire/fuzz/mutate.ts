import type { FastRandom } from '@outrigger/telemetry';

/** Pieces that parsers have stumbled over. */
const TOKENS: readonly Buffer[] = [
  ...['\r\n', '\n', '\r', '\r\n\r\n', '\0', ' ', '\t', ':', ';', ',', '0', '-1', '+5', '0x10', '\xff', '\x80', '\x0b', '%00', '%0d%0a', '{', '}', '"', '\\'],
  ...[
    'Content-Length: 5\r\n',
    'Transfer-Encoding: chunked\r\n',
    'Host: b\r\n',
    'Connection: close\r\n',
    '0\r\n\r\n',
    'GET /x HTTP/1.1\r\nHost: a\r\n\r\n',
    'HTTP/1.1 200 OK\r\n',
  ],
].map((text) => Buffer.from(text, 'latin1'));
const NUMBERS: readonly number[] = [0, 1, 127, 128, 255, 256, 16_384, 16_385, 65_535, 65_536, 0x7fffffff, 0x80000000, 0xffffffff];

const below = (random: FastRandom, bound: number): number => (bound <= 0 ? 0 : random.uint32() % bound);

export function pick<T>(random: FastRandom, list: readonly T[]): T {
  return list[below(random, list.length)]!;
}

/** One small change. */
function change(input: Buffer, other: Buffer, random: FastRandom): Buffer {
  const at = below(random, input.length + 1);
  const end = Math.min(input.length, at + 1 + below(random, 16));
  const put = (piece: Buffer, until = at) => Buffer.concat([input.subarray(0, at), piece, input.subarray(until)]);
  switch (below(random, 9)) {
    case 0: {
      const copy = Buffer.from(input);
      if (at < copy.length) copy[at]! ^= 1 << below(random, 8);
      return copy;
    }
    case 1:
      return put(Buffer.from([below(random, 256)]), Math.min(input.length, at + 1));
    case 2:
      return put(pick(random, TOKENS));
    case 3:
      return put(pick(random, TOKENS), end);
    case 4:
      return put(Buffer.alloc(0), end);
    case 5:
      return put(input.subarray(at, end));
    case 6: {
      const from = below(random, other.length + 1);
      return put(other.subarray(from, from + 1 + below(random, other.length - from)), end);
    }
    case 7:
      return input.subarray(0, at);
    default: {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32BE(pick(random, NUMBERS));
      const width = 1 + below(random, 4);
      return put(bytes.subarray(4 - width), Math.min(input.length, at + width));
    }
  }
}

export function mutate(corpus: readonly Buffer[], random: FastRandom): Buffer {
  let input = pick(random, corpus);
  for (let changes = 1 + below(random, 4); changes > 0; changes--) input = change(input, pick(random, corpus), random);
  return input.subarray(0, 200_000);
}

/** The same bytes in pieces. */
export function cut(input: Buffer, random: FastRandom): Buffer[] {
  const pieces: Buffer[] = [];
  for (let p = 0; p < input.length; ) {
    const length = pieces.length > 40 ? input.length : 1 + below(random, pick(random, [1, 4, 40, 400, input.length]));
    pieces.push(input.subarray(p, p + length));
    p += length;
  }
  return pieces;
}
