import { readResources } from '@outrigger/resources';
import type { MeshSettings } from '@outrigger/translate';
import { describe, expect, it } from 'vitest';
import type { Call } from './call.ts';
import { inboundPorts, toWorkload } from './inbound.ts';
import { proxyNode } from './node.ts';
import { fromWorkload } from './outbound.ts';
import type { Outcome } from './outcome.ts';
import { worldOf } from './world.ts';

const SELF = '10.1.0.1';

interface Kubernetes {
  readonly name: string;
  readonly namespace?: string;
  readonly ports: Readonly<Record<string, number>>;
  readonly ip?: string;
  readonly endpoints?: readonly string[];
  readonly spec?: object;
}

/** A Service, and an EndpointSlice where it has endpoints. */
function kubernetes({ name, namespace = 'shop', ports, ip, endpoints = [], spec = {} }: Kubernetes): object[] {
  const named = Object.entries(ports).map(([port, number]) => ({ name: port, port: number }));
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace },
    spec: { ...(ip === undefined ? {} : { clusterIP: ip }), ports: named, ...spec },
  };
  if (endpoints.length === 0) return [service];
  const labels = { 'kubernetes.io/service-name': name };
  return [
    service,
    {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name, namespace, labels },
      addressType: 'IPv4',
      endpoints: [{ addresses: endpoints }],
      ports: named,
    },
  ];
}

const istio = (kind: string, name: string, spec: object, namespace = 'shop'): object => ({
  apiVersion: kind === 'PeerAuthentication' ? 'security.istio.io/v1' : 'networking.istio.io/v1',
  kind,
  metadata: { name, namespace },
  spec,
});

const entry = (host: string, spec: object, namespace = 'shop'): object =>
  istio('ServiceEntry', host.replace('*', 'all'), { hosts: [host], location: 'MESH_EXTERNAL', ...spec }, namespace);
const port = (name: string, number: number, protocol = name.toUpperCase()) => ({ name, number, protocol });
const to = (host: string, more: object = {}) => [{ destination: { host, ...more } }];

async function world(documents: readonly object[], settings: Partial<MeshSettings> = {}) {
  const { resources, refused, others } = await readResources([{ file: 'mesh.json', text: documents.map((one) => JSON.stringify(one)).join('\n---\n') }]);
  expect(refused).toEqual([]);
  return worldOf(resources, others, settings);
}

const tls = (sni: string, ...alpn: string[]): Call['tls'] => ({ sni, alpn, certificate: 'none', peer: '' });
const request = (authority: string, path = '/'): Call['request'] => ({ method: 'GET', scheme: 'http', authority, path, headers: [] });

interface Sent {
  readonly at?: string;
  readonly port: number;
  readonly tls?: Call['tls'];
  readonly request?: Call['request'];
}

const web = proxyNode({ namespace: 'shop', workload: 'web', labels: { app: 'web' }, addresses: [SELF] });

async function called(
  documents: readonly object[],
  { at = '', port: number, tls: secured, request: sent }: Sent,
  settings?: Partial<MeshSettings>,
): Promise<Outcome> {
  return fromWorkload(await world(documents, settings), web, { address: at, port: number, tls: secured, request: sent });
}

const clusters = async (...args: Parameters<typeof called>): Promise<readonly string[]> => (await called(...args)).xds.clusters;

