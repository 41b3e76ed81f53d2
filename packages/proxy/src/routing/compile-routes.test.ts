import { create, createRegistry, fromJson, type JsonObject, type JsonValue, toJson } from '@bufbuild/protobuf';
import { anyPack } from '@bufbuild/protobuf/wkt';
import { EMPTY_STREAM } from '@outrigger/telemetry';
import { RouteConfigurationSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route';
import { FilterConfigSchema, VirtualHostSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
import { CorsPolicySchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/cors/v3/cors';
import { HTTPFaultSchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/fault/v3/fault';
import { RouterSchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/router/v3/router';
import { describe, expect, it } from 'vitest';
import type { CorsPolicy } from '../filters/cors.ts';
import { RequestHead } from '../http/message.ts';
import type { CompileError } from './compile-result.ts';
import { compileRouteConfiguration, compileVirtualHost, narrowedTo } from './compile-routes.ts';
import type { RouteEntry } from './route-entry.ts';
import type { RouteTable } from './route-table.ts';

const registry = createRegistry(FilterConfigSchema, CorsPolicySchema, HTTPFaultSchema, RouterSchema);

function compile(json: JsonObject) {
  return compileRouteConfiguration(fromJson(RouteConfigurationSchema, json, { registry }));
}

function table(json: JsonObject): RouteTable {
  const result = compile(json);
  if (!result.ok) throw new Error(JSON.stringify(result.errors));
  return result.value;
}

function errors(json: JsonObject): readonly CompileError[] {
  const result = compile(json);
  return result.ok ? [] : result.errors;
}

/** A configuration with one virtual host and these routes. */
function withRoutes(routes: JsonValue[], host: JsonObject = {}, config: JsonObject = {}): JsonObject {
  return { name: 'r', virtualHosts: [{ name: 'v', domains: ['*'], routes, ...host }], ...config };
}

function head(path = '/', headers: string[] = [], fields: Partial<RequestHead> = {}): RequestHead {
  return Object.assign(new RequestHead(), { method: 'GET', path, authority: 'a', headers, ...fields });
}

function only(route: JsonObject, host: JsonObject = {}, config: JsonObject = {}): RouteEntry {
  return table(withRoutes([{ match: { prefix: '/' }, ...route }], host, config)).match(head(), 0)!;
}

const add = (key: string, value: string, action = 'APPEND_IF_EXISTS_OR_ADD'): JsonObject => ({ header: { key, value }, appendAction: action });

describe('route configuration', () => {
  it('is compiled into entries with nothing left open', () => {
    const entry = only({
      name: 'orders',
      metadata: { filterMetadata: { istio: { config: '/apis/x' }, 'outrigger.dev': { retry: { idempotentOnly: true, connectTimeoutRetries: 1 } } } },
      route: {
        cluster: 'c',
        timeout: '0s',
        retryPolicy: { retryOn: '5xx,connect-failure', numRetries: 3, perTryTimeout: '0.250s' },
      },
    });
    expect(entry).toMatchObject({ name: 'orders', kind: 'forward', timeoutMs: 0 });
    expect(entry.retry.fields).toMatchObject({
      maxRetries: 3,
      perTryTimeoutMs: 250,
      idempotentOnly: true,
      connectTimeoutRetries: 1,
      backoffBaseMs: 25,
      backoffMaxMs: 250,
    });
    expect(entry.fields).toMatchObject({
      metadata: { configResource: '/apis/x' },
      idleTimeoutMs: -1,
      grpcTimeoutMaxMs: -1,
      grpcTimeoutIsDuration: false,
      bufferLimitBytes: -1,
      clusterNotFoundStatus: 503,
    });
    expect(only({ route: { cluster: 'c' } }).timeoutMs).toBe(15_000);
  });

  it('takes retry policy and mirrors from the virtual host where the route has none', () => {
    const host = { retryPolicy: { retryOn: '5xx' }, requestMirrorPolicies: [{ cluster: 'm' }] };
    const entry = only({ route: { cluster: 'c' } }, host);
    expect(entry.retry.maxRetries).toBe(1);
    expect(entry.fields.mirrors).toMatchObject([{ cluster: 'm', appendShadowSuffix: true }]);
    expect(only({ route: { cluster: 'c', requestMirrorPolicies: [{ cluster: 'n' }] } }, host).fields.mirrors).toMatchObject([{ cluster: 'n' }]);
  });

  it('names every cluster', () => {
    const routes = [
      {
        match: { prefix: '/a' },
        route: {
          weightedClusters: {
            clusters: [
              { name: 'x', weight: 1 },
              { name: 'y', weight: 2 },
            ],
          },
        },
      },
      { match: { prefix: '/' }, route: { cluster: 'z', requestMirrorPolicies: [{ cluster: 'm' }] } },
    ];
    expect([...table(withRoutes(routes)).clusters].sort()).toEqual(['m', 'x', 'y', 'z']);
  });

  it('splits by weight', () => {
    const entry = only({
      route: {
        weightedClusters: {
          clusters: [
            { name: 'v1', weight: 90 },
            { name: 'v2', weight: 10 },
            { name: 'v3', weight: 0 },
          ],
        },
      },
    });
    const counts: Record<string, number> = {};
    // Every 2^32 / 100,000th number: what a uniform source gives, without its noise.
    for (let i = 0; i < 100_000; i++) {
      const { name } = entry.pickCluster(head(), Math.floor((i * 0x1_0000_0000) / 100_000));
      counts[name] = (counts[name] ?? 0) + 1;
    }
    expect(counts['v3']).toBeUndefined();
    expect(counts['v2']! / 100_000).toBeGreaterThan(0.097);
    expect(counts['v2']! / 100_000).toBeLessThan(0.103);
  });

  it('splits by a header where the configuration says so', () => {
    const entry = only({
      route: {
        weightedClusters: {
          headerName: 'X-Slot',
          clusters: [
            { name: 'v1', weight: 90 },
            { name: 'v2', weight: 10 },
          ],
        },
      },
    });
    expect(entry.pickCluster(head('/', ['x-slot', '89']), 0).name).toBe('v1');
    expect(entry.pickCluster(head('/', ['x-slot', '190']), 0).name).toBe('v2');
  });

  it('takes the cluster from a header', () => {
    const entry = only({ route: { clusterHeader: 'X-Cluster' } });
    const choice = entry.pickCluster(head(), 0);
    expect(choice.clusterName(head('/', ['x-cluster', 'c9']))).toBe('c9');
    expect(choice.clusterName(head())).toBe('');
  });

  it.each([
    [false, 'config'],
    [true, 'cluster'],
  ])('runs header mutations of all levels (most specific wins: %s)', (mostSpecificHeaderMutationsWins, winner) => {
    const level = (name: string): JsonObject => ({ requestHeadersToAdd: [add('x-level', name, 'OVERWRITE_IF_EXISTS_OR_ADD'), add('x-all', name)] });
    const entry = only(
      { route: { weightedClusters: { clusters: [{ name: 'c', weight: 1, ...level('cluster') }] } }, ...level('route'), requestHeadersToRemove: ['X-Secret'] },
      level('host'),
      { mostSpecificHeaderMutationsWins, ...level('config') },
    );
    const request = head('/', ['X-Secret', 's']);
    entry.finalizeRequest(request, entry.pickCluster(request, 0), EMPTY_STREAM);
    expect(request.headers.indexOf('X-Secret')).toBe(-1);
    expect(request.headers[request.headers.indexOf('x-level') + 1]).toBe(winner);
    const all = request.headers.filter((_, i) => request.headers[i - 1] === 'x-all');
    const order = ['cluster', 'route', 'host', 'config'];
    expect(all).toEqual(mostSpecificHeaderMutationsWins ? order.reverse() : order);
  });

  it.each([
    ['a route sets it', { requestHeadersToAdd: [add('x-peer', '-', 'OVERWRITE_IF_EXISTS_OR_ADD')] }, [], 'whole'],
    ['a route sets it with a command', { requestHeadersToAdd: [add('x-peer', '%PROTOCOL%-', 'OVERWRITE_IF_EXISTS_OR_ADD')] }, [], 'whole'],
    ['a route adds another', { requestHeadersToAdd: [add('x-peer', '-')] }, ['x-peer', 'own'], 'whole'],
    ['a route takes it off', { requestHeadersToRemove: ['x-peer'] }, ['X-Peer', 'own'], undefined],
    ['the caller has sent it', {}, ['X-Peer', 'own'], 'whole'],
    ['nobody has set it', {}, [], undefined],
  ])('a configuration overwrites what is there: %s', (_case, route: JsonObject, sent: string[], expected) => {
    const entry = only({ route: { cluster: 'c' }, ...route }, {}, { requestHeadersToAdd: [add('x-peer', 'whole', 'OVERWRITE_IF_EXISTS')] });
    const request = head('/', sent);
    entry.finalizeRequest(request, entry.pickCluster(request, 0), EMPTY_STREAM);
    const at = request.headers.findIndex((name) => name.toLowerCase() === 'x-peer');
    expect(at < 0 ? undefined : request.headers[at + 1]).toBe(expected);
    expect(request.headers.filter((name) => name.toLowerCase() === 'x-peer').length).toBe(expected === undefined ? 0 : 1);
  });

  it('fills header values from the stream, and leaves empty ones out', () => {
    const entry = only({
      route: { cluster: 'c' },
      requestHeadersToAdd: [add('x-from', '%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %REQ(x-user)%'), add('x-none', '%REQ(x-none)%'), add('x-percent', '100%%')],
    });
    const request = head('/');
    entry.finalizeRequest(request, entry.pickCluster(request, 0), {
      ...EMPTY_STREAM,
      downstreamRemoteAddress: '10.0.0.1:5000',
      requestHeaders: ['X-User', 'ann'],
    });
    expect(request.headers).toEqual(['x-from', '10.0.0.1 ann', 'x-percent', '100%']);
  });

  it.each<[string, JsonObject, string, string, string]>([
    ['prefix', { match: { prefix: '/api/' }, route: { cluster: 'c', prefixRewrite: '/' } }, '/api/orders?x=1', '/orders?x=1', 'a'],
    ['separated prefix', { match: { pathSeparatedPrefix: '/api' }, route: { cluster: 'c', prefixRewrite: '/v2' } }, '/api/o', '/v2/o', 'a'],
    ['exact path', { match: { path: '/old' }, route: { cluster: 'c', prefixRewrite: '/new' } }, '/old?x', '/new?x', 'a'],
    [
      'regex',
      { match: { prefix: '/' }, route: { cluster: 'c', regexRewrite: { pattern: { regex: '^/u/([^/]+)' }, substitution: '/users/\\1' } } },
      '/u/7?x',
      '/users/7?x',
      'a',
    ],
    ['host', { match: { prefix: '/' }, route: { cluster: 'c', hostRewriteLiteral: 'b' } }, '/', '/', 'b'],
    ['host from a header', { match: { prefix: '/' }, route: { cluster: 'c', hostRewriteHeader: 'X-Host' } }, '/', '/', 'from-header'],
    [
      'host from the path',
      { match: { prefix: '/' }, route: { cluster: 'c', hostRewritePathRegex: { pattern: { regex: '^/([^/]+)/.*$' }, substitution: '\\1.svc' } } },
      '/pay/x',
      '/pay/x',
      'pay.svc',
    ],
  ])('rewrites by %s', (_name, route, path, newPath, newHost) => {
    const request = head(path, ['x-host', 'from-header']);
    const entry = table(withRoutes([route])).match(request, 0)!;
    entry.finalizeRequest(request, entry.pickCluster(request, 0), EMPTY_STREAM);
    expect(request.path).toBe(newPath);
    expect(request.authority).toBe(newHost);
    // As an Envoy whose router is told to suppress headers of its own.
    expect(request.headers).toEqual(['x-host', 'from-header']);
  });

  it('tells the host that it replaced', () => {
    const entry = only({ route: { cluster: 'c', hostRewriteLiteral: 'b', appendXForwardedHost: true } });
    const request = head('/', ['X-Forwarded-Host', 'first']);
    entry.finalizeRequest(request, entry.pickCluster(request, 0), EMPTY_STREAM);
    expect(request.headers).toEqual(['X-Forwarded-Host', 'first,a']);
  });

  it('answers directly and redirects', () => {
    const direct = only({ directResponse: { status: 403, body: { inlineString: 'no' } } });
    expect(direct).toMatchObject({ kind: 'direct-response', fields: { direct: { status: 403 } } });
    expect(new TextDecoder().decode(direct.fields.direct!.body)).toBe('no');
    const redirect = only({ redirect: { hostRedirect: 'b', responseCode: 'PERMANENT_REDIRECT' } });
    expect(redirect).toMatchObject({ kind: 'redirect', fields: { redirect: { status: 308 } } });
  });

  it('sends plain text to https where TLS is required', () => {
    const routes = table(withRoutes([{ match: { prefix: '/' }, route: { cluster: 'c' } }], { requireTls: 'ALL' }));
    const plain = routes.match(head('/x?y', [], { authority: 'a:80' }), 0)!;
    expect(plain.fields.redirect!.location(head('/x?y', [], { authority: 'a:80' }))).toBe('https://a:80/x?y');
    expect(routes.match(head('/', [], { scheme: 'https' }), 0)!.kind).toBe('forward');
  });

  it('matches gRPC, query parameters and a share of requests', () => {
    const routes = table(
      withRoutes([
        { name: 'grpc', match: { prefix: '/', grpc: {} }, route: { cluster: 'c' } },
        { name: 'query', match: { prefix: '/', queryParameters: [{ name: 'v', stringMatch: { exact: '2' } }] }, route: { cluster: 'c' } },
        { name: 'half', match: { prefix: '/', runtimeFraction: { defaultValue: { numerator: 50 } } }, route: { cluster: 'c' } },
        { name: 'rest', match: { prefix: '/' }, route: { cluster: 'c' } },
      ]),
    );
    const name = (path: string, headers: string[], random: number) => routes.match(head(path, headers), random)!.name;
    expect(name('/', ['Content-Type', 'application/grpc+proto'], 0)).toBe('grpc');
    expect(name('/', ['content-type', 'application/grpc-web'], 0xffffffff)).toBe('rest');
    expect(name('/?v=2', [], 0)).toBe('query');
    expect(name('/', [], 0x7fffffff)).toBe('half');
    expect(name('/', [], 0x80000000)).toBe('rest');
  });

  it('takes filters from the most specific level, and switches them off by name', () => {
    const cors = (origin: string): JsonValue => ({
      '@type': 'type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy',
      allowOriginStringMatch: [{ exact: origin }],
    });
    const off = toJson(
      VirtualHostSchema,
      create(VirtualHostSchema, { typedPerFilterConfig: { fault: anyPack(FilterConfigSchema, create(FilterConfigSchema, { disabled: true })) } }),
      { registry },
    ) as JsonObject;
    const entry = only(
      { route: { cluster: 'c' }, typedPerFilterConfig: { cors: cors('route') } },
      { typedPerFilterConfig: { cors: cors('host'), ...(off['typedPerFilterConfig'] as JsonObject) } },
    );
    const [first, second] = entry.fields.filters.settings.get('cors') as CorsPolicy[];
    expect(first!.decide(head('/', ['origin', 'route']), 0)).toBe('actual');
    expect(second!.decide(head('/', ['origin', 'host']), 0)).toBe('actual');
    expect([...entry.fields.filters.disabled]).toEqual(['fault']);
  });

  it.each<[string, JsonObject, string]>([
    ['no path specifier', withRoutes([{ match: {}, route: { cluster: 'c' } }]), 'virtual_hosts[0].routes[0].match'],
    ['no action', withRoutes([{ match: { prefix: '/' } }]), 'virtual_hosts[0].routes[0]'],
    ['a bad expression', withRoutes([{ match: { safeRegex: { regex: '(' } }, route: { cluster: 'c' } }]), 'virtual_hosts[0].routes[0].match.safe_regex.regex'],
    [
      'a path matcher that is not known',
      withRoutes([{ match: { pathMatchPolicy: { name: 'p' } }, route: { cluster: 'c' } }]),
      'virtual_hosts[0].routes[0].match.path_match_policy',
    ],
    [
      'a rewrite of the path that is not known',
      withRoutes([{ match: { prefix: '/' }, route: { cluster: 'c', pathRewritePolicy: { name: 'p' } } }]),
      'virtual_hosts[0].routes[0].route.path_rewrite_policy',
    ],
    [
      'a predicate of internal redirects that is not known',
      withRoutes([{ match: { prefix: '/' }, route: { cluster: 'c', internalRedirectPolicy: { predicates: [{ name: 'p' }] } } }]),
      'virtual_hosts[0].routes[0].route.internal_redirect_policy.predicates[0]',
    ],
    [
      'weights of zero',
      withRoutes([{ match: { prefix: '/' }, route: { weightedClusters: { clusters: [{ name: 'a', weight: 0 }] } } }]),
      'virtual_hosts[0].routes[0].route.weighted_clusters.clusters',
    ],
    [
      'a wrong total',
      withRoutes([{ match: { prefix: '/' }, route: { weightedClusters: { totalWeight: 9, clusters: [{ name: 'a', weight: 1 }] } } }]),
      'virtual_hosts[0].routes[0].route.weighted_clusters.total_weight',
    ],
    [
      'an unknown filter',
      withRoutes([{ match: { prefix: '/' }, route: { cluster: 'c' } }], {
        typedPerFilterConfig: { x: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' } },
      }),
      'virtual_hosts[0].typed_per_filter_config["x"]',
    ],
    [
      'a header that is no name',
      withRoutes([{ match: { prefix: '/' }, route: { cluster: 'c' }, requestHeadersToAdd: [add('x y', '1')] }]),
      'virtual_hosts[0].routes[0].request_headers_to_add[0].header.key',
    ],
    [
      'a pseudo-header',
      withRoutes([{ match: { prefix: '/' }, route: { cluster: 'c' }, requestHeadersToRemove: [':path'] }]),
      'virtual_hosts[0].routes[0].request_headers_to_remove[0]',
    ],
    [
      'an unknown operator',
      withRoutes([{ match: { prefix: '/' }, route: { cluster: 'c' }, responseHeadersToAdd: [add('x', '%NO_SUCH%')] }]),
      'virtual_hosts[0].routes[0].response_headers_to_add[0].header.value',
    ],
    [
      'a line break',
      withRoutes([{ match: { prefix: '/' }, route: { cluster: 'c' }, responseHeadersToAdd: [add('x', 'a\r\nb: c')] }]),
      'virtual_hosts[0].routes[0].response_headers_to_add[0].header.value',
    ],
    [
      'a file as a body',
      withRoutes([{ match: { prefix: '/' }, directResponse: { status: 200, body: { filename: '/etc/passwd' } } }]),
      'virtual_hosts[0].routes[0].direct_response.body',
    ],
    [
      'a body above the limit',
      withRoutes([{ match: { prefix: '/' }, directResponse: { status: 200, body: { inlineString: 'ab' } } }], {}, { maxDirectResponseBodySizeBytes: 1 }),
      'virtual_hosts[0].routes[0].direct_response.body',
    ],
    [
      'a backoff upside down',
      withRoutes([
        { match: { prefix: '/' }, route: { cluster: 'c', retryPolicy: { retryOn: '5xx', retryBackOff: { baseInterval: '1s', maxInterval: '0.5s' } } } },
      ]),
      'virtual_hosts[0].routes[0].route.retry_policy.retry_back_off.max_interval',
    ],
    ['headers for internal callers', withRoutes([], {}, { internalOnlyHeaders: ['x'] }), 'internal_only_headers'],
    ['no domains', { virtualHosts: [{ name: 'v' }] }, 'virtual_hosts[0].domains'],
    [
      'a domain twice',
      {
        virtualHosts: [
          { name: 'v', domains: ['a'] },
          { name: 'w', domains: ['A'] },
        ],
      },
      'virtual_hosts["w"].domains',
    ],
  ])('refuses %s', (_name, json, path) => {
    expect(errors(json).map((error) => error.path)).toContain(path);
  });

  it('names tuning fields that do nothing', () => {
    const result = compile(
      withRoutes([
        {
          match: { prefix: '/' },
          route: { cluster: 'c', hedgePolicy: { initialRequests: 2 }, retryPolicy: { retryOn: '5xx,sometimes', retryOptionsPredicates: [{ name: 'p' }] } },
        },
      ]),
    );
    expect(result.ok && result.value.ignored).toEqual([
      'virtual_hosts[0].routes[0].route.retry_policy.retry_options_predicates',
      'virtual_hosts[0].routes[0].route.retry_policy.retry_on "sometimes"',
      'virtual_hosts[0].routes[0].route.hedge_policy.initial_requests',
    ]);
  });

  it.each([
    ['A.example.com:80', 'one'],
    ['b.example.com', 'wide'],
    ['api.test', 'start'],
    ['other', undefined],
  ])('has for %s the virtual host %s and compiles no other', (authority, name) => {
    const host = (called: string, domain: string, regex: string): JsonObject => ({
      name: called,
      domains: [domain],
      routes: [{ match: { safeRegex: { regex } }, directResponse: { status: 204 } }],
    });
    const good = [host('wide', '*.example.com', '/'), host('one', 'a.example.com', '/'), host('start', 'api.*', '/')];
    const config = fromJson(RouteConfigurationSchema, { name: 'r', ignorePortInHostMatching: true, virtualHosts: [host('bad', 'bad.test', '('), ...good] });
    expect(compileRouteConfiguration(config).ok).toBe(false);
    const narrow = compileRouteConfiguration(narrowedTo(config, authority));
    if (!narrow.ok) throw new Error(JSON.stringify(narrow.errors));
    expect(narrow.value.virtualHosts.map((found) => found.name)).toEqual(name === undefined ? [] : [name]);
    expect(narrow.value.findVirtualHost(authority)?.name).toBe(name);
  });

  it('compiles a virtual host alone, for VHDS, within its configuration', () => {
    const config = fromJson(RouteConfigurationSchema, { name: 'r', requestHeadersToAdd: [add('x-peer', 'me')], vhds: {} });
    const host = fromJson(VirtualHostSchema, { name: 'a:80', domains: ['a'], routes: [{ match: { prefix: '/' }, route: { cluster: 'c' } }] });
    const compiled = compileVirtualHost(config, host);
    if (!compiled.ok) throw new Error(JSON.stringify(compiled.errors));
    const request = head();
    const entry = compiled.value.match(request, 0)!;
    entry.finalizeRequest(request, entry.pickCluster(request, 0), EMPTY_STREAM);
    expect(request.headers).toEqual(['x-peer', 'me']);
  });
});
