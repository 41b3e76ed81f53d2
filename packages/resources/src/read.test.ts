import { describe, expect, it } from 'vitest';
import { maxResourceBytes } from './limits.ts';
import { problemText } from './problem.ts';
import { readResources } from './read.ts';
import { createValidator } from './validator.ts';

const validator = createValidator();
const read = (...texts: string[]) =>
  readResources(
    texts.map((text, index) => ({ file: `${index + 1}.yaml`, text })),
    { validator },
  );

const head = (kind: string, name: string, namespace?: string) =>
  `apiVersion: ${kind}\nmetadata:\n  name: ${name}\n${namespace === undefined ? '' : `  namespace: ${namespace}\n`}`;
const sidecar = (name: string) => head('networking.istio.io/v1\nkind: Sidecar', name);
const policy = (name: string, namespace?: string) => head('security.istio.io/v1\nkind: PeerAuthentication', name, namespace);
const route = (http: string) => `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: order-service
spec:
  hosts: [order-service]
  http:
${http}`;
const weighted = (...weights: string[]) =>
  route(`  - route:\n${weights.map((weight) => `    - destination: {host: order-service}\n${weight === '' ? '' : `      weight: ${weight}\n`}`).join('')}`);

describe('readResources', () => {
  it("reads the mission's own 90/10 canary, its mTLS and its policy, with and without a namespace", async () => {
    const { resources, problems } = await read(`
apiVersion: networking.istio.io/v1beta1
kind: VirtualService
metadata:
  name: order-service
spec:
  hosts: [order-service]
  http:
  - route:
    - destination: {host: order-service, subset: v1}
      weight: 90
    - destination: {host: order-service, subset: v2}
      weight: 10
---
apiVersion: networking.istio.io/v1beta1
kind: DestinationRule
metadata: {name: order-service, namespace: default}
spec:
  host: order-service
  trafficPolicy:
    outlierDetection: {consecutive5xxErrors: 5, interval: 10s, baseEjectionTime: 30s, maxEjectionPercent: 50}
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v2, labels: {version: v2}}
---
apiVersion: security.istio.io/v1beta1
kind: PeerAuthentication
metadata: {name: default, namespace: istio-system}
spec: {mtls: {mode: STRICT}}
---
apiVersion: security.istio.io/v1beta1
kind: AuthorizationPolicy
metadata: {name: payment-allow-order-only}
spec:
  selector: {matchLabels: {app: payment-service}}
  action: ALLOW
  rules:
  - from:
    - source: {principals: [cluster.local/ns/default/sa/order-service]}
`);
    expect(problems).toEqual([]);
    expect(resources.map(({ kind, metadata }) => `${kind} ${metadata.namespace}/${metadata.name}`)).toEqual([
      'VirtualService default/order-service',
      'DestinationRule default/order-service',
      'PeerAuthentication istio-system/default',
      'AuthorizationPolicy default/payment-allow-order-only',
    ]);
  });

  it('counts and leaves out the kinds of others', async () => {
    const { skipped, others, problems } = await read(
      'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\n---\napiVersion: apps/v1\nkind: Deployment\n---\napiVersion: v1\nkind: Service\n',
    );
    expect(skipped).toEqual({ Deployment: 2, Service: 1 });
    expect(others.map(({ kind }) => kind)).toEqual(['Deployment', 'Deployment', 'Service']);
    expect(problems).toEqual([]);
  });

  it('refuses a misspelt kind with the likely one', async () => {
    const { problems, resources } = await read('apiVersion: networking.istio.io/v1\nkind: VirtualServce\nmetadata: {name: a}\n');
    expect(resources).toEqual([]);
    expect(problems.map(problemText)).toEqual([
      '1.yaml:2: VirtualServce default/a: no matches for kind "VirtualServce" in version "networking.istio.io/v1", did you mean VirtualService?',
    ]);
  });

  it('refuses the second of one name, in one file or in two, and says where the first is', async () => {
    const { problems, resources } = await read(`${policy('a')}---\n${policy('a', 'default')}---\n${policy('a', 'other')}`, policy('a'));
    expect(resources).toHaveLength(2);
    expect(problems.map((problem) => `${problem.code} ${problemText(problem)}`)).toEqual([
      'DUPLICATE 1.yaml:9: PeerAuthentication default/a: PeerAuthentication default/a is already at 1.yaml:1',
      'DUPLICATE 2.yaml:4: PeerAuthentication default/a: PeerAuthentication default/a is already at 1.yaml:1',
    ]);
  });

  it('refuses a resource larger than a store takes', async () => {
    const { problems } = await read(
      `apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: a, annotations: {a: ${'x'.repeat(maxResourceBytes)}}}\n`,
    );
    expect(problems[0]?.message).toContain('more than the 1572864 that one may have');
  });

  it('gives what was refused for analysis, where its fields have the right types', async () => {
    const { resources, refused } = await read(`${sidecar('a')}spec: {egresss: []}\n---\n${sidecar('b')}spec: {egress: 1}\n`);
    expect(resources).toEqual([]);
    expect(refused.map(({ metadata }) => metadata.name)).toEqual(['a']);
  });

  it('says at most a hundred problems of one document', async () => {
    const fields = Array.from({ length: 300 }, (_, index) => `unknown${index}: 1`);
    const { problems } = await read(`${sidecar('a')}spec: {${fields}}\n`);
    expect(problems).toHaveLength(101);
    expect(problems.at(-1)?.message).toBe('and 200 more errors');
  });
});

