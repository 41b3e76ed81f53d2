import { once } from 'node:events';
import http from 'node:http';
import type net from 'node:net';
import { connect } from 'node:net';
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

/** Echoes what comes through a CONNECT, or a POST to /tunnel, and says what it was asked. */
async function tunnelServer(): Promise<{ readonly server: http.Server; readonly asked: string[] }> {
  const asked: string[] = [];
  const server = http.createServer((request, response) => {
    asked.push(`${request.method} ${request.headers.host} ${request.url} ${String(request.headers['x-from'])}`);
    response.writeHead(200);
    response.flushHeaders();
    request.on('data', (chunk: Buffer) => response.write(chunk));
    request.on('end', () => response.end());
  });
  server.on('connect', (request: http.IncomingMessage, socket: net.Socket) => {
    asked.push(`CONNECT ${String(request.headers.host)} ${request.url} ${String(request.headers['x-from'])}`);
    if (request.url!.startsWith('refused')) {
      socket.end('HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n');
      return;
    }
    socket.on('error', () => {});
    socket.write('HTTP/1.1 200 OK\r\n\r\n');
    socket.on('data', (chunk: Buffer) => socket.write(chunk));
    socket.on('end', () => socket.end());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, asked };
}

describe.each(planes)('%s: single fields', (plane) => {
  let tunnels: Awaited<ReturnType<typeof tunnelServer>>;
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
    tunnels = await tunnelServer();
    const tunnel = (tunnelingConfig: JsonObject): JsonObject => ({
      filterChains: [
        {
          filters: [
            {
              name: 'tcp',
              typedConfig: typed('envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', { statPrefix: 't', cluster: 'tunnels', tunnelingConfig }),
            },
          ],
        },
      ],
    });
    const from = { headersToAdd: [{ header: { key: 'x-from', value: '%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%' } }] };
    proxy = await DataPlane.start(plane, {
      listeners: {
        connect: tunnel({ hostname: 'there.test:443', ...from }),
        post: tunnel({ hostname: 'there.test:443', usePost: true, postPath: '/tunnel', ...from }),
        refused: tunnel({ hostname: 'refused.test:443' }),
        ahead: listenerJson('ahead', { routes: [routeTo('ahead')] }),
        web: listenerJson('web', {
          routes: [
            { match: { prefix: '/nowhere' }, route: { clusterHeader: 'x-cluster' } },
            { match: { prefix: '/high' }, route: { cluster: 'limited', priority: 'HIGH' } },
            { match: { prefix: '/low' }, route: { cluster: 'limited' } },
            { match: { prefix: '/hang' }, route: { cluster: 'limited', priority: 'HIGH', timeout: '1s' } },
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
        tunnels: clusterJson('tunnels', { endpoints: [`127.0.0.1:${(tunnels.server.address() as net.AddressInfo).port}`] }),
        ahead: clusterJson('ahead', { endpoints: [application.address], fields: { preconnectPolicy: { perUpstreamPreconnectRatio: 2 } } }),
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
    tunnels?.server.closeAllConnections();
    tunnels?.server.close();
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

  /** What comes back of what is sent, up to the end. */
  async function through(listener: string): Promise<string> {
    const socket = connect({ port: proxy.port(listener), host: '127.0.0.1', allowHalfOpen: true });
    let text = '';
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      if (text === 'ab') socket.write('c');
      else if (text === 'abc') socket.end();
    });
    socket.on('error', () => {});
    // A proxy that closes a connection whose bytes it has all read ends its half alone.
    socket.on('end', () => socket.end());
    socket.write('ab');
    await new Promise((resolve) => socket.once('close', resolve));
    return text;
  }

  test('tunneling_config: TCP in a CONNECT, and in a POST', async () => {
    expect([await through('connect'), await through('post')]).toEqual(['abc', 'abc']);
    expect(tunnels.asked).toEqual(['CONNECT there.test:443 there.test:443 127.0.0.1', 'POST there.test:443 /tunnel 127.0.0.1']);
    expect(await through('refused')).toBe('');
  });

  test('preconnect_policy: connections for the next request are made with the first', async () => {
    const opened = () => proxy.admin('/clusters').then((text) => Number(/^ahead::[\d.:]+::cx_total::(\d+)$/m.exec(text)?.[1]));
    await ask(at('ahead'));
    await until('there are two', async () => ((await opened()) === 2 ? true : undefined));
    for (let call = 0; call < 3; call++) await ask(at('ahead'));
    expect(await opened()).toBe(2);
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
