import { fromBinary, type JsonObject, toBinary } from '@bufbuild/protobuf';
import { type CheckRequest, CheckRequestSchema, CheckResponseSchema } from '@outrigger/xds/protos/envoy/service/auth/v3/external_auth';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { listener, message, routeTo, typed } from '../../testing/messages.ts';
import { TestEngine } from '../../testing/test-engine.ts';
import type { TestUpstream } from '../../testing/test-upstream.ts';
import { changeQuery } from './query-changes.ts';

const AUTHZ = 'envoy.extensions.filters.http.ext_authz.v3';

let engine: TestEngine;
let application: TestUpstream;

beforeEach(() => {
  engine = new TestEngine();
  application = engine.upstream('a').script(200);
  engine.cluster('c', { endpoints: ['a'] });
});
afterEach(async () => {
  expect(await engine.close()).toEqual([]);
});

const filter = (fields: JsonObject): JsonObject => ({ name: 'authz', typedConfig: typed(`${AUTHZ}.ExtAuthz`, { transportApiVersion: 'V3', ...fields }) });
const httpService = (fields: JsonObject = {}): JsonObject => ({
  httpService: { serverUri: { uri: 'http://authz.example', cluster: 'authz', timeout: '1s' }, ...fields },
});
const per = (fields: JsonObject): JsonObject => ({ typedPerFilterConfig: { authz: typed(`${AUTHZ}.ExtAuthzPerRoute`, fields) } });

