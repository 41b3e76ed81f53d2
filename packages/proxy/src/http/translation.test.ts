import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Http1ClientConnection } from '../http1/client-connection.ts';
import { http1Options } from '../http1/options.ts';
import { Http1ServerConnection } from '../http1/server-connection.ts';
import { Http2ClientConnection } from '../http2/client-connection.ts';
import { http2Options } from '../http2/options.ts';
import { Http2ServerConnection } from '../http2/server-connection.ts';
import { block, data, frame, headers as headersFrame, PREFACE, settings } from '../http2/testing/frames.ts';
import { TurnWriter } from '../net/turn-writer.ts';
import { RequestHead, ResponseHead } from './message.ts';
import { ClientLog } from './testing/client-log.ts';
import { type Exchange, MessageLog, ServerLog } from './testing/exchange-log.ts';
import { ManualTurn } from './testing/manual-turn.ts';
import { Wire } from './testing/wire.ts';

/** Requests that a server's codec makes of these bytes. */
function serve(version: 1 | 2, bytes: Buffer): ServerLog {
  const wire = new Wire();
  const turn = new ManualTurn();
  const log = new ServerLog();
  const writer = new TurnWriter(turn.turn, wire);
  const connection =
    version === 1
      ? new Http1ServerConnection(wire, writer, log, http1Options())
      : new Http2ServerConnection(wire, writer, log, http2Options({ nowMs: () => 0 }));
  connection.receive(bytes, 0, bytes.length);
  turn.end();
  return log;
}

/** The bytes that a client's codec makes of a request as it was heard, its content included. */
function forward(version: 1 | 2, { head, fin, log }: Exchange): Buffer {
  const wire = new Wire();
  const turn = new ManualTurn();
  const writer = new TurnWriter(turn.turn, wire);
  const events = new ClientLog();
  const connection =
    version === 1
      ? new Http1ClientConnection(wire, writer, events, http1Options())
      : new Http2ClientConnection(wire, writer, events, http2Options({ nowMs: () => 0 }));
  const stream = connection.request(head, fin, new MessageLog());
  if (!fin) {
    const content = Buffer.from(log.lines.find((line) => line.startsWith('body '))?.slice(5) ?? '', 'latin1');
    stream.sendBody(content, 0, content.length, log.ended);
  }
  turn.end();
  return Buffer.from(wire.text, 'latin1');
}

/** What must come through. `Connection: TE` goes with TE, the length with the content. */
function meaning({ head, log }: Exchange): object {
  const { method, path, authority, protocol, expectContinue } = head;
  const headers: string[] = [];
  for (let i = 0; i < head.headers.length; i += 2) {
    const name = head.headers[i]!.toLowerCase();
    if (name !== 'content-length') headers.push(`${name}: ${head.headers[i + 1]}`);
  }
  // HTTP/2 puts the pieces of Cookie together, at the end, without empty ones.
  const cookie = headers.filter((line) => line.startsWith('cookie: ') && line.length > 8).map((line) => line.slice(8));
  const rest = headers.filter((line) => !line.startsWith('cookie: '));
  return { method, path, authority, protocol, expectContinue, headers: rest, cookie: cookie.join('; '), lines: log.lines };
}

const usual = <T>(value: T, other: fc.Arbitrary<T>) => fc.oneof({ weight: 6, arbitrary: fc.constant(value) }, { weight: 1, arbitrary: other });
const anyText = fc.oneof(
  fc.string({ unit: 'binary-ascii', maxLength: 12 }),
  fc.constantFrom(
    'a\r\nX-Injected: 1',
    'a\nb',
    'a\rb',
    '\0',
    ' a',
    'a ',
    '\ta',
    'a\x7f',
    '\xe9\xff',
    'a, b',
    '',
    'chunked',
    '5',
    '100-continue',
    'trailers',
    'close',
    'a b',
  ),
);
const anyName = fc.oneof(
  fc.constantFrom(
    'x-own',
    'X-Own',
    'cookie',
    'te',
    'host',
    'expect',
    'connection',
    'transfer-encoding',
    'content-length',
    'upgrade',
    'keep-alive',
    'x\r\ny',
    'x y',
    'x:',
    '',
    ':path',
    'http2-settings',
  ),
  fc.string({ unit: 'binary-ascii', maxLength: 6 }),
);

