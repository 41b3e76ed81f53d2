import { FastRandom } from '@outrigger/telemetry';
import { atOnce, type Steps } from '@outrigger/xds/slices';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { LbContext } from './context.ts';
import { Host } from './host.ts';
import { type HostSet, LoadBalancer } from './load-balancer.ts';
import { Maglev } from './maglev.ts';
import { DEFAULT_LB_OPTIONS, type LbOptions, type LbPolicy } from './options.ts';
import { RingHash } from './ring-hash.ts';

const POLICIES: readonly LbPolicy[] = ['round-robin', 'least-request', 'random', 'ring-hash', 'maglev'];
const random = (): FastRandom => new FastRandom([1, 2, 3, 4]);

function hosts(count: number, change: (host: Host, index: number) => void = () => {}): Host[] {
  return Array.from({ length: count }, (_, index) => {
    const host = new Host(`10.0.0.${index}:80`, 0);
    change(host, index);
    return host;
  });
}

function balancer(options: Partial<LbOptions>, all: readonly Host[], set: Partial<HostSet> = {}): LoadBalancer {
  const lb = new LoadBalancer({ ...DEFAULT_LB_OPTIONS, maglevTableSize: 1009, ...options }, random());
  lb.update({ hosts: all, localityWeights: new Map(), overprovisioning: 1.4, ...set });
  return lb;
}

function counts(lb: LoadBalancer, picks: number, context = new LbContext()): Record<string, number> {
  const result: Record<string, number> = {};
  for (let i = 0; i < picks; i++) {
    const address = lb.pick(context)?.address ?? 'none';
    result[address] = (result[address] ?? 0) + 1;
  }
  return result;
}

describe('tables of hashes are built beside requests', () => {
  const policies: readonly LbPolicy[] = ['ring-hash', 'maglev'];
  const key = (): LbContext => {
    const context = new LbContext();
    context.hasHash = true;
    context.hashLow = 7;
    return context;
  };

  it.each(policies)('%s asks those that were there until the new ones are ready', (policy) => {
    const lb = balancer({ policy }, hosts(1));
    const steps = lb.updateSteps({ hosts: [new Host('10.0.9.9:80', 0)], localityWeights: new Map(), overprovisioning: 1.4 });
    let pauses = 0;
    for (; steps.next().done !== true; pauses++) expect(lb.pick(key())?.address).toBe('10.0.0.0:80');
    expect(pauses).toBeGreaterThan(0);
    expect(lb.pick(key())?.address).toBe('10.0.9.9:80');
  });

  it.each(policies)('%s: what began later stays, whoever ends first', (policy) => {
    const lb = balancer({ policy }, hosts(1));
    const set = (address: string): HostSet => ({ hosts: [new Host(address, 0)], localityWeights: new Map(), overprovisioning: 1.4 });
    const first = lb.updateSteps(set('10.0.1.1:80'));
    first.next();
    lb.update(set('10.0.2.2:80'));
    atOnce(first);
    expect(lb.pick(key())?.address).toBe('10.0.2.2:80');
  });

  it.each(policies)('%s: many changes of health are one table, and whoever is ejected meanwhile is not asked', (policy) => {
    const later: Steps<void>[] = [];
    const all = hosts(3);
    const lb = new LoadBalancer({ ...DEFAULT_LB_OPTIONS, policy, panicThreshold: 0 }, random(), undefined, (steps) => void later.push(steps));
    lb.update({ hosts: all, localityWeights: new Map(), overprovisioning: 1.4 });
    for (const host of all.slice(0, 2)) {
      host.outlier.state = 'open';
      lb.healthChanged();
    }
    expect(later.length).toBe(1);
    expect(counts(lb, 100)).toEqual({ '10.0.0.2:80': 100 });
    atOnce(later[0]!);
    lb.healthChanged();
    expect(later.length).toBe(2);
    expect(counts(lb, 100)).toEqual({ '10.0.0.2:80': 100 });
  });

  it.each(policies)('%s: a retry that leaves priorities out waits for no table', (policy) => {
    const all = hosts(6, (host, index) => {
      host.priority = index % 3;
    });
    const lb = balancer({ policy }, all);
    const builds = [vi.spyOn(RingHash, 'build'), vi.spyOn(Maglev, 'build')];
    const context = key();
    context.prioritiesAfter = 1;
    context.tried = [all[0]!];
    expect(lb.pick(context)?.priority).toBe(1);
    context.tried = all.slice(0, 2);
    expect(lb.pick(context)?.priority).toBe(2);
    for (const build of builds) {
      expect(build).not.toHaveBeenCalled();
      build.mockRestore();
    }
  });

  it.each<[string, Partial<LbOptions>]>([
    ['a large ring', { policy: 'ring-hash', minimumRingSize: 100_000 }],
    ['a large table', { policy: 'maglev', maglevTableSize: 1_000_003 }],
  ])('in small steps: %s', (_, options) => {
    const lb = balancer(options, []);
    const steps = lb.updateSteps({ hosts: hosts(200), localityWeights: new Map(), overprovisioning: 1.4 });
    let count = 0;
    while (steps.next().done !== true) count += 1;
    expect(count).toBeGreaterThan(1_000);
  });
});

