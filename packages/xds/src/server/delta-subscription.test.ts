import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TypeUrl, type VersionedResource } from '../source.ts';
import { textResource } from '../testing/map-source.ts';
import { type DeltaRequest, DeltaSubscription } from './delta-subscription.ts';
import { DEFAULT_ADS_LIMITS, SubscriptionLimitError } from './limits.ts';
import type { Lookup, Push } from './subscriptions.ts';

class World implements Lookup {
  readonly resources = new Map<string, VersionedResource | 'pending'>();

  constructor(...names: string[]) {
    for (const name of names) this.set(name, '1');
  }

  set(name: string, version: string, aliases?: readonly string[]): void {
    this.resources.set(name, textResource(name, version, aliases));
  }

  get(name: string): VersionedResource | 'pending' | undefined {
    const exact = this.resources.get(name);
    if (exact !== undefined) return exact;
    for (const resource of this.resources.values()) if (resource !== 'pending' && resource.aliases?.includes(name)) return resource;
    return undefined;
  }

  wildcard(): ReadonlySet<string> {
    return new Set(this.resources.keys());
  }
}

const nothing: DeltaRequest = { subscribe: [], unsubscribe: [], initialVersions: {}, nonce: '', error: undefined };

function brief(push: Push | undefined): string | undefined {
  if (push === undefined) return undefined;
  const added = push.resources.map(({ name, version }) => `+${name}@${version}`);
  return [...added, ...push.removed.map((name) => `-${name}`), ...push.absent.map((name) => `?${name}`)].sort().join(' ');
}

/** A subscription with its first request sent and everything of it answered and acknowledged. */
function settledAfter(world: World, first: Partial<DeltaRequest>, typeUrl: TypeUrl = TypeUrl.cluster): DeltaSubscription {
  const subscription = new DeltaSubscription(typeUrl, DEFAULT_ADS_LIMITS);
  subscription.request({ ...nothing, ...first });
  const push = subscription.next(world, 'all', 'first');
  if (push !== undefined) subscription.request({ ...nothing, nonce: 'first' });
  return subscription;
}

describe('wildcard', () => {
  test.each([TypeUrl.cluster, TypeUrl.listener, TypeUrl.virtualHost])('an empty first request asks for everything of %s', (typeUrl) => {
    const subscription = new DeltaSubscription(typeUrl, DEFAULT_ADS_LIMITS);
    expect(subscription.request(nothing).namesChanged).toBe(true);
    expect(brief(subscription.next(new World('a', 'b'), 'answers', '1'))).toBe('+a@1 +b@1');
  });

  test.each([TypeUrl.endpoint, TypeUrl.route, TypeUrl.secret])('an empty first request asks for nothing of %s, and is answered by nothing', (typeUrl) => {
    const subscription = new DeltaSubscription(typeUrl, DEFAULT_ADS_LIMITS);
    subscription.request(nothing);
    expect(brief(subscription.next(new World('a', 'b'), 'answers', '1'))).toBe('');
  });

  test('an empty second request changes nothing', () => {
    const world = new World('a', 'b');
    const subscription = settledAfter(world, { subscribe: ['a'] });
    expect(subscription.request(nothing).namesChanged).toBe(false);
    expect(subscription.next(world, 'all', '2')).toBeUndefined();
  });

  test('with nothing there the first request is answered by an empty response, once', () => {
    const subscription = new DeltaSubscription(TypeUrl.listener, DEFAULT_ADS_LIMITS);
    subscription.request(nothing);
    expect(brief(subscription.next(new World(), 'answers', '1'))).toBe('');
    expect(subscription.next(new World(), 'all', '2')).toBeUndefined();
  });

  test('legacy wildcard, then a name beside it, then without "*" only the name (xDS protocol, example)', () => {
    const world = new World('a', 'b');
    const subscription = settledAfter(world, {});
    subscription.request({ ...nothing, subscribe: ['a'] });
    expect(brief(subscription.next(world, 'answers', '2'))).toBe('+a@1');
    subscription.request({ ...nothing, nonce: '2' });
    subscription.request({ ...nothing, unsubscribe: ['*'] });
    world.set('a', '2');
    world.set('b', '2');
    subscription.changed(new Set(['a', 'b']));
    expect(brief(subscription.next(world, 'all', '3'))).toBe('+a@2');
    subscription.request({ ...nothing, nonce: '3', unsubscribe: ['a'] });
    expect([...subscription.names]).toEqual([]);
    world.set('a', '3');
    subscription.changed('all');
    expect(subscription.next(world, 'all', '4')).toBeUndefined();
  });

  test('unsubscribing a name beside the wildcard tells whether it is in the wildcard', () => {
    const world = new World('a');
    const subscription = settledAfter(world, { subscribe: ['*', 'a', 'ghost'] });
    subscription.request({ ...nothing, unsubscribe: ['a', 'ghost'] });
    expect(brief(subscription.next(world, 'answers', '2'))).toBe('+a@1 -ghost');
  });

  test('a name and the wildcard unsubscribed together leave nothing to be told', () => {
    const world = new World('a');
    const subscription = settledAfter(world, { subscribe: ['*', 'a'] });
    subscription.request({ ...nothing, unsubscribe: ['a', '*'] });
    subscription.changed('all');
    expect(subscription.next(world, 'all', '2')).toBeUndefined();
  });

  test('takes in what comes, and gives up what goes', () => {
    const world = new World('a', 'b');
    const subscription = settledAfter(world, { subscribe: ['*'] });
    world.set('c', '1');
    world.resources.delete('a');
    subscription.changed(new Set(['a', 'c']));
    expect(brief(subscription.next(world, 'all', '2'))).toBe('+c@1 -a');
  });
});

