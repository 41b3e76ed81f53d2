import { describe, expect, it } from 'vitest';
import { BoundedLoad, MersenneTwister } from './bounded-load.ts';
import { LbContext } from './context.ts';
import { Host } from './host.ts';

it('the generator is MT19937: its first and its 10,000th number for the seed 5489', () => {
  const twister = new MersenneTwister(5489);
  expect(twister.next()).toBe(3_499_211_612);
  for (let i = 2; i < 10_000; i++) twister.next();
  expect(twister.next()).toBe(4_123_659_995);
});

describe('a bounded load', () => {
  function scene(active: readonly number[], factor = 120, weights = active.map(() => 1 / active.length)) {
    const hosts = active.map((count, index) => {
      const host = new Host(`h${index}`, 0);
      host.activeRequests = count;
      return host;
    });
    const context = new LbContext();
    context.hasHash = true;
    const bounded = new BoundedLoad({ hosts, pick: () => hosts[0]! }, weights, factor);
    return (hashLow: number): string => {
      context.hashLow = hashLow;
      return bounded.pick(context, 0).address;
    };
  }

  it('leaves a host its keys while it has no more than its share', () => {
    expect(scene([2, 2, 2])(1)).toBe('h0');
    // 7 x 1.2 is 9 slots, 3 for each.
    expect(scene([3, 2, 1])(1)).toBe('h0');
  });

  it('gives them to others when it has, a key always to the same', () => {
    const pick = scene([20, 2, 2, 2]);
    const chosen = Array.from({ length: 50 }, (_, hash) => pick(hash));
    expect(new Set(chosen)).toEqual(new Set(['h1', 'h2', 'h3']));
    expect(Array.from({ length: 50 }, (_, hash) => pick(hash))).toEqual(chosen);
  });

  it('heeds weights', () => {
    expect(scene([6, 1], 120, [0.9, 0.1])(1)).toBe('h0');
    expect(scene([6, 1], 120, [0.5, 0.5])(1)).toBe('h1');
  });
});
