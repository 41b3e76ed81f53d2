import type { JsonObject } from '@bufbuild/protobuf';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { routeTo } from '../testing/messages.ts';
import type { Asked } from '../testing/test-client.ts';
import { TestEngine } from '../testing/test-engine.ts';
import { isGrpc } from './local-reply.ts';
import { proxyStatus } from './proxy-status.ts';

let engine: TestEngine;

beforeEach(() => {
  engine = new TestEngine();
});
afterEach(async () => {
  expect(await engine.close()).toEqual([]);
});

const GRPC: Asked = { method: 'POST', body: 'x', headers: ['content-type', 'application/grpc+proto'] };

it('is signed: who, why, and the request id to ask about', async () => {
  await engine.listener('in', { routes: [{ match: { path: '/only' }, route: { cluster: 'c' } }] });
  const answer = await engine.client('in').call({ path: '/a', headers: ['x-request-id', 'id-1'] });
  expect(answer.status).toBe(404);
  expect(answer.header('proxy-status')).toBe('test; error=destination_not_found; details="route_not_found; NR"');
  expect(answer.header('x-request-id')).toBe('id-1');
});

it('is signed in the name that the configuration gives, or not at all', async () => {
  const names: (string | undefined)[] = [];
  for (const manager of [
    { proxyStatusConfig: { useNodeId: true } },
    { proxyStatusConfig: {} },
    { proxyStatusConfig: null },
    { proxyStatusConfig: { literalProxyName: 'a "b"' } },
  ]) {
    await engine.listener('in', { routes: [], manager: manager as JsonObject });
    names.push((await engine.client('in').call()).header('proxy-status')?.split(';')[0]);
  }
  expect(names).toEqual(['web-1.default', 'envoy', undefined, '"a \\"b\\""']);
});

it('to HEAD has the length and no content', async () => {
  engine.cluster('gone', { endpoints: ['nobody'] });
  await engine.listener('in', { routes: [routeTo('gone')] });
  const answer = await engine.client('in').call({ method: 'HEAD' });
  expect([answer.status, answer.body]).toEqual([503, '']);
  expect(Number(answer.header('content-length'))).toBeGreaterThan(0);
});

it('before the request is whole leaves the connection in order', async () => {
  await engine.listener('in', { routes: [] });
  for (const http2 of [false, true]) {
    const client = engine.client('in', { http2 });
    const call = client.send({ body: 'half', open: true, length: 8 });
    await engine.until(() => call.status === 404);
    call.write('rest', true);
    await engine.settle();
    expect((await engine.client('in', { http2 }).call()).status).toBe(404);
  }
});

describe('in a gRPC call', () => {
  it.each<[JsonObject, string, string]>([
    [{ match: { path: '/other' }, route: { cluster: 'c' } }, '12', ''],
    [routeTo('gone'), '14', 'upstream connect error'],
    [routeTo('unknown'), '14', ''],
    [routeTo('slow', { timeout: '0.100s' }), '14', 'upstream request timeout'],
    [routeTo('none'), '14', 'no healthy upstream'],
  ])('%j is an answer of trailers alone, with status %s', async (route, grpcStatus, message) => {
    engine.upstream('slow');
    engine.cluster('gone', { endpoints: ['nobody'] });
    engine.cluster('slow', { endpoints: ['slow'] });
    engine.cluster('none', { endpoints: [] });
    await engine.listener('in', { routes: [route] });
    const answer = await engine.client('in', { http2: true }).call(GRPC);
    expect([answer.status, answer.ended, answer.body]).toEqual([200, true, '']);
    expect(answer.header('content-type')).toBe('application/grpc');
    expect(answer.header('grpc-status')).toBe(grpcStatus);
    expect(answer.header('grpc-message') ?? '').toContain(message);
    expect(answer.header('proxy-status')).toMatch(/^test; error=/);
  });

  it.each([
    [[], false],
    [['content-type', 'application/grpc'], true],
    [['Content-Type', 'application/grpc+json'], true],
    [['content-type', 'application/grpc;charset=x'], true],
    [['content-type', 'application/grpc-web'], false],
    [['content-type', 'text/plain'], false],
  ])('%j: %s', (headers, expected) => {
    expect(isGrpc(headers)).toBe(expected);
  });
});

describe('a direct response', () => {
  it('has the content that is configured', async () => {
    await engine.listener('in', { routes: [{ match: { prefix: '/' }, directResponse: { status: 200, body: { inlineString: 'hello' } } }] });
    const answer = await engine.client('in').call();
    expect([answer.status, answer.body, answer.header('content-length'), answer.header('content-type')]).toEqual([200, 'hello', '5', 'text/plain']);
    expect(answer.header('proxy-status')).toBeUndefined();
    const head = await engine.client('in').call({ method: 'HEAD' });
    expect([head.body, head.header('content-length')]).toEqual(['', '5']);
  });

  it('that is an error is signed', async () => {
    await engine.listener('in', { routes: [{ match: { prefix: '/' }, directResponse: { status: 503 } }] });
    expect((await engine.client('in').call()).header('proxy-status')).toBe('test; error=http_request_denied; details="direct_response"');
  });

  it('takes the header mutations of its route', async () => {
    const responseHeadersToAdd = [{ header: { key: 'x-made', value: 'here' } }];
    await engine.listener('in', { routes: [{ match: { prefix: '/' }, directResponse: { status: 200 }, responseHeadersToAdd }] });
    expect((await engine.client('in').call()).header('x-made')).toBe('here');
  });

  it.each([204, 304])('of %i has no content-length that nobody could keep to', async (status) => {
    await engine.listener('in', { routes: [{ match: { prefix: '/' }, directResponse: { status } }] });
    for (const http2 of [false, true]) {
      const client = engine.client('in', { http2 });
      const answer = await client.call();
      expect([answer.status, answer.ended]).toEqual([status, true]);
      expect(answer.header('content-length')).toBeUndefined();
    }
  });
});

it('a redirect says where, with the status that is configured', async () => {
  await engine.listener('in', {
    routes: [{ match: { prefix: '/' }, redirect: { hostRedirect: 'shop.example', httpsRedirect: true, responseCode: 'PERMANENT_REDIRECT' } }],
  });
  const answer = await engine.client('in').call({ path: '/a?b=c' });
  expect([answer.status, answer.header('location')]).toEqual([308, 'https://shop.example/a?b=c']);
});

describe('Proxy-Status', () => {
  it('cannot be broken out of', () => {
    expect(proxyStatus('a b', 0, 'x"; injected="\\y\r\n', false)).toBe('"a b"; error=http_request_denied; details="x\\"; injected=\\"\\\\y??"');
  });
});
