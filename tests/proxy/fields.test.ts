import { once } from 'node:events';
import http from 'node:http';
import type net from 'node:net';
import type { JsonObject } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { clusterJson, listenerJson, routeTo, typed } from '../../packages/proxy/src/testing/messages.ts';
import { ask, TestApplication } from '../../packages/proxy/src/testing/test-proxy.ts';
import { until } from '../xds/envoy.ts';
import { DataPlane, planes } from './data-plane.ts';

const early = (...mutations: JsonObject[]): JsonObject => ({
  name: 'envoy.http.early_header_mutation.header_mutation',
  typedConfig: typed('envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation', { mutations }),
});
const set = (key: string, value: string): JsonObject => ({ append: { header: { key, value }, appendAction: 'OVERWRITE_IF_EXISTS_OR_ADD' } });

describe.each(planes)('%s: single fields', (plane) => {
  let proxy: DataPlane;
  let application: TestApplication;
  let connections: net.Socket[];

  beforeAll(async () => {
    connections = [];
    application = await TestApplication.start((request, response) => {
      if (!connections.includes(request.socket)) connections.push(request.socket);
      response.statusCode = Number(request.headers['x-status'] ?? 200);
      if (request.url !== '/hang') response.end();
    });
    const byHeader: JsonObject[] = [{ match: { prefix: '/early', headers: [{ name: 'x-way', stringMatch: { exact: 'one' } }] }, route: { cluster: 'app' } }];
    proxy = await DataPlane.start(plane, {
      listeners: {
        web: listenerJson('web', {
          routes: [
            { match: { prefix: '/nowhere' }, route: { clusterHeader: 'x-cluster' } },
            { match: { prefix: '/high' }, route: { cluster: 'limited', priority: 'HIGH' } },
            { match: { prefix: '/low' }, route: { cluster: 'limited' } },
            { match: { prefix: '/hang' }, route: { cluster: 'limited', priority: 'HIGH' } },
            { match: { prefix: '/eject' }, route: { cluster: 'ejecting' } },
            routeTo('app'),
          ],
        }),
        agent: listenerJson('agent', { routes: [routeTo('app')], manager: { addUserAgent: true } }),
        early: listenerJson('early', {
          routes: [...byHeader, { match: { prefix: '/' }, directResponse: { status: 404 } }],
          manager: { earlyHeaderMutationExtensions: [early(set('x-way', 'one')), early(set('x-seen', '%REQ(x-way)%'), { remove: 'x-gone' })] },
        }),
      },
      clusters: {
        app: clusterJson('app', { endpoints: [application.address] }),
        limited: clusterJson('limited', {
          endpoints: [application.address],
          fields: { circuitBreakers: { thresholds: [{ maxRequests: 0 }, { priority: 'HIGH', maxRequests: 1 }] } },
        }),
        ejecting: clusterJson('ejecting', {
          endpoints: [application.address],
          fields: { outlierDetection: { consecutive5xx: 2, baseEjectionTime: '60s', maxEjectionPercent: 100 } },
        }),
      },
    });
  });

  afterAll(async () => {
    await proxy?.stop();
    await application?.close();
  });

  const at = (listener: string): string => `127.0.0.1:${proxy.port(listener)}`;

  test('a route to a cluster that nobody knows is answered at once', async () => {
    const { status, headers } = await ask(at('web'), { path: '/nowhere', headers: { 'x-cluster': 'nowhere' } });
    expect(status).toBe(503);
    expect(headers['proxy-status']).toMatch(/details="cluster_not_found; NC"/);
    // A proxy that waited for the cluster would wait for longer than the test may take.
  }, 4_000);

  test('add_user_agent', async () => {
    await ask(at('agent'), { headers: { 'x-envoy-downstream-service-cluster': 'lie' } });
    const said = ({ headers }: TestApplication['requests'][number]) => [
      headers['user-agent'],
      headers['x-envoy-downstream-service-cluster'],
      headers['x-envoy-downstream-service-node'],
    ];
    const [, cluster, node] = said(application.requests.at(-1)!);
    expect([cluster, node].every((text) => text !== undefined && text !== '' && text !== 'lie')).toBe(true);
    expect(said(application.requests.at(-1)!)[0]).toBe(cluster);
    await ask(at('agent'), { headers: { 'user-agent': 'curl' } });
    expect(said(application.requests.at(-1)!)).toEqual(['curl', cluster, node]);
  });

  test('early_header_mutation_extensions come before the route is looked for', async () => {
    expect((await ask(at('early'), { path: '/early', headers: { 'x-gone': '1' } })).status).toBe(200);
    const { headers } = application.requests.at(-1)!;
    expect([headers['x-way'], headers['x-seen'], headers['x-gone']]).toEqual(['one', 'one', undefined]);
  });

  test('priority HIGH has thresholds of its own', async () => {
    expect((await ask(at('web'), { path: '/low' })).status).toBe(503);
    expect((await ask(at('web'), { path: '/high' })).status).toBe(200);
    const hanging = http.get(`http://${at('web')}/hang`).on('error', () => {});
    await until('it is under way', () => (application.requests.at(-1)?.url === '/hang' ? true : undefined));
    const { status, headers } = await ask(at('web'), { path: '/high' });
    expect(status).toBe(503);
    expect(headers['proxy-status']).toMatch(/; UO"$/);
    hanging.destroy();
  });

  test('an endpoint that is ejected loses its idle connections', async () => {
    for (let call = 0; call < 2; call++) await ask(at('web'), { path: '/eject', headers: { 'x-status': '500' } });
    const socket = connections.at(-1)!;
    if (!socket.destroyed) await once(socket, 'close');
    expect((await ask(at('web'), { path: '/eject' })).status).toBe(503);
  });

  test('/stats of the connection manager', async () => {
    const stat = async (name: string): Promise<number> => {
      const { body } = await ask(`127.0.0.1:${proxy.adminPort}`, { path: `/stats?filter=^http\\.web\\.${name}$` });
      return Number(body.slice(body.lastIndexOf(':') + 1));
    };
    const names = ['rq_total', 'rq_completed', 'rq_2xx', 'rq_4xx', 'rq_5xx', 'cx_total'].map((name) => `downstream_${name}`);
    const read = () => Promise.all(names.map(stat));
    const before = await read();
    for (const status of ['200', '404', '500', '200']) await ask(at('web'), { headers: { 'x-status': status } });
    const after = await read();
    expect(after.map((value, index) => value - before[index]!)).toEqual([4, 4, 2, 1, 1, 4]);
    // The one that hangs has been given up by its client.
    await until('none is under way', async () => ((await stat('downstream_rq_active')) === 0 ? true : undefined));
  });
});
