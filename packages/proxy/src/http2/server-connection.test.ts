import { describe, expect, it } from 'vitest';
import { type HeaderList, ResponseHead } from '../http/message.ts';
import type { Exchange } from '../http/testing/exchange-log.ts';
import { Flag, FrameType, Setting } from './frame.ts';
import { block, data, frame, GET, headers, OK, POST, PREFACE, settings, settingsAck, uint32 } from './testing/frames.ts';
import { RawServer } from './testing/server.ts';

function head(status: number, list: HeaderList = [], bodyLength = -1): ResponseHead {
  return Object.assign(new ResponseHead(), { status, headers: list, bodyLength });
}

function body(exchange: Exchange, text: string, fin: boolean): boolean {
  const bytes = Buffer.from(text, 'latin1');
  return exchange.stream.sendBody(bytes, 0, bytes.length, fin);
}

/** Answers at once, without content. */
const answer = ({ stream }: Exchange) => void stream.sendResponse(head(200), true);
/** A response to stream 1 would be this; the connection still works. */
const ALIVE = 'HEADERS 1 :status=200 fin';

const rst = (id: number, code = 8) => frame(FrameType.RST_STREAM, 0, id, uint32(code));
const windowUpdate = (id: number, increment: number) => frame(FrameType.WINDOW_UPDATE, 0, id, uint32(increment));
const ping = (text: string, ack = false) => frame(FrameType.PING, ack ? Flag.ACK : 0, 0, text);
const with_ = (...fields: [string, string][]) => [...GET, ...fields];