describe('a call is carried by the address that was dialled', () => {
  const db = kubernetes({ name: 'db', ports: { tcp: 5432 }, ip: '10.0.0.1' });
  const other = kubernetes({ name: 'other', ports: { tcp: 5432 }, ip: '10.0.0.2' });
  const range = (cidr: string, host: string): object => entry(host, { addresses: [cidr], ports: [port('tcp', 5432)], resolution: 'NONE' });
  const head = kubernetes({ name: 'head', ports: { tcp: 5432, auto: 9000 }, endpoints: ['10.1.0.7', SELF], spec: { clusterIP: 'None' } });

  it.each<readonly [string, readonly object[], Sent, string]>([
    ['of a service', [...db, ...other], { at: '10.0.0.2', port: 5432 }, 'outbound|5432||other.shop.svc.cluster.local'],
    ['with requests in it, which are not looked into', db, { at: '10.0.0.1', port: 5432, request: request('web') }, 'outbound|5432||db.shop.svc.cluster.local'],
    ['of nobody', db, { at: '10.0.0.9', port: 5432 }, 'PassthroughCluster'],
    [
      'in the longest range',
      [range('10.0.0.0/8', 'wide.example'), range('10.2.0.0/16', 'narrow.example')],
      { at: '10.2.3.4', port: 5432 },
      'outbound|5432||narrow.example',
    ],
    [
      'in another range',
      [range('10.0.0.0/8', 'wide.example'), range('10.2.0.0/16', 'narrow.example')],
      { at: '10.3.3.4', port: 5432 },
      'outbound|5432||wide.example',
    ],
    ['of one address in a range', [range('10.2.0.1/32', 'one.example')], { at: '10.2.0.1', port: 5432 }, 'outbound|5432||one.example'],
    ['of an instance of a headless service', head, { at: '10.1.0.7', port: 5432 }, 'outbound|5432||head.shop.svc.cluster.local'],
    ['which is the workload itself', head, { at: SELF, port: 5432 }, 'PassthroughCluster'],
    [
      'of a service that has none, at any',
      [entry('any.example', { ports: [port('tcp', 7000)], resolution: 'DNS' })],
      { at: '10.9.9.9', port: 7000 },
      'outbound|7000||any.example',
    ],
  ])('%s', async (_, documents, sent, cluster) => {
    expect(await clusters(documents, sent)).toEqual([cluster]);
  });

  it.each([15_001, 15_006])('and is closed at port %i of the proxy itself', async (own) => {
    expect(await called([], { port: own })).toMatchObject({ decision: 'no-filter-chain', xds: { clusters: ['BlackHoleCluster'] } });
  });
});

describe('TLS of applications is carried by its name where no address tells', () => {
  const one = entry('one.example', { ports: [port('tls', 443)], resolution: 'DNS' });
  const two = entry('two.example', { ports: [port('https', 443)], resolution: 'DNS' });
  const wild = entry('*.wild.example', { ports: [port('tls', 443)], resolution: 'NONE' });
  const placed = entry('placed.example', { ports: [port('tls', 443)], addresses: ['10.0.0.5'], resolution: 'STATIC', endpoints: [{ address: '10.9.0.1' }] });

  it.each<readonly [string, Sent, string]>([
    ['one of two', { port: 443, tls: tls('two.example') }, 'outbound|443||two.example'],
    ['under a wildcard', { port: 443, tls: tls('deep.down.wild.example') }, 'outbound|443||*.wild.example'],
    ['which nobody has', { port: 443, tls: tls('none.example') }, 'PassthroughCluster'],
    ['but at an address of its own', { at: '10.0.0.5', port: 443, tls: tls('none.example') }, 'outbound|443||placed.example'],
    ['and what is no TLS goes on', { port: 443, request: request('one.example') }, 'PassthroughCluster'],
  ])('%s', async (_, sent, cluster) => {
    expect(await clusters([one, two, wild, placed], sent)).toEqual([cluster]);
  });

  it('as VirtualServices say, each of several for one host with its own', async () => {
    const rule = (name: string, sni: string, host: string): object =>
      istio('VirtualService', name, {
        hosts: ['*.wild.example'],
        tls: [{ match: [{ port: 443, sniHosts: [sni] }], route: to(host, { port: { number: 443 } }) }],
      });
    const all = [one, two, wild, rule('a', 'a.wild.example', 'one.example'), rule('b', 'b.wild.example', 'two.example')];
    expect(await clusters(all, { port: 443, tls: tls('a.wild.example') })).toEqual(['outbound|443||one.example']);
    expect(await clusters(all, { port: 443, tls: tls('b.wild.example') })).toEqual(['outbound|443||two.example']);
    expect(await clusters(all, { port: 443, tls: tls('c.wild.example') })).toEqual(['PassthroughCluster']);
  });
});

