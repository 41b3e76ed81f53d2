import { fromBinary, type Registry } from '@bufbuild/protobuf';
import type { EnvoyFilterSpec, Resource } from '@outrigger/resources';
import { refOf } from '@outrigger/resources';
import { loadTypeRegistry } from '@outrigger/xds';
import type { Listener } from '@outrigger/xds/protos/envoy/config/listener/v3/listener';
import {
  type HttpConnectionManager,
  HttpConnectionManagerSchema,
} from '@outrigger/xds/protos/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager';
import { describe, expect, test } from 'vitest';
import { PROXY_LISTENER } from '../listeners/outbound.ts';
import { buildMesh, changeMesh, type Mesh } from '../mesh.ts';
import type { ProxyNode } from '../node.ts';
import { bareNode } from '../node.ts';
import { resource, service } from '../testing/shop.ts';
import { cluster, clusterNames, listener, routeConfiguration, virtualHost } from '../translate.ts';

const types: Registry = await loadTypeRegistry();
const web = bareNode('default', 'web', { labels: { app: 'web' }, httpProxy: { host: '127.0.0.1', port: 15_001 }, onDemand: false });
const orders = 'outbound|8080||order-service.default.svc.cluster.local';
const HCM = 'envoy.filters.network.http_connection_manager';

type Entry = NonNullable<EnvoyFilterSpec['configPatches']>[number];
const filter = (name: string, entries: readonly Entry[], spec: Partial<EnvoyFilterSpec> = {}, more: Partial<Resource['metadata']> = {}) =>
  resource<EnvoyFilterSpec>('EnvoyFilter', name, { configPatches: entries, ...spec }, more);
const patch = (applyTo: string, operation: string, value: object | undefined, match: Entry['match'] = {}): Entry => ({
  applyTo,
  match,
  patch: { operation, ...(value === undefined ? {} : { value: value as never }) },
});
const meshOf = (...config: readonly Resource[]): Mesh =>
  buildMesh({ config, services: [service('order-service', 8080), service('payment-service', 8080)], instances: [], types });
const managerOf = (message: Listener | undefined): HttpConnectionManager => {
  const config = message!.filterChains[0]!.filters.find(({ name }) => name === HCM)!.configType;
  if (config.case !== 'typedConfig') throw new Error('no typed config');
  return fromBinary(HttpConnectionManagerSchema, config.value.value);
};
const filtersOf = (mesh: Mesh, node: ProxyNode = web): readonly string[] =>
  managerOf(listener(mesh, node, PROXY_LISTENER).message).httpFilters.map(({ name }) => name.replace('envoy.filters.http.', ''));
const httpFilter = (name: string) => ({
  name,
  typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer', max_request_bytes: 1024 },
});
const at = (subFilter: string): Entry['match'] => ({
  context: 'SIDECAR_OUTBOUND',
  listener: { filterChain: { filter: { name: HCM, subFilter: { name: subFilter } } } },
});
const before = filtersOf(meshOf());

