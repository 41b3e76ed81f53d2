import { readResources } from '@outrigger/resources';
import { describe, expect, it } from 'vitest';
import { explain } from './explain.ts';
import { inboundPorts, labelsOf, toWorkload } from './inbound.ts';
import { proxyNode } from './node.ts';
import { fromWorkload } from './outbound.ts';
import type { Outcome } from './outcome.ts';
import { parseRequest } from './parse-request.ts';
import { atGateway } from './simulate.ts';
import { worldOf } from './world.ts';

const SERVICES = `
apiVersion: v1
kind: Service
metadata: { name: orders, namespace: shop }
spec: { clusterIP: 10.0.0.1, selector: { app: orders }, ports: [{ name: http, port: 8080 }] }
---
apiVersion: v1
kind: Service
metadata: { name: db, namespace: shop }
spec: { clusterIP: 10.0.0.2, selector: { app: db }, ports: [{ name: tcp, port: 5432 }] }
`;
const RULES = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: orders, namespace: shop }
spec:
  hosts: [orders]
  http:
    - name: old
      match: [{ uri: { exact: /old } }]
      redirect: { uri: /new }
    - match: [{ uri: { exact: /gone } }]
      directResponse: { status: 410 }
    - match: [{ uri: { exact: /broken } }]
      fault: { abort: { httpStatus: 503, percentage: { value: 100 } } }
      route: [{ destination: { host: orders } }]
    - match: [{ uri: { exact: /seldom-broken } }]
      fault: { abort: { httpStatus: 503, percentage: { value: 10 } }, delay: { fixedDelay: 2s, percentage: { value: 100 } } }
      route: [{ destination: { host: orders } }]
    - match: [{ uri: { prefix: /split } }]
      timeout: 3s
      retries: { attempts: 2, retryOn: 5xx, perTryTimeout: 1s }
      rewrite: { uri: / }
      mirror: { host: db, port: { number: 5432 } }
      route:
        - { destination: { host: orders }, weight: 75, headers: { request: { set: { x-version: old } } } }
        - { destination: { host: other.example.com, port: { number: 80 } }, weight: 25, headers: { response: { set: { x-from: other } } } }
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: readers, namespace: shop }
spec:
  selector: { matchLabels: { app: orders } }
  rules: [{ to: [{ operation: { methods: [GET] } }] }]
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: strict, namespace: shop }
spec: { mtls: { mode: STRICT } }
`;
const GATEWAY = `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: edge, namespace: shop }
spec:
  gatewayClassName: somebody
  listeners: [{ name: http, port: 80, protocol: HTTP }]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: edge, namespace: shop }
spec:
  parentRefs: [{ name: edge }]
  hostnames: [shop.example.com]
  rules:
    - matches: [{ path: { value: /orders } }]
      backendRefs: [{ name: orders, port: 8080 }]
    - matches: [{ path: { value: /nowhere } }]
      backendRefs: [{ name: nobody, port: 8080 }]
