import { createRegistry, fromBinary, toJson } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import type { AuthorizationPolicySpec, PeerAuthenticationSpec, Resource, ServerTlsSettings, SidecarSpec } from '@outrigger/resources';
import { RBACSchema as HttpRbacSchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/rbac/v3/rbac';
import {
  HttpConnectionManager_ForwardClientCertDetails,
  HttpConnectionManagerSchema,
} from '@outrigger/xds/protos/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager';
import { RBACSchema as NetworkRbacSchema } from '@outrigger/xds/protos/envoy/extensions/filters/network/rbac/v3/rbac';
import { DownstreamTlsContextSchema } from '@outrigger/xds/protos/envoy/extensions/transport_sockets/tls/v3/tls';
import { describe, expect, test } from 'vitest';
import { buildMesh } from '../mesh.ts';
import type { InboundPort, ProxyNode } from '../node.ts';
import type { MeshSettings } from '../settings.ts';
import { node, paymentLock, resource, shopInstances, shopServices, strict } from '../testing/shop.ts';
import { listener } from '../translate.ts';

const port: InboundPort = {
  name: 'http',
  protocol: 'HTTP',
  servicePort: 8080,
  mesh: { host: '127.0.0.1', port: 19_021 },
  application: { host: '127.0.0.1', port: 9001 },
};
const payment = (more: Partial<ProxyNode> = {}): ProxyNode =>
  node('payment-service', { labels: { app: 'payment-service', version: 'v1' }, inbound: [port], ...more });

function inbound(config: readonly Resource[], proxy = payment(), settings: Partial<MeshSettings> = {}) {
  const mesh = buildMesh({ config, services: shopServices, instances: shopInstances, settings });
  return listener(mesh, proxy, 'inbound_127.0.0.1_19021');
}

const chains = (config: readonly Resource[], proxy?: ProxyNode): string[] => inbound(config, proxy).message!.filterChains.map(({ name }) => name);
const typed = (holder: { configType: { case?: string | undefined; value?: unknown } }): Any => holder.configType.value as Any;

function manager(config: readonly Resource[], proxy?: ProxyNode) {
  const chain = inbound(config, proxy).message!.filterChains[0]!;
  return fromBinary(HttpConnectionManagerSchema, typed(chain.filters[0]!).value);
}

/** Name of the action and of the policies, in the order in which they are asked. */
function asked(config: readonly Resource[], proxy?: ProxyNode): string[] {
  return manager(config, proxy)
    .httpFilters.filter(({ name }) => name === 'envoy.filters.http.rbac')
    .map((one) => {
      const { rules, shadowRules } = fromBinary(HttpRbacSchema, typed(one).value);
      const of = rules ?? shadowRules!;
      return `${rules === undefined ? 'dry ' : ''}${['ALLOW', 'DENY', 'LOG'][of.action]} ${Object.keys(of.policies).join()}`;
    });
}

const peers = (name: string, spec: PeerAuthenticationSpec, more: Partial<Resource['metadata']> = {}) => resource('PeerAuthentication', name, spec, more);
const mine = { selector: { matchLabels: { app: 'payment-service' } } };

describe("TLS that is not the mesh's", () => {
  const bytes = payment({ inbound: [{ ...port, protocol: 'TCP' }] });
  const off = peers('w', { ...mine, mtls: { mode: 'DISABLE' } });
  const ingress = (tls: ServerTlsSettings) =>
    resource('Sidecar', 'payment', { ingress: [{ port: { number: 9001, protocol: 'HTTPS', name: 'tls' }, tls }] } satisfies SidecarSpec);
  const files = { serverCertificate: 'server.pem', privateKey: 'key.pem' };

  test("of the application's own goes to a port of bytes, but not where mTLS is a must", () => {
    expect(chains([], bytes)).toEqual(['mtls', 'own-tls', 'plaintext']);
    expect(chains([strict], bytes)).toEqual(['mtls']);
    const own = inbound([], bytes).message!.filterChains[1]!;
    expect([own.transportSocket, own.filterChainMatch?.applicationProtocols]).toEqual([undefined, []]);
  });

  test("of a Sidecar's ingress ends here where the mesh's is off, and nothing in plain text is taken", () => {
    const { message, notes } = inbound([off, ingress({ mode: 'MUTUAL', ...files, caCertificates: 'root.pem' })]);
    expect(message!.filterChains.map(({ name }) => name)).toEqual(['ingress-tls']);
    expect(message!.listenerFilters).toHaveLength(1);
    const context = fromBinary(DownstreamTlsContextSchema, typed(message!.filterChains[0]!.transportSocket!).value);
    expect(context.requireClientCertificate).toBe(true);
    expect(context.commonTlsContext!.tlsCertificateSdsSecretConfigs.map(({ name }) => name)).toEqual(['file-cert:server.pem~key.pem']);
    expect(notes.map(({ field }) => field)).not.toContain('spec.ingress[0].tls');
    expect(chains([ingress({ mode: 'SIMPLE', ...files })])).toEqual(['mtls', 'plaintext']);
  });
});

describe('PeerAuthentication', () => {
  test.each<readonly [string, readonly Resource[], readonly string[]]>([
    ['none: both', [], ['mtls', 'plaintext']],
    ['mesh-wide STRICT', [strict], ['mtls']],
    ['mesh-wide DISABLE', [peers('default', { mtls: { mode: 'DISABLE' } }, { namespace: 'istio-system' })], ['plaintext']],
    ['the namespace before the mesh', [strict, peers('ns', { mtls: { mode: 'PERMISSIVE' } })], ['mtls', 'plaintext']],
    ['the workload before the namespace', [peers('ns', { mtls: { mode: 'STRICT' } }), peers('w', { ...mine, mtls: { mode: 'DISABLE' } })], ['plaintext']],
    ['UNSET looks further', [strict, peers('ns', { mtls: { mode: 'UNSET' } }), peers('w', { ...mine })], ['mtls']],
    ["the port, which is the application's", [strict, peers('w', { ...mine, portLevelMtls: { '9001': { mode: 'DISABLE' } } })], ['plaintext']],
    ["not the service's port", [strict, peers('w', { ...mine, portLevelMtls: { '8080': { mode: 'DISABLE' } } })], ['mtls']],
    ['other workloads', [peers('w', { selector: { matchLabels: { app: 'web' } }, mtls: { mode: 'STRICT' } })], ['mtls', 'plaintext']],
    ['other namespaces', [peers('ns', { mtls: { mode: 'STRICT' } }, { namespace: 'other' })], ['mtls', 'plaintext']],
    [
      'a selector in the root namespace is for that namespace alone',
      [peers('w', { ...mine, mtls: { mode: 'STRICT' } }, { namespace: 'istio-system' })],
      ['mtls', 'plaintext'],
    ],
    [
      'the older of two',
      [peers('a', { mtls: { mode: 'DISABLE' } }, { creationTimestamp: '2026-11-25T00:00:00Z' }), peers('b', { mtls: { mode: 'STRICT' } })],
      ['mtls'],
    ],
  ])('%s', (_, config, expected) => {
    expect(chains(config)).toEqual(expected);
  });

  test.each<readonly [string, string, readonly Resource[], boolean, number | undefined]>([
    ['HTTP: the caller speaks first', 'HTTP', [], true, undefined],
    ['TCP: a silent caller is taken for plain text', 'TCP', [], true, 2],
    ['TCP under STRICT: it is not', 'TCP', [strict], true, undefined],
    ['TCP without mTLS: nobody is waited for', 'TCP', [peers('w', { ...mine, mtls: { mode: 'DISABLE' } })], false, 2],
  ])('first bytes on %s', (_, protocol, config, inspected, waitSeconds) => {
    const message = inbound(config, payment({ inbound: [{ ...port, protocol: protocol as InboundPort['protocol'] }] })).message!;
    expect(message.listenerFilters.map(({ name }) => name)).toEqual(inspected ? ['envoy.filters.listener.tls_inspector'] : []);
    expect(message.listenerFiltersTimeout?.seconds).toBe(waitSeconds === undefined ? undefined : BigInt(waitSeconds));
    expect(message.continueOnListenerFiltersTimeout).toBe(waitSeconds !== undefined);
  });

  test('the mTLS chain takes the trust domain and its aliases, and no session again', () => {
    const chain = inbound([], payment(), { trustDomain: 'td', trustDomainAliases: ['old'] }).message!.filterChains[0]!;
    expect(chain.filterChainMatch).toMatchObject({
      transportProtocol: 'tls',
      applicationProtocols: ['istio', 'istio-peer-exchange', 'istio-http/1.0', 'istio-http/1.1', 'istio-h2', 'h2'],
    });
    expect(toJson(DownstreamTlsContextSchema, fromBinary(DownstreamTlsContextSchema, typed(chain.transportSocket!).value))).toMatchObject({
      requireClientCertificate: true,
      disableStatelessSessionResumption: true,
      disableStatefulSessionResumption: true,
      commonTlsContext: {
        tlsParams: { tlsMinimumProtocolVersion: 'TLSv1_2', tlsMaximumProtocolVersion: 'TLSv1_3' },
        alpnProtocols: ['h2', 'http/1.1'],
        combinedValidationContext: {
          defaultValidationContext: { matchTypedSubjectAltNames: [{ matcher: { prefix: 'spiffe://td/' } }, { matcher: { prefix: 'spiffe://old/' } }] },
        },
      },
    });
  });
});

describe('AuthorizationPolicy', () => {
  const policy = (name: string, spec: AuthorizationPolicySpec, more: Partial<Resource['metadata']> = {}) => resource('AuthorizationPolicy', name, spec, more);
  const everything = [{}];

  test.each<readonly [string, readonly Resource[], readonly string[]]>([
    ['none: nothing is asked', [], []],
    ["the mission's", [paymentLock], ['ALLOW ns[default]-policy[payment-allow-order-only]-rule[0]']],
    [
      'CUSTOM, AUDIT, DENY, then ALLOW',
      [
        policy('a', { rules: everything }),
        policy('d', { action: 'DENY', rules: everything }),
        policy('l', { action: 'AUDIT', rules: everything }),
        policy('c', { action: 'CUSTOM', provider: { name: 'x' }, rules: everything }),
      ],
      [
        'DENY ns[default]-policy[c]-deny-for-want-of-provider-rule[0]',
        'LOG ns[default]-policy[l]-rule[0]',
        'DENY ns[default]-policy[d]-rule[0]',
        'ALLOW ns[default]-policy[a]-rule[0]',
      ],
    ],
    [
      'the root namespace and the own',
      [policy('a', { rules: everything }, { namespace: 'istio-system' }), policy('b', { rules: everything })],
      ['ALLOW ns[istio-system]-policy[a]-rule[0],ns[default]-policy[b]-rule[0]'],
    ],
    [
      'not of other workloads or namespaces',
      [policy('a', { selector: { matchLabels: { app: 'web' } }, rules: everything }), policy('b', { rules: everything }, { namespace: 'other' })],
      [],
    ],
    ['without rules it allows nothing', [policy('a', {})], ['ALLOW ns[default]-policy[a]-rule[0]']],
    [
      'a dry run is only tried',
      [policy('a', { action: 'DENY', rules: everything }, { annotations: { 'istio.io/dry-run': 'true' } })],
      ['dry DENY ns[default]-policy[a]-rule[0]'],
    ],
    ['not for gateways', [policy('a', { targetRefs: [{ kind: 'Gateway', name: 'gw' }], rules: everything })], []],
  ])('%s', (_, config, expected) => {
    expect(asked(config)).toEqual(expected);
  });

  test("a port is the workload's own: the proxy sees it as the port that it listens on", () => {
    const named = (value: string) => {
      const http = manager([policy('a', { rules: [{ to: [{ operation: { ports: [value] } }] }] })]);
      const rbac = toJson(HttpRbacSchema, fromBinary(HttpRbacSchema, typed(http.httpFilters[0]!).value), { registry: createRegistry() });
      return JSON.stringify(rbac);
    };
    expect(named('9001')).toContain('"destinationPort":19021');
    expect(named('8080')).not.toContain('destinationPort');
    expect(named('8080')).toContain('{"notRule":{"any":true}}');
  });

  test('on a TCP port HTTP conditions allow nothing, and deny more; both are said', () => {
    const tcp = payment({ inbound: [{ ...port, name: 'tcp', protocol: 'TCP' }] });
    const get = [{ to: [{ operation: { methods: ['GET'], ports: ['9001'] } }] }];
    const config = [policy('a', { rules: get }), policy('d', { action: 'DENY', rules: get })];
    const { message, notes } = inbound(config, tcp);
    const rbac = message!.filterChains[0]!.filters.slice(0, -1).map((one) => toJson(NetworkRbacSchema, fromBinary(NetworkRbacSchema, typed(one).value)));
    expect(rbac).toMatchObject([
      {
        rules: {
          action: 'DENY',
          policies: { 'ns[default]-policy[d]-rule[0]': { permissions: [{ andRules: { rules: [{ orRules: { rules: [{ destinationPort: 19_021 }] } }] } }] } },
        },
      },
      { rules: {} },
    ]);
    expect((rbac[1] as { rules: object }).rules).not.toHaveProperty('policies');
    expect(notes.map(({ resource: { name }, field }) => `${name} ${field}`)).toEqual([
      'd spec.rules[0].to[0].operation.methods',
      'a spec.rules[0].to[0].operation.methods',
    ]);
  });

  test.each(['ALLOW', 'DENY'] as const)('an unknown condition opens no door: %s', (action) => {
    const { message, notes } = inbound([policy('a', { action, rules: [{ when: [{ key: 'request.mood', values: ['good'] }] }] })]);
    const http = fromBinary(HttpConnectionManagerSchema, typed(message!.filterChains[0]!.filters[0]!).value);
    const text = JSON.stringify(toJson(HttpRbacSchema, fromBinary(HttpRbacSchema, typed(http.httpFilters[0]!).value)));
    expect(text.includes('"notId"')).toBe(action === 'ALLOW');
    expect(notes).toMatchObject([{ field: 'spec.rules[0].when[0].key' }]);
  });
});

describe('requests to the application', () => {
  test('lose the peer header and show the caller only under mTLS', () => {
    const http = manager([]);
    expect(http.routeSpecifier.value).toMatchObject({
      name: 'inbound|9001||',
      requestHeadersToRemove: ['x-outrigger-peer'],
      virtualHosts: [
        { name: 'inbound|http|8080', domains: ['*'], routes: [{ name: 'default', action: { value: { clusterSpecifier: { value: 'inbound|9001||' } } } }] },
      ],
    });
    const [mtls, plaintext] = inbound([]).message!.filterChains.map(
      ({ filters }) => fromBinary(HttpConnectionManagerSchema, typed(filters[0]!).value).forwardClientCertDetails,
    );
    expect([mtls, plaintext]).toEqual([HttpConnectionManager_ForwardClientCertDetails.SANITIZE_SET, HttpConnectionManager_ForwardClientCertDetails.SANITIZE]);
  });

  test('an Envoy remembers who called for its access log, and signs its refusals', () => {
    const http = manager([paymentLock], payment({ dataPlane: 'envoy' }));
    expect(http.httpFilters.map(({ name }) => name)).toEqual(['envoy.filters.http.set_filter_state', 'envoy.filters.http.rbac', 'envoy.filters.http.router']);
    expect(http.localReplyConfig?.mappers).toHaveLength(1);
    expect(http.accessLog.map(({ name }) => name)).toEqual(['envoy.access_loggers.http_grpc']);
    expect(manager([paymentLock]).httpFilters.map(({ name }) => name)).toEqual(['envoy.filters.http.rbac', 'envoy.filters.http.router']);
    expect(manager([]).localReplyConfig).toBeUndefined();
  });

  test('are traced and logged where the node says so', () => {
    const http = manager([], payment({ otlp: { host: '127.0.0.1', port: 4318 }, accessLog: '/tmp/access.log' }));
    expect(http.tracing).toMatchObject({ randomSampling: { value: 1 }, provider: { name: 'envoy.tracers.opentelemetry' } });
    expect(http.accessLog.map(({ name }) => name)).toEqual(['envoy.access_loggers.file']);
    expect(http.proxyStatusConfig).toMatchObject({ proxyName: { value: 'payment-service.default' } });
  });
});
