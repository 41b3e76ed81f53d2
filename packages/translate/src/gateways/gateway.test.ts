import { anyUnpack } from '@bufbuild/protobuf/wkt';
import type { GatewayServerSpec, Resource, VirtualServiceSpec } from '@outrigger/resources';
import type { FilterChain } from '@outrigger/xds/protos/envoy/config/listener/v3/listener_components';
import { HttpConnectionManagerSchema } from '@outrigger/xds/protos/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager';
import { TcpProxySchema } from '@outrigger/xds/protos/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy';
import { DownstreamTlsContextSchema } from '@outrigger/xds/protos/envoy/extensions/transport_sockets/tls/v3/tls';
import { describe, expect, test } from 'vitest';
import { buildMesh } from '../mesh.ts';
import type { GatewayBinding } from '../node.ts';
import { node, resource, service, shopInstances, shopServices } from '../testing/shop.ts';
import { listener, listenerNames, routeConfiguration } from '../translate.ts';

const edge = (gateway: Partial<GatewayBinding> = {}) =>
  node('edge', {
    labels: { app: 'edge', istio: 'edge' },
    inbound: [],
    httpProxy: undefined,
    gateway: { address: '0.0.0.0', portMap: {}, portOffset: 0, ...gateway },
  });
const services = [...shopServices, service('redis', 6379, 'TCP'), service('bank', 443, 'TLS')];
const meshOf = (config: readonly Resource[]) => buildMesh({ config, services, instances: shopInstances });
const gateway = (
  name: string,
  servers: readonly GatewayServerSpec[],
  more: Partial<Resource['metadata']> = {},
  selector: Record<string, string> = { istio: 'edge' },
) => resource('Gateway', name, { selector, servers }, more);
const server = (number: number, protocol: string, hosts: readonly string[], more: Partial<GatewayServerSpec> = {}): GatewayServerSpec => ({
  port: { number, protocol, name: `${protocol.toLowerCase()}-${number}` },
  hosts,
  ...more,
});
const bound = (
  name: string,
  hosts: readonly string[],
  gateways: readonly string[],
  spec: Partial<VirtualServiceSpec>,
  more: Partial<Resource['metadata']> = {},
) => resource('VirtualService', name, { hosts, gateways, ...spec }, more);
const to = (host: string, port?: number) => ({ route: [{ destination: { host, ...(port === undefined ? {} : { port: { number: port } }) } }] });
const younger = { creationTimestamp: '2026-11-25T00:00:00Z' };

/** "SNI -> what": the RDS name or the cluster. */
function chainText(chain: FilterChain): string {
  const names = chain.filterChainMatch?.serverNames ?? [];
  const targets = chain.filters.flatMap(({ configType }) => {
    const config = configType.value!;
    const manager = anyUnpack(config as never, HttpConnectionManagerSchema);
    if (manager !== undefined) return manager.routeSpecifier.case === 'rds' ? [manager.routeSpecifier.value.routeConfigName] : [];
    const proxy = anyUnpack(config as never, TcpProxySchema);
    return proxy === undefined ? [] : [String(proxy.clusterSpecifier.value)];
  });
  const socket = chain.transportSocket?.configType.value;
  const tls = socket === undefined ? undefined : anyUnpack(socket as never, DownstreamTlsContextSchema);
  const secrets = tls?.commonTlsContext?.tlsCertificateSdsSecretConfigs.map(({ name }) => name).join() ?? '';
  const clients =
    tls === undefined || tls.commonTlsContext?.validationContextType.case === undefined ? '' : tls.requireClientCertificate ? ' mtls' : ' optional';
  return `${names.join()}${secrets === '' ? '' : `[${secrets}${clients}]`} -> ${targets.join()}`;
}

function listenersOf(config: readonly Resource[], proxy = edge()): Record<string, string[]> {
  const mesh = meshOf(config);
  return Object.fromEntries(listenerNames(mesh, proxy).names.map((name) => [name, listener(mesh, proxy, name).message!.filterChains.map(chainText)]));
}

/** Notes of every listener that is there. */
function notesOf(config: readonly Resource[]): string[] {
  const mesh = meshOf(config);
  return listenerNames(mesh, edge()).names.flatMap((name) =>
    listener(mesh, edge(), name).notes.map(({ resource: { name: owner }, field, message }) => `${owner} ${field}: ${message}`),
  );
}

function hostsOf(config: readonly Resource[], name: string, proxy = edge()): Record<string, string[]> | undefined {
  const { message } = routeConfiguration(meshOf(config), proxy, name);
  if (message === undefined) return undefined;
  return Object.fromEntries(
    message.virtualHosts.map((host) => [
      `${host.name}${host.requireTls === 0 ? '' : ' tls'}`,
      host.routes.map(({ match, action }) => {
        const target = action.case === 'route' ? String(action.value.clusterSpecifier.value) : action.case;
        return `${match?.pathSpecifier.value} ${target?.replace(/\.default\.svc\.cluster\.local/, '')}`;
      }),
    ]),
  );
}

