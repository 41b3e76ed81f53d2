import { beforeEach, describe, expect, test } from 'vitest';
import { FakeClock } from '../testing/fake-clock.ts';
import { registration } from '../testing/registrations.ts';
import { type AttachedRegistry, type AttachedRegistryOptions, type Attachment, createAttachedRegistry } from './attached-registry.ts';
import type { Refusal, Registration } from './registration.ts';
import type { RegistryStore } from './registry-store.ts';

const HOST = 'order-service.default.svc.cluster.local';
const ID = 'default/order-service-v1-1';
const CALLER = 'spiffe://cluster.local/ns/default/sa/order-service';

class MemoryStore implements RegistryStore {
  readonly values = new Map<string, Uint8Array>();
  failure: Error | undefined;
  entries() {
    return [...this.values];
  }
  async put(key: string, value: Uint8Array) {
    if (this.failure !== undefined) throw this.failure;
    this.values.set(key, value);
  }
  async delete(key: string) {
    this.values.delete(key);
  }
}

let clock: FakeClock;
let store: MemoryStore;
let registry: AttachedRegistry;
let changes: { services: string[]; endpoints: string[] }[];

beforeEach(() => {
  clock = new FakeClock();
  store = new MemoryStore();
  registry = open();
});

function open(options: Partial<AttachedRegistryOptions> = {}): AttachedRegistry {
  const opened = createAttachedRegistry({ clock, trustDomain: 'cluster.local', store, ...options });
  changes = [];
  opened.onChange(({ services, endpoints }) => changes.push({ services: [...services], endpoints: [...endpoints] }));
  return opened;
}

function attach(of: Registration = registration(), caller = CALLER, ended: (why: string) => void = () => {}): Attachment {
  const attachment = registry.attach(of, caller, ended);
  if ('refused' in attachment) throw new Error(attachment.reason);
  return attachment;
}

function refusal(result: Attachment | Refusal | undefined): Refusal {
  if (result === undefined || !('refused' in result)) throw new Error('it was accepted');
  return result;
}

function ids(): string[] {
  return registry.instancesOf(HOST).map((instance) => instance.id);
}

describe('attach', () => {
  test('makes an instance and its service, and says so once', () => {
    attach();
    expect(registry.service(HOST)).toMatchObject({
      hostname: HOST,
      name: 'order-service',
      namespace: 'default',
      resolution: 'STATIC',
      location: 'MESH_INTERNAL',
      exportTo: [],
      ports: [{ name: 'http', port: 8080, protocol: 'HTTP' }],
    });
    expect(registry.instancesOf(HOST)).toEqual([
      expect.objectContaining({
        id: ID,
        workload: 'order-service-v1',
        trustDomain: 'cluster.local',
        meshed: true,
        health: 'HEALTHY',
        services: [HOST],
        ports: [{ name: 'http', servicePort: 8080, protocol: 'HTTP', meshPort: 15_100, applicationPort: 9001 }],
      }),
    ]);
    expect(changes).toEqual([{ services: [HOST], endpoints: [HOST] }]);
  });

  test('of a second instance changes endpoints alone', () => {
    attach();
    attach(registration({ instance: 'order-service-v2-1', labels: { version: 'v2' } }));
    expect(changes.slice(1)).toEqual([{ services: [], endpoints: [HOST] }]);
    expect(ids()).toEqual([ID, 'default/order-service-v2-1']);
  });

  test('without ports is known and is no endpoint, whether it is new or gives up its ports', () => {
    const serving = attach();
    attach(registration({ instance: 'job', ports: [] }));
    expect([...registry.entries()].map(({ instance }) => instance.id)).toEqual([ID, 'default/job']);
    expect(ids()).toEqual([ID]);
    expect(serving.update(registration({ ports: [] }))).toBeUndefined();
    expect(ids()).toEqual([]);
    serving.close();
    expect([...registry.entries()].map(({ instance }) => instance.services)).toEqual([[]]);
  });

  test('of a gateway takes no mesh mTLS by itself', () => {
    attach(registration({ labels: { 'outrigger.dev/role': 'gateway' } }));
    expect(registry.instancesOf(HOST)[0]!.meshed).toBe(false);
  });

  test('merges ports; of two that disagree the first to come is right, until it goes', () => {
    const first = attach();
    clock.advance(1);
    attach(
      registration({
        instance: 'b',
        ports: [
          { name: 'grpc', servicePort: 8080, meshPort: 1 },
          { name: 'tcp', servicePort: 9, meshPort: 2 },
        ],
      }),
    );
    expect(registry.service(HOST)?.ports).toEqual([
      { name: 'tcp', port: 9, protocol: 'TCP' },
      { name: 'http', port: 8080, protocol: 'HTTP' },
    ]);
    first.close();
    expect(registry.service(HOST)?.ports).toEqual([
      { name: 'tcp', port: 9, protocol: 'TCP' },
      { name: 'grpc', port: 8080, protocol: 'GRPC' },
    ]);
  });

  test('update shows new ports and drops the old', () => {
    const lease = attach();
    expect(lease.update(registration({ ports: [{ name: 'tcp', servicePort: 9, meshPort: 2 }] }))).toBeUndefined();
    expect(registry.service(HOST)?.ports).toEqual([{ name: 'tcp', port: 9, protocol: 'TCP' }]);
    expect(registry.instancesOf(HOST)[0]!.ports[0]!.meshPort).toBe(2);
    expect(refusal(lease.update(registration({ instance: 'other' }))).refused).toBe('invalid');
  });

  test('with nothing new in it changes nothing', () => {
    attach();
    attach(registration({ applicationPid: 200 }));
    expect(changes).toHaveLength(1);
    expect(registry.entry(ID)?.registration.applicationPid).toBe(200);
  });
});

