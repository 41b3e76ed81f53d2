import { describe, expect, test } from 'vitest';
import { object, said } from '../testing/said.ts';
import { conflictingGateways } from './conflicting-gateways.ts';
import { gatewayApiVersions } from './gateway-api-versions.ts';
import { gatewayCertificates } from './gateway-certificates.ts';
import { gatewayPorts } from './gateway-ports.ts';
import { gatewaySecrets } from './gateway-secrets.ts';
import { jwtClaimRoutes } from './jwt-claim-routes.ts';
import { kubernetesGatewaySelectors } from './kubernetes-gateway-selectors.ts';
import { virtualServiceGateways } from './virtual-service-gateways.ts';

describe('conflicting gateways', () => {
  const gateway = (name: string, selector: object, server: object, namespace = 'default') =>
    object(
      'Gateway',
      name,
      { spec: { selector, servers: [{ port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: ['a.test'], ...server }] } },
      { namespace },
    );
  const one = { istio: 'ingressgateway' };

  test.each<[string, string, string[]]>([
    ['one host on one port', gateway('a', one, {}) + gateway('b', one, {}), ['a:1', 'b:3']],
    ['in two namespaces', gateway('a', one, {}, 'x') + gateway('a', one, {}, 'y'), ['x/a:1', 'y/a:3']],
    ['two hosts', gateway('a', one, {}) + gateway('b', one, { hosts: ['b.test'] }), []],
    ['a name and the wildcard above it', gateway('a', one, {}) + gateway('b', one, { hosts: ['*.test'] }), []],
    ['two ports', gateway('a', one, {}) + gateway('b', one, { port: { number: 81, name: 'http', protocol: 'HTTP' } }), []],
    ['two addresses to listen on', gateway('a', one, { bind: '127.0.0.1' }) + gateway('b', one, { bind: '127.0.0.2' }), []],
    ['an address and all', gateway('a', one, { bind: '127.0.0.1' }) + gateway('b', one, {}), ['a:1', 'b:3']],
    ['two proxies', gateway('a', one, {}) + gateway('b', { istio: 'other' }, {}), []],
    [
      'one proxy by two labels',
      gateway('a', { x: '1' }, {}) + gateway('b', { y: '1' }, {}) + object('Pod', 'p', {}, { labels: { x: '1', y: '1' } }),
      ['a:1', 'b:3'],
    ],
  ])('%s', async (_, yaml, expected) => {
    expect(await said(conflictingGateways, yaml)).toEqual(
      expected.map((gateway) => `IST0145 Gateway ${gateway.includes('/') ? gateway : `default/${gateway}`}`),
    );
  });
});

describe('gateway ports', () => {
  const gateway = (selector: object, ...numbers: number[]) =>
    object('Gateway', 'g', {
      spec: { selector, servers: numbers.map((number) => ({ port: { number, name: `p${number}`, protocol: 'HTTP' }, hosts: ['*'] })) },
    });
  const pod = object('Pod', 'p', {}, { labels: { app: 'edge' } });
  const service = (port: object, namespace = 'default') => object('Service', 's', { spec: { selector: { app: 'edge' }, ports: [port] } }, { namespace });

  test.each<[string, string, string[]]>([
    ['a port of the default gateway', gateway({ istio: 'ingressgateway' }, 80, 443, 8080), []],
    ['a port that it does not have', gateway({ istio: 'ingressgateway' }, 80, 8081), ['IST0162 Gateway default/g:1']],
    ['nothing selected', gateway({ app: 'edge' }, 80), ['IST0101 Gateway default/g:1']],
    ['a gateway of their own', gateway({ app: 'edge' }, 8080) + pod + service({ port: 8080 }), []],
    ['its service in another namespace', gateway({ app: 'edge' }, 8080) + pod + service({ port: 8080 }, 'other'), ['IST0162 Gateway default/g:1']],
    ['the port that a service leads to', gateway({ app: 'edge' }, 8080, 80) + pod + service({ port: 80, targetPort: 8080 }), []],
    [
      'a port that stands for another, where it is not to',
      gateway({ app: 'edge' }, 80) +
        pod +
        object(
          'Service',
          's',
          { spec: { selector: { app: 'edge' }, ports: [{ port: 80, targetPort: 8080 }] } },
          { labels: { 'experimental.istio.io/disable-gateway-port-translation': 'true' } },
        ),
      ['IST0162 Gateway default/g:1'],
    ],
    ['UDP is no TCP', gateway({ app: 'edge' }, 8080) + pod + service({ port: 8080, protocol: 'UDP' }), ['IST0162 Gateway default/g:1']],
  ])('%s', async (_, yaml, expected) => {
    expect(await said(gatewayPorts, yaml)).toEqual(expected);
  });

  test('no default gateway where the mesh has no ingress', async () => {
    expect(await said(gatewayPorts, gateway({ istio: 'ingressgateway' }, 80), { meshConfig: 'ingressControllerMode: "OFF"' })).toEqual([
      'IST0101 Gateway default/g:1',
    ]);
  });
});

