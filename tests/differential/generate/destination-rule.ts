import fc from 'fast-check';
import { SUBSETS } from './virtual-service.ts';
import { EXTERNAL, NAMESPACE, OTHER_NAMESPACE } from './vocabulary.ts';

const loadBalancer = fc.oneof(
  fc.constantFrom('ROUND_ROBIN', 'LEAST_REQUEST', 'RANDOM', 'PASSTHROUGH').map((simple) => ({ simple })),
  fc
    .constantFrom(
      { httpHeaderName: 'x-user' },
      { useSourceIp: true },
      { httpQueryParameterName: 'x' },
      { httpCookie: { name: 'user', ttl: '0s' } },
      { httpCookie: { name: 'stick', ttl: '60s', path: '/' } },
      { httpHeaderName: 'x-group', maglev: { tableSize: 251 } },
      { httpHeaderName: 'x-group', ringHash: { minimumRingSize: 64 } },
    )
    .map((consistentHash) => ({ consistentHash })),
);

const trafficPolicy = fc.record(
  {
    loadBalancer,
    connectionPool: fc.record(
      {
        tcp: fc.record({ maxConnections: fc.constantFrom(1, 100), connectTimeout: fc.constantFrom('1s', '30ms') }, { requiredKeys: [] }),
        http: fc.record(
          {
            http1MaxPendingRequests: fc.constantFrom(100, 1024),
            maxRequestsPerConnection: fc.constantFrom(1, 2),
            h2UpgradePolicy: fc.constantFrom('UPGRADE', 'DO_NOT_UPGRADE'),
            useClientProtocol: fc.boolean(),
          },
          { requiredKeys: [] },
        ),
      },
      { requiredKeys: [] },
    ),
    outlierDetection: fc.record({ consecutive5xxErrors: fc.constantFrom(3, 7), interval: fc.constant('1s') }, { requiredKeys: [] }),
    tls: fc.constantFrom({ mode: 'DISABLE' }, { mode: 'ISTIO_MUTUAL' }, { mode: 'SIMPLE' }),
  },
  { requiredKeys: [] },
);

/** By the name of the rule: several of one host are merged. */
export const destinationRule = fc
  .record({
    namespace: fc.constantFrom(NAMESPACE, NAMESPACE, OTHER_NAMESPACE),
    name: fc.constantFrom('one', 'two'),
    spec: fc.record(
      {
        host: fc.constantFrom('a.app.svc.cluster.local', 'b.app.svc.cluster.local', 'c.other.svc.cluster.local', '*.app.svc.cluster.local', EXTERNAL.host),
        trafficPolicy,
        subsets: fc.subarray(
          SUBSETS.map((name) => ({ name, labels: { version: name } })),
          { minLength: 1 },
        ),
        exportTo: fc.constantFrom(['*'], ['.']),
      },
      { requiredKeys: ['host'] },
    ),
  })
  .map(({ namespace, name, spec }) => ({ apiVersion: 'networking.istio.io/v1', kind: 'DestinationRule', metadata: { name, namespace }, spec }));
