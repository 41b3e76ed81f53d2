import { describe, expect, test } from 'vitest';
import { buildMesh, changeMesh, type Mesh, type MeshChange } from './mesh.ts';
import { canary, instance, paymentLock, resource, service, shopInstances, shopServices, strict, subsets } from './testing/shop.ts';

const host = (name: string): string => `${name}.default.svc.cluster.local`;
const shop: Mesh = buildMesh({ config: [canary, subsets, strict, paymentLock], services: shopServices, instances: shopInstances });
const payment = shopInstances.find(({ id }) => id === 'default/payment-service-2')!;

describe('a change touches', () => {
  test.each<readonly [string, MeshChange, readonly string[]]>([
    ['nothing where nothing differs', { put: [canary], putServices: shopServices, putInstances: shopInstances }, []],
    ['the endpoints of a service when one turns unhealthy', { putInstances: [{ ...payment, health: 'UNHEALTHY' }] }, [`instances:${host('payment-service')}`]],
    ['the endpoints alone when one of several alike leaves', { removeInstances: [payment.id] }, [`instances:${host('payment-service')}`]],
    [
      'also who they are when an identity is new',
      { putInstances: [instance('payment-service', '', 9, 8080, 19_029, { serviceAccount: 'other' })] },
      [`identities:${host('payment-service')}`, `instances:${host('payment-service')}`],
    ],
    [
      'both services when an instance changes sides',
      { putInstances: [{ ...payment, services: [host('fraud-service')] }] },
      // The payment service keeps two of the same kind; the fraud service gets one of a new kind.
      [`identities:${host('fraud-service')}`, `instances:${host('fraud-service')}`, `instances:${host('payment-service')}`],
    ],
    [
      'a host by its VirtualService',
      { remove: [{ group: 'networking.istio.io', kind: 'VirtualService', namespace: 'default', name: 'order-service' }] },
      [`vs:${host('order-service')}`, 'virtualservices'],
    ],
    [
      'the old and the new host of a DestinationRule',
      { put: [resource('DestinationRule', 'order-service', { host: 'web' })] },
      [`dr:${host('order-service')}`, `dr:${host('web')}`, 'destinationrules'],
    ],
    ['a namespace by its policies', { put: [resource('AuthorizationPolicy', 'all', {})] }, ['authz:default']],
    [
      'the root namespace by a mesh-wide one',
      { remove: [{ group: 'security.istio.io', kind: 'PeerAuthentication', namespace: 'istio-system', name: 'default' }] },
      ['peerauthn:istio-system'],
    ],
    [
      'its gateway alone by a VirtualService that is bound to one',
      { put: [resource('VirtualService', 'edge', { hosts: ['web'], gateways: ['gw'] })] },
      ['bound:default/gw'],
    ],
    [
      'a service and its addresses',
      { putServices: [service('web', 8080, 'HTTP', { addresses: ['10.0.0.1'] })] },
      ['address:10.0.0.1', `service:${host('web')}`, 'services'],
    ],
    ['a service that leaves', { removeServices: [{ hostname: host('web'), namespace: 'default' }] }, [`service:${host('web')}`, 'services']],
    [
      'nothing by what is not there',
      {
        removeInstances: ['x'],
        remove: [{ group: 'networking.istio.io', kind: 'Sidecar', namespace: 'a', name: 'b' }],
        removeServices: [{ hostname: 'a', namespace: 'b' }],
      },
      [],
    ],
  ])('%s', (_, change, touched) => {
    expect([...changeMesh(shop, change).touched].sort()).toEqual([...touched].sort());
  });
});

describe('the index', () => {
  test('an old mesh stays as it was', () => {
    changeMesh(shop, {
      removeInstances: shopInstances.map(({ id }) => id),
      remove: [{ group: 'networking.istio.io', kind: 'VirtualService', namespace: 'default', name: 'order-service' }],
    });
    expect(shop.instances.get(host('payment-service'))).toHaveLength(3);
    expect(shop.virtualServices.get(host('order-service'))).toHaveLength(1);
  });

  test('step by step it comes to the same as at once', () => {
    let mesh = buildMesh({ config: [], services: [], instances: [] });
    for (const one of shopInstances) mesh = changeMesh(mesh, { putInstances: [one] }).mesh;
    for (const one of [paymentLock, strict, subsets, canary]) mesh = changeMesh(mesh, { put: [one] }).mesh;
    for (const one of shopServices) mesh = changeMesh(mesh, { putServices: [one] }).mesh;
    for (const index of ['services', 'instances', 'virtualServices', 'destinationRules', 'authorizationPolicies', 'peerAuthentications'] as const) {
      expect(new Map(mesh[index].entries() as Iterable<[string, unknown]>)).toEqual(new Map(shop[index].entries() as Iterable<[string, unknown]>));
    }
  });

  test('older resources stand first', () => {
    const [younger, older] = ['2026-11-24T10:00:00Z', '2026-11-24T09:00:00Z'].map((creationTimestamp, index) =>
      resource('VirtualService', `vs-${index}`, { hosts: ['web'] }, { creationTimestamp }),
    );
    const mesh = buildMesh({ config: [younger!, older!], services: [], instances: [] });
    expect(mesh.virtualServices.get(host('web'))).toEqual([older, younger]);
  });
});
