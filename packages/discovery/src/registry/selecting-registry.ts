import { type Instance, type InstancePort, matchesLabels, type WorkloadSelection } from '@outrigger/resources';
import { ChangeSet } from './change-set.ts';
import type { Registry } from './registry.ts';

/**
 * Attached instances, and beside them those that ServiceEntries select by their labels: each once more for each ServiceEntry, as an instance of
 * its hosts, with those of its ports that the workload has.
 */
export interface SelectingRegistry extends Registry {
  /** In the place of those before. */
  select(selections: readonly WorkloadSelection[]): void;
  close(): void;
}

const NONE: readonly Instance[] = Object.freeze([]);

export function createSelectingRegistry(attached: Registry): SelectingRegistry {
  const changes = new ChangeSet();
  /** By namespace. */
  let selections = new Map<string, readonly WorkloadSelection[]>();
  /** By the hostname of the service that the attached ones are of. */
  const selected = new Map<string, readonly Instance[]>();
  /** The same by the hosts of ServiceEntries. */
  const byHost = new Map<string, Map<string, Instance>>();

  function renew(hostname: string): void {
    const before = selected.get(hostname) ?? NONE;
    const now = attached.instancesOf(hostname).flatMap((instance) => (selections.get(instance.namespace) ?? []).flatMap((one) => selectedBy(one, instance)));
    if (before.length === 0 && now.length === 0) return;
    if (now.length === 0) selected.delete(hostname);
    else selected.set(hostname, now);
    const old = new Map(before.map((instance) => [instance.id, instance]));
    for (const instance of now) {
      const same = JSON.stringify(old.get(instance.id)) === JSON.stringify(instance);
      if (!same) take(old.get(instance.id));
      old.delete(instance.id);
      if (!same) put(instance);
    }
    for (const instance of old.values()) take(instance);
  }

  function put(instance: Instance): void {
    for (const host of instance.services) {
      const known = byHost.get(host);
      if (known === undefined) byHost.set(host, new Map([[instance.id, instance]]));
      else known.set(instance.id, instance);
      changes.endpoints(host);
    }
  }

  function take(instance: Instance | undefined): void {
    for (const host of instance?.services ?? []) {
      const known = byHost.get(host);
      known?.delete(instance!.id);
      if (known?.size === 0) byHost.delete(host);
      changes.endpoints(host);
    }
  }

  const stop = attached.onChange((change) =>
    changes.step(() => {
      for (const hostname of change.services) changes.service(hostname);
      for (const hostname of change.endpoints) {
        changes.endpoints(hostname);
        renew(hostname);
      }
    }),
  );

  return {
    services: () => attached.services(),
    service: (hostname) => attached.service(hostname),
    *instances() {
      yield* attached.instances();
      for (const instances of selected.values()) yield* instances;
    },
    instancesOf(hostname) {
      const more = byHost.get(hostname);
      const own = attached.instancesOf(hostname);
      return more === undefined ? own : Object.freeze([...own, ...more.values()].sort((a, b) => (a.id < b.id ? -1 : 1)));
    },
    onChange: (listener) => changes.listen(listener),
    select(next) {
      const grouped = Map.groupBy(next, ({ namespace }) => namespace);
      if (JSON.stringify([...grouped]) === JSON.stringify([...selections])) return;
      selections = grouped;
      changes.step(() => {
        for (const { hostname } of attached.services()) renew(hostname);
      });
    },
    close: stop,
  };
}

function selectedBy({ name, labels, hosts, ports }: WorkloadSelection, instance: Instance): Instance[] {
  if (!matchesLabels(labels, instance.labels)) return [];
  // It is one of those by itself.
  const services = hosts.filter((host) => !instance.services.includes(host));
  const own = ports.flatMap((port): InstancePort[] => {
    const found = portOf(instance, port.targetPort ?? port.number, port.targetPort === undefined);
    return found === undefined ? [] : [Object.freeze({ ...found, name: port.name, servicePort: port.number, protocol: port.protocol })];
  });
  if (services.length === 0 || own.length === 0) return [];
  return [Object.freeze({ ...instance, id: `${instance.id}~${name}`, ports: Object.freeze(own), services: Object.freeze(services) })];
}

/** A number that a ServiceEntry gives is the workload's service port or its application's; which one it is first depends on how it is given. */
function portOf({ ports }: Instance, number: number, serviceFirst: boolean): InstancePort | undefined {
  const byService = ports.find(({ servicePort }) => servicePort === number);
  const byApplication = ports.find(({ applicationPort }) => applicationPort === number);
  return serviceFirst ? (byService ?? byApplication) : (byApplication ?? byService);
}
