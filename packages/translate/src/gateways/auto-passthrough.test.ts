import { describe, expect, it } from 'vitest';
import { buildMesh } from '../mesh.ts';
import { node, resource, service, shopInstances, shopServices, subsets } from '../testing/shop.ts';
import { cluster, clusterNames, endpoints, listener } from '../translate.ts';

const gateway = resource('Gateway', 'cross-network', {
  selector: { app: 'edge' },
  servers: [
    { port: { number: 15_443, name: 'tls', protocol: 'TLS' }, tls: { mode: 'AUTO_PASSTHROUGH' }, hosts: ['default/order-service.default.svc.cluster.local'] },
  ],
});
const outside = service('api', 443, 'HTTPS', { hostname: 'order-service.example', location: 'MESH_EXTERNAL' });
const mesh = buildMesh({ config: [gateway, subsets], services: [...shopServices, outside], instances: shopInstances });
const edge = node('edge', { httpProxy: undefined, inbound: [], gateway: { address: '0.0.0.0', portMap: {}, portOffset: 0 } });
const V1 = 'outbound_.8080_.v1_.order-service.default.svc.cluster.local';

describe('a server that passes the mesh’s own TLS on', () => {
  it('has a chain for each port and subset that clients of the mesh ask for by name', () => {
    const { filterChains } = listener(mesh, edge, '0.0.0.0_15443').message!;
    expect(filterChains.map(({ filterChainMatch }) => filterChainMatch?.serverNames)).toEqual([
      ['outbound_.8080_._.order-service.default.svc.cluster.local'],
      [V1],
      ['outbound_.8080_.v2_.order-service.default.svc.cluster.local'],
    ]);
    expect(
      filterChains.every(({ transportSocket, filterChainMatch }) => transportSocket === undefined && filterChainMatch?.applicationProtocols.includes('istio')),
    ).toBe(true);
  });

  it('leads to the endpoints without TLS of its own', () => {
    expect(clusterNames(mesh, edge).names).toContain(V1);
    const { message } = cluster(mesh, edge, V1);
    expect(message).toMatchObject({ name: V1, transportSocketMatches: [], typedExtensionProtocolOptions: {} });
    expect(message!.transportSocket).toBeUndefined();
    expect(endpoints(mesh, edge, V1).message!.endpoints.flatMap(({ lbEndpoints }) => lbEndpoints)).toHaveLength(1);
  });

  it('leads to nobody who takes no TLS of the mesh', () => {
    const open = buildMesh({ config: [gateway, subsets], services: shopServices, instances: shopInstances.map((one) => ({ ...one, meshed: false })) });
    expect(endpoints(open, edge, V1).message!.endpoints).toEqual([]);
  });
});
