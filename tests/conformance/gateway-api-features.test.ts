import { describe, expect, test } from 'vitest';
import { worldOf } from '../../packages/cli/src/simulate/world.ts';
import { statusWith } from './backend-behavior.ts';
import { type ApiCase, judgeCase } from './gateway-api-cases.ts';
import { readCaseResources } from './group.ts';

// What the specification of Gateway API says and the corpus has no case of, in our own words.

const API = 'apiVersion: gateway.networking.k8s.io/v1';
const service = (name: string): string =>
  `apiVersion: v1\nkind: Service\nmetadata: { name: ${name}, namespace: shop }\nspec: { selector: { app: ${name} }, clusterIP: 10.0.0.${name.charCodeAt(0)}, ports: [{ name: http, port: 80 }] }\n---\n`;
const BASE = `${['a', 'b', 'c'].map(service).join('')}${API}
kind: Gateway
metadata: { name: edge, namespace: shop }
spec:
  gatewayClassName: outrigger
  listeners:
  - { name: http, port: 80, protocol: HTTP }
  - { name: org, port: 80, protocol: HTTP, hostname: "*.example.org" }
  - { name: https, port: 443, protocol: HTTPS, hostname: one.example.com, tls: { certificateRefs: [{ name: one }] } }
  - { name: wide, port: 443, protocol: HTTPS, hostname: "*.example.com", tls: { certificateRefs: [{ name: wide }] } }
  - { name: tcp, port: 5000, protocol: TCP }
  - { name: tls, port: 6000, protocol: TLS, tls: { mode: Passthrough } }
---
`;
const http = (rules: string, more = 'parentRefs: [{ name: edge, sectionName: http }]', name = 'r', metadata = ''): string =>
  `${API}\nkind: HTTPRoute\nmetadata: { name: ${name}, namespace: shop${metadata} }\nspec:\n  ${more}\n  rules: [${rules}]\n---\n`;
const grpc = (rules: string, more = 'parentRefs: [{ name: edge, sectionName: http }]', metadata = ''): string =>
  `${API}\nkind: GRPCRoute\nmetadata: { name: g, namespace: shop${metadata} }\nspec:\n  ${more}\n  rules: [${rules}]\n---\n`;
const tcp = (name: string, refs: string, metadata = ''): string =>
  `apiVersion: gateway.networking.k8s.io/v1alpha2\nkind: TCPRoute\nmetadata: { name: ${name}, namespace: shop${metadata} }\nspec: { parentRefs: [{ name: edge, sectionName: tcp }], rules: [{ backendRefs: [${refs}] }] }\n---\n`;
const to = (name: string, more = ''): string => `{ name: ${name}, port: 80${more} }`;
const path = (value: string, type = 'PathPrefix'): string => `matches: [{ path: { type: ${type}, value: ${value} } }]`;

const GATEWAY = { Gateway: 'shop/edge', Namespace: 'shop' } as const;
const get = (Path: string, more: Partial<ApiCase> & { readonly Headers?: Readonly<Record<string, string>>; readonly Host?: string } = {}): ApiCase => {
  const { Headers, Host = 'x.test', ...rest } = more;
  return { ...GATEWAY, Scheme: 'http', Port: 80, ...rest, Request: { Host, Path, ...(Headers === undefined ? {} : { Headers }), ...rest.Request } };
};
const status = (...StatusCodes: number[]) => ({ Response: { StatusCodes } });
const call = (Path: string, more: Partial<ApiCase>): ApiCase => ({ ...GATEWAY, Scheme: 'grpc', Port: 80, Request: { Host: 'x.test', Path }, ...more });

async function judged(yaml: string, one: ApiCase): Promise<string | undefined> {
  const { resources, others } = await readCaseResources([{ file: 'a.yaml', text: BASE + yaml }]);
  // One that is not valid would be left out, and its case say something else than it means.
  expect(resources).toHaveLength((BASE + yaml).split(/^apiVersion: gateway/m).length - 1);
  return judgeCase(worldOf(resources, others), one);
}

