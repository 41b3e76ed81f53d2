import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ClientStream, RequestHead, ResponseHead } from '../http/message.ts';
import { ClientLog } from '../http/testing/client-log.ts';
import { type Exchange, MessageLog, ServerLog } from '../http/testing/exchange-log.ts';
import { ManualTurn } from '../http/testing/manual-turn.ts';
import { Wire } from '../http/testing/wire.ts';
import { TurnWriter } from '../net/turn-writer.ts';
import { Http2ClientConnection } from './client-connection.ts';
import { Flag, FrameType } from './frame.ts';
import { type Http2Options, http2Options } from './options.ts';
import { Http2ServerConnection } from './server-connection.ts';
import { block, frame, GET, PREFACE, settings, uint32 } from './testing/frames.ts';
import { RawServer } from './testing/server.ts';

/** Both sides of a connection; bytes are carried over by hand, cut into pieces. */
class Pair {
  readonly turn = new ManualTurn();
  readonly clientWire = new Wire();
  readonly serverWire = new Wire();
  readonly events = new ClientLog();
  readonly client: Http2ClientConnection;
  readonly serverLog: ServerLog;
  readonly server: Http2ServerConnection;
  readonly #size: number;

  constructor(given: Partial<Http2Options>, size: number, handle: (exchange: Exchange) => void) {
    const options = http2Options({ nowMs: () => 0, ...given });
    this.#size = size;
    this.serverLog = new ServerLog(handle);
    this.client = new Http2ClientConnection(this.clientWire, new TurnWriter(this.turn.turn, this.clientWire), this.events, options);
    this.server = new Http2ServerConnection(this.serverWire, new TurnWriter(this.turn.turn, this.serverWire), this.serverLog, options);
  }

  /** Until neither has anything more to say. */
  carry(): void {
    for (let quiet = false; !quiet; ) {
      this.turn.end();
      const up = this.clientWire.take();
      const down = this.serverWire.take();
      quiet = up === '' && down === '';
      this.#give(this.server, up);
      this.#give(this.client, down);
    }
  }

