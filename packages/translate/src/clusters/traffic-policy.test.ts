import type { DestinationRuleSpec, Resource } from '@outrigger/resources';
import { describe, expect, test } from 'vitest';
import { clusterJson, meshOf, payment, rule } from '../testing/clusters.ts';
import { node } from '../testing/shop.ts';
import { cluster } from '../translate.ts';

/** null in what is expected says: not there. */
// biome-ignore lint/suspicious/noExplicitAny: JSON, looked into by tests
function absentAsNull(actual: any, expected: any): any {
  if (expected === null) return actual ?? null;
  if (typeof expected !== 'object' || typeof actual !== 'object') return actual;
  for (const key of Object.keys(expected)) actual[key] = absentAsNull(actual[key], expected[key]);
  return actual;
}

describe('a DestinationRule', () => {
  test.each<readonly [string, DestinationRuleSpec['trafficPolicy'], unknown]>([
    ['round robin', { loadBalancer: { simple: 'ROUND_ROBIN' } }, { lbPolicy: null }],
    ['random', { loadBalancer: { simple: 'RANDOM' } }, { lbPolicy: 'RANDOM' }],
    ['least request', { loadBalancer: { simple: 'LEAST_REQUEST' } }, { lbPolicy: 'LEAST_REQUEST' }],
    [
      'ring hash',
      { loadBalancer: { consistentHash: { useSourceIp: true, ringHash: { minimumRingSize: 64 } } } },
      { lbPolicy: 'RING_HASH', ringHashLbConfig: { minimumRingSize: '64' } },
    ],
    [
      'maglev',
      { loadBalancer: { consistentHash: { useSourceIp: true, maglev: { tableSize: 101 } } } },
      { lbPolicy: 'MAGLEV', maglevLbConfig: { tableSize: '101' } },
    ],
    [
      'warm-up',
      { loadBalancer: { warmup: { duration: '30s', minimumPercent: 10 } } },
      { leastRequestLbConfig: { slowStartConfig: { slowStartWindow: '30s', minWeightPercent: { value: 10 } } } },
    ],
    [
      'limits',
      { connectionPool: { tcp: { maxConnections: 1, connectTimeout: '3s' }, http: { http1MaxPendingRequests: 2, http2MaxRequests: 3 } } },
      { connectTimeout: '3s', circuitBreakers: { thresholds: [{ maxConnections: 1, maxPendingRequests: 2, maxRequests: 3 }] } },
    ],
    [
      'a number of retries in place of the budget',
      { connectionPool: { http: { maxRetries: 7 } } },
      { circuitBreakers: { thresholds: [{ maxRetries: 7, retryBudget: null }] } },
    ],
    [
      'an ejection, the rest being the default',
      { outlierDetection: { consecutive5xxErrors: 2, baseEjectionTime: '5s', minHealthPercent: 30 } },
      {
        outlierDetection: { consecutive5xx: 2, baseEjectionTime: '5s', maxEjectionTime: '5s', maxEjectionPercent: 100 },
        commonLbConfig: { healthyPanicThreshold: { value: 30 } },
      },
    ],
    [
      'gateway errors alone',
      { outlierDetection: { consecutiveGatewayErrors: 4, interval: '2s', maxEjectionPercent: 50 } },
      {
        outlierDetection: {
          enforcingConsecutive5xx: 0,
          consecutiveGatewayFailure: 4,
          enforcingConsecutiveGatewayFailure: 100,
          interval: '2s',
          maxEjectionPercent: 50,
        },
      },
    ],
    [
      'no ejection',
      { outlierDetection: { consecutive5xxErrors: 0 } },
      { outlierDetection: { enforcingConsecutive5xx: 0, enforcingConsecutiveGatewayFailure: 0 } },
    ],
    [
      'keepalive',
      { connectionPool: { tcp: { tcpKeepalive: { probes: 3, time: '60s', interval: '10s' } } } },
      { upstreamConnectionOptions: { tcpKeepalive: { keepaliveProbes: 3, keepaliveTime: 60, keepaliveInterval: 10 } } },
    ],
    ['mTLS always', { tls: { mode: 'ISTIO_MUTUAL' } }, { transportSocket: { name: 'envoy.transport_sockets.tls' }, transportSocketMatches: null }],
    [
      'TLS of its own',
      { tls: { mode: 'SIMPLE', sni: 'pay.example.com' } },
      {
        transportSocket: {
          typedConfig: {
            sni: 'pay.example.com',
            commonTlsContext: { validationContext: { matchTypedSubjectAltNames: [{ sanType: 'DNS', matcher: { exact: 'pay.example.com' } }] } },
          },
        },
      },
    ],
    [
      'no check of a server',
      { tls: { mode: 'SIMPLE', insecureSkipVerify: true } },
      { transportSocket: { typedConfig: { commonTlsContext: { validationContext: null } } } },
    ],
    [
      'certificates of its own',
      { tls: { mode: 'MUTUAL', clientCertificate: '/c', privateKey: '/k', caCertificates: '/ca' } },
      {
        transportSocket: {
          typedConfig: {
            commonTlsContext: {
              tlsCertificates: [{ certificateChain: { filename: '/c' }, privateKey: { filename: '/k' } }],
              validationContext: { trustedCa: { filename: '/ca' } },
            },
          },
        },
      },
    ],
  ])('%s', (_, policy, expected) => {
    expect(absentAsNull(clusterJson({ config: [rule(policy)] }), expected)).toMatchObject(expected as object);
  });

  test('a subset overrides the service, a port overrides both and inherits nothing', () => {
    const config = [
      rule(
        { connectionPool: { tcp: { maxConnections: 1 } }, outlierDetection: { consecutive5xxErrors: 1 } },
        {
          subsets: [
            { name: 'all', trafficPolicy: { outlierDetection: { consecutive5xxErrors: 2 } } },
            { name: 'port', trafficPolicy: { portLevelSettings: [{ port: { number: 8080 }, outlierDetection: { consecutive5xxErrors: 3 } }] } },
          ],
        },
      ),
    ];
    const of = (subset: string) => {
      const made = clusterJson({ config }, payment.replace('||', `|${subset}|`));
      return [made.circuitBreakers.thresholds[0].maxConnections, made.outlierDetection.consecutive5xx];
    };
    expect([of(''), of('all'), of('port')]).toEqual([
      [1, 1],
      [1, 2],
      [0xffff_ffff, 3],
    ]);
  });

  const limit = (maxConnections: number) => ({ connectionPool: { tcp: { maxConnections } } });
  test.each<readonly [string, readonly Resource[], number]>([
    ['the older of two', [rule(limit(1), {}, { name: 'b', creationTimestamp: '2026-11-25T00:00:00Z' }), rule(limit(2), {}, { name: 'a' })], 2],
    [
      'the more specific of two',
      [rule(limit(1), { host: '*.default.svc.cluster.local' }, { name: 'a' }), rule(limit(2), {}, { name: 'b', creationTimestamp: '2026-11-25T00:00:00Z' })],
      2,
    ],
    [
      "the client's namespace before the root namespace",
      [rule(limit(1), { host: '*' }, { namespace: 'istio-system' }), rule(limit(2), { host: '*' }, { name: 'b' })],
      2,
    ],
    ['the root namespace where nothing else is', [rule(limit(1), { host: '*' }, { namespace: 'istio-system' })], 1],
    ['none of a third namespace', [rule(limit(1), { host: 'payment-service.default.svc.cluster.local' }, { namespace: 'third' })], 0xffff_ffff],
    ['none that is not exported', [rule(limit(1), { host: '*', exportTo: ['.'] }, { namespace: 'istio-system' })], 0xffff_ffff],
    [
      'one for these workloads before one for all',
      [rule(limit(1), {}, { name: 'a' }), rule(limit(2), { workloadSelector: { matchLabels: { app: 'web' } } }, { name: 'b' })],
      2,
    ],
    ['none for other workloads', [rule(limit(1), { workloadSelector: { matchLabels: { app: 'batch' } } }, { name: 'a' })], 0xffff_ffff],
    [
      'subsets of a younger one beside the policy of the older',
      [rule(limit(1), {}, { name: 'a' }), rule(limit(2), { subsets: [{ name: 's' }] }, { name: 'b' })],
      1,
    ],
  ])('which: %s', (_, config, maxConnections) => {
    expect(clusterJson({ config }).circuitBreakers.thresholds[0].maxConnections).toBe(maxConnections);
  });

  test('what it cannot do is said', () => {
    const { notes } = cluster(
      meshOf({
        config: [
          rule({
            loadBalancer: { simple: 'PASSTHROUGH' },
            outlierDetection: { interval: 'often' },
          }),
        ],
      }),
      node('web'),
      payment,
    );
    expect(notes.map(({ field, effect }) => `${field} ${effect}`).sort()).toEqual([
      'spec.trafficPolicy.loadBalancer.simple differs',
      'spec.trafficPolicy.outlierDetection.interval none',
    ]);
  });
});
