import { show } from './wire-case.ts';

export type Field = readonly [name: string, value: string];

/** A request in HTTP/2 before a backend of HTTP/1. */
export interface DowngradeCase {
  readonly name: string;
  readonly fields: readonly Field[];
  /** Absent: the head ends the stream. */
  readonly content?: string;
  readonly trailers?: readonly Field[];
  readonly expected: 'passed' | 'refused';
  readonly watch?: readonly string[];
}

const pseudo = (changed: Readonly<Record<string, string>> = {}): Field[] =>
  Object.entries({ ':method': 'GET', ':scheme': 'http', ':authority': 'a', ':path': '/a', ...changed }).map(([name, value]) => [name, value]);
const posted = pseudo({ ':method': 'POST' });

function cases(expected: DowngradeCase['expected'], given: Readonly<Record<string, Omit<DowngradeCase, 'name' | 'expected'>>>): DowngradeCase[] {
  return Object.entries(given).map(([name, fields]) => ({ name: `HTTP/2: ${name}`, expected, ...fields }));
}

function each(
  expected: DowngradeCase['expected'],
  noun: string,
  pieces: readonly string[],
  fields: (piece: string) => readonly Field[],
  watch: readonly string[] = [],
): DowngradeCase[] {
  return pieces.map((piece) => ({ name: `HTTP/2: ${noun} ${show(piece)}`, fields: fields(piece), expected, watch }));
}

const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n';

