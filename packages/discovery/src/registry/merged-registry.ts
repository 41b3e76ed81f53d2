import type { Instance, Service } from '@outrigger/resources';
import { ChangeSet } from './change-set.ts';
import type { Registry } from './registry.ts';

/**
 * Configuration and attached instances as one registry.
 * - A service that is in both is as configuration has it: somebody wrote it down. Attached instances serve those of its ports that they have.
 * - An instance that is in both (same id) is as it is attached: it is alive and says so itself.
 * - A configured service whose endpoints come by DNS (`DNS`, `NONE`, ...) takes no attached instances: that is what its author said.
 */
export interface MergedRegistry extends Registry {
  close(): void;
}

export function createMergedRegistry(config: Registry, attached: Registry): MergedRegistry {
  const changes = new ChangeSet();
  const cache = new Map<string, readonly Instance[]>();
  const stops = [config, attached].map((registry) =>
    registry.onChange((change) =>
      changes.step(() => {
        for (const hostname of change.endpoints) {
          cache.delete(hostname);
          changes.endpoints(hostname);
        }
        for (const hostname of change.services) {
          cache.delete(hostname);
          // A change of a shadowed service changes nothing.
          if (registry === config || config.service(hostname) === undefined) changes.service(hostname);
          // Its resolution decides whose instances count.
          if (registry === config && attached.service(hostname) !== undefined) changes.endpoints(hostname);
        }
      }),
    ),
  );

  function merge(hostname: string): readonly Instance[] {
    const declared = config.instancesOf(hostname);
    const { resolution = 'STATIC', bySrv } = config.service(hostname) ?? {};
    const live = resolution === 'STATIC' && bySrv !== true ? attached.instancesOf(hostname) : [];
    if (live.length === 0) return declared;
    if (declared.length === 0) return live;
    const ids = new Set(live.map((instance) => instance.id));
    return Object.freeze([...live, ...declared.filter((instance) => !ids.has(instance.id))].sort((a, b) => (a.id < b.id ? -1 : 1)));
  }

  return {
    *services(): Iterable<Service> {
      yield* config.services();
      for (const service of attached.services()) if (config.service(service.hostname) === undefined) yield service;
    },
    service: (hostname) => config.service(hostname) ?? attached.service(hostname),
    *instances(): Iterable<Instance> {
      const ids = new Set<string>();
      for (const instance of attached.instances()) {
        ids.add(instance.id);
        yield instance;
      }
      for (const instance of config.instances()) if (!ids.has(instance.id)) yield instance;
    },
    instancesOf(hostname) {
      const known = cache.get(hostname);
      if (known !== undefined) return known;
      const merged = merge(hostname);
      if (merged.length > 0) cache.set(hostname, merged);
      return merged;
    },
    onChange: (listener) => changes.listen(listener),
    close() {
      for (const stop of stops) stop();
    },
  };
}
