import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { type DescMessage, type JsonObject, type Message, toJson } from '@bufbuild/protobuf';
import { readResources } from '@outrigger/resources';
import { bareNode, cluster, clusterNames, endpoints, listener, listenerNames, routeConfiguration } from '@outrigger/translate';
import { loadTypeRegistry } from '@outrigger/xds';
import { ClusterSchema } from '@outrigger/xds/protos/envoy/config/cluster/v3/cluster';
import { ClusterLoadAssignmentSchema } from '@outrigger/xds/protos/envoy/config/endpoint/v3/endpoint';
import { ListenerSchema } from '@outrigger/xds/protos/envoy/config/listener/v3/listener';
import { RouteConfigurationSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { worldOf } from '../../packages/cli/src/simulate/world.ts';
import { freePort } from '../harness/ports.ts';
import { until } from '../xds/envoy.ts';
import { DataPlane, planes, type Resources } from './data-plane.ts';

const registry = await loadTypeRegistry();

/** A Sidecar's HTTP_PROXY port for one of two hosts, as it is translated: the same for either plane. */
async function translated(port: number, backendPort: number): Promise<Resources> {
  const entry = (name: string) => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ${name} }
spec:
  hosts: [${name}.example]
  resolution: STATIC
  ports: [{ number: 8080, name: http, protocol: HTTP, targetPort: ${backendPort} }]
  endpoints: [{ address: 127.0.0.1 }]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: ${name} }
spec: { host: ${name}.example, trafficPolicy: { tls: { mode: DISABLE } } }
`;
  const sidecar = `
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: { name: web }
spec:
  outboundTrafficPolicy: { mode: REGISTRY_ONLY }
  egress: [{ port: { number: ${port}, protocol: HTTP_PROXY, name: egress }, captureMode: NONE, hosts: ['*/orders.example'] }]
`;
  const { resources, problems } = await readResources([{ file: 'mesh.yaml', text: [entry('orders'), entry('payments'), sidecar].join('---') }]);
  expect(problems).toEqual([]);
  const { mesh } = worldOf(resources, []);
  const capture = { outbound: { host: '0.0.0.0', port: 15_001 }, inbound: { host: '0.0.0.0', port: 15_006 }, addresses: [] };
  const web = bareNode('default', 'web', { capture });
  const json = (schema: DescMessage, message: Message | undefined) => (message === undefined ? null : (toJson(schema, message, { registry }) as JsonObject));
  const named = (names: readonly string[], of: (name: string) => JsonObject | null) => Object.fromEntries(names.map((name) => [name, of(name)]));
  const clusters = clusterNames(mesh, web).names;
  return {
    clusters: named(clusters, (name) => json(ClusterSchema, cluster(mesh, web, name).message)),
    endpoints: named(
      clusters.filter((name) => name.startsWith('outbound|')),
      (name) => json(ClusterLoadAssignmentSchema, endpoints(mesh, web, name).message),
    ),
    routes: named([String(port)], (name) => json(RouteConfigurationSchema, routeConfiguration(mesh, web, name).message)),
    listeners: named(
      listenerNames(mesh, web).names.filter((name) => name.includes(String(port))),
      (name) => json(ListenerSchema, listener(mesh, web, name).message),
    ),
  };
}

describe.each(planes)('an HTTP_PROXY port of a Sidecar in %s', (plane) => {
  let proxy: DataPlane;
  let backend: http.Server;
  let port = 0;

  beforeAll(async () => {
    backend = http.createServer((request, response) => response.end(`${request.method} ${request.headers.host} ${request.url}`));
    await new Promise<void>((resolve) => backend.listen(0, '127.0.0.1', resolve));
    port = await freePort();
    proxy = await DataPlane.start(plane);
    await proxy.apply(await translated(port, (backend.address() as AddressInfo).port));
    await until(`the port listens (${proxy.refusals.join('; ')})`, async () =>
      (await said('GET http://orders.example:8080/ready')).includes(' 200 ') ? true : undefined,
    );
  });
  afterAll(async () => {
    await proxy?.stop();
    backend?.close();
  });

  /** All that is answered to a request line, and to what is sent after its answer. */
  function said(line: string, afterwards?: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const host = /^\w+ (?:http:\/\/)?([^/ ]+)/.exec(line)![1];
      const socket = net.connect(port, '127.0.0.1', () =>
        socket.write(`${line} HTTP/1.1\r\nHost: ${host}\r\n${afterwards === undefined ? 'Connection: close\r\n' : ''}\r\n`),
      );
      let text = '';
      let sent = false;
      socket.setTimeout(5_000, () => socket.destroy(new Error(`nothing more after ${text}`)));
      socket.on('error', reject).on('close', () => resolve(text));
      socket.on('data', (chunk) => {
        text += chunk.toString('latin1');
        if (afterwards === undefined || sent || !text.includes('\r\n\r\n')) return;
        sent = true;
        socket.write(afterwards);
      });
    });
  }

  test('carries requests for its hosts, in absolute form and through CONNECT, and no others', async () => {
    expect(await said('GET http://orders.example:8080/a')).toMatch(/^HTTP\/1\.1 200 [\s\S]*GET orders\.example:8080 \/a/);
    const tunnelled = await said('CONNECT orders.example:8080', 'GET /b HTTP/1.1\r\nHost: orders.example:8080\r\nConnection: close\r\n\r\n');
    expect(tunnelled).toMatch(/^HTTP\/1\.1 200 [\s\S]*HTTP\/1\.1 200 [\s\S]*GET orders\.example:8080 \/b/);
    expect(await said('GET http://payments.example:8080/')).toMatch(/^HTTP\/1\.1 502 /);
    expect(proxy.refusals).toEqual([]);
  });
});