describe('names', () => {
  test('one that is not there is said to be so, and comes when it is there', () => {
    const world = new World();
    const subscription = new DeltaSubscription(TypeUrl.endpoint, DEFAULT_ADS_LIMITS);
    subscription.request({ ...nothing, subscribe: ['a'] });
    expect(brief(subscription.next(world, 'answers', '1'))).toBe('?a');
    subscription.request({ ...nothing, nonce: '1' });
    world.set('a', '1');
    subscription.changed(new Set(['a', 'other']));
    expect(brief(subscription.next(world, 'all', '2'))).toBe('+a@1');
  });

  test('a change goes only to those who have subscribed', () => {
    const world = new World('a', 'b');
    const subscription = settledAfter(world, { subscribe: ['a'] });
    world.set('b', '2');
    subscription.changed(new Set(['b']));
    expect(subscription.next(world, 'all', '2')).toBeUndefined();
    expect(subscription.idle).toBe(true);
  });

  test('the same version is not sent again, unless it is asked for again', () => {
    const world = new World('a');
    const subscription = settledAfter(world, { subscribe: ['a'] });
    subscription.changed('all');
    expect(subscription.next(world, 'all', '2')).toBeUndefined();
    subscription.request({ ...nothing, subscribe: ['a'] });
    expect(brief(subscription.next(world, 'answers', '2'))).toBe('+a@1');
  });

  test('pending: no answer until it is known; what else was asked for is answered', () => {
    const world = new World('b');
    world.resources.set('a', 'pending');
    const subscription = new DeltaSubscription(TypeUrl.cluster, DEFAULT_ADS_LIMITS);
    subscription.request({ ...nothing, subscribe: ['a', 'b'] });
    expect(brief(subscription.next(world, 'answers', '1'))).toBe('+b@1');
    expect(subscription.next(world, 'answers', '2')).toBeUndefined();
    world.set('a', '1');
    subscription.changed(new Set(['a']));
    expect(brief(subscription.next(world, 'answers', '2'))).toBe('+a@1');
  });

  test.each([
    ['too many', Array.from({ length: DEFAULT_ADS_LIMITS.maxNames + 1 }, (_, index) => `n${index}`)],
    ['too long', ['x'.repeat(DEFAULT_ADS_LIMITS.maxNameLength + 1)]],
  ])('%s are refused', (_, subscribe) => {
    const subscription = new DeltaSubscription(TypeUrl.cluster, DEFAULT_ADS_LIMITS);
    expect(() => subscription.request({ ...nothing, subscribe })).toThrow(SubscriptionLimitError);
  });
});

