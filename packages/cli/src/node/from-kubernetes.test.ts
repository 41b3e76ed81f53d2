import { parseDocuments, readResources } from '@outrigger/resources';
import { expect, test } from 'vitest';
import { fromKubernetes } from './from-kubernetes.ts';
import { readWorkloads } from './workloads-file.ts';

const service = (name: string, selector: string, ports: string): string => `apiVersion: v1
kind: Service
metadata: {name: ${name}}
spec: {selector: ${selector}, ports: ${ports}}
---
`;
const deployment = (name: string, labels: string, container: string, more = ''): string => `apiVersion: apps/v1
kind: Deployment
metadata: {name: ${name}}
spec: {${more}template: {metadata: {labels: ${labels}}, spec: {serviceAccountName: shop, containers: [${container}]}}}
---
`;
const made = (text: string) => {
  const { documents, problems } = parseDocuments([{ file: 'k.yaml', text }]);
  expect(problems).toEqual([]);
  return fromKubernetes(documents);
};
const shop =
  service('reviews', '{app: reviews}', '[{name: http, port: 9080}]') +
  service('reviews-v2', '{app: reviews, version: v2}', '[{name: http, port: 80, targetPort: 9080}]') +
  service('ratings', '{app: stars}', '[{name: grpc-api, port: 9090, targetPort: api}, {name: tcp, port: 9091}]') +
  deployment('reviews-v1', '{app: reviews, version: v1}', '{image: "shop/reviews:1", ports: [{containerPort: 9080}]}') +
  deployment(
    'reviews-v2',
    '{app: reviews, version: v2, tier: "1"}',
    '{image: "shop/reviews:2", readinessProbe: {httpGet: {path: /ready, port: 9080}}, env: [{name: MODE, value: "no"}, {name: KEY, valueFrom: {secretKeyRef: {name: k, key: k}}}]}',
    'replicas: 2, ',
  ) +
  deployment('ratings', '{app: stars}', '{image: "shop/ratings:1", command: [node], args: [ratings.mjs, "--x y"], ports: [{name: api, containerPort: 7000}]}') +
  deployment('cron', '{app: cron}', '{image: "shop/cron:1"}');

test('Deployments and Services are a list of workloads', () => {
  expect(made(shop).workloads).toBe(`- name: reviews
  version: v1
  serviceAccount: shop
  port: 9080:9080
  # command: [...] what the image shop/reviews:1 starts; without it the application is started by somebody else

- name: reviews
  version: v2
  serviceAccount: shop
  labels: { tier: "1" }
  port: 9080:19080 # 9080 in its container; here each has a port of its own, which it must be told
  healthPath: /ready
  # command: [...] what the image shop/reviews:2 starts; without it the application is started by somebody else
  env: { MODE: "no" }
  # env of ConfigMaps, Secrets or the pod itself: KEY
  # 2 replicas: write this once for each, with a port of its own

- name: ratings
  serviceAccount: shop
  labels: { app: stars }
  port: [grpc:9090:7000, tcp:9091:9091]
  command: [node, ratings.mjs, "--x y"] # in the image shop/ratings:1

- name: cron
  serviceAccount: shop
  # command: [...] what the image shop/cron:1 starts; without it the application is started by somebody else
`);
});

test('rig node reads the list, and the services beside it are ServiceEntries that validate', async () => {
  const { workloads, services, count } = made(shop);
  const read = readWorkloads(workloads, 'w.yaml');
  expect(read.problems).toEqual([]);
  expect(read.workloads).toHaveLength(count);
  const entries = await readResources([{ file: 's.yaml', text: services }]);
  expect(entries.problems).toEqual([]);
  expect(entries.resources.map(({ metadata, spec }) => [metadata.name, spec])).toEqual([
    [
      'reviews-v2',
      expect.objectContaining({
        hosts: ['reviews-v2.default.svc.cluster.local'],
        ports: [{ number: 80, name: 'http', protocol: 'HTTP', targetPort: 9080 }],
        workloadSelector: { labels: { app: 'reviews', version: 'v2' } },
      }),
    ],
  ]);
});
