import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TestEngine } from '../testing/test-engine.ts';
import { Flag, FrameType, Setting } from './frame.ts';
import { block, data, frame, headers, OK, ping, rst, settings, settingsAck, uint32, windowUpdate } from './testing/frames.ts';
import { type Conduct, HostileUpstream } from './testing/hostile-upstream.ts';

let engine: TestEngine;

beforeEach(() => {
  engine = new TestEngine();
});
afterEach(async () => {
  // Nothing is left of any of it, and no mistake was made on the way.
  expect(engine.runtime.faults.count).toBe(0);
  expect(await engine.close()).toEqual([]);
});

interface Outcome {
  /** The client's answer: status and content; "cut" where it was not whole. */
  readonly client: string;
  /** How we told the server: RST_STREAM or GOAWAY. */
  readonly told: string;
  /** Whether the next request went over the same connection. */
  readonly next: 'same' | 'new';
}

async function ask(conduct: Conduct): Promise<Outcome> {
  const upstream = new HostileUpstream(engine, 'up', conduct);
  engine.cluster('c', { endpoints: ['up'], http2: true });
  await engine.listener('in', { routes: [{ match: { prefix: '/' }, route: { cluster: 'c', timeout: '5s' } }] });
  const call = await engine.client('in', { http2: true }).call();
  const status = call.informational.length > 0 ? `${call.informational.join(' ')} ${call.status}` : String(call.status);
  const client = call.reset !== '' ? `${status} cut` : call.status === 200 ? `${status} ${call.body}` : status;
  await engine.settle();
  const after = await engine.client('in', { http2: true }).call();
  expect([after.status, after.body]).toEqual([200, 'good']);
  const told = upstream.received[0]!.filter((line) => /^(?:RST_STREAM|GOAWAY)/.test(line)).join('; ');
  return { client, told, next: upstream.received.length === 1 ? 'same' : 'new' };
}

const head = (...fields: [string, string][]) => [...OK, ...fields];
const answer = (fields: readonly (readonly [string, string])[], content = 'hello') => [headers(1, fields, false), data(1, content, true)];
const whole = answer(OK);
const setting = (id: number, value: number) => settings({ [id]: value });

