import { toJsonString } from '@bufbuild/protobuf';
import { type Any, anyUnpack } from '@bufbuild/protobuf/wkt';
import { Cluster_DiscoveryType, Cluster_LbPolicy } from '@outrigger/xds/protos/envoy/config/cluster/v3/cluster';
import { HttpConnectionManagerSchema } from '@outrigger/xds/protos/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager';
import { RBACSchema } from '@outrigger/xds/protos/envoy/extensions/filters/network/rbac/v3/rbac';
import { describe, expect, it } from 'vitest';
import { buildMesh, changeMesh } from '../mesh.ts';
import { nodeMetadata, parseNode } from '../node.ts';
import { instance, node, resource, service } from '../testing/shop.ts';
import { cluster, clusterNames, listener, listenerNames, routeConfiguration } from '../translate.ts';

const capture = { outbound: { host: '0.0.0.0', port: 15_001 }, inbound: { host: '0.0.0.0', port: 15_006 }, addresses: ['10.1.0.1'] };
const web = node('web', { httpProxy: undefined, capture });
const db = service('db', 5432, 'TCP', { addresses: ['10.0.0.2'] });
const mesh = buildMesh({ config: [], services: [service('one', 80, 'HTTP', { addresses: ['10.0.0.1'] }), db], instances: [] });

