import type { Expected } from './wire-case.ts';
import { show } from './wire-case.ts';

/** What our proxy makes of a response: it reaches the client, an error of ours in its place, or is cut off where it went wrong. */
export type ExpectedResponse = Exclude<Expected, 'waits'> | 'cut';

export interface ResponseCase {
  readonly name: string;
  readonly method: 'GET' | 'HEAD';
  readonly bytes: string;
  readonly after: 'end' | 'stay' | 'reset';
  readonly expected: ExpectedResponse;
  readonly watch?: readonly string[];
}

const reply = (lines: readonly string[], body = '', start = 'HTTP/1.1 200 OK') => `${start}\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n${body}`;
const whole = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello';
const chunks = '5\r\nhello\r\n0\r\n\r\n';
const chunked = (content: string) => reply(['Transfer-Encoding: chunked'], content);

function cases(expected: ExpectedResponse, bytes: Readonly<Record<string, string>>, more: Partial<ResponseCase> = {}): ResponseCase[] {
  return Object.entries(bytes).map(([name, text]) => ({ name: `response: ${name}`, method: 'GET', bytes: text, after: 'end', expected, ...more }));
}

function each(
  expected: ExpectedResponse,
  noun: string,
  pieces: readonly string[],
  bytes: (piece: string) => string,
  more: Partial<ResponseCase> = {},
): ResponseCase[] {
  return cases(expected, Object.fromEntries(pieces.map((piece) => [`${noun} ${show(piece)}`, bytes(piece)])), more);
}

const length = (value: string) => reply([`Content-Length: ${value}`], 'hello');
const coded = (value: string) => reply([`Transfer-Encoding: ${value}`], chunks);
const status = (line: string) => reply(['Content-Length: 5'], 'hello', line);
const header = (line: string) => reply(['Content-Length: 5', line], 'hello');

const framing: readonly ResponseCase[] = [
  ...cases('passed', {
    'Content-Length': whole,
    chunks: chunked(chunks),
    'until the end of the connection': reply([], 'hello'),
    'nothing until the end': reply([]),
  }),
  ...cases(
    'passed',
    {
      'no content, and the connection stays': reply(['Content-Length: 0']),
      'Content-Length, and the connection stays': whole,
      'chunks, and the connection stays': chunked(chunks),
    },
    { after: 'stay' },
  ),
  ...each('passed', 'Content-Length', ['5', ' 5 ', '05'], length),
  ...each('refused', 'Content-Length', ['+5', '-5', '5,5', '5, 5', '0x5', '5.0', '', 'five', '5 5', '18446744073709551621', '5\x0b', '"5"'], length),
  ...cases('refused', {
    'Content-Length twice, the same': reply(['Content-Length: 5', 'Content-Length: 5'], 'hello'),
    'Content-Length twice': reply(['Content-Length: 5', 'Content-Length: 3'], 'hello'),
    'Content-Length and Transfer-Encoding': reply(['Content-Length: 5', 'Transfer-Encoding: chunked'], chunks),
    'Transfer-Encoding and Content-Length': reply(['Transfer-Encoding: chunked', 'Content-Length: 5'], chunks),
    'Transfer-Encoding in HTTP/1.0': reply(['Transfer-Encoding: chunked'], chunks, 'HTTP/1.0 200 OK'),
    'Transfer-Encoding twice': reply(['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'], chunks),
    'space before the colon of Transfer-Encoding': reply(['Transfer-Encoding : chunked'], chunks),
    Transfer_Encoding: reply(['Content-Length: 5', 'Transfer_Encoding: chunked'], 'hello'),
    'Transfer-Encoding behind bare LF': reply(['X: y\nTransfer-Encoding: chunked'], chunks),
    'Content-Length folded': reply(['Content-Length:', ' 5'], 'hello'),
  }),
  ...each(
    'refused',
    'Transfer-Encoding',
    ['identity', 'gzip', 'gzip, chunked', 'chunked, gzip', 'chunked, chunked', 'xchunked', '"chunked"', 'chunked;q=1', '', '\x0bchunked'],
    coded,
  ),
  ...each('passed', 'Transfer-Encoding', ['chunked', 'Chunked', ' chunked '], coded),
];

