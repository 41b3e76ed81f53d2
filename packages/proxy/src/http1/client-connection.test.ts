import { describe, expect, it } from 'vitest';
import { type ClientStream, RequestHead } from '../http/message.ts';
import { ClientLog } from '../http/testing/client-log.ts';
import { MessageLog } from '../http/testing/exchange-log.ts';
import { ManualTurn } from '../http/testing/manual-turn.ts';
import { Wire } from '../http/testing/wire.ts';
import { HIGH_WATER_BYTES, TurnWriter } from '../net/turn-writer.ts';
import { Http1ClientConnection } from './client-connection.ts';
import { type Http1Options, http1Options } from './options.ts';

class Client {
  readonly wire = new Wire();
  readonly turn = new ManualTurn();
  readonly log = new ClientLog();
  readonly connection: Http1ClientConnection;

  constructor(given: Partial<Http1Options> = {}) {
    this.connection = new Http1ClientConnection(this.wire, new TurnWriter(this.turn.turn, this.wire), this.log, http1Options(given));
  }

  request(given: Partial<RequestHead> = {}, fin = true, log = new MessageLog()): [ClientStream, MessageLog] {
    const head = Object.assign(new RequestHead(), { method: 'GET', path: '/', authority: 'a' }, given);
    return [this.connection.request(head, fin, log), log];
  }

  answer(text: string): void {
    const bytes = Buffer.from(text, 'latin1');
    this.connection.receive(bytes, 0, bytes.length);
  }

  sent(): string {
    this.turn.end();
    return this.wire.take();
  }
}

function send(stream: ClientStream, text: string, fin: boolean): boolean {
  const bytes = Buffer.from(text, 'latin1');
  return stream.sendBody(bytes, 0, bytes.length, fin);
}

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

