import { fromBinary, toJson } from '@bufbuild/protobuf';
import type { DestinationRuleSpec, Instance } from '@outrigger/resources';
import { TcpProxySchema } from '@outrigger/xds/protos/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy';
import { describe, expect, test } from 'vitest';
import { buildMesh } from '../mesh.ts';
import { meshOf, payment, rule } from '../testing/clusters.ts';
import { instance, node, service } from '../testing/shop.ts';
import { cluster, listener } from '../translate.ts';

describe('what a DestinationRule says of connections', () => {
  const tcp = service('payment-service', 9000, 'TCP');
  const declared = node('web', { upstreams: [{ service: 'payment-service', port: 9000, address: { host: '127.0.0.1', port: 7001 } }] });
  const proxyOf = (policy: DestinationRuleSpec['trafficPolicy']) => {
    const { message } = listener(buildMesh({ config: [rule(policy)], services: [tcp], instances: [] }), declared, 'upstream_127.0.0.1_7001');
    const { configType } = message!.filterChains[0]!.filters[0]!;
    return toJson(TcpProxySchema, fromBinary(TcpProxySchema, (configType.value as { value: Uint8Array }).value));
  };

  test('they go through the destination to somewhere else', () => {
    expect(proxyOf({ tunnel: { protocol: 'POST', targetHost: 'a.example', targetPort: 443 } })).toMatchObject({
      tunnelingConfig: { hostname: 'a.example:443', usePost: true },
    });
    expect(proxyOf(undefined)).not.toHaveProperty('tunnelingConfig');
  });

  test('one caller has one endpoint', () => {
    expect(proxyOf({ loadBalancer: { consistentHash: { useSourceIp: true } } })).toMatchObject({ hashPolicy: [{ sourceIp: {} }] });
  });

  test.each<readonly [string, DestinationRuleSpec['trafficPolicy'], Partial<Instance>, boolean]>([
    ['they begin with a PROXY header', { proxyProtocol: { version: 'V2' } }, { meshed: false }, true],
    ['but not to a sidecar', { proxyProtocol: { version: 'V2' } }, {}, false],
    ['but to a sidecar that is called in plain text', { proxyProtocol: { version: 'V1' }, tls: { mode: 'DISABLE' } }, {}, true],
  ])('%s', (_, policy, more, sent) => {
    const made = cluster(meshOf({ config: [rule(policy)], instances: [instance('payment-service', '', 1, 8080, 19_021, more)] }), node('web'), payment);
    expect(made.message!.transportSocket?.name === 'envoy.transport_sockets.upstream_proxy_protocol').toBe(sent);
    expect(made.notes.map(({ field }) => field)).toEqual(sent ? [] : ['spec.trafficPolicy.proxyProtocol']);
  });
});