describe('over HTTP', () => {
  let authz: TestUpstream;
  beforeEach(() => {
    authz = engine.upstream('z');
    engine.cluster('authz', { endpoints: ['z'] });
  });

  it('200 lets pass; the service sees method, path, host and Authorization alone', async () => {
    await engine.listener('in', { routes: [routeTo('c')], filters: [filter(httpService({ pathPrefix: '/check' }))] });
    const call = engine.client('in').send({ method: 'POST', path: '/pay?x=1', headers: ['Authorization', 'secret', 'X-Other', '1'], body: 'content' });
    await engine.until(() => authz.requests.length === 1);
    expect(application.requests).toHaveLength(0);
    const { head } = authz.last;
    expect([head.method, head.path, authz.last.header('authorization'), authz.last.header('x-other'), authz.last.body]).toEqual([
      'POST',
      '/check/pay?x=1',
      'secret',
      undefined,
      '',
    ]);
    authz.last.respond(200);
    await engine.until(() => call.over);
    expect([call.status, application.last.body]).toEqual([200, 'content']);
  });

  it('anything else is its answer, and the application hears nothing', async () => {
    await engine.listener('in', { routes: [routeTo('c')], filters: [filter(httpService())] });
    const call = engine.client('in').send();
    await engine.until(() => authz.requests.length === 1);
    authz.last.respond(401, { headers: ['www-authenticate', 'Basic', 'set-cookie', 'a=1', 'set-cookie', 'b=2'], body: 'who are you?' });
    await engine.until(() => call.over);
    expect([call.status, call.body, call.header('www-authenticate')]).toEqual([401, 'who are you?', 'Basic']);
    expect(call.headers.filter((_text, i) => call.headers[i - 1] === 'set-cookie')).toEqual(['a=1', 'b=2']);
    expect(call.header('proxy-status')).toContain('ext_authz_denied; UAEX');
    expect(application.requests).toHaveLength(0);
  });

  it('adds what it is allowed to add, on both ways', async () => {
    const authorizationResponse = {
      allowedUpstreamHeaders: { patterns: [{ prefix: 'x-user' }] },
      allowedClientHeadersOnSuccess: { patterns: [{ exact: 'x-session' }] },
    };
    await engine.listener('in', { routes: [routeTo('c')], filters: [filter(httpService({ authorizationResponse }))] });
    const call = engine.client('in').send({ headers: ['x-user-id', 'forged', 'x-drop', '1'] });
    await engine.until(() => authz.requests.length === 1);
    authz.last.respond(200, { headers: ['x-user-id', 'ann', 'x-other', '1', 'x-session', 's', 'x-envoy-auth-headers-to-remove', 'x-drop'] });
    await engine.until(() => call.over);
    expect([application.last.header('x-user-id'), application.last.header('x-other'), application.last.header('x-drop')]).toEqual([
      'ann',
      undefined,
      undefined,
    ]);
    expect(call.header('x-session')).toBe('s');
  });

  it.each<[string, (authz: TestUpstream) => void]>([
    ['a 500 of the service', (service) => service.last.respond(500)],
    ['a reset', (service) => service.last.abort()],
    ['no answer in time', () => {}],
  ])('%s lets nobody in, unless failures are to', async (_what, act) => {
    await engine.listener('closed', { routes: [routeTo('c')], filters: [filter(httpService())] });
    await engine.listener('open', { routes: [routeTo('c')], filters: [filter({ ...httpService(), failureModeAllow: true, failureModeAllowHeaderAdd: true })] });
    const closed = engine.client('closed').send();
    await engine.until(() => authz.requests.length === 1);
    act(authz);
    await engine.until(() => closed.over);
    expect([closed.status, engine.last.details, engine.last.flags]).toEqual([403, 'ext_authz_error', 'UAEX']);
    const open = engine.client('open').send();
    await engine.until(() => authz.requests.length === 2);
    act(authz);
    await engine.until(() => open.over);
    expect([open.status, application.last.header('x-envoy-auth-failure-mode-allowed')]).toEqual([200, 'true']);
  });

  it('with content: all of it, or a part, or not at all', async () => {
    const withRequestBody = { maxRequestBytes: 4 };
    await engine.listener('whole', { routes: [routeTo('c')], filters: [filter({ ...httpService(), withRequestBody })] });
    expect((await engine.client('whole').call({ method: 'POST', body: '12345' })).status).toBe(413);
    expect(authz.requests).toHaveLength(0);
    await engine.listener('part', {
      routes: [routeTo('c')],
      filters: [filter({ ...httpService(), withRequestBody: { ...withRequestBody, allowPartialMessage: true } })],
    });
    for (const [body, seen, partial] of [
      ['123', '123', 'false'],
      ['12345', '1234', 'true'],
    ] as const) {
      const call = engine.client('part').send({ method: 'POST', body });
      await engine.until(() => authz.requests.at(-1)?.ended === true);
      expect([authz.last.body, authz.last.header('x-envoy-auth-partial-body')]).toEqual([seen, partial]);
      authz.last.respond(200);
      await engine.until(() => call.over);
      expect(application.last.body).toBe(body);
      authz.requests.length = 0;
    }
  });

  it('a route may do without', async () => {
    await engine.listener('in', {
      routes: [{ ...routeTo('c', {}, per({ disabled: true })), match: { path: '/open' } }, routeTo('c')],
      filters: [filter(httpService())],
    });
    expect((await engine.client('in').call({ path: '/open' })).status).toBe(200);
    expect(authz.requests).toHaveLength(0);
  });

  it('a client that goes away ends the question', async () => {
    await engine.listener('in', { routes: [routeTo('c')], filters: [filter(httpService())] });
    const call = engine.client('in', { http2: true }).send();
    await engine.until(() => authz.requests.length === 1);
    call.abort();
    await engine.until(() => authz.last.reset !== '' || authz.last.connection.closed);
    expect(application.requests).toHaveLength(0);
  });

  it('may choose the route', async () => {
    application.script(200);
    const other = engine.upstream('b').script(200);
    engine.cluster('d', { endpoints: ['b'] });
    await engine.listener('in', {
      routes: [{ ...routeTo('d'), match: { prefix: '/', headers: [{ name: 'x-tenant', stringMatch: { exact: 'b' } }] } }, routeTo('c')],
      filters: [
        filter({ ...httpService({ authorizationResponse: { allowedUpstreamHeaders: { patterns: [{ exact: 'x-tenant' }] } } }), clearRouteCache: true }),
      ],
    });
    const call = engine.client('in').send();
    await engine.until(() => authz.requests.length === 1);
    authz.last.respond(200, { headers: ['x-tenant', 'b'] });
    await engine.until(() => call.over);
    expect([other.requests.length, application.requests.length]).toEqual([1, 0]);
  });
});