describe('TCP routes', () => {
  const db = kubernetes({ name: 'db', ports: { tcp: 5432 }, ip: '10.0.0.1' });
  const spare = kubernetes({ name: 'spare', ports: { tcp: 5432 }, ip: '10.0.0.2' });
  const any = entry('any.example', { ports: [port('tcp', 7000)], resolution: 'NONE' });
  const rule = (tcp: object, host = 'db'): object => istio('VirtualService', host.replace('.', '-'), { hosts: [host], tcp: [tcp] });
  const spared = 'outbound|5432||spare.shop.svc.cluster.local';
  const own = 'outbound|5432||db.shop.svc.cluster.local';

  it.each<readonly [string, object, string]>([
    ['without a match', { route: to('spare') }, spared],
    ['for the port', { match: [{ port: 5432 }], route: to('spare') }, spared],
    ['for another port', { match: [{ port: 1 }], route: to('spare') }, own],
    ['for the workload', { match: [{ sourceLabels: { app: 'web' } }], route: to('spare') }, spared],
    ['for other workloads', { match: [{ sourceLabels: { app: 'batch' } }], route: to('spare') }, own],
    ['for another namespace', { match: [{ sourceNamespace: 'bank' }], route: to('spare') }, own],
    ['for a gateway', { match: [{ gateways: ['edge'] }], route: to('spare') }, own],
  ])('%s', async (_, tcp, cluster) => {
    expect(await clusters([...db, ...spare, rule(tcp)], { at: '10.0.0.1', port: 5432 })).toEqual([cluster]);
  });

  it('for subnets stand before the service', async () => {
    const tcp = { match: [{ destinationSubnets: ['10.7.0.0/16'] }], route: to('spare', { port: { number: 5432 } }) };
    const all = [any, ...spare, rule(tcp, 'any.example')];
    expect(await clusters(all, { at: '10.7.1.1', port: 7000 })).toEqual([spared]);
    expect(await clusters(all, { at: '10.8.1.1', port: 7000 })).toEqual(['outbound|7000||any.example']);
  });

  it('say where they are written', async () => {
    const { matched } = await called([...db, ...spare, rule({ route: to('spare') })], { at: '10.0.0.1', port: 5432 });
    expect(matched).toMatchObject({ resource: 'VirtualService shop/db', rule: 'spec.tcp[0]', file: 'mesh.json' });
  });
});

describe('requests are carried by their host', () => {
  const web1 = kubernetes({ name: 'one', ports: { http: 80, 'http-b': 8080 }, ip: '10.0.0.1' });
  const web2 = kubernetes({ name: 'two', namespace: 'bank', ports: { http: 80 }, ip: '10.0.0.2' });
  const one = 'outbound|80||one.shop.svc.cluster.local';
  const two = 'outbound|80||two.bank.svc.cluster.local';

  it.each<readonly [string, string, number, string]>([
    ['a short name', 'one', 80, one],
    ['with a port, which is not looked at', 'one:9999', 80, one],
    ['on another port of it', 'one', 8080, 'outbound|8080||one.shop.svc.cluster.local'],
    ['with its namespace', 'two.bank', 80, two],
    ['of another namespace without it', 'two', 80, 'PassthroughCluster'],
    ['its address', '10.0.0.2', 80, two],
    ['nobody', 'three', 80, 'PassthroughCluster'],
  ])('%s: %s at port %i', async (_, host, number, cluster) => {
    expect(await clusters([...web1, ...web2], { at: '10.0.0.9', port: number, request: request(host) })).toEqual([cluster]);
  });

  it('and bytes that are none go on', async () => {
    expect(await clusters(web1, { at: '10.0.0.1', port: 80 })).toEqual(['PassthroughCluster']);
    expect(await clusters(web1, { at: '10.0.0.1', port: 80, tls: tls('one') })).toEqual(['PassthroughCluster']);
  });

  it('beside connections of others on one port', async () => {
    const tcp = entry('raw.example', { ports: [port('tcp', 80)], resolution: 'NONE' });
    expect(await clusters([...web1, tcp], { at: '10.9.9.9', port: 80, request: request('one') })).toEqual([one]);
    expect(await clusters([...web1, tcp], { at: '10.9.9.9', port: 80 })).toEqual(['outbound|80||raw.example']);
  });

  it.each<readonly [Sent, string]>([
    [{ at: '10.0.0.4', port: 9000, request: request('anything') }, 'outbound|9000||auto.shop.svc.cluster.local'],
    [{ at: '10.0.0.4', port: 9000 }, 'outbound|9000||auto.shop.svc.cluster.local'],
    [{ at: '10.0.0.5', port: 9000, request: request('auto') }, 'PassthroughCluster'],
  ])('or, where no protocol is declared, by the address: %j', async (sent, cluster) => {
    expect(await clusters(kubernetes({ name: 'auto', ports: { thing: 9000 }, ip: '10.0.0.4' }), sent)).toEqual([cluster]);
  });

  it('to what a name stands for', async () => {
    const alias = kubernetes({ name: 'alias', ports: {}, spec: { type: 'ExternalName', externalName: 'one.shop.svc.cluster.local', ports: undefined } });
    expect(await clusters([...web1, ...alias], { port: 80, request: request('alias') })).toEqual([one]);
    const rule = istio('VirtualService', 'alias', { hosts: ['alias'], http: [{ route: to('two.bank.svc.cluster.local') }] });
    const full = request('alias.shop.svc.cluster.local');
    expect(await clusters([...web1, ...web2, ...alias, rule], { port: 80, request: full })).toEqual([two]);
    const back = istio('VirtualService', 'back', { hosts: ['two.bank.svc.cluster.local'], http: [{ route: to('alias') }] });
    expect(await clusters([...web1, ...web2, ...alias, back], { port: 80, request: request('two.bank') })).toEqual([one]);
  });
});

