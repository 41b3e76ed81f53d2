import { describe, expect, it } from 'vitest';
import { modulo64, XxHash64 } from './xxhash64.ts';

function hash(text: string, seed = 0): string {
  const hasher = new XxHash64();
  hasher.hash(text, seed);
  return hasher.high.toString(16).padStart(8, '0') + hasher.low.toString(16).padStart(8, '0');
}

describe('XXH64', () => {
  it.each([
    ['', 'ef46db3751d8e999'],
    ['a', 'd24ec4f1a98c6e5b'],
    ['abc', '44bc2cf5ad770999'],
    ['foo', '33bf00a859c4ba3f'],
    ['Nobody inspects the spammish repetition', 'fbcea83c8a378bf1'],
  ])('of %j', (text, expected) => {
    expect(hash(text)).toBe(expected);
  });

  it('depends on the seed', () => {
    expect(hash('abc', 1)).not.toBe(hash('abc'));
  });
});

it('takes a 64-bit value modulo a table size', () => {
  const value = (0xfbcea83cn << 32n) | 0x8a378bf1n;
  for (const size of [7, 65537, 5_000_011]) expect(modulo64(0xfbcea83c, 0x8a378bf1, size)).toBe(Number(value % BigInt(size)));
});
