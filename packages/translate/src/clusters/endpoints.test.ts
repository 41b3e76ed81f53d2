import { describe, expect, test } from 'vitest';
import { meshOf, payment, rule } from '../testing/clusters.ts';
import { instance, node, subsets } from '../testing/shop.ts';
import { endpoints } from '../translate.ts';

describe('endpoints', () => {
  test('are where the sidecars listen, with health, identity and subset', () => {
    const instances = [
      instance('order-service', 'v1', 1, 8080, 1001),
      instance('order-service', 'v2', 1, 8080, 1002, { health: 'DRAINING', weight: 5 }),
      instance('order-service', 'v2', 2, 8080, 1003, { meshed: false }),
    ];
    const of = (subset: string) =>
      endpoints(meshOf({ config: [subsets], instances }), node('web'), `outbound|8080|${subset}|order-service.default.svc.cluster.local`).message!;
    expect(of('v1').endpoints.flatMap(({ lbEndpoints }) => lbEndpoints)).toHaveLength(1);
    expect(of('v2').endpoints[0]!.lbEndpoints).toMatchObject([
      {
        healthStatus: 3,
        loadBalancingWeight: 5,
        hostIdentifier: { value: { address: { address: { value: { address: '127.0.0.1', portSpecifier: { value: 1002 } } } } } },
        metadata: {
          filterMetadata: { 'envoy.transport_socket_match': { tlsMode: 'istio' }, istio: { workload: 'order-service-v2;default;order-service;v2;' } },
        },
      },
      { healthStatus: 1, loadBalancingWeight: 1, metadata: { filterMetadata: { istio: { workload: 'order-service-v2;default;order-service;v2;' } } } },
    ]);
    expect(of('v2').endpoints[0]!.loadBalancingWeight).toBe(6);
    expect(of('v2').endpoints[0]!.lbEndpoints[1]!.metadata!.filterMetadata['envoy.transport_socket_match']).toBeUndefined();
  });

  test('are none, but there, where no instance is; not there where no service is', () => {
    expect(endpoints(meshOf({ instances: [] }), node('web'), payment).message).toMatchObject({ clusterName: payment, endpoints: [] });
    expect(endpoints(meshOf({ services: [] }), node('web'), payment).message).toBeUndefined();
  });

  const localities = ['eu/a', 'eu/b', 'us/a', 'ap/a'].map((locality, index) => instance('payment-service', '', index, 8080, 1001 + index, { locality }));
  const priorities = (setting: object | undefined) =>
    endpoints(
      meshOf({ instances: localities, config: setting === undefined ? [] : [rule({ loadBalancer: { localityLbSetting: setting } })] }),
      node('web', { locality: 'eu/a' }),
      payment,
    ).message!.endpoints.map(({ locality, priority, loadBalancingWeight }) => `${locality!.region}/${locality!.zone} ${priority} ${loadBalancingWeight}`);
  test.each<readonly [string, object | undefined, readonly string[]]>([
    ['without a setting all are one', undefined, ['ap/a 0 1', 'eu/a 0 1', 'eu/b 0 1', 'us/a 0 1']],
    ['the nearest first, without gaps', {}, ['ap/a 2 1', 'eu/a 0 1', 'eu/b 1 1', 'us/a 2 1']],
    ['a failover before the others', { failover: [{ from: 'eu', to: 'us' }] }, ['ap/a 3 1', 'eu/a 0 1', 'eu/b 1 1', 'us/a 2 1']],
    ['switched off', { enabled: false }, ['ap/a 0 1', 'eu/a 0 1', 'eu/b 0 1', 'us/a 0 1']],
    ['distributed', { distribute: [{ from: 'eu/*', to: { 'eu/a': 80, 'us/*': 20 } }] }, ['eu/a 0 80', 'us/a 0 20']],
  ])('localities: %s', (_, setting, expected) => {
    expect(priorities(setting)).toEqual(expected);
  });
});
