import { createConfigRegistry, createMergedRegistry, createSelectingRegistry, createWholeRegistry } from '@outrigger/discovery';
import { type Instance, type Resource, type Service, type SrvEndpoint, workloadSelectionsOf } from '@outrigger/resources';

/** Kinds that declare services and instances. */
const DECLARING: ReadonlySet<string> = new Set(['ServiceEntry', 'WorkloadEntry', 'WorkloadGroup']);

export interface Existing {
  readonly services: readonly Service[];
  readonly instances: readonly Instance[];
}

/** What is beside the resources. */
export interface FoundOutside {
  readonly attached: Existing;
  readonly resolvedSrv: Readonly<Record<string, readonly SrvEndpoint[]>>;
  readonly settings: { readonly trustDomain: string };
}

/** What would exist with other resources: what has registered itself, and what DNS says, stays, merged as the control plane does it. */
export function worldWith(resources: readonly Resource[], { attached, resolvedSrv, settings: { trustDomain } }: FoundOutside): Existing {
  const declaring = resources.filter(({ kind }) => DECLARING.has(kind));
  const declared = createConfigRegistry({ trustDomain, srv: { want: () => {}, resolved: (name) => resolvedSrv[name], onChange: () => () => {} } });
  declared.change({ put: declaring, remove: [] });
  const registered = createWholeRegistry();
  registered.replace(attached.services, attached.instances);
  const selecting = createSelectingRegistry(registered);
  selecting.select(workloadSelectionsOf(declaring));
  const merged = createMergedRegistry(declared, selecting);
  const services = [...merged.services()];
  const instances = new Map(services.flatMap(({ hostname }) => merged.instancesOf(hostname)).map((instance) => [instance.id, instance]));
  return { services, instances: [...instances.values()] };
}
