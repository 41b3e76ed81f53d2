import {
  type AttachedRegistry,
  type ConfigRegistry,
  type ConfigRegistryChange,
  createAttachedRegistry,
  createConfigRegistry,
  createMergedRegistry,
  createSelectingRegistry,
  type MergedRegistry,
  type RegisteredInstance,
  type RegistryChange,
  type RegistryStore,
  type SelectingRegistry,
  type SrvWatch,
  type TrustBundleSource,
  workloadMethods,
} from '@outrigger/discovery';
import { type Instance, type Resource, type Service, type SrvEndpoint, workloadSelectionsOf } from '@outrigger/resources';
import type { MeshChange } from '@outrigger/translate';
import type { StreamMethods } from '@outrigger/xds';
import type { ServiceView } from '../api/shapes.ts';
import type { Clock, LogEntry } from '../options.ts';
import { GatheredRecords } from '../store/gathered-records.ts';
import type { Records } from '../store/records.ts';
import type { Existing } from './declared.ts';

export interface WorldOptions {
  readonly clock: Clock;
  readonly trustDomain: string;
  readonly records: Records<string>;
  readonly trustBundle: TrustBundleSource;
  readonly srv: Pick<SrvWatch, 'want' | 'resolved' | 'onChange' | 'states'>;
  readonly log: (entry: LogEntry) => void;
  readonly onChange: (change: MeshChange) => void;
}

/** What exists: what registered itself and what the configuration declares, as one. */
export class World {
  readonly #options: WorldOptions;
  readonly #records: GatheredRecords<string>;
  readonly #attached: AttachedRegistry;
  readonly #selecting: SelectingRegistry;
  readonly #declared: ConfigRegistry;
  readonly #merged: MergedRegistry;
  /** What the mesh was told, by hostname. */
  readonly #toldServices = new Map<string, Service>();
  readonly #toldInstances = new Map<string, readonly Instance[]>();
  /** Of how many of those lists an instance is, by id. */
  readonly #told = new Map<string, number>();

  constructor(options: WorldOptions) {
    const { clock, trustDomain, log } = options;
    this.#options = options;
    this.#records = new GatheredRecords(options.records, clock);
    this.#attached = createAttachedRegistry({
      clock,
      trustDomain,
      store: registryStore(this.#records),
      onStoreError: (error) => log({ level: 'error', part: 'registry', message: `an instance could not be kept: ${error.message}` }),
    });
    this.#selecting = createSelectingRegistry(this.#attached);
    this.#declared = createConfigRegistry({ trustDomain, srv: options.srv });
    this.#merged = createMergedRegistry(this.#declared, this.#selecting);
    this.#merged.onChange((change) => options.onChange(this.#meshChange(change)));
    // Instances that were there before a restart are there until their agents have had time to come back.
    const hostnames = [...this.#merged.services()].map(({ hostname }) => hostname);
    options.onChange(this.#meshChange({ services: new Set(hostnames), endpoints: new Set(hostnames) }));
  }

  get methods(): StreamMethods {
    const { clock, trustDomain, trustBundle } = this.#options;
    const own = process.getuid?.();
    return workloadMethods({ registry: this.#attached, clock, trustDomain, trustBundle, permitsUid: (uid) => uid === own });
  }

  seen(): Existing {
    return { services: [...this.#merged.services()], instances: [...this.#merged.instances()] };
  }

  service(hostname: string): Service | undefined {
    return this.#merged.service(hostname);
  }

  instancesOf(hostname: string): readonly Instance[] {
    return this.#merged.instancesOf(hostname);
  }

  /** What registered itself, without what the configuration declares. */
  attached(): Existing {
    return { services: [...this.#attached.services()], instances: [...this.#attached.instances()] };
  }

  /** What DNS says now of the names of SRV records. */
  resolvedSrv(): Readonly<Record<string, readonly SrvEndpoint[]>> {
    return Object.fromEntries([...this.#options.srv.states()].flatMap(({ name, endpoints }) => (endpoints === undefined ? [] : [[name, endpoints]])));
  }

  /** Registered ones alone: those that have a sidecar to be asked. */
  registered(): Iterable<RegisteredInstance> {
    return this.#attached.entries();
  }

  /** `resources`: all of the configuration, the change in it. */
  configChanged(change: ConfigRegistryChange, resources: () => readonly Resource[]): void {
    this.#declared.change(change);
    if ([...change.put, ...change.remove].some(({ kind }) => kind === 'ServiceEntry')) this.#selecting.select(workloadSelectionsOf(resources()));
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
          // One that a ServiceEntry selects is that workload once more.
          const entry = entries.get(instance.id.replace(/~.*$/, ''));
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
    this.#selecting.close();
    this.#merged.close();
    this.#records.stop();
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
      for (const { id } of this.#toldInstances.get(hostname) ?? []) {
        gone.add(id);
        this.#forget(id);
      }
      const now = this.#merged.instancesOf(hostname);
      if (now.length === 0) this.#toldInstances.delete(hostname);
      else this.#toldInstances.set(hostname, now);
      for (const instance of now) {
        put.set(instance.id, instance);
        this.#told.set(instance.id, (this.#told.get(instance.id) ?? 0) + 1);
      }
    }
    // One that left this service may still be of another.
    const removed = new Set([...gone].filter((id) => !this.#told.has(id)));
    return { putServices, removeServices, putInstances: [...put.values()], removeInstances: [...removed] };
  }

  #forget(id: string): void {
    const lists = this.#told.get(id) ?? 0;
    if (lists <= 1) this.#told.delete(id);
    else this.#told.set(id, lists - 1);
  }
}

function registryStore(records: GatheredRecords<string>): RegistryStore {
  return {
    entries: () => [...records.entries()].map(([key, value]) => [key, Buffer.from(value, 'base64')] as const),
    put: (key, value) => records.put(key, Buffer.from(value).toString('base64')),
    delete: (key) => records.delete(key),
  };
}