describe('listeners', () => {
  test.each<readonly [string, readonly Resource[], Record<string, string[]>]>([
    ['plain HTTP, with no route yet', [gateway('gw', [server(80, 'HTTP', ['*'])])], { '0.0.0.0_80': [' -> http.80'] }],
    ['none of a gateway with another selector', [gateway('gw', [server(80, 'HTTP', ['*'])], {}, { istio: 'other' })], {}],
    [
      'of a gateway of every workload, from any namespace',
      [gateway('gw', [server(80, 'HTTP', ['*'])], { namespace: 'a' }, {})],
      { '0.0.0.0_80': [' -> http.80'] },
    ],
    ['at an address of its own', [gateway('gw', [server(80, 'HTTP', ['*'], { bind: '127.0.0.2' })])], { '127.0.0.2_80': [' -> http.80.127.0.0.2'] }],
    [
      'HTTPS by name, each with its certificate',
      [
        gateway('gw', [
          server(443, 'HTTPS', ['a.example.com'], { port: { number: 443, protocol: 'HTTPS', name: 'a' }, tls: { mode: 'SIMPLE', credentialName: 'a' } }),
          server(443, 'HTTPS', ['*.example.org'], { port: { number: 443, protocol: 'HTTPS', name: 'b' }, tls: { mode: 'MUTUAL', credentialName: 'b' } }),
          server(443, 'HTTPS', ['*'], {
            port: { number: 443, protocol: 'HTTPS', name: 'c' },
            tls: { mode: 'OPTIONAL_MUTUAL', serverCertificate: '/c', privateKey: '/k', caCertificates: '/ca' },
          }),
          server(443, 'HTTPS', ['m.example.com'], { port: { number: 443, protocol: 'HTTPS', name: 'd' }, tls: { mode: 'ISTIO_MUTUAL' } }),
        ]),
      ],
      {
        '0.0.0.0_443': [
          'a.example.com[kubernetes://a] -> https.443.a.gw.default',
          '*.example.org[kubernetes://b mtls] -> https.443.b.gw.default',
          '[file-cert:/c~/k optional] -> https.443.c.gw.default',
          'm.example.com[default mtls] -> https.443.d.gw.default',
        ],
      },
    ],
    [
      'a host for two namespaces is one name',
      [gateway('gw', [server(443, 'HTTPS', ['./*.example.com', '*.example.com'], { tls: { mode: 'SIMPLE', credentialName: 'a' } })])],
      { '0.0.0.0_443': ['*.example.com[kubernetes://a] -> https.443.https-443.gw.default'] },
    ],
    [
      'several certificates for one server',
      [gateway('gw', [server(443, 'HTTPS', ['*'], { tls: { mode: 'SIMPLE', credentialNames: ['rsa', 'ecdsa'] } })])],
      { '0.0.0.0_443': ['[kubernetes://rsa,kubernetes://ecdsa] -> https.443.https-443.gw.default'] },
    ],
    [
      'passthrough by the name that is asked for; of two routes for one the older',
      [
        gateway('gw', [server(443, 'TLS', ['*.example.com'], { tls: { mode: 'PASSTHROUGH' } })]),
        bound('one', ['a.example.com'], ['gw'], { tls: [{ match: [{ port: 443, sniHosts: ['a.example.com'] }], ...to('bank', 443) }] }),
        bound('two', ['a.example.com'], ['gw'], { tls: [{ match: [{ sniHosts: ['a.example.com'] }], ...to('redis', 6379) }] }, younger),
        bound('other', ['a.example.org'], ['gw'], { tls: [{ match: [{ sniHosts: ['a.example.org'] }], ...to('redis', 6379) }] }),
      ],
      { '0.0.0.0_443': ['a.example.com -> outbound|443||bank.default.svc.cluster.local'] },
    ],
    [
      'TLS that ends here before opaque bytes',
      [
        gateway('gw', [server(6380, 'TLS', ['redis.example.com'], { tls: { mode: 'SIMPLE', credentialName: 'r' } })]),
        bound('r', ['*'], ['gw'], { tcp: [to('redis')] }),
      ],
      { '0.0.0.0_6380': ['redis.example.com[kubernetes://r] -> outbound|6379||redis.default.svc.cluster.local'] },
    ],
    [
      'opaque bytes, by the route of that port',
      [
        gateway('gw', [server(31_400, 'TCP', ['*'])]),
        bound('r', ['*'], ['gw'], {
          tcp: [
            { match: [{ port: 1 }], ...to('bank', 443) },
            { match: [{ port: 31_400 }], ...to('redis') },
          ],
        }),
      ],
      { '0.0.0.0_31400': [' -> outbound|6379||redis.default.svc.cluster.local'] },
    ],
    ['none where nothing says where opaque bytes go', [gateway('gw', [server(31_400, 'TCP', ['*'])])], {}],
  ])('%s', (_, config, expected) => {
    expect(listenersOf(config)).toEqual(expected);
  });

  test('bound elsewhere, as the machine wants it', () => {
    const config = [gateway('gw', [server(80, 'HTTP', ['*']), server(81, 'HTTP', ['*'])])];
    expect(Object.keys(listenersOf(config, edge({ address: '127.0.0.1', portMap: { 80: 8080 }, portOffset: 1000 })))).toEqual([
      '127.0.0.1_8080',
      '127.0.0.1_1081',
    ]);
  });

  test.each<readonly [string, readonly Resource[], string[], string]>([
    [
      'two protocols on one port: the older has it',
      [gateway('tcp', [server(80, 'TCP', ['*'])], younger), gateway('http', [server(80, 'HTTP', ['*'])])],
      [' -> http.80'],
      'tcp spec.servers[0]: port 80: default/http (spec.servers[0]) serves HTTP there: the server is left out',
    ],
    [
      'a host twice under TLS',
      [
        gateway('one', [server(80, 'HTTPS', ['a'], { tls: { mode: 'SIMPLE', credentialName: 'c' } })]),
        gateway('two', [server(80, 'HTTPS', ['a'], { tls: { mode: 'SIMPLE', credentialName: 'd' } })], younger),
      ],
      ['a[kubernetes://c] -> https.80.https-80.one.default'],
      'two spec.servers[0]: port 80: default/one (spec.servers[0]) has the host a there: the server is left out',
    ],
    [
      'a server without a certificate beside a good one',
      [
        gateway('bad', [server(443, 'HTTPS', ['bad'], { tls: { mode: 'SIMPLE' } })]),
        gateway('good', [server(443, 'HTTPS', ['good'], { tls: { mode: 'SIMPLE', credentialName: 'g' } })], younger),
      ],
      ['good[kubernetes://g] -> https.443.https-443.good.default'],
      'bad spec.servers[0].tls: SIMPLE needs a certificate: credentialName, or serverCertificate and privateKey: the server is left out',
    ],
  ])('what cannot be served is said: %s', (_, config, chains, note) => {
    expect(Object.values(listenersOf(config))).toEqual([chains]);
    expect(notesOf(config)).toEqual([note]);
  });
});

