import { describe, expect, test } from 'vitest';
import { instancesOf } from './instances.ts';
import { readResources } from './read.ts';
import { servicesOf } from './services.ts';
import type { ResolvedSrv } from './srv-names.ts';
import { createValidator } from './validator.ts';

const validator = createValidator();
const entry = (srv: string, spec = ''): string => `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata:
  name: orders
  annotations: { outrigger.dev/srv: ${JSON.stringify(srv)} }
spec:
  hosts: [orders.example.com]
  resolution: DNS
  ports:
  - {number: 80, name: http, protocol: HTTP}
  - {number: 90, name: grpc, protocol: GRPC}
${spec}`;

const read = (text: string) => readResources([{ file: 'orders.yaml', text }], { validator });
async function resourcesOf(text: string) {
  const { resources, problems } = await read(text);
  expect(problems).toEqual([]);
  return resources;
}

const both = 'http=_http._tcp.eu.example.com, _web._tcp.us.example.com';
const known: ResolvedSrv = (name) =>
  ({
    '_http._tcp.eu.example.com': [
      { address: '10.0.0.1', port: 8080, priority: 0, weight: 30 },
      { address: '2001:db8::1', port: 8081, priority: 2, weight: 1 },
    ],
    '_web._tcp.us.example.com': [{ address: '10.0.0.1', port: 8080, priority: 0, weight: 1 }],
  })[name];

describe('a ServiceEntry with names of SRV records', () => {
  test('is a service whose endpoints proxies are told of', async () => {
    expect(servicesOf(await resourcesOf(entry(both)))).toMatchObject([{ hostname: 'orders.example.com', resolution: 'STATIC', bySrv: true }]);
  });

  test('has the endpoints of each port, where its records say', async () => {
    const instances = instancesOf(await resourcesOf(entry(both)), { resolvedSrv: known });
    expect(instances).toMatchObject([
      { id: 'default/orders-http-10.0.0.1:8080', address: '10.0.0.1', weight: 30, ports: [{ name: 'http', servicePort: 80, meshPort: 8080 }] },
      { id: 'default/orders-http-[2001:db8::1]:8081', priority: 2, ports: [{ servicePort: 80, meshPort: 8081 }] },
      { id: 'default/orders-grpc-10.0.0.1:8080', ports: [{ name: 'grpc', servicePort: 90, protocol: 'GRPC', meshPort: 8080 }] },
    ]);
    expect(instances[0]).not.toHaveProperty('priority');
  });

  test('has none that is known offline', async () => {
    expect(instancesOf(await resourcesOf(entry(both)))).toEqual([]);
  });

  test('says with its endpoints of which place and whose they are', async () => {
    const place = `  endpoints:
  - {address: eu.example.com, locality: eu/eu-1, labels: {version: v2, security.istio.io/tlsMode: istio}, serviceAccount: orders, ports: {http: 1}}
  - {address: us.example.com, locality: us/us-1}`;
    const [first, , last] = instancesOf(await resourcesOf(entry(both, place)), { resolvedSrv: known });
    expect(first).toMatchObject({ locality: 'eu/eu-1', labels: { version: 'v2' }, serviceAccount: 'orders', meshed: true, ports: [{ meshPort: 8080 }] });
    expect(last).toMatchObject({ locality: 'us/us-1', labels: {} });
  });

  test.each(['orders.service.consul', '_orders._primary.service.consul', '_HTTP._tcp.orders.example.com.', 'a.example _grpc._tcp.b.example'])(
    'may name %s',
    async (srv) => {
      expect((await read(entry(srv))).problems).toEqual([]);
    },
  );

  test.each([
    ['', 'Required value: the name of SRV records'],
    ['orders', 'must be the name of SRV records'],
    ['_http._tcp.orders!.example', 'must be the name of SRV records'],
    [`_http._tcp.${'a'.repeat(64)}.example`, 'must be the name of SRV records'],
    [`_http._tcp.${'a.'.repeat(130)}example`, 'may have at most 253 characters'],
    ['_dns._udp.example.com', 'a mesh carries TCP'],
    ['_http.example.com', 'must go on with the protocol, "_tcp"'],
    ['tcp=_tcp._tcp.a.example, _http._tcp.a.example', 'the service has no port "tcp"'],
    ['http=_http._tcp.a.example', 'has no name for the port "grpc"'],
    ['_http._tcp.a.example, _http._tcp.a.example', 'Duplicate value'],
    [Array.from({ length: 33 }, (_, index) => `_http._tcp.a${index}.example`).join(), 'may have at most 32 names'],
  ])('may not name %j', async (srv, message) => {
    const { problems } = await read(entry(srv));
    expect(problems).toMatchObject([{ line: 5, message: expect.stringContaining(message) }]);
    expect(problems[0]?.message).toContain('metadata.annotations[outrigger.dev/srv]');
  });

  test.each([
    ['resolution: DNS', 'resolution: STATIC', 'this is STATIC'],
    ['resolution: DNS', 'workloadSelector: {labels: {app: orders}}\n  resolution: DNS', 'not both'],
  ])('may not have %s as %s', async (from, to, message) => {
    expect((await read(entry(both).replace(from, to))).problems).toMatchObject([{ message: expect.stringContaining(message) }]);
  });
});