describe('hosts of which only VirtualServices speak', () => {
  const one = kubernetes({ name: 'one', ports: { http: 80, 'http-b': 8080 }, ip: '10.0.0.1' });
  const rule = (name: string, hosts: readonly string[], http: object, namespace?: string): object =>
    istio('VirtualService', name, { hosts, http: [http] }, namespace);

  it.each<readonly [string, readonly object[], number, string, string]>([
    ['are called on 80', [rule('a', ['a.example'], { route: to('one') })], 80, 'a.example', 'outbound|80||one.shop.svc.cluster.local'],
    ['and nowhere else', [rule('a', ['a.example'], { route: to('one') })], 8080, 'a.example', 'PassthroughCluster'],
    [
      'but where a service beside them is',
      [rule('a', ['a.example', 'one'], { route: to('one') })],
      8080,
      'a.example',
      'outbound|8080||one.shop.svc.cluster.local',
    ],
    ['under a wildcard too', [rule('a', ['*.example'], { route: to('one') })], 80, 'x.example', 'outbound|80||one.shop.svc.cluster.local'],
  ])('%s', async (_, rules, number, host, cluster) => {
    expect(await clusters([...one, ...rules], { port: number, request: request(host) })).toEqual([cluster]);
  });

  it('the most specific has a service, and one whose rules are for others has not', async () => {
    const wild = rule('wild', ['*.svc.cluster.local'], { route: to('wild.example') });
    const mine = rule('mine', ['one'], { match: [{ sourceLabels: { app: 'batch' } }], route: to('batch.example') });
    const sent = { port: 80, request: request('one') };
    expect(await clusters([...one, wild], sent)).toEqual(['outbound|80||wild.example']);
    expect(await clusters([...one, mine], sent)).toEqual(['outbound|80||one.shop.svc.cluster.local']);
  });
});

