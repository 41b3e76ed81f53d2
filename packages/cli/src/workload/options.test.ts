import { describe, expect, test } from 'vitest';
import { parseLabel, parseName, parsePort, parseUpstream } from './options.ts';

describe('--port', () => {
  test.each([
    ['9001', { protocol: 'http', servicePort: 9001, applicationPort: 9001 }],
    ['8080:9001', { protocol: 'http', servicePort: 8080, applicationPort: 9001 }],
    ['grpc:9001', { protocol: 'grpc', servicePort: 9001, applicationPort: 9001 }],
    ['tcp:6379:16379', { protocol: 'tcp', servicePort: 6379, applicationPort: 16_379 }],
  ])('%s', (text, port) => expect(parsePort(text)).toEqual(port));
  test.each(['', 'http', '0', '70000', 'udp:53', '1:2:3', 'http:8080:', '80 80', '-1'])('%j is refused', (text) =>
    expect(() => parsePort(text)).toThrow(/--port/),
  );
});

describe('--upstream', () => {
  test.each([
    ['order-service=127.0.0.1:7001', { service: 'order-service', port: 0, address: '127.0.0.1:7001' }],
    ['order-service:8080=localhost:7001', { service: 'order-service', port: 8080, address: '127.0.0.1:7001' }],
    ['db.data=7002', { service: 'db.data', port: 0, address: '127.0.0.1:7002' }],
  ])('%s', (text, upstream) => expect(parseUpstream(text)).toEqual(upstream));
  test.each(['order-service', 'order-service=', 'order-service=0.0.0.0:7001', '=127.0.0.1:1', 'a=127.0.0.1:99999'])('%j is refused', (text) =>
    expect(() => parseUpstream(text)).toThrow(/--upstream/),
  );
});

test('names are RFC 1123 labels', () => {
  expect(parseName('order-service', '--name')).toBe('order-service');
  for (const bad of ['', 'Order', 'a_b', '-a', 'a-', 'x'.repeat(64), '../etc']) expect(() => parseName(bad, '--name')).toThrow(/--name/);
});

test('labels are KEY=VALUE', () => {
  expect(parseLabel('app.kubernetes.io/name=web')).toEqual(['app.kubernetes.io/name', 'web']);
  for (const bad of ['a', '=b', 'a=b c']) expect(() => parseLabel(bad)).toThrow(/--label/);
});
