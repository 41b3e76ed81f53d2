import { describe, expect, it } from 'vitest';
import { echo, GET, head, Server } from './testing/server.ts';

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