describe('a proxy whose connections are redirected', () => {
  it('says so in its node', () => {
    const metadata = nodeMetadata(web);
    expect(parseNode({ $typeName: 'envoy.config.core.v3.Node', id: web.id, metadata } as never).capture).toEqual(capture);
    expect(() => parseNode({ $typeName: 'envoy.config.core.v3.Node', id: web.id, metadata: { ...metadata, CAPTURE: { outbound: 'x' } } } as never)).toThrow(
      'CAPTURE.outbound',
    );
  });

  it('listens once for each way, and for the addresses of services without binding them', () => {
    expect(listenerNames(mesh, web).names).toEqual(['virtualOutbound', 'virtualInbound', '0.0.0.0_80', '10.0.0.2_5432']);
    expect(listener(mesh, web, 'virtualOutbound').message).toMatchObject({ useOriginalDst: true });
    expect(listener(mesh, web, '10.0.0.2_5432').message).toMatchObject({ bindToPort: false, filterChains: [{}] });
    expect(listener(mesh, web, '10.0.0.3_5432').message).toBeUndefined();
  });

  it('has clusters for where connections were going', () => {
    const names = clusterNames(mesh, web).names;
    for (const name of ['PassthroughCluster', 'InboundPassthroughCluster', 'BlackHoleCluster']) {
      expect(names).toContain(name);
      expect(cluster(mesh, web, name).message?.name).toBe(name);
      if (name !== 'PassthroughCluster') expect(cluster(mesh, node('web'), name).message).toBeUndefined();
    }
  });

  it.each([
    ['of a headless service', { headless: true, addresses: [] }, []],
    ['under PASSTHROUGH', {}, [resource('DestinationRule', 'db', { host: 'db', trafficPolicy: { loadBalancer: { simple: 'PASSTHROUGH' } } })]],
    ['of no resolution', { resolution: 'NONE' as const }, []],
  ])('sends calls to where they were going: %s', (_, fields, config) => {
    const own = buildMesh({ config, services: [service('db', 5432, 'TCP', fields)], instances: [] });
    const name = 'outbound|5432||db.default.svc.cluster.local';
    const found = cluster(own, web, name);
    expect(found.message).toMatchObject({ clusterDiscoveryType: { value: Cluster_DiscoveryType.ORIGINAL_DST }, lbPolicy: Cluster_LbPolicy.CLUSTER_PROVIDED });
    expect(found.notes).toEqual([]);
    expect(cluster(own, node('web'), name).message).not.toMatchObject({ clusterDiscoveryType: { value: Cluster_DiscoveryType.ORIGINAL_DST } });
  });

  it.each<readonly [readonly string[], string, readonly string[]]>([
    [['10.1.0.1'], '127.0.0.6', []],
    [[], '127.0.0.6', []],
    [['fd00::1'], '::6', []],
    [['10.1.0.1', 'fd00::1'], '127.0.0.6', ['::6']],
  ])('calls the addresses %j of its own workload from where nothing is redirected', (addresses, source, others) => {
    const own = node('web', { capture: { ...capture, addresses } });
    const { upstreamBindConfig } = cluster(mesh, own, 'InboundPassthroughCluster').message!;
    expect(upstreamBindConfig).toMatchObject({ sourceAddress: { address: source }, extraSourceAddresses: others.map((address) => ({ address: { address } })) });
    expect(cluster(mesh, own, 'PassthroughCluster').message!.upstreamBindConfig).toBeUndefined();
  });

  it('does so where its application listens at such an address', () => {
    const port = (host: string) =>
      ({ name: 'http', protocol: 'HTTP', servicePort: 80, mesh: { host, port: 8080 }, application: { host, port: 8080 } }) as const;
    const bound = (host: string) => cluster(mesh, node('web', { capture, inbound: [port(host)] }), 'inbound|8080||').message!.upstreamBindConfig;
    expect(bound('10.1.0.1')).toMatchObject({ sourceAddress: { address: '127.0.0.6' } });
    expect(bound('127.0.0.1')).toBeUndefined();
  });

  it.each([
    ['all instances have a sidecar', [true, true], true],
    ['one has none', [true, false], false],
    ['none is known', [], false],
  ])('secures calls to the instances of a headless service where %s', (_, meshed, secured) => {
    const head = service('head', 80, 'HTTP', { headless: true });
    const instances = meshed.map((one, index) => instance('head', '', index, 80, 80, { address: `10.1.0.${index + 5}`, meshed: one }));
    const own = buildMesh({ config: [], services: [head], instances });
    const { transportSocket, transportSocketMatches } = cluster(own, web, 'outbound|80||head.default.svc.cluster.local').message!;
    expect(transportSocket !== undefined).toBe(secured);
    expect(transportSocketMatches).toEqual([]);
  });

  it('asks policies of a port that no service has', () => {
    const rules = [{ to: [{ operation: { ports: ['9998'] } }] }];
    const closed = resource('AuthorizationPolicy', 'closed', { action: 'DENY', rules });
    const { message } = listener(buildMesh({ config: [closed], services: [], instances: [] }), web, 'virtualInbound');
    const { filters } = message!.filterChains.find(({ name }) => name === 'passthrough-plaintext')!;
    const rbac = anyUnpack(filters[0]!.configType.value as Any, RBACSchema)!;
    expect(toJsonString(RBACSchema, rbac)).toContain('"destinationPort":9998');
  });

  const ownTls = resource('DestinationRule', 'auto', { host: 'auto', trafficPolicy: { tls: { mode: 'SIMPLE' } } });
  it.each([
    ['sidecars are told so', 'UNSUPPORTED', [], true],
    ['not where a rule has TLS of its own', 'UNSUPPORTED', [ownTls], false],
    ['nor where the port says it', 'TCP', [], false],
  ] as const)('requests to a port of no declared protocol: %s', (_, protocol, config, told) => {
    const auto = service('auto', 9000, protocol, { addresses: ['10.0.0.3'] });
    const own = buildMesh({ config, services: [auto], instances: [instance('auto', '', 1, 9000, 9000)] });
    const { message } = cluster(own, web, 'outbound|9000||auto.default.svc.cluster.local');
    expect(message!.metadata!.filterMetadata['outrigger.dev']!['httpAlpn']).toEqual(told ? ['istio-http/1.1', 'http/1.1'] : undefined);
    const chains = listener(own, { ...web, dataPlane: 'envoy' }, '10.0.0.3_9000').message!.filterChains;
    const managers = chains
      .flatMap(({ filters }) => filters)
      .flatMap(({ configType }) => anyUnpack(configType.value as Any, HttpConnectionManagerSchema) ?? []);
    expect(managers.flatMap(({ httpFilters }) => httpFilters).some(({ name }) => name === 'envoy.filters.http.set_filter_state')).toBe(told);
  });

  it('keeps the listener of an address when another service changes', () => {
    const { keys } = listener(mesh, web, '10.0.0.2_5432');
    const other = changeMesh(mesh, { putServices: [service('one', 81, 'HTTP', { addresses: ['10.0.0.1'] })] }).touched;
    expect(keys.intersection(other)).toEqual(new Set());
    const own = changeMesh(mesh, { putServices: [{ ...db, ports: [] }] }).touched;
    expect(keys.intersection(own).size).toBeGreaterThan(0);
  });

  it('binds a port where the Sidecar says that nothing is redirected', () => {
    const sidecar = resource('Sidecar', 'web', { egress: [{ port: { number: 5432, protocol: 'TCP', name: 'tcp' }, captureMode: 'NONE', hosts: ['*/*'] }] });
    const bound = buildMesh({ config: [sidecar], services: [db], instances: [] });
    expect(listener(bound, web, '127.0.0.1_5432').message).toMatchObject({ bindToPort: true });
  });

  it('of two services at one address and port the older has the connections', () => {
    const younger = service('a', 5432, 'TCP', { addresses: ['10.0.0.2'], creationTimestamp: '2027-01-01T00:00:00Z' });
    const both = buildMesh({ config: [], services: [younger, db], instances: [] });
    const { message } = listener(both, web, '10.0.0.2_5432');
    expect(message!.filterChains).toHaveLength(1);
    expect(
      JSON.stringify(message, (_, value) =>
        value instanceof Uint8Array ? new TextDecoder().decode(value) : typeof value === 'bigint' ? String(value) : value,
      ),
    ).toContain('outbound|5432||db');
  });

  it.each([
    ['a service of the port has', 'bar.foo.com', false],
    ['no service has', 'other.foo.com', true],
    ['a wildcard that covers a service', '*.foo.com', false],
    ['a wildcard that covers none', '*.test', true],
    // Routes of a service are not looked up by a part of a label.
    ['a part of a label', '*r.foo.com', true],
  ])('has a virtual host of its own for a host that only a VirtualService names: %s', (_, host, own) => {
    const rules = resource('VirtualService', 'rules', { hosts: [host], http: [{ route: [{ destination: { host: 'bar.foo.com' } }] }] });
    const bar = service('bar', 80, 'HTTP', { hostname: 'bar.foo.com' });
    const { message } = routeConfiguration(buildMesh({ config: [rules], services: [bar], instances: [] }), web, '80');
    const names = message!.virtualHosts.map(({ name }) => name);
    expect(names).toContain('bar.foo.com:80');
    expect(names.includes(`${host}:80`) && host !== 'bar.foo.com').toBe(own);
  });

  it('has the names of a headless service and of its instances', () => {
    const head = service('head', 80, 'HTTP', { headless: true });
    const headless = buildMesh({ config: [], services: [head], instances: [instance('head', '', 1, 80, 80, { address: '10.1.0.9' })] });
    const [host] = routeConfiguration(headless, web, '80').message!.virtualHosts;
    expect(host!.domains).toEqual(expect.arrayContaining(['head', '*.head', 'head.default.svc.cluster.local', '*.head.default.svc.cluster.local']));
  });
});