describe('filters', () => {
  const cors = (spec: string): string => http(`{ filters: [{ type: CORS, cors: { ${spec} } }], backendRefs: [${to('a')}] }`);
  const preflight = (origin: string, Headers: Readonly<Record<string, string>>, Response: ApiCase['Response']): ApiCase =>
    get('/', {
      Request: { Method: 'OPTIONS', Path: '/', Host: 'x.test', Headers: { origin, 'access-control-request-method': 'PUT', ...Headers } },
      Response: Response!,
    });

  test.each<[string, string, ApiCase]>([
    [
      'CORS: "*" of headers is what is asked for',
      cors('allowOrigins: ["*"], allowHeaders: ["*"], allowCredentials: true'),
      preflight('https://a.test', { 'access-control-request-headers': 'x-a, x-b' }, { Headers: { 'access-control-allow-headers': 'x-a, x-b' } }),
    ],
    [
      'CORS: no header where none is asked for',
      cors('allowOrigins: ["*"], allowHeaders: ["*"], allowCredentials: true'),
      preflight('https://a.test', {}, { AbsentHeaders: ['access-control-allow-headers'] }),
    ],
    [
      'CORS: every origin where none is named',
      cors('allowCredentials: true'),
      get('/', {
        Headers: { origin: 'https://a.test' },
        Response: { Headers: { 'access-control-allow-origin': 'https://a.test', 'access-control-allow-credentials': 'true' } },
      }),
    ],
    [
      'CORS: the usual port is none',
      cors('allowOrigins: ["https://a.test:443"]'),
      get('/', { Headers: { origin: 'https://a.test' }, Response: { Headers: { 'access-control-allow-origin': 'https://a.test' } } }),
    ],
    [
      'CORS: a wildcard is no port',
      cors('allowOrigins: ["https://*"]'),
      get('/', { Headers: { origin: 'https://a.test:8443' }, Response: { AbsentHeaders: ['access-control-allow-origin'] } }),
    ],
    [
      'CORS: another port',
      cors('allowOrigins: ["https://*.test:8443"]'),
      get('/', { Headers: { origin: 'https://x.a.test:8443' }, Response: { Headers: { 'access-control-allow-origin': 'https://x.a.test:8443' } } }),
    ],
    [
      'CORS: no "*" is exposed with credentials',
      cors('allowOrigins: ["*"], exposeHeaders: ["*"], allowCredentials: true'),
      get('/', { Headers: { origin: 'https://a.test' }, Response: { AbsentHeaders: ['access-control-expose-headers'] } }),
    ],
    [
      'of two entries for one header the first counts, whatever its case',
      http(
        `{ filters: [{ type: RequestHeaderModifier, requestHeaderModifier: { set: [{ name: X-A, value: "1" }, { name: x-a, value: "2" }] } }], backendRefs: [${to('a')}] }`,
      ),
      get('/', { Backend: 'a', ExpectedRequest: { Headers: { 'x-a': '1' } } }),
    ],
    [
      'what a backend answers is set, added to and removed',
      http(
        `{ filters: [{ type: ResponseHeaderModifier, responseHeaderModifier: { set: [{ name: x-set, value: ours }], add: [{ name: x-add, value: ours }], remove: [x-gone] } }], backendRefs: [${to('a')}] }`,
      ),
      get('/', {
        Backend: 'a',
        BackendBehavior: { ResponseHeaders: { 'X-Set': 'theirs', 'X-Add': 'theirs', 'X-Gone': 'theirs', 'X-Kept': 'theirs' } },
        Response: { Headers: { 'x-set': 'ours', 'x-add': 'theirs,ours', 'x-kept': 'theirs' }, AbsentHeaders: ['x-gone'] },
      }),
    ],
    [
      'a filter that there is none of lets nothing through',
      http(`{ ${path('/x')}, filters: [{ type: ExtensionRef, extensionRef: { group: example.com, kind: F, name: f } }], backendRefs: [${to('a')}] }`),
      get('/x', status(500)),
    ],
    [
      'nor at a backend, whose share is refused',
      http(`{ backendRefs: [${to('a')}, ${to('b', ', filters: [{ type: ExtensionRef, extensionRef: { group: example.com, kind: F, name: f } }]')}] }`),
      get('/', { Weights: { a: 0.5, b: 0 } }),
    ],
    [
      'a mirror of the only backend',
      http(`{ backendRefs: [${to('a', ', filters: [{ type: RequestMirror, requestMirror: { backendRef: { name: b, port: 80 }, percent: 25 } }]')}] }`),
      get('/', { Backend: 'a', MirroredTo: [{ Name: 'b', Namespace: 'shop', Percent: 25 }] }),
    ],
    [
      'a mirror that is none is left out',
      http(`{ filters: [{ type: RequestMirror, requestMirror: { backendRef: { name: nobody, port: 80 } } }], backendRefs: [${to('a')}] }`),
      get('/', { Backend: 'a', ...status(200) }),
    ],
    [
      'a part of the path is replaced as a whole segment',
      http(
        `{ ${path('/one/two')}, filters: [{ type: URLRewrite, urlRewrite: { hostname: h.test, path: { type: ReplacePrefixMatch, replacePrefixMatch: /x/ } } }], backendRefs: [${to('a')}] }`,
      ),
      get('/one/two/three?q=1', { Backend: 'a', ExpectedRequest: { Path: '/x/three?q=1', Host: 'h.test' } }),
    ],
    [
      'a redirect keeps the query, and names the port that is not usual',
      http(
        `{ ${path('/one')}, filters: [{ type: RequestRedirect, requestRedirect: { scheme: https, port: 8443, path: { type: ReplacePrefixMatch, replacePrefixMatch: /two }, statusCode: 308 } }] }`,
      ),
      get('/one/x', { Response: { StatusCodes: [308] }, RedirectRequest: { Scheme: 'https', Port: '8443', Path: '/two/x' } }),
    ],
  ])('%s', async (_, yaml, one) => {
    expect(await judged(yaml, one)).toBeUndefined();
  });
});

