import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { clusterJson, listenerJson, routeTo, typed } from '../../packages/proxy/src/testing/messages.ts';
import { ask, TestApplication } from '../../packages/proxy/src/testing/test-proxy.ts';
import { until } from '../xds/envoy.ts';
import { DataPlane, planes } from './data-plane.ts';

const ORIGINAL = { type: 'ORIGINAL_DST', edsClusterConfig: null, lbPolicy: 'CLUSTER_PROVIDED' };

describe.each(planes)('ORIGINAL_DST through %s', (plane) => {
  let proxy: DataPlane;
  let one: TestApplication;
  let two: TestApplication;
  let echo: net.Server;

  beforeAll(async () => {
    one = await TestApplication.start((_request, response) => response.end('one'));
    two = await TestApplication.start((_request, response) => response.end('two'));
    echo = net.createServer((socket) => socket.on('error', () => {}).pipe(socket)).listen(0, '127.0.0.1');
    await once(echo, 'listening');
    const listenerFilters = [{ name: 'proxy', typedConfig: typed('envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol') }];
    const tcp = typed('envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', { statPrefix: 'tcp', cluster: 'connection' });
    proxy = await DataPlane.start(plane, {
      listeners: {
        header: listenerJson('header', { routes: [routeTo('header')] }),
        restored: listenerJson('restored', { routes: [routeTo('connection')], fields: { listenerFilters } }),
        redirected: listenerJson('redirected', { routes: [routeTo('connection')], fields: { listenerFilters, useOriginalDst: true } }),
        tcp: { name: 'tcp', listenerFilters, filterChains: [{ filters: [{ name: 'tcp', typedConfig: tcp }] }] },
      },
      clusters: {
        header: clusterJson('header', { fields: { ...ORIGINAL, originalDstLbConfig: { useHttpHeader: true } } }),
        connection: clusterJson('connection', { fields: ORIGINAL }),
      },
    });
  });

  afterAll(async () => {
    await proxy?.stop();
    await one.close();
    await two.close();
    echo.close();
  });

  test('x-envoy-original-dst-host names the endpoint; without it there is none', async () => {
    const at = `127.0.0.1:${proxy.port('header')}`;
    const header = 'x-envoy-original-dst-host';
    expect((await ask(at, { headers: { [header]: one.address } })).body).toBe('one');
    expect((await ask(at, { headers: { [header]: two.address } })).body).toBe('two');
    expect(await ask(at)).toMatchObject({ status: 503, body: 'no healthy upstream' });
    expect(await ask(at, { headers: { [header]: 'localhost:80' } })).toMatchObject({ status: 503, body: 'no healthy upstream' });
  });

  async function connect(listener: string, destination: string): Promise<net.Socket> {
    const socket = net.connect(proxy.port(listener), '127.0.0.1').on('error', () => {});
    await once(socket, 'connect');
    const [host, port] = destination.split(':');
    socket.write(`PROXY TCP4 192.0.2.1 ${host} 1234 ${port}\r\n`);
    return socket;
  }

  test.each([0, 1])('HTTP goes where the connection was going (%i)', async (which) => {
    const socket = await connect('restored', [one, two][which]!.address);
    socket.write('GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
    let text = '';
    for await (const chunk of socket) text += String(chunk);
    expect(text).toMatch(/^HTTP\/1\.1 200/);
    expect(text).toContain(['one', 'two'][which]!);
  });

  test('a connection goes to the listener that has the address of its PROXY header', async () => {
    const routes = [{ match: { prefix: '/' }, directResponse: { status: 200, body: { inlineString: 'elsewhere' } } }];
    const address = { socketAddress: { address: '10.9.9.9', portValue: 80 } };
    await proxy.apply({ listeners: { elsewhere: listenerJson('elsewhere', { routes, fields: { address, bindToPort: false } }) } });
    await until('it answers', async () => {
      const socket = await connect('redirected', '10.9.9.9:80');
      socket.write('GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
      let text = '';
      for await (const chunk of socket) text += String(chunk);
      return text.endsWith('elsewhere') ? true : undefined;
    });
  });

  test('TCP goes where the connection was going', async () => {
    const socket = await connect('tcp', `127.0.0.1:${(echo.address() as AddressInfo).port}`);
    socket.write('hello');
    const [data] = (await once(socket, 'data')) as [Buffer];
    expect(data.toString()).toBe('hello');
    socket.destroy();
  });
});