describe.each(POLICIES)('%s', (policy) => {
  it('gives nobody where there is nobody', () => {
    expect(balancer({ policy }, []).pick(new LbContext())).toBeNull();
    expect(
      balancer(
        { policy, panicThreshold: 0 },
        hosts(3, (host) => {
          host.health = 'unhealthy';
        }),
      ).pick(new LbContext()),
    ).toBeNull();
  });

  it('asks healthy hosts only', () => {
    const all = hosts(4, (host, index) => {
      if (index === 0) host.health = 'unhealthy';
      if (index === 1) host.outlier.state = 'open';
    });
    const seen = counts(balancer({ policy, panicThreshold: 0 }, all), 2000);
    expect(Object.keys(seen).sort()).toEqual(['10.0.0.2:80', '10.0.0.3:80']);
  });

  it('asks all of them in panic', () => {
    const all = hosts(4, (host, index) => {
      if (index > 0) host.health = 'unhealthy';
    });
    expect(Object.keys(counts(balancer({ policy, panicThreshold: 0.5 }, all), 2000))).toHaveLength(4);
  });

  it('sees an ejection at once, and the end of it after healthChanged', () => {
    const all = hosts(2);
    const lb = balancer({ policy, panicThreshold: 0 }, all);
    all[0]!.outlier.state = 'open';
    expect(counts(lb, 200)).toEqual({ '10.0.0.1:80': 200 });
    all[1]!.outlier.state = 'open';
    expect(lb.pick(new LbContext())).toBeNull();
    lb.healthChanged();
    expect(lb.pick(new LbContext())).toBeNull();
    all[0]!.outlier.state = 'half-open';
    lb.healthChanged();
    expect(lb.pick(new LbContext())).toBe(all[0]);
    all[0]!.outlier.trialInFlight = true;
    expect(lb.pick(new LbContext())).toBeNull();
  });

  it('avoids hosts of earlier attempts', () => {
    const all = hosts(5);
    const lb = balancer({ policy }, all);
    const context = new LbContext();
    context.tried = [all[0]!];
    context.avoidsTried = true;
    context.maxRepicks = 20;
    context.hasHash = true;
    for (let i = 0; i < 200; i++) {
      context.hashHigh = i * 7919;
      context.hashLow = i * 104_729;
      expect(lb.pick(context)).not.toBe(all[0]);
    }
  });

  it('still answers where only a tried host is left', () => {
    const all = hosts(1);
    const context = new LbContext();
    context.tried = all;
    context.maxRepicks = 5;
    expect(balancer({ policy }, all).pick(context)).toBe(all[0]);
  });
});