describe('what a workload may see', () => {
  const one = kubernetes({ name: 'one', namespace: 'bank', ports: { http: 80 }, ip: '10.0.0.1' });
  const db = kubernetes({ name: 'db', namespace: 'bank', ports: { tcp: 5432 }, ip: '10.0.0.2' });
  const sidecar = (spec: object): object => istio('Sidecar', 'default', spec);
  const sent: Sent = { at: '10.0.0.1', port: 80, request: request('one.bank') };
  const found = 'outbound|80||one.bank.svc.cluster.local';

  it.each<readonly [string, readonly object[], Sent, string]>([
    ['is what its Sidecar imports', [...one, sidecar({ egress: [{ hosts: ['bank/*'] }] })], sent, found],
    ['and nothing else', [...one, sidecar({ egress: [{ hosts: ['./*'] }] })], sent, 'PassthroughCluster'],
    ['on a port of its own', [...one, sidecar({ egress: [{ port: port('http', 80), hosts: ['./*'] }, { hosts: ['bank/*'] }] })], sent, 'PassthroughCluster'],
    [
      'at an address of its own',
      [...db, sidecar({ egress: [{ port: port('http', 5432), hosts: ['./*'] }, { hosts: ['bank/*'] }] })],
      { at: '10.0.0.2', port: 5432 },
      'outbound|5432||db.bank.svc.cluster.local',
    ],
    [
      'as another protocol than is declared',
      [...db, sidecar({ egress: [{ port: port('tcp', 5432), bind: '10.5.5.5', hosts: ['bank/*'] }] })],
      { at: '10.5.5.5', port: 5432 },
      'outbound|5432||db.bank.svc.cluster.local',
    ],
    [
      'not what is not exported to it',
      [entry('x.example', { ports: [port('http', 80)], resolution: 'DNS', exportTo: ['.'] }, 'bank')],
      { port: 80, request: request('x.example') },
      'PassthroughCluster',
    ],
    [
      'all else through the gateway that its Sidecar names',
      [
        ...one,
        sidecar({
          egress: [{ hosts: ['./*'] }],
          outboundTrafficPolicy: { mode: 'ALLOW_ANY', egressProxy: { host: 'egress.bank.svc.cluster.local', port: { number: 443 } } },
        }),
      ],
      { at: '1.1.1.1', port: 443 },
      'outbound|443||egress.bank.svc.cluster.local',
    ],
  ])('%s', async (_, documents, one_, cluster) => {
    expect(await clusters(documents, one_)).toEqual([cluster]);
  });

  const twice = ['aaa', 'shop'].map((namespace, index) =>
    entry('two.example', { addresses: [`10.5.0.${index}`], ports: [port('tcp', 99)], resolution: 'DNS' }, namespace),
  );
  const squatting = entry('one.bank.svc.cluster.local', { addresses: ['10.5.0.0'], ports: [port('http', 80)], resolution: 'DNS' }, 'aaa');

  it.each<readonly [string, readonly object[], Sent, string]>([
    ['the oldest has it', twice, { at: '10.5.0.0', port: 99 }, 'outbound|99||two.example'],
    [
      'of what a Sidecar imports its own namespace',
      [...twice, sidecar({ egress: [{ hosts: ['*/*'] }] })],
      { at: '10.5.0.1', port: 99 },
      'outbound|99||two.example',
    ],
    ['and no other', [...twice, sidecar({ egress: [{ hosts: ['*/*'] }] })], { at: '10.5.0.0', port: 99 }, 'PassthroughCluster'],
    ['a Service of Kubernetes before an older entry', [...one, squatting], sent, found],
    ['which has no address then', [...one, squatting], { at: '10.5.0.0', port: 99 }, 'PassthroughCluster'],
  ])('of a host in two namespaces %s', async (_, documents, one_, cluster) => {
    expect(await clusters(documents, one_)).toEqual([cluster]);
  });

  it('nothing outside of the mesh under REGISTRY_ONLY', async () => {
    const closed = { outboundPolicy: 'REGISTRY_ONLY' } as const;
    expect(await called(one, { at: '1.1.1.1', port: 443 }, closed)).toMatchObject({ decision: 'no-filter-chain', xds: { clusters: ['BlackHoleCluster'] } });
    expect(await called(one, { at: '1.1.1.1', port: 80, request: request('a.example') }, closed)).toMatchObject({
      status: 502,
      xds: { virtualHost: 'block_all' },
    });
    expect(await clusters(one, sent, closed)).toEqual([found]);
  });

  it('requests by their host alone under ALLOW_ANY_DYNAMIC_DNS', async () => {
    const dynamic = { outboundPolicy: 'ALLOW_ANY_DYNAMIC_DNS' } as const;
    expect(await clusters([], { at: '1.1.1.1', port: 99, request: request('a.example') }, dynamic)).toEqual(['AllowAnyDynamicDNSCluster']);
    expect(await clusters([], { at: '1.1.1.1', port: 99 }, dynamic)).toEqual(['PassthroughCluster']);
    const named = entry('one.example', { ports: [port('tls', 443)], resolution: 'DNS' });
    expect(await clusters([named], { at: '1.1.1.1', port: 443, request: request('a.example') }, dynamic)).toEqual(['AllowAnyDynamicDNSCluster']);
  });
});