const soundName = fc.constantFrom('x-own', 'X-Own', 'cookie', 'accept', "x-!#$%&'*+-.^_`|~");
const soundText = fc.constantFrom('', 'a', 'a b', 'a\tb', '"\\', '\x80\xff', 'a, b;c=d');
const sound = fc.tuple(soundName, soundText);
const anyFields = fc.array(
  fc.oneof(
    { weight: 8, arbitrary: sound },
    { weight: 1, arbitrary: fc.tuple(anyName, soundText) },
    { weight: 1, arbitrary: fc.tuple(soundName, anyText) },
    { weight: 1, arbitrary: fc.tuple(anyName, anyText) },
  ),
  { maxLength: 5 },
);

describe('HTTP/2 to HTTP/1', () => {
  it('makes one request of one, with its meaning, or none: nothing is smuggled and nothing split', () => {
    let taken = 0;
    const request = fc.record({
      method: usual('POST', fc.oneof(anyText, fc.constantFrom('GET', 'CONNECT', 'OPTIONS', 'get'))),
      path: usual('/a?b', fc.oneof(anyText, fc.constantFrom('*', '/ HTTP/1.1\r\nX: y\r\n\r\nGET /', '/\xe9', 'http://b/'))),
      authority: usual('a:1', fc.oneof(anyText, fc.constantFrom('[::1]:5', 'a:1\r\nX: y'))),
      protocol: usual('', fc.constantFrom('websocket', 'a/1, b', 'x\r\nY: z')),
      fields: anyFields,
      content: fc.option(fc.constantFrom('', 'abcde', '0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n')),
    });
    fc.assert(
      fc.property(request, ({ method, path, authority, protocol, fields, content }) => {
        const pseudo: [string, string][] = [[':method', method]];
        if (method !== 'CONNECT' || protocol !== '') pseudo.push([':scheme', 'http'], [':path', path]);
        if (protocol !== '') pseudo.push([':protocol', protocol]);
        pseudo.push([':authority', authority]);
        const frames = [headersFrame(1, [...pseudo, ...fields], content === null)];
        if (content !== null) frames.push(data(1, content, true));
        const before = serve(2, Buffer.concat([PREFACE, settings(), ...frames]));
        if (before.exchanges.length === 0 || before.last.log.lines.some((line) => line.startsWith('reset'))) return;
        taken++;
        const again = serve(2, forward(2, before.last));
        expect(again.exchanges).toHaveLength(1);
        expect(meaning(again.last)).toEqual(meaning(before.last));
        const bytes = forward(1, before.last);
        const after = serve(1, bytes);
        expect(after.closed, bytes.toString('latin1')).toBeUndefined();
        expect(after.exchanges, bytes.toString('latin1')).toHaveLength(1);
        const tunnel = before.last.head.protocol !== '' || before.last.head.method === 'CONNECT';
        // What is meant for a tunnel waits until there is one.
        const lines = tunnel ? { lines: [] } : {};
        expect(meaning(after.last)).toEqual({ ...meaning(before.last), ...(content === '' && !tunnel ? { lines: after.last.log.lines } : lines) });
        expect(tunnel || after.last.fin || after.last.log.ended).toBe(true);
      }),
      { numRuns: 5000 },
    );

    expect(taken).toBeGreaterThan(1000);
  });

  it('never writes a response whose header would be two', () => {
    const wire = new Wire();
    const turn = new ManualTurn();
    const log = new MessageLog();
    const client = new Http2ClientConnection(wire, new TurnWriter(turn.turn, wire), new ClientLog(), http2Options({ nowMs: () => 0 }));
    for (const value of ['a\r\nSet-Cookie: x', 'a\n', '\r\n\r\n<html>', 'a\0']) {
      client.request(Object.assign(new RequestHead(), { method: 'GET', path: '/', authority: 'a' }), true, log);
      const id = 2 * log.lines.length + 1;
      const bytes = Buffer.concat([
        ...(id === 1 ? [settings()] : []),
        headersFrame(
          id,
          [
            [':status', '200'],
            ['location', value],
          ],
          true,
        ),
      ]);
      client.receive(bytes, 0, bytes.length);
    }
    expect(log.responses).toEqual([]);
    expect(log.lines).toHaveLength(4);
  });
});