describe('weights', () => {
  it.each<LbPolicy>(['round-robin', 'least-request'])('are kept by %s', (policy) => {
    const all = hosts(3, (host, index) => {
      host.weight = [1, 2, 5][index]!;
    });
    const seen = counts(balancer({ policy }, all), 8000);
    expect(seen['10.0.0.0:80']).toBeGreaterThan(990);
    expect(seen['10.0.0.0:80']).toBeLessThan(1010);
    expect(seen['10.0.0.2:80']).toBeGreaterThan(4990);
  });

  it.each<LbPolicy>(['ring-hash', 'maglev'])('are kept by %s over many keys', (policy) => {
    const all = hosts(3, (host, index) => {
      host.weight = [1, 2, 5][index]!;
    });
    const seen = counts(balancer({ policy, maglevTableSize: 65_537, minimumRingSize: 8192 }, all), 20_000);
    expect(seen['10.0.0.2:80']! / 20_000).toBeGreaterThan(0.57);
    expect(seen['10.0.0.2:80']! / 20_000).toBeLessThan(0.68);
  });

  it('a busy host weighs less in least request', () => {
    const all = hosts(2, (host, index) => {
      host.weight = index + 1;
      host.activeRequests = index === 1 ? 9 : 0;
    });
    const seen = counts(balancer({ policy: 'least-request' }, all), 6000);
    // 1/1 against 2/10.
    expect(seen['10.0.0.0:80']! / 6000).toBeGreaterThan(0.8);
  });
});

it('round robin goes around', () => {
  const lb = balancer({ policy: 'round-robin' }, hosts(3));
  const context = new LbContext();
  const first = [lb.pick(context), lb.pick(context), lb.pick(context)];
  expect(new Set(first).size).toBe(3);
  expect([lb.pick(context), lb.pick(context), lb.pick(context)]).toEqual(first);
});

it('least request prefers the less busy of two', () => {
  const all = hosts(2, (host, index) => {
    host.activeRequests = index * 10;
  });
  // The busy one is taken only where both choices fall on it.
  const seen = counts(balancer({ policy: 'least-request' }, all), 8000);
  expect(seen['10.0.0.1:80']! / 8000).toBeGreaterThan(0.22);
  expect(seen['10.0.0.1:80']! / 8000).toBeLessThan(0.28);
});

it('slow start lets a new host in by and by', () => {
  const all = [new Host('old:80', 0), new Host('new:80', 100_000)];
  const lb = balancer({ policy: 'round-robin', slowStart: { windowMs: 10_000, aggression: 1, minWeightRatio: 0.1 } }, all);
  const context = new LbContext();
  const share = (nowMs: number): number => {
    context.nowMs = nowMs;
    return (counts(lb, 4000, context)['new:80'] ?? 0) / 4000;
  };
  expect(share(100_001)).toBeLessThan(0.12);
  const half = share(105_000);
  expect(half).toBeGreaterThan(0.3);
  expect(half).toBeLessThan(0.36);
  expect(share(120_000)).toBeCloseTo(0.5, 1);
});

it('spills over to the next priority when too few are well', () => {
  const all = hosts(8, (host, index) => {
    host.priority = index < 4 ? 0 : 1;
    if (index < 2) host.health = 'unhealthy';
  });
  // Half of priority 0 is well: 1.4 x 50 % = 70 % of the requests.
  const seen = counts(balancer({ policy: 'round-robin', panicThreshold: 0 }, all), 10_000);
  const first = ((seen['10.0.0.2:80'] ?? 0) + (seen['10.0.0.3:80'] ?? 0)) / 10_000;
  expect(first).toBeGreaterThan(0.68);
  expect(first).toBeLessThan(0.72);
});

it('weighs localities, less those that are not well', () => {
  const all = hosts(4, (host, index) => {
    host.locality = index < 2 ? 'eu/a/' : 'eu/b/';
  });
  const localityWeights = new Map([
    ['0|eu/a/', 3],
    ['0|eu/b/', 1],
  ]);
  const share = (lb: LoadBalancer): number => {
    const seen = counts(lb, 10_000);
    return ((seen['10.0.0.0:80'] ?? 0) + (seen['10.0.0.1:80'] ?? 0)) / 10_000;
  };
  const lb = balancer({ policy: 'round-robin', localityWeighted: true }, all, { localityWeights });
  expect(share(lb)).toBeGreaterThan(0.73);
  expect(share(lb)).toBeLessThan(0.77);
  all[0]!.health = 'unhealthy';
  lb.healthChanged();
  // 3 x 1.4 x 1/2 = 2.1 against 1.
  expect(share(lb)).toBeGreaterThan(0.65);
  expect(share(lb)).toBeLessThan(0.71);
});

