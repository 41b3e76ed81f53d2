import type { Instance } from '@outrigger/resources';
import { describe, expect, it, test } from 'vitest';
import { buildMesh } from '../mesh.ts';
import { networkOfInstance, networksOf } from '../networks.ts';
import { instance, node, resource, service, shopServices } from '../testing/shop.ts';
import { endpoints } from '../translate.ts';

const NAME = 'outbound|8080||payment-service.default.svc.cluster.local';
const EDGE = 'edge.gateways.svc.cluster.local';

const networks = (east: object) =>
  networksOf({ networks: { west: { endpoints: [{ fromCidr: '10.1.0.0/16' }] }, east: { endpoints: [{ fromCidr: '10.2.0.0/16' }], ...east } } } as never);
const payment = (index: number, address: string, more: Partial<Instance> = {}) => instance('payment-service', '', index, 8080, 15_000, { address, ...more });

function endpointsOf(instances: readonly Instance[], east: object, { from = 'west', name = NAME, config = [] as readonly ReturnType<typeof resource>[] } = {}) {
  const edge = service('edge', 15_443, 'TLS', { hostname: EDGE, namespace: 'gateways' });
  const mesh = buildMesh({ config, services: [...shopServices, edge], instances, settings: { networks: networks(east) } });
  const { message } = endpoints(mesh, node('web', { labels: { 'topology.istio.io/network': from } }), name);
  return message!.endpoints.flatMap(({ lbEndpoints, locality }) =>
    lbEndpoints.map(({ hostIdentifier, loadBalancingWeight, metadata }) => {
      const at = hostIdentifier.case === 'endpoint' ? hostIdentifier.value.address?.address : undefined;
      const where = at?.case === 'socketAddress' ? `${at.value.address}:${at.value.portSpecifier.value}` : '';
      const mtls = metadata?.filterMetadata['envoy.transport_socket_match'] === undefined ? '' : ' mtls';
      return `${where} x${loadBalancingWeight}${mtls}${locality?.region ? ` in ${locality.region}` : ''}`;
    }),
  );
}

const gateways = { gateways: [{ address: '192.0.2.1', port: 15_443 }] };

describe('instances of another network', () => {
  it('are behind its gateway, which weighs what they do', () => {
    const all = [payment(1, '10.1.0.1'), payment(2, '10.2.0.1'), payment(3, '10.2.0.2', { weight: 4 })];
    expect(endpointsOf(all, gateways)).toEqual(['10.1.0.1:15000 x1 mtls', '192.0.2.1:15443 x5 mtls']);
    expect(endpointsOf(all, gateways, { from: 'east' })).toEqual(['10.1.0.1:15000 x1 mtls', '10.2.0.1:15000 x1 mtls', '10.2.0.2:15000 x4 mtls']);
  });

  it('share the weight among several gateways', () => {
    const two = { gateways: [...gateways.gateways, { address: '192.0.2.2', port: 15_443 }] };
    expect(endpointsOf([payment(1, '10.1.0.1'), payment(2, '10.2.0.1')], two)).toEqual([
      '10.1.0.1:15000 x2 mtls',
      '192.0.2.1:15443 x1 mtls',
      '192.0.2.2:15443 x1 mtls',
    ]);
  });

  it('are behind the instances of the service that is the gateway', () => {
    const edge = instance('edge', '', 1, 15_443, 20_443, { address: '192.0.2.7', services: [EDGE] });
    const named = { gateways: [{ registryServiceName: EDGE, port: 15_443 }] };
    expect(endpointsOf([payment(2, '10.2.0.1'), edge], named)).toEqual(['192.0.2.7:20443 x1 mtls']);
  });

  it('are reached themselves where their network has no gateway with an address, or theirs is not known', () => {
    const all = [payment(2, '10.2.0.1'), payment(3, '10.3.0.1')];
    const direct = ['10.2.0.1:15000 x1 mtls', '10.3.0.1:15000 x1 mtls'];
    expect(endpointsOf(all, {})).toEqual(direct);
    expect(endpointsOf(all, { gateways: [{ address: 'edge.example.com', port: 1 }] })).toEqual(direct);
    expect(endpointsOf(all, gateways)).toEqual(['10.3.0.1:15000 x1 mtls', '192.0.2.1:15443 x1 mtls']);
  });

  it('are left out without mesh mTLS, by which the gateway knows the service, and where they are unwell', () => {
    const all = [payment(1, '10.1.0.1'), payment(2, '10.2.0.1', { meshed: false }), payment(3, '10.2.0.2', { health: 'UNHEALTHY' })];
    expect(endpointsOf(all, gateways)).toEqual(['10.1.0.1:15000 x1 mtls']);
    const off = resource('PeerAuthentication', 'off', { mtls: { mode: 'DISABLE' } });
    expect(endpointsOf([payment(2, '10.2.0.1')], gateways, { config: [off] })).toEqual([]);
  });

  it('keep their locality', () => {
    const all = [payment(1, '10.2.0.1', { locality: 'eu/a/1' }), payment(2, '10.2.0.2', { locality: 'us/a/1' })];
    expect(endpointsOf(all, gateways)).toEqual(['192.0.2.1:15443 x1 mtls in eu', '192.0.2.1:15443 x1 mtls in us']);
  });

  it('are none of what a gateway passes through: it has come to its network', () => {
    const all = [payment(1, '10.1.0.1'), payment(2, '10.2.0.1')];
    expect(endpointsOf(all, gateways, { name: 'outbound_.8080_._.payment-service.default.svc.cluster.local' })).toEqual(['10.1.0.1:15000 x1 mtls']);
  });
});

test.each([
  [{ network: 'own' }, '10.1.0.1', 'own'],
  [{ labels: { 'topology.istio.io/network': 'labelled' } }, '10.1.0.1', 'labelled'],
  [{}, '10.1.255.255', 'west'],
  [{}, '10.10.0.1', ''],
  [{}, '2001:db8::7', 'six'],
  [{}, '2001:db9::7', ''],
  [{}, 'name.example', ''],
  [{}, 'unix:///a', ''],
])('an instance with %j at %s is of network "%s"', (more, address, expected) => {
  const known = networksOf({ networks: { west: { endpoints: [{ fromCidr: '10.1.0.0/16' }] }, six: { endpoints: [{ fromCidr: '2001:db8::/32' }] } } });
  expect(networkOfInstance(known, payment(1, address, more))).toBe(expected);
});