describe('HTTP/1 to HTTP/2', () => {
  it('is taken by the next proxy, with its meaning: no client can have the connection of all counted as at fault', () => {
    let taken = 0;
    const request = fc.record({
      line: usual(
        'POST /a?b HTTP/1.1',
        fc.constantFrom(
          'GET / HTTP/1.0',
          'OPTIONS * HTTP/1.1',
          'CONNECT b:1 HTTP/1.1',
          'GET http://b/c HTTP/1.1',
          'M-X /\xe9"<>\\^`{|} HTTP/1.1',
          'get /;a=b HTTP/1.1',
        ),
      ),
      host: usual('a:1', fc.constantFrom('', 'A', 'a:', '[::1]', "a!$&'()*+,;=")),
      fields: anyFields,
      upgrade: usual('', fc.oneof(fc.constantFrom('websocket', 'WebSocket', 'a/1, b/2', 'x;y', '\xe9', 'h2c'), anyText)),
      framing: fc.constantFrom('', 'Content-Length: 5\r\n', 'Content-Length: 005\r\n', 'Transfer-Encoding: chunked\r\n'),
    });
    fc.assert(
      fc.property(request, ({ line, host, fields, upgrade, framing }) => {
        const lines = fields.map(([name, value]) => `${name}: ${value}\r\n`).join('');
        const hop = upgrade === '' ? '' : `Connection: upgrade\r\nUpgrade: ${upgrade}\r\n`;
        const content = framing === '' ? '' : framing.startsWith('T') ? '5\r\nabcde\r\n0\r\n\r\n' : 'abcde';
        const before = serve(1, Buffer.from(`${line}\r\nHost: ${host}\r\n${framing}${lines}${hop}\r\n${content}`, 'latin1'));
        if (before.exchanges.length !== 1 || before.closed !== undefined || !(before.last.fin || before.last.log.ended)) return;
        taken++;
        const after = serve(2, forward(2, before.last));
        expect(after.exchanges).toHaveLength(1);
        expect(meaning(after.last)).toEqual(meaning(before.last));
      }),
      { numRuns: 5000 },
    );

    expect(taken).toBeGreaterThan(1000);
  });

  it('carries upgrades as extended CONNECT', () => {
    const before = serve(1, Buffer.from('GET /ws HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Key: k\r\n\r\n'));
    const after = serve(2, forward(2, before.last));
    expect(meaning(after.last)).toEqual(meaning(before.last));
    expect(forward(1, after.last).toString('latin1')).toBe(
      'GET /ws HTTP/1.1\r\nHost: a\r\nsec-websocket-key: k\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    );
  });

  it('makes one response of one', () => {
    const wire = new Wire();
    const turn = new ManualTurn();
    const server = new ServerLog(
      ({ stream }) => void stream.sendResponse(Object.assign(new ResponseHead(), { status: 101, tunnel: true, protocol: 'x' }), false),
    );
    const connection = new Http2ServerConnection(wire, new TurnWriter(turn.turn, wire), server, http2Options({ nowMs: () => 0 }));
    const request = frame(
      1,
      4,
      1,
      block([
        [':method', 'CONNECT'],
        [':protocol', 'x'],
        [':scheme', 'http'],
        [':path', '/'],
        [':authority', 'a'],
      ]),
    );
    const bytes = Buffer.concat([PREFACE, settings(), request]);
    connection.receive(bytes, 0, bytes.length);
    turn.end();
    // :status 200 of the static table.
    expect(wire.text).toContain('\x88');
  });
});