describe('gateway certificates', () => {
  const gateway = (name: string, selector: object, ...tls: object[]) =>
    object('Gateway', name, {
      spec: {
        selector,
        servers: tls.map((settings, index) => ({
          port: { number: 443 + index, name: `p${index}`, protocol: 'HTTPS' },
          hosts: ['*'],
          tls: { mode: 'SIMPLE', ...settings },
        })),
      },
    });
  const one = { istio: 'ingressgateway' };
  const files = { serverCertificate: '/a.pem', privateKey: '/a.key' };

  test.each<[string, string, string[]]>([
    ['one secret', gateway('a', one, { credentialName: 's' }) + gateway('b', one, { credentialName: 's' }), ['a:1', 'b:3']],
    [
      'one secret twice, said once',
      gateway('a', one, { credentialName: 's' }, { credentialName: 's' }) + gateway('b', one, { credentialName: 's' }),
      ['a:1', 'b:3'],
    ],
    ['two secrets', gateway('a', one, { credentialName: 's' }) + gateway('b', one, { credentialName: 't' }), []],
    ['one pair of files', gateway('a', one, files) + gateway('b', one, files), ['a:1', 'b:3']],
    ['two keys', gateway('a', one, files) + gateway('b', one, { ...files, privateKey: '/b.key' }), []],
    ['two proxies', gateway('a', one, files) + gateway('b', { istio: 'other' }, files), []],
    ['a selector within another', gateway('a', one, files) + gateway('b', { ...one, app: 'x' }, files), ['a:1']],
  ])('%s', async (_, yaml, expected) => {
    expect(await said(gatewayCertificates, yaml)).toEqual(expected.map((gateway) => `IST0138 Gateway default/${gateway}`));
  });
});

