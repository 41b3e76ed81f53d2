import {
  EntrySelectors,
  type Instance,
  type InstanceOptions,
  instancesOfEntry,
  instancesOfWorkload,
  isKind,
  LabelledWorkloads,
  type Resource,
  type ResourceRef,
  refKey,
  refOf,
  type Service,
  type ServiceEntrySpec,
  servicesOf,
  srvNamesOf,
  type WorkloadEntrySpec,
} from '@outrigger/resources';
import type { SrvWatch } from '../dns/srv-watch.ts';
import { ChangeSet } from './change-set.ts';
import type { Registry } from './registry.ts';

/** What ServiceEntries and WorkloadEntries declare. Of two services with one hostname the older wins, as in Istio. */
export interface ConfigRegistry extends Registry {
  /** Other kinds are passed over. Costs what the change touches, not what there is. */
  change(change: ConfigRegistryChange): void;
}

export interface ConfigRegistryOptions extends Pick<InstanceOptions, 'trustDomain'> {
  /** Looks up the SRV records that ServiceEntries name. Default: nobody does, and of such an entry no endpoint is known. */
  readonly srv?: Pick<SrvWatch, 'want' | 'resolved' | 'onChange'>;
}

export interface ConfigRegistryChange {
  readonly put: readonly Resource[];
  readonly remove: readonly ResourceRef[];
}

type Entry = Resource<ServiceEntrySpec>;
type Workload = Resource<WorkloadEntrySpec>;

const NONE: readonly Instance[] = Object.freeze([]);

export function createConfigRegistry(options: ConfigRegistryOptions = {}): ConfigRegistry {
  const changes = new ChangeSet();
  const declared = new Declared(options);
  options.srv?.onChange((owners) => changes.step(() => declared.resolvedAgain(owners, changes)));
  return {
    services: () => declared.services(),
    service: (hostname) => declared.service(hostname),
    instances: () => declared.instances(),
    instancesOf: (hostname) => declared.instancesOf(hostname),
    onChange: (listener) => changes.listen(listener),
    change: (change) => changes.step(() => declared.change(change, changes)),
  };
}

class Declared {
  readonly #options: InstanceOptions;
  readonly #srv: ConfigRegistryOptions['srv'];
  /** By `refKey`, as all below that say owner. */
  readonly #entries = new Map<string, Entry>();
  readonly #workloads = new Map<string, Workload>();
  readonly #selectors = new EntrySelectors();
  readonly #labelled = new LabelledWorkloads();
  /** Of several owners of one hostname, in the order in which they came. */
  readonly #services = new Map<string, Map<string, Service>>();
  /** By owner. */
  readonly #owned = new Map<string, readonly Instance[]>();
  readonly #ownersOf = new Map<string, Set<string>>();
  /** Lists that were asked for since they changed. */
  readonly #known = new Map<string, readonly Instance[]>();

  constructor({ srv, ...options }: ConfigRegistryOptions) {
    this.#options = srv === undefined ? options : { ...options, resolvedSrv: (name) => srv.resolved(name) };
    this.#srv = srv;
  }

