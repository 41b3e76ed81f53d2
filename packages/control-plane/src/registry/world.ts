import type { ConnectRouter } from '@connectrpc/connect';
import {
  type AttachedRegistry,
  type ConfigRegistry,
  createAttachedRegistry,
  createConfigRegistry,
  createMergedRegistry,
  type MergedRegistry,
  type RegisteredInstance,
  type RegistryChange,
  type RegistryStore,
  type TrustBundleSource,
  workloadService,
} from '@outrigger/discovery';
import { type Instance, instancesOf, type Resource, type Service, servicesOf } from '@outrigger/resources';
import type { MeshChange } from '@outrigger/translate';
import { WorkloadService } from '@outrigger/xds/protos/outrigger/v1/workload';
import type { ServiceView } from '../api/shapes.ts';
import type { Clock, LogEntry } from '../options.ts';
import type { Records } from '../store/records.ts';
import { DECLARING, type Existing } from './declared.ts';

export interface WorldOptions {
  readonly clock: Clock;
  readonly trustDomain: string;
  readonly records: Records<string>;
  readonly trustBundle: TrustBundleSource;
  readonly log: (entry: LogEntry) => void;
  readonly onChange: (change: MeshChange) => void;
}

/** What exists: what registered itself and what the configuration declares, as one. */
export class World {
  readonly #options: WorldOptions;
  readonly #attached: AttachedRegistry;
  readonly #declared: ConfigRegistry;
  readonly #merged: MergedRegistry;
  /** What the mesh was told, by hostname. */
  readonly #toldServices = new Map<string, Service>();
  readonly #toldInstances = new Map<string, readonly Instance[]>();

  constructor(options: WorldOptions) {
    const { clock, trustDomain, log } = options;
    this.#options = options;
    this.#attached = createAttachedRegistry({
      clock,
      trustDomain,
      store: registryStore(options.records),
      onStoreError: (error) => log({ level: 'error', part: 'registry', message: `an instance could not be kept: ${error.message}` }),
    });
    this.#declared = createConfigRegistry();
    this.#merged = createMergedRegistry(this.#declared, this.#attached);
    this.#merged.onChange((change) => options.onChange(this.#meshChange(change)));
    // Instances that were there before a restart are there until their agents have had time to come back.
    const hostnames = [...this.#merged.services()].map(({ hostname }) => hostname);
    options.onChange(this.#meshChange({ services: new Set(hostnames), endpoints: new Set(hostnames) }));
  }

  routes(): (router: ConnectRouter) => void {
    const { clock, trustDomain, trustBundle } = this.#options;
    const own = process.getuid?.();
    const service = workloadService({ registry: this.#attached, clock, trustDomain, trustBundle, permitsUid: (uid) => uid === own });
    return (router) => void router.service(WorkloadService, service);
  }

  seen(): { readonly services: Service[]; readonly instances: Instance[] } {
    return { services: [...this.#merged.services()], instances: [...this.#merged.instances()] };
  }

  /** What registered itself, without what the configuration declares. */
  attached(): Existing {
    return { services: [...this.#attached.services()], instances: [...this.#attached.instances()] };
  }

  /** Registered ones alone: those that have a sidecar to be asked. */
  registered(): Iterable<RegisteredInstance> {
    return this.#attached.entries();
  }

  /** `kinds`: of what was put or removed; undefined: all is new. */
  configChanged(resources: readonly Resource[], kinds?: ReadonlySet<string>): void {
    if (kinds !== undefined && ![...kinds].some((kind) => DECLARING.has(kind))) return;
    const declaring = resources.filter(({ kind }) => DECLARING.has(kind));
    this.#declared.replace(servicesOf(declaring), instancesOf(declaring, { trustDomain: this.#options.trustDomain }));
  }

  views(): ServiceView[] {
    const entries = new Map([...this.#attached.entries()].map((entry) => [entry.instance.id, entry]));
    return [...this.#merged.services()]
      .map((service) => ({
        hostname: service.hostname,
        name: service.name,
        namespace: service.namespace,
        ports: service.ports.map(({ name, port, protocol }) => ({ name, port, protocol })),
        instances: this.#merged.instancesOf(service.hostname).map((instance) => {
          const entry = entries.get(instance.id);
          return {
            id: instance.id,
            version: instance.labels.version ?? '',
            address: instance.address,
            health: instance.health,
            reason: entry?.reason ?? '',
            meshed: instance.meshed,
            locality: instance.locality,
            applicationPid: entry?.registration.applicationPid || null,
            proxyPid: entry?.registration.proxyPid || null,
          };
        }),
      }))
      .sort((a, b) => (a.hostname < b.hostname ? -1 : 1));
  }

  stop(): void {
    this.#attached.close();
    this.#merged.close();
  }

  #meshChange(change: RegistryChange): MeshChange {
    const putServices: Service[] = [];
    const removeServices: Service[] = [];
    for (const hostname of change.services) {
      const before = this.#toldServices.get(hostname);
      const now = this.#merged.service(hostname);
      if (before !== undefined && before.namespace !== now?.namespace) removeServices.push(before);
      if (now === undefined) this.#toldServices.delete(hostname);
      else {
        this.#toldServices.set(hostname, now);
        putServices.push(now);
      }
    }
    const put = new Map<string, Instance>();
    const gone = new Set<string>();
    for (const hostname of change.endpoints) {
      for (const { id } of this.#toldInstances.get(hostname) ?? []) gone.add(id);
      const now = this.#merged.instancesOf(hostname);
      if (now.length === 0) this.#toldInstances.delete(hostname);
      else this.#toldInstances.set(hostname, now);
      for (const instance of now) put.set(instance.id, instance);
    }
    const removed = new Set([...gone].filter((id) => !put.has(id)));
    // One that left this service may still be of another.
    if (removed.size > 0) {
      for (const instances of this.#toldInstances.values()) {
        for (const { id } of instances) removed.delete(id);
      }
    }
    return { putServices, removeServices, putInstances: [...put.values()], removeInstances: [...removed] };
  }
}

function registryStore(records: Records<string>): RegistryStore {
  return {
    entries: () => [...records.entries()].map(([key, value]) => [key, Buffer.from(value, 'base64')] as const),
    async put(key, value) {
      records.put(key, Buffer.from(value).toString('base64'));
    },
    async delete(key) {
      records.delete(key);
    },
  };
}
