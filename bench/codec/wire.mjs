import { Turn, TurnWriter } from '../../packages/proxy/src/net/turn-writer.ts';

/** A transport that hands what is written to the codec at the other end, without a copy and without a socket. */
export class Wire {
  /** Who reads what is written here. */
  reader = undefined;
  bytes = 0;
  writableLength = 0;

  write(chunk) {
    this.bytes += chunk.length;
    if (this.reader !== undefined) this.reader.receive(chunk, 0, chunk.length);
    return true;
  }

  end() {}
  destroy() {}
  pause() {}
  resume() {}
}

/** Turns that end when the bench says so. */
export class Turns {
  #due = [];
  turn = new Turn((run) => this.#due.push(run));

  writer(transport) {
    return new TurnWriter(this.turn, transport);
  }

  end() {
    while (this.#due.length > 0) this.#due.pop()();
  }
}

/** What an application sends, and what it gets, in a mesh like that of `rig demo`. */
export const REQUEST = [
  'GET /orders?page=2&size=20 HTTP/1.1',
  'Host: order-service:8080',
  'User-Agent: python-requests/2.32.3',
  'Accept-Encoding: gzip, deflate, br',
  'Accept: application/json',
  'Connection: keep-alive',
  'x-request-id: 6f1f5f3e-93f6-9a6e-8d3c-2f6c1c7f9f0a',
  'traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
  '',
  '',
].join('\r\n');
export const CONTENT = Buffer.alloc(1024, 'x');
export const RESPONSE = [
  'HTTP/1.1 200 OK',
  'Server: nginx/1.22.1',
  'Date: Tue, 24 Nov 2026 10:00:00 GMT',
  'Content-Type: application/json; charset=utf-8',
  `Content-Length: ${CONTENT.length}`,
  'Connection: keep-alive',
  'ETag: "63a4a3c4-400"',
  'Cache-Control: no-store',
  '',
  '',
].join('\r\n');
/** What a sidecar adds on the way. */
export const ADDED = ['x-forwarded-proto', 'http', 'x-outrigger-peer', 'order-service;default;order-service;v1;'];
