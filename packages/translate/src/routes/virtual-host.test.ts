import { createRegistry, toJson } from '@bufbuild/protobuf';
import type { HttpRoute, Resource, Service, VirtualServiceSpec } from '@outrigger/resources';
import { HeaderValueOption_HeaderAppendAction } from '@outrigger/xds/protos/envoy/config/core/v3/base';
import { type Route, RouteSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
import { PreviousHostsPredicateSchema } from '@outrigger/xds/protos/envoy/extensions/retry/host/previous_hosts/v3/previous_hosts';
import { describe, expect, test } from 'vitest';
import { buildMesh } from '../mesh.ts';
import type { ProxyNode } from '../node.ts';
import { canary, node, resource, service, shopInstances, shopServices, subsets } from '../testing/shop.ts';
import { routeConfiguration, virtualHost } from '../translate.ts';

const web = node('web');
const cluster = (name: string, subset = '', port = 8080): string => `outbound|${port}|${subset}|${name}.default.svc.cluster.local`;

function hostOf(config: readonly Resource[], asked = 'order-service:8080', proxy: ProxyNode = web, services: readonly Service[] = shopServices) {
  return virtualHost(buildMesh({ config, services, instances: shopInstances }), proxy, `http_proxy/${asked}`);
}

/** Routes of order-service for one HTTP route, without the CONNECT that stands first. */
function routesFor(http: HttpRoute | readonly HttpRoute[], proxy: ProxyNode = web): readonly Route[] {
  const spec: VirtualServiceSpec = { hosts: ['order-service'], http: Array.isArray(http) ? http : [http as HttpRoute] };
  const { routes } = hostOf([resource('VirtualService', 'order', spec), subsets], 'order-service:8080', proxy).message!;
  // Envoy refuses the whole table for one route without either.
  for (const { match, action } of routes) expect([match?.pathSpecifier.case, action.case]).not.toContain(undefined);
  return routes.slice(1);
}

const toOrder = { route: [{ destination: { host: 'order-service' } }] };
const first = (http: HttpRoute, proxy?: ProxyNode) => toJson(RouteSchema, routesFor(http, proxy)[0]!, jsonOptions) as Record<string, Record<string, unknown>>;
const jsonOptions = { registry: createRegistry(PreviousHostsPredicateSchema) };

describe('the virtual host that is found', () => {
  test.each([
    ['order-service:8080', 'order-service.default.svc.cluster.local:8080'],
    ['order-service.default:8080', 'order-service.default.svc.cluster.local:8080'],
    ['ORDER-service.default.svc:8080', 'order-service.default.svc.cluster.local:8080'],
    ['order-service', 'allow_any'],
    ['order-service:81', 'allow_any'],
    ['plain', 'plain.default.svc.cluster.local:80'],
    ['plain:80', 'plain.default.svc.cluster.local:80'],
    ['10.1.2.3', 'plain.default.svc.cluster.local:80'],
    ['10.1.2.4', 'allow_any'],
    ['api.example.com', '*.example.com:80'],
    ['a.api.example.com:80', '*.example.com:80'],
    ['example.com', 'allow_any'],
    ['hidden:8080', 'allow_any'],
  ])('%s: %s', (asked, name) => {
    const services = [
      ...shopServices,
      service('plain', 80, 'HTTP', { addresses: ['10.1.2.3'] }),
      service('any', 80, 'HTTP', { hostname: '*.example.com' }),
      service('hidden', 8080, 'HTTP', { namespace: 'other', hostname: 'hidden.default.svc.cluster.local', exportTo: ['.'] }),
    ];
    const found = hostOf([], asked, web, services);
    expect(found.message!.name).toBe(name);
    expect(found.aliases).toContain(`http_proxy/${asked}`);
    expect(found.message!.domains).toContain(asked.toLowerCase());
    expect(found.aliases).toContain(found.name);
  });

  test('every name of it is an alias, the canonical one its own', () => {
    const { name, aliases } = hostOf([]);
    expect(name).toBe('http_proxy/order-service.default.svc.cluster.local:8080');
    expect(aliases).toHaveLength(4);
    expect(aliases).toContain(name);
  });

  test('an unknown host goes to the passthrough cluster, or is refused', () => {
    expect(hostOf([], 'elsewhere:81').message!.routes.map(({ action }) => action.case === 'route' && action.value.clusterSpecifier.value)).toEqual([
      'PassthroughCluster',
      'PassthroughCluster',
    ]);
    const closed = resource('Sidecar', 'default', { outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } });
    const refused = hostOf([closed], 'elsewhere:81').message!;
    expect(refused.name).toBe('block_all');
    expect(refused.routes.map(({ action }) => action.case === 'directResponse' && action.value.status)).toEqual([502, 502]);
  });

  test('nonsense is nothing', () => {
    for (const name of ['http_proxy/', 'http_proxy/a b', 'other/order-service:8080'])
      expect(virtualHost(buildMesh({ config: [], services: shopServices, instances: [] }), web, name).message).toBeUndefined();
  });

  test('a host that only a VirtualService knows, on any port', () => {
    const outside = resource('VirtualService', 'outside', { hosts: ['old.example.com'], http: [{ route: [{ destination: { host: 'order-service' } }] }] });
    const found = hostOf([outside], 'old.example.com:81');
    expect(found.name).toBe('http_proxy/old.example.com:81');
    expect(found.message!.routes[1]!.action.value).toMatchObject({ clusterSpecifier: { value: cluster('order-service') } });
  });

  test('under a wildcard of a VirtualService a host has the port of HTTP, and a service of one the ports that it has', () => {
    const wide = resource('VirtualService', 'wide', { hosts: ['*.example.com'], http: [{ name: 'wide', ...toOrder }] });
    const order = resource('VirtualService', 'order', { hosts: ['order-service'], http: [{ name: 'order', ...toOrder }] });
    const nameOf = (asked: string): string => hostOf([wide, order], asked).message!.routes[1]!.name;
    const asked = ['old.example.com', 'old.example.com:81', 'order-service:8080', 'order-service:81'];
    expect(asked.map(nameOf)).toEqual(['wide', 'allow_any', 'order', 'allow_any']);
  });

  test('rules for a port of a host that only a VirtualService knows hold on that port, for an Envoy too', () => {
    const http = [
      { name: 'special', match: [{ port: 8080 }], ...toOrder },
      { name: 'usual', ...toOrder },
    ];
    const outside = resource('VirtualService', 'outside', { hosts: ['old.example.com'], http });
    const mesh = buildMesh({ config: [outside], services: shopServices, instances: shopInstances });
    const { virtualHosts } = routeConfiguration(mesh, node('web', { dataPlane: 'envoy', onDemand: false }), 'http_proxy').message!;
    const namesAt = (domain: string): string[] => {
      const routes = virtualHosts.find(({ domains }) => domains.includes(domain))!.routes.slice(1);
      return [...new Set(routes.map(({ name }) => name))];
    };
    expect(namesAt('old.example.com:8080')).toEqual(['special', 'usual']);
    expect(namesAt('old.example.com:*')).toEqual(['usual']);
    const short = resource('VirtualService', 'short', { hosts: ['legacy'], http: [{ ...toOrder }] });
    const table = routeConfiguration(
      buildMesh({ config: [short], services: shopServices, instances: shopInstances }),
      node('web', { dataPlane: 'envoy', onDemand: false }),
      'http_proxy',
    );
    const legacy = table.message!.virtualHosts.find(({ domains }) => domains.includes('legacy.default.svc.cluster.local'))!;
    expect(legacy.domains).toContain('legacy:*');
    expect(
      hostOf([outside], 'old.example.com:8080')
        .message!.routes.slice(1)
        .map(({ name }) => name),
    ).toEqual(['special', 'usual']);
  });

  test('CONNECT: an HTTP port into the tunnel, a TCP port straight on', () => {
    const services = [...shopServices, service('redis', 6379, 'TCP')];
    const target = (asked: string) => hostOf([], asked, web, services).message!.routes[0]!.action.value;
    expect(target('order-service:8080')).toMatchObject({ clusterSpecifier: { value: 'http_tunnel' }, upgradeConfigs: [{ upgradeType: 'CONNECT' }] });
    expect(target('redis:6379')).toMatchObject({ clusterSpecifier: { value: cluster('redis', '', 6379) } });
  });

  test('the whole table of an Envoy has each domain once and ends with *', () => {
    const services = [...shopServices, service('twin', 8080, 'HTTP', { hostname: 'order-service.default', namespace: 'other' }), service('plain', 80)];
    const mesh = buildMesh({ config: [canary, subsets], services, instances: shopInstances });
    const table = routeConfiguration(mesh, node('web', { dataPlane: 'envoy', onDemand: false }), 'http_proxy').message!;
    const domains = table.virtualHosts.flatMap((one) => one.domains);
    expect(new Set(domains).size).toBe(domains.length);
    expect(domains.at(-1)).toBe('*');
    expect(domains).toContain('plain');
    expect(routeConfiguration(mesh, web, 'http_proxy').message).toMatchObject({
      virtualHosts: [],
      vhds: {},
      requestHeadersToAdd: [
        { header: { key: 'x-outrigger-peer', value: 'web;default;web;' }, appendAction: HeaderValueOption_HeaderAppendAction.OVERWRITE_IF_EXISTS },
      ],
    });
  });
});

