import { describe, expect, it } from 'vitest';
import { Flag, FrameType, Setting } from './frame.ts';
import { block, data, frame, GET, headers, POST, ping, rst, settings, uint32, windowUpdate } from './testing/frames.ts';
import { answer, RawServer, responseOf } from './testing/server.ts';

/** A response to stream 1 would be this; the connection still works. */
const ALIVE = 'HEADERS 1 :status=200 fin';

const getWith = (...fields: [string, string][]) => [...GET, ...fields];

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
      path === '/next' ? void stream.sendResponse(responseOf(200), true) : stream.pause(),
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
    const fields = block(getWith(['a', 'b']));
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