describe('over gRPC', () => {
  let authz: TestUpstream;
  beforeEach(() => {
    authz = engine.upstream('z', { http2: true });
    engine.cluster('authz', { endpoints: ['z'], http2: true });
  });

  const grpcService: JsonObject = { grpcService: { envoyGrpc: { clusterName: 'authz' }, timeout: '1s' } };
  const asked = (): CheckRequest => fromBinary(CheckRequestSchema, Buffer.from(authz.last.body, 'latin1').subarray(5));
  const answer = (json: JsonObject): void => {
    const bytes = toBinary(CheckResponseSchema, message(CheckResponseSchema, json));
    const frame = Buffer.alloc(5 + bytes.length);
    frame.writeUInt32BE(bytes.length, 1);
    frame.set(bytes, 5);
    authz.last.respond(200, { headers: ['content-type', 'application/grpc'], body: frame.toString('latin1'), trailers: ['grpc-status', '0'] });
  };

  it('tells the service who asks for what', async () => {
    await engine.listener('in', { routes: [routeTo('c', {}, per({ checkSettings: { contextExtensions: { area: 'pay' } } }))], filters: [filter(grpcService)] });
    const call = engine.client('in', { info: { remoteIp: '10.0.0.9' } }).send({ path: '/pay', headers: ['X-A', '1', 'x-a', '2'] });
    await engine.until(() => authz.requests.length === 1 && authz.last.ended);
    expect(authz.last.head.path).toBe('/envoy.service.auth.v3.Authorization/Check');
    const { attributes } = asked();
    expect(attributes).toMatchObject({ contextExtensions: { area: 'pay' }, request: { http: { method: 'GET', path: '/pay', headers: { 'x-a': '1,2' } } } });
    expect(attributes?.source?.address?.address.value).toMatchObject({ address: '10.0.0.9', portSpecifier: { value: 40_000 } });
    answer({
      okResponse: {
        headers: [{ header: { key: 'x-a', value: '3' } }, { header: { key: 'x-b', value: '1' }, append: true }],
        responseHeadersToAdd: [{ header: { key: 'x-back', value: '1' } }],
        queryParametersToSet: [{ key: 'as', value: 'ann' }],
      },
    });
    await engine.until(() => call.over);
    expect([call.status, call.header('x-back'), application.last.header('x-a'), application.last.header('x-b'), application.last.head.path]).toEqual([
      200,
      '1',
      '3',
      '1',
      '/pay?as=ann',
    ]);
  });

  it('is denied with what the service says', async () => {
    await engine.listener('in', { routes: [routeTo('c')], filters: [filter(grpcService)] });
    const call = engine.client('in').send();
    await engine.until(() => authz.requests.length === 1 && authz.last.ended);
    answer({
      status: { code: 7 },
      deniedResponse: { status: { code: 'PaymentRequired' }, body: 'pay first', headers: [{ header: { key: 'x-why', value: 'debt' } }] },
    });
    await engine.until(() => call.over);
    expect([call.status, call.body, call.header('x-why')]).toEqual([402, 'pay first', 'debt']);
  });

  it.each<[string, () => void]>([
    ['a gRPC error', () => authz.last.respond(200, { headers: ['content-type', 'application/grpc', 'grpc-status', '13'] })],
    ['what is no message', () => authz.last.respond(200, { headers: ['content-type', 'application/grpc'], body: 'nonsense', trailers: ['grpc-status', '0'] })],
    ['a page', () => authz.last.respond(200, { body: 'hello' })],
  ])('%s lets nobody in', async (_what, act) => {
    await engine.listener('in', { routes: [routeTo('c')], filters: [filter(grpcService)] });
    const call = engine.client('in').send();
    await engine.until(() => authz.requests.length === 1 && authz.last.ended);
    act();
    await engine.until(() => call.over);
    expect([call.status, engine.last.details]).toEqual([403, 'ext_authz_error']);
    expect(application.requests).toHaveLength(0);
  });

  it('puts nothing on the wire that is no header', async () => {
    await engine.listener('in', { routes: [routeTo('c')], filters: [filter(grpcService)] });
    const call = engine.client('in').send();
    await engine.until(() => authz.requests.length === 1 && authz.last.ended);
    const headers = [
      { header: { key: 'x-a', value: '1\r\nx-evil: 1' } },
      { header: { key: 'x b', value: '1' } },
      { header: { key: ':path', value: '/elsewhere' } },
      { header: { key: 'host', value: 'elsewhere' } },
    ];
    answer({ okResponse: { headers } });
    await engine.until(() => call.over);
    expect([call.status, application.last.head.path, application.last.header('x-a'), application.last.header('x-evil')]).toEqual([
      200,
      '/',
      undefined,
      undefined,
    ]);
    expect(application.last.head.authority).not.toBe('elsewhere');
  });
});

it.each([
  ['/a', [['x', '1']], [], '/a?x=1'],
  ['/a?x=0&y=2', [['x', 'a b']], [], '/a?y=2&x=a%20b'],
  ['/a?x=0&x=1', [], ['x'], '/a'],
] as const)('the query of %s', (path, toSet, toRemove, expected) => {
  expect(changeQuery(path, toSet, toRemove)).toBe(expected);
});

it.each<[string, JsonObject, string]>([
  ['neither service', {}, 'needs one of grpc_service, http_service'],
  ['no cluster', { httpService: { serverUri: { uri: 'http://a', timeout: '1s' } } }, 'http_service.server_uri.cluster: is missing'],
  ['google_grpc', { grpcService: { googleGrpc: { targetUri: 'x', statPrefix: 'x' } } }, 'grpc_service: needs an envoy_grpc service'],
])('%s is refused', (_what, fields, words) => {
  expect(engine.listeners.compile(listener('in', { routes: [routeTo('c')], filters: [filter(fields)] }))).toContain(words);
});
