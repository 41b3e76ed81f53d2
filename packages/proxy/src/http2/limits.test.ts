import { describe, expect, it } from 'vitest';
import type { ServerStream } from '../http/message.ts';
import { Flag, FrameType, Setting } from './frame.ts';
import type { Http2Options } from './options.ts';
import { block, data, frame, GET, headers, POST, ping, rst, settings, uint32, windowUpdate } from './testing/frames.ts';
import { answer, RawServer, responseOf, send } from './testing/server.ts';

const getWith = (...fields: [string, string][]) => [...GET, ...fields];

describe('limits', () => {
  it('answers a header section that is too large by a signed 431', () => {
    const server = RawServer.ready({ maxHeaderListBytes: 1000, proxyName: 'sidecar-1' }, answer);
    const sent = server.get(headers(1, getWith(['a', 'x'.repeat(1000)]), true), headers(3, GET, true));
    expect(sent).toEqual([
      'HEADERS 1 :status=431&proxy-status=sidecar-1; error=http_request_error; details="header section too large" fin',
      'HEADERS 3 :status=200 fin',
    ]);
    const many = Array.from({ length: 101 }, (): [string, string] => ['a', 'b']);
    expect(server.get(headers(5, getWith(...many), true))[0]).toContain(':status=431');
    expect(server.log.exchanges).toHaveLength(1);
  });

  it('counts a field of the table at its size each time it is named', () => {
    const server = RawServer.ready({ maxHeaderListBytes: 60_000, maxHeaderCount: 1_000_000 });
    const big = frame(FrameType.HEADERS, 5, 1, Buffer.concat([block(GET), Buffer.from([0x40, 1, 0x61, 0x7f, 0xb1, 0x1e]), Buffer.alloc(4016, 0x78)]));
    server.get(big);
    expect(server.log.exchanges).toHaveLength(1);
    expect(server.get(frame(FrameType.HEADERS, 5, 3, Buffer.concat([block(GET), Buffer.alloc(60, 0xbe)])))[0]).toContain(':status=431');
    // A block of 15 KB that means 60 MB.
    expect(server.get(frame(FrameType.HEADERS, 5, 5, Buffer.concat([block(GET), Buffer.alloc(15_000, 0xbe)])))).toEqual([
      'GOAWAY 3 ENHANCE_YOUR_CALM header section far too large',
    ]);
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
    ['padding alone', () => frame(FrameType.DATA, Flag.PADDED, 1, [1, 0]), 'too many empty DATA frames'],
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
    for (let i = 0; i < 100; i++) server.get(frame(FrameType.DATA, Flag.PADDED, 1, [1, 0x78, 0]));
    expect(server.log.closed).toBeUndefined();
  });

  it('takes as many WINDOW_UPDATE as a reader of small pieces sends', () => {
    const server = RawServer.ready({}, () => {}, settings({ [Setting.INITIAL_WINDOW_SIZE]: 1_000_000 }));
    server.get(headers(1, GET, true), windowUpdate(0, 1_000_000));
    server.log.last.stream.sendResponse(responseOf(200), false);
    for (let i = 0; i < 2000; i++) {
      send(server.log.last, 'x'.repeat(16_384), false);
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
      ({ stream, head: { path } }) => void (path === '/' && stream.sendResponse(responseOf(200), true)),
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
    const server = RawServer.ready({ maxUnsentBytes: 1_000_000 }, ({ stream }) => void stream.sendResponse(responseOf(200, ['a', 'x'.repeat(10_000)]), true));
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

  it.each<[string, Partial<Http2Options>, (i: number) => Buffer]>([
    ['PINGs', { maxOutboundControlFrames: 20 }, () => ping('12345678')],
    ['frames of any kind', { maxOutboundFrames: 20 }, (i) => headers(2 * i + 1, GET, true)],
  ])('ends at a peer that makes more %s wait than it may', (_name, options, make) => {
    const server = RawServer.ready(
      { maxControlBurst: 1e9, ...options },
      ({ stream, head: { path } }) => void stream.sendResponse(responseOf(200, path === '/big' ? ['a', 'x'.repeat(200_000)] : []), true),
    );
    for (let i = 0; i < 100; i++) server.get(make(i));
    expect(server.log.closed).toBeUndefined();
    server.wire.full = true;
    server.get(headers(301, [...GET.slice(0, 2), [':path', '/big']], true));
    let sent = 0;
    while (server.log.closed === undefined && sent < 100) server.get(make(200 + sent++));
    expect(server.log.closed).toBe('ENHANCE_YOUR_CALM: the peer does not read');
    expect(sent).toBeLessThan(30);
  });

  it('stays with a peer that is always behind, and reads all the same', () => {
    const held: ServerStream[] = [];
    const server = RawServer.ready({ maxOutboundFrames: 20, maxOutboundControlFrames: 20, maxControlBurst: 1e9 }, ({ stream }) => void held.push(stream));
    for (let i = 0; i < 100; i++) server.get(headers(2 * i + 1, GET, true));
    for (const stream of held) {
      server.wire.full = true;
      stream.sendResponse(responseOf(200, ['a', 'x'.repeat(200_000)]), true);
      server.turn.end();
      // Full whenever somebody looks, and empty in between.
      server.get(ping('12345678'));
      server.wire.drain();
      server.connection.transportDrained();
    }
    expect(held).toHaveLength(100);
    expect(server.log.closed).toBeUndefined();
  });

  it('looks at all streams once for each SETTINGS frame', () => {
    const server = RawServer.ready();
    server.get(headers(1, GET, true));
    server.log.last.stream.sendResponse(responseOf(200), false);
    send(server.log.last, 'x'.repeat(70_000), true);
    server.get(windowUpdate(0, 1_000_000));
    const window = (value: number) => Buffer.concat([Buffer.from([0, Setting.INITIAL_WINDOW_SIZE]), uint32(value)]);
    // Of all that one frame says the last counts: with the first alone content would have left.
    expect(server.get(frame(FrameType.SETTINGS, 0, 0, Buffer.concat([window(70_000), window(65_535)])))).toEqual(['SETTINGS ack']);
  });
});