describe('reconnect', () => {
  test('initial versions: only what differs, and what is gone', () => {
    const world = new World('same', 'new');
    world.set('differs', '2');
    const subscription = new DeltaSubscription(TypeUrl.cluster, DEFAULT_ADS_LIMITS);
    subscription.request({ ...nothing, subscribe: ['*'], initialVersions: { same: '1', differs: '1', gone: '1' } });
    expect(brief(subscription.next(world, 'answers', '1'))).toBe('+differs@2 +new@1 -gone');
  });

  test('names with their versions: the same is not sent again, one that is gone is said', () => {
    const subscription = new DeltaSubscription(TypeUrl.endpoint, DEFAULT_ADS_LIMITS);
    subscription.request({ ...nothing, subscribe: ['a', 'b'], initialVersions: { a: '1', b: '1' } });
    expect(brief(subscription.next(new World('a'), 'answers', '1'))).toBe('?b');
  });

  test('with nothing different the answer is empty, and says so that everything is there', () => {
    const subscription = new DeltaSubscription(TypeUrl.endpoint, DEFAULT_ADS_LIMITS);
    subscription.request({ ...nothing, subscribe: ['a'], initialVersions: { a: '1' } });
    expect(brief(subscription.next(new World('a'), 'answers', '1'))).toBe('');
  });
});

describe('ACK and NACK', () => {
  test('changes wait for the answer and collapse; an answer to a new name does not wait', () => {
    const world = new World('a', 'b');
    const subscription = settledAfter(world, { subscribe: ['a'] });
    world.set('a', '2');
    subscription.changed(new Set(['a']));
    expect(brief(subscription.next(world, 'all', '2'))).toBe('+a@2');
    for (const version of ['3', '4']) {
      world.set('a', version);
      subscription.changed(new Set(['a']));
      expect(subscription.next(world, 'all', 'x')).toBeUndefined();
    }
    subscription.request({ ...nothing, subscribe: ['b'] });
    expect(brief(subscription.next(world, 'all', '3'))).toBe('+b@1');
    expect(subscription.request({ ...nothing, nonce: '2' }).acked).toEqual(new Map([['a', '2']]));
    expect(subscription.next(world, 'all', 'x')).toBeUndefined();
    subscription.request({ ...nothing, nonce: '3' });
    expect(brief(subscription.next(world, 'all', '4'))).toBe('+a@4');
  });

  test('a client that asks and never answers gets no more than its share', () => {
    const names = Array.from({ length: 40 }, (_, index) => `n${index}`);
    const world = new World(...names);
    const subscription = new DeltaSubscription(TypeUrl.cluster, DEFAULT_ADS_LIMITS);
    let pushes = 0;
    for (const name of names) {
      subscription.request({ ...nothing, subscribe: [name] });
      if (subscription.next(world, 'all', name) !== undefined) pushes += 1;
    }
    expect(pushes).toBe(16);
    subscription.request({ ...nothing, nonce: 'n0' });
    // The rest was collected meanwhile, and comes at once.
    expect(subscription.next(world, 'all', 'rest')?.resources).toHaveLength(24);
  });

  test('a NACK keeps the words, and what was refused is not sent again until it changes', () => {
    const world = new World('a');
    const subscription = settledAfter(world, { subscribe: ['a'] });
    world.set('a', 'bad');
    subscription.changed(new Set(['a']));
    subscription.next(world, 'all', '2');
    const { nacked, acked } = subscription.request({ ...nothing, nonce: '2', error: 'no such filter' });
    expect({ nacked, acked }).toEqual({ nacked: { message: 'no such filter', versions: new Map([['a', 'bad']]) }, acked: undefined });
    subscription.changed('all');
    expect(subscription.next(world, 'all', '3')).toBeUndefined();
    world.set('a', '1');
    subscription.changed(new Set(['a']));
    expect(brief(subscription.next(world, 'all', '3'))).toBe('+a@1');
  });

  test('a nonce that is not known answers nothing, its names count all the same', () => {
    const world = new World('a', 'b');
    const subscription = settledAfter(world, { subscribe: ['a'] });
    expect(subscription.request({ ...nothing, nonce: 'stale', subscribe: ['b'] })).toMatchObject({ acked: undefined, nacked: undefined, namesChanged: true });
    expect(brief(subscription.next(world, 'answers', '2'))).toBe('+b@1');
  });
});

