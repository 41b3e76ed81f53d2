import type { JsonObject } from '@bufbuild/protobuf';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ConnectionInfoFields } from '../listener/connection-info.ts';
import { routeTo, typed } from '../testing/messages.ts';
import type { Asked } from '../testing/test-client.ts';
import { TestEngine } from '../testing/test-engine.ts';
import type { Received } from '../testing/test-upstream.ts';

const LOCAL = 'spiffe://cluster.local/ns/default/sa/payment';
const PEER = {
  uri: 'spiffe://cluster.local/ns/default/sa/web',
  names: { uri: ['spiffe://cluster.local/ns/default/sa/web'], dns: ['web.local'], email: [], ip: [] },
  sha256: 'ab12',
  subject: 'CN=web "1"',
};
const MUTUAL: Partial<ConnectionInfoFields> = { secure: true, peer: PEER, localUri: LOCAL };

let engine: TestEngine;

beforeEach(() => {
  engine = new TestEngine();
  engine.upstream('a').script(200);
  engine.cluster('c', { endpoints: ['a'] });
});
afterEach(async () => {
  expect(await engine.close()).toEqual([]);
});

interface Seen {
  readonly status: number;
  readonly answer: (name: string) => string | undefined;
  readonly head: Received['head'] | undefined;
  readonly header: (name: string) => string | undefined;
}

/** What the application sees of a request. */
async function pass(manager: JsonObject, asked: Asked = {}, info: Partial<ConnectionInfoFields> = {}, fields: JsonObject = {}): Promise<Seen> {
  const upstream = engine.upstream('a').script(200);
  await engine.listener('in', { routes: [routeTo('c')], manager, fields });
  const client = engine.client('in', { info });
  const call = await client.call(asked);
  client.destroy();
  await engine.settle();
  const received = upstream.requests[0];
  return { status: call.status, answer: (name) => call.header(name), head: received?.head, header: (name) => received?.header(name) };
}

describe('the request id', () => {
  it('is made where there is none, and the same for every attempt', async () => {
    const seen = await pass({});
    expect(seen.header('x-request-id')).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });

  it.each([
    ['kept: no edge', {}, {}, 'mine'],
    ['made anew at the edge', { useRemoteAddress: true }, {}, undefined],
    ['kept at the edge where it says so', { useRemoteAddress: true, preserveExternalRequestId: true }, {}, 'mine'],
    ['kept at the edge from a proven peer', { useRemoteAddress: true }, MUTUAL, 'mine'],
    ['kept where none are made', { useRemoteAddress: true, generateRequestId: false }, {}, 'mine'],
  ])("the caller's is %s", async (_what, manager, info, expected) => {
    const seen = await pass(manager, { headers: ['X-Request-Id', 'mine'] }, info);
    if (expected === undefined) expect(seen.header('x-request-id')).not.toBe('mine');
    else expect(seen.header('x-request-id')).toBe(expected);
    expect(seen.head!.headers.filter((text) => text.toLowerCase() === 'x-request-id')).toHaveLength(1);
  });

  it('is not made where it is not wanted, and goes back where it is', async () => {
    expect((await pass({ generateRequestId: false })).header('x-request-id')).toBeUndefined();
    expect((await pass({})).answer('x-request-id')).toBeUndefined();
    expect((await pass({ alwaysSetRequestIdInResponse: true }, { headers: ['x-request-id', 'mine'] })).answer('x-request-id')).toBe('mine');
  });
});

