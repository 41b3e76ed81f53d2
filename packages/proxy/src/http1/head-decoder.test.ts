import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import type { RequestHead, ResponseHead } from '../http/message.ts';
import { HeadDecoder } from './head-decoder.ts';
import { Scan } from './head-scanner.ts';
import { type Http1Options, http1Options } from './options.ts';

function scanned(lines: readonly string[], given: Partial<Http1Options>): [HeadDecoder, string] {
  const text = `${lines.join('\r\n')}\r\n\r\n`;
  const decoder = new HeadDecoder(http1Options(given));
  const bytes = Buffer.from(text, 'latin1');
  expect(decoder.scanner.scan(bytes, 0, bytes.length)).toBe(Scan.DONE);
  return [decoder, text];
}

type Decoded<Head> = Head & { keepAlive: boolean; chunked: boolean };

function request(lines: readonly string[], given: Partial<Http1Options> = {}): Decoded<RequestHead> | string {
  const [decoder, text] = scanned(lines, given);
  const head = decoder.request(text);
  return head === null ? `${decoder.status} ${decoder.error}` : { ...head, keepAlive: decoder.keepAlive, chunked: decoder.chunked };
}

function response(lines: readonly string[], method = 'GET', given: Partial<Http1Options> = {}): Decoded<ResponseHead> | string {
  const [decoder, text] = scanned(lines, given);
  const head = decoder.response(text, method);
  return head === null ? `${decoder.status} ${decoder.error}` : { ...head, keepAlive: decoder.keepAlive, chunked: decoder.chunked };
}

const get = (...headers: string[]) => request(['GET / HTTP/1.1', 'Host: a', ...headers]);
const ok = (...headers: string[]) => response(['HTTP/1.1 200 OK', ...headers]);

describe('request line (RFC 9112 section 3)', () => {
  it.each([
    ['origin-form', 'GET /a/b?c=d&e=%20/?x HTTP/1.1', { method: 'GET', path: '/a/b?c=d&e=%20/?x', authority: 'a', scheme: 'http', version: 11 }],
    ['a method of its own', 'M-SEARCH / HTTP/1.1', { method: 'M-SEARCH' }],
    ['a method in lower case', 'get / HTTP/1.1', { method: 'get' }],
    ['asterisk-form', 'OPTIONS * HTTP/1.1', { path: '*' }],
    ['absolute-form', 'GET http://b:8080/x?y HTTP/1.1', { authority: 'b:8080', path: '/x?y', scheme: 'http' }],
    ['absolute-form without a path', 'GET HTTPS://b HTTP/1.1', { authority: 'b', path: '/', scheme: 'https' }],
    ['absolute-form with a query only', 'GET http://b?q HTTP/1.1', { authority: 'b', path: '/?q' }],
    ['absolute-form OPTIONS without a path', 'OPTIONS http://b HTTP/1.1', { authority: 'b', path: '*' }],
    ['absolute-form with an IPv6 host', 'GET http://[::1]:80/ HTTP/1.1', { authority: '[::1]:80' }],
    ['authority-form', 'CONNECT b:443 HTTP/1.1', { method: 'CONNECT', authority: 'b:443', path: '', bodyLength: -1 }],
    ['a later minor version', 'GET / HTTP/1.7', { version: 11 }],
    ['HTTP/1.0', 'GET / HTTP/1.0', { version: 10 }],
  ])('reads %s', (_name, line, expected) => {
    expect(request([line, 'Host: a'])).toMatchObject(expected);
  });

  it.each([
    ['nothing but a method', 'GET', 400],
    ['no version', 'GET /', 400],
    ['HTTP/0.9', 'GET / HTTP/0.9', 505],
    ['HTTP/2.0', 'GET / HTTP/2.0', 505],
    ['a version in lower case', 'GET / http/1.1', 400],
    ['a version of two digits', 'GET / HTTP/1.10', 400],
    ['two spaces after the method', 'GET  / HTTP/1.1', 400],
    ['two spaces before the version', 'GET /  HTTP/1.1', 400],
    ['space at the end', 'GET / HTTP/1.1 ', 400],
    ['space at the begin', ' GET / HTTP/1.1', 400],
    ['a space inside the target', 'GET /a b HTTP/1.1', 400],
    ['a method with a separator', 'GE(T / HTTP/1.1', 400],
    ['a fragment', 'GET /a#b HTTP/1.1', 400],
    ['a byte beyond ASCII in a target', 'GET /\xe9 HTTP/1.1', 400],
    ['a space of Latin-1 in a target', 'GET /a\xa0b HTTP/1.1', 400],
    ['a target that is no path', 'GET a HTTP/1.1', 400],
    ['asterisk-form for GET', 'GET * HTTP/1.1', 400],
    ['userinfo in absolute-form', 'GET http://u:p@b/ HTTP/1.1', 400],
    ['absolute-form without a host', 'GET http:///x HTTP/1.1', 400],
    ['another scheme', 'GET ftp://b/ HTTP/1.1', 400],
    ['CONNECT without a port', 'CONNECT b HTTP/1.1', 400],
    ['CONNECT with a path', 'CONNECT /b HTTP/1.1', 400],
    ['CONNECT with a scheme', 'CONNECT http://b:80 HTTP/1.1', 400],
  ])('refuses %s', (_name, line, status) => {
    expect(request([line, 'Host: a'])).toMatch(new RegExp(`^${status} `));
  });

  it.each([
    ['absent', ['GET / HTTP/1.1']],
    ['twice', ['GET / HTTP/1.1', 'Host: a', 'host: a']],
    ['with a comma list', ['GET / HTTP/1.1', 'Host: a b']],
    ['with a path', ['GET / HTTP/1.1', 'Host: a/b']],
    ['with userinfo', ['GET / HTTP/1.1', 'Host: u@a']],
    ['with a port that is no number', ['GET / HTTP/1.1', 'Host: a:b']],
    ['malformed beside absolute-form', ['GET http://b/ HTTP/1.1', 'Host: a\xe9']],
  ])('refuses a Host that is %s', (_name, lines) => {
    expect(request(lines)).toMatch(/^400 /);
  });

  it('takes an empty Host, and HTTP/1.0 without one', () => {
    expect(request(['GET / HTTP/1.1', 'Host:'])).toMatchObject({ authority: '' });
    expect(request(['GET / HTTP/1.0'])).toMatchObject({ authority: '', keepAlive: false });
  });
});