const without: readonly ResponseCase[] = [
  ...cases(
    'passed',
    {
      '204': reply([], '', 'HTTP/1.1 204 No Content'),
      '304': reply(['ETag: "a"'], '', 'HTTP/1.1 304 Not Modified'),
      '304 with Content-Length': reply(['Content-Length: 5'], '', 'HTTP/1.1 304 Not Modified'),
    },
    { after: 'stay' },
  ),
  ...cases('passed', {
    '204 with Content-Length of 0': reply(['Content-Length: 0'], '', 'HTTP/1.1 204 No Content'),
    '204 with Content-Length and content': reply(['Content-Length: 5'], 'hello', 'HTTP/1.1 204 No Content'),
    '204 with chunks': reply(['Transfer-Encoding: chunked'], chunks, 'HTTP/1.1 204 No Content'),
    '304 with content': reply(['Content-Length: 5'], 'hello', 'HTTP/1.1 304 Not Modified'),
    '304 with chunks': reply(['Transfer-Encoding: chunked'], chunks, 'HTTP/1.1 304 Not Modified'),
    '205 with content': reply(['Content-Length: 5'], 'hello', 'HTTP/1.1 205 Reset Content'),
    '204 with a response behind it': reply([], whole, 'HTTP/1.1 204 No Content'),
  }),
  ...cases(
    'passed',
    {
      'HEAD with Content-Length': reply(['Content-Length: 5']),
      'HEAD with chunks': reply(['Transfer-Encoding: chunked']),
      'HEAD with neither': reply([]),
      'HEAD with content': whole,
    },
    { method: 'HEAD' },
  ),
];

const informational: readonly ResponseCase[] = [
  ...cases('passed', {
    '103 first': `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${whole}`,
    '100 first': `HTTP/1.1 100 Continue\r\n\r\n${whole}`,
    '102 first': `HTTP/1.1 102 Processing\r\n\r\n${whole}`,
    'three of them first': `HTTP/1.1 103 A\r\n\r\nHTTP/1.1 103 B\r\n\r\nHTTP/1.1 100 C\r\n\r\n${whole}`,
    '103 with Content-Length': `HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\n${whole}`,
    '103 with Transfer-Encoding': `HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n${whole}`,
  }),
  ...cases('refused', {
    '17 of them first': `${'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(17)}${whole}`,
    '101 that nobody asked for': 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nhello',
    '103 and no more': 'HTTP/1.1 103 Early Hints\r\n\r\n',
  }),
];

const statusLines: readonly ResponseCase[] = [
  ...each(
    'passed',
    'status line',
    [
      'HTTP/1.1 200 OK',
      'HTTP/1.1 200 ',
      'HTTP/1.1 200',
      'HTTP/1.0 200 OK',
      'HTTP/1.1 200 \xe9t\xe9',
      'HTTP/1.1 299 x',
      'HTTP/1.1 599 x',
      'HTTP/1.1 200 a  b',
      'HTTP/1.2 200 OK',
    ],
    status,
  ),
  ...each(
    'refused',
    'status line',
    [
      'HTTP/2.0 200 OK',
      'HTTP/0.9 200 OK',
      'http/1.1 200 OK',
      'HTTP/1 200 OK',
      'HTTP/1.10 200 OK',
      'ICY 200 OK',
      'HTTP/1.1',
      'HTTP/1.1 ',
      'HTTP/1.1  200 OK',
      'HTTP/1.1\t200 OK',
    ],
    status,
  ),
  ...each(
    'refused',
    'status line',
    [
      'HTTP/1.1 20',
      'HTTP/1.1 2000',
      'HTTP/1.1 099',
      'HTTP/1.1 600 x',
      'HTTP/1.1 999 x',
      'HTTP/1.1 abc',
      'HTTP/1.1 +20',
      'HTTP/1.1 2 0',
      'HTTP/1.1 200OK',
      'HTTP/1.1 200 a\0b',
      'HTTP/1.1 200 a\x7f',
      '',
      'hello',
      ' HTTP/1.1 200 OK',
    ],
    status,
  ),
  ...cases('refused', {
    'LF after the status line': whole.replace('OK\r\n', 'OK\n'),
    'LF everywhere': whole.replaceAll('\r\n', '\n'),
    'CR after the status line': whole.replace('OK\r\n', 'OK\r'),
    'an empty line first': `\r\n${whole}`,
    'content without a head': 'hello',
    'LF in the reason': whole.replace('OK', 'O\nK'),
  }),
];