`;

const world = await (async () => {
  const { resources, others, problems } = await readResources([
    { file: 'services.yaml', text: SERVICES },
    { file: 'rules.yaml', text: RULES },
    { file: 'gateway.yaml', text: GATEWAY },
  ]);
  expect(problems).toEqual([]);
  return worldOf(resources, others);
})();

const web = proxyNode({ namespace: 'shop', workload: 'web', labels: { app: 'web' } });
const called = (request: string, ...headers: string[]): Outcome => fromWorkload(world, web, parseRequest(request, headers));
const edge = proxyNode({ namespace: 'shop', workload: 'edge', labels: {}, gatewayPorts: {} });
const atEdge = (request: string): Outcome => atGateway(world, edge, parseRequest(request, []));

const received = (request: string, secure: boolean): Outcome => {
  const labels = labelsOf(world, 'shop', 'orders');
  const inbound = inboundPorts(world, { namespace: 'shop', workload: 'orders', labels, addresses: [] });
  const call = parseRequest(request, [], true);
  const tls = secure ? { sni: '', alpn: ['istio'], certificate: 'mesh' as const, peer: 'spiffe://cluster.local/ns/shop/sa/web' } : undefined;
  return toWorkload(world, proxyNode({ namespace: 'shop', workload: 'orders', labels, inbound }), { ...call, port: 8080, tls });
};

describe('a call of a workload', () => {
  it('is redirected, by a rule that has a place', () => {
    const outcome = called('GET http://orders:8080/old');
    expect(outcome).toMatchObject({ decision: 'redirect', status: 301, location: 'http://orders:8080/new' });
    expect(outcome.matched).toEqual({ resource: 'VirtualService shop/orders', file: 'rules.yaml', line: 8, rule: 'spec.http[0] (old)' });
  });

  it.each([
    ['GET http://orders:8080/gone', 'direct-response', 410],
    ['GET http://orders:8080/broken', 'fault', 503],
    ['GET http://orders:8080/else', 'no-route', 404],
    ['GET http://elsewhere.example.com/', 'passthrough', 200],
    ['tcp elsewhere.example.com:9000', 'passthrough', 0],
    ['tcp db:5432', 'route', 0],
  ] as const)('%s: %s %i', (request, decision, status) => {
    expect(called(request)).toMatchObject({ decision, status });
  });

  it('is carried where a fault is only likely, and the fault is told', () => {
    expect(called('GET http://orders:8080/seldom-broken')).toMatchObject({
      decision: 'route',
      faults: [
        { kind: 'delay', percent: 100, delayMs: 2000 },
        { kind: 'abort', percent: 10, status: 503 },
      ],
    });
  });

  it('is split, rewritten, copied, and tried again', () => {
    const outcome = called('GET http://orders:8080/split/a?b=c', 'x-mine: 1');
    expect(outcome).toMatchObject({
      decision: 'route',
      timeoutMs: 3000,
      retries: { attempts: 2, on: '5xx', perTryTimeoutMs: 1000 },
      mirrors: [{ host: 'db.shop.svc.cluster.local', port: 5432, percent: 100 }],
      request: { method: 'GET', host: 'orders:8080', path: '//a?b=c', headers: { 'x-mine': '1', 'x-version': 'old' } },
    });
    expect(outcome.destinations).toMatchObject([
      { host: 'orders.shop.svc.cluster.local', port: 8080, weight: 75 },
      { host: 'other.example.com', port: 80, weight: 25, request: { headers: { 'x-mine': '1' } } },
    ]);
    expect(outcome.destinations[1]!.request!.headers).not.toHaveProperty('x-version');
  });

  it('reads like an explanation', () => {
    const text = explain(called('GET http://orders:8080/old'));
    expect(text).toContain('redirect (301)');
    expect(text).toContain('VirtualService shop/orders spec.http[0] (old), rules.yaml:8');
  });

  it('says of the rules before it why they do not match', () => {
    const { explanation } = called('GET http://orders:8080/gone');
    expect(explanation).toContain('not VirtualService shop/orders spec.http[0]: path is not /old');
    expect(called('GET http://orders:8080/else').explanation.filter((step) => step.startsWith('not '))).toHaveLength(5);
  });

  it('does not leave the mesh under REGISTRY_ONLY', () => {
    const closed = worldOf(world.resources, world.others, { outboundPolicy: 'REGISTRY_ONLY' });
    const outcome = fromWorkload(closed, web, parseRequest('tcp elsewhere.example.com:9000', []));
    expect(outcome.decision).toBe('no-filter-chain');
  });
});

it('that is sent to an HTTP_PROXY port of its Sidecar goes to the host that it names', async () => {
  const sidecar = `---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: { name: web, namespace: shop }
