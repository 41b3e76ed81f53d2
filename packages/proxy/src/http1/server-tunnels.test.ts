import { describe, expect, it } from 'vitest';
import type { HeaderList, ResponseHead } from '../http/message.ts';
import type { Exchange } from '../http/testing/exchange-log.ts';
import { body, GET, head, Server } from './testing/server.ts';

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
