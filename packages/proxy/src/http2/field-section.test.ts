import { describe, expect, it } from 'vitest';
import { FrameType } from './frame.ts';
import { block, frame, GET, headers } from './testing/frames.ts';
import { answer, RawServer } from './testing/server.ts';

const getWith = (...fields: [string, string][]) => [...GET, ...fields];

describe('requests (RFC 9113 section 8)', () => {
  it('reads a head', () => {
    const server = RawServer.ready();
    server.get(headers(1, getWith(['user-agent', 'x'], ['te', 'trailers'], ['cookie', 'a=1'], ['x-own', ''], ['cookie', 'b=2']), true));
    expect(server.log.last.fin).toBe(true);
    expect(server.log.last.head).toMatchObject({
      method: 'GET',
      scheme: 'http',
      path: '/',
      authority: 'a',
      version: 20,
      bodyLength: 0,
      headers: ['user-agent', 'x', 'te', 'trailers', 'x-own', '', 'cookie', 'a=1; b=2'],
    });
  });

  it.each<[string, readonly (readonly [string, string])[], object]>([
    [
      'Host in place of :authority',
      [
        [':method', 'GET'],
        [':scheme', 'https'],
        [':path', '/'],
        ['host', 'b:1'],
      ],
      { authority: 'b:1', scheme: 'https', headers: [] },
    ],
    ['Host beside the same :authority', getWith(['host', 'A']), { authority: 'a', headers: [] }],
    ['no authority at all', GET.slice(0, 3), { authority: '' }],
    [
      'OPTIONS *',
      [
        [':method', 'OPTIONS'],
        [':scheme', 'http'],
        [':path', '*'],
      ],
      { path: '*' },
    ],
    [
      'CONNECT',
      [
        [':method', 'CONNECT'],
        [':authority', 'b:443'],
      ],
      { method: 'CONNECT', authority: 'b:443', path: '', bodyLength: -1 },
    ],
    [
      'extended CONNECT (RFC 8441)',
      [
        [':method', 'CONNECT'],
        [':protocol', 'websocket'],
        [':scheme', 'https'],
        [':path', '/chat'],
        [':authority', 'a'],
      ],
      { method: 'GET', protocol: 'websocket', path: '/chat', bodyLength: -1 },
    ],
    ['a length', getWith(['content-length', '5']), { bodyLength: 5, headers: ['content-length', '5'] }],
    ['a length with zeros before it', getWith(['content-length', '010']), { bodyLength: 10, headers: ['content-length', '10'] }],
    ['Expect', getWith(['expect', '100-continue'], ['content-length', '5']), { expectContinue: true, headers: ['content-length', '5'] }],
  ])('reads %s', (_name, fields, expected) => {
    const server = RawServer.ready();
    server.get(headers(1, fields, false));
    expect(server.log.last.head).toMatchObject(expected);
    expect(server.log.last.fin).toBe(false);
  });

  const without = (name: string) => GET.filter(([one]) => one !== name);
  it.each<[string, readonly (readonly [string, string])[], string?]>([
    ['a name in upper case', getWith(['X-Own', 'a'])],
    ['an empty name', getWith(['', 'a'])],
    ['a name with a colon', getWith(['a:b', 'a'])],
    ['a value with LF', getWith(['a', 'b\nc'])],
    ['a value with CR', getWith(['a', 'b\rc'])],
    ['a value with NUL', getWith(['a', 'b\0c'])],
    ['a value that begins with space', getWith(['a', ' b'])],
    ['a value that ends with tab', getWith(['a', 'b\t'])],
    ['Connection', getWith(['connection', 'close'])],
    ['Keep-Alive', getWith(['keep-alive', 'x'])],
    ['Proxy-Connection', getWith(['proxy-connection', 'x'])],
    ['Transfer-Encoding', getWith(['transfer-encoding', 'chunked'])],
    ['Upgrade', getWith(['upgrade', 'x'])],
    ['TE other than trailers', getWith(['te', 'gzip'])],
    ['no :method', without(':method')],
    ['no :scheme', without(':scheme')],
    ['no :path', without(':path')],
    ['an empty :method', [[':method', ''], ...without(':method')]],
    ['an empty :scheme', [[':scheme', ''], ...without(':scheme')]],
    ['an empty :path', [[':path', ''], ...without(':path')]],
    ['a :method that is no token', [[':method', 'GE T'], ...without(':method')]],
    ['another :scheme', [[':scheme', 'ftp'], ...without(':scheme')]],
    ['a :path that is none', [[':path', 'a'], ...without(':path')]],
    ['a :path with space', [[':path', '/ HTTP/1.1'], ...without(':path')]],
    ['a :path with a tab', [[':path', '/\ta'], ...without(':path')]],
    ['a :path with a fragment', [[':path', '/#a'], ...without(':path')]],
    ['* for GET', [[':path', '*'], ...without(':path')]],
    ['an :authority with userinfo', [[':authority', 'u@a'], ...without(':authority')]],
    ['an :authority with a path', [[':authority', 'a/b'], ...without(':authority')]],
    ['a Host that contradicts', getWith(['host', 'b'])],
    ['Host twice', getWith(['host', 'a'], ['host', 'a'])],
    [':method twice', [[':method', 'GET'], ...GET]],
    [':path twice', [...GET, [':path', '/']]],
    [':authority twice', [...GET, [':authority', 'a']]],
    [':status', [...GET, [':status', '200']]],
    ['an unknown pseudo-header', [...GET, [':own', 'a']]],
    ['a pseudo-header after a header', [...GET.slice(0, 3), ['a', 'b'], [':authority', 'a']]],
    ['a length that is none', getWith(['content-length', 'x'])],
    ['two lengths', getWith(['content-length', '1'], ['content-length', '1'])],
    ['a negative length', getWith(['content-length', '-1'])],
    ['a length with an underscore', getWith(['content_length', '1'])],
    ['a coding with an underscore', getWith(['transfer_encoding', 'chunked'])],
    ['a :path with a byte beyond ASCII', [[':path', '/\xa0'], ...without(':path')]],
    ['a length without content', getWith(['content-length', '1'])],
    ['an unknown expectation', getWith(['expect', 'x'])],
    [
      'CONNECT with :path',
      [
        [':method', 'CONNECT'],
        [':authority', 'b:443'],
        [':path', '/'],
      ],
    ],
    [
      'CONNECT with :scheme',
      [
        [':method', 'CONNECT'],
        [':authority', 'b:443'],
        [':scheme', 'http'],
      ],
    ],
    ['CONNECT without :authority', [[':method', 'CONNECT']]],
    [
      'CONNECT without a port',
      [
        [':method', 'CONNECT'],
        [':authority', 'b'],
      ],
    ],
    [':protocol without CONNECT', [...GET, [':protocol', 'websocket']]],
    [
      ':protocol without :path',
      [
        [':method', 'CONNECT'],
        [':protocol', 'x'],
        [':scheme', 'http'],
        [':authority', 'a'],
      ],
    ],
    [':protocol that is none', [[':method', 'CONNECT'], [':protocol', '"'], ...GET.slice(1)]],
  ])('resets a request with %s, and serves the next', (_name, fields) => {
    const server = RawServer.ready({}, answer);
    expect(server.get(headers(1, fields, true), headers(3, GET, true))).toEqual(['RST_STREAM 1 PROTOCOL_ERROR', 'HEADERS 3 :status=200 fin']);
    expect(server.log.exchanges).toHaveLength(1);
  });

  it('keeps its table in step with a block that it refuses', () => {
    const server = RawServer.ready({}, answer);
    const indexed = Buffer.concat([block([['X', 'bad']]), Buffer.from([0x40, 1, 0x61, 1, 0x62])]);
    server.get(frame(FrameType.HEADERS, 5, 1, indexed));
    server.get(frame(FrameType.HEADERS, 5, 3, Buffer.concat([block(GET), Buffer.from([0xbe])])));
    expect(server.log.last.head.headers).toEqual(['a', 'b']);
  });

  it('keeps in step with a block for a stream that is refused or no more', () => {
    const server = RawServer.ready({ maxConcurrentStreams: 1 });
    server.get(headers(1, GET, true));
    expect(server.get(frame(FrameType.HEADERS, 5, 3, Buffer.concat([block(GET), Buffer.from([0x40, 1, 0x61, 1, 0x62])])))).toEqual([
      'RST_STREAM 3 REFUSED_STREAM',
    ]);
    answer(server.log.last);
    server.get(frame(FrameType.HEADERS, 5, 5, Buffer.concat([block(GET), Buffer.from([0xbe])])));
    expect(server.log.last.head.headers).toEqual(['a', 'b']);
  });

  it('passes on what must never be indexed', () => {
    const server = RawServer.ready();
    server.get(frame(FrameType.HEADERS, 5, 1, Buffer.concat([block(GET), Buffer.from([0x10, 1, 0x61, 1, 0x62])])));
    expect(server.log.last.head).toMatchObject({ headers: ['a', 'b'], neverIndexed: ['a'] });
  });
});
