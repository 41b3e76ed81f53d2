import { describe, expect, it } from 'vitest';
import { Flag, FrameType, Setting } from './frame.ts';
import { data, frame, GET, headers, OK, POST, PREFACE, ping, rst, settings, settingsAck, uint32, windowUpdate } from './testing/frames.ts';
import { answer, RawServer, responseOf, send } from './testing/server.ts';

/** A response to stream 1 would be this; the connection still works. */
const ALIVE = 'HEADERS 1 :status=200 fin';

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
    stream.sendInformational(responseOf(103, ['link', 'x']));
    stream.sendResponse(responseOf(200, ['X-Case', 'a', 'connection', 'x'], 45_000), false);
    send(server.log.last, 'x'.repeat(45_000), true);
    expect(server.sent()).toEqual(['HEADERS 1 :status=103&link=x', 'HEADERS 1 :status=200&x-case=a', 'DATA 1 (20000)', 'DATA 1 (20000)', 'DATA 1 (5000) fin']);
    expect(server.connection.activeStreams).toBe(0);
  });

  it('end with trailers', () => {
    const server = RawServer.ready();
    server.get(headers(1, GET, true));
    server.log.last.stream.sendResponse(responseOf(200), false);
    send(server.log.last, 'x', false);
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
    server.log.last.stream.sendResponse(responseOf(status, ['content-length', '1']), false);
    expect(send(server.log.last, 'x', false)).toBe(true);
    send(server.log.last, 'y', true);
    expect(server.sent()).toEqual([`HEADERS 1 :status=${status}&content-length=1`, 'DATA 1  fin']);
  });

  it('leave a head larger than a frame in pieces that nothing comes between', () => {
    const server = RawServer.ready();
    server.get(headers(1, GET, true), headers(3, GET, true));
    server.log.exchanges[0]!.stream.sendResponse(responseOf(200, ['a', 'x'.repeat(40_000)]), true);
    server.log.exchanges[1]!.stream.sendResponse(responseOf(200), true);
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
    server.log.last.stream.sendResponse(responseOf(200), true);
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
  const tunnel = (status: number) => Object.assign(responseOf(status), { tunnel: true });

  it('pass bytes both ways, each end by itself', () => {
    const server = RawServer.ready();
    server.get(headers(1, CONNECT, false), data(1, 'early', false));
    server.log.last.stream.sendResponse(tunnel(101), false);
    expect(server.sent()).toEqual(['HEADERS 1 :status=200']);
    send(server.log.last, 'answer', true);
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
    send(server.log.last, 'x', true);
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
    server.log.last.stream.sendResponse(responseOf(403), true);
    expect(server.sent()).toEqual(['HEADERS 1 :status=403 fin', 'RST_STREAM 1 NO_ERROR']);
  });
});

describe('backpressure of the transport', () => {
  it('tells to stop when the transport is full, and all when it is not', () => {
    const server = RawServer.ready({}, () => {}, settings({ [Setting.INITIAL_WINDOW_SIZE]: 10_000_000 }));
    server.get(windowUpdate(0, 10_000_000), headers(1, GET, true), headers(3, GET, true));
    server.wire.full = true;
    for (const exchange of server.log.exchanges) exchange.stream.sendResponse(responseOf(200), false);
    send(server.log.exchanges[0]!, 'x'.repeat(200_000), false);
    server.turn.end();
    for (const exchange of server.log.exchanges) expect(send(exchange, 'x', false)).toBe(false);
    server.wire.drain();
    server.connection.transportDrained();
    expect(server.log.exchanges.map(({ log }) => log.drains)).toEqual([1, 1]);
    expect(send(server.log.last, 'x', true)).toBe(true);
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
    server.log.last.stream.sendResponse(responseOf(200), true);
    expect(server.sent()).toEqual([]);
  });

  it('treats a head of a response from a client as any other malformed request', () => {
    const server = RawServer.ready();
    expect(server.get(headers(1, OK, true))).toEqual(['RST_STREAM 1 PROTOCOL_ERROR']);
  });
});
