import { describe, expect, it } from 'vitest';
import { type HeaderList, ResponseHead } from '../http/message.ts';
import { type Exchange, ServerLog } from '../http/testing/exchange-log.ts';
import { ManualTurn } from '../http/testing/manual-turn.ts';
import { Wire } from '../http/testing/wire.ts';
import { HIGH_WATER_BYTES, TurnWriter } from '../net/turn-writer.ts';
import { type Http1Options, http1Options } from './options.ts';
import { Http1ServerConnection } from './server-connection.ts';

class Server {
  readonly wire = new Wire();
  readonly turn = new ManualTurn();
  readonly log: ServerLog;
  readonly connection: Http1ServerConnection;

  constructor(given: Partial<Http1Options> = {}, handle: (exchange: Exchange) => void = () => {}) {
    this.log = new ServerLog(handle);
    this.connection = new Http1ServerConnection(this.wire, new TurnWriter(this.turn.turn, this.wire), this.log, http1Options(given));
  }

  /** The peer sends `text`; returns what it gets in that turn. */
  get(text: string): string {
    const bytes = Buffer.from(text, 'latin1');
    this.connection.receive(bytes, 0, bytes.length);
    return this.sent();
  }

  sent(): string {
    this.turn.end();
    return this.wire.take();
  }
}

function head(status: number, headers: HeaderList = [], bodyLength = -1): ResponseHead {
  return Object.assign(new ResponseHead(), { status, headers, bodyLength });
}

function body(exchange: Exchange, text: string, fin: boolean): boolean {
  const bytes = Buffer.from(text, 'latin1');
  return exchange.stream.sendBody(bytes, 0, bytes.length, fin);
}

/** Answers at once with the path. */
function echo(exchange: Exchange): void {
  exchange.stream.sendResponse(head(200, [], exchange.head.path.length), false);
  body(exchange, exchange.head.path, true);
}

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';

