import { describe, expect, it } from 'vitest';
import { type ClientStream, RequestHead } from '../http/message.ts';
import { ClientLog } from '../http/testing/client-log.ts';
import { MessageLog } from '../http/testing/exchange-log.ts';
import { ManualTurn } from '../http/testing/manual-turn.ts';
import { Wire } from '../http/testing/wire.ts';
import { TurnWriter } from '../net/turn-writer.ts';
import { Http2ClientConnection } from './client-connection.ts';
import { Flag, FrameType, Setting } from './frame.ts';
import { type Http2Options, http2Options } from './options.ts';
import { data, FrameLines, frame, headers, OK, rst, settings, settingsAck, uint32, windowUpdate } from './testing/frames.ts';

class RawClient {
  readonly wire = new Wire();
  readonly turn = new ManualTurn();
  readonly log = new ClientLog();
  readonly connection: Http2ClientConnection;
  readonly #lines = new FrameLines(true);

  constructor(given: Partial<Http2Options> = {}) {
    const options = http2Options({ nowMs: () => 0, ...given });
    this.connection = new Http2ClientConnection(this.wire, new TurnWriter(this.turn.turn, this.wire), this.log, options);
  }

  static ready(given: Partial<Http2Options> = {}, theirs: Buffer = settings()): RawClient {
    const client = new RawClient(given);
    client.get(theirs, settingsAck);
    return client;
  }

  request(given: Partial<RequestHead> = {}, fin = true): [ClientStream, MessageLog] {
    const log = new MessageLog();
    const head = Object.assign(new RequestHead(), { method: 'GET', path: '/', authority: 'a' }, given);
    return [this.connection.request(head, fin, log), log];
  }

  get(...frames: Buffer[]): string[] {
    const bytes = Buffer.concat(frames);
    this.connection.receive(bytes, 0, bytes.length);
    return this.sent();
  }

  sent(): string[] {
    this.turn.end();
    return this.#lines.read(this.wire.take());
  }
}

function send(stream: ClientStream, text: string, fin: boolean): boolean {
  const bytes = Buffer.from(text, 'latin1');
  return stream.sendBody(bytes, 0, bytes.length, fin);
}

const goaway = (lastId: number, code = 0) => frame(FrameType.GOAWAY, 0, 0, Buffer.concat([uint32(lastId, code), Buffer.from('debug')]));