describe('the trace', () => {
  const TRACING = {
    tracing: {
      randomSampling: { value: 100 },
      provider: { name: 'otel', typedConfig: typed('envoy.config.trace.v3.OpenTelemetryConfig', { serviceName: 'web' }) },
    },
  };
  const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';

  it('is begun where there is none', async () => {
    const seen = await pass(TRACING);
    expect(seen.header('traceparent')).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
  });

  it('goes on under the same id with a span of its own', async () => {
    const seen = await pass(TRACING, { headers: ['traceparent', `00-${TRACE}-00f067aa0ba902b7-01`] });
    expect(seen.header('traceparent')).toMatch(new RegExp(`^00-${TRACE}-(?!00f067aa0ba902b7)[0-9a-f]{16}-01$`));
  });

  it('of B3 goes on as B3, sampled or not as the caller said', async () => {
    const seen = await pass(TRACING, { headers: ['X-B3-TraceId', TRACE, 'X-B3-SpanId', '00f067aa0ba902b7', 'X-B3-Sampled', '0'] });
    expect(seen.header('x-b3-traceid')).toBe(TRACE);
    expect(seen.header('x-b3-spanid')).not.toBe('00f067aa0ba902b7');
    expect(seen.header('x-b3-sampled')).toBe('0');
  });

  it("is the caller's own affair where there is no tracing", async () => {
    const seen = await pass({}, { headers: ['traceparent', `00-${TRACE}-00f067aa0ba902b7-01`] });
    expect(seen.header('traceparent')).toBe(`00-${TRACE}-00f067aa0ba902b7-01`);
  });
});

describe('x-forwarded-client-cert', () => {
  const FORGED = ['X-Forwarded-Client-Cert', 'By=spiffe://evil;URI=spiffe://cluster.local/ns/default/sa/admin'];
  const OWN = `By=${LOCAL};Hash=ab12;URI=${PEER.uri}`;
  const uri = { setCurrentClientCertDetails: { uri: true } };

  it.each<[string, Partial<ConnectionInfoFields>, string | undefined]>([
    ['SANITIZE', MUTUAL, undefined],
    ['SANITIZE', {}, undefined],
    ['SANITIZE_SET', MUTUAL, OWN],
    ['SANITIZE_SET', {}, undefined],
    ['FORWARD_ONLY', MUTUAL, FORGED[1]],
    ['FORWARD_ONLY', {}, undefined],
    ['APPEND_FORWARD', MUTUAL, `${FORGED[1]},${OWN}`],
    ['APPEND_FORWARD', {}, undefined],
    ['ALWAYS_FORWARD_ONLY', {}, FORGED[1]],
  ])('%s over %j', async (forwardClientCertDetails, info, expected) => {
    const seen = await pass({ forwardClientCertDetails, ...uri }, { headers: FORGED }, info);
    expect(seen.header('x-forwarded-client-cert')).toBe(expected);
  });

  it('of a client without a certificate is never forged, though the connection is TLS', async () => {
    const seen = await pass({ forwardClientCertDetails: 'SANITIZE_SET', ...uri }, { headers: FORGED }, { secure: true });
    expect(seen.header('x-forwarded-client-cert')).toBeUndefined();
  });

  it('names what is asked for, quoted so that nothing can be smuggled in', async () => {
    const seen = await pass({ forwardClientCertDetails: 'SANITIZE_SET', setCurrentClientCertDetails: { uri: true, dns: true, subject: true } }, {}, MUTUAL);
    expect(seen.header('x-forwarded-client-cert')).toBe(`By=${LOCAL};Hash=ab12;Subject="CN=web \\"1\\"";URI=${PEER.uri};DNS=web.local`);
  });

  it('quotes a name that holds what separates elements', async () => {
    const dns = ['a,By=spiffe://evil;URI="x"'];
    const info = { ...MUTUAL, peer: { ...PEER, names: { ...PEER.names, dns } } };
    const seen = await pass({ forwardClientCertDetails: 'SANITIZE_SET', setCurrentClientCertDetails: { dns: true } }, {}, info);
    expect(seen.header('x-forwarded-client-cert')).toBe(`By=${LOCAL};Hash=ab12;DNS="a,By=spiffe://evil;URI=\\"x\\""`);
  });

  it('leaves one header where the client sent several', async () => {
    const seen = await pass({ forwardClientCertDetails: 'SANITIZE_SET', ...uri }, { headers: [...FORGED, ...FORGED] }, MUTUAL);
    expect(seen.head!.headers.filter((text) => text.toLowerCase() === 'x-forwarded-client-cert')).toHaveLength(1);
    expect(seen.header('x-forwarded-client-cert')).toBe(OWN);
  });
});