spec: { egress: [{ port: { number: 15080, protocol: HTTP_PROXY, name: egress }, captureMode: NONE, hosts: ['./orders.shop.svc.cluster.local'] }] }
`;
  const { resources, others } = await readResources([{ file: 'shop.yaml', text: SERVICES + sidecar }]);
  const asked = (host: string): Outcome => fromWorkload(worldOf(resources, others), web, parseRequest('GET http://127.0.0.1:15080/', [`Host: ${host}`]));
  expect(asked('orders:8080')).toMatchObject({ decision: 'route', destinations: [{ host: 'orders.shop.svc.cluster.local', port: 8080 }] });
  expect(asked('elsewhere.example')).toMatchObject({ decision: 'passthrough', destinations: [{ host: 'elsewhere.example', port: 80 }] });
  expect(asked('elsewhere.example:81')).toMatchObject({ decision: 'passthrough', destinations: [{ host: 'elsewhere.example', port: 81 }] });
});

describe('a call of a gateway', () => {
  it.each([
    ['GET http://shop.example.com/orders/1', 'route', 200],
    ['GET http://shop.example.com/nowhere', 'invalid-backend', 500],
    ['GET http://shop.example.com/else', 'no-route', 404],
    ['GET http://other.example.com/orders', 'no-route', 404],
    ['GET http://shop.example.com:81/orders', 'no-listener', 0],
    ['GET https://shop.example.com:80/orders', 'tls-error', 0],
  ] as const)('%s: %s %i', (request, decision, status) => {
    expect(atEdge(request)).toMatchObject({ decision, status });
  });

  it('says what it takes to be there', () => {
    expect(atEdge('GET http://shop.example.com/orders').assumed).toEqual(["GatewayClass somebody exists and is Outrigger's"]);
  });
});

describe('a gateway whose servers are bound to addresses', () => {
  const bound = (name: string, bind: string): string => `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: ${name}, namespace: shop }
spec:
  selector: { app: edge }
  servers: [{ port: { number: 80, name: http, protocol: HTTP }, bind: '${bind}', hosts: ['*'] }]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: ${name}, namespace: shop }
spec: { hosts: ['*'], gateways: [${name}], http: [{ route: [{ destination: { host: ${name}.example } }] }] }
`;

  it.each([
    ['10.0.0.1', 'outbound|80||one.example'],
    ['10.0.0.2', 'outbound|80||two.example'],
    ['10.0.0.3', 'no-listener'],
    ['shop.example', 'outbound|80||one.example'],
  ])('at %s: %s', async (address, expected) => {
    const { resources, others } = await readResources([{ file: 'g.yaml', text: `${bound('one', '10.0.0.1')}---${bound('two', '10.0.0.2')}` }]);
    const node = proxyNode({ namespace: 'shop', workload: 'edge', labels: { app: 'edge' }, gatewayPorts: {} });
    const { decision, xds } = atGateway(worldOf(resources, others), node, parseRequest(`GET http://${address}/`, []));
    expect(xds.clusters[0] ?? decision).toBe(expected);
  });
});

describe('a call to a workload', () => {
  it('needs mutual TLS where it is strict', () => {
    expect(received('GET /', false)).toMatchObject({ decision: 'no-filter-chain', mtls: false });
    expect(received('GET /', true)).toMatchObject({
      decision: 'route',
      mtls: true,
      authorization: { allowed: true },
      destinations: [{ host: '127.0.0.1', port: 8080, weight: 100 }],
    });
  });

  it('is denied by a policy', () => {
    expect(received('POST /', true)).toMatchObject({ decision: 'denied', status: 403, authorization: { allowed: false, policy: '' } });
  });
});

describe('a request in text', () => {
  it.each([
    ['', 'say what is sent'],
    ['GET', 'a request is "METHOD URL"'],
    ['GET orders', '"orders" is no URL'],
    ['GET ftp://orders/', 'the scheme is http or https, not ftp'],
    ['G@T http://orders/', '"G@T" is no method'],
    ['tcp orders', '"orders" is no host and port'],
    ['tcp orders:70000', '"orders:70000" is no host and port'],
  ])('%j: %s', (text, why) => {
    expect(() => parseRequest(text, [])).toThrow(why);
  });

  it('has the Host header that is given, and its path as it is written', () => {
    const call = parseRequest('GET http://10.0.0.1:8080/a/../b?c', ['Host: orders', 'x: y']);
    expect(call).toMatchObject({ address: '10.0.0.1', port: 8080, request: { authority: 'orders', path: '/a/../b?c', headers: ['x', 'y'] } });
    expect(() => parseRequest('GET http://orders/', ['nonsense'])).toThrow("-H 'nonsense': no header");
  });
});