describe('a lease', () => {
  test('holds while heartbeats come and is lost 1.5 s after the last', () => {
    const ended: string[] = [];
    const lease = attach(registration(), CALLER, (why) => ended.push(why));
    for (let i = 0; i < 20; i += 1) {
      clock.advance(500);
      lease.heartbeat();
    }
    clock.advance(1499);
    expect(ids()).toEqual([ID]);
    clock.advance(1);
    expect(ids()).toEqual([]);
    expect(ended).toEqual(['lost']);
    expect(changes.at(-1)).toEqual({ services: [], endpoints: [HOST] });
    // What a lost agent still says counts for nothing.
    lease.heartbeat();
    lease.health(true, '');
    expect(ids()).toEqual([]);
  });

  test('ends at once when its stream closes', () => {
    attach().close();
    expect(ids()).toEqual([]);
    expect(store.values.size).toBe(0);
  });

  test('is not lost because this process stood still', () => {
    const lease = attach();
    clock.stall(10_000);
    expect(ids()).toEqual([ID]);
    lease.heartbeat();
    clock.advance(1000);
    expect(ids()).toEqual([ID]);
    clock.advance(1000);
    expect(ids()).toEqual([]);
  });

  test('that stays silent after a standstill is lost then', () => {
    attach();
    clock.stall(10_000);
    clock.advance(500);
    expect(ids()).toEqual([]);
  });

  test('reports health, and says each change once', () => {
    const lease = attach();
    lease.health(false, 'HTTP 500\u001b[31m');
    clock.advance(300);
    lease.health(false, 'HTTP 503');
    const saidAtMs = clock.now();
    clock.advance(300);
    lease.health(false, 'HTTP 503');
    expect(registry.entry(ID)?.saidAtMs).toBe(saidAtMs);
    expect(registry.instancesOf(HOST)[0]!.health).toBe('UNHEALTHY');
    expect(registry.entry(ID)?.reason).toBe('HTTP 503');
    lease.health(true, 'certificate a\u001b\ncertificate b');
    expect(registry.entry(ID)).toMatchObject({ reason: '', warning: 'certificate a \ncertificate b' });
    expect(changes).toHaveLength(3);
    lease.health(false, `a\u001bb${'x'.repeat(1000)}`);
    expect(registry.entry(ID)?.reason).toMatch(/^a bx{253}$/);
  });

  test('drains on leave, whatever its health, and ends when it closes', () => {
    const lease = attach();
    lease.leave();
    lease.health(false, 'stopping');
    expect(registry.instancesOf(HOST)[0]!.health).toBe('DRAINING');
    lease.close();
    expect(ids()).toEqual([]);
  });

  test('is taken over by the same sidecar coming back, and the old stream then takes nothing with it', () => {
    const ended: string[] = [];
    const old = attach(registration(), CALLER, (why) => ended.push(why));
    attach();
    expect(ended).toEqual(['replaced']);
    old.close();
    expect(ids()).toEqual([ID]);
  });

  test('is not taken by another copy under the same name while it lives', () => {
    const lease = attach();
    const copy = registration({ address: '10.0.0.9', metricsAddress: '' });
    expect(refusal(registry.attach(copy, CALLER, () => {}))).toEqual({ refused: 'taken', reason: expect.stringContaining('127.0.0.1') });
    lease.heartbeat();
    clock.advance(800);
    // Silent for longer than a heartbeat and a half: the old one is as good as gone.
    expect('refused' in registry.attach(copy, CALLER, () => {})).toBe(false);
  });

  test('is never taken by another service account', () => {
    attach();
    clock.advance(1400);
    const thief = registration({ service: 'thief', serviceAccount: 'thief' });
    expect(refusal(registry.attach(thief, 'spiffe://cluster.local/ns/default/sa/thief', () => {})).refused).toBe('taken');
    expect(ids()).toEqual([ID]);
  });
});

describe('limits', () => {
  test('hold for one caller and for all', () => {
    registry = open({ maxInstances: 3, maxInstancesPerCaller: 2 });
    const first = attach(registration({ instance: 'a' }), 'x');
    attach(registration({ instance: 'b' }), 'x');
    expect(refusal(registry.attach(registration({ instance: 'c' }), 'x', () => {}))).toEqual({
      refused: 'limit',
      reason: expect.stringContaining('x has registered 2'),
    });
    attach(registration({ instance: 'c' }), 'y');
    expect(refusal(registry.attach(registration({ instance: 'd' }), 'y', () => {})).refused).toBe('limit');
    first.close();
    attach(registration({ instance: 'd' }), 'x');
  });
});

