import { describe, expect, it } from 'vitest';
import { instancesOf } from './instances.ts';
import { readResources } from './read.ts';
import { servicesOf } from './services.ts';
import { createValidator } from './validator.ts';

const validator = createValidator();
async function resourcesOf(text: string) {
  const { resources, problems } = await readResources([{ file: 'mesh.yaml', text }], { validator });
  expect(problems).toEqual([]);
  return resources;
}

const order = `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: order, labels: {team: shop}}
spec:
  hosts: [order-service.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports:
  - {number: 8080, name: http, protocol: HTTP}
  - {number: 9090, name: grpc, protocol: GRPC, targetPort: 9091}
  workloadSelector: {labels: {app: order-service}}
`;
const workload = (name: string, spec: string) => `---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: ${name}, labels: {app: order-service}}
spec: ${spec}
`;

describe('servicesOf', () => {
  it('is a service for each host of a ServiceEntry', async () => {
    expect(servicesOf(await resourcesOf(order))).toEqual([
      {
        hostname: 'order-service.default.svc.cluster.local',
        name: 'order-service',
        namespace: 'default',
        ports: [
          { name: 'http', port: 8080, protocol: 'HTTP' },
          { name: 'grpc', port: 9090, protocol: 'GRPC' },
        ],
        addresses: [],
        resolution: 'STATIC',
        location: 'MESH_INTERNAL',
        exportTo: [],
        labels: { team: 'shop' },
        subjectAltNames: [],
        creationTimestamp: '',
      },
    ]);
    const text =
      'apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: a}\nspec: {hosts: [A.Example.com, "*.b.example.com"], exportTo: [.], ports: [{number: 443, name: tls}]}\n';
    expect(
      servicesOf(await resourcesOf(text)).map(({ name, resolution, location, exportTo, ports }) => ({ name, resolution, location, exportTo, ports })),
    ).toEqual(
      ['a.example.com', '*.b.example.com'].map((name) => ({
        name,
        resolution: 'NONE',
        location: 'MESH_EXTERNAL',
        exportTo: ['.'],
        ports: [{ name: 'tls', port: 443, protocol: 'TLS' }],
      })),
    );
  });
});

describe('instancesOf', () => {
  it('joins WorkloadEntries to the ServiceEntries of their namespace that select them', async () => {
    const resources = await resourcesOf(
      order +
        workload(
          'order-1',
          '{address: 10.0.0.1, labels: {version: v1, security.istio.io/tlsMode: istio}, ports: {http: 8081}, serviceAccount: order, locality: eu/a/b, weight: 3, network: net}',
        ) +
        workload('order-2', '{address: 10.0.0.2, labels: {app: other}}'),
    );
    expect(instancesOf(resources, { trustDomain: 'mesh.example' })).toEqual([
      {
        id: 'default/order-1',
        namespace: 'default',
        workload: 'order-1',
        labels: { app: 'order-service', version: 'v1', 'security.istio.io/tlsMode': 'istio' },
        serviceAccount: 'order',
        trustDomain: 'mesh.example',
        address: '10.0.0.1',
        locality: 'eu/a/b',
        weight: 3,
        network: 'net',
        meshed: true,
        health: 'HEALTHY',
        ports: [
          { name: 'http', servicePort: 8080, protocol: 'HTTP', meshPort: 8081, applicationPort: 8081 },
          { name: 'grpc', servicePort: 9090, protocol: 'GRPC', meshPort: 9091, applicationPort: 9091 },
        ],
        services: ['order-service.default.svc.cluster.local'],
      },
      expect.objectContaining({ id: 'default/order-2', services: [], ports: [], meshed: false, serviceAccount: 'default' }),
    ]);
  });

  it('takes the endpoints of a ServiceEntry, and its hosts where DNS resolves them', async () => {
    const resources = await resourcesOf(`apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: static}
spec: {hosts: [s.example.com], resolution: STATIC, ports: [{number: 80, name: http}], endpoints: [{address: 10.0.0.1}, {address: 10.0.0.2, ports: {http: 8080}}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: dns}
spec: {hosts: [A.Example.com, b.example.com], resolution: DNS, ports: [{number: 443, name: tls, protocol: TLS}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: none}
spec: {hosts: [n.example.com], ports: [{number: 443, name: tls}]}
`);
    expect(instancesOf(resources).map(({ id, address, services, ports }) => `${id} ${address}:${ports[0]?.meshPort} ${services}`)).toEqual([
      'default/static-1 10.0.0.1:80 s.example.com',
      'default/static-2 10.0.0.2:8080 s.example.com',
      'default/dns-1 a.example.com:443 a.example.com',
      'default/dns-2 b.example.com:443 b.example.com',
    ]);
  });

  it('is one instance of several services, and several where they want different ports for one', async () => {
    const second = (name: string, targetPort: number) =>
      `---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: ${name}}\nspec: {hosts: [${name}.example.com], resolution: STATIC, ports: [{number: 8080, name: http, targetPort: ${targetPort}}], workloadSelector: {labels: {app: order-service}}}\n`;
    const resources = await resourcesOf(order + second('same', 8080) + second('other', 7000) + workload('order-1', '{address: 10.0.0.1}'));
    expect(instancesOf(resources).map(({ id, services, ports }) => [id, services, ports.map((port) => `${port.name}:${port.meshPort}`)])).toEqual([
      ['default/order-1', ['order-service.default.svc.cluster.local', 'same.example.com'], ['http:8080', 'grpc:9091']],
      ['default/order-1~2', ['other.example.com'], ['http:7000']],
    ]);
  });
});
