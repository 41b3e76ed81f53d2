// node bench/codec/hpack.mjs: header blocks of requests and responses between sidecars, encoded and decoded.
import { HeaderNames } from '../../packages/proxy/src/http/header-names.ts';
import { RequestHead, ResponseHead } from '../../packages/proxy/src/http/message.ts';
import { FieldSection } from '../../packages/proxy/src/http2/field-section.ts';
import { requestBytes, responseBytes, writeRequest, writeResponse } from '../../packages/proxy/src/http2/head-encoder.ts';
import { HpackDecoder } from '../../packages/proxy/src/http2/hpack-decoder.ts';
import { HpackEncoder } from '../../packages/proxy/src/http2/hpack-encoder.ts';
import { http2Options } from '../../packages/proxy/src/http2/options.ts';
import { measure, report } from './measure.mjs';
import { ADDED, Turns, Wire } from './wire.mjs';

const options = http2Options({ nowMs: () => 0 });
const turns = new Turns();

function requestOf(i) {
  return Object.assign(new RequestHead(), {
    method: 'GET',
    path: '/orders?page=2&size=20',
    authority: 'order-service:8080',
    headers: [
      'User-Agent',
      'python-requests/2.32.3',
      'Accept-Encoding',
      'gzip, deflate, br',
      'Accept',
      'application/json',
      'x-request-id',
      `6f1f5f3e-93f6-9a6e-8d3c-${(i + 1e11).toString(16).padStart(12, '0')}`,
      'traceparent',
      `00-4bf92f3577b34da6a3ce929d0e0e4736-${(i + 1e11).toString(16).padStart(16, '0')}-01`,
      ...ADDED,
    ],
  });
}

function responseOf(i) {
  return Object.assign(new ResponseHead(), {
    status: 200,
    headers: [
      'Server',
      'nginx/1.22.1',
      'Date',
      'Tue, 24 Nov 2026 10:00:00 GMT',
      'Content-Type',
      'application/json; charset=utf-8',
      'Content-Length',
      `${1024 + (i % 7)}`,
      'ETag',
      '"63a4a3c4-400"',
      'Cache-Control',
      'no-store',
      'x-envoy-upstream-service-time',
      `${i % 5}`,
    ],
  });
}

const heads = Array.from({ length: 64 }, (_, i) => [requestOf(i), responseOf(i)]);
for (const [kind, bytesOf, write, at] of [
  ['request', requestBytes, writeRequest, 0],
  ['response', responseBytes, writeResponse, 1],
]) {
  const wire = new Wire();
  const writer = turns.writer(wire);
  const encoder = new HpackEncoder(writer, 4096);
  const encode = (i) => {
    const head = heads[i & 63][at];
    writer.reserve(bytesOf(head));
    write(encoder, head);
    if ((i & 15) === 15) turns.end();
  };
  measure(`${kind}: encode`, encode);
  turns.end();

  // Blocks in the order in which the tables are in step: the first brings the entries, the rest name them.
  const blocks = [];
  const blockWriter = turns.writer({ writableLength: 0, write: (chunk) => blocks.push(Buffer.from(chunk)) });
  const blockEncoder = new HpackEncoder(blockWriter, 4096);
  for (let i = 0; i < 64 * 9; i++) {
    const head = heads[i & 63][at];
    blockWriter.reserve(bytesOf(head));
    write(blockEncoder, head);
    turns.end();
  }
  const decoder = new HpackDecoder(new HeaderNames(), 4096);
  const section = new FieldSection(options);
  let kept;
  const decode = (block) => {
    section.begin();
    if (!decoder.decode(block, 0, block.length, section)) throw new Error('not decoded');
    kept = at === 0 ? section.request(true) : section.response(false, 'GET', false);
    if (kept === null) throw new Error(section.error);
  };
  for (const block of blocks) decode(block);
  // After eight rounds the encoder adds nothing to the table any more, so that the last round may be read again and again.
  const last = blocks.slice(-64);
  measure(`${kind}: decode`, (i) => decode(last[i & 63]));
  report(`${kind}: a block`, last.reduce((sum, block) => sum + block.length, 0) / last.length, 'bytes');
}
