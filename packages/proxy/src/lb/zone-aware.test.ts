import { FastRandom } from '@outrigger/telemetry';
import { describe, expect, it } from 'vitest';
import { LbContext } from './context.ts';
import { Host } from './host.ts';
import { LoadBalancer } from './load-balancer.ts';
import { DEFAULT_LB_OPTIONS, type LbOptions } from './options.ts';
import { type LocalZone, zoneShares } from './zone-aware.ts';

const zone = (counts: Record<string, number>, locality = 'a', panic = false): LocalZone => ({
  locality,
  panic,
  wellByLocality: new Map(Object.entries(counts)),
});
const shares = (local: LocalZone | null, upstream: Record<string, number>, least = 6) => {
  const found = zoneShares(local, new Map(Object.entries(upstream)), least);
  return found === null ? null : Object.fromEntries([...found].map(([locality, share]) => [locality, Math.round(share * 1000) / 1000]));
};

describe('shares of zones', () => {
  it.each<readonly [string, LocalZone | null, Record<string, number>, Record<string, number> | null]>([
    ['all stay where there are endpoints for all', zone({ a: 2, b: 2 }), { a: 4, b: 4 }, { a: 1 }],
    ['all stay where there are more than enough', zone({ a: 1, b: 3 }), { a: 4, b: 4 }, { a: 1 }],
    // Envoy's example: 40, 40, 20 % ask, 25, 50, 25 % are offered.
    ['what is too much goes where there is room', zone({ a: 40, b: 40, c: 20 }), { a: 25, b: 50, c: 25 }, { a: 0.625, b: 0.25, c: 0.125 }],
    ['all go where there is room from a zone without endpoints', zone({ a: 1, b: 1 }), { a: 0, b: 6 }, { a: 0, b: 1 }],
    ['nothing is known of others', null, { a: 4, b: 4 }, null],
    ['the others are in panic', zone({ a: 2, b: 2 }, 'a', true), { a: 4, b: 4 }, null],
    ['there is one zone of endpoints', zone({ a: 2, b: 2 }), { a: 8 }, null],
    ['there is one zone of proxies', zone({ a: 2 }), { a: 4, b: 4 }, null],
    ['this zone has no proxy', zone({ b: 2, c: 2 }), { a: 4, b: 4 }, null],
    ['there are few endpoints', zone({ a: 2, b: 2 }), { a: 2, b: 3 }, null],
  ])('%s', (_what, local, upstream, wanted) => {
    expect(shares(local, upstream)).toEqual(wanted);
  });
});

function spread(options: Partial<LbOptions>, local: LocalZone | null, ill = 0): Record<string, number> {
  const hosts = Array.from({ length: 8 }, (_, index) => {
    const host = new Host(`h${index}`, 0);
    host.locality = index < 2 ? 'a' : 'b';
    if (index >= 8 - ill) host.health = 'unhealthy';
    return host;
  });
  const balancer = new LoadBalancer({ ...DEFAULT_LB_OPTIONS, ...options }, new FastRandom([1, 2, 3, 4]), () => local);
  balancer.update({ hosts, localityWeights: new Map(), overprovisioning: 1.4 });
  const context = new LbContext();
  const found: Record<string, number> = {};
  for (let i = 0; i < 10_000; i++) {
    const key = balancer.pick(context)?.locality ?? 'none';
    found[key] = (found[key] ?? 0) + 1 / 10_000;
  }
  return found;
}

describe('a balancer', () => {
  it.each(['round-robin', 'least-request', 'random'] as const)('%s keeps requests in their zone as far as it goes', (policy) => {
    // A quarter of the endpoints for half of the proxies: one of two stays.
    const found = spread({ policy }, zone({ a: 2, b: 2 }));
    expect(found['a']).toBeGreaterThan(0.48);
    expect(found['a']).toBeLessThan(0.52);
  });

  it('does so for the share of requests that it is told', () => {
    const found = spread({ zoneAware: { enabledRatio: 0.5, minClusterSize: 6, failTrafficOnPanic: false } }, zone({ a: 1, b: 9 }));
    // All of one half, and a quarter of the other.
    expect(found['a']).toBeGreaterThan(0.605);
    expect(found['a']).toBeLessThan(0.645);
  });

  it('does not where localities are weighed, where it is told not to, and where it knows nothing of zones', () => {
    for (const [options, local] of [
      [{ zoneAware: null }, zone({ a: 1, b: 9 })],
      [{}, null],
    ] as const) {
      const found = spread(options, local);
      expect(found['a']).toBeGreaterThan(0.23);
      expect(found['a']).toBeLessThan(0.27);
    }
  });

  it('in panic asks all, or nobody', () => {
    expect(Object.keys(spread({}, zone({ a: 1, b: 9 }), 6))).toEqual(['a', 'b']);
    expect(spread({ zoneAware: { enabledRatio: 1, minClusterSize: 6, failTrafficOnPanic: true } }, zone({ a: 1, b: 9 }), 6)['none']).toBeCloseTo(1);
  });
});