describe('HTTP filters', () => {
  test.each<readonly [string, Entry, readonly string[]]>([
    [
      'before another',
      patch('HTTP_FILTER', 'INSERT_BEFORE', httpFilter('x'), at('envoy.filters.http.fault')),
      before.toSpliced(before.indexOf('fault'), 0, 'x'),
    ],
    [
      'after another',
      patch('HTTP_FILTER', 'INSERT_AFTER', httpFilter('x'), at('envoy.filters.http.fault')),
      before.toSpliced(before.indexOf('fault') + 1, 0, 'x'),
    ],
    ['before all', patch('HTTP_FILTER', 'INSERT_FIRST', httpFilter('x')), ['x', ...before]],
    ['last, but for the router', patch('HTTP_FILTER', 'ADD', httpFilter('x')), before.toSpliced(-1, 0, 'x')],
    [
      'in the place of another',
      patch('HTTP_FILTER', 'REPLACE', httpFilter('x'), at('envoy.filters.http.fault')),
      before.map((name) => (name === 'fault' ? 'x' : name)),
    ],
    ['gone', patch('HTTP_FILTER', 'REMOVE', undefined, at('envoy.filters.http.fault')), before.filter((name) => name !== 'fault')],
    ['at one that is not there', patch('HTTP_FILTER', 'INSERT_BEFORE', httpFilter('x'), at('envoy.filters.http.none')), before],
    ['of inbound listeners', patch('HTTP_FILTER', 'INSERT_FIRST', httpFilter('x'), { context: 'SIDECAR_INBOUND' }), before],
  ])('%s', (_, entry, expected) => {
    expect(filtersOf(meshOf(filter('one', [entry])))).toEqual(expected);
  });

  test('of the root namespace go first, then by priority', () => {
    const first = (name: string) => [patch('HTTP_FILTER', 'INSERT_FIRST', httpFilter(name))];
    const mesh = meshOf(
      filter('b', first('b')),
      filter('a', first('a'), { priority: 5 }),
      filter('root', first('root'), { priority: 9 }, { namespace: 'istio-system' }),
    );
    expect(filtersOf(mesh).slice(0, 3)).toEqual(['a', 'b', 'root']);
  });

  test('hold for the workloads that are selected, and a node that has none of them reads no labels', () => {
    const mesh = meshOf(filter('one', [patch('HTTP_FILTER', 'INSERT_FIRST', httpFilter('x'))], { workloadSelector: { labels: { app: 'web' } } }));
    expect([filtersOf(mesh)[0], filtersOf(mesh, { ...web, labels: {} })]).toEqual(['x', before]);
    expect(listener(mesh, web, PROXY_LISTENER).reads).toContain('labels');
    expect(listener(meshOf(), web, PROXY_LISTENER).reads).not.toContain('labels');
  });
});

describe('MERGE', () => {
  test('into a typed config keeps what the patch does not say', () => {
    const value = { typed_config: { '@type': `type.googleapis.com/${HttpConnectionManagerSchema.typeName}`, max_request_headers_kb: 96, server_name: 'mine' } };
    const made = managerOf(
      listener(meshOf(filter('one', [patch('NETWORK_FILTER', 'MERGE', value, { listener: { filterChain: { filter: { name: HCM } } } })])), web, PROXY_LISTENER)
        .message,
    );
    expect([made.maxRequestHeadersKb, made.serverName, made.httpFilters.length, made.generateRequestId]).toEqual([96, 'mine', before.length, true]);
  });

  test('into the clusters that are meant, and into none in a way that renames it', () => {
    const value = { connect_timeout: '7s', circuit_breakers: { thresholds: [{ max_connections: 5 }] } };
    const match = { cluster: { service: 'order-service.default.svc.cluster.local', portNumber: 8080 } };
    const mesh = meshOf(filter('one', [patch('CLUSTER', 'MERGE', value, match), patch('CLUSTER', 'MERGE', { name: 'other' }, match)]));
    const plain = cluster(meshOf(), web, orders).message!;
    const made = cluster(mesh, web, orders);
    expect([made.message!.connectTimeout!.seconds, made.message!.name, made.message!.circuitBreakers!.thresholds.length]).toEqual([
      7n,
      orders,
      plain.circuitBreakers!.thresholds.length + 1,
    ]);
    expect(made.sources.map(({ kind }) => kind)).toContain('EnvoyFilter');
    expect(made.notes).toEqual([expect.objectContaining({ field: 'spec.configPatches[1].patch.value', message: expect.stringContaining('another name') })]);
    expect(cluster(mesh, web, orders.replace('order', 'payment')).message!.connectTimeout!.seconds).not.toBe(7n);
  });

  test('into routes: of a virtual host by its port, and where they are written stays known', () => {
    const vs = resource('VirtualService', 'orders', {
      hosts: ['order-service'],
      http: [{ name: 'mine', route: [{ destination: { host: 'order-service' } }] }],
    });
    const value = { response_headers_to_add: [{ header: { key: 'x-patched', value: 'yes' } }] };
    const match = (portNumber: number): Entry['match'] => ({ routeConfiguration: { portNumber, vhost: { route: { name: 'mine' } } } });
    const made = (port: number) =>
      virtualHost(meshOf(vs, filter('one', [patch('HTTP_ROUTE', 'MERGE', value, match(port))])), { ...web, onDemand: true }, 'http_proxy/order-service:8080');
    const patched = made(8080);
    const [route] = patched.message!.routes.filter(({ name }) => name === 'mine');
    expect(route!.responseHeadersToAdd.map(({ header }) => header!.key)).toContain('x-patched');
    expect(patched.places.get(route!)!.resource.name).toBe('orders');
    expect(made(9090).message!.routes.flatMap(({ responseHeadersToAdd }) => responseHeadersToAdd)).toEqual([]);
  });
});

