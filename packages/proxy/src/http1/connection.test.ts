import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RequestHead, ResponseHead } from '../http/message.ts';
import { ClientLog } from '../http/testing/client-log.ts';
import { type Exchange, MessageLog, ServerLog } from '../http/testing/exchange-log.ts';
import { ManualTurn } from '../http/testing/manual-turn.ts';
import { Wire } from '../http/testing/wire.ts';
import { TurnWriter } from '../net/turn-writer.ts';
import { Http1ClientConnection } from './client-connection.ts';
import { type Http1Options, http1Options } from './options.ts';
import { Http1ServerConnection } from './server-connection.ts';

/** Ends of the pieces that `bytes` is cut into. */
function pieces(bytes: Buffer, cuts: readonly number[]): number[] {
  return [...new Set([...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length])].sort((a, b) => a - b);
}

/** All that a server hears and answers. Each piece is overwritten after it was given, as the shared read buffer is. */
function serve(text: string, cuts: readonly number[], given: Partial<Http1Options> = {}): string[] {
  const wire = new Wire();
  const turn = new ManualTurn();
  const answered = new Set<Exchange>();
  const log = new ServerLog();
  const connection = new Http1ServerConnection(wire, new TurnWriter(turn.turn, wire), log, http1Options(given));
  const bytes = Buffer.from(text, 'latin1');
  let start = 0;
  for (const end of pieces(bytes, cuts)) {
    const piece = Buffer.from(bytes.subarray(start, end));
    connection.receive(piece, 0, piece.length);
    piece.fill(0x5a);
    start = end;
  }
  // Answered at the end, so that the cuts make no difference to what was there when.
  for (let i = 0; i < log.exchanges.length; i++) {
    const exchange = log.exchanges[i]!;
    if (answered.has(exchange)) continue;
    answered.add(exchange);
    const head = Object.assign(new ResponseHead(), { status: 200, bodyLength: 0 });
    exchange.stream.sendResponse(head, true);
  }
  connection.receiveEnd();
  turn.end();
  return [...log.lines, wire.text];
}

/** All that a client hears of the answers to requests of these methods. */
function ask(text: string, methods: readonly string[], cuts: readonly number[]): string[] {
  const wire = new Wire();
  const turn = new ManualTurn();
  const events = new ClientLog();
  const connection = new Http1ClientConnection(wire, new TurnWriter(turn.turn, wire), events, http1Options());
  const logs: MessageLog[] = [];
  const next = () => {
    const method = methods[logs.length];
    if (method === undefined || connection.capacity === 0) return;
    const log = new MessageLog();
    logs.push(log);
    connection.request(Object.assign(new RequestHead(), { method, path: '/', authority: 'a:1' }), true, log);
  };
  events.onFree = next;
  next();
  const bytes = Buffer.from(text, 'latin1');
  let start = 0;
  for (const end of pieces(bytes, cuts)) {
    const piece = Buffer.from(bytes.subarray(start, end));
    connection.receive(piece, 0, piece.length);
    piece.fill(0x5a);
    start = end;
  }
  connection.receiveEnd();
  turn.end();
  return [...logs.flatMap(({ lines }) => lines), `closed ${events.closed}`];
}

const cuts = fc.array(fc.nat(2000), { maxLength: 12 });
const token = fc.string({ unit: fc.constantFrom(..."abcdefghijklmnopqrstuvwxyzABCXYZ0123456789-_!#$%&'*+.^`|~"), minLength: 1, maxLength: 12 });
const value = fc
  .string({
    unit: fc
      .integer({ min: 0x20, max: 0xff })
      .filter((code) => code !== 0x7f)
      .map((code) => String.fromCharCode(code)),
    maxLength: 20,
  })
  .map((text) => text.replace(/^[ \t]+|[ \t]+$/g, ''));
