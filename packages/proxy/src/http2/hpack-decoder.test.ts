import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HeaderKind, type HeaderName, HeaderNames } from '../http/header-names.ts';
import { type FieldSink, HpackDecoder } from './hpack-decoder.ts';

class Fields implements FieldSink {
  readonly list: string[] = [];
  readonly invalid: string[] = [];

  add(name: HeaderName, value: string, never: boolean): void {
    this.list.push(`${name.wire}: ${value}${never ? ' (never indexed)' : ''}`);
    if (name.kind === HeaderKind.INVALID) this.invalid.push(name.wire);
  }
}

/** Fields of a block, or 'error'. The bytes lie in the midst of others, as in a frame. */
function decode(decoder: HpackDecoder, hex: string): string[] | 'error' {
  const bytes = Buffer.from(`ffff${hex.replaceAll(' ', '')}ffff`, 'hex');
  const fields = new Fields();
  return decoder.decode(bytes, 2, bytes.length - 2, fields) ? fields.list : 'error';
}

const fresh = (bytes = 4096) => new HpackDecoder(new HeaderNames(), bytes);
const once = (hex: string) => decode(fresh(), hex);

/** A size update, then text as a literal with a new name. */
const update256 = '3fe101';
const hex = (text: string) => Buffer.from(text, 'latin1').toString('hex');
const literal = (flag: string, name: string, value: string) =>
  `${flag}${name.length.toString(16).padStart(2, '0')}${hex(name)}${value.length.toString(16).padStart(2, '0')}${hex(value)}`;

const REQUESTS = [
  [':method: GET', ':scheme: http', ':path: /', ':authority: www.example.com'],
  [':method: GET', ':scheme: http', ':path: /', ':authority: www.example.com', 'cache-control: no-cache'],
  [':method: GET', ':scheme: https', ':path: /index.html', ':authority: www.example.com', 'custom-key: custom-value'],
];
const RESPONSE = ['cache-control: private', 'date: Mon, 21 Oct 2013 20:13:21 GMT', 'location: https://www.example.com'];
const RESPONSES = [
  [':status: 302', ...RESPONSE],
  [':status: 307', ...RESPONSE],
  [
    ':status: 200',
    'cache-control: private',
    'date: Mon, 21 Oct 2013 20:13:22 GMT',
    'location: https://www.example.com',
    'content-encoding: gzip',
    'set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1',
  ],
];

describe('examples of RFC 7541 appendix C', () => {
  it.each([
    ['C.2.1', '400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572', ['custom-key: custom-header']],
    ['C.2.2', '040c 2f73 616d 706c 652f 7061 7468', [':path: /sample/path']],
    ['C.2.3', '1008 7061 7373 776f 7264 0673 6563 7265 74', ['password: secret (never indexed)']],
    ['C.2.4', '82', [':method: GET']],
  ])('%s', (_name, block, fields) => {
    expect(once(block)).toEqual(fields);
  });

  it.each<[string, string[], string[][]]>([
    [
      'C.3: requests',
      [
        '8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
        '8286 84be 5808 6e6f 2d63 6163 6865',
        '8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65',
      ],
      REQUESTS,
    ],
    [
      'C.4: requests with Huffman coding',
      ['8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff', '8286 84be 5886 a8eb 1064 9cbf', '8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf'],
      REQUESTS,
    ],
    [
      'C.5: responses, with eviction from a table of 256 bytes',
      [
        `${update256} 4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d`,
        '4803 3330 37c1 c0bf',
        '88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31',
      ],
      RESPONSES,
    ],
    [
      'C.6: the same with Huffman coding',
      [
        `${update256} 4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3`,
        '4883 640e ffc1 c0bf',
        '88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07',
      ],
      RESPONSES,
    ],
  ])('%s', (_name, blocks, expected) => {
    const decoder = fresh();
    expect(blocks.map((block) => decode(decoder, block))).toEqual(expected);
  });
});

describe('dynamic table', () => {
  it('gives way to a size of 0 and grows again', () => {
    const decoder = fresh();
    decode(decoder, literal('40', 'a', 'b'));
    expect(decode(decoder, 'be')).toEqual(['a: b']);
    // To 0 and back to 4096 before one block.
    expect(decode(decoder, '203fe11fbe')).toBe('error');
    expect(decode(decoder, `203fe11f${literal('40', 'c', 'd')}be`)).toEqual(['c: d', 'c: d']);
  });

  it('takes no size beyond what we said, nor one after a field', () => {
    expect(once('3fe21f')).toBe('error');
    expect(decode(fresh(8192), '3fe13f')).toEqual([]);
    expect(once('8220')).toBe('error');
    expect(once('20202082')).toEqual([':method: GET']);
  });

  it('is emptied by an entry larger than itself, which is no error', () => {
    const decoder = fresh();
    decode(decoder, `3f21${literal('40', 'a', 'b')}`);
    expect(decode(decoder, 'be')).toEqual(['a: b']);
    expect(decode(decoder, literal('40', 'name', 'x'.repeat(70)))).toEqual([`name: ${'x'.repeat(70)}`]);
    expect(decode(decoder, 'be')).toBe('error');
  });

  it('may name an entry that the new one pushes out', () => {
    const decoder = fresh();
    // Room for one entry of 34 to 67 bytes.
    decode(decoder, `3f24${literal('40', 'a', 'b')}`);
    expect(decode(decoder, `7e01${hex('c')}be`)).toEqual(['a: c', 'a: c']);
  });

  it('holds what its size allows and no more', () => {
    const decoder = fresh();
    for (let i = 0; i < 200; i++) decode(decoder, literal('40', '', ''));
    // 128 entries of 32 bytes behind the 61 of the static table.
    expect(decode(decoder, 'ff3e')).toEqual([': ']);
    expect(decode(decoder, 'ff3f')).toBe('error');
  });
});