describe('x-forwarded-for and -proto', () => {
  it.each<[JsonObject, string[], string | undefined, string | undefined]>([
    [{}, [], undefined, 'http'],
    [{}, ['x-forwarded-for', '1.2.3.4', 'x-forwarded-proto', 'https'], '1.2.3.4', 'https'],
    [{ useRemoteAddress: true }, [], '127.0.0.9', 'http'],
    [{ useRemoteAddress: true }, ['x-forwarded-for', '1.2.3.4', 'x-forwarded-proto', 'https'], '1.2.3.4,127.0.0.9', 'http'],
    [{ useRemoteAddress: true, skipXffAppend: true }, ['x-forwarded-for', '1.2.3.4'], '1.2.3.4', 'http'],
  ])('%j with %j', async (manager, headers, forwardedFor, proto) => {
    const seen = await pass(manager, { headers }, {});
    expect([seen.header('x-forwarded-for'), seen.header('x-forwarded-proto')]).toEqual([forwardedFor, proto]);
  });
});

describe('the path', () => {
  it.each<[JsonObject, string, string | number]>([
    [{ normalizePath: true }, '/a/../b', '/b'],
    [{ normalizePath: true }, '/a/../../b', 400],
    [{ normalizePath: true }, '/%61/./b?c=/../d', '/a/b?c=/../d'],
    [{ normalizePath: false }, '/a/../b', '/a/../b'],
    [{ normalizePath: true }, '/a//b', '/a//b'],
    [{ normalizePath: true, mergeSlashes: true }, '/a//b', '/a/b'],
    [{ pathWithEscapedSlashesAction: 'REJECT_REQUEST' }, '/a%2Fb', 400],
    [{ pathWithEscapedSlashesAction: 'UNESCAPE_AND_FORWARD' }, '/a%2Fb', '/a/b'],
    [{ pathWithEscapedSlashesAction: 'UNESCAPE_AND_REDIRECT' }, '/a%2Fb', 307],
    [{}, '/a%2Fb', '/a%2Fb'],
  ])('%j: %s becomes %s', async (manager, given, expected) => {
    const seen = await pass(manager, { path: given });
    if (typeof expected === 'string') expect(seen.head!.path).toBe(expected);
    else expect([seen.status, seen.head]).toEqual([expected, undefined]);
    if (expected === 307) expect(seen.answer('location')).toBe('/a/b');
    if (expected === 400) expect(seen.answer('proxy-status')).toContain('path_normalization_failed');
  });
});

describe('the host', () => {
  it.each<[JsonObject, string, string]>([
    [{}, 'Shop.:8080', 'Shop.:8080'],
    [{ stripAnyHostPort: true }, 'shop:9999', 'shop'],
    [{ stripMatchingHostPort: true }, 'shop:8080', 'shop'],
    [{ stripMatchingHostPort: true }, 'shop:9999', 'shop:9999'],
    [{ stripTrailingHostDot: true }, 'shop.:9999', 'shop:9999'],
    [{ stripTrailingHostDot: true, stripAnyHostPort: true }, 'shop.:9999', 'shop'],
  ])('%j: %s becomes %s', async (manager, authority, expected) => {
    expect((await pass(manager, { authority })).head!.authority).toBe(expected);
  });
});

it('via is added', async () => {
  expect((await pass({ via: 'mesh' })).header('via')).toBe('mesh');
});

describe('x-outrigger-peer', () => {
  it('counts where the caller is proven, and says nothing where it is not', async () => {
    const inbound = { trafficDirection: 'INBOUND' };
    const headers = ['x-outrigger-peer', 'web-v2;default;web;v2'];
    await pass({}, { headers }, MUTUAL, inbound);
    expect(engine.metrics).toContain('source_version="v2"');
    const before = engine.metrics;
    await pass({}, { headers: ['x-outrigger-peer', 'web-v3;default;web;v3'] }, {}, inbound);
    expect(engine.metrics).not.toContain('v3');
    expect(engine.metrics).not.toBe(before);
    // Of another namespace than its certificate's.
    await pass({}, { headers: ['x-outrigger-peer', 'admin-v4;kube-system;admin;v4'] }, MUTUAL, inbound);
    expect(engine.metrics).not.toContain('v4');
  });
});
