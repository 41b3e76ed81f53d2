import type { JsonObject } from '@bufbuild/protobuf';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Flag, FrameType, Setting } from '../http2/frame.ts';
import { block, data, FrameLines, frame, GET, headers, POST, PREFACE, ping, settings, settingsAck, windowUpdate } from '../http2/testing/frames.ts';
import { TestEngine } from '../testing/test-engine.ts';
import { RawClient } from './testing/raw-client.ts';

const ROUTES = [{ match: { prefix: '/' }, directResponse: { status: 200 } }];
const REQUEST = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
const BEGIN = Buffer.concat([PREFACE, settings()]);

let engine: TestEngine;

beforeEach(() => {
  engine = new TestEngine();
});
afterEach(async () => {
  expect(await engine.close()).toEqual([]);
});

async function connect(manager: JsonObject): Promise<RawClient> {
  await engine.listener('in', { routes: ROUTES, manager });
  return new RawClient(engine, 'in');
}

/** Frames that have come, but for SETTINGS and what belongs to them. */
const frames = (client: RawClient) => new FrameLines().read(client.text).filter((line) => !/^(?:SETTINGS|WINDOW_UPDATE 0)/.test(line));

describe('request_headers_timeout', () => {
  it('answers a head that is not whole in time by 408, and ends the connection', async () => {
    const client = await connect({ requestHeadersTimeout: '2s' });
    await client.send('GET / HTTP/1.1\r\n');
    await engine.advance(1500);
    await client.send('Host: a\r\n');
    expect(client.text).toBe('');
    await engine.advance(600);
    expect(client.text).toMatch(/^HTTP\/1\.1 408 Request Timeout\r\nProxy-Status: test; .*details="request header timeout"/);
    expect(client.ended).toBe(true);
  });

  it('counts from the first byte of each head, and not between them', async () => {
    const client = await connect({ requestHeadersTimeout: '2s' });
    for (let i = 0; i < 3; i++) {
      await engine.advance(5000);
      await client.send(REQUEST.slice(0, 10));
      await engine.advance(1800);
      await client.send(REQUEST.slice(10));
    }
    // The end of one head and the begin of the next in one piece.
    await client.send(REQUEST.slice(0, 10));
    await engine.advance(1500);
    await client.send(REQUEST.slice(10) + REQUEST.slice(0, 10));
    await engine.advance(1500);
    await client.send(REQUEST.slice(10));
    expect(client.text.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(5);
    expect(client.ended).toBe(false);
  });

  it('ends an HTTP/2 connection whose header block is not whole in time', async () => {
    const client = await connect({ requestHeadersTimeout: '2s' });
    await client.send(Buffer.concat([BEGIN, frame(FrameType.HEADERS, 0, 1, block(GET))]));
    await engine.advance(2100);
    expect(frames(client)).toEqual(['GOAWAY 0 ENHANCE_YOUR_CALM header block not whole in time']);
    expect(client.ended).toBe(true);
  });

  it('ends a connection whose preface is not whole in time', async () => {
    const client = await connect({ requestHeadersTimeout: '2s' });
    await client.send('PRI * HTT');
    await engine.advance(2100);
    expect(client.closed).toBe(true);
  });

  it('is the stream idle timeout where it is not set', async () => {
    const client = await connect({ streamIdleTimeout: '3s' });
    await client.send('GET /');
    await engine.advance(3100);
    expect(client.text).toMatch(/^HTTP\/1\.1 408 /);
  });
});

describe('idle_timeout', () => {
  const manager = { commonHttpProtocolOptions: { idleTimeout: '10s' } };

  it('ends a connection that says nothing, or begins a head and stops', async () => {
    const silent = await connect(manager);
    const slow = new RawClient(engine, 'in');
    await slow.send('GET / HT');
    await engine.advance(10_100);
    expect([silent.ended || silent.closed, slow.text.slice(0, 12)]).toEqual([true, 'HTTP/1.1 408']);
  });

  it('ends an HTTP/2 connection by GOAWAY, and after drain_timeout without the word of the peer', async () => {
    const client = await connect({ ...manager, drainTimeout: '2s' });
    await client.send(BEGIN);
    await engine.advance(10_100);
    expect(frames(client)).toEqual(['GOAWAY 2147483647 NO_ERROR ', 'PING outdrain']);
    await engine.advance(1800);
    expect(client.ended).toBe(false);
    await engine.advance(300);
    expect(frames(client).at(-1)).toBe('GOAWAY 0 NO_ERROR ');
    expect(client.ended).toBe(true);
  });
});

describe('stream_idle_timeout', () => {
  const begin = (window: number) => Buffer.concat([PREFACE, settings({ [Setting.INITIAL_WINDOW_SIZE]: window })]);
  const routes = [{ match: { prefix: '/' }, directResponse: { status: 200, body: { inlineString: 'x'.repeat(100) } } }];

  it('resets a stream whose answer waits for a window that stays shut', async () => {
    await engine.listener('in', { routes, manager: { streamIdleTimeout: '2s', commonHttpProtocolOptions: { idleTimeout: '3s' } } });
    const client = new RawClient(engine, 'in');
    await client.send(Buffer.concat([begin(10), headers(1, GET, true), headers(3, GET, true)]));
    await engine.advance(1500);
    await client.send(windowUpdate(3, 10));
    await engine.advance(1000);
    expect(frames(client).filter((line) => line.startsWith('RST'))).toEqual([]);
    await engine.advance(1000);
    await client.send(windowUpdate(3, 10));
    await engine.advance(1000);
    expect(frames(client).filter((line) => line.startsWith('RST'))).toEqual(['RST_STREAM 1 CANCEL']);
    await engine.advance(4000);
    expect(frames(client).filter((line) => line.startsWith('RST'))).toEqual(['RST_STREAM 1 CANCEL', 'RST_STREAM 3 CANCEL']);
    await engine.advance(10_000);
    expect(client.ended).toBe(true);
  });

  it('leaves alone what leaves', async () => {
    await engine.listener('in', { routes, manager: { streamIdleTimeout: '2s' } });
    const client = new RawClient(engine, 'in');
    await client.send(Buffer.concat([begin(0), headers(1, GET, true)]));
    for (let i = 0; i < 10; i++) {
      await engine.advance(1500);
      await client.send(windowUpdate(1, 10));
    }
    expect(frames(client).at(-1)).toMatch(/^DATA 1 x+ fin$/);
  });
});

describe('max_requests_per_connection', () => {
  const manager = { commonHttpProtocolOptions: { maxRequestsPerConnection: 2 } };

  it('says in the last answer that it is the last', async () => {
    const client = await connect(manager);
    await client.send(REQUEST);
    expect(client.text).not.toContain('Connection: close');
    await client.send(REQUEST + REQUEST);
    expect(client.text.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(2);
    expect(client.text).toContain('Connection: close');
    expect(client.ended).toBe(true);
  });

  it('ends an HTTP/2 connection by GOAWAY, with what was under way answered', async () => {
    const client = await connect(manager);
    await client.send(Buffer.concat([BEGIN, headers(1, GET, true)]));
    expect(frames(client).some((line) => line.startsWith('GOAWAY'))).toBe(false);
    await client.send(headers(3, GET, true));
    await client.send(Buffer.concat([settingsAck, ping('outdrain', true)]));
    expect(frames(client).filter((line) => /GOAWAY|HEADERS/.test(line))).toEqual([
      expect.stringContaining('HEADERS 1 :status=200'),
      'GOAWAY 2147483647 NO_ERROR ',
      expect.stringContaining('HEADERS 3 :status=200'),
      'GOAWAY 3 NO_ERROR ',
    ]);
    expect(client.ended).toBe(true);
  });
});

describe('delayed_close_timeout', () => {
  it.each([
    ['0.2s', 150, false],
    ['0.2s', 250, true],
    ['0s', 50, true],
  ])('%s: after %d ms the connection is gone: %s', async (delayedCloseTimeout, afterMs, gone) => {
    const client = await connect({ delayedCloseTimeout });
    await client.send('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    await engine.advance(afterMs);
    expect([client.text.slice(0, 12), engine.listeners.connectionCount === 0]).toEqual(['HTTP/1.1 200', gone]);
  });
});

describe('headers_with_underscores_action', () => {
  const seen = async (headersWithUnderscoresAction: string, http2: boolean) => {
    const upstream = engine.upstream('up');
    engine.cluster('c', { endpoints: ['up'] });
    await engine.listener('in', {
      routes: [{ match: { prefix: '/' }, route: { cluster: 'c' } }],
      manager: { commonHttpProtocolOptions: { headersWithUnderscoresAction } },
    });
    const client = new RawClient(engine, 'in');
    if (http2) await client.send(Buffer.concat([BEGIN, headers(1, [...GET, ['x_y', '1'], ['z', '2']], true)]));
    else await client.send('GET / HTTP/1.1\r\nHost: a\r\nX_Y: 1\r\nz: 2\r\n\r\n');
    const names = upstream.requests.map(({ head }) => head.headers.filter((_text, i) => i % 2 === 0 && /^(?:x_y|z)$/i.test(_text)));
    return { names, answer: http2 ? frames(client) : client.text.slice(0, 12) };
  };

  it.each([false, true])('ALLOW, DROP_HEADER and REJECT_REQUEST (HTTP/2: %s)', async (http2) => {
    expect((await seen('ALLOW', http2)).names).toEqual([[http2 ? 'x_y' : 'X_Y', 'z']]);
    engine = new TestEngine();
    expect((await seen('DROP_HEADER', http2)).names).toEqual([['z']]);
    engine = new TestEngine();
    expect(await seen('REJECT_REQUEST', http2)).toEqual({ names: [], answer: http2 ? ['RST_STREAM 1 PROTOCOL_ERROR'] : 'HTTP/1.1 400' });
  });
});

describe('stream_error_on_invalid_http_message', () => {
  const bad = headers(1, [...GET, ['X', 'upper case']], true);

  it.each<[string, JsonObject, string]>([
    ['true', { streamErrorOnInvalidHttpMessage: true }, 'RST_STREAM 1 PROTOCOL_ERROR'],
    ['not set: as RFC 9113 has it', {}, 'RST_STREAM 1 PROTOCOL_ERROR'],
    ['false', { streamErrorOnInvalidHttpMessage: false }, 'GOAWAY 1 PROTOCOL_ERROR invalid header name or value'],
    [
      'overridden by the options of HTTP/2',
      { streamErrorOnInvalidHttpMessage: true, http2ProtocolOptions: { overrideStreamErrorOnInvalidHttpMessage: false } },
      'GOAWAY 1 PROTOCOL_ERROR invalid header name or value',
    ],
  ])('%s', async (_name, manager, line) => {
    const client = await connect(manager);
    await client.send(Buffer.concat([BEGIN, bad]));
    expect(frames(client)).toEqual([line]);
  });
});

describe('connection_keepalive', () => {
  const manager = { http2ProtocolOptions: { connectionKeepalive: { interval: '10s', timeout: '2s', intervalJitter: {} } } };

  it('asks by PING, and ends a connection that does not answer', async () => {
    const client = await connect(manager);
    await client.send(BEGIN);
    await engine.advance(10_100);
    expect(frames(client)).toEqual(['PING keepaliv']);
    await client.send(ping('keepaliv', true));
    await engine.advance(10_100);
    expect(frames(client)).toEqual(['PING keepaliv', 'PING keepaliv']);
    await engine.advance(1800);
    expect(client.closed).toBe(false);
    await engine.advance(300);
    expect(client.closed).toBe(true);
  });

  it('takes any frame for a sign of life', async () => {
    const client = await connect(manager);
    await client.send(Buffer.concat([BEGIN, headers(1, POST, false)]));
    await engine.advance(10_100);
    for (let i = 0; i < 5; i++) {
      await client.send(data(1, 'x', false));
      await engine.advance(1500);
    }
    expect(client.closed).toBe(false);
    await engine.advance(4100);
    expect(client.closed).toBe(true);
  });
});

describe('limits of frames', () => {
  const http2 = (options: JsonObject) => ({ http2ProtocolOptions: options });
  const empty = (id: number) => frame(FrameType.DATA, 0, id);
  const priority = frame(FrameType.PRIORITY, 0, 3, [0, 0, 0, 0, 1]);
  const update = frame(FrameType.WINDOW_UPDATE, 0, 0, [0, 0, 0, 1]);
  const open = [BEGIN, headers(1, POST, false)];

  it.each<[string, JsonObject, Buffer[], Buffer]>([
    [
      'max_consecutive_inbound_frames_with_empty_payload',
      { maxConsecutiveInboundFramesWithEmptyPayload: 2 },
      [empty(1), empty(1), data(1, 'x', false), empty(1), empty(1)],
      empty(1),
    ],
    [
      'max_consecutive_inbound_frames_with_empty_payload, CONTINUATION',
      { maxConsecutiveInboundFramesWithEmptyPayload: 1 },
      [frame(FrameType.HEADERS, 0, 3, block(GET)), frame(FrameType.CONTINUATION, 0, 3)],
      frame(FrameType.CONTINUATION, 0, 3),
    ],
    ['max_inbound_priority_frames_per_stream', { maxInboundPriorityFramesPerStream: 2 }, [priority, priority, priority, priority], priority],
    [
      'max_inbound_window_update_frames_per_data_frame_sent',
      { maxInboundWindowUpdateFramesPerDataFrameSent: 1 },
      [update, update, update, update, update, update, update],
      update,
    ],
  ])('%s', async (_name, options, fine, last) => {
    const client = await connect(http2(options));
    await client.send(Buffer.concat([...open, ...fine]));
    expect(client.ended).toBe(false);
    await client.send(last);
    expect(frames(client).at(-1)).toMatch(/^GOAWAY 1 ENHANCE_YOUR_CALM too many [A-Z_]+ frames$/);
  });

  it('windows, table and custom settings are in SETTINGS', async () => {
    const client = await connect(
      http2({
        initialStreamWindowSize: 100_000,
        initialConnectionWindowSize: 200_000,
        hpackTableSize: 0,
        maxConcurrentStreams: 7,
        customSettingsParameters: [{ identifier: 4242, value: 42 }],
      }),
    );
    await client.send(BEGIN);
    const lines = new FrameLines().read(client.text);
    for (const setting of ['000100000000', '000300000007', '0004000186a0', '10920000002a']) expect(lines[0]).toContain(setting);
    expect(lines).toContain(`WINDOW_UPDATE 0 ${200_000 - 65_535}`);
    expect(await client.send(frame(FrameType.HEADERS, Flag.END_HEADERS | Flag.END_STREAM, 1, block(GET)))).not.toBe('');
    expect(frames(client)[0]).toContain('HEADERS 1 :status=200');
  });
});
