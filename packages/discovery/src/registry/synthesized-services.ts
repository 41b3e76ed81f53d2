import type { Instance, Service } from '@outrigger/resources';
import type { ChangeSet } from './change-set.ts';
import type { Registration } from './registration.ts';
import { hostnameOf, mergePorts, type Naming, samePorts, toService } from './synthesize.ts';

/** One instance as the services see it. */
export interface Member {
  readonly registration: Registration;
  readonly instance: Instance;
  readonly createdAtMs: number;
}

interface Entry {
  service: Service;
  readonly members: Map<string, Member>;
  /** Sorted by id; undefined: to be made anew. */
  instances: readonly Instance[] | undefined;
  /** When the last member went; undefined: there are some. */
  emptySinceMs: number | undefined;
}

const NONE: readonly Instance[] = Object.freeze([]);

/**
 * The services that instances make by being there, each with its ports merged over them. A service stays a while without instances: a name whose
 * calls pass for those of a stranger the moment its last instance dies would escape every policy.
 */
export class SynthesizedServices {
  readonly #naming: Naming;
  readonly #changes: ChangeSet;
  readonly #retentionMs: number;
  readonly #entries = new Map<string, Entry>();

  constructor(naming: Naming, changes: ChangeSet, retentionMs: number) {
    this.#naming = naming;
    this.#changes = changes;
    this.#retentionMs = retentionMs;
  }

  *all(): Iterable<Service> {
    for (const entry of this.#entries.values()) yield entry.service;
  }

  service(hostname: string): Service | undefined {
    return this.#entries.get(hostname)?.service;
  }

  instancesOf(hostname: string): readonly Instance[] {
    const entry = this.#entries.get(hostname);
    if (entry === undefined) return NONE;
    entry.instances ??= Object.freeze([...entry.members.values()].map((member) => member.instance).sort((a, b) => (a.id < b.id ? -1 : 1)));
    return entry.instances;
  }

  /** Adds a member, or puts it in the place of the one with its id. One without ports serves nothing, so it is none. */
  set(member: Member, nowMs: number): void {
    const { registration } = member;
    const hostname = hostnameOf(registration, this.#naming);
    if (registration.ports.length === 0) {
      this.delete(member.instance.id, hostname, nowMs);
      return;
    }
    const entry = this.#entries.get(hostname) ?? this.#create(hostname, member);
    const before = entry.members.get(member.instance.id);
    // A copy: the caller's own changes on.
    entry.members.set(member.instance.id, { registration, instance: member.instance, createdAtMs: member.createdAtMs });
    entry.instances = undefined;
    entry.emptySinceMs = undefined;
    this.#changes.endpoints(hostname);
    const known = registration.ports.every((port) =>
      entry.service.ports.some((other) => other.port === port.servicePort && other.name === port.name && other.protocol === port.protocol),
    );
    // The ports of most instances are those of their service; merging over all members is for the others.
    if (!known || (before !== undefined && before.registration.ports !== registration.ports)) this.#mergePorts(hostname, entry);
  }

  delete(id: string, hostname: string, nowMs: number): void {
    const entry = this.#entries.get(hostname);
    const member = entry?.members.get(id);
    if (entry === undefined || member === undefined) return;
    entry.members.delete(id);
    entry.instances = undefined;
    this.#changes.endpoints(hostname);
    // A service without members keeps its last ports.
    if (entry.members.size === 0) entry.emptySinceMs = nowMs;
    else if (!member.registration.ports.every((port) => this.#isServed(entry, port.servicePort, port.name, port.protocol))) this.#mergePorts(hostname, entry);
  }

  #isServed(entry: Entry, servicePort: number, name: string, protocol: string): boolean {
    for (const { registration } of entry.members.values()) {
      if (registration.ports.some((port) => port.servicePort === servicePort && port.name === name && port.protocol === protocol)) return true;
    }
    return false;
  }

  #create(hostname: string, { registration, createdAtMs }: Member): Entry {
    const service = toService(hostname, registration.service, registration.namespace, mergePorts([registration]), createdAtMs);
    const entry: Entry = { service, members: new Map(), instances: undefined, emptySinceMs: undefined };
    this.#entries.set(hostname, entry);
    this.#changes.service(hostname);
    return entry;
  }

  #mergePorts(hostname: string, entry: Entry): void {
    const members = [...entry.members.values()].sort((a, b) => a.createdAtMs - b.createdAtMs || (a.instance.id < b.instance.id ? -1 : 1));
    const ports = mergePorts(members.map((member) => member.registration));
    if (samePorts(ports, entry.service.ports)) return;
    entry.service = Object.freeze({ ...entry.service, ports: Object.freeze(ports.map((port) => Object.freeze(port))) });
    this.#changes.service(hostname);
  }

  /** Lets go of services that have been empty for long enough; returns when the next one is due, undefined: none. */
  expire(nowMs: number): number | undefined {
    let next: number | undefined;
    for (const [hostname, entry] of this.#entries) {
      if (entry.emptySinceMs === undefined) continue;
      const dueMs = entry.emptySinceMs + this.#retentionMs;
      if (dueMs <= nowMs) {
        this.#entries.delete(hostname);
        this.#changes.service(hostname);
        this.#changes.endpoints(hostname);
      } else if (next === undefined || dueMs < next) next = dueMs;
    }
    return next;
  }
}