describe('errors (RFC 7541)', () => {
  it.each([
    ['index 0', '80'],
    ['an index beyond the tables', 'be'],
    ['a name beyond the tables', '7e0161'],
    ['an endless index', 'ffffffffffffffffffff'],
    ['an index cut short', 'ff'],
    ['an index cut short later', 'ff80'],
    ['a name cut short', '400a61'],
    ['a value cut short', '400161036162'],
    ['no value', '400161'],
    ['no name', '40'],
    ['a length cut short', '40017f'],
    ['a length far beyond the block', '4001617fffffff7f'],
    ['a length that wraps', '4001617fffffffffffffff7f'],
    ['Huffman coding that is wrong', '40016181ff'],
    ['a name in wrong Huffman coding', '4081ff0161'],
  ])('%s', (_name, block) => {
    expect(once(block)).toBe('error');
  });

  it('takes an integer with zeros behind it, up to a bound', () => {
    const value = 'v'.repeat(127);
    expect(once(`0001617f80808000${hex(value)}`)).toEqual([`a: ${value}`]);
    expect(once(`0001617f8080808000${hex(value)}`)).toBe('error');
  });
});

describe('names and values', () => {
  it.each([
    ['a name in upper case', literal('00', 'Name', 'v')],
    ['an empty name', literal('00', '', 'v')],
    ['a name with space', literal('00', 'a b', 'v')],
    ['a pseudo-header that nobody knows', literal('00', ':x', 'v')],
    ['a name with CR LF', literal('00', 'a\r\nb', 'v')],
    ['a value with LF', literal('00', 'a', 'v\nx: y')],
    ['a value with CR LF', literal('00', 'a', 'v\r\nx: y')],
    ['a value with NUL', literal('00', 'a', 'v\0')],
    ['a value that begins with space', literal('00', 'a', ' v')],
    ['a value that ends with tab', literal('00', 'a', 'v\t')],
    ['LF in Huffman coding', `00 0161 84ffffffff`.replace('84ffffffff', '85fffffff0 ff')],
  ])('marks %s', (_name, block) => {
    const decoder = fresh();
    const fields = new Fields();
    const bytes = Buffer.from(block.replaceAll(' ', ''), 'hex');
    expect(decoder.decode(bytes, 0, bytes.length, fields)).toBe(true);
    expect(fields.invalid).toHaveLength(1);
  });

  it('marks it again where it comes out of the table', () => {
    const decoder = fresh();
    decode(decoder, literal('40', 'a', 'v\r\n'));
    const fields = new Fields();
    decoder.decode(Buffer.from('be', 'hex'), 0, 1, fields);
    expect(fields.invalid).toEqual(['a']);
  });

  it('marks a good name with a bad value only there', () => {
    const names = new HeaderNames();
    const decoder = new HpackDecoder(names, 4096);
    decode(decoder, literal('00', 'good', 'v\n'));
    expect(names.lookup('good').kind).toBe(HeaderKind.ORDINARY);
    decode(decoder, `5f 13 02 ${hex('\nx')}`);
    expect(names.lookup('content-length').kind).toBe(HeaderKind.CONTENT_LENGTH);
  });
});

describe('a smaller table, once the peer has acknowledged it (RFC 9113 section 4.3.1),', () => {
  const smaller = () => {
    const decoder = fresh(256);
    decode(decoder, literal('40', 'a', 'b'));
    decoder.acknowledged();
    return decoder;
  };

  it('is confirmed by the begin of the next block', () => {
    const decoder = smaller();
    expect(decode(decoder, `${update256} 82`)).toEqual([':method: GET']);
    expect(decode(decoder, '82')).toEqual([':method: GET']);
  });

  it.each([
    ['not at all', '82'],
    ['not in an empty block', ''],
    ['not by a larger one', '3fe11f 82'],
  ])('%s: an error', (_name, block) => {
    expect(decode(smaller(), block)).toBe('error');
  });

  it('is not waited for where it is not smaller', () => {
    const decoder = fresh(4096);
    decoder.acknowledged();
    expect(decode(decoder, '82')).toEqual([':method: GET']);
  });
});

it('never throws, and says the same of the same bytes', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 4 }), (blocks) => {
      const [one, two] = [fresh(), fresh()];
      for (const block of blocks) expect(decode(one, Buffer.from(block).toString('hex'))).toEqual(decode(two, Buffer.from(block).toString('hex')));
    }),
    { numRuns: 2000 },
  );
});