describe("what Istio's webhook refuses", () => {
  it.each([
    [
      'a negative weight',
      weighted('-1', '2'),
      ['10 spec.http[0].route[0].weight: Invalid value: -1: spec.http[0].route[0].weight in body should be greater than or equal to 0'],
    ],
    [
      'weights that are all zero',
      weighted('0', '0'),
      ['8 spec.http[0].route: Invalid value: [0,0]: total destination weight = 0, so no destination would get any request'],
    ],
    [
      'several destinations without weights',
      weighted('', ''),
      ['8 spec.http[0].route: Invalid value: [0,0]: total destination weight = 0, so no destination would get any request'],
    ],
    ['a route to nowhere', route('  - name: x\n'), ['8 spec.http[0]: Required value: HTTP route, redirect, directResponse or delegate is required']],
    [
      'a bad timeout',
      route('  - timeout: soon\n    route: [{destination: {host: a}}]\n'),
      [
        "8 spec.http[0].timeout: Invalid value: \"string\": type conversion error from 'string' to 'google.protobuf.Duration' evaluating rule: must be a valid duration greater than 1ms",
      ],
    ],
    [
      'an unknown retry policy',
      route('  - retries: {attempts: 1, retryOn: "5xx,503,sometimes"}\n    route: [{destination: {host: a}}]\n'),
      ['8 spec.http[0].retries.retryOn: Invalid value: "5xx,503,sometimes": "sometimes" is no retry policy of Envoy or gRPC and no status code'],
    ],
  ])('%s', async (_, text, expected) => {
    const { problems, resources } = await read(text);
    expect(resources).toEqual([]);
    expect(problems.map(({ line, message }) => `${line} ${message}`)).toEqual(expected);
  });

  it.each([
    ['one destination without a weight', weighted('')],
    ['a destination of weight 0 beside another', weighted('0', '100')],
    ['one destination of weight 0', weighted('0')],
    [
      'every retry policy of Istio and a status code',
      route('  - retries: {attempts: 2, retryOn: "connect-failure,refused-stream,unavailable,cancelled,503"}\n    route: [{destination: {host: a}}]\n'),
    ],
  ])('but not %s', async (_, text) => expect((await read(text)).problems).toEqual([]));

  it('a subset twice, and mutual TLS without a certificate', async () => {
    const { problems } = await read(`apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: a}
spec:
  host: a
  trafficPolicy: {tls: {mode: MUTUAL}}
  subsets:
  - name: v1
  - name: v1
`);
    expect(problems.map(({ line, message }) => `${line} ${message}`)).toEqual([
      '6 spec.trafficPolicy.tls.clientCertificate: Required value: client certificate required for mutual tls',
      '6 spec.trafficPolicy.tls.privateKey: Required value: private key required for mutual tls',
      '9 spec.subsets[1].name: Duplicate value: "v1"',
    ]);
  });
});
