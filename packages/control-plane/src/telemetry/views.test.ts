import { expect, test } from 'vitest';
import { graphOf, topRows } from './views.ts';
import type { EdgeTraffic, Party } from './windows.ts';

const party = (service: string, version = 'v1'): Party => ({ service, namespace: 'default', version });
const traffic = (from: Party, to: Party, reporter: EdgeTraffic['reporter'], more: Partial<EdgeTraffic>): EdgeTraffic => ({
  reporter,
  from,
  to,
  requests: 10,
  failures: 0,
  mtls: 0,
  plain: 0,
  durations: new Map(),
  ...more,
});
const web = party('web');
const order = party('order-service');
const group = { ...order, instances: 2, open: 1, halfOpen: 0, gateway: false };

test('of a service that nobody called nothing is known but that it is there', () => {
  expect(topRows([], [group], 10_000)).toEqual([
    {
      service: 'order-service',
      namespace: 'default',
      version: 'v1',
      requestsPerSecond: 0,
      successRatio: null,
      p50Ms: null,
      p99Ms: null,
      mtlsRatio: null,
      breaker: { open: 1, halfOpen: 0, endpoints: 2 },
      instances: 2,
    },
  ]);
});

test('a row is what the called side counted', () => {
  const rows = topRows(
    [
      traffic(web, order, 'source', { requests: 50, failures: 50 }),
      traffic(web, order, 'destination', { requests: 40, failures: 10, mtls: 30, plain: 10, durations: new Map([[20, 40]]) }),
    ],
    [group],
    10_000,
  );
  expect(rows).toMatchObject([{ requestsPerSecond: 4, successRatio: 0.75, p50Ms: 10, mtlsRatio: 0.75 }]);
});

test('a gateway’s row is what it sent on', () => {
  const edge = party('edge', '');
  const gateway = { ...edge, instances: 1, open: 0, halfOpen: 0, gateway: true };
  const [row] = topRows([traffic(edge, order, 'source', { requests: 50, failures: 5, mtls: 50 })], [gateway], 10_000);
  expect(row).toMatchObject({ service: 'edge', requestsPerSecond: 5, successRatio: 0.9, mtlsRatio: null });
  expect(topRows([traffic(edge, order, 'source', {})], [{ ...gateway, gateway: false }], 10_000)[0]).toMatchObject({ requestsPerSecond: 0 });
});

test('an edge has the caller’s count, and the called side’s word on mutual TLS', () => {
  const { edges } = graphOf(
    [
      traffic(web, order, 'source', { requests: 50, failures: 10, durations: new Map([[20, 50]]) }),
      traffic(web, order, 'destination', { requests: 40, mtls: 40 }),
    ],
    [group],
    10_000,
  );
  expect(edges).toEqual([
    { from: 'web.default v1', to: 'order-service.default v1', requestsPerSecond: 5, successRatio: 0.8, p50Ms: 10, p99Ms: 19.8, mtlsRatio: 1 },
  ]);
});

test('requests that were for no service of the mesh, and callers without a sidecar, are in the graph', () => {
  const nobody = { service: '', namespace: '', version: '' };
  const { nodes, edges } = graphOf([traffic(web, nobody, 'source', { failures: 10 }), traffic(nobody, order, 'destination', { plain: 10 })], [], 10_000);
  expect(nodes.map(({ id }) => id)).toEqual(['order-service.default v1', 'unknown caller', 'unknown destination', 'web.default v1']);
  expect(edges).toMatchObject([
    { from: 'unknown caller', to: 'order-service.default v1', successRatio: 1, mtlsRatio: 0 },
    { from: 'web.default v1', to: 'unknown destination', successRatio: 0, mtlsRatio: null },
  ]);
});

test.each([
  ['reached nobody', {}, null],
  ['went out in plain text', { plain: 10 }, 0],
  ['went out half in plain text, the rest nowhere', { plain: 5 }, 0],
  ['went out under mutual TLS', { mtls: 10 }, 1],
])('of requests that only the caller saw and that %s the share of mutual TLS is %s', (_what, more, expected) => {
  const { edges } = graphOf([traffic(web, order, 'source', more)], [], 10_000);
  expect(edges[0]?.mtlsRatio).toBe(expected);
});
