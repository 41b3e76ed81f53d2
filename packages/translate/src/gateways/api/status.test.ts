import { type ApiGatewaySpec, type ApiListener, GATEWAY_API, type ObjectReference, type Resource } from '@outrigger/resources';
import { describe, expect, test } from 'vitest';
import { buildMesh } from '../../mesh.ts';
import { resource, shopInstances, shopServices } from '../../testing/shop.ts';
import { type ApiStatus, apiStatuses, conditionNotes, type Programmed } from './status.ts';

const api = <Spec>(kind: string, name: string, spec: Spec, namespace = 'default'): Resource<Spec> => ({
  ...resource(kind, name, spec, { namespace }),
  apiVersion: `${GATEWAY_API}/v1`,
});
const gateway = (listeners: readonly ApiListener[], more: Partial<ApiGatewaySpec> = {}) =>
  api('Gateway', 'edge', { gatewayClassName: 'outrigger', listeners, ...more });
const http: ApiListener = { name: 'http', port: 80, protocol: 'HTTP' };
const tls = (name: string, more: Partial<ApiListener> = {}): ApiListener => ({
  name,
  port: 443,
  protocol: 'HTTPS',
  tls: { certificateRefs: [{ name: 'c' }] },
  ...more,
});
const route = (spec: object, kind = 'HTTPRoute', namespace = 'default') =>
  api(kind, 'r', { parentRefs: [{ name: 'edge', namespace: 'default' }], ...spec }, namespace);
const to = (name: string, more: object = {}) => ({ rules: [{ backendRefs: [{ name, port: 8080, ...more }] }] });

const programmed: Programmed = { reason: 'Programmed', message: '' };
const statusOf = (config: readonly Resource[], of = config[0]!): ApiStatus | undefined =>
  apiStatuses(buildMesh({ config, services: shopServices, instances: shopInstances }))(of, programmed);
/** "listener: Type=Reason" of what is not as it should be. */
const faults = (status: ApiStatus | undefined): readonly string[] =>
  conditionNotes(status!).map((note) => note.replace(/ is (True|False)/, '').replace(/: [^:]*$/, ''));

describe('a gateway', () => {
  test('that is as it should be', () => {
    const status = statusOf([
      gateway([http, tls('https')]),
      route({ hostnames: ['a.example.com'], ...to('web') }),
      route({ hostnames: ['b.example.com'], ...to('web') }, 'GRPCRoute'),
    ]);
    expect(status!.conditions).toEqual([
      { type: 'Accepted', status: 'True', reason: 'Accepted', message: '' },
      { type: 'Programmed', status: 'True', reason: 'Programmed', message: '' },
    ]);
    expect(status!.listeners!.map(({ name, attachedRoutes, supportedKinds }) => [name, attachedRoutes, supportedKinds.map(({ kind }) => kind).join()])).toEqual(
      [
        ['http', 2, 'HTTPRoute,GRPCRoute'],
        ['https', 2, 'HTTPRoute,GRPCRoute'],
      ],
    );
    expect(faults(status)).toEqual([]);
  });

  test('waits until it is in force', () => {
    const config = gateway([http]);
    const mesh = buildMesh({ config: [config], services: [], instances: [] });
    expect(apiStatuses(mesh)(config, { reason: 'Pending', message: 'nobody' })!.conditions![1]).toEqual({
      type: 'Programmed',
      status: 'False',
      reason: 'Pending',
      message: 'nobody',
    });
  });

  test.each<readonly [string, readonly ApiListener[], readonly string[]]>([
    [
      'two protocols on one port',
      [http, { name: 'b', port: 80, protocol: 'TCP' }],
      ['Accepted', 'listener b: Accepted (PortUnavailable)', 'listener b: Conflicted (ProtocolConflict)'],
    ],
    [
      'one host twice on one port',
      [http, { ...http, name: 'b' }],
      ['Accepted', 'listener b: Accepted (PortUnavailable)', 'listener b: Conflicted (HostnameConflict)'],
    ],
    ['no certificate', [tls('a', { tls: {} })], ['Accepted (ListenersNotValid)', 'listener a: ResolvedRefs (InvalidCertificateRef)']],
    [
      'a certificate that is none',
      [tls('a', { tls: { certificateRefs: [{ kind: 'ConfigMap', name: 'c' }] } })],
      ['Accepted (ListenersNotValid)', 'listener a: ResolvedRefs (InvalidCertificateRef)'],
    ],
    [
      'a certificate of another namespace',
      [tls('a', { tls: { certificateRefs: [{ name: 'c', namespace: 'x' }] } })],
      ['Accepted (ListenersNotValid)', 'listener a: ResolvedRefs (RefNotPermitted)'],
    ],
    [
      'kinds that it cannot take',
      [{ ...http, allowedRoutes: { kinds: [{ kind: 'TCPRoute' }] } }],
      ['Accepted (ListenersNotValid)', 'listener http: ResolvedRefs (InvalidRouteKinds)'],
    ],
    ['a protocol that is not served', [{ ...http, protocol: 'UDP' }], ['Accepted (ListenersNotValid)', 'listener http: Accepted (UnsupportedProtocol)']],
  ])('%s', (_, listeners, expected) => {
    const found = faults(statusOf([gateway(listeners)]));
    expect(found.filter((fault) => fault !== 'Accepted')).toEqual(expected.filter((fault) => fault !== 'Accepted'));
  });

  test('may name a certificate of a namespace that grants it', () => {
    const grant = api(
      'ReferenceGrant',
      'g',
      { from: [{ group: GATEWAY_API, kind: 'Gateway', namespace: 'default' }], to: [{ group: '', kind: 'Secret' }] },
      'x',
    );
    expect(faults(statusOf([gateway([tls('a', { tls: { certificateRefs: [{ name: 'c', namespace: 'x' }] } })]), grant]))).toEqual([]);
  });

  test("of somebody else's class has none of ours, and one of a class that is written has", () => {
    const of = (controllerName: string) => statusOf([gateway([http], { gatewayClassName: 'mine' }), api('GatewayClass', 'mine', { controllerName }, '')]);
    expect(of('example.com/other')).toBeUndefined();
    expect(of('outrigger.dev/gateway')).toBeDefined();
  });
});