  *services(): Iterable<Service> {
    for (const hostname of this.#services.keys()) yield this.service(hostname)!;
  }

  service(hostname: string): Service | undefined {
    let oldest: Service | undefined;
    for (const service of this.#services.get(hostname)?.values() ?? []) if (oldest === undefined || isOlder(service, oldest)) oldest = service;
    return oldest;
  }

  *instances(): Iterable<Instance> {
    for (const instances of this.#owned.values()) yield* instances;
  }

  instancesOf(hostname: string): readonly Instance[] {
    const known = this.#known.get(hostname);
    if (known !== undefined) return known;
    const owners = this.#ownersOf.get(hostname);
    if (owners === undefined) return NONE;
    const byId = new Map<string, Instance>();
    for (const owner of owners) for (const instance of this.#owned.get(owner)!) if (instance.services.includes(hostname)) byId.set(instance.id, instance);
    const list = Object.freeze([...byId.values()].sort((a, b) => (a.id < b.id ? -1 : 1)));
    this.#known.set(hostname, list);
    return list;
  }

  change({ put, remove }: ConfigRegistryChange, changes: ChangeSet): void {
    const before = new Map<string, Service | undefined>();
    const srvBefore = new Map<string, ReadonlySet<string>>();
    const entries = new Set<string>();
    const workloads = new Set<string>();
    const changed: Entry[] = [];
    const entry = (key: string, next: Entry | undefined): void => {
      const old = this.#entries.get(key);
      for (const hostname of [...(old?.spec.hosts ?? []), ...(next?.spec.hosts ?? [])]) if (!before.has(hostname)) before.set(hostname, this.service(hostname));
      for (const each of [old, next]) if (each?.spec.workloadSelector !== undefined) changed.push(each);
      if (!srvBefore.has(key)) srvBefore.set(key, srvNameSet(old));
      this.#putEntry(key, old, next);
      entries.add(key);
    };
    for (const ref of remove) {
      const key = refKey(ref);
      if (this.#entries.has(key)) entry(key, undefined);
      if (!this.#workloads.has(key)) continue;
      this.#putWorkload(key, undefined);
      workloads.add(key);
    }
    for (const resource of put) {
      const key = refKey(refOf(resource));
      if (isKind(resource, 'ServiceEntry')) entry(key, resource);
      else if (isKind(resource, 'WorkloadEntry')) {
        this.#putWorkload(key, resource);
        workloads.add(key);
      }
    }
    this.#wantSrv(srvBefore);
    for (const [hostname, old] of before) if (!isSame(old, this.service(hostname))) changes.service(hostname);
    for (const key of entries) this.#own(key, this.#ofEntry(key), changes);
    for (const each of changed) for (const workload of this.#labelled.selectedBy(each)) workloads.add(refKey(refOf(workload)));
    for (const key of workloads) this.#own(key, this.#ofWorkload(key), changes);
  }

  resolvedAgain(owners: ReadonlySet<string>, changes: ChangeSet): void {
    for (const owner of owners) this.#own(owner, this.#ofEntry(owner), changes);
  }

  #putEntry(key: string, old: Entry | undefined, next: Entry | undefined): void {
    for (const hostname of old?.spec.hosts ?? []) {
      const owners = this.#services.get(hostname);
      owners?.delete(key);
      if (owners?.size === 0) this.#services.delete(hostname);
    }
    if (next === undefined) {
      this.#entries.delete(key);
      if (old !== undefined) this.#selectors.remove(old);
      return;
    }
    this.#entries.set(key, next);
    this.#selectors.put(next, old);
    for (const service of servicesOf([next])) {
      const owners = this.#services.get(service.hostname);
      if (owners === undefined) this.#services.set(service.hostname, new Map([[key, service]]));
      else owners.set(key, service);
    }
  }

  /** Names are taken on before others are let go: what DNS said of one that goes from an entry to another, as to a renamed one, stays. */
  #wantSrv(before: ReadonlyMap<string, ReadonlySet<string>>): void {
    const changed = [...before].map(([key, old]) => ({ key, old, now: srvNameSet(this.#entries.get(key)) })).filter(({ old, now }) => old.size + now.size > 0);
    for (const { key, old, now } of changed) this.#srv?.want(key, old.union(now));
    for (const { key, old, now } of changed) if (!old.isSubsetOf(now)) this.#srv?.want(key, now);
  }

  #putWorkload(key: string, next: Workload | undefined): void {
    const old = this.#workloads.get(key);
    if (next === undefined) {
      this.#workloads.delete(key);
      if (old !== undefined) this.#labelled.remove(old);
    } else {
      this.#workloads.set(key, next);
      this.#labelled.put(next, old);
    }
  }

  #ofEntry(key: string): readonly Instance[] {
    const entry = this.#entries.get(key);
    return entry === undefined ? NONE : instancesOfEntry(entry, this.#options);
  }

  #ofWorkload(key: string): readonly Instance[] {
    const workload = this.#workloads.get(key);
    return workload === undefined ? NONE : instancesOfWorkload(workload, this.#selectors.selectingWorkload(workload), this.#options);
  }

  #own(owner: string, next: readonly Instance[], changes: ChangeSet): void {
    const old = this.#owned.get(owner) ?? NONE;
    if (isSame(old, next)) return;
    if (next.length === 0) this.#owned.delete(owner);
    else this.#owned.set(owner, next);
    for (const hostname of new Set(old.flatMap(({ services }) => services))) {
      const owners = this.#ownersOf.get(hostname);
      owners?.delete(owner);
      if (owners?.size === 0) this.#ownersOf.delete(hostname);
      this.#touch(hostname, changes);
    }
    for (const hostname of new Set(next.flatMap(({ services }) => services))) {
      const owners = this.#ownersOf.get(hostname);
      if (owners === undefined) this.#ownersOf.set(hostname, new Set([owner]));
      else owners.add(owner);
      this.#touch(hostname, changes);
    }
  }

  #touch(hostname: string, changes: ChangeSet): void {
    this.#known.delete(hostname);
    changes.endpoints(hostname);
  }
}

function srvNameSet(entry: Entry | undefined): Set<string> {
  return new Set(entry === undefined ? [] : srvNamesOf(entry).map(({ name }) => name));
}

function isOlder(service: Service, other: Service): boolean {
  return service.creationTimestamp < other.creationTimestamp || (service.creationTimestamp === other.creationTimestamp && service.namespace < other.namespace);
}

/** Both are plain frozen data made by the same code, so their texts are the same exactly when they are. */
function isSame(a: unknown, b: unknown): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}