describe('a service without instances', () => {
  test("stays for a time, so that its name does not pass for a stranger's, and then goes", () => {
    registry = open({ serviceRetentionMs: 60_000 });
    attach().close();
    clock.advance(59_999);
    expect(registry.service(HOST)?.ports).toHaveLength(1);
    clock.advance(1);
    expect(registry.service(HOST)).toBeUndefined();
    expect(changes.at(-1)).toEqual({ services: [HOST], endpoints: [HOST] });
  });

  test('lives on when an instance comes back in time', () => {
    registry = open({ serviceRetentionMs: 60_000 });
    attach().close();
    clock.advance(30_000);
    const lease = attach();
    for (let i = 0; i < 100; i += 1) {
      clock.advance(1000);
      lease.heartbeat();
    }
    expect(registry.service(HOST)).toBeDefined();
  });
});

describe('after a restart of the control plane', () => {
  test('instances are kept until their agents come back', () => {
    attach().health(false, 'slow');
    registry.close();
    registry = open();
    expect(registry.instancesOf(HOST)[0]).toMatchObject({ id: ID, health: 'UNHEALTHY' });
    expect(registry.entry(ID)).toMatchObject({ source: 'restored', reason: 'slow' });
    clock.advance(9000);
    attach();
    expect(registry.entry(ID)).toMatchObject({ source: 'stream', reason: '' });
  });

  test('and are gone after the grace time when they do not', () => {
    attach();
    registry.close();
    registry = open();
    clock.advance(9999);
    expect(ids()).toEqual([ID]);
    clock.advance(1);
    expect(ids()).toEqual([]);
    expect(store.values.size).toBe(0);
  });

  test('a stream that ends with the control plane keeps its instance for the next', () => {
    const lease = attach();
    registry.close();
    lease.close();
    expect(store.values.size).toBe(1);
  });

  test('what is broken in the store is left out', () => {
    attach();
    registry.close();
    store.values.set('default/bad', Buffer.from('{"version":1,"registration":{"address":"0.0.0.0"}}'));
    store.values.set('default/worse', Buffer.from([0xff, 0]));
    registry = open();
    expect(ids()).toEqual([ID]);
    expect([...store.values.keys()]).toEqual([ID]);
  });

  test('drained stays drained', () => {
    attach().leave();
    registry.close();
    registry = open();
    expect(registry.instancesOf(HOST)[0]!.health).toBe('DRAINING');
  });
});

describe('instances of the API', () => {
  const db = registration({ instance: 'db-1', dataPlane: 'none' });

  test('live until their time is over, over a restart too', async () => {
    expect(await registry.put(db, 'api', 60_000)).toBeUndefined();
    expect(registry.instancesOf(HOST)[0]).toMatchObject({ id: 'default/db-1', meshed: false });
    registry.close();
    registry = open();
    clock.advance(59_999);
    expect(ids()).toEqual(['default/db-1']);
    clock.advance(1);
    expect(ids()).toEqual([]);
  });

  test('that ended while the control plane was away do not come back', async () => {
    await registry.put(db, 'api', 60_000);
    registry.close();
    clock.advance(60_000);
    registry = open();
    expect(ids()).toEqual([]);
  });

  test('are prolonged without a change, and taken out', async () => {
    await registry.put(db, 'api', 60_000);
    clock.advance(50_000);
    await registry.put(db, 'api', 60_000);
    clock.advance(50_000);
    expect(ids()).toEqual(['default/db-1']);
    expect(changes).toHaveLength(1);
    expect(await registry.remove('default/db-1')).toBeUndefined();
    expect(ids()).toEqual([]);
    expect((await registry.remove('default/db-1'))?.refused).toBe('unknown');
  });

  test.each([0, 999, Number.NaN, 24 * 3_600_000 + 1])('have no life of %s ms', async (ttlMs) => {
    expect((await registry.put(db, 'api', ttlMs))?.refused).toBe('invalid');
  });

  test('do not take the place of an attached one, nor take it out', async () => {
    attach();
    expect((await registry.put(registration(), 'api', 60_000))?.refused).toBe('taken');
    expect((await registry.remove(ID))?.refused).toBe('taken');
  });

  test('that cannot be stored are not there', async () => {
    store.failure = new Error('disk full');
    await expect(registry.put(db, 'api', 60_000)).rejects.toThrow('disk full');
    expect(ids()).toEqual([]);
  });
});

test('a failing store is said, and the registry of attached instances goes on', async () => {
  const errors: string[] = [];
  registry = open({ onStoreError: (error) => errors.push(error.message) });
  store.failure = new Error('disk full');
  attach();
  await Promise.resolve();
  await Promise.resolve();
  expect(errors).toEqual(['disk full']);
  expect(ids()).toEqual([ID]);
});