describe('an error of the connection ends it by GOAWAY, and the next request takes another:', () => {
  it.each<[string, Conduct, string]>([
    ['no SETTINGS first', { first: Buffer.alloc(0), frames: whole }, 'PROTOCOL_ERROR no SETTINGS frame first'],
    ['HTTP/1', { first: Buffer.from('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n'), frames: [] }, '(?:FRAME_SIZE|PROTOCOL)_ERROR'],
    ['SETTINGS of a wrong size', { frames: [frame(FrameType.SETTINGS, 0, 0, [0, 0, 0, 0, 0])] }, 'FRAME_SIZE_ERROR'],
    ['SETTINGS on a stream', { frames: [frame(FrameType.SETTINGS, 0, 1)] }, 'PROTOCOL_ERROR'],
    ['an acknowledgement with content', { frames: [frame(FrameType.SETTINGS, Flag.ACK, 0, [0, 0, 0, 0, 0, 0])] }, 'FRAME_SIZE_ERROR'],
    ['push switched on', { frames: [setting(Setting.ENABLE_PUSH, 1)] }, 'PROTOCOL_ERROR'],
    ['a window beyond 2^31', { frames: [setting(Setting.INITIAL_WINDOW_SIZE, 0x8000_0000)] }, 'FLOW_CONTROL_ERROR'],
    ['a frame size below 16,384', { frames: [setting(Setting.MAX_FRAME_SIZE, 16_383)] }, 'PROTOCOL_ERROR'],
    ['a pushed stream', { frames: [frame(5, Flag.END_HEADERS, 1, Buffer.concat([uint32(2), block(OK)]))] }, 'PROTOCOL_ERROR'],
    ['a frame larger than allowed', { frames: [frame(FrameType.DATA, 0, 1, Buffer.alloc(16_385))] }, 'FRAME_SIZE_ERROR'],
    ['DATA on stream 0', { frames: [frame(FrameType.DATA, 0, 0, 'x')] }, 'PROTOCOL_ERROR'],
    ['HEADERS on stream 0', { frames: [headers(0, OK, true)] }, 'PROTOCOL_ERROR'],
    ['HEADERS on a stream that nobody began', { frames: [headers(3, OK, true)] }, 'PROTOCOL_ERROR'],
    ['HEADERS on an even stream', { frames: [headers(2, OK, true)] }, 'PROTOCOL_ERROR'],
    ['DATA on a stream that nobody began', { frames: [data(5, 'x', true)] }, 'PROTOCOL_ERROR'],
    ['RST_STREAM on stream 0', { frames: [rst(0)] }, 'PROTOCOL_ERROR'],
    ['RST_STREAM on a stream that nobody began', { frames: [rst(7)] }, 'PROTOCOL_ERROR'],
    ['RST_STREAM of a wrong size', { frames: [frame(FrameType.RST_STREAM, 0, 1, [0])] }, 'FRAME_SIZE_ERROR'],
    ['PING of a wrong size', { frames: [frame(FrameType.PING, 0, 0, 'short')] }, 'FRAME_SIZE_ERROR'],
    ['PING on a stream', { frames: [frame(FrameType.PING, 0, 1, '12345678')] }, 'PROTOCOL_ERROR'],
    ['GOAWAY on a stream', { frames: [frame(FrameType.GOAWAY, 0, 1, uint32(0, 0))] }, 'PROTOCOL_ERROR'],
    ['GOAWAY of a wrong size', { frames: [frame(FrameType.GOAWAY, 0, 0, [0])] }, 'FRAME_SIZE_ERROR'],
    ['WINDOW_UPDATE of a wrong size', { frames: [frame(FrameType.WINDOW_UPDATE, 0, 0, [0, 0, 1])] }, 'FRAME_SIZE_ERROR'],
    ['WINDOW_UPDATE of 0', { frames: [windowUpdate(0, 0)] }, 'PROTOCOL_ERROR'],
    ['a connection window beyond 2^31', { frames: [windowUpdate(0, 0x7fff_ffff)] }, 'FLOW_CONTROL_ERROR'],
    ['CONTINUATION of nothing', { frames: [frame(FrameType.CONTINUATION, Flag.END_HEADERS, 1, block(OK))] }, 'PROTOCOL_ERROR'],
    ['a header block with DATA inside', { frames: [frame(FrameType.HEADERS, 0, 1, block(OK)), data(1, 'x', true)] }, 'PROTOCOL_ERROR'],
    [
      'CONTINUATION without end',
      { frames: [frame(FrameType.HEADERS, 0, 1, block(OK)), ...Array.from({ length: 40 }, () => frame(FrameType.CONTINUATION, 0, 1))] },
      'ENHANCE_YOUR_CALM',
    ],
    ['HPACK that is none', { frames: [frame(FrameType.HEADERS, 5, 1, [0xff, 0xff, 0xff, 0xff, 0xff])] }, 'COMPRESSION_ERROR'],
    ['an index of HPACK that is not there', { frames: [frame(FrameType.HEADERS, 5, 1, [0xff, 0x20])] }, 'COMPRESSION_ERROR'],
    [
      'an HPACK bomb',
      {
        frames: [
          frame(
            FrameType.HEADERS,
            5,
            1,
            Buffer.concat([block(OK), Buffer.from([0x40, 1, 0x61, 0x7f, 0xb1, 0x1e]), Buffer.alloc(4016, 0x78), Buffer.alloc(11_000, 0xbe)]),
          ),
        ],
      },
      'ENHANCE_YOUR_CALM',
    ],
    ['padding longer than its frame', { frames: [frame(FrameType.HEADERS, Flag.END_HEADERS | Flag.PADDED, 1, [200, ...block(OK)])] }, 'PROTOCOL_ERROR'],
    ['a flood of PING', { frames: Array.from({ length: 3000 }, () => ping('12345678')) }, 'ENHANCE_YOUR_CALM'],
    ['a flood of SETTINGS', { frames: Array.from({ length: 3000 }, () => settings()) }, 'ENHANCE_YOUR_CALM'],
    ['a flood of empty DATA', { frames: [headers(1, OK, false), ...Array.from({ length: 3000 }, () => data(1, '', false))] }, 'ENHANCE_YOUR_CALM'],
  ])('%s', async (_name, conduct, code) => {
    const { client, told, next } = await ask(conduct);
    expect(client).toMatch(/^(?:50[23]|200 cut)$/);
    expect(told).toMatch(new RegExp(`^GOAWAY 0 ${code}`));
    expect(next).toBe('new');
  });
});

