import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HeadScanner, Scan } from './head-scanner.ts';
import { type Http1Options, http1Options } from './options.ts';

/** Scans `text` cut into pieces of `size` bytes; the fields found, or why it was refused. */
function scan(text: string, size: number, given: Partial<Http1Options> = {}, trailers = false): string[] | string {
  const scanner = new HeadScanner(http1Options(given));
  if (trailers) scanner.beginTrailers();
  const bytes = Buffer.from(text, 'latin1');
  for (let p = 0; p < bytes.length; p += size) {
    const end = Math.min(p + size, bytes.length);
    const result = scanner.scan(bytes, p, end);
    if (result === Scan.BAD) return `${scanner.status} ${scanner.error}`;
    if (result === Scan.MORE) continue;
    const fields: string[] = [`${text.slice(0, scanner.startLineEnd)}|${text.slice(scanner.length)}`];
    for (let i = 0; i < scanner.count * 4; i += 4) {
      fields.push(`${text.slice(scanner.offsets[i], scanner.offsets[i + 1])}=${text.slice(scanner.offsets[i + 2], scanner.offsets[i + 3])}`);
    }
    return fields;
  }
  return 'more';
}

function everySize(text: string, given: Partial<Http1Options> = {}): string[] | string {
  const whole = scan(text, text.length, given);
  for (let size = 1; size < Math.min(text.length, 12); size++) expect(scan(text, size, given)).toEqual(whole);
  return whole;
}

describe('HeadScanner', () => {
  it('finds the fields, with trailing space for the decoder to take off, and where the head ends', () => {
    expect(everySize('GET / HTTP/1.1\r\nHost: a\r\nX-Y:\t b c \r\nEmpty:\r\n\r\nrest')).toEqual(['GET / HTTP/1.1|rest', 'Host=a', 'X-Y=b c ', 'Empty=']);
    expect(everySize('GET / HTTP/1.0\r\n\r\n')).toEqual(['GET / HTTP/1.0|']);
    expect(everySize('GET / HTTP/1.1\r\nA: \x80\xff"\\\r\n\r\n')).toEqual(['GET / HTTP/1.1|', 'A=\x80\xff"\\']);
  });

  it.each([
    ['bare LF after the start line', 'GET / HTTP/1.1\nHost: a\r\n\r\n'],
    ['bare LF after a field', 'GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n'],
    ['bare LF as the last line', 'GET / HTTP/1.1\r\nHost: a\r\n\n'],
    ['CR inside the start line', 'GET /\r HTTP/1.1\r\n\r\n'],
    ['CR inside a value', 'GET / HTTP/1.1\r\nA: b\rc\r\n\r\n'],
    ['CR CR LF', 'GET / HTTP/1.1\r\nA: b\r\r\n\r\n'],
    ['CR at the end without LF', 'GET / HTTP/1.1\r\n\rX'],
    ['NUL in the start line', 'GET /\0 HTTP/1.1\r\n\r\n'],
    ['tab in the start line', 'GET\t/ HTTP/1.1\r\n\r\n'],
    ['DEL in the start line', 'GET /\x7f HTTP/1.1\r\n\r\n'],
    ['NUL in a name', 'GET / HTTP/1.1\r\nA\0: b\r\n\r\n'],
    ['NUL in a value', 'GET / HTTP/1.1\r\nA: b\0\r\n\r\n'],
    ['a control in a value', 'GET / HTTP/1.1\r\nA: b\x0bc\r\n\r\n'],
    ['DEL in a value', 'GET / HTTP/1.1\r\nA: b\x7f\r\n\r\n'],
    ['line folding', 'GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n'],
    ['line folding by a tab', 'GET / HTTP/1.1\r\nA: b\r\n\tc\r\n\r\n'],
    ['a first field that begins with space', 'GET / HTTP/1.1\r\n Host: a\r\n\r\n'],
    ['space before the colon', 'GET / HTTP/1.1\r\nHost : a\r\n\r\n'],
    ['tab before the colon', 'GET / HTTP/1.1\r\nHost\t: a\r\n\r\n'],
    ['no colon', 'GET / HTTP/1.1\r\nHost\r\n\r\n'],
    ['no name', 'GET / HTTP/1.1\r\n: a\r\n\r\n'],
    ['a name with a separator', 'GET / HTTP/1.1\r\nA(b): c\r\n\r\n'],
    ['a name with obs-text', 'GET / HTTP/1.1\r\nA\xe9: c\r\n\r\n'],
  ])('refuses %s, whatever the pieces', (_name, text) => {
    expect(everySize(text)).toMatch(/^400 /);
  });

  it('holds its limits to the byte', () => {
    const line = `GET /${'a'.repeat(86)} HTTP/1.1`;
    expect(line).toHaveLength(100);
    expect(everySize(`${line}\r\n\r\n`, { maxStartLineBytes: 100 })).toHaveLength(1);
    expect(everySize(`${line}\r\n\r\n`, { maxStartLineBytes: 99 })).toBe('414 start line too long');
    expect(everySize('GET / HTTP/1.1\r\nA: b\r\nA: b\r\n\r\n', { maxHeaderCount: 2 })).toHaveLength(3);
    expect(everySize('GET / HTTP/1.1\r\nA: b\r\nA: b\r\n\r\n', { maxHeaderCount: 1 })).toBe('431 too many header lines');
    const head = `GET / HTTP/1.1\r\nA: ${'b'.repeat(77)}\r\n\r\n`;
    expect(head).toHaveLength(100);
    expect(everySize(head, { maxHeadBytes: 100 })).toHaveLength(2);
    expect(everySize(head, { maxHeadBytes: 99 })).toBe('431 header section too large');
  });

  it('refuses an endless head before its end', () => {
    expect(scan('GET / HTTP/1.1\r\nA: '.padEnd(200, 'b'), 1, { maxHeadBytes: 150 })).toBe('431 header section too large');
    expect(scan('G'.repeat(200), 1, { maxStartLineBytes: 150 })).toBe('414 start line too long');
    expect(scan(`X: ${'b'.repeat(200)}`, 1, { maxTrailerBytes: 150 }, true)).toBe('431 header section too large');
  });

  it('finds the same, however the bytes are cut', () => {
    const piece = fc.constantFrom('GET ', '/', ' HTTP/1.1', '\r\n', '\r', '\n', 'Host', ':', ' ', 'a', '\t', '\0', '\xff', '\r\n\r\n');
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), fc.integer({ min: 1, max: 7 }), (pieces, size) => {
        const text = `GET / HTTP/1.1\r\n${pieces.join('')}`;
        expect(scan(text, size)).toEqual(scan(text, text.length));
      }),
    );
  });
});