describe('a listener set', () => {
  const set = (listeners: readonly ApiListener[], namespace = 'default') =>
    api('ListenerSet', 'more', { parentRef: { name: 'edge', namespace: 'default' }, listeners }, namespace);
  const edge = (from?: 'Same' | 'All') => gateway([http], from === undefined ? {} : { allowedListeners: { namespaces: { from } } });
  test.each<readonly [string, Resource, Resource, readonly string[]]>([
    ['that its Gateway allows', set([tls('a')]), edge('Same'), []],
    ['of another namespace', set([tls('a')], 'other'), edge('All'), []],
    ['where nothing is allowed', set([tls('a')]), edge(), ['Accepted (NotAllowed)']],
    ['of another namespace, where the same one is', set([tls('a')], 'other'), edge('Same'), ['Accepted (NotAllowed)']],
    [
      "that wants its Gateway's port",
      set([{ ...http, name: 'b' }]),
      edge('Same'),
      ['Accepted (ListenersNotValid)', 'listener b: Accepted (PortUnavailable)', 'listener b: Conflicted (HostnameConflict)'],
    ],
  ])('%s', (_, of, owner, expected) => {
    expect(faults(statusOf([of, owner]))).toEqual(expected);
  });
});

describe('a route', () => {
  const edge = gateway([{ ...http, hostname: '*.example.com' }]);
  test.each<readonly [string, Resource, readonly string[]]>([
    ['that is as it should be', route({ hostnames: ['a.example.com'], ...to('web') }), []],
    [
      'of a listener that is not there',
      route({ parentRefs: [{ name: 'edge', sectionName: 'x' }], ...to('web') }),
      ['parent edge: Accepted (NoMatchingParent)'],
    ],
    [
      'of another namespace',
      route(to('web', { namespace: 'other' }), 'HTTPRoute', 'other'),
      ['parent edge: Accepted (NotAllowedByListeners)', 'parent edge: ResolvedRefs (BackendNotFound)'],
    ],
    ['of a kind that the listener does not take', route(to('web'), 'TCPRoute'), ['parent edge: Accepted (NotAllowedByListeners)']],
    ['for other hosts', route({ hostnames: ['example.org'], ...to('web') }), ['parent edge: Accepted (NoMatchingListenerHostname)']],
    ['to nobody', route(to('nobody')), ['parent edge: ResolvedRefs (BackendNotFound)']],
    ['to a port that is not there', route(to('web', { port: 1 })), ['parent edge: ResolvedRefs (BackendNotFound)']],
    ['to another namespace, ungranted', route(to('web', { namespace: 'other' })), ['parent edge: ResolvedRefs (RefNotPermitted)']],
    ['to what is no service', route(to('web', { kind: 'Pod' })), ['parent edge: ResolvedRefs (InvalidKind)']],
  ])('%s', (_, of, expected) => {
    expect(faults(statusOf([of, edge]))).toEqual(expected);
  });
});

