import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { problemsText, readWorkloads } from './workloads-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'node-'));
afterAll(() => rmSync(folder, { recursive: true }));
const read = (text: string) => readWorkloads(text, join(folder, 'workloads.yaml'));
const wrong = (text: string): string[] => problemsText('w.yaml', read(text).problems).split('\n');

test('a workload has what `rig run` takes', () => {
  const { workloads, problems } = read(`
- name: order-service
  namespace: shop
  version: v1.2
  serviceAccount: orders
  port: [8080:9001, grpc:9090]
  upstream: payment-service=127.0.0.1:7001
  labels: {team: shop, tier: 1}
  locality: eu/a
  healthPath: /healthz
  certificateTtl: 600
  otlp: 127.0.0.1:4318
  maxConnections: 500
  command: [python3, app.py, 9001]
  env: {MODE: fast, WORKERS: 2}
  cwd: .
- name: caller
`);
  expect(problems).toEqual([]);
  expect(workloads[0]).toMatchObject({
    options: {
      name: 'order-service',
      namespace: 'shop',
      version: 'v1.2',
      serviceAccount: 'orders',
      instance: 'order-service-v1-2-9001',
      labels: { app: 'order-service', version: 'v1.2', team: 'shop', tier: '1' },
      ports: [
        { protocol: 'http', servicePort: 8080, applicationPort: 9001 },
        { protocol: 'grpc', servicePort: 9090, applicationPort: 9090 },
      ],
      upstreams: [{ service: 'payment-service', port: 0, address: '127.0.0.1:7001' }],
      healthPath: '/healthz',
      certificateTtlSeconds: 600,
      otlp: '127.0.0.1:4318',
    },
    maxConnections: 500,
    command: ['python3', 'app.py', '9001'],
    env: { MODE: 'fast', WORKERS: '2' },
    cwd: folder,
  });
  expect(workloads[1]).toMatchObject({
    options: { name: 'caller', namespace: 'default', instance: 'caller', serviceAccount: 'caller', ports: [] },
    command: [],
  });
});

test('an empty file is a node without workloads', () => {
  expect(read('')).toEqual({ workloads: [], problems: [] });
  expect(read('# none yet\n[]\n')).toEqual({ workloads: [], problems: [] });
});

test('all that is wrong is said at once, each with its line', () => {
  const lines = wrong(`- name: Web
  port: [8080, 8080:9000]
  prot: 1
- version: v1
  dataPlane: envoy
- just words
- name: a
  upstream: [b=127.0.0.1:7001]
- name: a
  upstream: [c=127.0.0.1:7001]
  command: python3 app.py
  certificateTtl: soon
  cwd: /nowhere/at/all
  otlp: here
`);
  expect(lines.map((line) => line.replace(/;.*/, ''))).toEqual([
    'w.yaml:1: name Web: not a name',
    'w.yaml:2: port 8080 is given twice',
    'w.yaml:3: "prot" is nothing that a workload has',
    'w.yaml:4: the workload has no name',
    "w.yaml:5: dataPlane envoy: a shared process runs Outrigger's own proxy alone",
    'w.yaml:6: this is no workload',
    'w.yaml:11: command is no list',
    'w.yaml:12: certificateTtl soon: not a number of seconds',
    'w.yaml:13: cwd /nowhere/at/all: there is no such folder',
    'w.yaml:14: "here" is no HOST:PORT',
  ]);
});

test('what only one may have is of one', () => {
  expect(wrong('- name: a\n  upstream: [b=127.0.0.1:7001]\n- name: a\n  upstream: [c=127.0.0.1:7001]\n')).toEqual([
    'w.yaml:3: instance default.a is that of the workload at line 1 too; give one of them an "instance:" of its own',
    'w.yaml:3: the upstream address 127.0.0.1:7001 is that of the workload at line 1 too; give each its own loopback port',
  ]);
});

test.each([
  ['no YAML', '- name: [', 1],
  ['a key twice', '- name: a\n  name: b\n', 2],
  ['a mapping', 'name: a\n', 1],
])('%s is refused with its line', (_, text, line) => {
  expect(wrong(text)[0]).toMatch(new RegExp(`^w\\.yaml:${line}: `));
});

test('a gateway is a workload without an application', () => {
  const { workloads, problems } = read(`
- name: ingress
  labels: {istio: ingressgateway}
  gateway: {address: 127.0.0.1, portMap: {80: 8080, 443: 8443}, certificates: .}
- name: egress
  port: 8443
  gateway:
`);
  expect(problems).toEqual([]);
  expect(workloads.map(({ options }) => options.gateway)).toEqual([
    { address: '127.0.0.1', portMap: { 80: 8080, 443: 8443 }, portOffset: 0, certificates: folder },
    { address: '0.0.0.0', portMap: {}, portOffset: 0, certificates: undefined },
  ]);
  expect(
    wrong(`- name: a
  gateway: {portMap: {80: x}}
- name: b
  gateway: {ports: 1}
- name: c
  command: [cat]
  gateway: {}
- name: d
  gateway: yes
`),
  ).toEqual([
    'w.yaml:2: gateway.portMap 80=x: not PORT=PORT; for example 80=8080',
    'w.yaml:4: gateway.ports is nothing that a gateway has; it may have address, portMap, portOffset, certificates',
    'w.yaml:6: a gateway has no application; take "command:" away, or "gateway:"',
    'w.yaml:9: gateway is no mapping; write "gateway: {portMap: {80: 8080}}", or "gateway: {}"',
  ]);
});

test.each([
  ['node', ['web-19001', 'order-service-v1-19002', 'ledger-19003']],
  ['bookinfo', ['productpage-v1-9180', 'details-v1-9181', 'reviews-v1-9182', 'reviews-v2-9183', 'reviews-v3-9184', 'ratings-v1-9185', 'ingressgateway']],
])('the file of examples/%s is one', (example, instances) => {
  const file = fileURLToPath(new URL(`../../../../examples/${example}/workloads.yaml`, import.meta.url));
  const { workloads, problems } = readWorkloads(readFileSync(file, 'utf8'), file);
  expect(problems).toEqual([]);
  expect(workloads.map(({ options }) => options.instance)).toEqual(instances);
});