describe('routes', () => {
  const plain = gateway('gw', [server(80, 'HTTP', ['*.example.com'])]);
  test.each<readonly [string, readonly Resource[], Record<string, string[]>]>([
    ['of nobody: 404 for every host', [plain], { 'blackhole:80': [] }],
    [
      'of several hosts of one wildcard',
      [plain, bound('a', ['a.example.com'], ['gw'], { http: [to('web')] }), bound('b', ['b.example.com'], ['default/gw'], { http: [to('order-service')] })],
      { 'a.example.com:80': ['/ outbound|8080||web'], 'b.example.com:80': ['/ outbound|8080||order-service'] },
    ],
    ['of a wider host: as far as the server goes', [plain, bound('a', ['*'], ['gw'], { http: [to('web')] })], { '*.example.com:80': ['/ outbound|8080||web'] }],
    ['not of another host', [plain, bound('a', ['example.org'], ['gw'], { http: [to('web')] })], { 'blackhole:80': [] }],
    ['not of sidecars alone', [plain, resource('VirtualService', 'a', { hosts: ['a.example.com'], http: [to('web')] })], { 'blackhole:80': [] }],
    ['not of another gateway', [plain, bound('a', ['a.example.com'], ['other'], { http: [to('web')] })], { 'blackhole:80': [] }],
    [
      'not of a namespace to which it is not exported',
      [plain, bound('a', ['a.example.com'], ['default/gw'], { exportTo: ['.'], http: [to('web')] }, { namespace: 'x' })],
      { 'blackhole:80': [] },
    ],
    [
      'not of a namespace that the host does not name',
      [gateway('gw', [server(80, 'HTTP', ['./*'])]), bound('a', ['a.example.com'], ['default/gw'], { http: [to('web')] }, { namespace: 'x' })],
      { 'blackhole:80': [] },
    ],
    [
      'of two resources for one host, what takes everything last',
      [
        plain,
        bound('all', ['a.example.com'], ['gw'], { http: [to('web')] }),
        bound('orders', ['a.example.com'], ['gw'], { http: [{ match: [{ uri: { prefix: '/orders' } }], ...to('order-service') }] }, younger),
      ],
      { 'a.example.com:80': ['/orders outbound|8080||order-service', '/ outbound|8080||web'] },
    ],
    [
      'by match: this gateway, its port',
      [
        plain,
        bound('a', ['a.example.com'], ['gw', 'mesh'], {
          http: [
            { match: [{ uri: { prefix: '/m' }, gateways: ['mesh'] }], ...to('web') },
            { match: [{ uri: { prefix: '/p' }, port: 81 }], ...to('web') },
            { match: [{ uri: { prefix: '/g' }, gateways: ['gw'], port: 80 }], ...to('order-service') },
          ],
        }),
      ],
      { 'a.example.com:80': ['/g outbound|8080||order-service'] },
    ],
    [
      'to https where the server says so, with routes or none, beside one that does not',
      [
        gateway('gw', [server(80, 'HTTP', ['example.com', 'b.example.com'], { tls: { httpsRedirect: true } })]),
        gateway('gw2', [server(80, 'HTTP', ['example.com', 'c.example.com'])], younger),
        bound('a', ['*'], ['gw', 'gw2'], { http: [to('web')] }),
      ],
      {
        'example.com:80 tls': ['/ outbound|8080||web', '/ outbound|8080||web'],
        'b.example.com:80 tls': ['/ outbound|8080||web'],
        'c.example.com:80': ['/ outbound|8080||web'],
      },
    ],
  ])('%s', (_, config, expected) => {
    expect(hostsOf(config, 'http.80')).toEqual(expected);
  });

  test('of two VirtualServices that take every request the first has it, for an Envoy too, whose routes are split by idempotency', () => {
    const open = gateway('edge', [server(80, 'HTTP', ['*'])]);
    const config = [
      open,
      bound('first', ['shop'], ['edge'], { http: [{ name: 'first', retries: { attempts: 1 }, ...to('web') }] }),
      bound(
        'second',
        ['shop'],
        ['edge'],
        {
          http: [
            { name: 'narrow', match: [{ uri: { prefix: '/a' } }], ...to('web') },
            { name: 'second', ...to('web') },
          ],
        },
        younger,
      ),
    ];
    for (const dataPlane of ['outrigger', 'envoy'] as const) {
      const { message } = routeConfiguration(meshOf(config), { ...edge(), dataPlane }, 'http.80');
      const names = message!.virtualHosts[0]!.routes.map(({ name }) => name);
      expect([...new Set(names)], dataPlane).toEqual(['narrow', 'first', 'second']);
    }
  });

  test('of a server with TLS are its own', () => {
    const config = [
      gateway('gw', [server(443, 'HTTPS', ['a.example.com'], { tls: { mode: 'SIMPLE', credentialName: 'a' } })]),
      bound('a', ['a.example.com'], ['gw'], { http: [to('web')] }),
    ];
    expect(hostsOf(config, 'https.443.https-443.gw.default')).toEqual({ 'a.example.com:443': ['/ outbound|8080||web'] });
    expect(hostsOf(config, 'http.443')).toBeUndefined();
  });

  test('name the resources that made them', () => {
    const { sources } = routeConfiguration(meshOf([plain, bound('a', ['a.example.com'], ['gw'], { http: [to('web')] })]), edge(), 'http.80');
    expect(sources.map(({ kind, name }) => `${kind} ${name}`)).toEqual(['Gateway gw', 'VirtualService a']);
  });
});

