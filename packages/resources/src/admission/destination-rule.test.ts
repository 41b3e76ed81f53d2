import { describe, expect, test } from 'vitest';
import type { Json } from '../json.ts';
import type { DestinationRuleSpec } from '../kinds/destination-rule.ts';
import { changed } from '../testing/changed.ts';
import { destinationRuleErrors } from './destination-rule.ts';

const fields = (spec: DestinationRuleSpec): string[] => {
  const metadata = { name: 'a', namespace: 'ns', labels: {}, annotations: {}, creationTimestamp: '', resourceVersion: '', uid: '', generation: 0 };
  return destinationRuleErrors({ apiVersion: 'networking.istio.io/v1', kind: 'DestinationRule', metadata, spec }).map(({ field }) => field);
};

const whole: DestinationRuleSpec = {
  host: '*.example.com',
  exportTo: ['.'],
  workloadSelector: { matchLabels: { app: 'web' } },
  trafficPolicy: {
    loadBalancer: {
      consistentHash: { httpCookie: { name: 'user', ttl: '0s', attributes: [{ name: 'Secure' }, { name: 'Path' }] }, maglev: { tableSize: 65_537 } },
      localityLbSetting: {
        distribute: [
          { from: 'r1/z1/*', to: { 'r1/z1/*': 80, 'r1/z2/*': 20 } },
          { from: 'r2', to: { r3: 100 } },
        ],
      },
      warmup: { duration: '10s', aggression: 1 },
    },
    connectionPool: {
      tcp: { maxConnections: 1, connectTimeout: '1s', idleTimeout: '0s', tcpKeepalive: { time: '1h', interval: '1m' } },
      http: { http1MaxPendingRequests: 0, idleTimeout: '1s', h2UpgradePolicy: 'UPGRADE', http2KeepAlive: { interval: '1s', timeout: '1s' } },
    },
    outlierDetection: { consecutiveLocalOriginFailures: 1, splitExternalLocalOriginErrors: true, interval: '1s', maxEjectionPercent: 100 },
    tls: { mode: 'MUTUAL', clientCertificate: '/c', privateKey: '/k' },
    portLevelSettings: [{ port: { number: 80 }, loadBalancer: { localityLbSetting: { failover: [{ from: 'a', to: 'b' }], failoverPriority: ['x'] } } }],
    tunnel: { protocol: 'CONNECT', targetHost: 'a.example', targetPort: 443 },
  },
  subsets: [
    { name: 'v1', labels: { version: 'v1' } },
    { name: 'v2', trafficPolicy: { loadBalancer: { zoneAwareLbSetting: { failover: [{ from: 'a', to: 'b' }] } } } },
  ],
};

test('accepts what can be meant', () => {
  expect(fields(whole)).toEqual([]);
  expect(fields({ host: 'a', trafficPolicy: { tls: { mode: 'MUTUAL', credentialName: 'a' } } })).toEqual([]);
});

test('an object without a spec has no host', () => {
  expect(fields({} as DestinationRuleSpec)).toEqual(['spec.host']);
});

