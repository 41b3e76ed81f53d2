import type { GraphView, ProxyView, TopRow } from '@outrigger/control-plane/api';
import { expect, test } from 'vitest';
import { type MeshData, noData } from './api.ts';
import { failing, syncOf, tiles } from './summary.ts';

const edge = (more: Partial<GraphView['edges'][number]>): GraphView['edges'][number] => ({
  from: 'a',
  to: 'b',
  requestsPerSecond: 10,
  successRatio: 1,
  p50Ms: 1,
  p99Ms: 2,
  mtlsRatio: 1,
  ...more,
});
const proxy = (more: Partial<ProxyView>): ProxyView => ({
  node: 'web.default',
  namespace: 'default',
  service: 'web',
  workload: 'web',
  version: '',
  instance: 'web',
  dataPlane: 'outrigger',
  connected: true,
  sync: { CDS: 'synced', VHDS: 'not-sent' },
  refusal: null,
  configRevision: '1',
  spiffeId: '',
  certificateExpiresAtMs: null,
  lastSeenMs: 0,
  ...more,
});
const row = (open: number, halfOpen: number): TopRow => ({
  service: 'web',
  namespace: 'default',
  version: '',
  requestsPerSecond: 0,
  successRatio: null,
  p50Ms: null,
  p99Ms: null,
  mtlsRatio: null,
  breaker: { open, halfOpen, endpoints: 3 },
  instances: 3,
});
const say = (data: Partial<MeshData>, label: string) => tiles({ ...noData, ...data }, 1_000).find((tile) => tile.label === label);
const graph = (...edges: GraphView['edges']): Partial<MeshData> => ({ graph: { windowMs: 10_000, nodes: [], edges } });

test('before an answer, and without traffic, nothing is made up', () => {
  expect(tiles(noData, 0).map(({ value }) => value)).toEqual(['–', '–', '–', '–', '–', '–', '–']);
  expect(say(graph(), 'Success')).toMatchObject({ value: '–', grade: 'unknown' });
});

test('shares are of the requests whose share is known', () => {
  const data = graph(edge({ successRatio: 0.5 }), edge({ requestsPerSecond: 30, mtlsRatio: null }));
  expect(say(data, 'Requests')).toMatchObject({ value: '40.0/s', detail: 'over 2 hops' });
  expect(say(data, 'Success')).toMatchObject({ value: '87.5 %', grade: 'bad' });
  expect(say(data, 'Mutual TLS')).toMatchObject({ value: '100 %', grade: 'good' });
});

test.each([
  [{}, 'in sync'],
  [{ sync: { CDS: 'stale' } }, 'behind'],
  [{ sync: { CDS: 'stale', RDS: 'refused' } }, 'refused'],
  [{ connected: false }, 'away'],
] as const)('a proxy with %j is %s', (more, expected) => {
  expect(syncOf(proxy(more))).toBe(expected);
});

test('the certificate that ends first is named, of proxies that are there', () => {
  const proxies = [
    proxy({ node: 'gone', connected: false, certificateExpiresAtMs: 2_000 }),
    proxy({ node: 'late', certificateExpiresAtMs: 100_000 }),
    proxy({ node: 'soon', certificateExpiresAtMs: 61_000 }),
  ];
  expect(say({ proxies }, 'Next certificate end')).toMatchObject({ value: 'in 60 s', detail: 'soon', grade: 'good' });
  expect(say({ proxies: [proxy({ certificateExpiresAtMs: 500 })] }, 'Next certificate end')).toMatchObject({ value: 'over', grade: 'bad' });
  expect(say({ proxies }, 'Proxies in sync')).toMatchObject({ value: '2 of 3', detail: '1 not connected', grade: 'warn' });
});

test('trouble is said: failing requests first, then an open breaker', () => {
  expect(failing({ ...noData, ...graph(edge({})), top: [row(0, 1)] })).toBe('');
  expect(failing({ ...noData, ...graph(edge({})), top: [row(1, 0)] })).toBe('A breaker is open.');
  expect(failing({ ...noData, ...graph(edge({ successRatio: 0.9 })), top: [row(1, 0)] })).toBe('Requests fail.');
  expect(say({ top: [row(1, 1)] }, 'Breakers')).toMatchObject({ value: '1 open', detail: 'of 3 instances, 1 half-open', grade: 'bad' });
});