describe('without a VirtualService', () => {
  test('the mesh retries what may be repeated, forever has time, and says who calls', () => {
    const [route] = hostOf([]).message!.routes.slice(1);
    expect(toJson(RouteSchema, route!, jsonOptions)).toMatchObject({
      name: 'default',
      match: { prefix: '/' },
      route: {
        cluster: cluster('order-service'),
        timeout: '0s',
        retryPolicy: { retryOn: '5xx,reset,connect-failure,refused-stream', numRetries: 3, retryBackOff: { baseInterval: '0.025s', maxInterval: '0.250s' } },
      },
      metadata: { filterMetadata: { 'outrigger.dev': { retry: { idempotentOnly: true, connectTimeoutRetries: 1 } } } },
      requestHeadersToAdd: [{ header: { key: 'x-outrigger-peer', value: '-' }, appendAction: 'OVERWRITE_IF_EXISTS_OR_ADD' }],
    });
  });

  test('Envoy gets three: methods that may be repeated, an idempotency key, and the rest', () => {
    const routes = hostOf([], 'order-service:8080', node('web', { dataPlane: 'envoy' })).message!.routes.slice(1);
    const seen = routes.map((route) => [
      route.name,
      route.match!.headers.map(({ name }) => name).join(),
      route.action.case === 'route' ? route.action.value.retryPolicy!.retryOn : '',
    ]);
    const full = 'gateway-error,reset,connect-failure,refused-stream';
    expect(seen).toEqual([
      ['default', ':method', full],
      ['default', 'idempotency-key', full],
      ['default', '', 'connect-failure,refused-stream'],
    ]);
  });

  test('an external service never hears who calls', () => {
    const services = [service('api', 80, 'HTTP', { hostname: 'api.example.com', location: 'MESH_EXTERNAL', resolution: 'DNS' })];
    const [, route] = hostOf([], 'api.example.com', web, services).message!.routes;
    expect(route!.requestHeadersToAdd).toEqual([]);
    expect(route!.requestHeadersToRemove).toEqual(['x-outrigger-peer']);
  });
});

