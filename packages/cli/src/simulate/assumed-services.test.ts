import { readResources } from '@outrigger/resources';
import { expect, test } from 'vitest';
import { assumedServices } from './assumed-services.ts';

const routes = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: orders, namespace: shop}
spec:
  hosts: [orders, "*.example.com"]
  http: [{route: [{destination: {host: orders}}], mirror: {host: audit.default.svc.cluster.local, port: {number: 9000}}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: bank}
spec: {host: bank.example.com}
---
`;
const assumed = async (text: string) => {
  const { resources, others, problems } = await readResources([{ file: 'a.yaml', text }]);
  expect(problems).toEqual([]);
  const { services, told } = assumedServices(resources, others, 8080);
  return { told, services: services.map(({ namespace, name, value }) => `${namespace}/${name} ${JSON.stringify(value.spec)}`) };
};

test('what routes name is there where no file has a Service', async () => {
  expect(await assumed(routes)).toEqual({
    services: [
      'shop/orders {"ports":[{"name":"http-8080","port":8080}]}',
      'default/audit {"ports":[{"name":"http-8080","port":8080},{"name":"http-9000","port":9000}]}',
    ],
    told: 'audit, shop/orders: taken to be services of HTTP, since no file has a Service and workloads register their own',
  });
});

test.each([
  ['a Service', 'apiVersion: v1\nkind: Service\nmetadata: {name: other}\n', ''],
  ['a ServiceEntry of that name', entryOf('orders.shop.svc.cluster.local'), 'audit: taken'],
])('%s is what there is', async (_, more, told) => {
  expect((await assumed(routes + more)).told).toMatch(told === '' ? /^$/ : new RegExp(`^${told}`));
});

function entryOf(host: string): string {
  return `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: orders, namespace: shop}
spec: {hosts: [${host}], resolution: STATIC, ports: [{number: 80, name: http, protocol: HTTP}]}
`;
}

test('of many the first are named', async () => {
  const many = Array.from(
    { length: 20 },
    (_, index) => `apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: r${index}}\nspec: {host: s${index}}\n`,
  );
  const { told, services } = await assumed(many.join('---\n'));
  expect(services).toHaveLength(20);
  expect(told).toMatch(/^s0, s1, .* and 12 more: taken/);
});