describe('precedence', () => {
  const older = ', creationTimestamp: "2025-01-01T00:00:00Z"';
  const younger = ', creationTimestamp: "2026-01-01T00:00:00Z"';
  const parent = 'parentRefs: [{ name: edge, sectionName: http }]';

  test.each<[string, string, ApiCase]>([
    [
      'an exact path before a longer prefix that matches it',
      http(`{ ${path('/aa')}, backendRefs: [${to('a')}] }, { ${path('/aa', 'Exact')}, backendRefs: [${to('b')}] }`),
      get('/aa', { Backend: 'b' }),
    ],
    [
      'a method before a header',
      http(
        `{ matches: [{ headers: [{ name: x, value: "1" }, { name: z, value: "1" }] }], backendRefs: [${to('a')}] }, { matches: [{ method: GET }], backendRefs: [${to('b')}] }`,
      ),
      get('/', { Backend: 'b', Headers: { x: '1', z: '1' } }),
    ],
    [
      'more headers before more of the query',
      http(
        `{ matches: [{ queryParams: [{ name: p, value: "1" }, { name: q, value: "1" }] }], backendRefs: [${to('a')}] }, { matches: [{ headers: [{ name: x, value: "1" }] }], backendRefs: [${to('b')}] }`,
      ),
      get('/?p=1&q=1', { Backend: 'b', Headers: { x: '1' } }),
    ],
    [
      'the older route',
      http(`{ backendRefs: [${to('a')}] }`, parent, 'k', younger) + http(`{ backendRefs: [${to('b')}] }`, parent, 'm', older),
      get('/', { Backend: 'b' }),
    ],
    [
      'of one age the first by its name',
      http(`{ backendRefs: [${to('a')}] }`, parent, 'm', older) + http(`{ backendRefs: [${to('b')}] }`, parent, 'k', older),
      get('/', { Backend: 'b' }),
    ],
    [
      'of gRPC: a method of any service before everything',
      grpc(`{ backendRefs: [${to('a')}] }, { matches: [{ method: { method: Login } }], backendRefs: [${to('b')}] }`),
      call('/any.Service/Login', { Backend: 'b' }),
    ],
    [
      'of gRPC: the longer service before the method',
      grpc(
        `{ matches: [{ method: { method: Login } }], backendRefs: [${to('a')}] }, { matches: [{ method: { service: any.Service } }], backendRefs: [${to('b')}] }`,
      ),
      call('/any.Service/Login', { Backend: 'b' }),
    ],
    [
      'of an HTTPRoute and a GRPCRoute for one host the older',
      http(`{ backendRefs: [${to('a')}] }`, parent, 'r', older) + grpc(`{ matches: [{ method: { service: s } }], backendRefs: [${to('b')}] }`, parent, younger),
      call('/s/M', { Backend: 'a' }),
    ],
    [
      'each has the hosts of its own',
      http(`{ backendRefs: [${to('a')}] }`, `${parent}\n  hostnames: [h.test]`, 'r', older) +
        grpc(`{ backendRefs: [${to('b')}] }`, `${parent}\n  hostnames: [g.test]`, younger),
      { ...call('/s/M', { Backend: 'b' }), Request: { Host: 'g.test', Path: '/s/M' } },
    ],
  ])('%s', async (_, yaml, one) => {
    expect(await judged(yaml, one)).toBeUndefined();
  });
});