describe('matches', () => {
  test.each<readonly [string, NonNullable<HttpRoute['match']>[number], unknown]>([
    ['an exact path', { uri: { exact: '/a' } }, { path: '/a' }],
    ['a prefix', { uri: { prefix: '/a' } }, { prefix: '/a' }],
    ['a regex', { uri: { regex: '/a.*' } }, { safeRegex: { regex: '/a.*' } }],
    ['a path in any case', { uri: { prefix: '/a' }, ignoreUriCase: true }, { prefix: '/a', caseSensitive: false }],
    ['a method', { method: { exact: 'GET' } }, { prefix: '/', headers: [{ name: ':method', stringMatch: { exact: 'GET' } }] }],
    ['an authority', { authority: { prefix: 'a' } }, { prefix: '/', headers: [{ name: ':authority', stringMatch: { prefix: 'a' } }] }],
    ['a scheme', { scheme: { exact: 'http' } }, { prefix: '/', headers: [{ name: ':scheme', stringMatch: { exact: 'http' } }] }],
    [
      'headers, sorted, in lower case',
      { headers: { 'X-B': { regex: 'b+' }, 'X-A': { exact: '1' }, 'x-c': {} } },
      {
        prefix: '/',
        headers: [
          { name: 'x-a', stringMatch: { exact: '1' } },
          { name: 'x-b', stringMatch: { safeRegex: { regex: 'b+' } } },
          { name: 'x-c', presentMatch: true },
        ],
      },
    ],
    [
      'absent headers',
      { withoutHeaders: { a: {}, b: { exact: '1' } } },
      {
        prefix: '/',
        headers: [
          { name: 'a', presentMatch: true, invertMatch: true },
          { name: 'b', stringMatch: { exact: '1' }, invertMatch: true, treatMissingHeaderAsEmpty: true },
        ],
      },
    ],
    [
      'query parameters',
      { queryParams: { a: { exact: '1' }, b: {} } },
      {
        prefix: '/',
        queryParameters: [
          { name: 'a', stringMatch: { exact: '1' } },
          { name: 'b', presentMatch: true },
        ],
      },
    ],
    ['its port', { port: 8080, uri: { exact: '/p' } }, { path: '/p' }],
    ['its labels', { sourceLabels: { app: 'web' } }, { prefix: '/' }],
    ['its namespace', { sourceNamespace: 'default' }, { prefix: '/' }],
    ['the mesh', { gateways: ['gw', 'mesh'] }, { prefix: '/' }],
  ])('%s', (_, match, expected) => {
    expect(first({ match: [match], ...toOrder })['match']).toEqual(expected);
  });

  test.each<readonly [string, NonNullable<HttpRoute['match']>[number]]>([
    ['another port', { port: 81 }],
    ['other labels', { sourceLabels: { app: 'batch' } }],
    ['another namespace', { sourceNamespace: 'prod' }],
    ['gateways alone', { gateways: ['gw'] }],
  ])('%s: the rule says nothing here', (_, match) => {
    const routes = routesFor({ name: 'rule', match: [match], ...toOrder });
    expect(routes.map(({ name }) => name)).toEqual(['default']);
  });

  test('each match is a route; after one for everything come none, and that is said', () => {
    const config = resource('VirtualService', 'order', {
      hosts: ['order-service'],
      http: [{ name: 'r', match: [{ uri: { exact: '/a' } }, { name: 'm', uri: { exact: '/b' } }], ...toOrder }, toOrder, toOrder],
    });
    const { message, notes } = hostOf([config]);
    expect(message!.routes.slice(1).map(({ name }) => name)).toEqual(['r', 'r.m', 'default']);
    expect(notes.map(({ field, effect }) => [field, effect])).toEqual([['spec.http[2]', 'none']]);
  });
});

