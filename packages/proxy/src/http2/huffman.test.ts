import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeHuffman, maxHuffmanDecodedBytes } from './huffman.ts';

function decode(bytes: Buffer): string | number {
  const target = Buffer.alloc(maxHuffmanDecodedBytes(bytes.length) + 1, 0xee);
  const length = decodeHuffman(bytes, 0, bytes.length, target);
  expect(target.at(-1)).toBe(0xee);
  return length < 0 ? length : target.latin1Slice(0, length);
}

describe('decodeHuffman', () => {
  it.each([
    ['f1e3c2e5f23a6ba0ab90f4ff', 'www.example.com'],
    ['a8eb10649cbf', 'no-cache'],
    ['25a849e95ba97d7f', 'custom-key'],
    ['d07abe941054d444a8200595040b8166e082a62d1bff', 'Mon, 21 Oct 2013 20:13:21 GMT'],
    ['94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007', 'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1'],
    ['', ''],
  ])('decodes %s of the RFC', (hex, text) => {
    expect(decode(Buffer.from(hex, 'hex'))).toBe(text);
  });

  it.each([
    ['padding of zeros', '18'],
    ['padding with a zero in it', '1e'],
    ['a whole byte of padding', 'f1e3c2e5f23a6ba0ab90f4ffff'],
    ['nothing but padding of a byte', 'ff'],
    ['EOS', 'ffffffff'],
    ['EOS after text', '1fffffffff'],
    ['a code cut short', 'fe'],
  ])('refuses %s (RFC 7541 section 5.2)', (_name, hex) => {
    expect(decode(Buffer.from(hex, 'hex'))).toBe(-1);
  });

  it('never writes beyond its bound, whatever comes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => void decode(Buffer.from(bytes))),
      { numRuns: 1000 },
    );
  });
});