test('of an HTTPRoute and a GRPCRoute with a host in common the older one is accepted', () => {
  const young = api('GRPCRoute', 'g', { parentRefs: [{ name: 'edge' }], ...to('web') });
  const younger = { ...young, metadata: { ...young.metadata, creationTimestamp: '2026-11-25T00:00:00Z' } };
  const config = [gateway([http]), route(to('web')), younger];
  expect(faults(statusOf(config, config[1]))).toEqual([]);
  expect(faults(statusOf(config, younger))).toEqual(['parent edge: Accepted (HostnameConflict)']);
});

describe('who vouches for clients of a gateway', () => {
  const trusting = (...caCertificateRefs: readonly ObjectReference[]) =>
    statusOf([gateway([tls('https'), http], { tls: { frontend: { default: { validation: { caCertificateRefs } } } } })]);
  const good = { kind: 'ConfigMap', name: 'good' };

  test('several may, and of them some may be nobody', () => {
    expect(faults(trusting(good, { kind: 'Secret', name: 'other' }))).toEqual([]);
    const some = trusting(good, { kind: 'Pod', name: 'bad' });
    expect(faults(some)).toEqual(['listener https: ResolvedRefs (InvalidCACertificateKind)']);
    expect(some!.conditions).toMatchObject([{ type: 'Accepted', status: 'True', reason: 'Accepted' }, {}]);
  });

  test('where none can, its listeners of HTTPS are not served', () => {
    const none = trusting({ kind: 'Pod', name: 'bad' }, { ...good, namespace: 'x' });
    expect(faults(none)).toEqual(['listener https: Accepted (NoValidCACertificate)', 'listener https: ResolvedRefs (InvalidCACertificateKind)']);
    expect(none!.conditions![0]).toMatchObject({ status: 'True', reason: 'ListenersNotValid' });
    expect(faults(trusting({ ...good, namespace: 'x' }))).toContain('listener https: ResolvedRefs (RefNotPermitted)');
  });
});

describe('a BackendTLSPolicy', () => {
  const target = (name: string, sectionName?: string) => ({ group: '', kind: 'Service', name, ...(sectionName === undefined ? {} : { sectionName }) });
  const policy = (name: string, validation: object, targetRefs: readonly object[] = [target('web')]) =>
    api('BackendTLSPolicy', name, { targetRefs, validation: { hostname: 'web.example.com', ...validation } });
  const system = { wellKnownCACertificates: 'System' };
  const refs = (...kinds: string[]) => ({ caCertificateRefs: kinds.map((kind, index) => ({ group: '', kind, name: `ca-${index}` })) });
  const at = (one: Resource, ...others: readonly Resource[]) => statusOf([gateway([http]), route(to('web')), ...others, one], one);

  test('is told of at the gateways that send to its Service', () => {
    expect(at(policy('p', system))).toEqual({
      ancestors: [
        {
          ancestorRef: { group: GATEWAY_API, kind: 'Gateway', namespace: 'default', name: 'edge' },
          controllerName: 'outrigger.dev/gateway',
          conditions: [
            { type: 'Accepted', status: 'True', reason: 'Accepted', message: '' },
            { type: 'ResolvedRefs', status: 'True', reason: 'ResolvedRefs', message: '' },
          ],
        },
      ],
    });
    expect(at(policy('p', system, [target('order-service')]))).toEqual({ ancestors: [] });
  });

  test.each<readonly [string, Resource, readonly Resource[], readonly string[]]>([
    ['several authorities', policy('p', refs('ConfigMap', 'Secret')), [], []],
    ['one that cannot be', policy('p', refs('ConfigMap', 'Pod')), [], ['ancestor edge: ResolvedRefs (InvalidKind)']],
    ['none that can', policy('p', refs('Pod')), [], ['ancestor edge: Accepted (NoValidCACertificate)', 'ancestor edge: ResolvedRefs (InvalidKind)']],
    ['authorities that nobody knows', policy('p', { wellKnownCACertificates: 'a.example/b' }), [], ['ancestor edge: Accepted (Invalid)']],
    ['an older one', policy('p', system), [policy('a', system)], ['ancestor edge: Accepted (Conflicted)']],
    ['an older one of a port', policy('p', system), [policy('a', system, [target('web', 'http')])], []],
    ['an older one of one of two', policy('p', system, [target('web'), target('order-service')]), [policy('a', system)], []],
  ])('with %s', (_, one, others, expected) => {
    expect(faults(at(one, ...others))).toEqual(expected);
  });

  test('whose Service is not there', () => {
    const one = policy('p', system, [target('gone')]);
    expect(faults(statusOf([gateway([http]), route(to('gone')), one], one))).toEqual(['ancestor edge: Accepted (TargetNotFound)']);
  });
});