describe('listeners', () => {
  const secure = (Host: string, SNI: string, more: Partial<ApiCase>): ApiCase => ({
    ...GATEWAY,
    Scheme: 'https',
    Port: 443,
    Request: { Host, Path: '/', SNI },
    ...more,
  });
  const both =
    http(`{ backendRefs: [${to('a')}] }`, 'parentRefs: [{ name: edge, sectionName: https }]', 'one') +
    http(`{ backendRefs: [${to('b')}] }`, 'parentRefs: [{ name: edge, sectionName: wide }]', 'wide');
  const noRoute = http(`{ backendRefs: [${to('a')}] }`);
  const validated = (more: string): string =>
    `${API}\nkind: Gateway\nmetadata: { name: mtls, namespace: shop }\nspec:\n  gatewayClassName: outrigger\n  listeners: [{ name: https, port: 443, protocol: HTTPS, tls: { certificateRefs: [{ name: one }] } }]\n  tls: { frontend: { ${more} } }\n---\n${http(`{ backendRefs: [${to('a')}] }`, 'parentRefs: [{ name: mtls }]')}`;
  const required = 'validation: { caCertificateRefs: [{ group: "", kind: ConfigMap, name: ca }] }';
  const mtls = (more: Partial<ApiCase>): ApiCase => ({ ...secure('x.test', 'x.test', more), Gateway: 'shop/mtls' });

  test.each<[string, string, ApiCase]>([
    ['a request on the connection of its name', both, secure('one.example.com', 'one.example.com', { Backend: 'a' })],
    ['a request for another listener, on a wrong connection', both, secure('two.example.com', 'one.example.com', status(421))],
    ['one for a narrower listener', both, secure('one.example.com', 'two.example.com', status(421))],
    ['one for nobody', both, secure('one.example.net', 'one.example.com', status(404))],
    ["a host of a narrower listener is not the wider one's", noRoute, get('/', { Host: 'x.example.org', ...status(404) })],
    ['clients show a certificate', validated(`default: { ${required} }`), mtls({ Failure: 'connection' })],
    [
      'but not on a port for which nothing is said',
      validated(`default: { ${required} }, perPort: [{ port: 443, tls: {} }]`),
      mtls({ Backend: 'a', ...status(200) }),
    ],
    [
      'nor where one that is not valid will do',
      validated(`default: { ${required.replace(' }]', ' }], mode: AllowInsecureFallback')} }`),
      mtls({ Backend: 'a', ...status(200) }),
    ],
  ])('%s', async (_, yaml, one) => {
    expect(await judged(yaml, one)).toBeUndefined();
  });
});

describe('backends', () => {
  const raw = (more: Partial<ApiCase>): ApiCase => ({ ...GATEWAY, Scheme: 'tcp', Port: 5000, ...more });
  const older = ', creationTimestamp: "2025-01-01T00:00:00Z"';
  const younger = ', creationTimestamp: "2026-01-01T00:00:00Z"';

  test.each<[string, string, ApiCase]>([
    ['none of a page: 500', http('{ backendRefs: [{ name: nobody, port: 80 }] }'), get('/', status(500))],
    ['none of a call: UNAVAILABLE', grpc('{ backendRefs: [{ name: nobody, port: 80 }] }'), call('/s/M', { Response: { GrpcCode: 14 } })],
    ['all of weight 0: UNAVAILABLE', grpc(`{ backendRefs: [${to('a', ', weight: 0')}] }`), call('/s/M', { Response: { GrpcCode: 14 } })],
    [
      "the share of one that is none is not the others'",
      http(`{ backendRefs: [${to('a', ', weight: 3')}, { name: nobody, port: 80, weight: 1 }] }`),
      get('/', { Weights: { a: 0.75 } }),
    ],
    ['of connections as well', tcp('t', `${to('a', ', weight: 3')}, { name: nobody, port: 80, weight: 1 }`), raw({ Weights: { a: 0.75 } })],
    ['a connection that nobody takes', tcp('t', '{ name: nobody, port: 80 }'), raw({ Failure: 'connection' })],
    ['the older route of a port has it', tcp('k', to('a'), younger) + tcp('m', to('b'), older), raw({ Backend: 'b' })],
  ])('%s', async (_, yaml, one) => {
    expect(await judged(yaml, one)).toBeUndefined();
  });
});

