import type { JsonObject } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { clusterJson, listenerJson, typed } from '../../packages/proxy/src/testing/messages.ts';
import { type AskedOverHttp, ask, TestApplication } from '../../packages/proxy/src/testing/test-proxy.ts';
import { DataPlane, planes } from './data-plane.ts';

const predicate = (name: string, type: string, fields: JsonObject = {}): JsonObject => ({
  name: `envoy.internal_redirect_predicates.${name}`,
  typedConfig: typed(`envoy.extensions.internal_redirect.${name}.v3.${type}`, fields),
});

interface Case {
  readonly policy: JsonObject;
  readonly answer: readonly [number, string];
  readonly asked?: AskedOverHttp;
  /** Status, and what came where the request was sent to: method, path, content. */
  readonly becomes: readonly [number, string];
}

const THERE = 'http://other.test/there?x=1';
const all = { redirectResponseCodes: [301, 302, 303, 307, 308] };

const CASES: Readonly<Record<string, Case>> = {
  default: { policy: {}, answer: [302, THERE], becomes: [200, 'GET other.test /there?x=1 '] },
  fragment: { policy: {}, answer: [302, `${THERE}#top`], becomes: [200, 'GET other.test /there?x=1 '] },
  'no-path': { policy: {}, answer: [302, 'http://other.test'], becomes: [200, 'GET other.test / '] },
  'not-307': { policy: {}, answer: [307, THERE], becomes: [307, ''] },
  '307': { policy: all, answer: [307, THERE], asked: { method: 'PUT', body: 'content' }, becomes: [200, 'PUT other.test /there?x=1 content'] },
  '308': { policy: all, answer: [308, THERE], asked: { method: 'POST', body: 'content' }, becomes: [200, 'POST other.test /there?x=1 content'] },
  '301': { policy: all, answer: [301, THERE], becomes: [200, 'GET other.test /there?x=1 '] },
  '303': { policy: all, answer: [303, THERE], asked: { method: 'POST', body: 'content' }, becomes: [200, 'GET other.test /there?x=1 '] },
  '303-head': { policy: all, answer: [303, THERE], asked: { method: 'HEAD' }, becomes: [200, ''] },
  'not-a-code': { policy: { redirectResponseCodes: [300] }, answer: [300, THERE], becomes: [300, ''] },
  relative: { policy: {}, answer: [302, '/there'], becomes: [302, ''] },
  'no-route': { policy: {}, answer: [302, 'http://nobody.test/there'], becomes: [302, ''] },
  scheme: { policy: {}, answer: [302, 'https://other.test/there'], becomes: [302, ''] },
  'any-scheme': { policy: { allowCrossSchemeRedirect: true }, answer: [302, 'https://other.test/there'], becomes: [200, 'GET other.test /there '] },
  'safe-scheme': {
    policy: { allowCrossSchemeRedirect: true, predicates: [predicate('safe_cross_scheme', 'SafeCrossSchemeConfig')] },
    answer: [302, 'https://other.test/there'],
    becomes: [302, ''],
  },
  listed: {
    policy: { predicates: [predicate('allow_listed_routes', 'AllowListedRoutesConfig', { allowedRouteNames: ['there'] })] },
    answer: [302, THERE],
    becomes: [200, 'GET other.test /there?x=1 '],
  },
  'not-listed': {
    policy: { predicates: [predicate('allow_listed_routes', 'AllowListedRoutesConfig', { allowedRouteNames: ['x'] })] },
    answer: [302, THERE],
    becomes: [302, ''],
  },
  never: { policy: { maxInternalRedirects: 0 }, answer: [302, THERE], becomes: [302, ''] },
  copied: { policy: { responseHeadersToCopy: ['x-token'] }, answer: [302, THERE], becomes: [200, 'GET other.test /there?x=1 '] },
};

describe.each(planes)('redirects that %s follows', (plane) => {
  let proxy: DataPlane;
  let here: TestApplication;
  let there: TestApplication;
  const hops = new Map<string, number>();

  beforeAll(async () => {
    here = await TestApplication.start((request, response) => {
      const name = request.url!.slice(1);
      hops.set(name, (hops.get(name) ?? 0) + 1);
      request.resume().on('end', () => {
        if (name.startsWith('loop')) response.writeHead(302, { location: `http://here.test/${name}` }).end();
        else {
          const { answer } = CASES[name]!;
          response.writeHead(answer[0], { location: answer[1], 'x-token': 'token' }).end();
        }
      });
    });
    there = await TestApplication.start((request, response) => {
      let content = '';
      request.on('data', (chunk) => (content += String(chunk)));
      request.on('end', () =>
        response
          .writeHead(200, { 'x-original': request.headers['x-envoy-original-url'] ?? '', 'x-copied': request.headers['x-token'] ?? '' })
          .end(`${request.method} ${request.headers.host} ${request.url} ${content}`),
      );
    });
    const route = (path: string, policy: JsonObject): JsonObject => ({
      name: path,
      match: { path: `/${path}` },
      route: { cluster: 'here', internalRedirectPolicy: policy },
    });
    const web = listenerJson('web', {
      manager: {
        routeConfig: {
          name: 'r',
          virtualHosts: [
            {
              name: 'here',
              domains: ['here.test'],
              routes: [
                ...Object.entries(CASES).map(([name, { policy }]) => route(name, policy)),
                route('loop', { maxInternalRedirects: 3 }),
                route('loop-once', { maxInternalRedirects: 3, predicates: [predicate('previous_routes', 'PreviousRoutesConfig')] }),
              ],
            },
            { name: 'other', domains: ['other.test'], routes: [{ name: 'there', match: { prefix: '/' }, route: { cluster: 'there' } }] },
          ],
        },
      },
    });
    proxy = await DataPlane.start(plane, {
      listeners: { web },
      clusters: { here: clusterJson('here', { endpoints: [here.address] }), there: clusterJson('there', { endpoints: [there.address] }) },
    });
  });

  afterAll(async () => {
    await proxy?.stop();
    await Promise.all([here.close(), there.close()]);
  });

  const get = (name: string, asked: AskedOverHttp = {}) =>
    ask(`127.0.0.1:${proxy.port('web')}`, { path: `/${name}`, ...asked, headers: { host: 'here.test', ...asked.headers } });

  test.each(Object.keys(CASES))('%s', async (name) => {
    const { asked = {}, becomes } = CASES[name]!;
    const { status, body, headers } = await get(name, asked);
    expect([status, body]).toEqual(becomes);
    if (status === 200) expect(headers['x-original']).toBe(`http://here.test/${name}`);
    if (name === 'copied') expect(headers['x-copied']).toBe('token');
  });

  test('as often as max_internal_redirects says', async () => {
    expect((await get('loop')).status).toBe(302);
    expect(hops.get('loop')).toBe(4);
  });

  test('to no route twice where previous_routes says so', async () => {
    expect((await get('loop-once')).status).toBe(302);
    expect(hops.get('loop-once')).toBe(2);
  });
});