const policy = 'trafficPolicy';
describe('refuses', () => {
  test.each<[string, Json | undefined, string]>([
    ['host', '', 'spec.host'],
    ['host', 'a_b', 'spec.host'],
    ['host', '10.0.0.1', 'spec.host'],
    ['exportTo', ['*'], 'spec.exportTo'],
    ['exportTo', ['.', 'other'], 'spec.exportTo'],
    ['workloadSelector.matchLabels', { app: '*' }, 'spec.workloadSelector.matchLabels'],
    ['subsets[1].name', 'v1', 'spec.subsets[1].name'],
    ['subsets[1].name', 'v.2', 'spec.subsets[1].name'],
    ['subsets[1].name', '', 'spec.subsets[1].name'],
    ['subsets[0].labels', { version: 'a b' }, 'spec.subsets[0].labels'],
    ['subsets[0].trafficPolicy', {}, 'spec.subsets[0].trafficPolicy'],
    [
      'subsets[1].trafficPolicy.loadBalancer.zoneAwareLbSetting.failover[0].to',
      'a',
      'spec.subsets[1].trafficPolicy.loadBalancer.zoneAwareLbSetting.failover[0].to',
    ],
    [
      'subsets[1].trafficPolicy.loadBalancer.zoneAwareLbSetting.failoverPriority',
      ['topology.kubernetes.io/zone'],
      'spec.subsets[1].trafficPolicy.loadBalancer.zoneAwareLbSetting.failoverPriority[0]',
    ],
    [`${policy}.proxyProtocol`, {}, 'spec.trafficPolicy.proxyProtocol'],
    [`${policy}.loadBalancer.consistentHash.httpCookie.name`, '', 'spec.trafficPolicy.loadBalancer.consistentHash.httpCookie.name'],
    [
      `${policy}.loadBalancer.consistentHash.httpCookie.attributes[1].name`,
      'Secure',
      'spec.trafficPolicy.loadBalancer.consistentHash.httpCookie.attributes[1].name',
    ],
    [`${policy}.loadBalancer.consistentHash.maglev.tableSize`, 65_536, 'spec.trafficPolicy.loadBalancer.consistentHash.maglev.tableSize'],
    [`${policy}.loadBalancer.consistentHash.maglev.tableSize`, 0, 'spec.trafficPolicy.loadBalancer.consistentHash.maglev.tableSize'],
    [`${policy}.loadBalancer.consistentHash.minimumRingSize`, 8, 'spec.trafficPolicy.loadBalancer.consistentHash.minimumRingSize'],
    [`${policy}.loadBalancer.zoneAwareLbSetting`, {}, 'spec.trafficPolicy.loadBalancer.zoneAwareLbSetting'],
    [`${policy}.loadBalancer.localityLbSetting.failover`, [{ from: 'a', to: 'b' }], 'spec.trafficPolicy.loadBalancer.localityLbSetting.failover'],
    [`${policy}.loadBalancer.localityLbSetting.distribute[1].to`, { r3: 99 }, 'spec.trafficPolicy.loadBalancer.localityLbSetting.distribute[1].to'],
    [`${policy}.loadBalancer.localityLbSetting.distribute[1].to`, { r3: 100, r4: 0 }, 'spec.trafficPolicy.loadBalancer.localityLbSetting.distribute[1].to'],
    [
      `${policy}.loadBalancer.localityLbSetting.distribute[1].to`,
      { 'r3/*': 50, 'r3/z': 50 },
      'spec.trafficPolicy.loadBalancer.localityLbSetting.distribute[1].to',
    ],
    [`${policy}.loadBalancer.localityLbSetting.distribute[1].to`, { 'r3//s': 100 }, 'spec.trafficPolicy.loadBalancer.localityLbSetting.distribute[1].to'],
    [`${policy}.loadBalancer.localityLbSetting.distribute[1].from`, 'r1/*/s', 'spec.trafficPolicy.loadBalancer.localityLbSetting.distribute'],
    [`${policy}.loadBalancer.localityLbSetting.distribute[1].from`, 'r1', 'spec.trafficPolicy.loadBalancer.localityLbSetting.distribute'],
    [`${policy}.loadBalancer.warmup.duration`, '1', 'spec.trafficPolicy.loadBalancer.warmup.duration'],
    [`${policy}.loadBalancer.warmup.aggression`, 0, 'spec.trafficPolicy.loadBalancer.warmup.aggression'],
    [`${policy}.connectionPool`, {}, 'spec.trafficPolicy.connectionPool'],
    [`${policy}.connectionPool.tcp.maxConnections`, -1, 'spec.trafficPolicy.connectionPool.tcp.maxConnections'],
    [`${policy}.connectionPool.tcp.connectTimeout`, '1us', 'spec.trafficPolicy.connectionPool.tcp.connectTimeout'],
    [`${policy}.connectionPool.tcp.tcpKeepalive.time`, 'x', 'spec.trafficPolicy.connectionPool.tcp.tcpKeepalive.time'],
    [`${policy}.connectionPool.http.http1MaxPendingRequests`, -1, 'spec.trafficPolicy.connectionPool.http.http1MaxPendingRequests'],
    [`${policy}.connectionPool.http.useClientProtocol`, true, 'spec.trafficPolicy.connectionPool.http.useClientProtocol'],
    [`${policy}.connectionPool.http.http2KeepAlive.timeout`, undefined, 'spec.trafficPolicy.connectionPool.http.http2KeepAlive.timeout'],
    [`${policy}.outlierDetection.maxEjectionPercent`, 101, 'spec.trafficPolicy.outlierDetection.maxEjectionPercent'],
    [`${policy}.outlierDetection.minHealthPercent`, -1, 'spec.trafficPolicy.outlierDetection.minHealthPercent'],
    [`${policy}.outlierDetection.baseEjectionTime`, '0s', 'spec.trafficPolicy.outlierDetection.baseEjectionTime'],
    [`${policy}.outlierDetection.splitExternalLocalOriginErrors`, false, 'spec.trafficPolicy.outlierDetection.consecutiveLocalOriginFailures'],
    [`${policy}.tls.clientCertificate`, undefined, 'spec.trafficPolicy.tls.clientCertificate'],
    [`${policy}.tls.privateKey`, '', 'spec.trafficPolicy.tls.privateKey'],
    [`${policy}.tls.credentialName`, 'secret', 'spec.trafficPolicy.tls.credentialName'],
    [`${policy}.tls`, { mode: 'SIMPLE', insecureSkipVerify: true, caCertificates: '/ca' }, 'spec.trafficPolicy.tls.insecureSkipVerify'],
    [`${policy}.portLevelSettings[0].port`, undefined, 'spec.trafficPolicy.portLevelSettings[0].port'],
    [`${policy}.portLevelSettings[0]`, { port: { number: 80 } }, 'spec.trafficPolicy.portLevelSettings[0]'],
    [
      `${policy}.portLevelSettings[0].loadBalancer.localityLbSetting.failover[0].to`,
      'b/z',
      'spec.trafficPolicy.portLevelSettings[0].loadBalancer.localityLbSetting.failover[0].to',
    ],
    [
      `${policy}.portLevelSettings[0].loadBalancer.localityLbSetting.failoverPriority`,
      ['topology.kubernetes.io/region'],
      'spec.trafficPolicy.portLevelSettings[0].loadBalancer.localityLbSetting.failoverPriority',
    ],
    [`${policy}.tunnel.protocol`, 'PUT', 'spec.trafficPolicy.tunnel.protocol'],
    [`${policy}.tunnel.targetHost`, 'a b', 'spec.trafficPolicy.tunnel.targetHost'],
    [`${policy}.tunnel.targetPort`, 0, 'spec.trafficPolicy.tunnel.targetPort'],
  ])('%s = %j', (path, value, field) => {
    expect(fields(changed(whole, path, value))).toEqual([field]);
  });
});