describe('connection preface', () => {
  it('comes first, with settings that allow no push', () => {
    const client = new RawClient();
    client.turn.end();
    expect(client.wire.text.startsWith('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')).toBe(true);
    const [first, second] = client.sent();
    expect(first).toBe('SETTINGS 00010000100000020000000000040010000000050000400000060000f000');
    expect(second).toBe(`WINDOW_UPDATE 0 ${16 * 1024 * 1024 - 65_535}`);
    expect(client.get(settings())).toEqual(['SETTINGS ack']);
  });

  it('is followed by requests at once, a bounded number until the server has said its own', () => {
    const client = new RawClient({ initialConcurrentStreams: 2 });
    client.request();
    client.request();
    expect(client.connection.capacity).toBe(0);
    expect(client.sent().slice(2)).toEqual([
      'HEADERS 1 :method=GET&:scheme=http&:path=/&:authority=a fin',
      'HEADERS 3 :method=GET&:scheme=http&:path=/&:authority=a fin',
    ]);
    client.get(settings());
    expect(client.log.capacities).toBe(1);
    expect(client.connection.capacity).toBeGreaterThan(1_000_000);
  });

  it.each([
    ['another frame first', headers(1, OK, true)],
    ['HTTP/1', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')],
  ])('refuses a server that sends %s', (_name, bytes) => {
    const client = new RawClient();
    const [, log] = client.request();
    expect(client.get(bytes).at(-1)).toMatch(/^GOAWAY 0 (PROTOCOL|FRAME_SIZE)_ERROR /);
    expect(log.lines).toHaveLength(1);
    expect(client.log.closed).toBeDefined();
  });
});

describe('requests', () => {
  it.each<[string, Partial<RequestHead>, boolean, string]>([
    [
      'headers in lower case',
      { headers: ['X-Case', 'Kept', 'te', 'trailers'] },
      true,
      'HEADERS 1 :method=GET&:scheme=http&:path=/&:authority=a&x-case=Kept&te=trailers fin',
    ],
    [
      'content',
      { method: 'POST', scheme: 'https', headers: ['content-length', '5'] },
      false,
      'HEADERS 1 :method=POST&:scheme=https&:path=/&:authority=a&content-length=5',
    ],
    ['Expect', { method: 'POST', expectContinue: true }, false, 'HEADERS 1 :method=POST&:scheme=http&:path=/&:authority=a&expect=100-continue'],
    ['no authority', { authority: '' }, true, 'HEADERS 1 :method=GET&:scheme=http&:path=/ fin'],
    [
      'no hop-by-hop headers',
      { headers: ['Connection', 'x', 'Upgrade', 'y', 'Host', 'z'] },
      true,
      'HEADERS 1 :method=GET&:scheme=http&:path=/&:authority=a fin',
    ],
    ['CONNECT', { method: 'CONNECT', path: '', authority: 'b:443' }, false, 'HEADERS 1 :method=CONNECT&:authority=b:443'],
    ['an upgrade', { protocol: 'websocket', path: '/ws' }, false, 'HEADERS 1 :method=CONNECT&:scheme=http&:path=/ws&:protocol=websocket&:authority=a'],
  ])('%s', (_name, head, fin, line) => {
    const client = RawClient.ready();
    client.request(head, fin);
    expect(client.sent()).toEqual([line]);
  });

  it('have content, or trailers, and an end', () => {
    const client = RawClient.ready();
    const [stream] = client.request({ method: 'POST' }, false);
    send(stream, 'hello', false);
    send(stream, '', false);
    stream.sendTrailers(['x', 'y']);
    const [other] = client.request({ method: 'POST' }, false);
    send(other, 'all', true);
    const [empty] = client.request({ method: 'POST' }, false);
    send(empty, '', true);
    expect(client.sent().filter((line) => !line.includes(':method'))).toEqual(['DATA 1 hello', 'HEADERS 1 x=y fin', 'DATA 3 all fin', 'DATA 5  fin']);
  });

  it('are bounded by what the server allows', () => {
    const client = RawClient.ready({}, settings({ [Setting.MAX_CONCURRENT_STREAMS]: 1 }));
    const [, log] = client.request();
    expect(client.connection.capacity).toBe(0);
    expect(() => client.request()).toThrow('without capacity');
    client.get(headers(1, OK, true));
    expect(log.lines).toEqual([expect.stringContaining('response'), 'end']);
    expect(client.connection.capacity).toBe(1);
    expect(client.log.capacities).toBe(2);
    client.request();
    client.get(settings({ [Setting.MAX_CONCURRENT_STREAMS]: 0 }));
    expect(client.connection.capacity).toBe(0);
  });

  it('say when the server takes upgrades (RFC 8441)', () => {
    const client = RawClient.ready();
    expect(client.connection.allowsUpgrade).toBe(false);
    client.get(settings({ [Setting.ENABLE_CONNECT_PROTOCOL]: 1 }));
    expect(client.connection.allowsUpgrade).toBe(true);
    expect(client.get(settings({ [Setting.ENABLE_CONNECT_PROTOCOL]: 0 })).at(-1)).toContain('PROTOCOL_ERROR');
  });
});

describe('responses', () => {
  it('arrive with content and trailers', () => {
    const client = RawClient.ready();
    const [, log] = client.request();
    client.get(
      headers(
        1,
        [
          [':status', '103'],
          ['link', 'x'],
        ],
        false,
      ),
      headers(1, [...OK, ['a', 'b']], false),
      data(1, 'hel', false),
      data(1, 'lo', false),
      headers(1, [['grpc-status', '0']], true),
    );
    expect(log.informational.map(({ status, headers: list }) => [status, list])).toEqual([[103, ['link', 'x']]]);
    expect(log.responses[0]).toMatchObject({ status: 200, headers: ['a', 'b'], version: 20, bodyLength: -1 });
    expect(log.lines.slice(2)).toEqual(['body hello', 'trailers ["grpc-status","0"]', 'end']);
    expect(client.connection.activeStreams).toBe(0);
  });

  it.each<[string, string, readonly (readonly [string, string])[], object]>([
    ['a length', 'GET', [...OK, ['content-length', '5']], { bodyLength: 5 }],
    ['HEAD', 'HEAD', [...OK, ['content-length', '5']], { bodyLength: 0 }],
    [
      '304',
      'GET',
      [
        [':status', '304'],
        ['content-length', '5'],
      ],
      { bodyLength: 0 },
    ],
  ])('say %s', (_name, method, fields, expected) => {
    const client = RawClient.ready();
    const [, log] = client.request({ method });
    client.get(headers(1, fields, method === 'HEAD'));
    expect(log.responses[0]).toMatchObject(expected);
  });

  const malformed: [string, readonly (readonly [string, string])[], boolean][] = [
    ['no :status', [['a', 'b']], true],
    ['an empty :status', [[':status', '']], true],
    [':status of two digits', [[':status', '20']], true],
    [':status of four digits', [[':status', '2000']], true],
    [':status that is no number', [[':status', 'abc']], true],
    [':status below 100', [[':status', '099']], true],
    [':status above 599', [[':status', '600']], true],
    [':status 101', [[':status', '101']], false],
    [':status twice', [...OK, ...OK], true],
    [':status after a header', [['a', 'b'], ...OK], true],
    ['another pseudo-header', [...OK, [':path', '/']], true],
    ['an upper-case name', [...OK, ['A', 'b']], true],
    ['a value with CR LF', [...OK, ['a', 'b\r\nx: y']], true],
    ['Connection', [...OK, ['connection', 'close']], true],
    ['Transfer-Encoding', [...OK, ['transfer-encoding', 'chunked']], true],
    ['a length without content', [...OK, ['content-length', '5']], true],
    ['an informational response as the last', [[':status', '100']], true],
  ];
  it.each(malformed)('are malformed with %s: the stream is reset, the others go on', (_name, fields, fin) => {
    const client = RawClient.ready();
    const [, log] = client.request();
    const [, other] = client.request();
    client.sent();
    expect(client.get(headers(1, fields, fin), headers(3, OK, true))).toEqual(['RST_STREAM 1 PROTOCOL_ERROR']);
    expect(log.lines).toHaveLength(1);
    expect(log.lines[0]).toMatch(/^reset ProtocolError: /);
    expect(other.ended).toBe(true);
  });

  it.each<[string, Buffer[], string]>([
    ['content before the response', [data(1, 'x', true)], 'DATA before the response'],
    ['content before the response, after an informational one', [headers(1, [[':status', '100']], false), data(1, 'x', true)], 'DATA before the response'],
    ['more content than the length', [headers(1, [...OK, ['content-length', '1']], false), data(1, 'xy', true)], 'content differs from content-length'],
    ['less content than the length', [headers(1, [...OK, ['content-length', '3']], false), data(1, 'xy', true)], 'content differs from content-length'],
    ['content where there is none to be', [headers(1, [[':status', '204']], false), data(1, 'xy', true)], 'content differs from content-length'],
    ['a second response', [headers(1, OK, false), headers(1, OK, false)], 'trailers that do not end the stream'],
    ['a second response as trailers', [headers(1, OK, false), headers(1, OK, true)], 'pseudo-header in trailers'],
  ])('are wrong with %s', (_name, frames, detail) => {
    const client = RawClient.ready();
    const [, log] = client.request();
    client.sent();
    expect(client.get(...frames)).toEqual(['RST_STREAM 1 PROTOCOL_ERROR']);
    expect(log.lines.at(-1)).toBe(`reset ProtocolError: PROTOCOL_ERROR: ${detail}`);
    expect(log.ended).toBe(false);
  });

  it('that are too large are reset', () => {
    const client = RawClient.ready({ maxHeaderListBytes: 1000 });
    const [, log] = client.request();
    client.get(headers(1, [...OK, ['a', 'x'.repeat(1000)]], true));
    expect(log.lines).toEqual(['reset ProtocolError: PROTOCOL_ERROR: header section too large']);
  });

  it('have a few informational ones before them', () => {
    const client = RawClient.ready({ maxInformational: 2 });
    const [, log] = client.request();
    client.sent();
    const early = headers(1, [[':status', '103']], false);
    expect(client.get(early, early, early)).toEqual(['RST_STREAM 1 ENHANCE_YOUR_CALM']);
    expect(log.lines.at(-1)).toContain('too many informational responses');
  });

  it('that end before their request end the exchange', () => {
    const client = RawClient.ready();
    const [stream, log] = client.request({ method: 'POST' }, false);
    client.sent();
    expect(client.get(headers(1, OK, true))).toEqual(['RST_STREAM 1 NO_ERROR']);
    expect(log.ended).toBe(true);
    expect(send(stream, 'x', true)).toBe(true);
    expect(client.sent()).toEqual([]);
    expect(client.log.capacities).toBe(2);
  });

  it('that come late, after a reset of ours, are dropped', () => {
    const client = RawClient.ready();
    const [stream, log] = client.request();
    stream.reset('LocalReset');
    expect(client.sent().at(-1)).toBe('RST_STREAM 1 CANCEL');
    expect(client.get(headers(1, OK, false), data(1, 'x', true), windowUpdate(1, 1), rst(1, 5))).toEqual([]);
    expect(log.lines).toEqual([]);
    expect(client.connection.capacity).toBeGreaterThan(0);
  });

  it('are flow controlled', () => {
    const client = RawClient.ready({ streamWindowBytes: 65_536, connectionWindowBytes: 10_000_000 });
    const [stream, log] = client.request();
    client.sent();
    stream.pause();
    client.get(headers(1, OK, false));
    const chunk = data(1, 'x'.repeat(16_384), false);
    expect(client.get(chunk, chunk, chunk)).toEqual([]);
    stream.resume();
    expect(client.sent()).toEqual(['WINDOW_UPDATE 1 49152']);
    stream.pause();
    expect(client.get(chunk, chunk, chunk, chunk, chunk)).toEqual(['RST_STREAM 1 FLOW_CONTROL_ERROR']);
    expect(log.lines.at(-1)).toContain('DATA beyond the stream window');
  });
});

describe('resets and the end', () => {
  it.each([
    [7, 'RemoteRefusedStream', 'REFUSED_STREAM'],
    [8, 'RemoteReset', 'CANCEL'],
    [2, 'RemoteReset', 'INTERNAL_ERROR'],
    [99, 'RemoteReset', '99'],
  ])('a reset with code %i is %s', (code, reason, name) => {
    const client = RawClient.ready();
    const [, log] = client.request();
    client.get(rst(1, code));
    expect(log.lines).toEqual([`reset ${reason}: ${name}`]);
    expect(client.connection.activeStreams).toBe(0);
  });

  it('a server may refuse as much as it likes', () => {
    const client = RawClient.ready({ maxResetBurst: 10, resetsPerSecond: 0 });
    for (let id = 1; id < 200; id += 2) {
      client.request();
      client.get(rst(id, 7));
    }
    expect(client.log.closed).toBeUndefined();
  });

  it('GOAWAY: what the server has not looked at may be sent again, the rest goes on', () => {
    const client = RawClient.ready();
    const [, first] = client.request();
    const [, second] = client.request();
    const [, third] = client.request();
    client.get(goaway(3));
    expect(client.log.draining).toBe(true);
    expect(client.connection.capacity).toBe(0);
    expect(third.lines).toEqual(['reset RemoteRefusedStream: GOAWAY']);
    client.get(headers(1, OK, true));
    expect(client.log.closed).toBeUndefined();
    expect(client.get(headers(3, OK, true))).toEqual(['GOAWAY 0 NO_ERROR ']);
    expect([first.ended, second.ended]).toEqual([true, true]);
    expect(client.log.closed).toBe('');
    expect(client.wire.ended).toBe(true);
  });

  it('GOAWAY in two steps', () => {
    const client = RawClient.ready();
    const [, first] = client.request();
    client.get(goaway(0x7fffffff));
    expect(first.lines).toEqual([]);
    client.get(goaway(1));
    expect(first.lines).toEqual([]);
    client.get(headers(1, OK, true));
    expect(client.log.closed).toBe('');
  });

  it('GOAWAY on an idle connection closes it', () => {
    const client = RawClient.ready();
    client.get(goaway(0));
    expect(client.log.closed).toBe('');
  });

  it('drains', () => {
    const client = RawClient.ready();
    const [, log] = client.request();
    client.connection.drain();
    expect(client.connection.capacity).toBe(0);
    client.get(headers(1, OK, true));
    expect(log.ended).toBe(true);
    expect(client.log.closed).toBe('');
    const idle = RawClient.ready();
    idle.connection.drain();
    expect(idle.log.closed).toBe('');
  });

  it('resets all with the connection', () => {
    const client = RawClient.ready();
    const logs = [client.request()[1], client.request()[1]];
    client.connection.transportClosed('ECONNRESET');
    for (const log of logs) expect(log.lines).toEqual(['reset ConnectionTermination: ECONNRESET']);
    expect(client.log.closed).toBe('ECONNRESET');
    expect(client.connection.capacity).toBe(0);
  });

  it.each<[string, Buffer[], string]>([
    ['a push', [frame(FrameType.PUSH_PROMISE, 4, 1, uint32(2))], 'PROTOCOL_ERROR: invalid PUSH_PROMISE frame'],
    ['HEADERS on an idle stream', [headers(5, OK, true)], 'PROTOCOL_ERROR: HEADERS on an idle stream'],
    ['HEADERS on a stream of the server', [headers(2, OK, true)], 'PROTOCOL_ERROR: HEADERS on an idle stream'],
    ['DATA on an idle stream', [data(5, 'x', true)], 'PROTOCOL_ERROR: DATA on an idle stream'],
    ['RST_STREAM on an idle stream', [rst(5, 0)], 'PROTOCOL_ERROR: RST_STREAM on an idle stream'],
    ['SETTINGS_ENABLE_PUSH of 1', [settings({ [Setting.ENABLE_PUSH]: 1 })], 'PROTOCOL_ERROR: invalid SETTINGS_ENABLE_PUSH'],
  ])('ends at %s', (_name, frames, detail) => {
    const client = RawClient.ready();
    const [, log] = client.request();
    client.get(...frames);
    expect(client.log.closed).toBe(detail);
    expect(log.lines).toEqual([`reset ProtocolError: ${detail}`]);
    expect(client.wire.ended).toBe(true);
  });
});

describe('tunnels', () => {
  it('pass bytes both ways, each end by itself', () => {
    const client = RawClient.ready();
    const [stream, log] = client.request({ protocol: 'websocket' }, false);
    client.get(headers(1, OK, false), data(1, 'hello', false));
    expect(log.responses[0]).toMatchObject({ status: 200, tunnel: true });
    client.sent();
    send(stream, 'there', true);
    expect(client.sent()).toEqual(['DATA 1 there fin']);
    client.get(data(1, '!', true));
    expect(log.lines.slice(1)).toEqual(['body hello!', 'end']);
    expect(client.connection.activeStreams).toBe(0);
  });

  it('whose end comes from the server first stay open for ours', () => {
    const client = RawClient.ready();
    const [stream] = client.request({ method: 'CONNECT', authority: 'b:1', path: '' }, false);
    client.sent();
    expect(client.get(headers(1, OK, false), data(1, '', true))).toEqual([]);
    send(stream, 'more', true);
    expect(client.sent()).toEqual(['DATA 1 more fin']);
  });

  it('take no trailers', () => {
    const client = RawClient.ready();
    const [, log] = client.request({ method: 'CONNECT', authority: 'b:1', path: '' }, false);
    client.sent();
    expect(client.get(headers(1, OK, false), headers(1, [['a', 'b']], true))).toEqual(['RST_STREAM 1 PROTOCOL_ERROR']);
    expect(log.lines.at(-1)).toContain('HEADERS in a tunnel');
  });
});

it('reads a head with padding and priority, in pieces', () => {
  const client = RawClient.ready();
  const [, log] = client.request();
  client.get(
    frame(FrameType.HEADERS, Flag.END_STREAM | Flag.PADDED | Flag.PRIORITY, 1, [2, 0, 0, 0, 0, 16, 0x88, 0, 0]),
    frame(FrameType.CONTINUATION, Flag.END_HEADERS, 1, [0, 1, 0x61, 1, 0x62]),
  );
  expect(log.responses[0]).toMatchObject({ status: 200, headers: ['a', 'b'] });
  expect(log.ended).toBe(true);
});
