import type { WorkloadSelection } from '@outrigger/resources';
import { beforeEach, expect, test } from 'vitest';
import { FakeClock } from '../testing/fake-clock.ts';
import { registration } from '../testing/registrations.ts';
import { type AttachedRegistry, createAttachedRegistry } from './attached-registry.ts';
import { createSelectingRegistry, type SelectingRegistry } from './selecting-registry.ts';

const HOST = 'orders-v1.default.svc.cluster.local';

let attached: AttachedRegistry;
let registry: SelectingRegistry;
let told: string[][];

beforeEach(() => {
  attached = createAttachedRegistry({ clock: new FakeClock(), trustDomain: 'cluster.local' });
  registry = createSelectingRegistry(attached);
  told = [];
  registry.onChange(({ endpoints }) => told.push([...endpoints].sort()));
});

const selection = (changes: Partial<WorkloadSelection> = {}): WorkloadSelection => ({
  name: 'orders-v1',
  namespace: 'default',
  labels: { app: 'order-service', version: 'v1' },
  hosts: [HOST],
  ports: [{ name: 'web', number: 8080, protocol: 'HTTP' }],
  ...changes,
});

function attach(instance: string, version: string) {
  const lease = attached.attach(registration({ instance, labels: { app: 'order-service', version } }), instance, () => {});
  if ('refused' in lease) throw new Error(lease.reason);
  return lease;
}

const ids = (host = HOST): string[] => registry.instancesOf(host).map(({ id }) => id);

test('a workload that a selector picks is an endpoint of that host too, for as long as both are there', () => {
  const v1 = attach('one', 'v1');
  attach('two', 'v2');
  told.length = 0;
  registry.select([selection()]);
  expect(ids()).toEqual(['default/one~orders-v1']);
  expect(registry.instancesOf(HOST)[0]).toMatchObject({
    services: [HOST],
    ports: [{ name: 'web', servicePort: 8080, protocol: 'HTTP', meshPort: 15_100, applicationPort: 9001 }],
  });
  expect(ids('order-service.default.svc.cluster.local')).toEqual(['default/one', 'default/two']);
  expect(told).toEqual([[HOST]]);
  attach('three', 'v1');
  expect(ids()).toEqual(['default/one~orders-v1', 'default/three~orders-v1']);
  v1.health(false, 'it fails');
  expect(registry.instancesOf(HOST)[0]?.health).toBe('UNHEALTHY');
  v1.close();
  expect(ids()).toEqual(['default/three~orders-v1']);
  registry.select([]);
  expect(ids()).toEqual([]);
});

test('what does not change is not told', () => {
  attach('one', 'v1');
  registry.select([selection()]);
  told.length = 0;
  registry.select([selection()]);
  expect(told).toEqual([]);
  attach('two', 'v2');
  expect(told).toEqual([['order-service.default.svc.cluster.local']]);
});

test.each([
  ['of another namespace', selection({ namespace: 'other' }), []],
  ['with other labels', selection({ labels: { app: 'order-service', version: 'v3' } }), []],
  ['by the port of its application', selection({ ports: [{ name: 'web', number: 80, targetPort: 9001, protocol: 'HTTP' }] }), ['default/one~orders-v1']],
  ['with a port that it does not have', selection({ ports: [{ name: 'web', number: 80, protocol: 'HTTP' }] }), []],
])('a selector %s', (_, selected, expected) => {
  attach('one', 'v1');
  registry.select([selected]);
  expect(ids()).toEqual(expected);
});

test('a host that it has by itself it is not a second time', () => {
  attach('one', 'v1');
  const own = 'order-service.default.svc.cluster.local';
  registry.select([selection({ hosts: [own] })]);
  expect(ids(own)).toEqual(['default/one']);
});
