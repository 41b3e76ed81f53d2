import { describe, expect, it } from 'vitest';
import { Setting } from './frame.ts';
import { data, GET, headers, POST, rst, settings, windowUpdate } from './testing/frames.ts';
import { RawServer, responseOf, send } from './testing/server.ts';

describe('flow control', () => {
  it('sends no more than both windows let out, and goes on when they open', () => {
    const server = RawServer.ready({}, () => {}, settings({ [Setting.INITIAL_WINDOW_SIZE]: 10 }));
    server.get(headers(1, GET, true));
    const exchange = server.log.last;
    exchange.stream.sendResponse(responseOf(200), false);
    expect(send(exchange, '0123456789abc', false)).toBe(false);
    expect(send(exchange, 'def', true)).toBe(false);
    expect(server.sent()).toEqual(['HEADERS 1 :status=200', 'DATA 1 0123456789']);
    expect(server.get(windowUpdate(1, 2))).toEqual(['DATA 1 ab']);
    expect(server.get(settings({ [Setting.INITIAL_WINDOW_SIZE]: 5 }))).toEqual(['SETTINGS ack']);
    // 10 - 5 of it are owed.
    expect(server.get(windowUpdate(1, 5))).toEqual([]);
    expect(server.get(windowUpdate(1, 4))).toEqual(['DATA 1 c', 'DATA 1 def fin']);
    expect(server.connection.activeStreams).toBe(0);
  });

  it('sends nothing that new settings let out before it has acknowledged them', () => {
    const server = RawServer.ready({}, () => {}, settings({ [Setting.INITIAL_WINDOW_SIZE]: 0 }));
    server.get(headers(1, GET, true));
    server.log.last.stream.sendResponse(responseOf(200), false);
    send(server.log.last, 'ab', true);
    server.sent();
    expect(server.get(settings({ [Setting.INITIAL_WINDOW_SIZE]: 1 }))).toEqual(['SETTINGS ack', 'DATA 1 a']);
  });

  it('tells the sender when all is out, then sends trailers', () => {
    const server = RawServer.ready({}, () => {}, settings({ [Setting.INITIAL_WINDOW_SIZE]: 0 }));
    server.get(headers(1, GET, true), headers(3, GET, true));
    for (const exchange of server.log.exchanges) {
      exchange.stream.sendResponse(responseOf(200), false);
      expect(send(exchange, 'abc', false)).toBe(false);
    }
    server.log.last.stream.sendTrailers(['x', 'y']);
    server.sent();
    expect(server.get(windowUpdate(1, 3), windowUpdate(3, 3))).toEqual(['DATA 1 abc', 'DATA 3 abc', 'HEADERS 3 x=y fin']);
    expect(server.log.exchanges.map(({ log }) => log.drains)).toEqual([1, 0]);
  });

  it('shares the window of the connection among those that wait', () => {
    const server = RawServer.ready({}, () => {}, settings({ [Setting.INITIAL_WINDOW_SIZE]: 1_000_000 }));
    server.get(headers(1, GET, true), headers(3, GET, true));
    for (const exchange of server.log.exchanges) {
      exchange.stream.sendResponse(responseOf(200), false);
      send(exchange, 'x'.repeat(200_000), true);
    }
    server.sent();
    expect(server.get(windowUpdate(0, 40_000))).toEqual(['DATA 1 (16384)', 'DATA 3 (16384)', 'DATA 1 (7232)']);
    const rest = server.get(windowUpdate(0, 1_000_000));
    expect(rest.filter((line) => line.endsWith('fin')).map((line) => line.slice(0, 6))).toEqual(['DATA 1', 'DATA 3']);
  });

  it('gives back what a stream has read, by halves, and keeps what it has not', () => {
    const server = RawServer.ready({ streamWindowBytes: 65_536, connectionWindowBytes: 65_536 });
    server.get(headers(1, POST, false), headers(3, POST, false));
    const [one, three] = server.log.exchanges;
    three!.stream.pause();
    const chunk = 'x'.repeat(16_384);
    expect(server.get(data(1, chunk, false))).toEqual([]);
    expect(server.get(data(1, chunk, false))).toEqual(['WINDOW_UPDATE 1 32768', 'WINDOW_UPDATE 0 32768']);
    // A paused stream keeps its own window, not that of the others.
    expect(server.get(data(3, chunk, false), data(3, chunk, false))).toEqual(['WINDOW_UPDATE 0 32768']);
    three!.stream.resume();
    expect(server.sent()).toEqual(['WINDOW_UPDATE 3 32768']);
    expect([one!.log.bytes, three!.log.bytes]).toEqual([32_768, 32_768]);
  });

  it('keeps the window of the connection too where paused streams hold too much', () => {
    const server = RawServer.ready({ streamWindowBytes: 1_000_000, connectionWindowBytes: 65_536, maxHeldBytes: 20_000 }, ({ stream }) => stream.pause());
    server.get(headers(1, POST, false));
    const chunk = 'x'.repeat(16_384);
    expect(server.get(data(1, chunk, false), data(1, chunk, false), data(1, chunk, false))).toEqual([]);
    server.log.last.stream.resume();
    expect(server.sent()).toEqual(['WINDOW_UPDATE 0 49152']);
    server.log.last.stream.pause();
    server.get(data(1, chunk, false), data(1, chunk, false));
    // Also where the stream goes.
    expect(server.get(rst(1))).toEqual(['WINDOW_UPDATE 0 32768']);
  });

  it('gives back what comes for streams that are no more', () => {
    const server = RawServer.ready({ connectionWindowBytes: 65_536 }, ({ stream }) => stream.reset('LocalReset'));
    server.get(headers(1, POST, false));
    for (let i = 0; i < 20; i++) expect(server.get(data(1, 'x'.repeat(16_384), false))).toEqual(i % 2 === 0 ? [] : ['WINDOW_UPDATE 0 32768']);
  });
});