describe('actions', () => {
  test.each<readonly [string, HttpRoute, unknown]>([
    [
      'weights, with headers of a destination',
      {
        route: [
          { destination: { host: 'order-service', subset: 'v1' }, weight: 90, headers: { request: { set: { a: '1' } } } },
          { destination: { host: 'order-service', subset: 'v2' }, weight: 10 },
          { destination: { host: 'order-service', subset: 'v1' }, weight: 0 },
        ],
      },
      {
        route: {
          weightedClusters: {
            clusters: [
              {
                name: cluster('order-service', 'v1'),
                weight: 90,
                requestHeadersToAdd: [{ header: { key: 'a', value: '1' }, appendAction: 'OVERWRITE_IF_EXISTS_OR_ADD' }],
              },
              { name: cluster('order-service', 'v2'), weight: 10 },
            ],
          },
        },
      },
    ],
    ['a timeout', { ...toOrder, timeout: '1.5s' }, { route: { timeout: '1.500s' } }],
    [
      'explicit retries',
      { ...toOrder, retries: { attempts: 2, perTryTimeout: '200ms', retryOn: 'reset,503', backoff: '10ms' } },
      {
        route: {
          retryPolicy: {
            numRetries: 2,
            perTryTimeout: '0.200s',
            retryOn: 'reset,retriable-status-codes',
            retriableStatusCodes: [503],
            retryBackOff: { baseInterval: '0.010s', maxInterval: '0.100s' },
          },
        },
        metadata: { filterMetadata: { 'outrigger.dev': { retry: { idempotentOnly: false } } } },
      },
    ],
    [
      'a redirect',
      { redirect: { uri: '/new', authority: 'b', scheme: 'https', derivePort: 'FROM_PROTOCOL_DEFAULT', redirectCode: 308 } },
      { redirect: { pathRedirect: '/new', hostRedirect: 'b', schemeRedirect: 'https', responseCode: 'PERMANENT_REDIRECT' } },
    ],
    ['a redirect to a port', { redirect: { port: 8443, scheme: 'https' } }, { redirect: { portRedirect: 8443, schemeRedirect: 'https' } }],
    ['a redirect to the usual port', { redirect: { port: 443, scheme: 'https' } }, { redirect: { schemeRedirect: 'https' } }],
    [
      "a redirect to the request's port",
      { redirect: { uri: '/x', derivePort: 'FROM_REQUEST_PORT' } },
      { redirect: { pathRedirect: '/x', portRedirect: 8080 } },
    ],
    ['a direct response', { directResponse: { status: 418, body: { string: 'tea' } } }, { directResponse: { status: 418, body: { inlineString: 'tea' } } }],
    [
      'a rewrite',
      { match: [{ uri: { prefix: '/a' } }], rewrite: { uri: '/b', authority: 'c' }, ...toOrder },
      { route: { prefixRewrite: '/b', hostRewriteLiteral: 'c' } },
    ],
    [
      'a regex rewrite',
      { rewrite: { uriRegexRewrite: { match: '^/a(.*)', rewrite: '/b\\1' } }, ...toOrder },
      { route: { regexRewrite: { pattern: { regex: '^/a(.*)' }, substitution: '/b\\1' } } },
    ],
    ['Host set as a header', { headers: { request: { set: { Host: 'c' } } }, ...toOrder }, { route: { hostRewriteLiteral: 'c' } }],
    [
      'mirrors',
      { ...toOrder, mirror: { host: 'web' }, mirrorPercentage: { value: 12.5 }, mirrors: [{ destination: { host: 'fraud-service' } }] },
      {
        route: {
          requestMirrorPolicies: [
            { cluster: cluster('web'), runtimeFraction: { defaultValue: { numerator: 125_000, denominator: 'MILLION' } } },
            { cluster: cluster('fraud-service'), runtimeFraction: { defaultValue: { numerator: 1_000_000, denominator: 'MILLION' } } },
          ],
        },
      },
    ],
    [
      'headers',
      { ...toOrder, headers: { request: { add: { a: '1' }, remove: ['b'] }, response: { set: { c: '2' }, remove: ['d'] } } },
      {
        requestHeadersToAdd: [{ header: { key: 'a', value: '1' } }, { header: { key: 'x-outrigger-peer' } }],
        requestHeadersToRemove: ['b'],
        responseHeadersToAdd: [{ header: { key: 'c', value: '2' } }],
        responseHeadersToRemove: ['d'],
      },
    ],
  ])('%s', (_, http, expected) => {
    expect(first(http)).toMatchObject(expected as object);
  });

  test('no retries at all', () => {
    expect(first({ ...toOrder, retries: { attempts: 0 } })['route']!['retryPolicy']).toBeUndefined();
  });

  test('fault and CORS are configuration of their filters', () => {
    const config = routesFor({
      ...toOrder,
      fault: { delay: { fixedDelay: '5s', percentage: { value: 10 } }, abort: { httpStatus: 500 } },
      corsPolicy: { allowOrigins: [{ exact: 'https://a' }], allowMethods: ['GET', 'PUT'], maxAge: '24h', allowCredentials: true },
    })[0]!.typedPerFilterConfig;
    expect(Object.entries(config).map(([name, { typeUrl }]) => [name, typeUrl])).toEqual([
      ['envoy.filters.http.fault', 'type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault'],
      ['envoy.filters.http.cors', 'type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy'],
    ]);
  });

  test("a consistent hash of the destination's DestinationRule becomes the route's hash policy", () => {
    const rule = resource('DestinationRule', 'hash', {
      host: 'order-service',
      trafficPolicy: { loadBalancer: { consistentHash: { httpHeaderName: 'x-user' } } },
    });
    expect(hostOf([rule]).message!.routes[1]!.action.value).toMatchObject({
      hashPolicy: [{ policySpecifier: { case: 'header', value: { headerName: 'x-user' } } }],
    });
  });
});