describe('answers', () => {
  it.each<[string, string, ResponseHead, string, string]>([
    ['a length', GET, head(200, ['X-Case', 'Kept'], 2), 'ok', 'HTTP/1.1 200 OK\r\nX-Case: Kept\r\nContent-Length: 2\r\n\r\nok'],
    ['a length that is said', GET, head(200, ['content-length', '2'], 2), 'ok', 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'],
    ['a length that is said twice', GET, head(200, ['content-length', '2', 'Content-Length', '2'], 2), 'ok', 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'],
    ['chunks', GET, head(200), 'ok', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n'],
    [
      'chunks where a length is said',
      GET,
      head(200, ['Content-Length', '5']),
      'ok',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
    ],
    ['the close of the connection', 'GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n', head(200), 'ok', 'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok'],
    ['nothing to HEAD', 'HEAD / HTTP/1.1\r\nHost: a\r\n\r\n', head(200, ['Content-Length', '2'], 2), 'ok', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n'],
    ['nothing with 304', GET, head(304, ['Content-Length', '2']), '', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n'],
    // RFC 9110 section 8.6: none.
    ['nothing with 204', GET, head(204, ['Content-Length', '2']), '', 'HTTP/1.1 204 No Content\r\n\r\n'],
    ['a status without a name', GET, head(299, [], 0), '', 'HTTP/1.1 299 \r\nContent-Length: 0\r\n\r\n'],
  ])('delimits by %s', (_name, request, response, content, text) => {
    const server = new Server();
    server.get(request);
    server.log.last.stream.sendResponse(response, false);
    body(server.log.last, content, true);
    expect(server.sent()).toBe(text);
    expect(server.connection.activeStreams).toBe(0);
  });

  it('keeps the reason that an upstream gave', () => {
    const server = new Server();
    server.get(GET);
    server.log.last.stream.sendResponse(Object.assign(head(200, [], 0), { reason: 'Fine By Me' }), true);
    expect(server.sent()).toBe('HTTP/1.1 200 Fine By Me\r\nContent-Length: 0\r\n\r\n');
  });

  it('leaves in one write what is answered in one turn', () => {
    const server = new Server({}, echo);
    let writes = 0;
    const write = server.wire.write.bind(server.wire);
    server.wire.write = (chunk) => {
      writes++;
      return write(chunk);
    };
    server.get('GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n');
    expect(writes).toBe(1);
  });

  it('sends trailers after chunks, and leaves them out where there is no place for them', () => {
    const server = new Server();
    server.get(GET);
    server.log.last.stream.sendResponse(head(200), false);
    body(server.log.last, 'ok', false);
    server.log.last.stream.sendTrailers(['grpc-status', '0', 'content-length', '5']);
    expect(server.sent()).toBe('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\ngrpc-status: 0\r\n\r\n');
    server.get(GET);
    server.log.last.stream.sendResponse(head(200, [], 2), false);
    body(server.log.last, 'ok', false);
    server.log.last.stream.sendTrailers(['grpc-status', '0']);
    expect(server.sent()).toBe('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    expect(server.connection.activeStreams).toBe(0);
  });

  it('sends informational responses before the final one, not to HTTP/1.0', () => {
    const server = new Server();
    server.get(GET);
    server.log.last.stream.sendInformational(head(103, ['Link', '</a>', 'Content-Length', '5']));
    server.log.last.stream.sendResponse(head(200, [], 0), true);
    expect(server.sent()).toBe('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
    server.get('GET / HTTP/1.0\r\n\r\n');
    server.log.last.stream.sendInformational(head(103));
    expect(server.sent()).toBe('');
  });

  it.each([
    ['more', 'abc', false],
    ['less', 'a', true],
  ])('cuts a response off that gives %s than its length', (_name, content, fin) => {
    const server = new Server();
    server.get(GET);
    server.log.last.stream.sendResponse(head(200, [], 2), false);
    body(server.log.last, content, fin);
    expect(server.wire.destroyed).toBe(true);
    expect(server.log.lines.slice(1)).toEqual([
      'reset ProtocolError: content of a response differs from its length',
      'closed content of a response differs from its length',
    ]);
  });

  it.each<[string, (exchange: Exchange) => void]>([
    ['a response', ({ stream }) => void stream.sendResponse(head(200, ['Location', 'a\r\nSet-Cookie: x'], 0), true)],
    ['a reason', ({ stream }) => void stream.sendResponse(Object.assign(head(200, [], 0), { reason: 'OK\r\nX: y' }), true)],
    ['an informational response', ({ stream }) => stream.sendInformational(head(103, ['Link', 'a\u010ab']))],
    [
      'trailers',
      (exchange) => {
        exchange.stream.sendResponse(head(200), false);
        exchange.stream.sendTrailers(['X', 'a\nb']);
      },
    ],
  ])('is cut off rather than split where %s would be', (_name, send) => {
    const server = new Server();
    server.get(GET);
    send(server.log.last);
    expect(server.sent()).not.toMatch(/Set-Cookie|X: y|b$/);
    expect(server.wire.destroyed).toBe(true);
    expect(server.log.last.log.lines).toEqual(['reset ProtocolError: a head with a line break inside a line']);
  });

  it('says nothing more once the exchange is over', () => {
    const server = new Server({}, echo);
    server.get(GET);
    const { stream } = server.log.last;
    stream.sendInformational(head(103));
    stream.sendResponse(head(200), true);
    body(server.log.last, 'x', true);
    stream.sendTrailers(['a', 'b']);
    stream.pause();
    stream.reset('LocalReset');
    expect(server.sent()).toBe('');
    expect(server.wire).toMatchObject({ paused: false, destroyed: false, ended: false });
  });
});

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

describe('content of requests', () => {
  it.each([
    ['a length', 'Content-Length: 5\r\n\r\nhello', ['body hello', 'end']],
    ['a length of 0', 'Content-Length: 0\r\n\r\n', []],
    ['chunks', 'Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n', ['body hello', 'end']],
    ['no chunk at all', 'Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n', ['end']],
    ['trailers', 'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n', ['body hello', 'trailers ["X-Sum","1"]', 'end']],
    ['trailers that are all dropped', 'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nContent-Length: 9\r\n\r\n', ['body hello', 'end']],
  ])('is read by %s', (_name, rest, lines) => {
    const server = new Server();
    server.get(`POST / HTTP/1.1\r\nHost: a\r\n${rest}`);
    expect(server.log.last.log.lines).toEqual(lines);
    echo(server.log.last);
    expect(server.get(GET)).toContain('200 OK');
    expect(server.log.exchanges).toHaveLength(2);
  });

  it('is dropped after an early answer, to keep the connection', () => {
    const server = new Server({ maxDiscardedBytes: 10 }, echo);
    expect(server.get('POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n')).not.toContain('close');
    expect(server.get(`0123456789${GET}`)).toContain('200 OK');
    expect(server.log.exchanges.map(({ log }) => log.lines)).toEqual([[], []]);
  });

  it('ends the connection with an early answer where too much would be dropped', () => {
    const server = new Server({ maxDiscardedBytes: 10 }, echo);
    expect(server.get('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n')).toContain('Connection: close');
    expect(server.wire.ended).toBe(true);
    const chunked = new Server({ maxDiscardedBytes: 10 }, echo);
    chunked.get('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n01234567\r\n');
    expect(chunked.log.closed).toBeUndefined();
    chunked.get('8\r\n01234567\r\n');
    expect(chunked.log.closed).toBe('too much content after the answer');
  });

  it('is refused beyond its bound', () => {
    const server = new Server({ maxBodyBytes: 4 });
    expect(server.get('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n')).toContain('413 Content Too Large');
    expect(server.log.last.log.lines).toEqual(['reset ProtocolError: content too large']);
  });

  it('waits for nobody: Expect is answered by the engine', () => {
    const server = new Server();
    server.get('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n');
    expect(server.log.last.head).toMatchObject({ expectContinue: true, headers: ['Content-Length', '2'] });
    server.log.last.stream.sendInformational(head(100));
    expect(server.sent()).toBe('HTTP/1.1 100 Continue\r\n\r\n');
    server.get('ab');
    echo(server.log.last);
    expect(server.sent()).not.toContain('close');
    // Refused before anything was sent: nobody knows whether the content still comes.
    server.get('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n');
    echo(server.log.last);
    expect(server.sent()).toContain('Connection: close');
  });

  it('stops and goes on with its stream', () => {
    const server = new Server();
    server.get('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n');
    server.log.last.stream.pause();
    expect(server.wire.paused).toBe(true);
    server.log.last.stream.resume();
    expect(server.wire.paused).toBe(false);
    server.log.last.stream.pause();
    echo(server.log.last);
    expect(server.wire.paused).toBe(false);
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

describe('tunnels', () => {
  const CONNECT = 'CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n';
  const UPGRADE = 'GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n';
  const tunnel = (status: number, headers: HeaderList = []) => Object.assign(head(status, headers), { tunnel: true });

  it.each<[string, string, ResponseHead, string]>([
    ['CONNECT', CONNECT, tunnel(200, ['Content-Length', '0']), 'HTTP/1.1 200 OK\r\n\r\n'],
    [
      'Upgrade',
      UPGRADE,
      Object.assign(tunnel(101, ['Sec-WebSocket-Accept', 'x']), { protocol: 'websocket' }),
      'HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    ],
    ['Upgrade answered by HTTP/2', UPGRADE, tunnel(200), 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'],
  ])('%s: bytes pass both ways, what came early too', (_name, request, response, text) => {
    const server = new Server();
    server.get(`${request}early`);
    expect(server.log.last).toMatchObject({ fin: false });
    expect(server.log.last.log.lines).toEqual([]);
    server.log.last.stream.sendResponse(response, false);
    expect(server.sent()).toBe(text);
    server.get(' bytes');
    expect(server.log.last.log.lines).toEqual(['body early bytes']);
    body(server.log.last, 'answer', false);
    expect(server.sent()).toBe('answer');
    server.connection.receiveEnd();
    expect(server.log.last.log.lines).toEqual(['body early bytes', 'end']);
    expect(server.log.closed).toBeUndefined();
    body(server.log.last, 'last', true);
    expect(server.sent()).toBe('last');
    expect(server.wire.ended).toBe(true);
    expect(server.log.closed).toBe('');
  });

  it('is told of an end that came before the answer', () => {
    const server = new Server();
    server.get(CONNECT);
    server.connection.receiveEnd();
    server.log.last.stream.sendResponse(tunnel(200), false);
    expect(server.log.last.log.lines).toEqual(['end']);
  });

  it('goes on with HTTP where it is declined', () => {
    const server = new Server();
    server.get(UPGRADE);
    server.log.last.stream.sendResponse(head(200, [], 0), true);
    expect(server.sent()).toBe('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
    server.get(GET);
    expect(server.log.exchanges).toHaveLength(2);
  });

  it('ends the connection after a CONNECT that is declined: what was meant for the tunnel may be on its way', () => {
    const server = new Server();
    server.get(CONNECT);
    server.log.last.stream.sendResponse(head(403, [], 0), true);
    expect(server.sent()).toBe('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
    server.get(GET);
    expect(server.log.exchanges).toHaveLength(1);
  });

  it.each([['at once'], ['later']])('never takes what was meant for a declined tunnel for a request, declined %s', (when) => {
    const decline = ({ stream }: Exchange) => void stream.sendResponse(head(403, [], 0), true);
    const server = new Server({}, when === 'at once' ? decline : () => {});
    let sent = server.get(`${CONNECT}GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n`);
    if (when === 'later') decline(server.log.last);
    sent += server.sent();
    expect(sent).toMatch(/^HTTP\/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n$/);
    expect(server.log.exchanges).toHaveLength(1);
    expect(server.wire.ended).toBe(true);
  });
});

describe('refusals', () => {
  it.each([
    ['a bare LF', 'GET / HTTP/1.1\nHost: a\n\n', 400],
    ['no Host', 'GET / HTTP/1.1\r\n\r\n', 400],
    ['a start line too long', `GET /${'a'.repeat(17_000)} HTTP/1.1\r\n\r\n`, 414],
    ['a head too large', `GET / HTTP/1.1\r\nHost: a\r\nA: ${'b'.repeat(61_440)}\r\n\r\n`, 431],
    ['too many headers', `GET / HTTP/1.1\r\nHost: a\r\n${'A: b\r\n'.repeat(101)}\r\n`, 431],
    ['an unknown coding', 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n', 501],
    ['another version', 'GET / HTTP/3.0\r\nHost: a\r\n\r\n', 505],
    ['an unknown expectation', 'POST / HTTP/1.1\r\nHost: a\r\nExpect: x\r\nContent-Length: 1\r\n\r\n', 417],
    ['a target in quotes', 'GET * HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ])('answers %s with a signed %s %i and the end of the connection', (_name, text, status) => {
    const server = new Server({ proxyName: 'sidecar-1' });
    const answer = server.get(text);
    expect(answer).toMatch(
      new RegExp(`^HTTP/1\\.1 ${status} [^\\r]+\\r\\nProxy-Status: sidecar-1; error=http_request_error; details="(?:[^"\\\\]|\\\\.)+"\\r\\n`),
    );
    expect(answer).toMatch(/Content-Length: 0\r\nConnection: close\r\n\r\n$/);
    expect(server.wire).toMatchObject({ ended: true, destroyed: false });
    expect(server.log.exchanges).toHaveLength(0);
    server.get(GET);
    expect(server.log.exchanges).toHaveLength(0);
  });

  it('answers a chunk that is malformed, once, and only where nothing was answered yet', () => {
    const early = new Server();
    expect(early.get('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n')).toContain('400 Bad Request');
    expect(early.log.last.log.lines).toEqual(['reset ProtocolError: invalid chunk size']);
    const late = new Server();
    late.get('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n');
    late.log.last.stream.sendResponse(head(200), false);
    late.sent();
    expect(late.get('x\r\n')).toBe('');
    expect(late.wire.destroyed).toBe(true);
    const over = new Server({}, echo);
    over.get('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n');
    expect(over.get('x\r\n')).toBe('');
    expect(over.wire.ended).toBe(true);
  });
});
