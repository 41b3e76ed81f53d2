import fc from 'fast-check';
import { HTTP_PORTS, headerName, headerValue, NAMESPACE, OTHER_HOSTS, OTHER_NAMESPACE, SERVICES } from './vocabulary.ts';

const API = 'gateway.networking.k8s.io/v1';
const optional = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }) => fc.record(model, { requiredKeys: [] });

const path = fc.oneof(
  fc.constantFrom('/', '/api', '/api/', '/v2', '/static/', '/API').map((value) => ({ type: 'PathPrefix', value })),
  fc.constantFrom('/', '/api', '/api/v1', '/static/x.png').map((value) => ({ type: 'Exact', value })),
  fc.constantFrom('/api/.*', '/v[0-9]+(/.*)?').map((value) => ({ type: 'RegularExpression', value })),
);

const match = optional({
  path,
  method: fc.constantFrom('GET', 'POST', 'OPTIONS'),
  headers: fc.uniqueArray(
    fc.record({ name: headerName, value: headerValue, type: fc.constantFrom('Exact', 'RegularExpression') }, { requiredKeys: ['name', 'value'] }),
    { minLength: 1, maxLength: 2, selector: ({ name }) => name.toLowerCase() },
  ),
  queryParams: fc.uniqueArray(fc.record({ name: fc.constantFrom('x', 'z'), value: fc.constantFrom('1', '2') }), {
    minLength: 1,
    maxLength: 2,
    selector: ({ name }) => name,
  }),
});

const pairs = (names: readonly string[], values: readonly string[]) =>
  fc.uniqueArray(fc.record({ name: fc.constantFrom(...names), value: fc.constantFrom(...values) }), {
    minLength: 1,
    maxLength: 2,
    selector: ({ name }) => name,
  });
const modifier = optional({
  set: pairs(['x-user', 'x-set', 'X-Mixed'], ['set', 'a b']),
  add: pairs(['x-user', 'x-added', 'x-group'], ['added']),
  remove: fc.subarray(['x-user', 'x-group', 'user-agent'], { minLength: 1, maxLength: 2 }),
});
const requestModifier = modifier.map((requestHeaderModifier) => ({ type: 'RequestHeaderModifier', requestHeaderModifier }));
const responseModifier = modifier.map((responseHeaderModifier) => ({ type: 'ResponseHeaderModifier', responseHeaderModifier }));

const newPath = fc.oneof(
  fc.constantFrom('/new', '/').map((replaceFullPath) => ({ type: 'ReplaceFullPath', replaceFullPath })),
  fc.constantFrom('/new', '/', '/new/').map((replacePrefixMatch) => ({ type: 'ReplacePrefixMatch', replacePrefixMatch })),
);
const redirect = optional({
  scheme: fc.constantFrom('http', 'https'),
  hostname: fc.constantFrom('elsewhere.example.com'),
  port: fc.constantFrom(80, 443, 8443),
  path: newPath,
  statusCode: fc.constantFrom(301, 302, 303, 307, 308),
}).map((requestRedirect) => ({ type: 'RequestRedirect', requestRedirect }));
const rewrite = optional({ hostname: fc.constantFrom('rewritten.example.com'), path: newPath }).map((urlRewrite) => ({ type: 'URLRewrite', urlRewrite }));
const cors = optional({
  allowOrigins: fc.subarray(['https://good.example', 'https://*.example', '*'], { minLength: 1 }),
  allowMethods: fc.subarray(['GET', 'PUT'], { minLength: 1 }),
  allowHeaders: fc.subarray(['x-user', 'x-group'], { minLength: 1 }),
  exposeHeaders: fc.constant(['x-answer']),
  allowCredentials: fc.boolean(),
  maxAge: fc.constantFrom(1, 86_400),
}).map((one) => ({ type: 'CORS', cors: one }));

const target = fc.record(
  {
    name: fc.constantFrom(...SERVICES.map(({ name }) => name), 'a', 'b', 'nowhere'),
    port: fc.constantFrom(...HTTP_PORTS),
    namespace: fc.constantFrom(NAMESPACE, OTHER_NAMESPACE),
  },
  { requiredKeys: ['name', 'port'] },
);
const mirror = target.map((backendRef) => ({ type: 'RequestMirror', requestMirror: { backendRef } }));

