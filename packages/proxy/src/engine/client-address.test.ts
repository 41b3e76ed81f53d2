import type { JsonObject } from '@bufbuild/protobuf';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { routeTo, typed } from '../testing/messages.ts';
import { TestEngine } from '../testing/test-engine.ts';
import type { TestUpstream } from '../testing/test-upstream.ts';

let engine: TestEngine;
let a: TestUpstream;

beforeEach(() => {
  engine = new TestEngine();
  a = engine.upstream('a').script(200);
  engine.cluster('a', { endpoints: ['a'] });
});
afterEach(async () => {
  expect(await engine.close()).toEqual([]);
});

/** Those alone come in whose client is in 10.0.0.0/8. */
const TEN: JsonObject = {
  name: 'rbac',
  typedConfig: typed('envoy.extensions.filters.http.rbac.v3.RBAC', {
    rules: { policies: { ten: { permissions: [{ any: true }], principals: [{ remoteIp: { addressPrefix: '10.0.0.0', prefixLen: 8 } }] } } },
  }),
};
const detection = (name: string, type: string, fields: JsonObject): JsonObject => ({
  name,
  typedConfig: typed(`envoy.extensions.http.original_ip_detection.${name}.v3.${type}`, fields),
});

async function statusFor(manager: JsonObject, headers: readonly string[], remoteIp = '9.9.9.9'): Promise<number> {
  await engine.listener('in', { routes: [routeTo('a')], filters: [TEN], manager });
  return (await engine.client('in', { info: { remoteIp } }).call({ headers: [...headers] })).status;
}

describe('the client of a request', () => {
  it.each([
    ['is the other end of the connection', {}, [], '10.0.0.1', 200],
    ['is what x-forwarded-for says last', {}, ['x-forwarded-for', '9.9.9.9, 10.0.0.1'], '9.9.9.9', 200],
    ['is not what it says first', {}, ['x-forwarded-for', '10.0.0.1, 9.9.9.9'], '10.0.0.1', 403],
    ['is what repeated ones say together', {}, ['x-forwarded-for', '9.9.9.9', 'x-forwarded-for', '10.0.0.1'], '9.9.9.9', 200],
    ['is no name', {}, ['x-forwarded-for', 'ten'], '10.0.0.1', 200],
    ['stands before the trusted hops', { xffNumTrustedHops: 1 }, ['x-forwarded-for', '10.0.0.1,9.9.9.9'], '9.9.9.9', 200],
    ['at the edge is the other end, whatever is said', { useRemoteAddress: true }, ['x-forwarded-for', '10.0.0.1'], '9.9.9.9', 403],
    ['at the edge stands before the trusted hops', { useRemoteAddress: true, xffNumTrustedHops: 1 }, ['x-forwarded-for', '10.0.0.1'], '9.9.9.9', 200],
    ['at the edge is the other end where the hops have said nothing', { useRemoteAddress: true, xffNumTrustedHops: 1 }, [], '10.0.0.1', 200],
  ] as const)('%s', async (_what, manager, headers, remoteIp, status) => {
    expect(await statusFor(manager as unknown as JsonObject, headers, remoteIp)).toBe(status);
  });

  it('is asked of one extension after another', async () => {
    const extensions = [detection('custom_header', 'CustomHeaderConfig', { headerName: 'X-Client' }), detection('xff', 'XffConfig', {})];
    const manager = { originalIpDetectionExtensions: extensions };
    expect(await statusFor(manager, ['x-client', '10.0.0.1'])).toBe(200);
    expect(await statusFor(manager, ['x-forwarded-for', '10.0.0.1'])).toBe(200);
    expect(await statusFor(manager, [])).toBe(403);
  });

  it('that cannot be told is refused where that is asked for', async () => {
    const extension = detection('custom_header', 'CustomHeaderConfig', { headerName: 'x-client', rejectWithStatus: { code: 'OK' } });
    expect(await statusFor({ originalIpDetectionExtensions: [extension] }, [], '10.0.0.1')).toBe(403);
    expect(engine.last.details).toBe('rejected_by_original_ip_detection');
    expect(a.requests).toHaveLength(0);
  });

  it.each([
    [{ useRemoteAddress: true, originalIpDetectionExtensions: [detection('xff', 'XffConfig', {})] }, 'use_remote_address'],
    [{ originalIpDetectionExtensions: [{ name: 'p' }] }, 'p is not supported'],
    [{ internalAddressConfig: { cidrRanges: [{ addressPrefix: 'x' }] } }, 'internal_address_config.cidr_ranges[0]'],
  ])('as %j says is refused', async (manager, words) => {
    await expect(engine.listener('in', { routes: [], manager: manager as JsonObject })).rejects.toThrow(words);
  });
});

describe('a request from within', () => {
  const within: JsonObject = { useRemoteAddress: true, internalAddressConfig: { cidrRanges: [{ addressPrefix: '10.0.0.0', prefixLen: 8 }] } };

  it('is marked; what one from outside says of itself is taken off', async () => {
    await engine.listener('in', { routes: [routeTo('a')], manager: within });
    await engine.client('in', { info: { remoteIp: '10.0.0.1' } }).call();
    expect(a.last.header('x-envoy-internal')).toBe('true');
    await engine.client('in', { info: { remoteIp: '9.9.9.9' } }).call({ headers: ['x-envoy-internal', 'true', 'x-envoy-retry-on', '5xx'] });
    expect([a.last.header('x-envoy-internal'), a.last.header('x-envoy-retry-on')]).toEqual([undefined, undefined]);
  });

  it('has no address from outside; one from outside has its own, whatever it says, and no service that it says it is', async () => {
    await engine.listener('in', { routes: [routeTo('a')], manager: within });
    await engine.client('in', { info: { remoteIp: '10.0.0.1' } }).call();
    expect(a.last.header('x-envoy-external-address')).toBeUndefined();
    const headers = ['x-envoy-external-address', '10.0.0.1', 'x-envoy-downstream-service-cluster', 'payment', 'x-envoy-downstream-service-node', 'p-1'];
    await engine.client('in', { info: { remoteIp: '9.9.9.9' } }).call({ headers });
    const found = ['external-address', 'downstream-service-cluster', 'downstream-service-node'].map((name) => a.last.header(`x-envoy-${name}`));
    expect(found).toEqual(['9.9.9.9', undefined, undefined]);
  });

  it('is none where the address of the connection is not looked at', async () => {
    await engine.listener('in', { routes: [routeTo('a')], manager: {} });
    await engine.client('in', { info: { remoteIp: '9.9.9.9' } }).call({ headers: ['x-envoy-external-address', '10.0.0.1'] });
    expect(a.last.header('x-envoy-external-address')).toBe('10.0.0.1');
  });

  it('goes where require_tls sends those from outside away', async () => {
    await engine.listener('in', { routes: [routeTo('a')], virtualHost: { requireTls: 'EXTERNAL_ONLY' }, manager: within });
    expect((await engine.client('in', { info: { remoteIp: '10.0.0.1' } }).call()).status).toBe(200);
    expect((await engine.client('in', { info: { remoteIp: '9.9.9.9' } }).call()).status).toBe(301);
  });
});