describe('a call to a workload', () => {
  const ports = kubernetes({ name: 'app', ports: { http: 80, tcp: 70, any: 81 }, ip: '10.0.0.1', endpoints: [SELF] });
  const mode = (spec: object): object => istio('PeerAuthentication', 'app', { selector: { matchLabels: { app: 'app' } }, ...spec });
  const sent = request('app');
  const mesh = (alpn: string): Call['tls'] => ({ sni: '', alpn: [alpn], certificate: 'mesh', peer: 'spiffe://cluster.local/ns/shop/sa/web' });

  async function received(policy: readonly object[], number: number, more: Partial<Sent> = {}): Promise<string> {
    const all = await world([...ports, ...policy]);
    const who = { namespace: 'shop', workload: 'app', labels: { app: 'app' }, addresses: [SELF] };
    const node = proxyNode({ ...who, inbound: inboundPorts(all, who) });
    const { decision, xds, mtls } = toWorkload(all, node, { address: SELF, port: number, tls: more.tls, request: more.request });
    return [xds.clusters[0] ?? decision, xds.virtualHost, mtls ? 'mtls' : ''].filter((part) => part !== '').join(' ');
  }

  it.each<readonly [string, readonly object[], number, Partial<Sent>, string]>([
    ['PERMISSIVE', [], 80, { request: sent }, 'inbound|80|| inbound|http|80'],
    ['PERMISSIVE', [], 80, { request: sent, tls: mesh('istio-http/1.1') }, 'inbound|80|| inbound|http|80 mtls'],
    ['PERMISSIVE', [], 80, { request: sent, tls: tls('app', 'h2') }, 'tls-error'],
    ['PERMISSIVE', [], 70, { tls: tls('app', 'h2', 'http/1.1') }, 'inbound|70||'],
    ['PERMISSIVE', [], 81, { request: sent }, 'inbound|81|| inbound|http|81'],
    ['PERMISSIVE', [], 81, {}, 'inbound|81||'],
    ['PERMISSIVE', [], 81, { tls: tls('app', 'h2') }, 'inbound|81||'],
    ['PERMISSIVE', [], 81, { request: sent, tls: mesh('istio-h2') }, 'inbound|81|| inbound|http|81 mtls'],
    ['PERMISSIVE', [], 81, { tls: mesh('istio') }, 'inbound|81|| mtls'],
    ['PERMISSIVE', [], 9999, { request: sent }, 'InboundPassthroughCluster inbound|http|0'],
    ['PERMISSIVE', [], 15_006, {}, 'BlackHoleCluster'],
    ['STRICT', [mode({ mtls: { mode: 'STRICT' } })], 80, { request: sent }, 'no-filter-chain'],
    ['STRICT', [mode({ mtls: { mode: 'STRICT' } })], 80, { request: sent, tls: tls('app') }, 'tls-error'],
    ['STRICT', [mode({ mtls: { mode: 'STRICT' } })], 81, { tls: mesh('whatever') }, 'inbound|81|| mtls'],
    ['STRICT', [mode({ mtls: { mode: 'STRICT' } })], 9999, { tls: mesh('istio') }, 'InboundPassthroughCluster mtls'],
    [
      'STRICT but for a port',
      [mode({ mtls: { mode: 'STRICT' }, portLevelMtls: { 80: { mode: 'DISABLE' } } })],
      80,
      { request: sent },
      'inbound|80|| inbound|http|80',
    ],
    [
      'STRICT but for a port that no service has',
      [mode({ mtls: { mode: 'STRICT' }, portLevelMtls: { 9999: { mode: 'DISABLE' } } })],
      9999,
      { request: sent },
      'InboundPassthroughCluster inbound|http|0',
    ],
    ['DISABLE', [mode({ mtls: { mode: 'DISABLE' } })], 70, { tls: mesh('istio') }, 'inbound|70||'],
    ['DISABLE', [mode({ mtls: { mode: 'DISABLE' } })], 81, { request: sent }, 'inbound|81|| inbound|http|81'],
    ['DISABLE', [mode({ mtls: { mode: 'DISABLE' } })], 80, { request: sent, tls: mesh('istio') }, 'no-filter-chain'],
  ])('%s %j at %i %j: %s', async (_, policy, number, more, result) => {
    expect(await received(policy, number, more)).toBe(result);
  });

  it('has its own TLS ended where its Sidecar says so, and its requests looked at', async () => {
    const ingress = [
      {
        port: { number: 443, protocol: 'HTTPS', name: 'https' },
        defaultEndpoint: '127.0.0.1:8443',
        tls: { mode: 'SIMPLE', serverCertificate: 'a.pem', privateKey: 'a.key' },
      },
    ];
    const policy = [mode({ mtls: { mode: 'DISABLE' } }), istio('Sidecar', 'app', { ingress, egress: [{ hosts: ['*/*'] }] })];
    expect(await received(policy, 443, { request: sent, tls: tls('app', 'h2') })).toBe('inbound|443|| inbound|http|443');
    expect(await received(policy, 443, { request: sent })).toBe('no-filter-chain');
  });
});
