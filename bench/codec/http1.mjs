// node bench/codec/http1.mjs: heads of HTTP/1, decoded and encoded, and whole exchanges of each side.
import { RequestHead, ResponseHead } from '../../packages/proxy/src/http/message.ts';
import { Http1ClientConnection } from '../../packages/proxy/src/http1/client-connection.ts';
import { HeadDecoder } from '../../packages/proxy/src/http1/head-decoder.ts';
import { Framing, HeadEncoder } from '../../packages/proxy/src/http1/head-encoder.ts';
import { http1Options } from '../../packages/proxy/src/http1/options.ts';
import { Http1ServerConnection } from '../../packages/proxy/src/http1/server-connection.ts';
import { measure } from './measure.mjs';
import { CONTENT, REQUEST, RESPONSE, Turns, Wire } from './wire.mjs';

const options = http1Options();
const request = Buffer.from(REQUEST);
const response = Buffer.from(RESPONSE);
const whole = Buffer.concat([response, CONTENT]);
const decoder = new HeadDecoder(options);
let kept;

measure('request head: scan', () => {
  decoder.scanner.beginHead();
  decoder.scanner.scan(request, 0, request.length);
});
measure('request head: scan and decode', () => {
  decoder.scanner.beginHead();
  decoder.scanner.scan(request, 0, request.length);
  kept = decoder.request(request.latin1Slice(0, request.length));
});
measure('response head: scan and decode', () => {
  decoder.scanner.beginHead();
  decoder.scanner.scan(response, 0, response.length);
  kept = decoder.response(response.latin1Slice(0, response.length), 'GET');
});
const answer = kept;
if (!(answer instanceof ResponseHead)) throw new Error('not decoded');
const headWire = new Wire();
const headTurns = new Turns();
const headWriter = headTurns.writer(headWire);
const encoder = new HeadEncoder();
measure('response head: encode', (i) => {
  encoder.begin('HTTP/1.1 200 OK');
  encoder.fields(answer.headers, Framing.LENGTH, CONTENT.length);
  if (!encoder.write(headWriter)) throw new Error('not encoded');
  if ((i & 15) === 15) headTurns.end();
});

const turns = new Turns();
const wire = new Wire();
const events = { onBody() {}, onTrailers() {}, onReset() {}, onDrain() {} };
const server = new Http1ServerConnection(
  wire,
  turns.writer(wire),
  {
    onRequest(stream) {
      stream.events = events;
      stream.sendResponse(answer, false);
      stream.sendBody(CONTENT, 0, CONTENT.length, true);
    },
    onClose() {},
  },
  options,
);
measure('server: request in, 1 KiB response out', () => {
  server.receive(request, 0, request.length);
  turns.end();
});

const clientWire = new Wire();
const client = new Http1ClientConnection(clientWire, turns.writer(clientWire), { onCapacity() {}, onDraining() {}, onClose() {} }, options);
const head = Object.assign(new RequestHead(), {
  method: 'GET',
  path: '/orders?page=2',
  authority: 'order-service:8080',
  headers: ['User-Agent', 'x', 'Accept', '*/*'],
});
const responses = { ...events, onResponse() {}, onInformational() {} };
measure('client: request out, 1 KiB response in', () => {
  client.request(head, true, responses);
  turns.end();
  client.receive(whole, 0, whole.length);
});