/** Names that mean nothing to the codec. */
const headers = fc.array(
  fc.tuple(
    token.map((name) => `x${name}`),
    value,
  ),
  { maxLength: 6 },
);
const content = fc.string({ unit: 'binary-ascii', maxLength: 60 });
const message = fc.record({
  path: token.map((text) => `/${text.replaceAll('#', '')}`),
  headers,
  chunks: fc.array(content, { maxLength: 4 }),
  chunked: fc.boolean(),
});

describe('reading', () => {
  it('hears the same requests, however the bytes are cut', () => {
    fc.assert(
      fc.property(fc.array(message, { minLength: 1, maxLength: 4 }), cuts, (messages, at) => {
        const text = messages
          .map(({ path, headers, chunks, chunked }) => {
            const lines = headers.map(([name, value]) => `${name}:  ${value}\t\r\n`).join('');
            const head = `POST ${path} HTTP/1.1\r\nHost: a\r\n${lines}`;
            if (!chunked) return `${head}Content-Length: ${chunks.join('').length}\r\n\r\n${chunks.join('')}`;
            const body = chunks.filter((one) => one !== '').map((one) => `${one.length.toString(16)};ext\r\n${one}\r\n`);
            return `${head}Transfer-Encoding: chunked\r\n\r\n${body.join('')}0\r\nX-Trailer: 1\r\n\r\n`;
          })
          .join('');
        const whole = serve(text, []);
        expect(serve(text, at)).toEqual(whole);
        // One status line each: every request was heard.
        expect(whole.at(-1)!.split('HTTP/1.1 200 OK')).toHaveLength(messages.length + 1);
      }),
      { numRuns: 200 },
    );
  });

  it('hears the same responses, however the bytes are cut', () => {
    const shape = fc.record({
      method: fc.constantFrom('GET', 'HEAD'),
      status: fc.constantFrom(200, 204, 304, 404),
      headers,
      chunks: fc.array(content, { maxLength: 3 }),
      chunked: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(shape, { minLength: 1, maxLength: 4 }), cuts, (shapes, at) => {
        // Each answer comes when its request is out: the cuts may not join two of them.
        for (const { method, status, headers, chunks, chunked } of shapes) {
          const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join('');
          const head = `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 ${status} Reason\r\n${lines}`;
          const empty = method === 'HEAD' || status === 204 || status === 304;
          const body = chunked
            ? chunks
                .filter((one) => one !== '')
                .map((one) => `${one.length.toString(16)}\r\n${one}\r\n`)
                .join('') + '0\r\n\r\n'
            : chunks.join('');
          const text = `${head}${chunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${chunks.join('').length}`}\r\n\r\n${empty ? '' : body}`;
          const whole = ask(text, [method], []);
          expect(ask(text, [method], at)).toEqual(whole);
          expect(whole.at(-2)).toBe('end');
        }
      }),
      { numRuns: 100 },
    );
  });

  it('hears the same of damaged requests, and comes to an end', () => {
    const piece = fc.constantFrom(
      'GET / HTTP/1.1\r\n',
      'POST /a HTTP/1.1\r\n',
      'CONNECT a:1 HTTP/1.1\r\n',
      'Host: a\r\n',
      'Content-Length: 3\r\n',
      'Transfer-Encoding: chunked\r\n',
      'Connection: close\r\n',
      'Connection: upgrade\r\nUpgrade: x\r\n',
      'Expect: 100-continue\r\n',
      '\r\n',
      '3\r\nabc\r\n',
      '0\r\n',
      'abc',
      '\n',
      '\r',
      ' ',
      '\0',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 20 }), cuts, (all, at) => {
        expect(serve(all.join(''), at)).toEqual(serve(all.join(''), []));
      }),
      { numRuns: 1000 },
    );
  });

  it('comes to an end with any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), cuts, (bytes, at) => {
        const text = Buffer.from(bytes).toString('latin1');
        expect(serve(text, at).some((line) => line.startsWith('closed'))).toBe(true);
        expect(ask(text, ['GET'], at).at(-1)).not.toBe('closed undefined');
      }),
      { numRuns: 500 },
    );
  });
});

/** A pair of connections whose bytes are carried over by hand. */
class Pair {
  readonly turn = new ManualTurn();
  readonly clientWire = new Wire();
  readonly serverWire = new Wire();
  readonly events = new ClientLog();
  readonly server = new ServerLog();
  readonly client = new Http1ClientConnection(this.clientWire, new TurnWriter(this.turn.turn, this.clientWire), this.events, http1Options());
  readonly #connection = new Http1ServerConnection(this.serverWire, new TurnWriter(this.turn.turn, this.serverWire), this.server, http1Options());

  carry(): void {
    this.turn.end();
    const up = Buffer.from(this.clientWire.take(), 'latin1');
    this.#connection.receive(up, 0, up.length);
    this.turn.end();
    const down = Buffer.from(this.serverWire.take(), 'latin1');
    this.client.receive(down, 0, down.length);
  }
}

const exchange = fc.record({
  method: fc.constantFrom('GET', 'POST', 'PURGE'),
  request: message,
  response: message,
  status: fc.integer({ min: 200, max: 599 }),
  trailers: headers,
});
type ExchangeShape = typeof exchange extends fc.Arbitrary<infer Shape> ? Shape : never;

describe('writing and reading again', () => {
  it('gives the other side what was given, and the connection stays', () => {
    fc.assert(
      fc.property(fc.array(exchange, { minLength: 1, maxLength: 3 }), (exchanges) => {
        const pair = new Pair();
        for (const one of exchanges) check(pair, one);
      }),
      { numRuns: 300 },
    );
    function check(pair: Pair, { method, request, response, status, trailers }: ExchangeShape): void {
      const log = new MessageLog();
      const sent = request.chunks.join('');
      const list = request.headers.flat();
      const head = Object.assign(new RequestHead(), {
        method,
        path: request.path,
        authority: 'a:1',
        headers: list,
        bodyLength: request.chunked ? -1 : sent.length,
      });
      const stream = pair.client.request(head, false, log);
      for (const chunk of request.chunks) stream.sendBody(Buffer.from(chunk, 'latin1'), 0, chunk.length, false);
      if (request.chunked && trailers.length > 0) stream.sendTrailers(trailers.flat());
      else stream.sendBody(Buffer.alloc(0), 0, 0, true);
      pair.carry();
      const heard = pair.server.last;
      expect(heard.head).toMatchObject({ method, path: request.path, authority: 'a:1', version: 11 });
      // Content-Length is the codec's own addition.
      expect(heard.head.headers.filter((_, i, all) => all[i - (i % 2)] !== 'Content-Length')).toEqual(list);
      expect(heard.fin || heard.log.ended).toBe(true);
      expect(heard.log.lines.filter((line) => line.startsWith('body'))).toEqual(sent === '' ? [] : [`body ${sent}`]);
      if (request.chunked && trailers.length > 0) expect(heard.log.lines.at(-2)).toBe(`trailers ${JSON.stringify(trailers.flat())}`);

      const back = response.chunks.join('');
      const answer = Object.assign(new ResponseHead(), { status, headers: response.headers.flat(), bodyLength: response.chunked ? -1 : back.length });
      heard.stream.sendResponse(answer, false);
      for (const chunk of response.chunks) heard.stream.sendBody(Buffer.from(chunk, 'latin1'), 0, chunk.length, false);
      heard.stream.sendBody(Buffer.alloc(0), 0, 0, true);
      pair.carry();
      expect(log.ended).toBe(true);
      expect(log.responses[0]).toMatchObject({ status });
      expect(log.responses[0]!.headers.filter((_, i, all) => all[i - (i % 2)] !== 'Content-Length')).toEqual(response.headers.flat());
      const empty = status === 204 || status === 304;
      expect(log.lines.filter((line) => line.startsWith('body'))).toEqual(back === '' || empty ? [] : [`body ${back}`]);
      expect(pair.client.capacity).toBe(1);
    }
  });
});
