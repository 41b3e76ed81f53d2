import type { Instance, Protocol, Resource, Service } from '@outrigger/resources';
import { bareNode, type ProxyNode } from '../node.ts';

/** The demo's shop, as registries and people would give it. */
export function service(name: string, port: number, protocol: Protocol = 'HTTP', more: Partial<Service> = {}): Service {
  return {
    hostname: `${name}.default.svc.cluster.local`,
    name,
    namespace: 'default',
    ports: [{ name: protocol.toLowerCase(), port, protocol }],
    addresses: [],
    resolution: 'STATIC',
    location: 'MESH_INTERNAL',
    exportTo: ['*'],
    labels: {},
    subjectAltNames: [],
    creationTimestamp: '2026-11-24T00:00:00Z',
    ...more,
  };
}

export function instance(name: string, version: string, index: number, port: number, meshPort: number, more: Partial<Instance> = {}): Instance {
  const workload = version === '' ? name : `${name}-${version}`;
  return {
    id: `default/${workload}-${index}`,
    namespace: 'default',
    workload,
    labels: { app: name, ...(version === '' ? {} : { version }) },
    serviceAccount: name,
    trustDomain: 'cluster.local',
    address: '127.0.0.1',
    locality: '',
    weight: 0,
    network: '',
    meshed: true,
    health: 'HEALTHY',
    ports: [{ name: 'http', servicePort: port, protocol: 'HTTP', meshPort, applicationPort: meshPort + 1000 }],
    services: [`${name}.default.svc.cluster.local`],
    ...more,
  };
}

export function resource<Spec>(kind: string, name: string, spec: Spec, more: Partial<Resource['metadata']> = {}): Resource<Spec> {
  const security = kind === 'PeerAuthentication' || kind === 'AuthorizationPolicy';
  return {
    apiVersion: security ? 'security.istio.io/v1' : 'networking.istio.io/v1',
    kind,
    metadata: {
      name,
      namespace: 'default',
      labels: {},
      annotations: {},
      creationTimestamp: '2026-11-24T00:00:00Z',
      resourceVersion: '1',
      uid: '',
      generation: 1,
      ...more,
    },
    spec,
  };
}

export const shopServices: readonly Service[] = [
  service('web', 8080),
  service('order-service', 8080),
  service('payment-service', 8080),
  service('fraud-service', 8080),
  service('ledger-service', 8080),
];

export const shopInstances: readonly Instance[] = [
  instance('web', '', 1, 8080, 19_001),
  instance('order-service', 'v1', 1, 8080, 19_011),
  instance('order-service', 'v2', 1, 8080, 19_012),
  instance('payment-service', '', 1, 8080, 19_021),
  instance('payment-service', '', 2, 8080, 19_022),
  instance('payment-service', '', 3, 8080, 19_023),
  instance('fraud-service', '', 1, 8080, 19_031),
  instance('ledger-service', '', 1, 8080, 19_041),
];

export const canary = resource('VirtualService', 'order-service', {
  hosts: ['order-service'],
  http: [
    {
      route: [
        { destination: { host: 'order-service', subset: 'v1' }, weight: 90 },
        { destination: { host: 'order-service', subset: 'v2' }, weight: 10 },
      ],
    },
  ],
});

export const subsets = resource('DestinationRule', 'order-service', {
  host: 'order-service',
  subsets: [
    { name: 'v1', labels: { version: 'v1' } },
    { name: 'v2', labels: { version: 'v2' } },
  ],
});

export const strict = resource('PeerAuthentication', 'default', { mtls: { mode: 'STRICT' } }, { namespace: 'istio-system' });

export const paymentLock = resource('AuthorizationPolicy', 'payment-allow-order-only', {
  selector: { matchLabels: { app: 'payment-service' } },
  action: 'ALLOW',
  rules: [{ from: [{ source: { principals: ['cluster.local/ns/default/sa/order-service'] } }] }],
});

export function node(name: string, more: Partial<ProxyNode> = {}): ProxyNode {
  return bareNode('default', name, {
    id: `${name}-1.default`,
    instance: `${name}-1`,
    labels: { app: name },
    httpProxy: { host: '127.0.0.1', port: 18_001 },
    inbound: [
      { name: 'http', protocol: 'HTTP', servicePort: 8080, mesh: { host: '127.0.0.1', port: 19_001 }, application: { host: '127.0.0.1', port: 20_001 } },
    ],
    ...more,
  });
}
