import type { JsonObject } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { clusterJson, listenerJson, routeTo, typed } from '../../packages/proxy/src/testing/messages.ts';
import { type AskedOverHttp, ask, TestApplication } from '../../packages/proxy/src/testing/test-proxy.ts';
import { DataPlane, planes } from './data-plane.ts';

const statusIs = (op: string, value: number): JsonObject => ({ statusCodeFilter: { comparison: { op, value: { defaultValue: value, runtimeKey: 'x' } } } });

const MAPPERS: JsonObject[] = [
  {
    filter: { andFilter: { filters: [statusIs('GE', 500), { headerFilter: { header: { name: 'x-ask', stringMatch: { exact: 'yes' } } } }] } },
    statusCode: 599,
    body: { inlineString: 'asked' },
    bodyFormatOverride: { textFormat: '<%LOCAL_REPLY_BODY%> %RESPONSE_CODE%', contentType: 'text/html' },
    headersToAdd: [{ header: { key: 'x-code', value: '%RESPONSE_CODE%' } }],
  },
  { filter: { responseFlagFilter: { flags: ['UH'] } }, statusCode: 502 },
  { filter: { orFilter: { filters: [statusIs('EQ', 418), statusIs('EQ', 419)] } }, headersToAdd: [{ header: { key: 'x-tea', value: 'yes' } }] },
  { filter: { runtimeFilter: { runtimeKey: 'none.such', percentSampled: { numerator: 0 } } }, statusCode: 500 },
];
const DENY: JsonObject = {
  name: 'rbac',
  typedConfig: typed('envoy.extensions.filters.http.rbac.v3.RBAC', {
    rules: {
      action: 'DENY',
      policies: { none: { permissions: [{ urlPath: { path: { prefix: '/denied' } } }], principals: [{ any: true }] } },
    },
  }),
};

const listener = (name: string, localReplyConfig?: JsonObject): JsonObject =>
  listenerJson(name, {
    filters: [DENY],
    routes: [
      { match: { prefix: '/direct' }, directResponse: { status: 418, body: { inlineString: 'tea' } } },
      { match: { prefix: '/moved' }, redirect: { pathRedirect: '/new' } },
      { match: { prefix: '/app' }, route: { cluster: 'app' } },
      routeTo('empty', {}, { match: { prefix: '/empty' } }),
    ],
    manager: localReplyConfig === undefined ? {} : { localReplyConfig },
  });

describe.each(planes)('answers that %s makes itself', (plane) => {
  let proxy: DataPlane;
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start((_request, response) => response.writeHead(503).end('its own'));
    proxy = await DataPlane.start(plane, {
      listeners: {
        text: listener('text', { bodyFormat: { textFormat: '%RESPONSE_CODE% %RESPONSE_FLAGS%: %LOCAL_REPLY_BODY%' } }),
        json: listener('json', { bodyFormat: { jsonFormat: { code: '%RESPONSE_CODE%', said: '%LOCAL_REPLY_BODY%', path: '%REQ(:path)%' } } }),
        plain: listener('plain'),
        mapped: listener('mapped', { mappers: MAPPERS }),
        both: listener('both', { mappers: MAPPERS, bodyFormat: { textFormat: 'all: %LOCAL_REPLY_BODY%', contentType: 'text/x' } }),
      },
      clusters: { app: clusterJson('app', { endpoints: [application.address] }), empty: clusterJson('empty', { endpoints: [] }) },
    });
  });

  afterAll(async () => {
    await proxy?.stop();
    await application.close();
  });

  const get = async (name: string, path: string, asked: AskedOverHttp = {}) => {
    const { status, body, headers } = await ask(`127.0.0.1:${proxy.port(name)}`, { path, ...asked });
    return { status, body, type: headers['content-type'], code: headers['x-code'], tea: headers['x-tea'], location: headers['location'] };
  };

  test.each([
    ['/empty', 503, '503 UH: no healthy upstream'],
    ['/direct', 418, '418 -: tea'],
    ['/nowhere', 404, '404 NR: '],
    ['/denied', 403, '403 -: RBAC: access denied'],
  ])('text: %s', async (path, status, body) => {
    expect(await get('text', path)).toMatchObject({ status, body, type: 'text/plain' });
  });

  test('text: a redirect keeps where it leads', async () => {
    expect(await get('text', '/moved')).toMatchObject({ status: 301, location: `http://127.0.0.1:${proxy.port('text')}/new`, body: '301 -: ' });
  });

  test('the application’s own answer stays as it is', async () => {
    expect(await get('text', '/app')).toMatchObject({ status: 503, body: 'its own' });
    expect(await get('both', '/app', { headers: { 'x-ask': 'yes' } })).toMatchObject({ status: 503, body: 'its own' });
  });

  test('json', async () => {
    const { body, type } = await get('json', '/empty');
    expect(type).toBe('application/json');
    expect(JSON.parse(body)).toEqual({ code: 503, said: 'no healthy upstream', path: '/empty' });
  });

  test('json: a body that is empty is text still', async () => {
    expect(JSON.parse((await get('json', '/nowhere')).body)).toEqual({ code: 404, said: '', path: '/nowhere' });
  });

  test.each([
    ['mapped', '/empty', { status: 502, body: 'no healthy upstream', type: 'text/plain' }],
    ['mapped', '/direct', { status: 418, body: 'tea', type: 'text/plain', tea: 'yes' }],
    ['mapped', '/denied', { status: 403, body: 'RBAC: access denied', type: 'text/plain' }],
    ['both', '/empty', { status: 502, body: 'all: no healthy upstream', type: 'text/x' }],
    ['both', '/direct', { status: 418, body: 'all: tea', tea: 'yes', type: 'text/x' }],
  ])('%s: %s', async (name, path, becomes) => {
    expect(await get(name, path)).toMatchObject(becomes);
  });

  test.each(['mapped', 'both'])('%s: the first mapper whose filter holds', async (name) => {
    expect(await get(name, '/empty', { headers: { 'x-ask': 'yes' } })).toEqual({
      status: 599,
      body: '<asked> 599',
      type: 'text/html',
      code: '503',
      tea: undefined,
      location: undefined,
    });
  });

  test('a gRPC call has it in grpc-message', async () => {
    const grpc = async (path: string, name = 'both') => {
      const { status, headers } = await ask(`127.0.0.1:${proxy.port(name)}`, { path, headers: { 'content-type': 'application/grpc' } });
      return [status, headers['grpc-status'], headers['grpc-message'], headers['content-type']];
    };
    expect(await grpc('/empty')).toEqual([200, '14', 'all: no healthy upstream', 'application/grpc']);
    expect(await grpc('/denied')).toEqual([200, '7', 'all: RBAC: access denied', 'application/grpc']);
    expect(await grpc('/direct')).toEqual([200, '2', 'all: tea', 'application/grpc']);
    expect(await grpc('/direct', 'plain')).toEqual([200, '2', 'tea', 'application/grpc']);
    expect(await grpc('/moved', 'plain')).toEqual([200, '2', undefined, 'application/grpc']);
  });

  test('HEAD has the length, and no content', async () => {
    const { status, headers, body } = await ask(`127.0.0.1:${proxy.port('text')}`, { path: '/empty', method: 'HEAD' });
    expect([status, headers['content-length'], body]).toEqual([503, String('503 UH: no healthy upstream'.length), '']);
  });
});
