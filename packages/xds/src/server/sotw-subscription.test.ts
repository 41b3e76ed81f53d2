import { describe, expect, test } from 'vitest';
import { TypeUrl, type VersionedResource } from '../source.ts';
import { textResource } from '../testing/map-source.ts';
import { DEFAULT_ADS_LIMITS, SubscriptionLimitError } from './limits.ts';
import { SotwSubscription } from './sotw-subscription.ts';
import type { Lookup, Push } from './subscriptions.ts';

class World implements Lookup {
  readonly resources = new Map<string, VersionedResource | 'pending'>();

  constructor(...names: string[]) {
    for (const name of names) this.set(name, '1');
  }

  set(name: string, version: string): void {
    this.resources.set(name, textResource(name, version));
  }

  get(name: string): VersionedResource | 'pending' | undefined {
    return this.resources.get(name);
  }

  wildcard(): Iterable<string> {
    return this.resources.keys();
  }
}

function brief(push: Push | undefined): string | undefined {
  return push?.resources
    .map(({ name, version }) => `${name}@${version}`)
    .sort()
    .join(' ');
}

const ask = (names: string[], nonce = '', error?: string) => ({ names, nonce, error });

describe('listeners and clusters', () => {
  test('every response is the whole state', () => {
    const world = new World('a', 'b');
    const subscription = new SotwSubscription(TypeUrl.cluster, DEFAULT_ADS_LIMITS);
    subscription.request(ask([]));
    expect([...subscription.names]).toEqual(['*']);
    expect(brief(subscription.next(world, 'answers', '1'))).toBe('a@1 b@1');
    subscription.request(ask([], '1'));
    world.set('b', '2');
    subscription.changed(new Set(['b']));
    expect(brief(subscription.next(world, 'additions', '2'))).toBe('a@1 b@2');
  });

  test('what is gone stays in the response until removals have their turn', () => {
    const world = new World('old', 'b');
    const subscription = new SotwSubscription(TypeUrl.cluster, DEFAULT_ADS_LIMITS);
    subscription.request(ask([]));
    subscription.next(world, 'answers', '1');
    subscription.request(ask([], '1'));
    world.resources.delete('old');
    world.set('new', '1');
    subscription.changed(new Set(['old', 'new']));
    expect(brief(subscription.next(world, 'additions', '2'))).toBe('b@1 new@1 old@1');
    subscription.request(ask([], '2'));
    expect(subscription.next(world, 'additions', 'x')).toBeUndefined();
    const last = subscription.next(world, 'all', '3');
    expect(brief(last)).toBe('b@1 new@1');
    expect(last?.versions.get('old')).toBe('');
    subscription.request(ask([], '3'));
    expect(subscription.idle).toBe(true);
  });

  test('by name: first named, later empty is no wildcard (xDS protocol, example)', () => {
    const world = new World('a', 'b');
    const subscription = new SotwSubscription(TypeUrl.listener, DEFAULT_ADS_LIMITS);
    subscription.request(ask([]));
    expect(brief(subscription.next(world, 'answers', '1'))).toBe('a@1 b@1');
    subscription.request(ask(['*', 'a'], '1'));
    subscription.next(world, 'answers', '2');
    subscription.request(ask(['a'], '2'));
    expect([...subscription.names]).toEqual(['a']);
    subscription.request(ask([], '2'));
    expect([...subscription.names]).toEqual([]);
    world.set('a', '2');
    subscription.changed(new Set(['a']));
    expect(subscription.next(world, 'all', 'x')).toBeUndefined();
  });

  test('with something not known yet nothing is sent: leaving it out would delete it', () => {
    const world = new World('a');
    world.resources.set('b', 'pending');
    const subscription = new SotwSubscription(TypeUrl.cluster, DEFAULT_ADS_LIMITS);
    subscription.request(ask([]));
    expect(subscription.next(world, 'all', '1')).toBeUndefined();
    world.set('b', '1');
    subscription.changed(new Set(['b']));
    expect(brief(subscription.next(world, 'all', '1'))).toBe('a@1 b@1');
  });

  test('an empty state is an answer too', () => {
    const subscription = new SotwSubscription(TypeUrl.cluster, DEFAULT_ADS_LIMITS);
    subscription.request(ask([]));
    expect(brief(subscription.next(new World(), 'answers', '1'))).toBe('');
  });
});