describe('what has no effect is said', () => {
  test.each<readonly [string, HttpRoute, string, string]>([
    [
      'a subset that is nowhere',
      { route: [{ destination: { host: 'order-service', subset: 'v3' } }] },
      'spec.http[0].route[0].destination.subset',
      'has a subset v3',
    ],
    [
      'a host that is nowhere',
      { route: [{ destination: { host: 'nowhere' } }] },
      'spec.http[0].route[0].destination.host',
      'there is no service nowhere.default.svc.cluster.local',
    ],
    [
      'a port that is nowhere',
      { route: [{ destination: { host: 'order-service', port: { number: 1 } } }] },
      'spec.http[0].route[0].destination.port',
      'has no port 1',
    ],
    ['a time that is none', { ...toOrder, timeout: 'soon' }, 'spec.http[0].timeout', '"soon" is no duration'],
    ['delegation to nobody', { delegate: { name: 'a' } }, 'spec.http[0].delegate', 'no VirtualService default/a'],
  ])('%s', (_, http, field, message) => {
    const { notes } = hostOf([resource('VirtualService', 'order', { hosts: ['order-service'], http: [http] }), subsets]);
    expect(notes).toHaveLength(1);
    expect(notes[0]).toMatchObject({ field, resource: { kind: 'VirtualService', namespace: 'default', name: 'order' } });
    expect(notes[0]!.message).toContain(message);
  });
});

