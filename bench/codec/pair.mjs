// node bench/codec/pair.mjs: what the codecs of a pair of sidecars cost for a request and its 1 KiB answer, without
// engine and sockets: HTTP/1 in, HTTP/2 between, HTTP/1 out, and back. --batch N: requests of a turn (default 8).
import { Http1ClientConnection } from '../../packages/proxy/src/http1/client-connection.ts';
import { http1Options } from '../../packages/proxy/src/http1/options.ts';
import { Http1ServerConnection } from '../../packages/proxy/src/http1/server-connection.ts';
import { Http2ClientConnection } from '../../packages/proxy/src/http2/client-connection.ts';
import { http2Options } from '../../packages/proxy/src/http2/options.ts';
import { Http2ServerConnection } from '../../packages/proxy/src/http2/server-connection.ts';
import { measure, report } from './measure.mjs';
import { ADDED, CONTENT, REQUEST, RESPONSE, Turns, Wire } from './wire.mjs';

const batchAt = process.argv.indexOf('--batch');
const BATCH = batchAt < 0 ? 8 : Number(process.argv[batchAt + 1]);
const http1 = http1Options();
const http2 = http2Options({ nowMs: () => performance.now(), names: http1.names });
const turns = new Turns();
const request = Buffer.from(REQUEST);
const response = Buffer.concat([Buffer.from(RESPONSE), CONTENT]);
let done = 0;

/** Joins a request of one codec to the next, as the engine does: one object for both directions. */
class Relay {
  constructor(downstream, upstream, head, fin) {
    this.downstream = downstream;
    this.upstream = upstream.request(head, fin, this);
  }

  onResponse(head, fin) {
    this.downstream.sendResponse(head, fin);
  }

  onBody(buffer, start, end, fin) {
    this.downstream.sendBody(buffer, start, end, fin);
  }

  onTrailers() {}
  onInformational() {}
  onReset(reason, detail) {
    throw new Error(`${reason} ${detail}`);
  }
  onDrain() {}
}

class ToHttp2 {
  onRequest(stream, head, fin) {
    for (let i = 0; i < ADDED.length; i++) head.headers.push(ADDED[i]);
    stream.events = new Relay(stream, between, head, fin);
  }
  onClose() {}
}

/** One application behind the second sidecar for each request of a batch. */
class ToHttp1 {
  next = 0;
  onRequest(stream, head, fin) {
    const lane = lanes[this.next];
    this.next = (this.next + 1) % BATCH;
    stream.events = new Relay(stream, lane.application, head, fin);
  }
  onClose() {}
}

const quiet = { onCapacity() {}, onDraining() {}, onClose() {} };
const clientWire = new Wire();
const serverWire = new Wire();
const between = new Http2ClientConnection(clientWire, turns.writer(clientWire), quiet, http2);
const inbound = new Http2ServerConnection(serverWire, turns.writer(serverWire), new ToHttp1(), http2);
clientWire.reader = inbound;
serverWire.reader = between;

class Lane {
  constructor() {
    const down = new Wire();
    down.reader = { receive: () => done++ };
    this.client = new Http1ServerConnection(down, turns.writer(down), new ToHttp2(), http1);
    const up = new Wire();
    this.application = new Http1ClientConnection(up, turns.writer(up), quiet, http1);
  }
}
const lanes = Array.from({ length: BATCH }, () => new Lane());
turns.end();

function batch() {
  for (let i = 0; i < BATCH; i++) lanes[i].client.receive(request, 0, request.length);
  turns.end();
  for (let i = 0; i < BATCH; i++) lanes[i].application.receive(response, 0, response.length);
  turns.end();
}

const calls = Math.ceil(40_000 / BATCH);
const perBatch = measure(`pair, ${BATCH} requests a turn: a batch`, batch, calls, 6);
report('pair: a request', perBatch / BATCH, 'ns');
if (done === 0) throw new Error('no answer came through');
const links = clientWire.bytes + serverWire.bytes;
report('pair: between the sidecars', links / done, 'bytes a request');
