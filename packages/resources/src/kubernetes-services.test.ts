import { expect, it } from 'vitest';
import { kubernetesServices } from './kubernetes-services.ts';
import { readResources } from './read.ts';

const text = `
apiVersion: v1
kind: Service
metadata: { name: orders, namespace: shop, labels: { team: a }, annotations: { networking.istio.io/exportTo: "., edge" } }
spec:
  clusterIP: 10.0.0.1
  clusterIPs: [10.0.0.1, "fd00::1"]
  selector: { app: orders }
  ports: [{ name: http-web, port: 80, targetPort: web }, { name: raw, port: 90, protocol: UDP }, { name: numberless }]
---
{ apiVersion: v1, kind: Service, metadata: { name: alias }, spec: { type: ExternalName, externalName: orders.shop.svc.example } }
---
{ apiVersion: v1, kind: Service, metadata: { name: outside }, spec: { type: ExternalName, externalName: api.example.com, ports: [{ port: 443 }] } }
---
{ apiVersion: serving.knative.dev/v1, kind: Service, metadata: { name: other } }
`;

it('makes services of those of Kubernetes, with what only Kubernetes says of them', async () => {
  const { others } = await readResources([{ file: 'a.yaml', text }]);
  const [orders, alias, outside, ...more] = kubernetesServices(others, 'example');
  expect(more).toEqual([]);
  expect(orders).toEqual({
    service: {
      hostname: 'orders.shop.svc.example',
      kubernetes: true,
      name: 'orders',
      namespace: 'shop',
      ports: [
        { name: 'http-web', port: 80, protocol: 'HTTP' },
        { name: 'raw', port: 90, protocol: 'UDP' },
      ],
      addresses: ['10.0.0.1', 'fd00::1'],
      resolution: 'STATIC',
      location: 'MESH_INTERNAL',
      exportTo: ['.', 'edge'],
      labels: { team: 'a' },
      subjectAltNames: [],
      creationTimestamp: '',
    },
    selector: { app: 'orders' },
    targetPorts: new Map<number, number | string>([
      [80, 'web'],
      [90, 90],
    ]),
  });
  expect(alias).toMatchObject({ service: { hostname: 'alias.default.svc.example', ports: orders!.service.ports, resolution: 'STATIC', exportTo: [] } });
  expect(alias!.selector).toBeUndefined();
  expect(outside!.service).toMatchObject({ ports: [{ port: 443 }], resolution: 'DNS', addresses: [] });
});
