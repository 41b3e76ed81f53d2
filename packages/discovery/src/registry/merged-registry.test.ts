import type { Instance, Service } from '@outrigger/resources';
import { beforeEach, describe, expect, test } from 'vitest';
import { FakeClock } from '../testing/fake-clock.ts';
import { registration } from '../testing/registrations.ts';
import { type AttachedRegistry, createAttachedRegistry } from './attached-registry.ts';
import { createMergedRegistry, type MergedRegistry } from './merged-registry.ts';
import { toInstance, toService } from './synthesize.ts';
import { createWholeRegistry, type WholeRegistry } from './whole-registry.ts';

const HOST = 'order-service.default.svc.cluster.local';
const NAMING = { trustDomain: 'cluster.local', dnsDomain: 'cluster.local' };

let config: WholeRegistry;
let attached: AttachedRegistry;
let merged: MergedRegistry;
let changes: { services: string[]; endpoints: string[] }[];

beforeEach(() => {
  config = createWholeRegistry();
  attached = createAttachedRegistry({ clock: new FakeClock(), trustDomain: 'cluster.local' });
  merged = createMergedRegistry(config, attached);
  changes = [];
  merged.onChange(({ services, endpoints }) => changes.push({ services: [...services], endpoints: [...endpoints] }));
});

function service(changes: Partial<Service> = {}): Service {
  return { ...toService(HOST, 'order-service', 'default', [{ name: 'declared', port: 8080, protocol: 'HTTP' }], 0), ...changes };
}

function declared(instance: string, changes: Partial<Instance> = {}): Instance {
  return { ...toInstance(registration({ instance, address: '10.0.0.1', metricsAddress: '' }), 'HEALTHY', NAMING), ...changes };
}

describe('whole registry', () => {
  test('says exactly what differs', () => {
    config.replace([service(), service({ hostname: 'b' })], [declared('a', { services: [HOST] }), declared('b', { services: ['b'] })]);
    changes.length = 0;
    const change = config.replace(
      [service(), service({ hostname: 'b', ports: [] }), service({ hostname: 'c' })],
      [declared('a', { services: [HOST], weight: 7 }), declared('b', { services: ['b'] })],
    );
    expect([...change.services]).toEqual(['b', 'c']);
    expect([...change.endpoints]).toEqual([HOST]);
    expect(changes).toEqual([{ services: ['b', 'c'], endpoints: [HOST] }]);
  });

  test('says nothing where nothing differs', () => {
    config.replace([service()], [declared('a')]);
    changes.length = 0;
    config.replace([service()], [declared('a')]);
    expect(changes).toEqual([]);
  });

  test('of two services with one hostname takes the older', () => {
    config.replace(
      [service({ namespace: 'young', creationTimestamp: '2030-01-02T00:00:00Z' }), service({ namespace: 'old', creationTimestamp: '2030-01-01T00:00:00Z' })],
      [],
    );
    expect(config.service(HOST)?.namespace).toBe('old');
  });
});

describe('merged registry', () => {
  test('has the attached service until configuration declares it, and again after', () => {
    attached.attach(registration(), 'x', () => {});
    expect(merged.service(HOST)?.ports[0]?.name).toBe('http');
    config.replace([service()], []);
    expect(merged.service(HOST)?.ports[0]?.name).toBe('declared');
    expect([...merged.services()]).toHaveLength(1);
    expect(merged.instancesOf(HOST)).toHaveLength(1);
    config.replace([], []);
    expect(merged.service(HOST)?.ports[0]?.name).toBe('http');
    expect(changes.map((change) => change.services)).toEqual([[HOST], [HOST], [HOST]]);
  });

  test('does not tell of changes of a service that configuration overrides, but of its endpoints', () => {
    config.replace([service()], []);
    changes.length = 0;
    attached.attach(registration(), 'x', () => {});
    expect(changes).toEqual([{ services: [], endpoints: [HOST] }]);
  });

  test('joins instances by id: the attached one wins, in order of id', () => {
    config.replace([service()], [declared('z'), declared('order-service-v1-1'), declared('a')]);
    attached.attach(registration(), 'x', () => {});
    expect(merged.instancesOf(HOST).map(({ id, address }) => [id, address])).toEqual([
      ['default/a', '10.0.0.1'],
      ['default/order-service-v1-1', '127.0.0.1'],
      ['default/z', '10.0.0.1'],
    ]);
    expect([...merged.instances()]).toHaveLength(3);
  });

  test('gives a service whose endpoints are SRV records no attached instances', () => {
    attached.attach(registration(), 'x', () => {});
    config.replace([service({ bySrv: true })], [declared('dns', { services: [HOST] })]);
    expect(merged.instancesOf(HOST).map(({ id }) => id)).toEqual([declared('dns').id]);
  });

  test('gives a DNS service no attached instances, and follows when it becomes STATIC', () => {
    attached.attach(registration(), 'x', () => {});
    config.replace([service({ resolution: 'DNS' })], []);
    expect(merged.instancesOf(HOST)).toEqual([]);
    changes.length = 0;
    config.replace([service()], []);
    expect(merged.instancesOf(HOST)).toHaveLength(1);
    expect(changes).toEqual([{ services: [HOST], endpoints: [HOST] }]);
  });

  test('answers of now after each change', () => {
    const lease = attached.attach(registration(), 'x', () => {});
    if ('refused' in lease) throw new Error(lease.reason);
    expect(merged.instancesOf(HOST)[0]!.health).toBe('HEALTHY');
    lease.health(false, 'x');
    expect(merged.instancesOf(HOST)[0]!.health).toBe('UNHEALTHY');
    lease.close();
    expect(merged.instancesOf(HOST)).toEqual([]);
  });

  test('listeners find the new answers already there', () => {
    const seen: number[] = [];
    merged.onChange(() => seen.push(merged.instancesOf(HOST).length));
    attached.attach(registration(), 'x', () => {});
    attached.attach(registration({ instance: 'b' }), 'x', () => {});
    expect(seen).toEqual([1, 2]);
  });
});
