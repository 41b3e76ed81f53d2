import { describe, expect, it } from 'vitest';
import type { ResponseHead } from '../http/message.ts';
import type { Exchange } from '../http/testing/exchange-log.ts';
import { body, echo, GET, head, Server } from './testing/server.ts';

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