describe('sidecars', () => {
  const mesh = (parent: string, backend: string, name: string): string =>
    http(`{ backendRefs: [${to(backend)}] }`, `parentRefs: [{ group: "", kind: Service, name: a${parent} }]`, name);
  const from: ApiCase = { From: 'shop/c', To: 'shop/a', Port: 80, Scheme: 'http', Namespace: 'shop', Request: { Host: 'a', Path: '/' } };

  test.each<[string, string, ApiCase]>([
    ['a route of a port by its name', mesh(', sectionName: http', 'b', 'r'), { ...from, Backend: 'b' }],
    ['not one of another name', mesh(', sectionName: other', 'b', 'r'), { ...from, Backend: 'a' }],
    ['the first by its name', mesh('', 'a', 'm') + mesh('', 'b', 'k'), { ...from, Backend: 'b' }],
  ])('%s', async (_, yaml, one) => {
    expect(await judged(yaml, one)).toBeUndefined();
  });
});

describe('times and tries', () => {
  const timed = (more: string): string => http(`{ ${path('/')}, ${more}, backendRefs: [${to('a')}] }`);

  test.each<[string, string, ApiCase]>([
    ['an answer in time', timed('timeouts: { request: 500ms }'), get('/', { BackendBehavior: { Delay: '100ms' }, ...status(200) })],
    ['one that is late', timed('timeouts: { request: 500ms }'), get('/', { BackendBehavior: { Delay: '1s' }, ...status(504) })],
    ['no time at all is no limit', timed('timeouts: { request: 0s }'), get('/', { BackendBehavior: { Delay: '10s' }, ...status(200) })],
    ['a backend that is late', timed('timeouts: { request: 1s, backendRequest: 500ms }'), get('/', { BackendBehavior: { Delay: '2s' }, ...status(504) })],
    ['a backend alone has a limit', timed('timeouts: { backendRequest: 500ms }'), get('/', { BackendBehavior: { Delay: '2s' }, ...status(504) })],
    [
      'a status that is tried again',
      timed('retry: { codes: [500], attempts: 2 }'),
      get('/', { BackendBehavior: { FailTimes: 2, FailWith: 500 }, ...status(200) }),
    ],
    ['not more often', timed('retry: { codes: [500], attempts: 2 }'), get('/', { BackendBehavior: { FailTimes: 3, FailWith: 500 }, ...status(500) })],
    ['not another status', timed('retry: { codes: [500], attempts: 2 }'), get('/', { BackendBehavior: { FailTimes: 1, FailWith: 501 }, ...status(501) })],
    ['a connection that breaks', timed('retry: { attempts: 1 }'), get('/', { BackendBehavior: { FailTimes: 1, FailWith: 'reset' }, ...status(200) })],
    [
      'a try that is late is tried again, within the time of all',
      timed('retry: { codes: [504], attempts: 3 }, timeouts: { request: 1s, backendRequest: 200ms }'),
      get('/', { BackendBehavior: { Delay: '1s', FailTimes: 2, FailWith: 504 }, ...status(200) }),
    ],
    [
      'and no longer',
      timed('retry: { codes: [504], attempts: 9 }, timeouts: { request: 500ms, backendRequest: 200ms }'),
      get('/', { BackendBehavior: { Delay: '1s', FailTimes: 9, FailWith: 504 }, ...status(504) }),
    ],
  ])('%s', async (_, yaml, one) => {
    expect(await judged(yaml, one)).toBeUndefined();
    const asserted = one.Response!.StatusCodes![0]!;
    expect(await judged(yaml, { ...one, Response: { StatusCodes: [asserted === 200 ? 504 : 200] } })).toBeDefined();
  });

  test('a delay without a unit is of milliseconds, or of nanoseconds as Go writes it', () => {
    const outcome = { status: 200, timeoutMs: 500, retries: null };
    expect([100, 1000, 100_000_000, 1_000_000_000].map((Delay) => statusWith(outcome, { Delay }))).toEqual([200, 504, 200, 504]);
  });
});