describe('hashing', () => {
  function owners(policy: LbPolicy, all: readonly Host[], keys: number): (string | undefined)[] {
    const lb = balancer({ policy, maglevTableSize: 65_537, minimumRingSize: 1024 }, all);
    const context = new LbContext();
    context.hasHash = true;
    const source = random();
    return Array.from({ length: keys }, () => {
      context.hashHigh = source.uint32();
      context.hashLow = source.uint32();
      return lb.pick(context)?.address;
    });
  }

  it.each<LbPolicy>(['ring-hash', 'maglev'])('%s sends a key to the same host, whatever the order of hosts', (policy) => {
    const all = hosts(7);
    expect(owners(policy, [...all].reverse(), 500)).toEqual(owners(policy, all, 500));
  });

  it.each<[LbPolicy, number]>([
    // The ring keeps its least size, so that those that stay get more points when one goes.
    ['ring-hash', 0.2],
    ['maglev', 0.04],
  ])('%s moves hardly any key of the hosts that stay when one goes', (policy, extra) => {
    fc.assert(
      fc.property(fc.integer({ min: 3, max: 12 }), fc.nat(100), (count, seed) => {
        const all = hosts(count);
        const gone = all[seed % count]!;
        const before = owners(policy, all, 2000);
        const after = owners(
          policy,
          all.filter((host) => host !== gone),
          2000,
        );
        const stayed = before.filter((owner) => owner !== gone.address).length;
        const moved = before.filter((owner, i) => owner !== gone.address && owner !== after[i]).length;
        expect(moved / stayed).toBeLessThanOrEqual(extra);
      }),
      { numRuns: 15 },
    );
  });

  it.each<LbPolicy>(['ring-hash', 'maglev'])('%s keeps a key with its priority', (policy) => {
    const all = hosts(8, (host, index) => {
      host.priority = index < 4 ? 0 : 1;
      if (index < 2) host.health = 'unhealthy';
    });
    const first = owners(policy, all, 1000);
    expect(owners(policy, all, 1000)).toEqual(first);
    const below = first.filter((owner) => Number(owner!.split('.')[3]!.split(':')[0]) < 4).length / 1000;
    expect(below).toBeGreaterThan(0.65);
    expect(below).toBeLessThan(0.75);
  });

  it.each<LbPolicy>(['ring-hash', 'maglev'])('%s has one place for a key among all localities', (policy) => {
    const all = hosts(6, (host, index) => {
      host.locality = `z${index % 2}`;
    });
    const localityWeights = new Map([
      ['0|z0', 1],
      ['0|z1', 3],
    ]);
    const lb = balancer({ policy, localityWeighted: true, maglevTableSize: 65_537, minimumRingSize: 8192 }, all, { localityWeights });
    const context = new LbContext();
    context.hasHash = true;
    const place = (hash: number) => {
      context.hashHigh = Math.imul(hash, 2_654_435_761) >>> 0;
      context.hashLow = Math.imul(hash, 40_503) >>> 0;
      return lb.pick(context)!;
    };
    const keys = Array.from({ length: 4000 }, (_, hash) => place(hash));
    expect(keys.map((_, hash) => place(hash))).toEqual(keys);
    const heavy = keys.filter((host) => host.locality === 'z1').length / 4000;
    expect(heavy).toBeGreaterThan(0.7);
    expect(heavy).toBeLessThan(0.8);
  });

  it('Maglev shares its table evenly', () => {
    const seen = owners('maglev', hosts(10), 20_000);
    for (const host of hosts(10)) {
      const share = seen.filter((owner) => owner === host.address).length / 20_000;
      expect(share).toBeGreaterThan(0.085);
      expect(share).toBeLessThan(0.115);
    }
  });
});