describe('an error of a stream resets it alone:', () => {
  it.each<[string, Buffer[], string?]>([
    ['no :status', [headers(1, [['a', 'b']], true)]],
    [':status twice', [headers(1, [...OK, ...OK], true)]],
    [':status that is no number', [headers(1, [[':status', 'abc']], true)]],
    [':status 99', [headers(1, [[':status', '099']], true)]],
    [':status of four digits', [headers(1, [[':status', '2000']], true)]],
    ['101', [headers(1, [[':status', '101']], false)]],
    ['an informational response as the last', [headers(1, [[':status', '103']], true)]],
    ['a header in upper case', answer(head(['X', 'y']))],
    ['a header with a space', answer(head(['x y', 'z']))],
    ['a header without a name', answer(head(['', 'z']))],
    ['CR LF in a value', answer(head(['x', 'a\r\nset-cookie: b=c']))],
    ['NUL in a value', answer(head(['x', 'a\0']))],
    ['Connection', answer(head(['connection', 'close']))],
    ['Transfer-Encoding', answer(head(['transfer-encoding', 'chunked']))],
    ['Upgrade', answer(head(['upgrade', 'h2c']))],
    ['a pseudo-header after a header', answer([['a', 'b'], ...OK])],
    ['a pseudo-header of requests', answer(head([':path', '/']))],
    ['an unknown pseudo-header', answer(head([':x', 'y']))],
    ['a length that is none', answer(head(['content-length', '+5']))],
    ['two lengths', answer(head(['content-length', '5'], ['content-length', '5']))],
    ['more content than its length', answer(head(['content-length', '2'])), 'cut'],
    ['less content than its length', answer(head(['content-length', '9'])), 'cut'],
    ['a length and no content', [headers(1, head(['content-length', '9']), true)]],
    ['a length as a trailer cuts it', [headers(1, head(['content-length', '9']), false), data(1, 'hello', false), headers(1, [['t', 'x']], true)], 'cut'],
    ['DATA before the head', [data(1, 'x', true)]],
    ['a second head', [headers(1, OK, false), headers(1, OK, false)], 'cut'],
    ['trailers with a pseudo-header', [headers(1, OK, false), headers(1, OK, true)], 'cut'],
    ['trailers that do not end the stream', [headers(1, OK, false), headers(1, [['t', 'x']], false)], 'cut'],
    ['trailers with CR LF', [headers(1, OK, false), headers(1, [['t', 'a\r\nb']], true)], 'cut'],
    ['WINDOW_UPDATE of 0 on the stream', [windowUpdate(1, 0)]],
    ['a head too large', answer(head(...Array.from({ length: 96 }, (_, i): [string, string] => [`x${i}`, 'y'.repeat(612)])))],
    ['too many headers', answer(head(...Array.from({ length: 150 }, (_, i): [string, string] => [`x${i}`, 'y'])))],
    ['17 informational responses', [...Array.from({ length: 17 }, () => headers(1, [[':status', '103']], false)), ...whole]],
  ])('%s', async (_name, frames, how) => {
    const { client, told, next } = await ask({ frames: frames.flatMap(split) });
    expect(client).toMatch(how === 'cut' ? /^200 cut$/ : /^(?:103 )*50[23]$/);
    expect(told).toMatch(/^RST_STREAM 1 (?:PROTOCOL_ERROR|ENHANCE_YOUR_CALM|FLOW_CONTROL_ERROR)$/);
    expect(next).toBe('same');
  });

  /** A HEADERS frame larger than a peer takes, with CONTINUATION. */
  function split(given: Buffer): Buffer[] {
    if (given.length <= 16_384 || given[3] !== FrameType.HEADERS) return [given];
    const payload = given.subarray(9);
    const id = given.readUInt32BE(5);
    const pieces: Buffer[] = [];
    for (let p = 0; p < payload.length; p += 16_000) {
      const last = p + 16_000 >= payload.length;
      const flags = (p === 0 ? given[4]! & Flag.END_STREAM : 0) | (last ? Flag.END_HEADERS : 0);
      pieces.push(frame(p === 0 ? FrameType.HEADERS : FrameType.CONTINUATION, flags, id, payload.subarray(p, p + 16_000)));
    }
    return pieces;
  }
});