  #give(to: Http2ClientConnection | Http2ServerConnection, text: string): void {
    const bytes = Buffer.from(text, 'latin1');
    for (let p = 0; p < bytes.length; p += this.#size) {
      const piece = Buffer.from(bytes.subarray(p, p + this.#size));
      to.receive(piece, 0, piece.length);
      piece.fill(0x5a);
    }
  }
}

const token = fc.string({ unit: fc.constantFrom(...'abcdefghijklmnopqrstuvwxyz0123456789-_'), minLength: 1, maxLength: 12 });
const value = fc
  .string({
    unit: fc
      .integer({ min: 0x20, max: 0xff })
      .filter((code) => code !== 0x7f)
      .map((code) => String.fromCharCode(code)),
    maxLength: 20,
  })
  .map((text) => text.replace(/^ +| +$/g, ''));
const headers = fc.array(
  fc.tuple(
    token.map((name) => `x${name}`),
    value,
  ),
  { maxLength: 6 },
);
const content = fc.oneof(
  fc.constant(''),
  fc.string({ unit: 'binary-ascii', maxLength: 60 }),
  fc.constantFrom(1000, 16_384, 70_000).map((size) => 'abcdefghij'.repeat(size / 10)),
);
const message = fc.record({ headers, chunks: fc.array(content, { maxLength: 3 }), trailers: fc.option(headers.filter((list) => list.length > 0)) });
type Message = typeof message extends fc.Arbitrary<infer Shape> ? Shape : never;
const exchange = fc.record({ path: token, request: message, response: message, early: fc.boolean() });

function send(stream: Pick<ClientStream, 'sendBody' | 'sendTrailers'>, { chunks, trailers }: Message): void {
  for (const chunk of chunks) {
    const bytes = Buffer.from(chunk, 'latin1');
    stream.sendBody(bytes, 0, bytes.length, false);
    // What was given is the codec's: the caller's buffer is used again.
    bytes.fill(0x5a);
  }
  if (trailers === null) stream.sendBody(Buffer.alloc(0), 0, 0, true);
  else stream.sendTrailers(trailers.flat());
}

function expected({ chunks, trailers }: Message): string[] {
  const text = chunks.join('');
  return [...(text === '' ? [] : [`body ${text}`]), ...(trailers === null ? [] : [`trailers ${JSON.stringify(trailers.flat())}`]), 'end'];
}

describe('a client and a server of ours', () => {
  it('hear what the other has said, on many streams at once, through windows of any size', () => {
    fc.assert(
      fc.property(
        fc.array(exchange, { minLength: 1, maxLength: 6 }),
        fc.constantFrom(65_535, 100_000, 10_000_000),
        fc.constantFrom(7, 1000, 65_536),
        (all, window, size) => {
          const pair = new Pair({ streamWindowBytes: window, connectionWindowBytes: window }, size, ({ stream, head, log }) => {
            const { response, early } = all[+head.path.split('/')[1]!]!;
            const respond = () => {
              stream.sendResponse(Object.assign(new ResponseHead(), { status: 200, headers: response.headers.flat() }), false);
              send(stream, response);
            };
            log.on = () => log.ended && respond();
            if (early) stream.sendInformational(Object.assign(new ResponseHead(), { status: 103 }));
          });
          const logs = all.map(({ path, request }, i) => {
            const log = new MessageLog();
            const head = Object.assign(new RequestHead(), {
              method: 'POST',
              path: `/${i}/${path}`,
              authority: 'a:1',
              headers: request.headers.flat(),
              bodyLength: -1,
            });
            send(pair.client.request(head, false, log), request);
            return log;
          });
          pair.carry();
          all.forEach(({ path, request, response, early }, i) => {
            const heard = pair.serverLog.exchanges[i]!;
            expect(heard.head).toMatchObject({ method: 'POST', path: `/${i}/${path}`, authority: 'a:1', headers: request.headers.flat() });
            expect(heard.log.lines).toEqual(expected(request));
            expect(logs[i]!.informational).toHaveLength(early ? 1 : 0);
            expect(logs[i]!.responses[0]!.headers).toEqual(response.headers.flat());
            expect(logs[i]!.lines.slice(early ? 2 : 1)).toEqual(expected(response));
          });
          expect([pair.client.activeStreams, pair.server.activeStreams]).toEqual([0, 0]);
          expect([pair.events.closed, pair.serverLog.closed]).toEqual([undefined, undefined]);
        },
      ),
      { numRuns: 100 },
    );
  });
});

describe('any bytes', () => {
  const fields = fc.array(
    fc.constantFrom(...GET, ['a', 'b'], ['A', 'b'], ['cookie', 'x'], ['content-length', '3'], [':status', '200'], ['te', 'trailers']) as fc.Arbitrary<
      [string, string]
    >,
    { maxLength: 6 },
  );
  const payload = fc.oneof(
    fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
    fields.map((list) => block([...GET, ...list])),
    fc.constantFrom(uint32(1), uint32(0), uint32(0x7fffffff), uint32(1, 0), Buffer.from('12345678'), Buffer.alloc(0)),
  );
  const one = fc
    .record({
      type: fc.oneof(
        { weight: 3, arbitrary: fc.constantFrom(FrameType.HEADERS, FrameType.DATA, FrameType.CONTINUATION) },
        { weight: 2, arbitrary: fc.integer({ min: 0, max: 11 }) },
      ),
      flags: fc.oneof(fc.constantFrom(0, 1, 4, 5), fc.constantFrom(Flag.PADDED | 5, Flag.PRIORITY | 5)),
      id: fc.constantFrom(0, 1, 1, 3, 5, 2),
      payload,
    })
    .map(({ type, flags, id, payload: bytes }) => frame(type, flags, id, bytes));

  /** What a server hears and answers; each request of odd number is answered at once. */
  function serve(bytes: Buffer, size: number): string[] {
    const server: RawServer = RawServer.ready({}, ({ stream, log }) => {
      if (server.log.exchanges.length % 2 === 1) stream.sendResponse(Object.assign(new ResponseHead(), { status: 200 }), true);
      else log.on = (event) => event === 'body' && stream.pause();
    });
    const sent: string[] = [];
    for (let p = 0; p < bytes.length; p += size) sent.push(...server.get(bytes.subarray(p, p + size)));
    server.connection.receiveEnd();
    return [...sent, ...server.log.lines];
  }

  it('come to an end, the same however they are cut', () => {
    fc.assert(
      fc.property(fc.array(one, { maxLength: 12 }), fc.integer({ min: 1, max: 50 }), (frames, size) => {
        const bytes = Buffer.concat(frames);
        const whole = serve(bytes, Math.max(1, bytes.length));
        expect(serve(bytes, size)).toEqual(whole);
        expect(whole.at(-1)).toMatch(/^closed/);
      }),
      { numRuns: 1500 },
    );
  });

  it('come to an end as a response', () => {
    fc.assert(
      fc.property(fc.array(one, { maxLength: 12 }), (frames) => {
        const wire = new Wire();
        const turn = new ManualTurn();
        const events = new ClientLog();
        const client = new Http2ClientConnection(wire, new TurnWriter(turn.turn, wire), events, http2Options({ nowMs: () => 0 }));
        const logs = [new MessageLog(), new MessageLog()];
        for (const log of logs) client.request(Object.assign(new RequestHead(), { method: 'POST', path: '/', authority: 'a', bodyLength: -1 }), false, log);
        const bytes = Buffer.concat([settings(), ...frames]);
        client.receive(bytes, 0, bytes.length);
        turn.end();
        client.receiveEnd();
        expect(events.closed).toBeDefined();
        // Each stream has one end, and hears nothing after it.
        for (const { lines } of logs) expect(lines.filter((line) => line === 'end' || line.startsWith('reset'))).toHaveLength(1);
      }),
      { numRuns: 1500 },
    );
  });

  it('that are no frames at all', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        expect(serve(Buffer.from(bytes), 10).at(-1)).toMatch(/^closed/);
        const server = new RawServer();
        server.get(PREFACE.subarray(0, 10), Buffer.from(bytes));
      }),
      { numRuns: 500 },
    );
  });
});
