import { create } from '@bufbuild/protobuf';
import { NodeSchema } from '@outrigger/xds/protos/envoy/config/core/v3/base';
import { describe, expect, test } from 'vitest';
import { TypeUrl } from '../source.ts';
import { MapSource, textResource } from '../testing/map-source.ts';
import { DeltaSubscription } from './delta-subscription.ts';
import { DEFAULT_ADS_LIMITS } from './limits.ts';
import { DiscoveryStream, type StreamClock, type TypedPush } from './stream.ts';

class ManualClock implements StreamClock {
  #nowMs = 1_000;
  readonly #timers: { dueMs: number; callback: () => void }[] = [];

  now(): number {
    return this.#nowMs;
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer = { dueMs: this.#nowMs + delayMs, callback };
    this.#timers.push(timer);
    return () => {
      const index = this.#timers.indexOf(timer);
      if (index >= 0) this.#timers.splice(index, 1);
    };
  }

  advance(byMs: number): void {
    this.#nowMs += byMs;
    for (const timer of [...this.#timers]) if (timer.dueMs <= this.#nowMs) timer.callback();
  }
}

function setUp() {
  const source = new MapSource();
  const clock = new ManualClock();
  const makeSubscription = (typeUrl: TypeUrl): DeltaSubscription => new DeltaSubscription(typeUrl, DEFAULT_ADS_LIMITS);
  const service = { protocol: 'delta' as const, source, makeSubscription, limits: DEFAULT_ADS_LIMITS, clock, observer: {} };
  const stream = new DiscoveryStream(service, 1, create(NodeSchema, { id: 'n' }), { spiffeId: undefined, remote: 'test' }, () => {});
  const request = (typeUrl: TypeUrl, subscribe: string[], nonce = '', error?: string) =>
    stream.receive(typeUrl, (subscription) => subscription.request({ subscribe, unsubscribe: [], initialVersions: {}, nonce, error }));
  const answer = ({ typeUrl, push }: TypedPush, error?: string) => request(typeUrl, [], push.nonce, error);
  /** "cluster+a", "route-r"; what comes without an answer to any of it. */
  const drain = (): { text: string[]; pushes: TypedPush[] } => {
    const pushes: TypedPush[] = [];
    for (let push = stream.next(); push !== undefined; push = stream.next()) pushes.push(push);
    return { pushes, text: pushes.map(textOf) };
  };
  return { source, clock, stream, request, answer, drain };
}

function textOf({ typeUrl, push }: TypedPush): string {
  const type = Object.entries(TypeUrl).find(([, url]) => url === typeUrl)![0];
  return [type, ...push.resources.map(({ name }) => `+${name}`), ...push.removed.map((name) => `-${name}`), ...push.absent.map((name) => `?${name}`)].join(' ');
}

/** A client that has cluster "old", its endpoints, a listener and the route "r". */
function withEverything() {
  const set = setUp();
  set.source.set(TypeUrl.cluster, textResource('old', '1'));
  set.source.set(TypeUrl.endpoint, textResource('old', '1'));
  set.source.set(TypeUrl.listener, textResource('l', '1'));
  set.source.set(TypeUrl.route, textResource('r', '1'));
  set.request(TypeUrl.cluster, ['*']);
  set.request(TypeUrl.listener, ['*']);
  set.request(TypeUrl.endpoint, ['old']);
  set.request(TypeUrl.route, ['r']);
  for (const push of set.drain().pushes) set.answer(push);
  expect(set.drain().text).toEqual([]);
  return set;
}

describe('make before break', () => {
  test('a route moves to a new cluster: cluster, endpoints, route, and only then the old cluster goes', () => {
    const { source, request, answer, drain } = withEverything();
    source.apply([
      [TypeUrl.route, 'r', textResource('r', '2')],
      [TypeUrl.cluster, 'old', undefined],
      [TypeUrl.cluster, 'new', textResource('new', '1')],
      [TypeUrl.endpoint, 'new', textResource('new', '1')],
    ]);
    const clusters = drain();
    expect(clusters.text).toEqual(['cluster +new']);
    answer(clusters.pushes[0]!);
    request(TypeUrl.endpoint, ['new']);
    const endpoints = drain();
    expect(endpoints.text).toEqual(['endpoint +new']);
    answer(endpoints.pushes[0]!);
    const routes = drain();
    expect(routes.text).toEqual(['route +r']);
    answer(routes.pushes[0]!);
    expect(drain().text).toEqual(['cluster -old']);
  });

  test('a virtual host that goes and one that comes are one response, since the one may have the domains of the other', () => {
    const { source, request, answer, drain } = setUp();
    source.set(TypeUrl.virtualHost, textResource('t/old', '1'));
    request(TypeUrl.virtualHost, ['t/old', 't/new']);
    for (const push of drain().pushes) answer(push);
    source.apply([
      [TypeUrl.virtualHost, 't/old', undefined],
      [TypeUrl.virtualHost, 't/new', textResource('t/new', '1')],
    ]);
    expect(drain().text).toEqual(['virtualHost +t/new -t/old']);
  });

  test('a client that does not answer holds the order up for a time only', () => {
    const { source, clock, drain } = withEverything();
    source.apply([
      [TypeUrl.cluster, 'new', textResource('new', '1')],
      [TypeUrl.route, 'r', textResource('r', '2')],
    ]);
    expect(drain().text).toEqual(['cluster +new']);
    clock.advance(DEFAULT_ADS_LIMITS.orderWaitMs - 1);
    expect(drain().text).toEqual([]);
    clock.advance(1);
    expect(drain().text).toEqual(['route +r']);
  });

  test('a NACK of the clusters does not hold the routes up', () => {
    const { source, answer, drain } = withEverything();
    source.apply([
      [TypeUrl.cluster, 'new', textResource('new', '1')],
      [TypeUrl.route, 'r', textResource('r', '2')],
    ]);
    answer(drain().pushes[0]!, 'no');
    expect(drain().text).toEqual(['route +r']);
  });

  test('what a client asks for by name waits for nothing', () => {
    const { source, request, drain } = withEverything();
    source.set(TypeUrl.virtualHost, textResource('http_proxy/order', '1'));
    source.set(TypeUrl.cluster, textResource('new', '1'));
    expect(drain().text).toEqual(['cluster +new']);
    request(TypeUrl.virtualHost, ['http_proxy/order']);
    expect(drain().text).toEqual(['virtualHost +http_proxy/order']);
  });
});

test('a changed cluster is followed by its endpoints, though they are the same', () => {
  const { source, drain } = withEverything();
  source.set(TypeUrl.cluster, textResource('old', '2'));
  expect(drain().text).toEqual(['cluster +old', 'endpoint +old']);
});

describe('settled', () => {
  test('is said when everything that was announced is answered, also where nothing was to be sent', () => {
    const { source, answer, drain } = withEverything();
    source.events.length = 0;
    source.set(TypeUrl.endpoint, textResource('nobody-asked', '1'));
    drain();
    expect(source.events).toEqual([{ kind: 'settled', typeUrl: TypeUrl.endpoint }]);
    source.events.length = 0;
    source.set(TypeUrl.route, textResource('r', '2'));
    const { pushes } = drain();
    expect(source.events).toEqual([]);
    answer(pushes[0]!, 'I refuse');
    drain();
    expect(source.events.map(({ kind }) => kind)).toEqual(['nacked', 'settled']);
  });
});

test('status tells what was sent, what was taken, and the words of a refusal', () => {
  const { source, stream, answer, drain } = withEverything();
  const typeOf = () => stream.status().types.find(({ typeUrl }) => typeUrl === TypeUrl.route)!;
  expect(typeOf()).toMatchObject({ sync: 'synced', nacked: undefined });
  const before = typeOf().ackedVersion;
  source.set(TypeUrl.route, textResource('r', '2'));
  const { pushes } = drain();
  expect(typeOf()).toMatchObject({ sync: 'stale', ackedVersion: before });
  answer(pushes[0]!, 'unknown cluster');
  expect(typeOf()).toMatchObject({
    sync: 'refused',
    ackedVersion: before,
    nacked: { message: 'unknown cluster', names: ['r'], version: typeOf().sentVersion },
  });
});

test('a closed stream says nothing more, and its view is closed once', () => {
  const { source, stream, drain } = withEverything();
  stream.close();
  stream.close();
  source.set(TypeUrl.route, textResource('r', '2'));
  expect(drain().text).toEqual([]);
  expect(source.events.filter(({ kind }) => kind === 'closed')).toHaveLength(1);
});