describe('policies', () => {
  const http = resource('Gateway', 'edge', { gatewayClassName: 'outrigger', listeners: [{ name: 'http', port: 80, protocol: 'HTTP' }] });
  const api = { ...http, apiVersion: 'gateway.networking.k8s.io/v1' };
  const policy = (spec: object, namespace = 'default') => resource('AuthorizationPolicy', 'p', { action: 'DENY', rules: [{}], ...spec }, { namespace });
  const target = (kind: string, name: string) => ({ targetRefs: [{ group: 'gateway.networking.k8s.io', kind, name }] });
  test.each<readonly [string, Resource, boolean]>([
    ['of its labels', policy({ selector: { matchLabels: { istio: 'edge' } } }), true],
    ['of every workload of the mesh', policy({}, 'istio-system'), true],
    ['of its Gateway', policy(target('Gateway', 'edge')), true],
    ['of its class', policy(target('GatewayClass', 'outrigger'), 'istio-system'), true],
    ['of its class, but not of the root namespace', policy(target('GatewayClass', 'outrigger')), false],
    ['of another Gateway', policy(target('Gateway', 'other')), false],
    ['of other labels', policy({ selector: { matchLabels: { istio: 'other' } } }), false],
  ])('%s', (_, config, holds) => {
    const { sources } = listener(meshOf([api, config]), edge(), '0.0.0.0_80');
    expect(sources.some(({ kind }) => kind === 'AuthorizationPolicy')).toBe(holds);
  });
});
