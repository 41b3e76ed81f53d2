import { createConfigRegistry, createMergedRegistry } from '@outrigger/discovery';
import { type Instance, instancesOf, type Resource, type Service, servicesOf } from '@outrigger/resources';

/** Kinds that declare services and instances. */
export const DECLARING: ReadonlySet<string> = new Set(['ServiceEntry', 'WorkloadEntry', 'WorkloadGroup']);

export interface Existing {
  readonly services: readonly Service[];
  readonly instances: readonly Instance[];
}

/** What would exist with other resources: what has registered itself stays, merged as the control plane does it. */
export function worldWith(resources: readonly Resource[], attached: Existing, trustDomain: string): Existing {
  const declaring = resources.filter(({ kind }) => DECLARING.has(kind));
  const declared = createConfigRegistry();
  declared.replace(servicesOf(declaring), instancesOf(declaring, { trustDomain }));
  const registered = createConfigRegistry();
  registered.replace(attached.services, attached.instances);
  const merged = createMergedRegistry(declared, registered);
  const services = [...merged.services()];
  const instances = new Map(services.flatMap(({ hostname }) => merged.instancesOf(hostname)).map((instance) => [instance.id, instance]));
  return { services, instances: [...instances.values()] };
}
