import { describe, expect, it } from 'vitest';
import { HIGH_WATER_BYTES } from '../net/turn-writer.ts';
import { body, echo, GET, head, Server } from './testing/server.ts';

describe('connection', () => {
  it.each<[string, string, string, boolean]>([
    ['HTTP/1.1', GET, 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n/', false],
    ['Connection: close', 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\n/', true],
    ['HTTP/1.0', 'GET / HTTP/1.0\r\n\r\n', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\n/', true],
    [
      'HTTP/1.0 with keep-alive',
      'GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n',
      'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\n/',
      false,
    ],
  ])('persists as %s asks', (_name, request, response, ends) => {
    const server = new Server({}, echo);
    expect(server.get(request)).toBe(response);
    expect(server.wire.ended).toBe(ends);
    expect(server.log.closed).toBe(ends ? '' : undefined);
    // After our end nothing is read as a request.
    server.get(GET);
    expect(server.log.exchanges).toHaveLength(ends ? 1 : 2);
  });

  it('answers pipelined requests in their order, one at a time', () => {
    const server = new Server();
    server.get('GET /p1 HTTP/1.1\r\nHost: a\r\n\r\nPOST /p2 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nabGET /p3 HTTP/1.1\r\nHost: a\r\n\r\n');
    expect(server.log.exchanges).toHaveLength(1);
    echo(server.log.last);
    expect(server.log.exchanges).toHaveLength(2);
    expect(server.log.last.log.lines).toEqual(['body ab', 'end']);
    echo(server.log.last);
    echo(server.log.last);
    expect(server.sent().match(/\/p\d/g)).toEqual(['/p1', '/p2', '/p3']);
    expect(server.connection.activeStreams).toBe(0);
  });

  it.each([['within each other'], ['one after the other']])('answers all that a client has asked before its half-close, %s', (how) => {
    let asked = 0;
    const server = new Server({}, (exchange) => {
      // The first is held, so that the others wait behind it.
      if (asked++ > 0 && how === 'within each other') echo(exchange);
    });
    server.get(['/p1', '/p2', '/p3'].map((path) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`).join(''));
    server.connection.receiveEnd();
    for (let i = 0; i < 3; i++) echo(server.log.exchanges[i]!);
    expect(server.sent().match(/\/p\d/g)).toEqual(['/p1', '/p2', '/p3']);
    expect(server.log.closed).toBe('');
    expect(server.wire.ended).toBe(true);
  });

  it('says with the last answer to a half-closed client that it is the last', () => {
    const server = new Server();
    server.get(GET + GET);
    server.connection.receiveEnd();
    echo(server.log.last);
    expect(server.sent()).not.toContain('close');
    echo(server.log.last);
    expect(server.sent()).toContain('Connection: close');
  });

  it('holds back the answers of a client that does not read', () => {
    let asked = 0;
    const server = new Server({}, (exchange) => {
      asked++;
      exchange.stream.sendResponse(head(200, [], 50_000), false);
      body(exchange, 'x'.repeat(50_000), true);
    });
    server.wire.full = true;
    for (let i = 0; i < 100; i++) server.get(GET.repeat(10));
    expect(asked).toBeLessThan(20);
    expect(server.wire.writableLength).toBeLessThan(HIGH_WATER_BYTES + 11 * 51_000);
    const before = asked;
    server.wire.drain();
    server.connection.transportDrained();
    server.turn.end();
    expect(asked).toBeGreaterThan(before);
  });

  it('answers what was held back from a client that read late and has half-closed', () => {
    const server = new Server({}, (exchange) => {
      exchange.stream.sendResponse(head(200, [], 200_000), false);
      body(exchange, 'x'.repeat(200_000), true);
    });
    server.wire.full = true;
    server.get(GET);
    server.get(GET);
    server.get(GET);
    server.connection.receiveEnd();
    for (let i = 0; i < 5; i++) {
      server.wire.drain();
      server.connection.transportDrained();
      server.turn.end();
    }
    expect(server.log.exchanges).toHaveLength(3);
    expect(server.log.closed).toBe('');
  });

  it('bounds the bytes of pipelined requests by not reading on', () => {
    const server = new Server({ maxPipelinedBytes: 100 });
    server.get(GET + GET);
    expect(server.wire.paused).toBe(false);
    server.get(GET.repeat(4));
    expect(server.wire.paused).toBe(true);
    for (let i = 0; i < 6; i++) echo(server.log.last);
    expect(server.wire.paused).toBe(false);
    expect(server.log.exchanges).toHaveLength(6);
  });

  it('skips empty lines before a request, a few', () => {
    const server = new Server({}, echo);
    expect(server.get(`\r\n\r${''}\n${GET}`)).toContain('200 OK');
    expect(server.get(`\r\n${GET}`)).toContain('200 OK');
    expect(server.get('\r\n\r\n\r\n\r\n\r\n')).toContain('400 Bad Request');
    expect(new Server().get('\rX')).toContain('400 Bad Request');
    expect(new Server().get(`\n${GET}`)).toContain('400 Bad Request');
  });

  it('drains: at once when idle, else with the answer under way', () => {
    const idle = new Server();
    idle.connection.drain();
    expect(idle.wire.ended).toBe(true);
    expect(idle.log.closed).toBe('');
    const busy = new Server();
    busy.get(GET);
    busy.connection.drain();
    expect(busy.wire.ended).toBe(false);
    echo(busy.log.last);
    expect(busy.sent()).toContain('Connection: close');
    expect(busy.wire.ended).toBe(true);
    const begun = new Server({}, echo);
    begun.get('GET / HT');
    begun.connection.drain();
    expect(begun.wire.ended).toBe(false);
    expect(begun.get('TP/1.1\r\nHost: a\r\n\r\n')).toContain('Connection: close');
  });

  it('ends with its transport', () => {
    const server = new Server();
    server.get('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab');
    server.connection.transportClosed('ECONNRESET');
    server.connection.transportClosed('again');
    expect(server.log.lines.slice(1)).toEqual(['body ab', 'reset RemoteReset: ECONNRESET', 'closed ECONNRESET']);
  });

  it.each([
    ['between requests', GET, ''],
    ['inside a head', 'GET / HTT', 'the peer ended inside a request'],
    ['inside content', 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab', 'the peer ended inside a request'],
    ['inside chunks', 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab', 'the peer ended inside a request'],
    ['before the last chunk', 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n', 'the peer ended inside a request'],
    ['inside trailers', 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n', 'the peer ended inside a request'],
  ])('tells a peer that ends %s', (_name, text, detail) => {
    const server = new Server({}, (exchange) => exchange.fin && echo(exchange));
    server.get(text);
    server.connection.receiveEnd();
    expect(server.log.closed).toBe(detail);
    // A request that is not whole is never given out as such.
    expect(server.log.lines.filter((line) => line === 'end')).toEqual([]);
  });

  it('cuts the connection with a reset stream', () => {
    const server = new Server();
    server.get(GET);
    server.log.last.stream.reset('LocalReset');
    expect(server.wire.destroyed).toBe(true);
    expect(server.log.lines.slice(1)).toEqual(['closed reset']);
  });
});

describe('backpressure', () => {
  it('tells to stop when the transport is full, and to go on when it is not', () => {
    const server = new Server();
    server.get(GET);
    server.wire.full = true;
    server.log.last.stream.sendResponse(head(200), false);
    body(server.log.last, 'x'.repeat(HIGH_WATER_BYTES), false);
    server.turn.end();
    expect(body(server.log.last, 'x', false)).toBe(false);
    server.wire.drain();
    server.connection.transportDrained();
    expect(server.log.last.log.drains).toBe(1);
    expect(body(server.log.last, 'x', true)).toBe(true);
  });
});