describe('gateway secrets', () => {
  const gateway = (tls: object, selector: object = { app: 'edge' }) =>
    object('Gateway', 'g', {
      spec: { selector, servers: [{ port: { number: 443, name: 'https', protocol: 'HTTPS' }, hosts: ['*'], tls: { mode: 'SIMPLE', ...tls } }] },
    });
  const pod = object('Pod', 'p', {}, { labels: { app: 'edge' } });
  const secret = (fields: object, namespace = 'default') => object('Secret', 's', { stringData: fields } as Record<string, unknown>, { namespace });

  // The parts of a certificate that are looked at: version, serial number, algorithm, issuer, validity (2020 to 2030).
  const der = [0x30, 0x2d, 0x30, 0x2b, 0xa0, 0x00, 0x02, 0x01, 0x01, 0x30, 0x00, 0x30, 0x00, 0x30, 0x20, 0x17, 0x0d];
  const time = (text: string): number[] => Array.from(text, (character) => character.charCodeAt(0));
  const bytes = [...der, ...time('200101000000Z'), 0x18, 0x0f, ...time('20300101000000Z')];
  const certificate = `-----BEGIN CERTIFICATE-----\n${btoa(String.fromCharCode(...bytes))}\n-----END CERTIFICATE-----\n`;
  const key = '-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n';
  const valid = { 'tls.crt': certificate, 'tls.key': key };
  const named = { credentialName: 's' };
  const invalid = ['IST0161 Gateway default/g:1'];
  const absent = ['IST0101 Gateway default/g:1'];

  test.each<[string, string, string[]]>([
    ['where the gateway runs', gateway(named) + pod + secret(valid), []],
    ['elsewhere', gateway(named) + pod + secret(valid, 'other'), absent],
    ['beside the default gateway', gateway(named, { istio: 'ingressgateway' }) + secret(valid, 'istio-system'), []],
    ['in the namespace that it names', gateway({ credentialName: 'other/s' }) + pod + secret(valid, 'other'), []],
    ['by the names of others', gateway(named) + pod + secret({ cert: certificate, key }), []],
    ['without a key', gateway(named) + pod + secret({ 'tls.crt': certificate }), invalid],
    ['no certificate', gateway(named) + pod + secret({ ...valid, 'tls.crt': 'a' }), invalid],
    ['one that is cut off', gateway(named) + pod + secret({ ...valid, 'tls.crt': certificate.replace('-----\n', '-----\nAAAA') }), invalid],
    ['no name', gateway({ serverCertificate: '/a.pem', privateKey: '/a.key' }) + pod, []],
    ['no gateway', gateway(named) + secret(valid), absent],
  ])('%s', async (_, yaml, expected) => {
    expect(await said(gatewaySecrets, yaml)).toEqual(expected);
  });

  test('a certificate is held against the clock, where there is one', async () => {
    const at = (time: string) => said(gatewaySecrets, gateway(named) + pod + secret(valid), { nowMs: Date.parse(time) });
    expect([await at('2019-12-31T00:00:00Z'), await at('2025-01-01T00:00:00Z'), await at('2030-01-02T00:00:00Z')]).toEqual([invalid, [], invalid]);
  });
});

describe('gateway api versions', () => {
  const definition = (name: string, version?: string) =>
    object(
      'CustomResourceDefinition',
      `${name}.gateway.networking.k8s.io`,
      {},
      { annotations: version === undefined ? {} : { 'gateway.networking.k8s.io/bundle-version': version } },
    );

  test.each<[string, string | undefined, boolean]>([
    ['grpcroutes', 'v1.0.0', true],
    ['grpcroutes', 'v1.1.0', false],
    ['grpcroutes', 'v1.1.0-rc.1', false],
    ['tlsroutes', 'v1.4.1', true],
    ['tlsroutes', 'v1.10.0', false],
    ['tlsroutes', 'v2.0', false],
    ['backendtlspolicies', '1.3.9', true],
    ['httproutes', 'v0.1.0', false],
    ['tlsroutes', 'main', false],
    ['tlsroutes', undefined, false],
  ])('%s of %s: %j', async (name, version, isOld) => {
    expect(await said(gatewayApiVersions, definition(name, version))).toEqual(
      isOld ? [`IST0176 CustomResourceDefinition ${name}.gateway.networking.k8s.io:1`] : [],
    );
  });
});

describe('kubernetes gateway selectors', () => {
  const label = { 'gateway.networking.k8s.io/gateway-name': 'edge' };
  const pods = object('Pod', 'p', {}, { labels: { ...label, app: 'x' } }) + object('Pod', 'q', {}, { labels: { ...label, app: 'x' } });
  const policy = (kind: string, spec: object, namespace = 'default') => object(kind, 'a', { spec }, { namespace });
  const selecting = (labels: object) => ({ selector: { matchLabels: labels } });

  test.each<[string, string, string[]]>([
    ['by its label, once for two pods', pods + policy('AuthorizationPolicy', selecting(label)), ['AuthorizationPolicy default/a:5']],
    ['by another label of its pods', pods + policy('RequestAuthentication', selecting({ app: 'x' })), ['RequestAuthentication default/a:5']],
    ['a plugin', pods + policy('WasmPlugin', { url: 'oci://a.test/b', ...selecting(label) }), ['WasmPlugin default/a:5']],
    ['by targetRefs', pods + policy('Telemetry', { targetRefs: [{ group: 'gateway.networking.k8s.io', kind: 'Gateway', name: 'edge' }] }), []],
    ['of another namespace', pods + policy('Telemetry', selecting(label), 'other'), []],
    ['for all', pods + policy('Telemetry', {}), []],
    ['no gateway', object('Pod', 'p', {}, { labels: { app: 'x' } }) + policy('Telemetry', selecting({ app: 'x' })), []],
  ])('%s', async (_, yaml, expected) => {
    expect(await said(kubernetesGatewaySelectors, yaml)).toEqual(expected.map((place) => `IST0166 ${place}`));
  });
});

