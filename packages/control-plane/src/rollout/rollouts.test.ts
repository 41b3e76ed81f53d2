import { type Instance, type Resource, readResources, refKey, refOf, type Service, type VirtualServiceSpec } from '@outrigger/resources';
import type { MeshChange } from '@outrigger/translate';
import { beforeEach, describe, expect, test } from 'vitest';
import { memoryKeyValue } from '../store/key-value.ts';
import { type Records, recordsOf } from '../store/records.ts';
import type { Party } from '../telemetry/windows.ts';
import { FakeClock } from '../testing/fake-clock.ts';
import { laidOver, type SplitInForce } from './laid.ts';
import { Rollouts } from './rollouts.ts';
import type { StoredRollout } from './stored.ts';
import { type Behaviour, seeded, served } from './testing/simulated.ts';

const HOST = 'orders.default.svc.cluster.local';
const service = { hostname: HOST, name: 'orders', namespace: 'default' } as Service;
const instance = (version: string, health: Instance['health'] = 'HEALTHY'): Instance =>
  ({
    id: `default/orders-${version}`,
    namespace: 'default',
    labels: { app: 'orders', version },
    meshed: true,
    health,
    services: [HOST],
  }) as unknown as Instance;
const rollout = (name = 'orders', spec = 'service: orders, to: v2, steps: [10, 50, 100], every: 5s', generation = 1) => `apiVersion: outrigger.dev/v1alpha1
kind: Rollout
metadata: {name: ${name}, namespace: default, uid: ${name}, generation: ${generation}, creationTimestamp: "2030-01-01T00:00:00Z"}
spec: {${spec}}
`;
const VIRTUAL_SERVICE = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: orders, namespace: default}
spec: {hosts: [orders], http: [{route: [{destination: {host: orders}}]}]}
`;
const good: Behaviour = { failing: 0, medianMs: 20 };

/** A control plane's rollouts, with what the mesh would have. */
class World {
  readonly clock = new FakeClock();
  readonly records: Records<StoredRollout> = recordsOf(memoryKeyValue(), 'rollout');
  readonly random = seeded(1);
  instances = [instance('v1'), instance('v2')];
  resources: readonly Resource[] = [];
  readonly mesh = new Map<string, Resource>();
  changes = 0;
  rollouts = this.start();

  start(): Rollouts {
    this.rollouts = new Rollouts({
      clock: this.clock,
      log: () => {},
      records: this.records,
      resources: () => this.resources,
      world: { service: () => service, instancesOf: () => this.instances },
      domainSuffix: 'cluster.local',
      change: (change) => this.#take(change),
      onChange: () => {},
    });
    this.#take(this.rollouts.adapt({ put: this.resources, remove: [] }));
    return this.rollouts;
  }

  async apply(text: string): Promise<void> {
    const { resources } = await readResources([{ file: 'mesh.yaml', text }]);
    const removed = this.resources.filter((resource) => !resources.some((other) => refKey(refOf(other)) === refKey(refOf(resource))));
    this.resources = resources;
    this.#take(this.rollouts.adapt({ put: resources, remove: removed.map(refOf) }));
  }

  /** Instances have come or gone. */
  changed(): void {
    this.#take(this.rollouts.worldChanged());
  }

  #take({ put = [], remove = [] }: MeshChange): void {
    this.changes += 1;
    for (const ref of remove) this.mesh.delete(refKey(ref));
    for (const resource of put) this.mesh.set(refKey(refOf(resource)), resource);
  }

  /** Weights of the route for every call, by subset. */
  weights(name = 'outrigger-rollout-orders'): Record<string, number> | undefined {
    const resource = this.mesh.get(`networking.istio.io/VirtualService default/${name}`) as Resource<VirtualServiceSpec> | undefined;
    if (resource === undefined) return undefined;
    return Object.fromEntries((resource.spec.http?.[0]?.route ?? []).map(({ destination, weight = 10_000 }) => [destination.subset ?? '', weight / 100]));
  }

  /** A second of a service with so many requests, as the sidecars report it. */
  second(fresh: Behaviour, rate = 400): void {
    this.clock.advance(1_000);
    const view = this.rollouts.view('default', 'orders');
    for (const [version, behaviour, share] of [
      ['v1', good, 100 - (view?.weight ?? 50)],
      ['v2', fresh, view?.weight ?? 50],
    ] as const) {
      const arm = served((rate * share) / 100, behaviour, this.random);
      const party = (name: string, of: string): Party => ({ service: name, namespace: 'default', version: of });
      this.rollouts.seen({ reporter: 'destination', from: party('web', ''), to: party('orders', version) }, { ...arm, mtls: 0, plain: 0 }, false);
    }
    this.rollouts.tick();
  }

  get phase(): string | undefined {
    return this.rollouts.view('default', 'orders')?.phase;
  }
}

let world: World;
beforeEach(() => {
  world = new World();
});

test('a good version reaches 100 %, each step one change, and what is written stays', async () => {
  await world.apply(VIRTUAL_SERVICE);
  await world.apply(`${VIRTUAL_SERVICE}---\n${rollout()}`);
  const seen: unknown[] = [];
  const changes = world.changes;
  for (let second = 0; second < 60 && world.phase === 'progressing'; second++) {
    const weights = JSON.stringify(world.weights('orders'));
    if (seen.at(-1) !== weights) seen.push(weights);
    world.second(good);
  }
  expect([world.phase, ...seen]).toEqual(['succeeded', '{"v1":90,"v2":10}', '{"v1":50,"v2":50}', '{"v2":100}']);
  expect(world.changes - changes).toBe(2);
  expect((world.resources[0] as Resource<VirtualServiceSpec>).spec.http?.[0]?.route).toEqual([{ destination: { host: 'orders' } }]);
  expect(world.rollouts.statusOf('default', 'orders')).toMatchObject({ state: 'in-effect', summary: expect.stringContaining('all traffic goes to v2') });
});

test('a version that fails 3 % is rolled back in one change', async () => {
  await world.apply(rollout('orders', "service: orders, to: v2, require: ['success>=99.5%']"));
  const changes = world.changes;
  for (let second = 0; second < 300 && world.phase === 'progressing'; second++) world.second({ ...good, failing: 0.03 });
  expect([world.phase, world.weights(), world.changes - changes]).toEqual(['rolled-back', { v1: 100 }, 1]);
});

test('a control plane that was killed goes on with the step and with what was seen', async () => {
  await world.apply(rollout());
  while (world.weights()?.v2 !== 50) world.second(good);
  for (let second = 0; second < 3; second++) world.second(good);
  const before = world.rollouts.view('default', 'orders')!;
  world.clock.advance(60_000);
  world.mesh.clear();
  world.start();
  const after = world.rollouts.view('default', 'orders')!;
  expect(after).toMatchObject({ phase: 'progressing', step: 1, weight: 50, startedAtMs: before.startedAtMs });
  expect(world.weights()).toEqual({ v1: 50, v2: 50 });
  // It was kept within the last two seconds.
  expect(after.arms.to.requests).toBeGreaterThan(0);
  expect(after.arms.to.requests).toBeGreaterThanOrEqual(before.arms.to.requests - 400);
  for (let second = 0; second < 60 && world.phase === 'progressing'; second++) world.second(good);
  expect(world.phase).toBe('succeeded');
});

test('what is in force can be laid over the resources elsewhere, and makes of them what the mesh has', async () => {
  await world.apply(rollout());
  while (world.weights()?.v2 !== 50) world.second(good);
  const told = JSON.parse(JSON.stringify(world.rollouts.inForce)) as SplitInForce[];
  expect(told).toMatchObject([{ rollout: { namespace: 'default', name: 'orders' }, from: 'v1', to: 'v2', split: { to: 50 } }]);
  const laid = laidOver(world.resources, told, 'cluster.local', () => {});
  const written = world.resources.map((resource) => [refKey(refOf(resource)), resource] as const);
  expect(new Map([...written, ...laid])).toEqual(world.mesh);
  world.rollouts.act('default', 'orders', 'abort');
  expect(world.rollouts.inForce).toMatchObject([{ split: { to: 0 } }]);
  await world.apply(VIRTUAL_SERVICE);
  expect(world.rollouts.inForce).toEqual([]);
});

test('requests that reached no instance of a version are failures of it', async () => {
  await world.apply(rollout());
  world.second(good);
  world.rollouts.seenUnreached({ service: 'orders', namespace: 'default', subset: 'v2', requests: 20 });
  world.second(good);
  expect([world.phase, world.weights()]).toEqual(['rolled-back', { v1: 100 }]);
});

test('where the versions have no sidecars their callers’ counts are taken', async () => {
  world.instances = world.instances.map((one) => ({ ...one, meshed: false }));
  await world.apply(rollout());
  const party = (name: string, version: string): Party => ({ service: name, namespace: 'default', version });
  const traffic = { requests: 100, failures: 30, mtls: 0, plain: 0, durations: new Map() };
  world.rollouts.seen({ reporter: 'source', from: party('web', ''), to: party('orders', 'v2') }, traffic, false);
  world.rollouts.tick();
  expect(world.phase).toBe('rolled-back');
});

describe('a version that vanishes', () => {
  test('gets nothing at once, and is rolled back later', async () => {
    await world.apply(rollout());
    world.instances = [instance('v1'), instance('v2', 'UNHEALTHY')];
    world.changed();
    expect([world.phase, world.weights()]).toEqual(['progressing', { v1: 100 }]);
    for (let second = 0; second < 12; second++) {
      world.clock.advance(1_000);
      world.rollouts.tick();
    }
    expect([world.phase, world.rollouts.view('default', 'orders')?.verdict]).toEqual([
      'rolled-back',
      'rolled back (no healthy instance of v2 is left); all traffic goes to v1',
    ]);
  });

  test('after it has succeeded: routes are as they are written', async () => {
    await world.apply(rollout());
    world.rollouts.act('default', 'orders', 'promote');
    expect(world.weights()).toEqual({ v2: 100 });
    world.instances = [instance('v3')];
    world.changed();
    expect(world.weights()).toBeUndefined();
  });
});

describe('it does not begin, and says why', () => {
  const verdict = (name = 'orders') => world.rollouts.view('default', name)?.verdict;

  test('while another of the same service is under way, and begins when that is over', async () => {
    await world.apply(`${rollout()}---\n${rollout('second', 'service: orders, from: v1, to: v2')}`);
    expect(verdict('second')).toBe('has not begun: rollout orders of orders is under way');
    expect(world.rollouts.act('default', 'second', 'promote')).toContain('it has not begun');
    world.rollouts.act('default', 'orders', 'abort');
    world.changed();
    expect(world.rollouts.view('default', 'second')?.phase).toBe('progressing');
    expect(world.weights()).toEqual({ v1: 99, v2: 1 });
  });

  test('until an instance of the new version is there', async () => {
    world.instances = [instance('v1')];
    await world.apply(rollout());
    expect(verdict()).toBe('has not begun: orders has no healthy instance of v2');
    expect(world.weights()).toBeUndefined();
    world.instances = [instance('v1'), instance('v2')];
    world.changed();
    expect(world.phase).toBe('progressing');
  });

  test('where it is not said from which of several versions', async () => {
    world.instances.push(instance('v0'));
    await world.apply(rollout());
    expect(verdict()).toBe('has not begun: orders has several versions: v1, v0');
    await world.apply(rollout('orders', 'service: orders, to: v9', 2));
    expect(verdict()).toBe('has not begun: orders has no healthy instance of v9');
  });

  test('where a route is split already', async () => {
    await world.apply(
      `${VIRTUAL_SERVICE.replace('{destination: {host: orders}}', '{destination: {host: orders, subset: v1}, weight: 5}, {destination: {host: orders, subset: v2}, weight: 5}')}---\n${rollout()}`,
    );
    expect(verdict()).toContain('splits orders between v1 and v2 itself');
  });
});

test('one that is over begins again when that is asked for, and one that is removed leaves nothing', async () => {
  await world.apply(rollout());
  world.rollouts.act('default', 'orders', 'abort');
  expect(world.phase).toBe('aborted');
  world.rollouts.again('default', 'orders');
  expect([world.phase, world.weights()]).toEqual(['progressing', { v1: 90, v2: 10 }]);
  await world.apply(VIRTUAL_SERVICE);
  expect([world.phase, world.weights(), [...world.mesh.keys()]]).toEqual([undefined, undefined, ['networking.istio.io/VirtualService default/orders']]);
  expect(world.records.entries().size).toBe(0);
});

test('a change of its spec that cannot begin leaves in force what there is', async () => {
  await world.apply(rollout());
  world.rollouts.act('default', 'orders', 'promote');
  await world.apply(rollout('orders', 'service: orders, to: v9', 2));
  expect(world.weights()).toEqual({ v2: 100 });
  world.start();
  expect([world.weights(), world.rollouts.view('default', 'orders')?.verdict]).toEqual([
    { v2: 100 },
    'succeeded (promoted by hand); all traffic goes to v2; what it says by now has not begun: orders has no healthy instance of v9',
  ]);
});

test('one that stands still for another reason than somebody’s word is a problem', async () => {
  await world.apply(rollout('orders', 'service: orders, to: v2, deadline: 61s'));
  world.rollouts.act('default', 'orders', 'pause');
  expect(world.rollouts.problems).toEqual([]);
  world.rollouts.act('default', 'orders', 'resume');
  for (let second = 0; second < 70; second++) world.second(good, 0);
  expect([world.phase, world.rollouts.problems.map(({ what }) => what)]).toEqual([
    'paused',
    ['rollout orders is paused: the step has not passed within 61 s; success>=99%: v2 has had 0 of the 100 requests that are needed'],
  ]);
});

test('a change of its spec begins it anew', async () => {
  await world.apply(rollout());
  while (world.weights()?.v2 !== 50) world.second(good);
  await world.apply(rollout('orders', 'service: orders, to: v2, steps: [20, 100]', 2));
  expect(world.weights()).toEqual({ v1: 80, v2: 20 });
});
