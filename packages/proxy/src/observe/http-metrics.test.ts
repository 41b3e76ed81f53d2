import { IstioMetrics, MetricRegistry, ResponseFlag } from '@outrigger/telemetry';
import { expect, test } from 'vitest';
import type { ActiveStream } from '../engine/active-stream.ts';
import { TestEngine } from '../testing/test-engine.ts';
import { HttpMetrics } from './http-metrics.ts';

const HOST = 'orders.default.svc.cluster.local';

/** What is recorded of a stream to which no endpoint was given. */
function stream(upstreamCluster: string, responseFlags: number, known = true): ActiveStream {
  const config = { service: { host: HOST, name: 'orders', namespace: 'default' } };
  return {
    manager: { direction: 'outbound' },
    endpoint: null,
    cluster: known ? { name: upstreamCluster, config } : null,
    choice: { name: upstreamCluster },
    responseFlags,
    responseCode: 503,
    responseHeaders: [],
    responseTrailers: [],
    head: { headers: [] },
    durationMs: 1,
    bytesReceived: 0,
    bytesSent: 0,
  } as unknown as ActiveStream;
}

function unreached(...streams: readonly ActiveStream[]): Record<string, number> {
  const registry = new MetricRegistry();
  const metrics = new HttpMetrics(new IstioMetrics(registry), { id: 'web', workload: 'web', namespace: 'default', service: 'web', version: '' });
  for (const one of streams) metrics.record(one);
  const family = [...registry.families()].find(({ name }) => name === 'outrigger_unreached_requests_total');
  return Object.fromEntries([...(family?.series() ?? [])].map(({ labels, metric }) => [labels.join('/'), (metric as { value: number }).value]));
}

test('requests that reached no endpoint of a subset are counted by it, whether its cluster is known or not', () => {
  const v2 = `outbound|8080|v2|${HOST}`;
  const streams = [stream(v2, ResponseFlag.noHealthyUpstream), stream(v2, ResponseFlag.upstreamOverflow), stream(v2, ResponseFlag.noHealthyUpstream)];
  expect(unreached(...streams)).toEqual({ 'orders/default/v2': 3 });
  expect(unreached(stream(v2, ResponseFlag.noClusterFound, false))).toEqual({ 'orders/default/v2': 1 });
});

test('a request for a cluster that the proxy does not have counts for the service that was meant, whatever a request may name', async () => {
  const engine = new TestEngine();
  const routes = [
    { match: { path: '/named' }, route: { clusterHeader: 'x-cluster' } },
    { match: { prefix: '/' }, route: { cluster: `outbound|8080|v9|${HOST}` } },
  ];
  await engine.listener('out', { routes, fields: { trafficDirection: 'OUTBOUND' } });
  const client = engine.client('out');
  await client.call({ path: '/' });
  for (const name of ['outbound|1|a|b.c.svc.x', 'outbound|2|a|d.c.svc.x']) await client.call({ path: '/named', headers: ['x-cluster', name] });
  const seriesOf = (name: string) => [...[...engine.telemetry.registry.families()].find((family) => family.name === name)!.series()];
  expect(seriesOf('outrigger_unreached_requests_total').map(({ labels }) => labels.join('/'))).toEqual(['orders/default/v9']);
  const requests = seriesOf('istio_requests_total').map(({ labels, metric }) => [labels.includes(HOST), (metric as { value: number }).value]);
  expect(requests).toEqual([
    [true, 1],
    [false, 2],
  ]);
  await engine.close();
});

test('those of a cluster without a subset are not, nor those that something else kept back', () => {
  expect(unreached(stream(`outbound|8080||${HOST}`, ResponseFlag.noHealthyUpstream))).toEqual({});
  expect(unreached(stream(`outbound|8080|v2|${HOST}`, ResponseFlag.faultInjected))).toEqual({ 'orders/default/v2': 0 });
});
