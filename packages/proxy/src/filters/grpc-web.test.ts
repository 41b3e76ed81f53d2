import { afterEach, beforeEach, expect, it } from 'vitest';
import { routeTo, typed } from '../testing/messages.ts';
import { TestEngine } from '../testing/test-engine.ts';
import type { TestUpstream } from '../testing/test-upstream.ts';

const FILTER = { name: 'web', typedConfig: typed('envoy.extensions.filters.http.grpc_web.v3.GrpcWeb') };
const base64 = (text: string): string => Buffer.from(text, 'latin1').toString('base64');
const TRAILERS = 'grpc-status:0\r\ngrpc-message:fine\r\n';
const TRAILERS_FRAME = `\x80\0\0\0${String.fromCharCode(TRAILERS.length)}${TRAILERS}`;

let engine: TestEngine;
let a: TestUpstream;

beforeEach(async () => {
  engine = new TestEngine();
  a = engine.upstream('a', { http2: true });
  engine.cluster('c', { endpoints: ['a'], http2: true });
  await engine.listener('in', { routes: [routeTo('c')], filters: [FILTER] });
});
afterEach(async () => {
  expect(await engine.close()).toEqual([]);
});

const grpcAnswer = { headers: ['content-type', 'application/grpc+proto'], body: 'answer', trailers: ['grpc-status', '0', 'grpc-message', 'fine'] };

it('a binary call over HTTP/1 becomes gRPC, and its trailers a last frame of the content', async () => {
  a.answer((received) => received.respond(200, grpcAnswer));
  const call = await engine
    .client('in')
    .call({ method: 'POST', headers: ['Content-Type', 'application/grpc-web+proto', 'Content-Length', '7'], body: 'request', length: 7 });
  expect([a.last.header('content-type'), a.last.header('te'), a.last.body]).toEqual(['application/grpc+proto', 'trailers', 'request']);
  expect([call.header('content-type'), call.body]).toEqual(['application/grpc-web+proto', `answer${TRAILERS_FRAME}`]);
  expect(call.trailers).toEqual([]);
});

it('a text call is base64 both ways, cut anywhere', async () => {
  a.answer((received) => received.respond(200, grpcAnswer));
  const call = engine.client('in').send({ method: 'POST', headers: ['content-type', 'application/grpc-web-text'], open: true });
  await engine.settle();
  const text = base64('one ') + base64('two');
  call.write(text.slice(0, 5));
  call.write(text.slice(5), true);
  await engine.until(() => call.over);
  expect(a.last.body).toBe('one two');
  expect(call.header('content-type')).toBe('application/grpc-web-text+proto');
  expect(call.body).toBe(base64('answer') + base64(TRAILERS_FRAME));
});

it('what is no base64 is refused', async () => {
  const call = engine.client('in').send({ method: 'POST', headers: ['content-type', 'application/grpc-web-text'], body: '!!!!' });
  await engine.until(() => call.over);
  expect([call.header('grpc-status'), engine.last.details]).toEqual([expect.any(String), 'grpc_base_64_decode_failed']);
});

it('an answer of the mesh, and one that is no gRPC, arrive as they are', async () => {
  a.answer((received) => received.respond(404, { headers: ['content-type', 'text/html'], body: 'no' }));
  const page = await engine.client('in').call({ method: 'POST', headers: ['content-type', 'application/grpc-web'], body: 'x' });
  expect([page.status, page.header('content-type'), page.body]).toEqual([404, 'text/html', 'no']);
  engine.cluster('c', { endpoints: [], http2: true });
  const failed = await engine.client('in').call({ method: 'POST', headers: ['content-type', 'application/grpc-web'], body: 'x' });
  expect([failed.status, failed.header('grpc-status'), failed.header('content-type')]).toEqual([200, '14', 'application/grpc-web+proto']);
});

it('other requests pass untouched', async () => {
  a.answer((received) => received.respond(200, { headers: ['content-type', 'application/grpc'], trailers: ['grpc-status', '0'] }));
  const call = await engine.client('in', { http2: true }).call({ method: 'POST', headers: ['content-type', 'application/grpc'], body: 'x' });
  expect([call.header('content-type'), call.trailers]).toEqual(['application/grpc', ['grpc-status', '0']]);
});