describe('connection preface (RFC 9113 section 3.4)', () => {
  it('says its settings first, and acknowledges the peer', () => {
    const server = new RawServer({ maxConcurrentStreams: 100 });
    const [first, second, ...rest] = server.get(PREFACE, settings());
    expect(first).toBe('SETTINGS 00010000100000030000006400040010000000050000400000060000f000000800000001');
    expect(second).toBe(`WINDOW_UPDATE 0 ${16 * 1024 * 1024 - 65_535}`);
    expect(rest).toEqual(['SETTINGS ack']);
    expect(server.get(settingsAck)).toEqual([]);
  });

  it.each([
    ['no preface', Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n'), 'PROTOCOL_ERROR no HTTP/2 connection preface'],
    ['another frame first', Buffer.concat([PREFACE, ping('12345678')]), 'PROTOCOL_ERROR no SETTINGS frame first'],
    ['an acknowledgement first', Buffer.concat([PREFACE, settingsAck]), 'PROTOCOL_ERROR no SETTINGS frame first'],
    ['content first', Buffer.concat([PREFACE, data(1, 'x', false)]), 'PROTOCOL_ERROR DATA frame out of order'],
  ])('refuses %s', (_name, bytes, error) => {
    const server = new RawServer();
    expect(server.get(bytes).at(-1)).toBe(`GOAWAY 0 ${error}`);
    expect(server.wire.ended).toBe(true);
    expect(server.log.closed).toBe(error.replace(' ', ': '));
  });
});

describe('requests (RFC 9113 section 8)', () => {
  it('reads a head', () => {
    const server = RawServer.ready();
    server.get(headers(1, with_(['user-agent', 'x'], ['te', 'trailers'], ['cookie', 'a=1'], ['x-own', ''], ['cookie', 'b=2']), true));
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
    ['Host beside the same :authority', with_(['host', 'A']), { authority: 'a', headers: [] }],
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
    ['a length', with_(['content-length', '5']), { bodyLength: 5, headers: ['content-length', '5'] }],
    ['Expect', with_(['expect', '100-continue'], ['content-length', '5']), { expectContinue: true, headers: ['content-length', '5'] }],
  ])('reads %s', (_name, fields, expected) => {
    const server = RawServer.ready();
    server.get(headers(1, fields, false));
    expect(server.log.last.head).toMatchObject(expected);
    expect(server.log.last.fin).toBe(false);
  });

  const without = (name: string) => GET.filter(([one]) => one !== name);
  it.each<[string, readonly (readonly [string, string])[], string?]>([
    ['a name in upper case', with_(['X-Own', 'a'])],
    ['an empty name', with_(['', 'a'])],
    ['a name with a colon', with_(['a:b', 'a'])],
    ['a value with LF', with_(['a', 'b\nc'])],
    ['a value with CR', with_(['a', 'b\rc'])],
    ['a value with NUL', with_(['a', 'b\0c'])],
    ['a value that begins with space', with_(['a', ' b'])],
    ['a value that ends with tab', with_(['a', 'b\t'])],
    ['Connection', with_(['connection', 'close'])],
    ['Keep-Alive', with_(['keep-alive', 'x'])],
    ['Proxy-Connection', with_(['proxy-connection', 'x'])],
    ['Transfer-Encoding', with_(['transfer-encoding', 'chunked'])],
    ['Upgrade', with_(['upgrade', 'x'])],
    ['TE other than trailers', with_(['te', 'gzip'])],
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
    ['a Host that contradicts', with_(['host', 'b'])],
    ['Host twice', with_(['host', 'a'], ['host', 'a'])],
    [':method twice', [[':method', 'GET'], ...GET]],
    [':path twice', [...GET, [':path', '/']]],
    [':authority twice', [...GET, [':authority', 'a']]],
    [':status', [...GET, [':status', '200']]],
    ['an unknown pseudo-header', [...GET, [':own', 'a']]],
    ['a pseudo-header after a header', [...GET.slice(0, 3), ['a', 'b'], [':authority', 'a']]],
    ['a length that is none', with_(['content-length', 'x'])],
    ['two lengths', with_(['content-length', '1'], ['content-length', '1'])],
    ['a negative length', with_(['content-length', '-1'])],
    ['a length without content', with_(['content-length', '1'])],
    ['an unknown expectation', with_(['expect', 'x'])],
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

describe('content', () => {
  it('arrives, with its end, or trailers', () => {
    const server = RawServer.ready();
    server.get(headers(1, POST, false), data(1, 'hel', false), data(1, '', false), data(1, 'lo', true));
    expect(server.log.last.log.lines).toEqual(['body hello', 'end']);
    server.get(
      headers(3, POST, false),
      data(3, 'x', false),
      headers(
        3,
        [
          ['x-sum', '1'],
          ['content-length', '9'],
        ],
        true,
      ),
    );
    expect(server.log.last.log.lines).toEqual(['body x', 'trailers ["x-sum","1"]', 'end']);
    server.get(headers(5, POST, false), headers(5, [['content-length', '9']], true));
    expect(server.log.last.log.lines).toEqual(['end']);
  });

  it.each<[string, Buffer[]]>([
    ['more than its length', [data(1, 'abc', false)]],
    ['less than its length', [data(1, 'a', true)]],
    ['less, then trailers', [data(1, 'a', false), headers(1, [['x', 'y']], true)]],
    ['nothing at all', [data(1, '', true)]],
  ])('resets a request with %s', (_name, frames) => {
    const server = RawServer.ready();
    server.get(headers(1, [...POST, ['content-length', '2']], false));
    expect(server.get(...frames)).toEqual(['RST_STREAM 1 PROTOCOL_ERROR']);
    expect(server.log.last.log.lines.at(-1)).toBe('reset ProtocolError: PROTOCOL_ERROR: content differs from content-length');
    expect(server.log.last.log.ended).toBe(false);
  });

  it.each<[string, Buffer, string]>([
    ['trailers that do not end the stream', headers(1, [['x', 'y']], false), 'PROTOCOL_ERROR'],
    ['a pseudo-header in trailers', headers(1, [[':path', '/']], true), 'PROTOCOL_ERROR'],
    ['a malformed trailer', headers(1, [['X', 'y']], true), 'PROTOCOL_ERROR'],
    ['a connection header as trailer', headers(1, [['connection', 'y']], true), 'PROTOCOL_ERROR'],
  ])('resets a request with %s', (_name, bytes, code) => {
    const server = RawServer.ready();
    server.get(headers(1, POST, false));
    expect(server.get(bytes)).toEqual([`RST_STREAM 1 ${code}`]);
    expect(server.log.last.log.ended).toBe(false);
  });

  it('is given without padding, and counted with it', () => {
    const server = RawServer.ready({ streamWindowBytes: 65_535, connectionWindowBytes: 65_535 });
    server.get(headers(1, POST, false));
    const padded = frame(FrameType.DATA, Flag.PADDED, 1, `\xff${'x'.repeat(100)}${'\0'.repeat(255)}`);
    const sent = server.get(...Array.from({ length: 93 }, () => padded));
    expect(server.log.last.log.bytes).toBe(9300);
    expect(sent.sort()).toEqual([`WINDOW_UPDATE 0 ${93 * 356}`, `WINDOW_UPDATE 1 ${93 * 356}`]);
  });
});

describe('responses', () => {
  it('leave as frames of the size that the peer takes', () => {
    const server = RawServer.ready(
      { maxFrameBytes: 65_536 },
      () => {},
      settings({ [Setting.INITIAL_WINDOW_SIZE]: 1_000_000, [Setting.MAX_FRAME_SIZE]: 20_000 }),
    );
    server.get(windowUpdate(0, 1_000_000), headers(1, GET, true));
    const { stream } = server.log.last;
    stream.sendInformational(head(103, ['link', 'x']));
    stream.sendResponse(head(200, ['X-Case', 'a', 'connection', 'x'], 45_000), false);
    body(server.log.last, 'x'.repeat(45_000), true);
    expect(server.sent()).toEqual(['HEADERS 1 :status=103&link=x', 'HEADERS 1 :status=200&x-case=a', 'DATA 1 (20000)', 'DATA 1 (20000)', 'DATA 1 (5000) fin']);
    expect(server.connection.activeStreams).toBe(0);
  });

  it('end with trailers', () => {
    const server = RawServer.ready();
    server.get(headers(1, GET, true));
    server.log.last.stream.sendResponse(head(200), false);
    body(server.log.last, 'x', false);
    server.log.last.stream.sendTrailers(['grpc-status', '0']);
    expect(server.sent()).toEqual(['HEADERS 1 :status=200', 'DATA 1 x', 'HEADERS 1 grpc-status=0 fin']);
  });

  it.each([
    ['HEAD', 200],
    ['GET', 204],
    ['GET', 304],
  ])('have no content to %s with status %i', (method, status) => {
    const server = RawServer.ready();
    server.get(headers(1, [[':method', method], ...GET.slice(1)], true));
    server.log.last.stream.sendResponse(head(status, ['content-length', '1']), false);
    expect(body(server.log.last, 'x', false)).toBe(true);
    body(server.log.last, 'y', true);
    expect(server.sent()).toEqual([`HEADERS 1 :status=${status}&content-length=1`, 'DATA 1  fin']);
  });

  it('leave a head larger than a frame in pieces that nothing comes between', () => {
    const server = RawServer.ready();
    server.get(headers(1, GET, true), headers(3, GET, true));
    server.log.exchanges[0]!.stream.sendResponse(head(200, ['a', 'x'.repeat(40_000)]), true);
    server.log.exchanges[1]!.stream.sendResponse(head(200), true);
    expect(server.sent()).toEqual([
      'HEADERS 1 (begin) fin',
      'CONTINUATION 1 (16384)',
      expect.stringMatching(/^CONTINUATION 1 \(7\d\d\d\)$/),
      'HEADERS 3 :status=200 fin',
    ]);
  });

  it('that end before their request end the exchange', () => {
    const server = RawServer.ready();
    server.get(headers(1, POST, false));
    answer(server.log.last);
    expect(server.sent()).toEqual([ALIVE, 'RST_STREAM 1 NO_ERROR']);
    // What was under way is dropped, and given back to the connection.
    expect(server.get(data(1, 'x', true))).toEqual([]);
    expect(server.log.last.log.lines).toEqual([]);
    expect(server.connection.activeStreams).toBe(0);
  });

  it('are told of a reset by the client', () => {
    const server = RawServer.ready();
    server.get(headers(1, GET, true));
    server.get(rst(1));
    expect(server.log.last.log.lines).toEqual(['reset RemoteReset: CANCEL']);
    server.log.last.stream.sendResponse(head(200), true);
    expect(server.sent()).toEqual([]);
  });

  it.each([
    ['LocalReset', 'CANCEL'],
    ['Overflow', 'REFUSED_STREAM'],
    ['RemoteReset', 'INTERNAL_ERROR'],
    ['ProtocolError', 'PROTOCOL_ERROR'],
  ] as const)('that are given up as %s say %s', (reason, code) => {
    const server = RawServer.ready();
    server.get(headers(1, GET, true));
    server.log.last.stream.reset(reason);
    expect(server.sent()).toEqual([`RST_STREAM 1 ${code}`]);
    expect(server.log.last.log.lines).toEqual([]);
  });
});

describe('tunnels', () => {
  const CONNECT: [string, string][] = [
    [':method', 'CONNECT'],
    [':authority', 'b:443'],
  ];
  const tunnel = (status: number) => Object.assign(head(status), { tunnel: true });

  it('pass bytes both ways, each end by itself', () => {
    const server = RawServer.ready();
    server.get(headers(1, CONNECT, false), data(1, 'early', false));
    server.log.last.stream.sendResponse(tunnel(101), false);
    expect(server.sent()).toEqual(['HEADERS 1 :status=200']);
    body(server.log.last, 'answer', true);
    // The end of our half does not end theirs.
    expect(server.sent()).toEqual(['DATA 1 answer fin']);
    server.get(data(1, ' late', true));
    expect(server.log.last.log.lines).toEqual(['body early late', 'end']);
    expect(server.connection.activeStreams).toBe(0);
  });

  it('hear of an end that came with the head', () => {
    const server = RawServer.ready();
    server.get(headers(1, CONNECT, true));
    expect(server.log.last.fin).toBe(false);
    expect(server.log.last.log.lines).toEqual(['end']);
    server.log.last.stream.sendResponse(tunnel(200), false);
    body(server.log.last, 'x', true);
    expect(server.sent()).toEqual(['HEADERS 1 :status=200', 'DATA 1 x fin']);
    expect(server.connection.activeStreams).toBe(0);
  });

  it('take no trailers (RFC 9113 section 8.5)', () => {
    const server = RawServer.ready();
    server.get(headers(1, CONNECT, false));
    server.log.last.stream.sendResponse(tunnel(200), false);
    expect(server.get(headers(1, [['a', 'b']], true)).at(-1)).toBe('RST_STREAM 1 PROTOCOL_ERROR');
  });

  it('that are declined end as any request', () => {
    const server = RawServer.ready();
    server.get(headers(1, CONNECT, false));
    server.log.last.stream.sendResponse(head(403), true);
    expect(server.sent()).toEqual(['HEADERS 1 :status=403 fin', 'RST_STREAM 1 NO_ERROR']);
  });
});

describe('streams and frames (RFC 9113 sections 5 and 6)', () => {
  it.each<[string, Buffer[], string]>([
    ['a stream of an even number', [headers(2, GET, true)], 'GOAWAY 0 PROTOCOL_ERROR stream of an even number'],
    ['a stream of a lower number', [headers(5, GET, true), headers(3, GET, true)], 'GOAWAY 5 PROTOCOL_ERROR HEADERS on a stream that is no more'],
    ['HEADERS on stream 0', [headers(0, GET, true)], 'GOAWAY 0 PROTOCOL_ERROR invalid HEADERS frame'],
    ['DATA on stream 0', [data(0, 'x', false)], 'GOAWAY 0 PROTOCOL_ERROR DATA on an idle stream'],
    ['DATA on an idle stream', [data(1, 'x', false)], 'GOAWAY 0 PROTOCOL_ERROR DATA on an idle stream'],
    ['RST_STREAM on an idle stream', [rst(1)], 'GOAWAY 0 PROTOCOL_ERROR RST_STREAM on an idle stream'],
    ['RST_STREAM on stream 0', [rst(0)], 'GOAWAY 0 PROTOCOL_ERROR invalid RST_STREAM frame'],
    ['RST_STREAM of a wrong size', [frame(FrameType.RST_STREAM, 0, 1, 'abc')], 'GOAWAY 0 FRAME_SIZE_ERROR invalid RST_STREAM frame'],
    ['WINDOW_UPDATE on an idle stream', [windowUpdate(1, 1)], 'GOAWAY 0 PROTOCOL_ERROR WINDOW_UPDATE on an idle stream'],
    ['WINDOW_UPDATE of 0', [windowUpdate(0, 0)], 'GOAWAY 0 PROTOCOL_ERROR WINDOW_UPDATE of 0'],
    ['WINDOW_UPDATE of a wrong size', [frame(FrameType.WINDOW_UPDATE, 0, 0, 'abc')], 'GOAWAY 0 FRAME_SIZE_ERROR invalid WINDOW_UPDATE frame'],
    ['a connection window too large', [windowUpdate(0, 0x7fffffff)], 'GOAWAY 0 FLOW_CONTROL_ERROR connection window too large'],
    ['SETTINGS on a stream', [frame(FrameType.SETTINGS, 0, 1)], 'GOAWAY 0 PROTOCOL_ERROR invalid SETTINGS frame'],
    ['SETTINGS of a wrong size', [frame(FrameType.SETTINGS, 0, 0, 'abc')], 'GOAWAY 0 FRAME_SIZE_ERROR invalid SETTINGS frame'],
    ['an acknowledgement with content', [frame(FrameType.SETTINGS, 1, 0, '123456')], 'GOAWAY 0 FRAME_SIZE_ERROR invalid SETTINGS frame'],
    ['PING on a stream', [frame(FrameType.PING, 0, 1, '12345678')], 'GOAWAY 0 PROTOCOL_ERROR invalid PING frame'],
    ['PING of a wrong size', [ping('123')], 'GOAWAY 0 FRAME_SIZE_ERROR invalid PING frame'],
    ['GOAWAY on a stream', [frame(FrameType.GOAWAY, 0, 1, uint32(0, 0))], 'GOAWAY 0 PROTOCOL_ERROR invalid GOAWAY frame'],
    ['GOAWAY of a wrong size', [frame(FrameType.GOAWAY, 0, 0, 'abc')], 'GOAWAY 0 FRAME_SIZE_ERROR invalid GOAWAY frame'],
    ['PUSH_PROMISE', [headers(1, GET, true), frame(FrameType.PUSH_PROMISE, 4, 1, uint32(2))], 'GOAWAY 1 PROTOCOL_ERROR invalid PUSH_PROMISE frame'],
    ['PRIORITY on stream 0', [frame(FrameType.PRIORITY, 0, 0, '12345')], 'GOAWAY 0 PROTOCOL_ERROR invalid PRIORITY frame'],
    ['CONTINUATION without HEADERS', [frame(FrameType.CONTINUATION, 4, 1)], 'GOAWAY 0 PROTOCOL_ERROR header block interrupted'],
    [
      'a block interrupted by another frame',
      [frame(FrameType.HEADERS, 0, 1, block(GET)), ping('12345678')],
      'GOAWAY 0 PROTOCOL_ERROR header block interrupted',
    ],
    [
      'a block interrupted by an unknown frame',
      [frame(FrameType.HEADERS, 0, 1, block(GET)), frame(200, 0, 1)],
      'GOAWAY 0 PROTOCOL_ERROR header block interrupted',
    ],
    ['a block interrupted by DATA', [frame(FrameType.HEADERS, 0, 1, block(GET)), data(1, 'x', true)], 'GOAWAY 0 PROTOCOL_ERROR DATA frame out of order'],
    [
      'a block continued on another stream',
      [frame(FrameType.HEADERS, 0, 1, block(GET)), frame(FrameType.CONTINUATION, 4, 3)],
      'GOAWAY 0 PROTOCOL_ERROR header block interrupted',
    ],
    ['a block that cannot be decoded', [frame(FrameType.HEADERS, 5, 1, [0x80])], 'GOAWAY 0 COMPRESSION_ERROR header block cannot be decoded'],
    ['padding longer than HEADERS', [frame(FrameType.HEADERS, 5 | Flag.PADDED, 1, [4, 0x82, 0x84])], 'GOAWAY 0 PROTOCOL_ERROR padding longer than its frame'],
    ['padded HEADERS without a length', [frame(FrameType.HEADERS, 5 | Flag.PADDED, 1)], 'GOAWAY 0 FRAME_SIZE_ERROR padded HEADERS frame without pad length'],
    ['HEADERS too short for its priority', [frame(FrameType.HEADERS, 5 | Flag.PRIORITY, 1, 'abc')], 'GOAWAY 0 FRAME_SIZE_ERROR HEADERS of a wrong size'],
    ['SETTINGS_ENABLE_PUSH of 2', [settings({ [Setting.ENABLE_PUSH]: 2 })], 'GOAWAY 0 PROTOCOL_ERROR invalid SETTINGS_ENABLE_PUSH'],
    ['a window of 2^31', [settings({ [Setting.INITIAL_WINDOW_SIZE]: 2 ** 31 })], 'GOAWAY 0 FLOW_CONTROL_ERROR invalid SETTINGS_INITIAL_WINDOW_SIZE'],
    ['frames too small', [settings({ [Setting.MAX_FRAME_SIZE]: 16_383 })], 'GOAWAY 0 PROTOCOL_ERROR invalid SETTINGS_MAX_FRAME_SIZE'],
    ['frames too large', [settings({ [Setting.MAX_FRAME_SIZE]: 2 ** 24 })], 'GOAWAY 0 PROTOCOL_ERROR invalid SETTINGS_MAX_FRAME_SIZE'],
  ])('ends at %s', (_name, frames, line) => {
    const server = RawServer.ready();
    expect(server.get(...frames).at(-1)).toBe(line);
    expect(server.wire.ended).toBe(true);
    for (const { log } of server.log.exchanges) expect(log.lines.at(-1)).toMatch(/^reset ProtocolError/);
    // Nothing is read after that.
    expect(server.get(headers(101, GET, true))).toEqual([]);
    expect(server.log.closed).toBeDefined();
  });

  it.each<[string, Buffer[], string]>([
    ['DATA after the end of the stream', [headers(1, POST, true), data(1, 'x', false)], 'RST_STREAM 1 STREAM_CLOSED'],
    ['HEADERS after the end of the stream', [headers(1, POST, true), headers(1, [['a', 'b']], true)], 'RST_STREAM 1 STREAM_CLOSED'],
    ['WINDOW_UPDATE of 0', [headers(1, POST, false), windowUpdate(1, 0)], 'RST_STREAM 1 PROTOCOL_ERROR'],
    ['a window too large', [headers(1, POST, false), windowUpdate(1, 0x7fffffff)], 'RST_STREAM 1 FLOW_CONTROL_ERROR'],
    ['PRIORITY of a wrong size', [headers(1, POST, false), frame(FrameType.PRIORITY, 0, 1, 'abc')], 'RST_STREAM 1 FRAME_SIZE_ERROR'],
    ['a stream that depends on itself', [headers(1, POST, false), frame(FrameType.PRIORITY, 0, 1, [0, 0, 0, 1, 5])], 'RST_STREAM 1 PROTOCOL_ERROR'],
    [
      'a new stream that depends on itself',
      [frame(FrameType.HEADERS, 4 | Flag.PRIORITY, 1, Buffer.concat([uint32(1), Buffer.from([5]), block(POST)]))],
      'RST_STREAM 1 PROTOCOL_ERROR',
    ],
    [
      'DATA beyond the window of the stream',
      [headers(1, POST, false), ...Array.from({ length: 5 }, () => data(1, 'x'.repeat(16_384), false))],
      'RST_STREAM 1 FLOW_CONTROL_ERROR',
    ],
  ])('resets at %s, and serves the next', (_name, frames, line) => {
    const server = RawServer.ready({ streamWindowBytes: 65_535 }, ({ stream, head: { path } }) =>
      path === '/next' ? void stream.sendResponse(head(200), true) : stream.pause(),
    );
    expect(server.get(...frames).at(-1)).toBe(line);
    expect(server.get(headers(3, [...GET.slice(0, 2), [':path', '/next']], true)).at(-1)).toBe('HEADERS 3 :status=200 fin');
  });

  it('ends at DATA beyond the window of the connection', () => {
    const server = RawServer.ready({ connectionWindowBytes: 65_535, maxHeldBytes: 0 }, ({ stream }) => stream.pause());
    server.get(headers(1, POST, false));
    const sent = server.get(...Array.from({ length: 5 }, () => data(1, 'x'.repeat(16_384), false)));
    expect(sent).toEqual(['GOAWAY 1 FLOW_CONTROL_ERROR DATA beyond the connection window']);
  });

  it('ends at HEADERS on a stream that has gone, but not on one that it has reset itself', () => {
    const gone = RawServer.ready({}, answer);
    gone.get(headers(1, GET, true));
    expect(gone.get(headers(1, GET, true))).toEqual(['GOAWAY 1 STREAM_CLOSED HEADERS on a stream that is no more']);
    const reset = RawServer.ready({}, ({ stream }) => stream.reset('LocalReset'));
    reset.get(headers(1, POST, false));
    expect(reset.get(headers(1, [['a', 'b']], true), data(1, 'x', true), windowUpdate(1, 5), rst(1))).toEqual([]);
  });

  it.each<[string, Buffer]>([
    ['an unknown frame', frame(200, 0xff, 7, 'anything')],
    ['an unknown setting', settings({ 99: 1 })],
    ['PRIORITY of an idle stream', frame(FrameType.PRIORITY, 0, 9, [0, 0, 0, 5, 5])],
    ['flags that mean nothing', frame(FrameType.PING, 0xfe, 0, '12345678')],
  ])('takes no notice of %s', (_name, bytes) => {
    const server = RawServer.ready({}, answer);
    server.get(bytes);
    expect(server.get(headers(1, GET, true)).at(-1)).toBe(ALIVE);
  });

  it('reads HEADERS with padding and priority, and in pieces', () => {
    const server = RawServer.ready({}, answer);
    const fields = block(with_(['a', 'b']));
    const padded = Buffer.concat([Buffer.from([3]), uint32(0x80000000), Buffer.from([16]), fields, Buffer.alloc(3)]);
    server.get(frame(FrameType.HEADERS, Flag.END_HEADERS | Flag.END_STREAM | Flag.PADDED | Flag.PRIORITY, 1, padded));
    server.get(
      frame(FrameType.HEADERS, Flag.END_STREAM, 3, fields.subarray(0, 5)),
      frame(FrameType.CONTINUATION, 0, 3, fields.subarray(5, 20)),
      frame(FrameType.CONTINUATION, 0, 3),
      frame(FrameType.CONTINUATION, Flag.END_HEADERS, 3, fields.subarray(20)),
    );
    expect(server.log.exchanges.map((one) => [one.fin, one.head.headers])).toEqual([
      [true, ['a', 'b']],
      [true, ['a', 'b']],
    ]);
  });

  it('answers PING, and refuses what is beyond its streams', () => {
    const server = RawServer.ready({ maxConcurrentStreams: 2 });
    expect(server.get(ping('12345678'))).toEqual(['PING 12345678 ack']);
    expect(server.get(headers(1, GET, true), headers(3, GET, true), headers(5, GET, true))).toEqual(['RST_STREAM 5 REFUSED_STREAM']);
    answer(server.log.exchanges[0]!);
    server.get(headers(7, GET, true));
    expect(server.log.exchanges).toHaveLength(3);
  });
});

describe('flow control', () => {
  it('sends no more than both windows let out, and goes on when they open', () => {
    const server = RawServer.ready({}, () => {}, settings({ [Setting.INITIAL_WINDOW_SIZE]: 10 }));
    server.get(headers(1, GET, true));
    const exchange = server.log.last;
    exchange.stream.sendResponse(head(200), false);
    expect(body(exchange, '0123456789abc', false)).toBe(false);
    expect(body(exchange, 'def', true)).toBe(false);
    expect(server.sent()).toEqual(['HEADERS 1 :status=200', 'DATA 1 0123456789']);
    expect(server.get(windowUpdate(1, 2))).toEqual(['DATA 1 ab']);
    expect(server.get(settings({ [Setting.INITIAL_WINDOW_SIZE]: 5 }))).toEqual(['SETTINGS ack']);
    // 10 - 5 of it are owed.
    expect(server.get(windowUpdate(1, 5))).toEqual([]);
    expect(server.get(windowUpdate(1, 4))).toEqual(['DATA 1 c', 'DATA 1 def fin']);
    expect(server.connection.activeStreams).toBe(0);
  });

  it('sends nothing that new settings let out before it has acknowledged them', () => {
    const server = RawServer.ready({}, () => {}, settings({ [Setting.INITIAL_WINDOW_SIZE]: 0 }));
    server.get(headers(1, GET, true));
    server.log.last.stream.sendResponse(head(200), false);
    body(server.log.last, 'ab', true);
    server.sent();
    expect(server.get(settings({ [Setting.INITIAL_WINDOW_SIZE]: 1 }))).toEqual(['SETTINGS ack', 'DATA 1 a']);
  });

  it('tells the sender when all is out, then sends trailers', () => {
    const server = RawServer.ready({}, () => {}, settings({ [Setting.INITIAL_WINDOW_SIZE]: 0 }));
    server.get(headers(1, GET, true), headers(3, GET, true));
    for (const exchange of server.log.exchanges) {
      exchange.stream.sendResponse(head(200), false);
      expect(body(exchange, 'abc', false)).toBe(false);
    }
    server.log.last.stream.sendTrailers(['x', 'y']);
    server.sent();
    expect(server.get(windowUpdate(1, 3), windowUpdate(3, 3))).toEqual(['DATA 1 abc', 'DATA 3 abc', 'HEADERS 3 x=y fin']);
    expect(server.log.exchanges.map(({ log }) => log.drains)).toEqual([1, 0]);
  });

  it('shares the window of the connection among those that wait', () => {
    const server = RawServer.ready({}, () => {}, settings({ [Setting.INITIAL_WINDOW_SIZE]: 1_000_000 }));
    server.get(headers(1, GET, true), headers(3, GET, true));
    for (const exchange of server.log.exchanges) {
      exchange.stream.sendResponse(head(200), false);
      body(exchange, 'x'.repeat(200_000), true);
    }
    server.sent();
    expect(server.get(windowUpdate(0, 40_000))).toEqual(['DATA 1 (16384)', 'DATA 3 (16384)', 'DATA 1 (7232)']);
    const rest = server.get(windowUpdate(0, 1_000_000));
    expect(rest.filter((line) => line.endsWith('fin')).map((line) => line.slice(0, 6))).toEqual(['DATA 1', 'DATA 3']);
  });

  it('gives back what a stream has read, by halves, and keeps what it has not', () => {
    const server = RawServer.ready({ streamWindowBytes: 65_536, connectionWindowBytes: 65_536 });
    server.get(headers(1, POST, false), headers(3, POST, false));
    const [one, three] = server.log.exchanges;
    three!.stream.pause();
    const chunk = 'x'.repeat(16_384);
    expect(server.get(data(1, chunk, false))).toEqual([]);
    expect(server.get(data(1, chunk, false))).toEqual(['WINDOW_UPDATE 1 32768', 'WINDOW_UPDATE 0 32768']);
    // A paused stream keeps its own window, not that of the others.
    expect(server.get(data(3, chunk, false), data(3, chunk, false))).toEqual(['WINDOW_UPDATE 0 32768']);
    three!.stream.resume();
    expect(server.sent()).toEqual(['WINDOW_UPDATE 3 32768']);
    expect([one!.log.bytes, three!.log.bytes]).toEqual([32_768, 32_768]);
  });

  it('keeps the window of the connection too where paused streams hold too much', () => {
    const server = RawServer.ready({ streamWindowBytes: 1_000_000, connectionWindowBytes: 65_536, maxHeldBytes: 20_000 }, ({ stream }) => stream.pause());
    server.get(headers(1, POST, false));
    const chunk = 'x'.repeat(16_384);
    expect(server.get(data(1, chunk, false), data(1, chunk, false), data(1, chunk, false))).toEqual([]);
    server.log.last.stream.resume();
    expect(server.sent()).toEqual(['WINDOW_UPDATE 0 49152']);
    server.log.last.stream.pause();
    server.get(data(1, chunk, false), data(1, chunk, false));
    // Also where the stream goes.
    expect(server.get(rst(1))).toEqual(['WINDOW_UPDATE 0 32768']);
  });

  it('gives back what comes for streams that are no more', () => {
    const server = RawServer.ready({ connectionWindowBytes: 65_536 }, ({ stream }) => stream.reset('LocalReset'));
    server.get(headers(1, POST, false));
    for (let i = 0; i < 20; i++) expect(server.get(data(1, 'x'.repeat(16_384), false))).toEqual(i % 2 === 0 ? [] : ['WINDOW_UPDATE 0 32768']);
  });
});

describe('limits', () => {
  it('answers a header section that is too large by a signed 431', () => {
    const server = RawServer.ready({ maxHeaderListBytes: 1000, proxyName: 'sidecar-1' }, answer);
    const sent = server.get(headers(1, with_(['a', 'x'.repeat(1000)]), true), headers(3, GET, true));
    expect(sent).toEqual([
      'HEADERS 1 :status=431&proxy-status=sidecar-1; error=http_request_error; details="header section too large" fin',
      'HEADERS 3 :status=200 fin',
    ]);
    const many = Array.from({ length: 101 }, (): [string, string] => ['a', 'b']);
    expect(server.get(headers(5, with_(...many), true))[0]).toContain(':status=431');
    expect(server.log.exchanges).toHaveLength(1);
  });

  it('counts a field of the table at its size each time it is named', () => {
    const server = RawServer.ready({ maxHeaderListBytes: 60_000, maxHeaderCount: 1_000_000 });
    const big = frame(FrameType.HEADERS, 5, 1, Buffer.concat([block(GET), Buffer.from([0x40, 1, 0x61, 0x7f, 0xb1, 0x1e]), Buffer.alloc(4016, 0x78)]));
    server.get(big);
    expect(server.log.exchanges).toHaveLength(1);
    expect(server.get(frame(FrameType.HEADERS, 5, 3, Buffer.concat([block(GET), Buffer.alloc(15_000, 0xbe)])))[0]).toContain(':status=431');
  });

  const floods: [string, (i: number) => Buffer, string][] = [
    ['PING', () => ping('12345678'), 'too many control frames'],
    ['acknowledged PING', () => ping('12345678', true), 'too many control frames'],
    ['SETTINGS', () => settings(), 'too many control frames'],
    ['PRIORITY', () => frame(FrameType.PRIORITY, 0, 1, [0, 0, 0, 5, 5]), 'too many control frames'],
    ['WINDOW_UPDATE', () => windowUpdate(0, 1), 'too many control frames'],
    ['GOAWAY', () => frame(FrameType.GOAWAY, 0, 0, uint32(0, 0)), 'too many control frames'],
    ['unknown frames', () => frame(99, 0, 1), 'too many control frames'],
    ['empty DATA', () => data(1, '', false), 'too many empty DATA frames'],
  ];
  it.each(floods)('ends at a flood of %s', (_name, make, detail) => {
    const server = RawServer.ready({ maxControlBurst: 100, controlFramesPerSecond: 10 });
    server.get(headers(1, POST, false));
    for (let i = 0; i < 99; i++) server.get(make(i));
    expect(server.log.closed).toBeUndefined();
    for (let i = 0; i < 3; i++) server.get(make(i));
    expect(server.log.closed).toBe(`ENHANCE_YOUR_CALM: ${detail}`);
  });

  it('gives control frames back in time and with useful work', () => {
    const server = RawServer.ready({ maxControlBurst: 10, controlFramesPerSecond: 10 });
    server.get(headers(1, POST, false));
    for (let i = 0; i < 100; i++) {
      server.get(ping('12345678'));
      server.nowMs += 100;
    }
    for (let i = 0; i < 100; i++) server.get(ping('12345678'), data(1, 'x', false));
    expect(server.log.closed).toBeUndefined();
  });

  it('takes as many WINDOW_UPDATE as a reader of small pieces sends', () => {
    const server = RawServer.ready({}, () => {}, settings({ [Setting.INITIAL_WINDOW_SIZE]: 1_000_000 }));
    server.get(headers(1, GET, true), windowUpdate(0, 1_000_000));
    server.log.last.stream.sendResponse(head(200), false);
    for (let i = 0; i < 2000; i++) {
      body(server.log.last, 'x'.repeat(16_384), false);
      server.sent();
      // Go's: every 4 KiB, for the stream and for the connection.
      for (let k = 0; k < 4; k++) server.get(windowUpdate(0, 4096), windowUpdate(1, 4096));
    }
    expect(server.log.closed).toBeUndefined();
  });

  it.each<[string, (id: number) => Buffer[], string]>([
    ['streams that it begins and resets', (id) => [headers(id, GET, true), rst(id)], 'too many streams reset'],
    ['malformed requests', (id) => [headers(id, [['X', 'y']], true)], 'too many streams in error'],
    ['streams that it makes us reset', (id) => [headers(id, POST, false), windowUpdate(id, 0)], 'too many streams in error'],
  ])('ends at a peer that floods with %s', (_name, make, detail) => {
    const server = RawServer.ready({ maxResetBurst: 50, resetsPerSecond: 10 });
    for (let i = 0; i < 49; i++) server.get(...make(2 * i + 1));
    expect(server.log.closed).toBeUndefined();
    for (let i = 49; i < 53; i++) server.get(...make(2 * i + 1));
    expect(server.log.closed).toBe(`ENHANCE_YOUR_CALM: ${detail}`);
  });

  it('takes resets among streams that end as they should', () => {
    const server = RawServer.ready(
      { maxResetBurst: 10, resetsPerSecond: 0 },
      ({ stream, head: { path } }) => void (path === '/' && stream.sendResponse(head(200), true)),
    );
    for (let id = 1; id < 1000; id += 4) server.get(headers(id, GET, true), headers(id + 2, [...GET.slice(0, 2), [':path', '/slow']], true), rst(id + 2));
    expect(server.log.closed).toBeUndefined();
  });

  it('ends at a block of too many pieces, or too many bytes', () => {
    const pieces = RawServer.ready({ maxContinuationFrames: 4 });
    pieces.get(frame(FrameType.HEADERS, 0, 1, block(GET)));
    for (let i = 0; i < 4; i++) pieces.get(frame(FrameType.CONTINUATION, 0, 1));
    expect(pieces.get(frame(FrameType.CONTINUATION, 0, 1))).toEqual(['GOAWAY 0 ENHANCE_YOUR_CALM too many CONTINUATION frames']);
    const bytes = RawServer.ready();
    bytes.get(frame(FrameType.HEADERS, 0, 1, Buffer.alloc(16_384)));
    for (let i = 0; i < 2; i++) bytes.get(frame(FrameType.CONTINUATION, 0, 1, Buffer.alloc(16_384)));
    expect(bytes.get(frame(FrameType.CONTINUATION, 0, 1, Buffer.alloc(16_384)))).toEqual(['GOAWAY 0 ENHANCE_YOUR_CALM header block too large']);
  });

  it('ends at a peer that asks and does not read', () => {
    const server = RawServer.ready({ maxUnsentBytes: 1_000_000 }, ({ stream }) => void stream.sendResponse(head(200, ['a', 'x'.repeat(10_000)]), true));
    server.wire.full = true;
    let id = 1;
    while (server.log.closed === undefined && id < 2000) {
      server.get(headers(id, GET, true));
      id += 2;
    }
    expect(server.log.closed).toBe('ENHANCE_YOUR_CALM: the peer does not read');
    expect(server.wire.writableLength).toBeLessThan(1_100_000);
    const pings = RawServer.ready({ maxUnsentBytes: 200_000, maxControlBurst: 1e9 });
    pings.wire.full = true;
    for (let i = 0; i < 20_000 && pings.log.closed === undefined; i++) pings.get(ping('12345678'));
    expect(pings.log.closed).toBe('ENHANCE_YOUR_CALM: the peer does not read');
  });

  it('looks at all streams once for each SETTINGS frame', () => {
    const server = RawServer.ready();
    server.get(headers(1, GET, true));
    server.log.last.stream.sendResponse(head(200), false);
    body(server.log.last, 'x'.repeat(70_000), true);
    server.get(windowUpdate(0, 1_000_000));
    const window = (value: number) => Buffer.concat([Buffer.from([0, Setting.INITIAL_WINDOW_SIZE]), uint32(value)]);
    // Of all that one frame says the last counts: with the first alone content would have left.
    expect(server.get(frame(FrameType.SETTINGS, 0, 0, Buffer.concat([window(70_000), window(65_535)])))).toEqual(['SETTINGS ack']);
  });
});

describe('backpressure of the transport', () => {
  it('tells to stop when the transport is full, and all when it is not', () => {
    const server = RawServer.ready({}, () => {}, settings({ [Setting.INITIAL_WINDOW_SIZE]: 10_000_000 }));
    server.get(windowUpdate(0, 10_000_000), headers(1, GET, true), headers(3, GET, true));
    server.wire.full = true;
    for (const exchange of server.log.exchanges) exchange.stream.sendResponse(head(200), false);
    body(server.log.exchanges[0]!, 'x'.repeat(200_000), false);
    server.turn.end();
    for (const exchange of server.log.exchanges) expect(body(exchange, 'x', false)).toBe(false);
    server.wire.drain();
    server.connection.transportDrained();
    expect(server.log.exchanges.map(({ log }) => log.drains)).toEqual([1, 1]);
    expect(body(server.log.last, 'x', true)).toBe(true);
  });
});

describe('the end', () => {
  it('drains in two steps: what is under way is served', () => {
    const server = RawServer.ready();
    server.get(headers(1, GET, true));
    server.connection.drain();
    expect(server.sent()).toEqual(['GOAWAY 2147483647 NO_ERROR ', 'PING outdrain']);
    // Sent before the peer had read it.
    expect(server.get(headers(3, GET, true))).toEqual([]);
    expect(server.log.exchanges).toHaveLength(2);
    expect(server.get(ping('outdrain', true))).toEqual(['GOAWAY 3 NO_ERROR ']);
    expect(server.get(headers(5, GET, true))).toEqual(['RST_STREAM 5 REFUSED_STREAM']);
    answer(server.log.exchanges[0]!);
    expect(server.log.closed).toBeUndefined();
    answer(server.log.exchanges[1]!);
    expect(server.log.closed).toBe('');
    expect(server.sent()).toEqual([ALIVE, 'HEADERS 3 :status=200 fin']);
    expect(server.wire.ended).toBe(true);
  });

  it('drains at once when idle', () => {
    const server = RawServer.ready();
    server.connection.drain();
    server.get(ping('outdrain', true));
    expect(server.log.closed).toBe('');
    expect(server.wire.ended).toBe(true);
  });

  it('drains when the client goes away', () => {
    const server = RawServer.ready();
    server.get(frame(FrameType.GOAWAY, 0, 0, uint32(0, 0)));
    server.get(ping('outdrain', true));
    expect(server.log.closed).toBe('');
  });

  it.each([
    ['the peer ends it', (server: RawServer) => server.connection.receiveEnd(), 'ConnectionTermination: the peer ended the connection'],
    ['the transport breaks', (server: RawServer) => server.connection.transportClosed('ECONNRESET'), 'ConnectionTermination: ECONNRESET'],
  ])('resets what is under way when %s', (_name, end, line) => {
    const server = RawServer.ready();
    server.get(headers(1, GET, true), headers(3, POST, false));
    end(server);
    end(server);
    for (const { log } of server.log.exchanges) expect(log.lines).toEqual([`reset ${line}`]);
    expect(server.connection.activeStreams).toBe(0);
    server.log.last.stream.sendResponse(head(200), true);
    expect(server.sent()).toEqual([]);
  });

  it('treats a head of a response from a client as any other malformed request', () => {
    const server = RawServer.ready();
    expect(server.get(headers(1, OK, true))).toEqual(['RST_STREAM 1 PROTOCOL_ERROR']);
  });
});