describe('requests', () => {
  it.each<[string, Partial<RequestHead>, boolean, string]>([
    ['a GET', { headers: ['X-Case', 'Kept', 'accept', '*/*'] }, true, 'GET / HTTP/1.1\r\nHost: a\r\nX-Case: Kept\r\naccept: */*\r\n\r\n'],
    ['one without a path', { method: 'OPTIONS', path: '*' }, true, 'OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['a POST without content', { method: 'POST' }, true, 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n'],
    ['a GET that says it has no content', { headers: ['content-length', '0'] }, true, 'GET / HTTP/1.1\r\nHost: a\r\ncontent-length: 0\r\n\r\n'],
    ['a length', { method: 'POST', bodyLength: 5, headers: ['Content-Length', '5'] }, false, 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n'],
    ['a length that is not said', { method: 'POST', bodyLength: 5 }, false, 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n'],
    ['a wrong length', { method: 'POST', bodyLength: 5, headers: ['Content-Length', '6'] }, false, 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n'],
    ['an unknown length', { method: 'POST', bodyLength: -1 }, false, 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n'],
    ['a GET with content', { bodyLength: -1, headers: ['Content-Length', '9'] }, false, 'GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n'],
    ['TE', { headers: ['TE', 'trailers'] }, true, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: TE\r\nTE: trailers\r\n\r\n'],
    [
      'Expect',
      { method: 'POST', bodyLength: 1, expectContinue: true },
      false,
      'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n',
    ],
    ['CONNECT', { method: 'CONNECT', path: '', authority: 'b:443', bodyLength: -1 }, false, 'CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n'],
    ['an upgrade', { protocol: 'websocket', bodyLength: -1 }, false, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'],
    [
      'an upgrade with a length',
      { protocol: 'x', bodyLength: -1, headers: ['Content-Length', '0'] },
      false,
      'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n',
    ],
    ['no authority', { authority: '' }, true, 'GET / HTTP/1.1\r\nHost: \r\n\r\n'],
  ])('%s', (_name, head, fin, text) => {
    const client = new Client();
    client.request(head, fin);
    expect(client.sent()).toBe(text);
  });

  it('sends content in chunks, with trailers', () => {
    const client = new Client();
    const [stream] = client.request({ method: 'POST', bodyLength: -1 }, false);
    client.sent();
    send(stream, 'hello', false);
    send(stream, 'x'.repeat(0x1234), false);
    stream.sendTrailers(['X-Sum', '1', 'Content-Length', '5']);
    expect(client.sent()).toBe(`5\r\nhello\r\n1234\r\n${'x'.repeat(0x1234)}\r\n0\r\nX-Sum: 1\r\n\r\n`);
  });

  it('sends no empty chunk, which would be the last one', () => {
    const client = new Client();
    const [stream] = client.request({ method: 'POST', bodyLength: -1 }, false);
    client.sent();
    send(stream, '', false);
    expect(client.sent()).toBe('');
    send(stream, '', true);
    expect(client.sent()).toBe('0\r\n\r\n');
  });

  it.each([
    ['more', 'abc', false],
    ['less', 'a', true],
  ])('gives up where content is %s than its length', (_name, content, fin) => {
    const client = new Client();
    const [stream, log] = client.request({ method: 'POST', bodyLength: 2 }, false);
    send(stream, content, fin);
    expect(client.wire.destroyed).toBe(true);
    expect(log.lines).toEqual(['reset ProtocolError: content of a request differs from its length']);
    expect(client.log.closed).toBeDefined();
  });

  it('sends nothing of a request that would be two, and the connection stays', async () => {
    const client = new Client();
    for (const head of [{ path: '/ HTTP/1.1\r\n\r\nGET /x' }, { authority: 'a\r\nX: y' }, { headers: ['A', 'b\u010aX: y'] }, { method: 'GET /\n' }]) {
      const [stream, log] = client.request(head);
      expect(log.lines).toEqual([]);
      send(stream, 'x', true);
      await Promise.resolve();
      expect(log.lines).toEqual(['reset ProtocolError: a head with a line break inside a line']);
      expect(client.sent()).toBe('');
      expect(client.connection.capacity).toBe(1);
    }
    const [, log] = client.request();
    expect(client.sent()).toBe('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    client.answer(OK);
    expect(log.ended).toBe(true);
  });

  it('refuses a second request while one is under way', () => {
    const client = new Client();
    expect(client.connection.capacity).toBe(1);
    client.request();
    expect(client.connection.capacity).toBe(0);
    expect(() => client.request()).toThrow('without capacity');
  });
});

describe('responses', () => {
  it.each<[string, string, string[]]>([
    ['a length', OK, ['body ok', 'end']],
    ['no content', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', ['end']],
    ['chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n', ['body ok', 'end']],
    ['trailers', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nA: b\r\n\r\n', ['body ok', 'trailers ["A","b"]', 'end']],
    ['204', 'HTTP/1.1 204 No Content\r\n\r\n', ['end']],
  ])('%s: and the connection takes the next', (_name, text, lines) => {
    const client = new Client();
    const [, log] = client.request();
    client.answer(text);
    expect(log.lines.slice(1)).toEqual(lines);
    expect(client.log.capacities).toBe(1);
    expect(client.connection.capacity).toBe(1);
    expect(client.log.closed).toBeUndefined();
    const [, next] = client.request();
    client.answer(OK);
    expect(next.lines.slice(1)).toEqual(['body ok', 'end']);
  });

  it('has no content for HEAD', () => {
    const client = new Client();
    const [, log] = client.request({ method: 'HEAD' });
    client.answer('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n');
    expect(log.lines).toHaveLength(2);
    expect(client.connection.capacity).toBe(1);
  });

  it('ends with the connection where nothing else says its end', () => {
    const client = new Client();
    const [, log] = client.request();
    client.answer('HTTP/1.1 200 OK\r\n\r\nhello');
    client.connection.receiveEnd();
    expect(log.lines.slice(1)).toEqual(['body hello', 'end']);
    expect(client.log.closed).toBe('');
    expect(client.connection.capacity).toBe(0);
  });

  it.each([
    ['Connection: close', 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n'],
    ['HTTP/1.0', 'HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n'],
    ['bytes after the response', `${OK}HTTP/1.1 200 OK\r\n`],
    ['bytes after a response without content', 'HTTP/1.1 204 No Content\r\n\r\nx'],
    ['bytes after the last chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nx'],
    ['bytes after trailers', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n\r\nx'],
  ])('closes after %s', (_name, text) => {
    const client = new Client();
    const [, log] = client.request();
    client.answer(text);
    expect(log.ended).toBe(true);
    expect(client.connection.capacity).toBe(0);
    expect(client.log.capacities).toBe(0);
    expect(client.log.closed).toBe('');
    expect(client.wire.destroyed).toBe(true);
  });

  it('closes where a response ends before its request', () => {
    const client = new Client();
    const [stream, log] = client.request({ method: 'POST', bodyLength: 10 }, false);
    client.answer(OK);
    expect(log.ended).toBe(true);
    expect(client.log.closed).toBe('');
    expect(send(stream, 'x', false)).toBe(true);
  });

  it('gives informational responses, a few', () => {
    const client = new Client({ maxInformational: 2 });
    const [, log] = client.request();
    client.answer('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\nContent-Length: 3\r\n\r\n');
    expect(log.informational.map(({ status }) => status)).toEqual([100, 103]);
    client.answer('HTTP/1.1 102 Processing\r\n\r\n');
    expect(log.lines.at(-1)).toBe('reset ProtocolError: too many informational responses');
  });

  it.each([
    ['a malformed head', 'HTTP/1.1 200 OK\nA: b\n\n', 'invalid character in the start line'],
    ['101 that nobody asked for', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n', '101 without an upgrade asked for'],
    ['a malformed chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n', 'invalid chunk size'],
    ['both lengths', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n', 'Transfer-Encoding and Content-Length'],
    ['a head too large', `HTTP/1.1 200 OK\r\nA: ${'b'.repeat(61_440)}\r\n\r\n`, 'header section too large'],
  ])('ends at %s', (_name, text, detail) => {
    const client = new Client();
    const [, log] = client.request();
    client.answer(text);
    expect(log.lines.at(-1)).toBe(`reset ProtocolError: ${detail}`);
    expect(client.wire.destroyed).toBe(true);
    expect(client.log.closed).toBe(detail);
  });

  it('ends at bytes that nobody asked for', () => {
    const client = new Client();
    client.answer('HTTP/1.1 408 Request Timeout\r\n\r\n');
    expect(client.log.closed).toBe('bytes that no request has asked for');
    expect(client.connection.capacity).toBe(0);
  });

  it.each<[string, string, string | undefined]>([
    // The request may be sent again only in the first case.
    ['before any byte', '', 'ConnectionTermination'],
    ['inside the head', 'HTTP/1.1 2', 'ProtocolError'],
    ['inside content', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab', 'ProtocolError'],
    ['inside chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab', 'ProtocolError'],
    ['before the last chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n', 'ProtocolError'],
  ])('never makes a whole response of one that is cut %s', (_name, text, reason) => {
    for (const how of ['end', 'close'] as const) {
      const client = new Client();
      const [, log] = client.request();
      client.answer(text);
      if (how === 'end') client.connection.receiveEnd();
      else client.connection.transportClosed('ECONNRESET');
      expect(log.ended).toBe(false);
      expect(log.lines.at(-1)).toMatch(new RegExp(`^reset ${reason}: `));
      expect(client.log.closed).toBeDefined();
    }
  });

  it('never makes a whole response of one that ends by a reset of the connection', () => {
    const client = new Client();
    const [, log] = client.request();
    client.answer('HTTP/1.1 200 OK\r\n\r\nhello');
    client.connection.transportClosed('ECONNRESET');
    expect(log.ended).toBe(false);
    expect(log.lines.at(-1)).toBe('reset ProtocolError: ECONNRESET');
  });
});

describe('connection', () => {
  it('closes quietly when idle', () => {
    const client = new Client();
    client.request();
    client.answer(OK);
    client.connection.receiveEnd();
    expect(client.log.closed).toBe('');
    expect(client.wire.ended).toBe(true);
  });

  it('drains: at once when idle, else after the response', () => {
    const idle = new Client();
    idle.connection.drain();
    expect(idle.log.closed).toBe('');
    const busy = new Client();
    const [, log] = busy.request();
    busy.connection.drain();
    expect(busy.log.closed).toBeUndefined();
    busy.answer(OK);
    expect(log.ended).toBe(true);
    expect(busy.log.closed).toBe('');
  });

  it('cuts the connection with a reset stream, and calls nothing back', () => {
    const client = new Client();
    const [stream, log] = client.request();
    stream.reset('LocalReset');
    client.answer(OK);
    expect(log.lines).toEqual([]);
    expect(client.wire.destroyed).toBe(true);
    expect(client.log.closed).toBe('reset');
  });

  it('takes the next request from within the end of the last', () => {
    const client = new Client();
    const log = new MessageLog();
    const next = new MessageLog();
    log.on = (event) => {
      if (event === 'body' && log.ended) client.request({ path: '/next' }, true, next);
    };
    client.request({}, true, log);
    client.answer(OK);
    expect(client.sent()).toContain('GET /next HTTP/1.1');
    client.answer(OK);
    expect(next.ended).toBe(true);
  });

  it('reads on for the next request although the last had paused', () => {
    const client = new Client();
    const log = new MessageLog();
    const next = new MessageLog();
    const [stream] = client.request({}, true, log);
    log.on = (event) => {
      if (event === 'response') stream.pause();
      if (event === 'body' && log.ended) client.request({ path: '/next' }, true, next);
    };
    client.answer(OK);
    expect(client.wire.paused).toBe(false);
  });

  it('stops and goes on with its stream', () => {
    const client = new Client();
    const [stream] = client.request();
    stream.pause();
    expect(client.wire.paused).toBe(true);
    stream.resume();
    expect(client.wire.paused).toBe(false);
    stream.pause();
    client.answer(OK);
    expect(client.wire.paused).toBe(false);
  });

  it('tells to stop when the transport is full', () => {
    const client = new Client();
    const [stream, log] = client.request({ method: 'POST', bodyLength: -1 }, false);
    client.wire.full = true;
    send(stream, 'x'.repeat(HIGH_WATER_BYTES), false);
    client.turn.end();
    expect(send(stream, 'x', false)).toBe(false);
    client.wire.drain();
    client.connection.transportDrained();
    expect(log.drains).toBe(1);
    expect(send(stream, 'x', false)).toBe(true);
  });
});

describe('tunnels', () => {
  it.each<[string, Partial<RequestHead>, string]>([
    ['CONNECT', { method: 'CONNECT', path: '', authority: 'b:443', bodyLength: -1 }, 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n'],
    ['Upgrade', { protocol: 'websocket', bodyLength: -1 }, 'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n'],
  ])('%s: bytes pass both ways, each end by itself', (_name, head, answer) => {
    const client = new Client();
    const [stream, log] = client.request(head, false);
    client.sent();
    client.answer(`${answer}hello`);
    expect(log.responses[0]).toMatchObject({ tunnel: true });
    expect(log.lines.slice(1)).toEqual(['body hello']);
    expect(client.log.draining).toBe(true);
    expect(send(stream, 'there', false)).toBe(true);
    expect(client.sent()).toBe('there');
    client.connection.receiveEnd();
    expect(log.lines.slice(1)).toEqual(['body hello', 'end']);
    expect(client.log.closed).toBeUndefined();
    send(stream, 'last', true);
    expect(client.sent()).toBe('last');
    expect(client.wire.ended).toBe(true);
    expect(client.log.closed).toBe('');
  });

  it('holds what is sent before the tunnel is there', () => {
    const client = new Client();
    const [stream, log] = client.request({ protocol: 'x', bodyLength: -1 }, false);
    client.sent();
    expect(send(stream, 'early', false)).toBe(false);
    expect(send(stream, ' bytes', false)).toBe(false);
    expect(client.sent()).toBe('');
    client.answer('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n');
    expect(client.sent()).toBe('early bytes');
    expect(log.drains).toBe(1);
    send(stream, '!', true);
    expect(client.sent()).toBe('!');
    expect(client.wire.ended).toBe(true);
  });

  it('passes on an end that came before the tunnel', () => {
    const client = new Client();
    const [stream] = client.request({ method: 'CONNECT', path: '', authority: 'b:443', bodyLength: -1 }, false);
    send(stream, 'all', true);
    client.sent();
    expect(client.wire.ended).toBe(false);
    client.answer('HTTP/1.1 200 OK\r\n\r\n');
    expect(client.sent()).toBe('all');
    expect(client.wire.ended).toBe(true);
  });

  it('never sends what was meant for a declined tunnel, and keeps the connection', () => {
    const client = new Client();
    const [stream, log] = client.request({ protocol: 'x', bodyLength: -1 }, false);
    send(stream, 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n', false);
    client.answer(OK);
    send(stream, 'more', true);
    expect(client.sent()).not.toContain('smuggled');
    expect(log.lines.slice(1)).toEqual(['body ok', 'end']);
    expect(client.connection.capacity).toBe(1);
  });
});