describe('what is odd and right is passed on:', () => {
  it.each<[string, Conduct, string?]>([
    ['103 first', { frames: [headers(1, [[':status', '103']], false), ...whole] }, '103 200 hello'],
    ['padded HEADERS', { frames: [frame(FrameType.HEADERS, Flag.END_HEADERS | Flag.PADDED, 1, [2, ...block(OK), 0, 0]), data(1, 'hello', true)] }],
    ['padded DATA', { frames: [headers(1, OK, false), frame(FrameType.DATA, Flag.END_STREAM | Flag.PADDED, 1, Buffer.from('\x03hello\0\0\0'))] }],
    [
      'a head with a priority',
      { frames: [frame(FrameType.HEADERS, Flag.END_HEADERS | Flag.PRIORITY, 1, [0, 0, 0, 0, 5, ...block(OK)]), data(1, 'hello', true)] },
    ],
    [
      'a head in pieces',
      { frames: [frame(FrameType.HEADERS, 0, 1, block(OK)), frame(FrameType.CONTINUATION, Flag.END_HEADERS, 1, block([['a', 'b']])), data(1, 'hello', true)] },
    ],
    ['an empty DATA at the end', { frames: [headers(1, OK, false), data(1, 'hello', false), data(1, '', true)] }],
    ['trailers', { frames: [headers(1, OK, false), data(1, 'hello', false), headers(1, [['t', 'x']], true)] }],
    ['unknown frames and settings', { first: settings({ 4242: 1 }), frames: [frame(200, 255, 1, 'what'), ...whole] }],
    [
      'PRIORITY, PING and a window',
      { frames: [frame(FrameType.PRIORITY, 0, 1, [0, 0, 0, 0, 1]), ping('12345678'), windowUpdate(1, 1000), windowUpdate(0, 1000), ...whole] },
    ],
    ['an acknowledgement more', { frames: [settingsAck, settingsAck, ...whole] }],
    ['a window that shuts and opens', { frames: [setting(Setting.INITIAL_WINDOW_SIZE, 0), setting(Setting.INITIAL_WINDOW_SIZE, 100), ...whole] }],
    ['a reset after the end', { frames: [...whole, rst(1, 0)] }],
    ['a reset of a stream that is no more', { frames: [...whole, rst(1), rst(1)] }],
    ['WINDOW_UPDATE after the end', { frames: [...whole, windowUpdate(1, 10)] }],
    ['frames cut anywhere', { frames: [...whole].flatMap((bytes) => [...bytes].map((byte) => Buffer.from([byte]))) }],
    [
      'a table that it shrinks',
      { frames: [frame(FrameType.HEADERS, Flag.END_HEADERS, 1, Buffer.concat([Buffer.from([0x20]), block(OK)])), data(1, 'hello', true)] },
    ],
  ])('%s', async (_name, conduct, client = '200 hello') => {
    expect(await ask(conduct)).toEqual({ client, told: '', next: 'same' });
  });

  it('DATA after the end is dropped, and the connection stays', async () => {
    expect(await ask({ frames: [...whole, data(1, 'more', false)] })).toMatchObject({ client: '200 hello', next: 'same' });
  });
});

describe('the end comes', () => {
  it.each<[string, Conduct, Outcome]>([
    [
      'by GOAWAY, with the answer still to come',
      { frames: [frame(FrameType.GOAWAY, 0, 0, uint32(1, 0)), ...whole] },
      { client: '200 hello', told: 'GOAWAY 0 NO_ERROR ', next: 'new' },
    ],
    [
      'by GOAWAY that does not count the request, which a retry policy may ask for again',
      { frames: [frame(FrameType.GOAWAY, 0, 0, uint32(0, 0))] },
      { client: '503', told: 'GOAWAY 0 NO_ERROR ', next: 'new' },
    ],
    ['by an end before the answer', { frames: [], after: 'end' }, { client: '503', told: '', next: 'new' }],
    ['by a cut before the answer', { frames: [], after: 'destroy' }, { client: '503', told: '', next: 'new' }],
    ['by an end inside the answer', { frames: [headers(1, OK, false), data(1, 'he', false)], after: 'end' }, { client: '200 cut', told: '', next: 'new' }],
    ['inside a frame', { frames: [headers(1, OK, false), data(1, 'hello', true).subarray(0, 11)], after: 'end' }, { client: '200 cut', told: '', next: 'new' }],
    ['by a reset of the stream', { frames: [rst(1, 8)] }, { client: '503', told: '', next: 'same' }],
    ['by a reset inside the answer', { frames: [headers(1, OK, false), rst(1, 2)] }, { client: '200 cut', told: '', next: 'same' }],
    ['never', { frames: [] }, { client: '504', told: 'RST_STREAM 1 CANCEL', next: 'same' }],
    [
      'never, with all streams taken away',
      { frames: [setting(Setting.MAX_CONCURRENT_STREAMS, 0)] },
      { client: '504', told: 'RST_STREAM 1 CANCEL', next: 'new' },
    ],
  ])('%s', async (_name, conduct, outcome) => {
    expect(await ask(conduct)).toEqual(outcome);
  });
});

it('connection_idle_interval: a connection that does not answer is not asked for long', async () => {
  const options = { explicitHttpConfig: { http2ProtocolOptions: { connectionKeepalive: { timeout: '1s', connectionIdleInterval: '10s' } } } };
  const type = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
  const upstream = new HostileUpstream(engine, 'up', { frames: whole });
  engine.cluster('c', { endpoints: ['up'], fields: { typedExtensionProtocolOptions: { [type]: { '@type': `type.googleapis.com/${type}`, ...options } } } });
  await engine.listener('in', { routes: [{ match: { prefix: '/' }, route: { cluster: 'c', timeout: '5s' } }] });
  const client = engine.client('in', { http2: true });
  expect((await client.call()).body).toBe('hello');
  await engine.advance(5000);
  await client.call();
  expect(upstream.received[0]).not.toContain('PING keepaliv');
  await engine.advance(15_000);
  await client.call();
  expect(upstream.received[0]).toContain('PING keepaliv');
  // It never answered that.
  await engine.advance(2000);
  await client.call();
  expect(upstream.received).toHaveLength(2);
});