const filters = fc.uniqueArray(fc.oneof(requestModifier, responseModifier, rewrite, cors, mirror), { maxLength: 3, selector: ({ type }) => type });
const backend = fc
  .tuple(target, fc.constantFrom(1, 1, 0, 50), fc.array(requestModifier, { maxLength: 1 }))
  .map(([to, weight, own]) => ({ ...to, weight, ...(own.length === 0 ? {} : { filters: own }) }));

const rule = fc
  .tuple(
    fc.option(fc.array(match, { minLength: 1, maxLength: 2 }), { nil: undefined, freq: 2 }),
    fc.oneof(
      { weight: 4, arbitrary: fc.record({ filters, backendRefs: fc.array(backend, { minLength: 1, maxLength: 2 }) }) },
      { weight: 1, arbitrary: redirect.map((one) => ({ filters: [one] })) },
    ),
    fc.option(fc.constantFrom('5s', '10s'), { nil: undefined }),
  )
  .map(([matches, acts, request]) => ({ ...(matches === undefined ? {} : { matches }), ...acts, ...(request === undefined ? {} : { timeouts: { request } }) }));

const routeNamed = (parents: fc.Arbitrary<object>, hostnames: fc.Arbitrary<readonly string[] | undefined>) =>
  fc
    .record({
      name: fc.constantFrom('one', 'two', 'three'),
      namespace: fc.constantFrom(NAMESPACE, NAMESPACE, OTHER_NAMESPACE),
      creationTimestamp: fc.constantFrom('2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z'),
      parents: fc.array(parents, { minLength: 1, maxLength: 2 }),
      hostnames,
      rules: fc.array(rule, { minLength: 1, maxLength: 3 }),
    })
    .map(({ name, namespace, creationTimestamp, parents: parentRefs, hostnames: hosts, rules }) => ({
      apiVersion: API,
      kind: 'HTTPRoute',
      metadata: { name, namespace, creationTimestamp },
      spec: { parentRefs, ...(hosts === undefined ? {} : { hostnames: hosts }), rules },
    }));

const hostnames = fc.option(fc.uniqueArray(fc.constantFrom(...OTHER_HOSTS, '*.example.com', '*.x.example.com'), { minLength: 1, maxLength: 2 }), {
  nil: undefined,
});

export const GATEWAY = { name: 'edge', namespace: NAMESPACE };
const LISTENERS = ['first', 'second', 'third'];

export const gatewayRoute = routeNamed(
  fc.record(
    {
      name: fc.constant(GATEWAY.name),
      namespace: fc.constant(GATEWAY.namespace),
      sectionName: fc.constantFrom(...LISTENERS, 'fourth'),
      port: fc.constantFrom(...HTTP_PORTS),
    },
    { requiredKeys: ['name', 'namespace'] },
  ),
  hostnames,
);

export const serviceRoute = routeNamed(
  fc
    .tuple(fc.constantFrom(...SERVICES), fc.option(fc.constantFrom(...HTTP_PORTS), { nil: undefined }))
    .map(([{ name, namespace }, port]) => ({ group: '', kind: 'Service', name, namespace, ...(port === undefined ? {} : { port }) })),
  fc.constant(undefined),
);

export const gateway = fc
  .array(
    fc.record(
      {
        port: fc.constantFrom(...HTTP_PORTS),
        hostname: fc.constantFrom(...OTHER_HOSTS, '*.example.com', '*.x.example.com'),
        allowedRoutes: fc.record({ namespaces: fc.constantFrom({ from: 'All' }, { from: 'All' }, { from: 'Same' }) }),
      },
      { requiredKeys: ['port', 'allowedRoutes'] },
    ),
    { minLength: 1, maxLength: 3 },
  )
  .map((listeners) => ({
    apiVersion: API,
    kind: 'Gateway',
    metadata: GATEWAY,
    spec: { gatewayClassName: 'outrigger', listeners: listeners.map((listener, index) => ({ name: LISTENERS[index], protocol: 'HTTP', ...listener })) },
  }));

export const referenceGrant = fc.constantFrom(NAMESPACE, OTHER_NAMESPACE).map((namespace) => ({
  apiVersion: 'gateway.networking.k8s.io/v1beta1',
  kind: 'ReferenceGrant',
  metadata: { name: 'grant', namespace },
  spec: {
    from: [{ group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', namespace: namespace === NAMESPACE ? OTHER_NAMESPACE : NAMESPACE }],
    to: [{ group: '', kind: 'Service' }],
  },
}));