describe('jwt claim routes', () => {
  const claim = { '@request.auth.claims.group': { exact: 'a' } };
  const route = (match: object, gateways: string[]) =>
    object('VirtualService', 'v', { spec: { hosts: ['a.test'], gateways, http: [{ match: [match], route: [{ destination: { host: 'a' } }] }] } });
  const gateway = object('Gateway', 'g', {
    spec: { selector: { app: 'edge' }, servers: [{ port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: ['*'] }] },
  });
  const pod = (name: string, labels: object = {}) => object('Pod', name, {}, { labels: { app: 'edge', ...labels } });
  const authentication = (namespace: string, spec: object) => object('RequestAuthentication', 'r', { spec }, { namespace });
  const found = 'IST0149 VirtualService default/v:1';

  test.each<[string, string, string[]]>([
    ['without authentication', route({ headers: claim }, ['g']) + gateway + pod('p'), [found]],
    ['by headers that are absent', route({ withoutHeaders: claim }, ['default/g']) + gateway + pod('p'), [found]],
    ['no claim', route({ headers: { group: { exact: 'a' } } }, ['g']) + gateway + pod('p'), []],
    ['for the namespace', route({ headers: claim }, ['g']) + gateway + pod('p') + authentication('default', {}), []],
    ['for the mesh', route({ headers: claim }, ['g']) + gateway + pod('p') + authentication('istio-system', {}), []],
    ['for others', route({ headers: claim }, ['g']) + gateway + pod('p') + authentication('default', { selector: { matchLabels: { app: 'x' } } }), [found]],
    ['in another namespace', route({ headers: claim }, ['g']) + gateway + pod('p') + authentication('other', {}), [found]],
    [
      'for one of two pods',
      route({ headers: claim }, ['g']) + gateway + pod('p', { v: '1' }) + pod('q') + authentication('default', { selector: { matchLabels: { v: '1' } } }),
      [found],
    ],
    ['at a gateway that is not there', route({ headers: claim }, ['h']) + gateway + pod('p'), []],
  ])('%s', async (_, yaml, expected) => {
    expect(await said(jwtClaimRoutes, yaml)).toEqual(expected);
  });
});

describe('gateways of virtual services', () => {
  const gateway = object(
    'Gateway',
    'edge',
    { spec: { selector: { istio: 'ingressgateway' }, servers: [{ port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: ['shop/a.test'] }] } },
    { namespace: 'shop' },
  );
  const bound = (name: string, host = 'a.test') =>
    object('VirtualService', 'v', { spec: { hosts: [host], gateways: [name], http: [{ route: [{ destination: { host: 'b' } }] }] } }, { namespace: 'shop' });

  test.each([
    ['a name of the own namespace', bound('edge'), []],
    ['a namespace and a name', bound('shop/edge'), []],
    ['the old spelling', bound('edge.shop.svc.cluster.local'), []],
    ['one that is not there', bound('edge.other'), ['IST0101 VirtualService shop/v:3', 'IST0132 VirtualService shop/v:3']],
    ['a host that it does not serve', bound('edge', 'b.test'), ['IST0132 VirtualService shop/v:3']],
  ])('%s', async (_, yaml, expected) => {
    expect(await said(virtualServiceGateways, gateway + yaml)).toEqual(expected);
  });
});
