import { instancesOf, type Resource, type ResourceRef, refKey, refOf, resourceFrom, type SrvEndpoint, servicesOf } from '@outrigger/resources';
import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { type ConfigRegistry, createConfigRegistry } from './config-registry.ts';
import { createWholeRegistry } from './whole-registry.ts';

const API = 'networking.istio.io/v1';

function resource(kind: string, name: string, spec: object, { namespace = 'default', labels = {}, creationTimestamp = '2030-01-01T00:00:00Z' } = {}): Resource {
  return resourceFrom({ apiVersion: API, kind, metadata: { name, namespace, labels, creationTimestamp }, spec } as unknown as Parameters<
    typeof resourceFrom
  >[0]);
}

const entry = (name: string, spec: object = {}, more = {}): Resource =>
  resource('ServiceEntry', name, { hosts: [`${name}.example`], resolution: 'STATIC', ports: [{ number: 80, name: 'http', protocol: 'HTTP' }], ...spec }, more);
const workload = (name: string, labels: Record<string, string>, spec: object = {}, more = {}): Resource =>
  resource('WorkloadEntry', name, { address: '10.0.0.1', labels, ...spec }, more);
const refsOf = (...resources: Resource[]): ResourceRef[] => resources.map(refOf);

let registry: ConfigRegistry;
let told: { services: string[]; endpoints: string[] }[];

beforeEach(() => {
  registry = createConfigRegistry();
  told = [];
  registry.onChange(({ services, endpoints }) => told.push({ services: [...services].sort(), endpoints: [...endpoints].sort() }));
});

const ids = (hostname: string): string[] => registry.instancesOf(hostname).map(({ id }) => id);

describe('names of SRV records', () => {
  const found = new Map<string, SrvEndpoint[]>();
  const wanted = new Map<string, readonly string[]>();
  let onWant = (): void => {};
  let changed: (owners: ReadonlySet<string>) => void;
  const named = (srv: string): Resource => {
    const made = entry('orders', { resolution: 'DNS' });
    return { ...made, metadata: { ...made.metadata, annotations: { 'outrigger.dev/srv': srv } } };
  };

  beforeEach(() => {
    found.clear();
    onWant = () => {};
    registry = createConfigRegistry({
      srv: {
        want: (owner, names) => {
          wanted.set(owner, [...names]);
          onWant();
        },
        resolved: (name) => found.get(name),
        onChange: (listener) => {
          changed = listener;
          return () => {};
        },
      },
    });
    registry.onChange(({ services, endpoints }) => told.push({ services: [...services], endpoints: [...endpoints] }));
  });

  test('are wanted for as long as their ServiceEntry is there', () => {
    registry.change({ put: [named('_http._tcp.a.example')], remove: [] });
    expect([...wanted]).toEqual([[refKey(refOf(named(''))), ['_http._tcp.a.example']]]);
    registry.change({ put: [named('_http._tcp.b.example')], remove: [] });
    expect([...wanted.values()]).toEqual([['_http._tcp.b.example']]);
    registry.change({ put: [], remove: refsOf(named('')) });
    expect([...wanted.values()]).toEqual([[]]);
  });

  test('are never without somebody who wants them while they go from one entry to another', () => {
    const renamed = (metadata: Resource['metadata']): Resource => ({ ...named('_http._tcp.a.example'), metadata });
    const { metadata } = named('_http._tcp.a.example');
    registry.change({ put: [named('_http._tcp.a.example')], remove: [] });
    const all: string[][] = [];
    onWant = () => all.push([...wanted.values()].flat());
    registry.change({ put: [renamed({ ...metadata, name: 'renamed' })], remove: refsOf(named('')) });
    registry.change({ put: [renamed({ ...metadata, name: 'renamed', annotations: {} }), named('_http._tcp.a.example')], remove: [] });
    expect(all.every((names) => names.includes('_http._tcp.a.example'))).toBe(true);
    expect([...wanted].filter(([, names]) => names.length > 0)).toEqual([[refKey(refOf(named(''))), ['_http._tcp.a.example']]]);
  });

  test('have the endpoints of now, which are told when they change', () => {
    registry.change({ put: [named('_http._tcp.a.example')], remove: [] });
    told = [];
    found.set('_http._tcp.a.example', [{ address: '10.0.0.1', port: 81, priority: 0, weight: 1 }]);
    changed(new Set(wanted.keys()));
    expect(ids('orders.example')).toEqual(['default/orders-http-10.0.0.1:81']);
    expect(told).toEqual([{ services: [], endpoints: ['orders.example'] }]);
    found.set('_http._tcp.a.example', []);
    changed(new Set(wanted.keys()));
    expect(ids('orders.example')).toEqual([]);
  });
});