describe('by name', () => {
  test('only what is asked for and what changed', () => {
    const world = new World('a', 'b', 'c');
    const subscription = new SotwSubscription(TypeUrl.endpoint, DEFAULT_ADS_LIMITS);
    subscription.request(ask(['a', 'b']));
    expect(brief(subscription.next(world, 'answers', '1'))).toBe('a@1 b@1');
    subscription.request(ask(['a', 'b'], '1'));
    world.set('b', '2');
    world.set('c', '2');
    subscription.changed('all');
    expect(brief(subscription.next(world, 'all', '2'))).toBe('b@2');
    subscription.request(ask(['a', 'b', 'c'], '2'));
    expect(brief(subscription.next(world, 'answers', '3'))).toBe('c@2');
  });

  test('one that is not there comes when it is there; one that was gone comes again with the old version', () => {
    const world = new World();
    const subscription = new SotwSubscription(TypeUrl.route, DEFAULT_ADS_LIMITS);
    subscription.request(ask(['r']));
    expect(subscription.next(world, 'all', '1')).toBeUndefined();
    world.set('r', '1');
    subscription.changed(new Set(['r']));
    expect(brief(subscription.next(world, 'all', '1'))).toBe('r@1');
    subscription.request(ask(['r'], '1'));
    world.resources.delete('r');
    subscription.changed(new Set(['r']));
    expect(subscription.next(world, 'all', '2')).toBeUndefined();
    world.set('r', '1');
    subscription.changed(new Set(['r']));
    expect(brief(subscription.next(world, 'all', '2'))).toBe('r@1');
  });

  test('dropped and asked for again: sent again', () => {
    const world = new World('a', 'b');
    const subscription = new SotwSubscription(TypeUrl.endpoint, DEFAULT_ADS_LIMITS);
    subscription.request(ask(['a', 'b']));
    subscription.next(world, 'answers', '1');
    subscription.request(ask(['b'], '1'));
    subscription.request(ask(['a', 'b'], '1'));
    expect(brief(subscription.next(world, 'answers', '2'))).toBe('a@1');
  });
});

describe('nonces', () => {
  test('a stale request is ignored, names and all; the one that answers the last response counts', () => {
    const world = new World('a', 'b');
    const subscription = new SotwSubscription(TypeUrl.endpoint, DEFAULT_ADS_LIMITS);
    subscription.request(ask(['a']));
    subscription.next(world, 'answers', '1');
    expect(subscription.request(ask(['a', 'b'], '')).namesChanged).toBe(false);
    expect(subscription.busy).toBe(true);
    expect(subscription.request(ask(['a', 'b'], '1'))).toMatchObject({ acked: new Map([['a', '1']]), namesChanged: true });
  });

  test('a first request with the nonce of an earlier stream is a first request', () => {
    const subscription = new SotwSubscription(TypeUrl.endpoint, DEFAULT_ADS_LIMITS);
    subscription.request(ask(['a'], 'of-long-ago'));
    expect(brief(subscription.next(new World('a'), 'answers', '1'))).toBe('a@1');
  });

  test('a NACK keeps the words; the state is not sent again until it changes', () => {
    const world = new World('a');
    const subscription = new SotwSubscription(TypeUrl.cluster, DEFAULT_ADS_LIMITS);
    subscription.request(ask([]));
    subscription.next(world, 'answers', '1');
    const outcome = subscription.request(ask([], '1', 'bad cluster a'));
    expect(outcome).toMatchObject({ acked: undefined, nacked: { message: 'bad cluster a' } });
    subscription.changed('all');
    expect(subscription.next(world, 'all', '2')).toBeUndefined();
    world.set('a', '2');
    subscription.changed(new Set(['a']));
    expect(brief(subscription.next(world, 'all', '2'))).toBe('a@2');
  });

  test('changes collapse while a response waits for its answer', () => {
    const world = new World('a');
    const subscription = new SotwSubscription(TypeUrl.endpoint, DEFAULT_ADS_LIMITS);
    subscription.request(ask(['a']));
    subscription.next(world, 'answers', '1');
    for (const version of ['2', '3']) {
      world.set('a', version);
      subscription.changed(new Set(['a']));
      expect(subscription.next(world, 'all', 'x')).toBeUndefined();
    }
    subscription.request(ask(['a'], '1'));
    expect(brief(subscription.next(world, 'all', '2'))).toBe('a@3');
  });

  test('too many names are refused', () => {
    const subscription = new SotwSubscription(TypeUrl.endpoint, DEFAULT_ADS_LIMITS);
    expect(() => subscription.request(ask(Array.from({ length: DEFAULT_ADS_LIMITS.maxNames + 1 }, String)))).toThrow(SubscriptionLimitError);
  });
});
