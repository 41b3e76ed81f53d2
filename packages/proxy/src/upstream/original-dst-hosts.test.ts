import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { compileWhole } from '../subscribe/cluster-subscription.ts';
import { cluster as message } from '../testing/messages.ts';
import { TestEngine } from '../testing/test-engine.ts';
import type { Cluster } from './cluster.ts';

let engine: TestEngine;

beforeEach(() => {
  engine = new TestEngine();
});
afterEach(async () => {
  expect(await engine.close()).toEqual([]);
});

const FIELDS = { type: 'ORIGINAL_DST', edsClusterConfig: null, lbPolicy: 'CLUSTER_PROVIDED' };

function original(config: Record<string, boolean | number | string> = {}): Cluster {
  return engine.cluster('c', { fields: { ...FIELDS, originalDstLbConfig: config } });
}

describe('the destination', () => {
  const restored = { localAddress: '10.0.0.1:80', restored: true };
  it.each([
    ['is where the connection was going', {}, [], restored, '10.0.0.1:80'],
    ['is unknown where nothing was restored', {}, [], { ...restored, restored: false }, ''],
    ['is no header’s, unless that is asked for', {}, ['x-envoy-original-dst-host', '10.0.0.2:81'], restored, '10.0.0.1:80'],
    ['is the header’s', { useHttpHeader: true }, ['X-Envoy-Original-Dst-Host', '10.0.0.2:81'], restored, '10.0.0.2:81'],
    ['is the header’s of another name', { useHttpHeader: true, httpHeaderName: 'X-To' }, ['x-to', '[2001:db8::1]:81'], restored, '[2001:db8::1]:81'],
    ['is the connection’s where the header is a name', { useHttpHeader: true }, ['x-envoy-original-dst-host', 'a.example:81'], restored, '10.0.0.1:80'],
    ['is the connection’s where the header has no port', { useHttpHeader: true }, ['x-envoy-original-dst-host', '10.0.0.2'], restored, '10.0.0.1:80'],
    ['has the port that the cluster gives', { upstreamPortOverride: 99 }, [], restored, '10.0.0.1:99'],
  ])('%s', (_what, config, headers, connection, wanted) => {
    expect(original(config).originalDst!.destinationOf(headers, connection)).toBe(wanted);
  });
});

it('an endpoint lives as long as it is in use, and an interval longer', async () => {
  const cluster = engine.cluster('c', { fields: { ...FIELDS, cleanupInterval: '1s' } });
  const addresses = () => [...cluster.hosts].map(({ address }) => address);
  const host = cluster.originalDst!.host('10.0.0.1:80')!;
  expect(cluster.originalDst!.host('10.0.0.1:80')).toBe(host);
  await engine.advance(1_010);
  expect(addresses()).toEqual(['10.0.0.1:80']);
  host.activeRequests++;
  await engine.advance(1_010);
  expect(addresses()).toEqual(['10.0.0.1:80']);
  host.activeRequests--;
  await engine.advance(1_010);
  expect([addresses(), host.draining]).toEqual([[], true]);
});

it('nothing but an address is an endpoint', () => {
  expect(['', 'a.example:80', '10.0.0.1', '10.0.0.1:0'].map((text) => original().originalDst!.host(text))).toEqual([null, null, null, null]);
});

it.each([
  ['lb_policy', { lbPolicy: 'ROUND_ROBIN' }],
  ['load_assignment', { loadAssignment: { clusterName: 'c' } }],
  ['metadata_key', { originalDstLbConfig: { metadataKey: { key: 'x' } } }],
])('what cannot be is refused: %s', (path, fields) => {
  expect(compileWhole(message('c', { fields: { ...FIELDS, ...fields } }))).toContain(path);
});