test('each route has what each patch says, once', () => {
  const tag = (name: string) => patch('HTTP_ROUTE', 'MERGE', { tracing: { custom_tags: [{ tag: name, literal: { value: name } }] } });
  const { message } = routeConfiguration(meshOf(filter('one', [tag('a'), tag('b')])), web, 'http_proxy');
  const tags = message!.virtualHosts.flatMap((host) => host.routes.map(({ tracing }) => tracing!.customTags.map((one) => one.tag)));
  expect(tags.length).toBeGreaterThan(1);
  for (const own of tags) expect(own).toEqual(['a', 'b']);
});

test('what was done is known of each message, and of one that is gone by what it stood in', () => {
  const vhost = (name: string): Entry['match'] => ({ routeConfiguration: { vhost: { name } } });
  const [orders8080, payment8080] = ['order-service', 'payment-service'].map((name) => `${name}.default.svc.cluster.local:8080`) as [string, string];
  const mesh = meshOf(
    filter('one', [
      patch('VIRTUAL_HOST', 'REMOVE', undefined, vhost(payment8080)),
      patch('HTTP_ROUTE', 'MERGE', { metadata: {} }, vhost(orders8080)),
      patch('HTTP_ROUTE', 'INSERT_FIRST', { name: 'own', match: { prefix: '/own' }, direct_response: { status: 204 } }, vhost(orders8080)),
      patch('HTTP_FILTER', 'INSERT_FIRST', httpFilter('x')),
    ]),
  );
  const { message, patches, places } = routeConfiguration(mesh, web, 'http_proxy');
  const of = (one: object): readonly string[] => (patches.get(one) ?? []).map(({ resource, field }) => `${resource.name} ${field}`);
  const host = message!.virtualHosts.find(({ name }) => name === orders8080)!;
  expect([of(message!), of(host)]).toEqual([['one spec.configPatches[0]'], ['one spec.configPatches[2]']]);
  expect(host.routes.map(of)).toEqual(host.routes.map(({ name }) => (name === 'own' ? [] : ['one spec.configPatches[1]'])));
  expect(places.get(host.routes.find(({ name }) => name === 'own')!)).toMatchObject({ field: 'spec.configPatches[2].patch.value' });
  const made = listener(mesh, web, PROXY_LISTENER);
  expect(made.patches.get(made.message!.filterChains[0]!)).toMatchObject([{ field: 'spec.configPatches[3]' }]);
});

test('a virtual host in the place of another keeps the name by which it is asked for', () => {
  const value = { name: 'other', domains: ['*'], routes: [{ match: { prefix: '/' }, direct_response: { status: 418 } }] };
  const mesh = meshOf(filter('one', [patch('VIRTUAL_HOST', 'REPLACE', value)]));
  const made = virtualHost(mesh, { ...web, onDemand: true }, 'http_proxy/order-service:8080');
  expect([`http_proxy/${made.message!.name}`, made.message!.routes.map(({ action }) => action.case)]).toEqual([made.name, ['directResponse']]);
});

