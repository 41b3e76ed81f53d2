import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Chunk, ChunkDecoder } from './chunk-decoder.ts';
import { http1Options } from './options.ts';

/** Content and what follows the last chunk, or the error, of `text` cut into pieces of `size`. */
function decode(text: string, size: number, maxChunkExtensionBytes = 64): { content: string; rest?: string; error?: string } {
  const decoder = new ChunkDecoder(http1Options({ maxChunkExtensionBytes }));
  decoder.begin();
  const bytes = Buffer.from(text, 'latin1');
  let content = '';
  for (let start = 0; start < bytes.length; start += size) {
    const end = Math.min(bytes.length, start + size);
    let p = start;
    while (p < end) {
      const result = decoder.step(bytes, p, end);
      if (result === Chunk.BAD) return { content, error: decoder.error };
      expect(decoder.position).toBeGreaterThan(p);
      p = decoder.position;
      if (result === Chunk.DATA) content += text.slice(decoder.dataStart, p);
      if (result === Chunk.LAST) return { content, rest: text.slice(p) };
    }
  }
  return { content };
}

const everySize = (text: string) => {
  const whole = decode(text, text.length);
  for (let size = 1; size < text.length; size++) expect(decode(text, size)).toEqual(whole);
  return whole;
};

describe('ChunkDecoder', () => {
  it.each([
    ['3\r\nabc\r\n0\r\n\r\n', { content: 'abc', rest: '\r\n' }],
    ['0\r\nX: y\r\n\r\n', { content: '', rest: 'X: y\r\n\r\n' }],
    ['1\r\na\r\n00a\r\n0123456789\r\n000\r\nrest', { content: 'a0123456789', rest: 'rest' }],
    ['A\r\n0123456789\r\n0\r\n', { content: '0123456789', rest: '' }],
    ['1;name=value;other="quo\\"ted"\r\na\r\n0;last\r\n', { content: 'a', rest: '' }],
    ['1;\x80\xff\t\r\na\r\n0\r\n', { content: 'a', rest: '' }],
    ['5\r\nab', { content: 'ab' }],
    // Content may look like framing.
    ['7\r\n\r\n0\r\n\r\n\r\n0\r\n', { content: '\r\n0\r\n\r\n', rest: '' }],
  ])('%j', (text, result) => {
    expect(everySize(text)).toEqual(result);
  });

  it.each([
    ['no size', '\r\na\r\n'],
    ['a sign', '+1\r\na\r\n0\r\n'],
    ['a negative size', '-1\r\na\r\n0\r\n'],
    ['a prefix', '0x1\r\na\r\n0\r\n'],
    ['a letter that is no digit', 'g\r\n'],
    ['space before the size', ' 1\r\na\r\n0\r\n'],
    ['space after the size', '1 \r\na\r\n0\r\n'],
    ['an underscore', '1_0\r\n'],
    ['LF alone after the size', '1\na\r\n0\r\n'],
    ['CR without LF after the size', '1\rXa\r\n0\r\n'],
    ['LF alone in an extension', '1;a\nGET / HTTP/1.1\r\na\r\n0\r\n'],
    ['CR without LF in an extension', '1;a\rb\r\na\r\n0\r\n'],
    ['NUL in an extension', '1;\0\r\na\r\n0\r\n'],
    ['more content than the size', '1\r\nab\r\n0\r\n'],
    ['LF alone after the content', '1\r\na\n0\r\n'],
    ['CR without LF after the content', '1\r\na\rX0\r\n'],
    ['a size of 2^52 and more', '10000000000000\r\n'],
    ['a size that wraps 64 bits', 'fffffffffffffffff\r\n'],
    ['endless zeros', '00000000000001\r\na\r\n0\r\n'],
  ])('refuses %s', (_name, text) => {
    expect(everySize(text).error).toBeDefined();
  });

  it('bounds the extensions of a whole message', () => {
    expect(decode(`1;${'x'.repeat(40)}\r\na\r\n0\r\n`, 1000).rest).toBe('');
    expect(decode(`1;${'x'.repeat(40)}\r\na\r\n1;${'x'.repeat(40)}\r\na\r\n0\r\n`, 1000)).toEqual({ content: 'a', error: 'chunk extensions too large' });
    expect(decode(`1;${'x'.repeat(1000)}`, 1)).toEqual({ content: '', error: 'chunk extensions too large' });
  });

  it('gives back what was put into chunks, however the bytes are cut', () => {
    const chunk = fc.string({ unit: 'binary-ascii', minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(fc.array(chunk), fc.integer({ min: 1, max: 20 }), (chunks, size) => {
        const text = `${chunks.map((one) => `${one.length.toString(16)}\r\n${one}\r\n`).join('')}0\r\n`;
        expect(decode(text, size)).toEqual({ content: chunks.join(''), rest: '' });
      }),
    );
  });

  it('never throws, never stands still', () => {
    const piece = fc.constantFrom('0', '1', 'f', ';', '\r', '\n', '\r\n', 'x', ' ', '\0');
    fc.assert(fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => void decode(pieces.join(''), 3)));
  });
});