describe('what configuration declares', () => {
  test('a workload is of the services that select it, in whatever order they come', () => {
    registry.change({ put: [workload('w', { app: 'a', version: 'v1' })], remove: [] });
    registry.change({ put: [entry('a', { workloadSelector: { labels: { app: 'a' } } })], remove: [] });
    expect(ids('a.example')).toEqual(['default/w']);
    registry.change({ put: [entry('b', { workloadSelector: { labels: { version: 'v1' } } })], remove: [] });
    expect(registry.instancesOf('b.example')[0]?.services).toEqual(['a.example', 'b.example']);
    registry.change({ put: [], remove: refsOf(entry('a')) });
    expect([ids('a.example'), ids('b.example')]).toEqual([[], ['default/w']]);
  });

  test('the instances of a workload are called the same, in whatever order its services come', () => {
    const selector = { workloadSelector: { labels: {} } };
    const ported = (name: string, targetPort: number): Resource =>
      entry(name, { ...selector, hosts: ['x.example'], ports: [{ number: 80, name: 'http', protocol: 'HTTP', targetPort }] });
    const portOf = (): number | undefined => registry.instancesOf('x.example').find(({ id }) => id === 'default/w')?.ports[0]?.meshPort;
    registry.change({ put: [workload('w', { app: 'a' }), ported('b', 81)], remove: [] });
    registry.change({ put: [ported('a', 80)], remove: [] });
    expect(portOf()).toBe(80);
  });

  test('only what differs is told', () => {
    const own = entry('own', { endpoints: [{ address: '10.0.0.9' }] });
    registry.change({ put: [own, entry('a', { workloadSelector: { labels: { app: 'a' } } }), workload('w', { app: 'a' })], remove: [] });
    told = [];
    registry.change({ put: [own], remove: [] });
    expect(told).toEqual([]);
    registry.change({ put: [workload('w', { app: 'a' }, { weight: 7 })], remove: [] });
    registry.change({ put: [entry('own', { endpoints: [{ address: '10.0.0.9' }], location: 'MESH_INTERNAL' })], remove: [] });
    expect(told).toEqual([
      { services: [], endpoints: ['a.example'] },
      { services: ['own.example'], endpoints: [] },
    ]);
  });

  test('of two services with one hostname the older is there, and the other once it is gone', () => {
    const old = entry('old', { hosts: ['x.example'] });
    const young = entry('young', { hosts: ['x.example'] }, { namespace: 'other', creationTimestamp: '2030-01-02T00:00:00Z' });
    registry.change({ put: [young, old], remove: [] });
    expect(registry.service('x.example')?.namespace).toBe('default');
    registry.change({ put: [], remove: refsOf(old) });
    expect(registry.service('x.example')?.namespace).toBe('other');
  });

  test('step by step it comes to what the whole comes to', () => {
    const label = fc.constantFrom('a', 'b', 'c');
    const name = fc.constantFrom('one', 'two', 'three');
    const namespace = fc.constantFrom('default', 'other');
    const labels = fc.dictionary(fc.constantFrom('app', 'version'), label, { maxKeys: 2 });
    const anEntry = fc.record({ name, namespace, host: label, port: fc.constantFrom(80, 81), selector: fc.option(labels), endpoint: fc.boolean() }).map((one) =>
      entry(
        one.name,
        {
          hosts: [`${one.host}.example`],
          ports: [{ number: 80, name: 'http', protocol: 'HTTP', targetPort: one.port }],
          ...(one.selector === null ? {} : { workloadSelector: { labels: one.selector } }),
          ...(one.endpoint && one.selector === null ? { endpoints: [{ address: '10.0.0.2' }] } : {}),
        },
        { namespace: one.namespace, creationTimestamp: one.name },
      ),
    );
    const aWorkload = fc.record({ name, namespace, labels }).map((one) => workload(one.name, one.labels, {}, { namespace: one.namespace }));
    const step = fc.record({ resource: fc.oneof(anEntry, aWorkload), gone: fc.boolean() });
    fc.assert(
      fc.property(fc.array(fc.array(step, { minLength: 1, maxLength: 3 }), { maxLength: 12 }), (steps) => {
        const stepped = createConfigRegistry();
        const present = new Map<string, Resource>();
        for (const changes of steps) {
          const remove = changes.filter(({ gone }) => gone).map(({ resource: one }) => refOf(one));
          const put = [...new Map(changes.filter(({ gone }) => !gone).map(({ resource: one }) => [refKey(refOf(one)), one])).values()];
          stepped.change({ put, remove });
          for (const ref of remove) present.delete(refKey(ref));
          for (const one of put) present.set(refKey(refOf(one)), one);
        }
        const whole = createWholeRegistry();
        whole.replace(servicesOf([...present.values()]), instancesOf([...present.values()]));
        for (const host of ['a.example', 'b.example', 'c.example']) {
          expect(stepped.service(host)).toEqual(whole.service(host));
          expect(stepped.instancesOf(host)).toEqual(whole.instancesOf(host));
        }
        expect([...stepped.instances()].map(({ id }) => id).sort()).toEqual([...whole.instances()].map(({ id }) => id).sort());
      }),
    );
  });
});
