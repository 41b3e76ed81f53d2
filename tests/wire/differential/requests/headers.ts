import { cases, each, get, post, type RequestCase, request } from '../wire-case.ts';

const named = (name: string) => get([`${name}: v`]);
const valued = (value: string) => get([`X-Value: ${value}`]);

export const headerNames: readonly RequestCase[] = [
  ...each('passed', 'header name', ['x', 'X-Y', 'x_y', 'x.y', '1', '-', "!#$%&'*+-.^_`|~", 'constructor', '__proto__'], named),
  ...each(
    'refused',
    'header name',
    [
      '',
      ' ',
      'x y',
      'x ',
      'x\t',
      ' x',
      '\tx',
      ':x',
      ':path',
      ':method',
      'x(',
      'x)',
      'x<',
      'x>',
      'x@',
      'x,',
      'x;',
      'x\\',
      'x"',
      'x/',
      'x[',
      'x]',
      'x?',
      'x=',
      'x{',
      'x}',
    ],
    named,
  ),
  ...each('refused', 'header name', ['x\0', '\0', '\x01x', 'x\x0b', 'x\x0c', 'x\x1f', 'x\x7f', 'x\x80', '\xe9', '\xff', 'x\ry', 'x\ny'], named),
  ...cases('refused', {
    'a header without a colon': get(['X']),
    'a header that is a colon': get([':']),
    'a first header that is folded': request('GET /a HTTP/1.1', [' X: y', 'Host: a']),
    '101 headers': get(Array.from({ length: 100 }, (_, i) => `X-${i}: y`)),
    'a header name of 70,000 bytes': named('x'.repeat(70_000)),
  }),
  ...cases('passed', {
    '90 headers': get(Array.from({ length: 89 }, (_, i) => `X-${i}: y`)),
    'a header name of 5,000 bytes': named('x'.repeat(5000)),
    'one header twice': get(['X: a', 'X: b']),
  }),
];

const watch = ['x-value'];
export const headerValues: readonly RequestCase[] = [
  ...each(
    'passed',
    'header value',
    ['', 'a', 'a:b', 'a\tb', '\t a \t', '"a', "a'b", 'a  b', 'a,b', '\x80', '\xff', '\xc3\xa9', '\xa0a\xa0', '\x85', '(a', '=?utf-8?q?a?='],
    valued,
    { watch },
  ),
  ...each(
    'refused',
    'header value',
    [
      '\0',
      'a\0b',
      '\x01',
      '\x07',
      '\x08',
      'a\x0bb',
      '\x0c',
      '\x1b[31m',
      '\x1f',
      '\x7f',
      'a\rb',
      'a\nb',
      'a\r\n b',
      'a\r\n\tb',
      'a\n b',
      'a\r b',
      '\r\n b',
      'a\r\n ',
    ],
    valued,
    { watch },
  ),
  ...cases('refused', { 'a header value of 70,000 bytes': valued('x'.repeat(70_000)) }),
  ...cases('passed', { 'a header value of 20,000 bytes': valued('x'.repeat(20_000)) }),
];

const hop = ['connection', 'keep-alive', 'proxy-connection', 'te', 'upgrade', 'x', 'cookie', 'authorization', 'content-length'];
/** Headers of the connection, which end here. */
export const hopByHop: readonly RequestCase[] = [
  ...cases(
    'passed',
    {
      'Connection that names a header': get(['Connection: x', 'X: y']),
      'Connection that names Cookie': get(['Connection: cookie', 'Cookie: a=b']),
      'Connection that names Authorization': get(['Connection: authorization', 'Authorization: Basic x']),
      'Connection that names Host': get(['Connection: host']),
      'Connection: close, with a request behind it': `${get(['Connection: close'])}`,
      'Connection: keep-alive and close': get(['Connection: keep-alive, close']),
      'Connection with odd commas': get(['Connection: ,,x , ,', 'X: y']),
      'Keep-Alive': get(['Keep-Alive: timeout=5']),
      'Proxy-Connection': get(['Proxy-Connection: keep-alive']),
      'TE: trailers': get(['TE: trailers', 'Connection: TE']),
      'TE: chunked': get(['TE: chunked', 'Connection: TE']),
      'TE: gzip, trailers': get(['TE: gzip, trailers', 'Connection: TE']),
      'Upgrade without Connection': get(['Upgrade: websocket']),
      'Upgrade: h2c': get(['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA']),
      'Expect: 100-continue': post(['Expect: 100-continue', 'Content-Length: 5'], 'hello'),
      'Expect: 100-continue without content': get(['Expect: 100-continue']),
      'Expect: 100-continue in HTTP/1.0': request('POST /a HTTP/1.0', ['Host: a', 'Expect: 100-continue', 'Content-Length: 5'], 'hello'),
    },
    { watch: hop },
  ),
  ...cases('refused', {
    'Expect of something else': post(['Expect: x', 'Content-Length: 5'], 'hello'),
    'Expect twice': post(['Expect: 100-continue', 'Expect: x', 'Content-Length: 5'], 'hello'),
  }),
];
