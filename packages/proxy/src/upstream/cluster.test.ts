import { atOnce } from '@outrigger/xds/slices';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LbContext } from '../lb/context.ts';
import { compileWhole } from '../subscribe/cluster-subscription.ts';
import { cluster as message, routeTo, typed } from '../testing/messages.ts';
import { TestEngine } from '../testing/test-engine.ts';
import { MAX_PROXIED_POOLS } from './cluster.ts';
import type { UpstreamHost } from './upstream-host.ts';

let engine: TestEngine;

beforeEach(() => {
  engine = new TestEngine();
});
afterEach(async () => {
  expect(await engine.close()).toEqual([]);
});

function hosts(name = 'c'): UpstreamHost[] {
  return [...engine.clusters.get(name)!.hosts];
}

describe('endpoints of a cluster that hashes', () => {
  const hashing = () => engine.cluster('c', { fields: { lbPolicy: 'MAGLEV' } });

  it('are waited for until its table is built', async () => {
    const cluster = hashing();
    const steps = engine.endpointSteps('c', ['a', 'b']);
    let pauses = 0;
    for (; steps.next().done !== true; pauses++) {
      // Whatever else would do: the first checks, or nobody who waits for them.
      if (pauses > 5) cluster.serveAtOnce();
      expect(cluster.warm).toBe(false);
    }
    // Beyond the one of each endpoint.
    expect(pauses).toBeGreaterThan(10);
    expect(cluster.warm).toBe(true);
  });

  it('that are removed while it is built do not come back', async () => {
    const cluster = hashing();
    for (const before of [1, 5]) {
      const steps = engine.endpointSteps('c', ['a', 'b']);
      for (let step = 0; step < before; step++) steps.next();
      engine.endpoints('c', []);
      atOnce(steps);
      expect([...cluster.hosts]).toEqual([]);
      expect(cluster.balancer.pick(new LbContext())).toBeNull();
    }
  });
});

describe('endpoints that stay', () => {
  it('keep their connections and their breaker, and take new weight, health and labels', async () => {
    const a = engine.upstream('a').script(500);
    engine.cluster('c', { fields: { outlierDetection: { consecutive5xx: 2, maxEjectionPercent: 100 } } });
    engine.endpoints('c', ['a']);
    await engine.listener('in', { routes: [routeTo('c')] });
    await engine.client('in').call();
    const [before] = hosts();
    engine.endpoints('c', [
      { at: 'a', loadBalancingWeight: 7, metadata: { filterMetadata: { istio: { workload: 'pay-v1;default;pay;v1;' } } } },
      { at: 'b', healthStatus: 'UNHEALTHY' },
    ]);
    const [after, b] = hosts();
    expect(after).toBe(before);
    expect(after).toMatchObject({ weight: 7, health: 'healthy', peer: { workload: 'pay-v1', namespace: 'default', service: 'pay', version: 'v1' } });
    expect(b!.health).toBe('unhealthy');
    expect(after!.outlier.consecutive5xx).toBe(1);
    await engine.client('in').call();
    expect(a.connections).toHaveLength(1);
    expect(after!.outlier.state).toBe('open');
  });

  it('are let back by their health check before their time is over', async () => {
    engine.upstream('a').script(500, 500, 200);
    engine.cluster('c', {
      mesh: { outlier: { halfOpen: true } },
      fields: { outlierDetection: { consecutive5xx: 2, baseEjectionTime: '30s', maxEjectionPercent: 100 } },
    });
    engine.endpoints('c', ['a']);
    await engine.listener('in', { routes: [routeTo('c')] });
    for (let call = 0; call < 2; call++) await engine.client('in').call();
    engine.endpoints('c', ['a']);
    expect((await engine.client('in').call()).status).toBe(503);
    engine.endpoints('c', [{ at: 'a', healthStatus: 'UNHEALTHY' }]);
    expect((await engine.client('in').call()).status).toBe(503);
    engine.endpoints('c', ['a']);
    expect((await engine.client('in').call()).status).toBe(200);
    expect(hosts()[0]!.outlier.state).toBe('closed');
  });

  it('get new connections where their transport socket is another by now', async () => {
    const a = engine.upstream('a').script(200);
    const tls = {
      name: 'tls',
      match: { tlsMode: 'istio' },
      transportSocket: { name: 'tls', typedConfig: typed('envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext') },
    };
    engine.cluster('c', { fields: { transportSocketMatches: [tls] } });
    engine.endpoints('c', ['a']);
    await engine.listener('in', { routes: [routeTo('c')] });
    await engine.client('in').call();
    expect(hosts()[0]!.socket).toBeNull();
    engine.endpoints('c', [{ at: 'a', metadata: { filterMetadata: { 'envoy.transport_socket_match': { tlsMode: 'istio' } } } }]);
    await engine.settle();
    expect(hosts()[0]!.socket).not.toBeNull();
    expect(a.open).toBe(0);
  });
});

it.each([
  ['lb_subset_config', { lbSubsetConfig: { subsetSelectors: [{}] } }],
  ['connect_timeout', { connectTimeout: '0s' }],
])('a message that cannot be used is refused with the field: %s', (path, fields) => {
  expect(compileWhole(message('c', { endpoints: ['a'], fields }))).toContain(path);
});

it('an upstream that is told of each downstream connection has a bounded number of connections', async () => {
  const a = engine.upstream('a').script(200);
  const transportSocket = {
    name: 'proxy',
    typedConfig: typed('envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport', {
      transportSocket: { name: 'raw', typedConfig: typed('envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer') },
    }),
  };
  const cluster = engine.cluster('c', { endpoints: ['a'], fields: { transportSocket } });
  const [host] = hosts();
  const pool = (port: number) => cluster.pool(host!, false, { remoteAddress: `192.0.2.1:${port}`, localAddress: '10.0.0.1:80', tlvs: Buffer.alloc(0) });
  const first = pool(1);
  expect(pool(1)).toBe(first);
  for (let port = 2; port <= MAX_PROXIED_POOLS; port++) pool(port);
  // Used again, it is not the oldest any more.
  expect(pool(1)).toBe(first);
  const second = pool(2);
  pool(MAX_PROXIED_POOLS + 1);
  pool(MAX_PROXIED_POOLS + 2);
  expect(host!.proxied!.size).toBe(MAX_PROXIED_POOLS);
  expect([pool(1) === first, pool(2) === second]).toEqual([true, true]);
  expect(a.connections).toHaveLength(0);
});

it('a breaker that is open leaves no timer behind when its cluster is replaced', async () => {
  engine.upstream('a').script(500);
  engine.cluster('c', {
    endpoints: ['a'],
    mesh: { outlier: { halfOpen: true } },
    fields: { outlierDetection: { consecutive5xx: 1, maxEjectionPercent: 100 } },
  });
  await engine.listener('in', { routes: [routeTo('c')] });
  await engine.client('in').call();
  expect(hosts()[0]!.outlier.state).toBe('open');
  // Replaced: nobody will ever ask the old one again.
  engine.cluster('c', { endpoints: ['a'] });
});