export const downgrades: readonly DowngradeCase[] = [
  ...each('passed', ':path', ['/', '/a?b', '//b', '/..', '/%0d%0a', '/a"b', '/http://b/'], (path) => pseudo({ ':path': path })),
  ...each(
    'refused',
    ':path',
    [
      '',
      'a',
      '*',
      'http://b/',
      '/a b',
      '/a HTTP/1.1\r\nHost: b',
      '/a\r\nX: y',
      '/a\nX',
      '/a\rX',
      '/a\0',
      '/a\tb',
      '/a#b',
      '/\xc3\xa9',
      '/\xa0',
      '/\x85',
      '/\x7f',
      '/\x01',
      ` /a`,
      '/a ',
      `/ HTTP/1.1\r\n\r\n${smuggled}`,
    ],
    (path) => pseudo({ ':path': path }),
  ),
  ...each(
    'refused',
    ':method',
    ['', 'G ET', 'GET ', 'GET\r\n', `GET / HTTP/1.1\r\nHost: b\r\n\r\nGET`, 'GET\0', 'G\tT', 'GET:', '\xe9', 'GET /b HTTP/1.1\r\nX:'],
    (method) => pseudo({ ':method': method }),
  ),
  ...each('passed', ':method', ['GET', 'FROB', 'get'], (method) => pseudo({ ':method': method })),
  ...each('refused', ':authority', ['a b', 'a/b', 'a@b', 'a\r\nX: y', 'a\nX', 'a\0', 'a?b', 'a#b', 'a:x', 'a:80:80', '\xe9', 'a\\b', 'http://a'], (authority) =>
    pseudo({ ':authority': authority }),
  ),
  ...each('passed', ':authority', ['a', 'a:80', '[::1]', 'a_b'], (authority) => pseudo({ ':authority': authority })),
  ...each('refused', ':scheme', ['', 'ftp', 'http\r\nX: y', 'http://b/?', 'http ', 'HTTP'], (scheme) => pseudo({ ':scheme': scheme })),
  ...each(
    'refused',
    'header name',
    [
      '',
      ' ',
      'x y',
      'X',
      'x:',
      ':x',
      ':status',
      'x\r\ny',
      'x: y\r\nz',
      'x\n',
      'x\0',
      'x\t',
      'x(',
      '\xe9',
      'transfer-encoding\r\n',
      'transfer_encoding',
      'content_length',
    ],
    (name) => [...pseudo(), [name, 'v']],
  ),
  ...each('passed', 'header name', ['x', 'x_y', 'x.y', "!#$%&'*+-.^_`|~"], (name) => [...pseudo(), [name, 'v']]),
  ...each(
    'refused',
    'header value',
    ['a\r\nb: c', 'a\rb', 'a\nb', 'a\0b', '\r\n\r\n', `a\r\n\r\n${smuggled}`, '\x01', '\x7f', '\x0b', ' a', 'a ', '\ta'],
    (value) => [...pseudo(), ['x-value', value]],
    ['x-value'],
  ),
  ...each('passed', 'header value', ['', 'a', 'a\tb', '\xe9', 'a:b'], (value) => [...pseudo(), ['x-value', value]], ['x-value']),
  ...each('refused', 'transfer-encoding', ['chunked', 'identity', 'gzip', 'Chunked', '\x0bchunked', ''], (value) => [...posted, ['transfer-encoding', value]]),
  ...each('refused', 'connection', ['close', 'keep-alive', 'transfer-encoding', 'x'], (value) => [...pseudo(), ['connection', value]]),
  ...each('refused', 'te', ['chunked', 'gzip', 'trailers, chunked'], (value) => [...pseudo(), ['te', value]]),
  ...cases('refused', {
    'keep-alive': { fields: [...pseudo(), ['keep-alive', 'timeout=5']] },
    'proxy-connection': { fields: [...pseudo(), ['proxy-connection', 'close']] },
    upgrade: { fields: [...pseudo(), ['upgrade', 'h2c']] },
    'transfer-encoding and content': { fields: [...posted, ['transfer-encoding', 'chunked']], content: `0\r\n\r\n${smuggled}` },
    'transfer-encoding and content-length': { fields: [...posted, ['transfer-encoding', 'chunked'], ['content-length', '5']], content: 'hello' },
    'content-length less than the content': { fields: [...posted, ['content-length', '2']], content: `he${smuggled}` },
    'content-length more than the content': { fields: [...posted, ['content-length', '100']], content: 'hello' },
    'content-length without content': { fields: [...posted, ['content-length', '5']] },
    'content-length twice': { fields: [...posted, ['content-length', '5'], ['content-length', '6']], content: 'hello' },
    'content-length with a sign': { fields: [...posted, ['content-length', '+5']], content: 'hello' },
    'content-length with a space': { fields: [...posted, ['content-length', '5 ']], content: 'hello' },
    'content-length as a list': { fields: [...posted, ['content-length', '5, 5']], content: 'hello' },
    'content-length with CR LF': { fields: [...posted, ['content-length', '5\r\nx: y']], content: 'hello' },
    'host that differs from :authority': { fields: [...pseudo(), ['host', 'b']] },
    'host twice': { fields: [...pseudo(), ['host', 'a'], ['host', 'a']] },
    ':path twice': { fields: [...pseudo(), [':path', '/b']] },
    ':method twice': { fields: [[':method', 'GET'], ...pseudo()] },
    'a pseudo-header after a header': { fields: [['x', 'y'], ...pseudo()] },
    'no :path': { fields: pseudo().filter(([name]) => name !== ':path') },
    'no :method': { fields: pseudo().filter(([name]) => name !== ':method') },
    'no :scheme': { fields: pseudo().filter(([name]) => name !== ':scheme') },
    'a trailer with CR LF': { fields: posted, content: 'hello', trailers: [['x', `a\r\n\r\n${smuggled}`]] },
    'a trailer transfer-encoding': { fields: posted, content: 'hello', trailers: [['transfer-encoding', 'chunked']] },
    'a trailer :path': { fields: posted, content: 'hello', trailers: [[':path', '/b']] },
    'a trailer with a bad name': { fields: posted, content: 'hello', trailers: [['x y', 'z']] },
  }),
  ...cases('passed', {
    'content of no length': { fields: posted, content: 'hello' },
    'content of its length': { fields: [...posted, ['content-length', '5']], content: 'hello' },
    'content-length with zeros first': { fields: [...posted, ['content-length', '010']], content: 'helloworld' },
    'content that looks like the last chunk': { fields: posted, content: `0\r\n\r\n${smuggled}` },
    'content of a GET': { fields: pseudo(), content: 'hello' },
    'host that is :authority': { fields: [...pseudo(), ['host', 'a']] },
    'host and no :authority': { fields: [...pseudo().filter(([name]) => name !== ':authority'), ['host', 'a']] },
    'te: trailers': { fields: [...pseudo(), ['te', 'trailers']], watch: ['te'] },
    'cookies in pieces': { fields: [...pseudo(), ['cookie', 'a=b'], ['cookie', 'c=d']], watch: ['cookie'] },
    'a trailer': { fields: posted, content: 'hello', trailers: [['x-value', 'y']] },
    'a trailer content-length': { fields: posted, content: 'hello', trailers: [['content-length', '100']] },
  }),
];
