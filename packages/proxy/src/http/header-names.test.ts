import { describe, expect, it } from 'vitest';
import { HeaderKind, HeaderNames, MAX_CACHED_NAME_LENGTH, MAX_CACHED_NAMES } from './header-names.ts';

describe('HeaderNames', () => {
  it('keeps a name as it was, lower-cases and classifies it', () => {
    const names = new HeaderNames();
    expect(names.lookup('X-Request-ID')).toMatchObject({ wire: 'X-Request-ID', lower: 'x-request-id', kind: HeaderKind.ORDINARY });
    expect(names.lookup('CONTENT-length').kind).toBe(HeaderKind.CONTENT_LENGTH);
    expect(names.lookup(':path').kind).toBe(HeaderKind.PATH);
    for (const name of ['', 'a b', 'a:', ':unknown', 'a\n', 'caf\xe9', '\0']) expect(names.lookup(name).kind).toBe(HeaderKind.INVALID);
  });

  it('finds by bytes what it finds by text', () => {
    const names = new HeaderNames();
    // More than there are places, so that names take turns in them; of one length and beginning, so that many share one.
    const texts = Array.from({ length: 5000 }, (_, i) => `x-abcdefgh${`${i}`.padStart(4, '0')}z`);
    for (let round = 0; round < 2; round++) {
      for (const text of [...texts, 'Host', 'host', 'HOST', 'a', 'ab', 'y'.repeat(100), 'caf\xe9']) {
        const bytes = Buffer.from(`<${text}>`, 'latin1');
        const found = names.find(bytes, 1, bytes.length - 1);
        expect([found.wire, found.kind]).toEqual([text, names.lookup(text).kind]);
      }
    }
  });

  it('gives the same object for the same name, also after others have come', () => {
    const names = new HeaderNames();
    const first = names.lookup('x-first');
    for (let i = 0; i < MAX_CACHED_NAMES; i++) names.lookup(`x-${i}`);
    expect(names.lookup('x-first')).toBe(first);
  });

  it('forgets what a peer invents', () => {
    const names = new HeaderNames();
    const first = names.lookup('x-first');
    for (let i = 0; i < 3 * MAX_CACHED_NAMES; i++) names.lookup(`x-${i}`);
    expect(names.lookup('x-first')).not.toBe(first);
    const long = 'x'.repeat(MAX_CACHED_NAME_LENGTH + 1);
    expect(names.lookup(long)).not.toBe(names.lookup(long));
    expect(names.lookup(long).kind).toBe(HeaderKind.ORDINARY);
  });
});