describe('request framing (RFC 9112 section 6)', () => {
  it.each<[string, string[], object]>([
    ['no length', [], { bodyLength: 0, chunked: false }],
    ['Content-Length', ['Content-Length: 12'], { bodyLength: 12, chunked: false }],
    ['a length of 0', ['content-length: 0'], { bodyLength: 0 }],
    ['a length with zeros before it', ['content-length: 010'], { bodyLength: 10, headers: ['content-length', '10'] }],
    ['chunked', ['Transfer-Encoding: chunked'], { bodyLength: -1, chunked: true }],
    ['chunked in another case', ['TRANSFER-ENCODING: Chunked'], { bodyLength: -1, chunked: true }],
  ])('%s', (_name, headers, expected) => {
    expect(get(...headers)).toMatchObject(expected);
  });

  it.each([
    ['both lengths', ['Content-Length: 5', 'Transfer-Encoding: chunked'], 400],
    ['both lengths the other way round', ['Transfer-Encoding: chunked', 'Content-Length: 5'], 400],
    ['Content-Length twice', ['Content-Length: 5', 'Content-Length: 5'], 400],
    ['two lengths', ['Content-Length: 5', 'Content-Length: 6'], 400],
    ['a list of lengths', ['Content-Length: 5, 5'], 400],
    ['an empty length', ['Content-Length:'], 400],
    ['a negative length', ['Content-Length: -1'], 400],
    ['a length with a sign', ['Content-Length: +1'], 400],
    ['a hexadecimal length', ['Content-Length: 0x10'], 400],
    ['a length with an underscore', ['Content_Length: 10'], 400],
    ['a coding with an underscore', ['Transfer_Encoding: chunked'], 400],
    ['a length with a fraction', ['Content-Length: 1.0'], 400],
    ['a length with an exponent', ['Content-Length: 1e3'], 400],
    ['a length of digits that are not ASCII', ['Content-Length: \xb2'], 400],
    ['a length beyond 2^53', ['Content-Length: 9999999999999999'], 400],
    ['chunked twice', ['Transfer-Encoding: chunked, chunked'], 400],
    ['chunked twice in two lines', ['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'], 400],
    ['chunked not last', ['Transfer-Encoding: chunked, gzip'], 400],
    ['chunked not last in two lines', ['Transfer-Encoding: chunked', 'Transfer-Encoding: identity'], 400],
    ['identity', ['Transfer-Encoding: identity'], 400],
    ['a coding that is none', ['Transfer-Encoding: xchunked'], 400],
    ['chunked with a parameter', ['Transfer-Encoding: chunked;x=y'], 400],
    ['chunked in quotes', ['Transfer-Encoding: "chunked"'], 400],
    ['an empty coding', ['Transfer-Encoding:'], 400],
    ['an empty coding before chunked', ['Transfer-Encoding:', 'Transfer-Encoding: chunked'], 400],
    ['a comma after chunked', ['Transfer-Encoding: chunked,'], 400],
    ['obs-text before chunked', ['Transfer-Encoding: \xa0chunked'], 400],
    ['another coding before chunked', ['Transfer-Encoding: gzip, chunked'], 501],
  ])('refuses %s', (_name, headers, status) => {
    expect(get(...headers)).toMatch(new RegExp(`^${status} `));
  });

  it('refuses Transfer-Encoding in HTTP/1.0', () => {
    expect(request(['POST / HTTP/1.0', 'Transfer-Encoding: chunked'])).toMatch(/^400 /);
  });

  it('refuses content where there is none to be, and too much of it', () => {
    expect(request(['CONNECT a:1 HTTP/1.1', 'Host: a', 'Content-Length: 5'])).toMatch(/^400 /);
    expect(request(['CONNECT a:1 HTTP/1.1', 'Host: a', 'Transfer-Encoding: chunked'])).toMatch(/^400 /);
    expect(request(['POST / HTTP/1.1', 'Host: a', 'Content-Length: 6'], { maxBodyBytes: 5 })).toMatch(/^413 /);
  });
});