const watch = ['x-value'];
const headers: readonly ResponseCase[] = [
  ...each('passed', 'header', ['X-Value: a', 'X-Value:', 'X-Value: \xe9', 'X-Value: a\tb', 'X_Value: a'], header, { watch }),
  ...each(
    'refused',
    'header',
    ['X : a', 'X', ': a', 'X y: a', 'X: \0', 'X: a\x0bb', 'X: \x7f', 'X: a\rb', 'X: a\nb', 'X: a\r\n b', ' X: a', 'X\0: a', '\xe9: a', 'X(: a'],
    header,
    { watch },
  ),
  ...cases('refused', {
    'a header of 70,000 bytes': header(`X: ${'x'.repeat(70_000)}`),
    '150 headers': reply(['Content-Length: 5', ...Array.from({ length: 150 }, (_, i) => `X-${i}: y`)], 'hello'),
  }),
  ...cases(
    'passed',
    {
      'Connection that names a header': reply(['Content-Length: 5', 'Connection: x-value', 'X-Value: a'], 'hello'),
      'Set-Cookie twice': reply(['Content-Length: 5', 'Set-Cookie: a=b', 'Set-Cookie: c=d'], 'hello'),
    },
    { watch: ['x-value', 'set-cookie'] },
  ),
];

const ends: readonly ResponseCase[] = [
  ...cases('refused', { 'nothing at all': '', 'a part of the status line': 'HTTP/1.1 2', 'a part of the head': 'HTTP/1.1 200 OK\r\nContent-' }),
  ...cases('refused', { 'a reset and nothing else': '', 'a reset in the head': 'HTTP/1.1 200 OK\r\nContent-' }, { after: 'reset' }),
  ...cases('cut', {
    'less content than its length': reply(['Content-Length: 10'], 'hello'),
    'chunks that end in a chunk': chunked('5\r\nhe'),
    'chunks without the last': chunked('5\r\nhello\r\n'),
    'chunks without the last line end': chunked('5\r\nhello\r\n0\r\n'),
  }),
  ...cases('passed', {
    'more content than its length': reply(['Content-Length: 2'], 'hello'),
    'a second response': whole + whole.replace('hello', 'world'),
    'bytes behind the last chunk': `${chunked(chunks)}hello`,
    'a second response behind chunks': chunked(chunks) + whole,
  }),
  ...cases(
    'passed',
    {
      'a second response, and the connection stays': whole + whole.replace('hello', 'world'),
      'more content than its length, and the connection stays': reply(['Content-Length: 2'], 'hello'),
    },
    { after: 'stay' },
  ),
];

const sized = (size: string) => chunked(`5\r\nhello\r\n${size}\r\nworld\r\n0\r\n\r\n`);
const trailed = (...trailers: string[]) => chunked(`5\r\nhello\r\n0\r\n${trailers.map((line) => `${line}\r\n`).join('')}\r\n`);
const contents: readonly ResponseCase[] = [
  ...each('passed', 'chunk size', ['5', '05', '5;a=b'], sized),
  ...each('cut', 'chunk size', ['', ' 5', '5 ', '+5', '-5', '0x5', 'G', '5\n', '5;a\nb', '10000000000000005', '100000000000005'], sized),
  ...cases('cut', {
    'a chunk longer than its size': chunked('2\r\nhello\r\n0\r\n\r\n'),
    'a chunk that ends in LF': chunked('5\r\nhello\n0\r\n\r\n'),
    'a chunk that ends in nothing': chunked('5\r\nhello0\r\n\r\n'),
    'LF for the end': chunked('5\r\nhello\r\n0\r\n\n'),
  }),
  ...cases(
    'passed',
    {
      'a trailer': trailed('X-Value: y'),
      'a trailer Content-Length': trailed('Content-Length: 100'),
      'a trailer Transfer-Encoding': trailed('Transfer-Encoding: chunked'),
    },
    { watch },
  ),
  ...cases('cut', {
    'a trailer without a colon': trailed('X'),
    'a trailer with bare LF': trailed('X: a\nb'),
    'a trailer that is a response': chunked(`0\r\n${whole}`),
  }),
];

export const responses: readonly ResponseCase[] = [...framing, ...without, ...informational, ...statusLines, ...headers, ...ends, ...contents];
