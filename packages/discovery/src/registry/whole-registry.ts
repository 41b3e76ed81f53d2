import type { Instance, Service } from '@outrigger/resources';
import { ChangeSet } from './change-set.ts';
import type { Registry, RegistryChange } from './registry.ts';

/** Services and instances that are given as a whole. */
export interface WholeRegistry extends Registry {
  /** Puts a new whole in the place of the old; tells what differs. Of two services with one hostname the older wins, as in Istio. */
  replace(services: readonly Service[], instances: readonly Instance[]): RegistryChange;
}

interface State {
  readonly services: ReadonlyMap<string, Service>;
  readonly instances: ReadonlyMap<string, Instance>;
  readonly byHostname: ReadonlyMap<string, readonly Instance[]>;
}

const NONE: readonly Instance[] = Object.freeze([]);

export function createWholeRegistry(): WholeRegistry {
  const changes = new ChangeSet();
  let state: State = { services: new Map(), instances: new Map(), byHostname: new Map() };
  return {
    services: () => state.services.values(),
    service: (hostname) => state.services.get(hostname),
    instances: () => state.instances.values(),
    instancesOf: (hostname) => state.byHostname.get(hostname) ?? NONE,
    onChange: (listener) => changes.listen(listener),
    replace(services, instances) {
      const before = state;
      state = stateOf(services, instances);
      const change = difference(before, state);
      changes.step(() => {
        for (const hostname of change.services) changes.service(hostname);
        for (const hostname of change.endpoints) changes.endpoints(hostname);
      });
      return change;
    },
  };
}

function stateOf(services: readonly Service[], instances: readonly Instance[]): State {
  const byName = new Map<string, Service>();
  for (const service of services) {
    const other = byName.get(service.hostname);
    if (other === undefined || isOlder(service, other)) byName.set(service.hostname, service);
  }
  const byId = new Map([...instances].sort((a, b) => (a.id < b.id ? -1 : 1)).map((instance) => [instance.id, instance]));
  const byHostname = new Map<string, Instance[]>();
  for (const instance of byId.values()) {
    for (const hostname of instance.services) {
      const list = byHostname.get(hostname);
      if (list === undefined) byHostname.set(hostname, [instance]);
      else list.push(instance);
    }
  }
  return { services: byName, instances: byId, byHostname };
}

function isOlder(service: Service, other: Service): boolean {
  return service.creationTimestamp < other.creationTimestamp || (service.creationTimestamp === other.creationTimestamp && service.namespace < other.namespace);
}

function difference(before: State, after: State): RegistryChange {
  return {
    services: keysThatDiffer(before.services, after.services),
    endpoints: keysThatDiffer(before.byHostname, after.byHostname),
  };
}

function keysThatDiffer(before: ReadonlyMap<string, unknown>, after: ReadonlyMap<string, unknown>): Set<string> {
  const keys = new Set<string>();
  for (const [key, value] of before) if (!isSame(value, after.get(key))) keys.add(key);
  for (const key of after.keys()) if (!before.has(key)) keys.add(key);
  return keys;
}

/** Both are plain frozen data made by the same code, so their texts are the same exactly when they are. */
function isSame(a: unknown, b: unknown): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}