describe('phases', () => {
  test('removals wait for theirs', () => {
    const world = new World('a', 'b');
    const subscription = settledAfter(world, { subscribe: ['*'] });
    world.resources.delete('a');
    world.set('c', '1');
    subscription.changed('all');
    expect(subscription.next(world, 'answers', 'x')).toBeUndefined();
    expect(brief(subscription.next(world, 'additions', '2'))).toBe('+c@1');
    subscription.request({ ...nothing, nonce: '2' });
    expect(subscription.next(world, 'additions', 'x')).toBeUndefined();
    expect(subscription.idle).toBe(false);
    expect(brief(subscription.next(world, 'all', '3'))).toBe('-a');
    expect(subscription.idle).toBe(true);
  });

  test('a removal is forgotten where the resource is back before its phase', () => {
    const world = new World('a');
    const subscription = settledAfter(world, { subscribe: ['*'] });
    world.resources.delete('a');
    subscription.changed(new Set(['a']));
    expect(subscription.next(world, 'additions', 'x')).toBeUndefined();
    world.set('a', '1');
    subscription.changed(new Set(['a']));
    expect(subscription.next(world, 'all', 'x')).toBeUndefined();
  });
});

describe('aliases', () => {
  test('an alias is answered by its resource, which follows changes under its own name', () => {
    const world = new World();
    world.set('rc/order:80', '1', ['rc/order', 'rc/order.default']);
    const subscription = settledAfter(world, { subscribe: ['rc/order'] }, TypeUrl.virtualHost);
    world.set('rc/order:80', '2', ['rc/order', 'rc/order.default']);
    subscription.changed(new Set(['rc/order:80']));
    expect(brief(subscription.next(world, 'all', '2'))).toBe('+rc/order:80@2');
    subscription.request({ ...nothing, nonce: '2', subscribe: ['rc/order.default'] });
    expect(brief(subscription.next(world, 'answers', '3'))).toBe('+rc/order:80@2');
    subscription.request({ ...nothing, nonce: '3', unsubscribe: ['rc/order'] });
    world.set('rc/order:80', '3', ['rc/order', 'rc/order.default']);
    subscription.changed(new Set(['rc/order:80']));
    expect(brief(subscription.next(world, 'all', '4'))).toBe('+rc/order:80@3');
    subscription.request({ ...nothing, nonce: '4', unsubscribe: ['rc/order.default'] });
    world.set('rc/order:80', '4', ['rc/order', 'rc/order.default']);
    subscription.changed(new Set(['rc/order:80']));
    expect(subscription.next(world, 'all', 'x')).toBeUndefined();
  });

  test('a host that was unknown gets its virtual host when that appears; one made for it goes', () => {
    const world = new World('rc/order');
    const subscription = settledAfter(world, { subscribe: ['rc/order', 'rc/pay'] }, TypeUrl.virtualHost);
    world.resources.delete('rc/order');
    world.set('rc/order:80', '1', ['rc/order']);
    world.set('rc/pay:80', '1', ['rc/pay']);
    subscription.changed(new Set(['rc/order', 'rc/order:80', 'rc/pay:80']));
    expect(brief(subscription.next(world, 'all', '2'))).toBe('+rc/order:80@1 +rc/pay:80@1 -rc/order');
  });

  test('when the virtual host goes, the hosts that it answered are answered anew', () => {
    const world = new World();
    world.set('rc/order:80', '1', ['rc/order']);
    const subscription = settledAfter(world, { subscribe: ['rc/order'] }, TypeUrl.virtualHost);
    world.resources.delete('rc/order:80');
    subscription.changed(new Set(['rc/order:80']));
    expect(brief(subscription.next(world, 'all', '2'))).toBe('-rc/order:80');
    expect(brief(subscription.next(world, 'answers', '3'))).toBe('?rc/order');
  });

  test('a host that the virtual host no longer names is answered anew', () => {
    const world = new World();
    world.set('rc/order:80', '1', ['rc/order', 'rc/alias']);
    const subscription = settledAfter(world, { subscribe: ['rc/order', 'rc/alias'] }, TypeUrl.virtualHost);
    world.set('rc/order:80', '2', ['rc/order']);
    subscription.changed(new Set(['rc/order:80']));
    expect(brief(subscription.next(world, 'all', '2'))).toBe('+rc/order:80@2');
    expect(brief(subscription.next(world, 'answers', '3'))).toBe('?rc/alias');
  });
});

