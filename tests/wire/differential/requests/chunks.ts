import { cases, each, post, type RequestCase } from '../wire-case.ts';

const chunked = (content: string) => post(['Transfer-Encoding: chunked'], content);
const sized = (size: string) => chunked(`${size}\r\nhello\r\n0\r\n\r\n`);
const last = (size: string) => chunked(`5\r\nhello\r\n${size}\r\n\r\n`);
const trailed = (...trailers: string[]) => chunked(`5\r\nhello\r\n0\r\n${trailers.map((line) => `${line}\r\n`).join('')}\r\n`);

export const chunks: readonly RequestCase[] = [
  ...each('passed', 'chunk size', ['5', '05', '0000005', '5;', '5;a', '5;a=b', '5;a="b;c"', '5;a;b=c', '5; a = b', `5;${'x'.repeat(4000)}`], sized),
  ...each('passed', 'chunk size', ['a', 'A', '0A'], (size) => chunked(`${size}\r\nhelloworld\r\n0\r\n\r\n`)),
  ...each(
    'refused',
    'chunk size',
    [
      '',
      ' 5',
      '5 ',
      '5\t',
      '5 ;a',
      '+5',
      '-5',
      '0x5',
      '0X5',
      '5h',
      'G',
      '5,',
      '5.',
      '5_',
      '"5"',
      '5\0',
      '\x005',
      '5\x0b',
      '5\xa0',
      '\xb5',
      '5\n',
      '5\r',
      '5\r\r',
      '\r\n5',
    ],
    sized,
  ),
  ...each('refused', 'chunk size', ['100000000000005', '10000000000000005', 'ffffffffffffffff', '8000000000000000', '00000000000000000005'], sized),
  ...each('waits', 'chunk size', ['ff', 'ffffffff', '100000005'], sized, { alone: true }),
  ...each('refused', 'chunk extension', ['5;a\nb', '5;a\rb', '5;\0', '5;\x7f', '5;a\x0bb', `5;${'x'.repeat(20_000)}`], sized),
  ...each('passed', 'last chunk', ['0', '00', '000', '0;a', '0;a=b'], last),
  ...each('refused', 'last chunk', ['-0', '+0', '0x0', '0 ', ' 0', '0\n', '', '0\r'], last),
  ...cases('refused', {
    'a chunk longer than its size': chunked('2\r\nhello\r\n0\r\n\r\n'),
    'a chunk without its end': chunked('5\r\nhello0\r\n\r\n'),
    'a chunk that ends in LF': chunked('5\r\nhello\n0\r\n\r\n'),
    'a chunk that ends in CR': chunked('5\r\nhello\r0\r\n\r\n'),
    'a chunk that ends in CR CR LF': chunked('5\r\nhello\r\r\n0\r\n\r\n'),
    'a chunk that ends in two bytes': chunked('5\r\nhelloXX0\r\n\r\n'),
    'a chunk size that ends in LF': chunked('5\nhello\r\n0\r\n\r\n'),
    'a last chunk that ends in LF': chunked('5\r\nhello\r\n0\n\r\n'),
    'an end of LF': chunked('5\r\nhello\r\n0\r\n\n'),
    'an end of CR': chunked('5\r\nhello\r\n0\r\n\rX'),
    'chunks of LF alone': chunked('5\nhello\n0\n\n'),
  }),
  ...cases(
    'waits',
    {
      'chunks without an end': chunked('5\r\nhello\r\n'),
      'chunks without the last line': chunked('5\r\nhello\r\n0\r\n'),
      'a chunk that is not whole': chunked('5\r\nhel'),
    },
    { alone: true },
  ),
  ...cases('passed', {
    'no content in chunks': chunked('0\r\n\r\n'),
    'chunks of one byte': chunked(`${[...'hello'].map((byte) => `1\r\n${byte}\r\n`).join('')}0\r\n\r\n`),
    'a chunk that looks like the last': chunked('7\r\n0\r\n\r\nGE\r\n0\r\n\r\n'),
  }),
];

const watch = ['x-trailer', 'content-length', 'transfer-encoding', 'host'];
export const trailers: readonly RequestCase[] = [
  ...cases(
    'passed',
    {
      'a trailer': trailed('X-Trailer: y'),
      'two trailers': trailed('X-Trailer: y', 'X-Other: z'),
      'a trailer Content-Length': trailed('Content-Length: 100'),
      'a trailer Transfer-Encoding': trailed('Transfer-Encoding: chunked'),
      'a trailer Host': trailed('Host: b'),
      'a trailer without a value': trailed('X-Trailer:'),
      'a trailer with obs-text': trailed('X-Trailer: \xe9'),
      'a trailer Connection': trailed('Connection: close'),
    },
    { watch },
  ),
  ...cases('refused', {
    'a trailer with a space before its colon': trailed('X-Trailer : y'),
    'a trailer without a colon': trailed('X-Trailer'),
    'a trailer that is folded': trailed('X-Trailer: y', ' z'),
    'a trailer with NUL': trailed('X-Trailer: \0'),
    'a trailer that ends in LF': chunked('5\r\nhello\r\n0\r\nX-Trailer: y\n\r\n'),
    'trailers that end in LF': chunked('5\r\nhello\r\n0\r\nX-Trailer: y\r\n\n'),
    'a trailer with bare CR': trailed('X-Trailer: a\rb'),
    'a trailer that is a request': chunked('0\r\nGET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n'),
    'trailers of 70,000 bytes': trailed(`X-Trailer: ${'x'.repeat(70_000)}`),
  }),
];