describe('headers', () => {
  it('keeps case, order and repetition, and takes space off the ends of values', () => {
    expect(get('X-B:  two  words \t', 'x-a: 1', 'X-B:', 'X-b: \t')).toMatchObject({ headers: ['X-B', 'two  words', 'x-a', '1', 'X-B', '', 'X-b', ''] });
  });

  it.each<[string, string[], string[]]>([
    ['Keep-Alive', ['Keep-Alive: timeout=5', 'A: b'], ['A', 'b']],
    ['Proxy-Connection', ['Proxy-Connection: keep-alive'], []],
    ['what Connection names', ['Connection: X-Foo, x-bar', 'X-FOO: 1', 'X-Bar: 2', 'X-Baz: 3'], ['X-Baz', '3']],
    ['what a Connection further down names', ['X-Foo: 1', 'Connection: x-foo'], []],
    ['TE but trailers', ['TE: trailers, deflate;q=0.5', 'Connection: TE'], ['TE', 'trailers']],
    ['TE without trailers', ['TE: deflate', 'Connection: TE'], []],
    ['HTTP2-Settings', ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABk'], []],
    ['Expect', ['Expect: 100-continue', 'Content-Length: 1'], ['Content-Length', '1']],
  ])('takes off %s', (_name, headers, kept) => {
    expect(get(...headers)).toMatchObject({ headers: kept });
  });

  it('lets Connection not take off what others rely on', () => {
    expect(
      get('Content-Length: 5', 'X-Forwarded-For: 1.2.3.4', 'Authorization: x', 'Connection: content-length, x-forwarded-for, Authorization'),
    ).toMatchObject({
      headers: ['Content-Length', '5', 'X-Forwarded-For', '1.2.3.4', 'Authorization', 'x'],
      bodyLength: 5,
    });
  });

  it('reads Expect', () => {
    expect(get('Expect: 100-Continue', 'Content-Length: 1')).toMatchObject({ expectContinue: true });
    // Nothing will be sent: nothing to wait for.
    expect(get('Expect: 100-continue')).toMatchObject({ expectContinue: false });
    expect(get('Expect: something', 'Content-Length: 1')).toMatch(/^417 /);
    expect(request(['POST / HTTP/1.0', 'Content-Length: 1', 'Expect: 100-continue'])).toMatchObject({ expectContinue: false });
  });

  it.each<[string[], string, number]>([
    [['Connection: Upgrade', 'Upgrade: WebSocket'], 'websocket', -1],
    [['Connection: keep-alive, upgrade', 'Upgrade: a/1, b/2'], 'a/1, b/2', -1],
    [['Connection: upgrade', 'Upgrade: a', 'Upgrade: b'], 'a, b', -1],
    [['Upgrade: websocket'], '', 0],
    [['Connection: upgrade'], '', 0],
    [['Connection: upgrade, http2-settings', 'Upgrade: h2c'], '', 0],
    [['Connection: upgrade', 'Upgrade: H2C'], '', 0],
    [['Connection: upgrade', 'Upgrade: h2c, websocket'], 'websocket', -1],
    [['Connection: upgrade', 'Upgrade: websocket', 'Content-Length: 3'], '', 3],
    // It could not go on over HTTP/2 (RFC 8441) and is no protocol name (RFC 9110 section 7.8).
    [['Connection: upgrade', 'Upgrade: web\xe9socket'], '', 0],
    [['Connection: upgrade', 'Upgrade: "x"'], '', 0],
    [['Connection: upgrade', 'Upgrade: a b'], '', 0],
  ])('reads the upgrade of %j', (headers, protocol, bodyLength) => {
    expect(get(...headers)).toMatchObject({ protocol, bodyLength });
  });

  it('has no upgrade in HTTP/1.0', () => {
    expect(request(['GET / HTTP/1.0', 'Connection: upgrade', 'Upgrade: websocket'])).toMatchObject({ protocol: '', bodyLength: 0 });
  });
});

describe('persistence (RFC 9112 section 9.3)', () => {
  it.each<[string, string[], boolean]>([
    ['HTTP/1.1', [], true],
    ['HTTP/1.1', ['Connection: close'], false],
    ['HTTP/1.1', ['Connection: Close'], false],
    ['HTTP/1.1', ['Connection: x, close'], false],
    ['HTTP/1.1', ['Connection: keep-alive'], true],
    ['HTTP/1.1', ['Connection: keep-alive, close'], false],
    ['HTTP/1.0', [], false],
    ['HTTP/1.0', ['Connection: keep-alive'], true],
    ['HTTP/1.0', ['Connection: Keep-Alive'], true],
    ['HTTP/1.0', ['Connection: keep-alive', 'Connection: close'], false],
  ])('%s %j: %s', (version, headers, keepAlive) => {
    expect(request([`GET / ${version}`, 'Host: a', ...headers])).toMatchObject({ keepAlive });
    expect(response([`${version} 200 OK`, 'Content-Length: 0', ...headers])).toMatchObject({ keepAlive });
  });
});

describe('response', () => {
  it.each<[string, object]>([
    ['HTTP/1.1 200 OK', { status: 200, reason: 'OK', version: 11 }],
    ['HTTP/1.0 404 Not Found', { status: 404, reason: 'Not Found', version: 10 }],
    ['HTTP/1.1 599 ', { status: 599, reason: '' }],
    ['HTTP/1.1 200', { status: 200, reason: '' }],
    ['HTTP/1.1 200 a \xe9 b', { reason: 'a \xe9 b' }],
  ])('reads %j', (line, expected) => {
    expect(response([line])).toMatchObject(expected);
  });

  it.each([
    'HTTP/1.1',
    'HTTP/1.1 ',
    'HTTP/1.1 20',
    'HTTP/1.1 2000',
    'HTTP/1.1  200',
    'HTTP/1.1 099 x',
    'HTTP/1.1 600 x',
    'HTTP/1.1 2x0 x',
    'HTTP/2.0 200 OK',
    'ICY 200 OK',
    'HTTP/1.1 200OK',
    'http/1.1 200 OK',
  ])('refuses %j', (line) => {
    expect(response([line])).toBeTypeOf('string');
  });

  it.each<[string, string, string, string[], object]>([
    ['a length', 'GET', '200', ['Content-Length: 7'], { bodyLength: 7, keepAlive: true }],
    ['chunks', 'GET', '200', ['Transfer-Encoding: chunked'], { bodyLength: -1, chunked: true, keepAlive: true }],
    ['the end of the connection', 'GET', '200', [], { bodyLength: -1, chunked: false, keepAlive: false }],
    ['HEAD', 'HEAD', '200', ['Content-Length: 7'], { bodyLength: 0, headers: ['Content-Length', '7'], keepAlive: true }],
    ['HEAD with chunks', 'HEAD', '200', ['Transfer-Encoding: chunked'], { bodyLength: 0, chunked: false, keepAlive: true }],
    ['204', 'GET', '204', [], { bodyLength: 0, keepAlive: true }],
    ['204 with a length', 'GET', '204', ['Content-Length: 7'], { bodyLength: 0 }],
    ['304', 'GET', '304', ['Content-Length: 7'], { bodyLength: 0, headers: ['Content-Length', '7'] }],
    ['100', 'GET', '100', [], { bodyLength: 0, tunnel: false }],
    ['101', 'GET', '101', ['Connection: upgrade', 'Upgrade: WebSocket'], { bodyLength: -1, tunnel: true, protocol: 'websocket' }],
    ['2xx to CONNECT', 'CONNECT', '200', ['Content-Length: 7'], { bodyLength: -1, tunnel: true }],
    ['4xx to CONNECT', 'CONNECT', '403', ['Content-Length: 7'], { bodyLength: 7, tunnel: false }],
  ])('is delimited by %s', (_name, method, status, headers, expected) => {
    expect(response([`HTTP/1.1 ${status} x`, ...headers], method)).toMatchObject(expected);
  });

  it.each([
    ['both lengths', ['Content-Length: 5', 'Transfer-Encoding: chunked']],
    ['two lengths', ['Content-Length: 5', 'Content-Length: 6']],
    ['another coding', ['Transfer-Encoding: gzip, chunked']],
    ['chunked not last', ['Transfer-Encoding: chunked, gzip']],
  ])('refuses %s', (_name, headers) => {
    expect(ok(...headers)).toBeTypeOf('string');
    expect(response(['HTTP/1.1 200 OK', ...headers], 'HEAD')).toBeTypeOf('string');
  });

  it('refuses chunks in HTTP/1.0', () => {
    expect(response(['HTTP/1.0 200 OK', 'Transfer-Encoding: chunked'])).toBeTypeOf('string');
  });

  it('passes on what only means something in a request', () => {
    expect(ok('Content-Length: 0', 'Expect: soon', 'Host: a', 'host: b')).toMatchObject({
      headers: ['Content-Length', '0', 'Expect', 'soon', 'Host', 'a', 'host', 'b'],
    });
  });
});

describe('trailers (RFC 9110 section 6.5.1)', () => {
  it('leaves out what is about framing, routing and the connection', () => {
    const decoder = new HeadDecoder(http1Options());
    const text =
      'X-Sum: 1 \r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nHost: evil\r\nConnection: close\r\nTE: trailers\r\nUpgrade: x\r\nCookie: a\r\ngrpc-status: 0\r\n\r\n';
    decoder.scanner.beginTrailers();
    const bytes = Buffer.from(text, 'latin1');
    expect(decoder.scanner.scan(bytes, 0, bytes.length)).toBe(Scan.DONE);
    expect(decoder.trailers(text)).toEqual(['X-Sum', '1', 'grpc-status', '0']);
  });
});

describe('memory', () => {
  it('remembers names and authority without the head that they came in', () => {
    // A string cut out of a longer one keeps the longer one alive.
    const options = http1Options();
    const before = heapUsed();
    for (let i = 0; i < 400; i++) {
      const lines = [`GET /${'x'.repeat(15_000)} HTTP/1.1`, `Host: host-number-${i}.example.com`, `X-A-Header-Of-Its-Own-${i}: 1`];
      const text = `${lines.join('\r\n')}\r\n\r\n`;
      const decoder = new HeadDecoder(options);
      const bytes = Buffer.from(text, 'latin1');
      decoder.scanner.scan(bytes, 0, bytes.length);
      expect(decoder.request(bytes.latin1Slice(0, bytes.length))).not.toBeNull();
      kept.push(decoder);
    }
    expect(heapUsed() - before).toBeLessThan(2_500_000);
  });
});

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;
const kept: HeadDecoder[] = [];
function heapUsed(): number {
  collect();
  return process.memoryUsage().heapUsed;
}