describe('which VirtualService', () => {
  const named = (name: string, hosts: string[], more: Partial<Resource['metadata']> = {}, spec: Partial<VirtualServiceSpec> = {}) =>
    resource('VirtualService', name, { hosts, http: [{ name, route: [{ destination: { host: 'order-service' } }] }], ...spec }, more);
  test.each<readonly [string, readonly Resource[], string]>([
    ['the oldest of one host', [named('young', ['order-service'], { creationTimestamp: '2026-11-25T00:00:00Z' }), named('old', ['order-service'])], 'old'],
    [
      'the most specific host, however young',
      [named('wide', ['*']), named('narrow', ['order-service'], { creationTimestamp: '2026-11-25T00:00:00Z' })],
      'narrow',
    ],
    ['none that is not exported here', [named('private', ['order-service.default.svc.cluster.local'], { namespace: 'other' }, { exportTo: ['.'] })], 'default'],
    ['one of another namespace that is', [named('shared', ['order-service.default.svc.cluster.local'], { namespace: 'other' })], 'shared'],
    ['none for gateways alone', [named('edge', ['order-service'], {}, { gateways: ['gw'] })], 'default'],
    [
      'none that the Sidecar leaves out',
      [named('shared', ['order-service.default.svc.cluster.local'], { namespace: 'other' }), resource('Sidecar', 's', { egress: [{ hosts: ['./*'] }] })],
      'default',
    ],
  ])('%s', (_, config, name) => {
    expect(hostOf(config).message!.routes[1]!.name).toBe(name);
  });
});

describe('gRPC channels', () => {
  test('get routes that gRPC understands, and notes for the rest', () => {
    const grpc = node('web', { dataPlane: 'grpc', httpProxy: undefined });
    const config = resource('VirtualService', 'order', {
      hosts: ['order-service'],
      http: [
        { route: [{ destination: { host: 'order-service' } }], timeout: '2s', rewrite: { uri: '/x' }, retries: { attempts: 2, retryOn: 'unavailable,503' } },
      ],
    });
    const { message, notes } = routeConfiguration(
      buildMesh({ config: [config], services: shopServices, instances: shopInstances }),
      grpc,
      'order-service:8080',
    );
    const [host] = message!.virtualHosts;
    expect(host!.domains).toEqual(['*']);
    const [route] = host!.routes;
    expect(toJson(RouteSchema, route!, jsonOptions)).toMatchObject({
      route: { maxStreamDuration: { maxStreamDuration: '2s' }, retryPolicy: { retryOn: 'unavailable', numRetries: 2 } },
    });
    expect(route!.requestHeadersToAdd).toEqual([]);
    expect(notes.map(({ field, on }) => `${field} ${on}`)).toEqual(['spec.http[0].rewrite grpc', 'spec.http[0].retries.retryOn grpc']);
  });
});