describe('where a patch is meant', () => {
  const first = (port: number, context: string) => [patch('HTTP_FILTER', 'INSERT_FIRST', httpFilter('x'), { context, listener: { portNumber: port } })];
  const names = (message: Listener | undefined): readonly string[] => managerOf(message).httpFilters.map(({ name }) => name);

  test("a gateway's listener is known by the port that its resource has, bound to whichever", () => {
    const edge = bareNode('default', 'edge', { labels: { app: 'edge' }, gateway: { address: '0.0.0.0', portMap: { 80: 8081 }, portOffset: 0 } });
    const gateway = resource('Gateway', 'gw', { selector: { app: 'edge' }, servers: [{ port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: ['*'] }] });
    const at80 = listener(meshOf(gateway, filter('one', first(80, 'GATEWAY'))), edge, '0.0.0.0_8081').message;
    const at90 = listener(meshOf(gateway, filter('one', first(90, 'GATEWAY'))), edge, '0.0.0.0_8081').message;
    expect([names(at80)[0], names(at90).includes('x')]).toEqual(['x', false]);
  });

  test("an inbound listener by the application's port, and the routes that stand in it", () => {
    const port = {
      name: 'http',
      protocol: 'HTTP' as const,
      servicePort: 8080,
      mesh: { host: '127.0.0.1', port: 15_101 },
      application: { host: '127.0.0.1', port: 9001 },
    };
    const node = bareNode('default', 'order-service', { inbound: [port] });
    const route = patch('HTTP_ROUTE', 'MERGE', { response_headers_to_add: [{ header: { key: 'x-in', value: 'yes' } }] }, { context: 'SIDECAR_INBOUND' });
    const made = listener(meshOf(filter('one', [...first(9001, 'SIDECAR_INBOUND'), route])), node, 'inbound_127.0.0.1_15101').message;
    const { routeSpecifier } = managerOf(made);
    const routes = routeSpecifier.case === 'routeConfig' ? routeSpecifier.value.virtualHosts.flatMap((host) => host.routes) : [];
    expect([names(made)[0], routes.map(({ responseHeadersToAdd }) => responseHeadersToAdd.map(({ header }) => header!.key))]).toEqual(['x', [['x-in']]]);
  });
});

test('clusters and virtual hosts come and go', () => {
  const added = { name: 'mine', type: 'STATIC', connect_timeout: '1s', load_assignment: { cluster_name: 'mine', endpoints: [] } };
  const mesh = meshOf(
    filter('one', [
      patch('CLUSTER', 'ADD', added),
      patch('CLUSTER', 'REMOVE', undefined, { cluster: { name: orders } }),
      patch('VIRTUAL_HOST', 'ADD', { name: 'mine', domains: ['mine.example.com'] }),
      patch('VIRTUAL_HOST', 'REMOVE', undefined, { routeConfiguration: { vhost: { name: 'payment-service.default.svc.cluster.local:8080' } } }),
    ]),
  );
  expect(clusterNames(mesh, web).names).toContain('mine');
  expect([cluster(mesh, web, 'mine').message!.name, cluster(mesh, web, orders).message]).toEqual(['mine', undefined]);
  const hosts = (of: Mesh) => routeConfiguration(of, web, 'http_proxy').message!.virtualHosts.map(({ name }) => name);
  const lost = hosts(meshOf()).filter((name) => !hosts(mesh).includes(name));
  expect([hosts(mesh).includes('mine'), lost]).toEqual([true, [expect.stringMatching(/^payment-service.*:8080$/)]]);
});