test('whatever happens, an acknowledging client ends up with exactly what it has subscribed to', () => {
  const name = fc.constantFrom('a', 'b', 'c', 'd');
  const wanted = fc.constantFrom('a', 'b', 'c', 'd', '*');
  const step = fc.oneof(
    fc.record({ kind: fc.constant('set' as const), name, version: fc.constantFrom('1', '2', '3') }),
    fc.record({ kind: fc.constant('delete' as const), name }),
    fc.record({ kind: fc.constant('all' as const) }),
    fc.record({
      kind: fc.constant('request' as const),
      subscribe: fc.uniqueArray(wanted, { maxLength: 2 }),
      unsubscribe: fc.uniqueArray(wanted, { maxLength: 2 }),
    }),
    fc.record({ kind: fc.constant('push' as const), phase: fc.constantFrom('answers' as const, 'additions' as const, 'all' as const) }),
    fc.record({ kind: fc.constant('ack' as const) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const world = new World('a', 'b');
      const subscription = new DeltaSubscription(TypeUrl.cluster, DEFAULT_ADS_LIMITS);
      const holds = new Map<string, string>();
      const unanswered: string[] = [];
      let nonce = 0;
      const push = (phase: 'answers' | 'additions' | 'all') => {
        nonce += 1;
        const sent = subscription.next(world, phase, String(nonce));
        if (sent === undefined) return false;
        unanswered.push(String(nonce));
        for (const resource of sent.resources) holds.set(resource.name, resource.version);
        for (const removed of [...sent.removed, ...sent.absent]) holds.delete(removed);
        return true;
      };
      const ack = () => {
        for (const one of unanswered.splice(0)) subscription.request({ ...nothing, nonce: one });
      };
      subscription.request(nothing);
      for (const one of steps) {
        if (one.kind === 'set') world.set(one.name, one.version);
        if (one.kind === 'delete') world.resources.delete(one.name);
        if (one.kind === 'set' || one.kind === 'delete') subscription.changed(new Set([one.name]));
        if (one.kind === 'all') subscription.changed('all');
        if (one.kind === 'request') {
          const unsubscribe = one.unsubscribe.filter((gone) => !one.subscribe.includes(gone));
          subscription.request({ ...nothing, subscribe: one.subscribe, unsubscribe });
          // What a client drops by itself when it unsubscribes: everything that it no longer wants.
          if (!subscription.names.has('*')) for (const held of holds.keys()) if (!subscription.names.has(held)) holds.delete(held);
        }
        if (one.kind === 'push') push(one.phase);
        if (one.kind === 'ack') ack();
      }
      for (let more = true; more; ) {
        ack();
        more = push('all');
      }
      const expected = new Map<string, string>();
      for (const [known, resource] of world.resources)
        if (resource !== 'pending' && (subscription.names.has('*') || subscription.names.has(known))) expected.set(known, resource.version);
      expect(new Map([...holds].sort())).toEqual(new Map([...expected].sort()));
    }),
    { numRuns: 2_000 },
  );
});