describe('what does not fit is said and changes nothing', () => {
  const plain = listener(meshOf(), web, PROXY_LISTENER).message;
  test.each<readonly [string, Entry, string, RegExp]>([
    [
      'an unknown field',
      patch('HTTP_FILTER', 'INSERT_FIRST', { name: 'x', typed_config: { ...httpFilter('x').typed_config, nonsense: 1 } }),
      'patch.value',
      /nonsense/,
    ],
    ['a wrong type', patch('LISTENER', 'MERGE', { per_connection_buffer_limit_bytes: 'many' }), 'patch.value', /no envoy\.config\.listener/],
    [
      'a config of another type',
      patch('NETWORK_FILTER', 'MERGE', httpFilter(''), { listener: { filterChain: { filter: { name: HCM } } } }),
      'patch.value',
      /is of the type/,
    ],
    ['an operation that there is not', patch('LISTENER', 'REPLACE', {}), 'patch.operation', /not REPLACE/],
    ['a bootstrap', patch('BOOTSTRAP', 'MERGE', {}), 'applyTo', /bootstrap/],
    [
      "a version of Istio's proxy",
      patch('LISTENER', 'MERGE', { stat_prefix: 'x' }, { proxy: { proxyVersion: '^1' } }),
      'match.proxy.proxyVersion',
      /no version/,
    ],
  ])('%s', (_, entry, field, message) => {
    const made = listener(meshOf(filter('one', [entry])), web, PROXY_LISTENER);
    expect(made.message).toEqual(plain);
    expect(made.notes.map((note) => [note.field, note.message])).toEqual([[`spec.configPatches[0].${field}`, expect.stringMatching(message)]]);
  });

  test('a value for so many routes that no proxy would take the table', () => {
    const value = { response_headers_to_add: [{ header: { key: 'x', value: 'y'.repeat(1024 * 1024) } }] };
    const services = Array.from({ length: 40 }, (_, index) => service(`s${index}`, 8080));
    const table = (...config: readonly Resource[]) => routeConfiguration(buildMesh({ config, services, instances: [], types }), web, 'http_proxy');
    const made = table(filter('one', [patch('HTTP_ROUTE', 'MERGE', value)]));
    expect(made.message).toEqual(table().message);
    expect(made.notes.map(({ field, message }) => [field, message])).toEqual([
      ['spec.configPatches[0].patch.value', expect.stringMatching(/more than 32 MiB/)],
    ]);
  });

  test('one that proxies of a kind refused is kept from those, until it changes', () => {
    const one = filter('one', [patch('HTTP_FILTER', 'INSERT_FIRST', httpFilter('x'))]);
    const { mesh, touched } = changeMesh(meshOf(one), { refusals: [{ ref: refOf(one), dataPlane: 'outrigger', message: 'no such filter' }] });
    expect([...touched]).toEqual(['envoyfilter:default']);
    expect([filtersOf(mesh), filtersOf(mesh, { ...web, dataPlane: 'envoy' })[0]]).toEqual([before, 'x']);
    expect(listener(mesh, web, PROXY_LISTENER).notes).toEqual([
      expect.objectContaining({ on: 'outrigger', message: expect.stringContaining('no such filter') }),
    ]);
    const changed = changeMesh(mesh, { put: [{ ...one, spec: { ...one.spec, priority: 1 } }] });
    expect(filtersOf(changed.mesh)[0]).toBe('x');
  });
});

test('a config of a type that is not known here goes on by its name to an Envoy, and not to our proxy', () => {
  const value = { name: 'wasm', typed_config: { '@type': 'type.googleapis.com/some.Wasm', config: { a: 1 } } };
  const mesh = meshOf(filter('one', [patch('HTTP_FILTER', 'INSERT_FIRST', value)]));
  const [first] = managerOf(listener(mesh, { ...web, dataPlane: 'envoy' }, PROXY_LISTENER).message).httpFilters;
  const config = first!.configType;
  expect(config.case === 'typedConfig' && config.value.typeUrl).toBe('type.googleapis.com/xds.type.v3.TypedStruct');
  const { notes } = listener(mesh, web, PROXY_LISTENER);
  expect([filtersOf(mesh), notes.map(({ on, message }) => `${on}: ${message}`)]).toEqual([before, ['outrigger: this proxy has no some.Wasm']]);
});
