import type { Instance, Service } from '@outrigger/resources';
import type { Clock } from '../clock.ts';
import { ChangeSet } from './change-set.ts';
import { LeaseSweep } from './lease-sweep.ts';
import { cleanReason, cleanWarning, type Entry, healthOf, type InstanceSource, type RegisteredInstance } from './registered-instance.ts';
import type { Refusal, Registration } from './registration.ts';
import type { Registry, RegistryChange } from './registry.ts';
import { decodeInstance, encodeInstance, type RegistryStore } from './registry-store.ts';
import { hostnameOf, instanceId, type Naming, toInstance } from './synthesize.ts';
import { SynthesizedServices } from './synthesized-services.ts';

export const DEFAULT_HEARTBEAT_INTERVAL_MS = 500;
/** Lost after so many intervals without a heartbeat. */
export const MISSED_HEARTBEATS = 3;
export const DEFAULT_GRACE_MS = 10_000;
export const DEFAULT_SERVICE_RETENTION_MS = 600_000;
export const MIN_LEASE_MS = 1000;
export const MAX_LEASE_MS = 24 * 3_600_000;

export interface AttachedRegistryOptions {
  readonly clock: Clock;
  readonly trustDomain: string;
  /** Default "cluster.local". */
  readonly dnsDomain?: string;
  /** Absent: nothing is kept over a restart. */
  readonly store?: RegistryStore;
  /** Default 500. */
  readonly heartbeatIntervalMs?: number;
  /** How long instances known before a restart are kept until their agents come back. Default 10,000. */
  readonly graceMs?: number;
  /** How long a service without instances is kept. Default 600,000. */
  readonly serviceRetentionMs?: number;
  /** Default 20,000. */
  readonly maxInstances?: number;
  /** Default 1,000. */
  readonly maxInstancesPerCaller?: number;
  /** A write to the store failed; the registry itself goes on. */
  readonly onStoreError?: (error: Error) => void;
}

/** The lease of one instance: it is there until this is closed or its heartbeats stop. */
export interface Attachment {
  readonly id: string;
  heartbeat(): void;
  health(healthy: boolean, reason: string): void;
  /** It drains: out of the endpoint sets, the lease stays. */
  leave(): void;
  /** New ports, labels or pids of the same instance. */
  update(registration: Registration): Refusal | undefined;
  /** Out at once. */
  close(): void;
}

/** Instances that register themselves (agents) or are registered (API), and the services that they make. */
export interface AttachedRegistry extends Registry {
  readonly heartbeatIntervalMs: number;
  /**
   * Takes an instance in. `caller` names who is counted against the limit. `ended` is called when the registry itself ends the lease:
   * heartbeats were missed, or the instance attached anew.
   */
  attach(registration: Registration, caller: string, ended: (why: 'lost' | 'replaced') => void): Attachment | Refusal;
  /** Registers through the API until `ttlMs` (1 s to 24 h) from now; again to prolong. Durable when it resolves without a refusal. */
  put(registration: Registration, caller: string, ttlMs: number): Promise<Refusal | undefined>;
  /** Takes out an instance of the API. */
  remove(id: string): Promise<Refusal | undefined>;
  entries(): Iterable<RegisteredInstance>;
  entry(id: string): RegisteredInstance | undefined;
  /** Stops the timers; streams that end from now on do not take their instances out of the store. */
  close(): void;
}

export function createAttachedRegistry(options: AttachedRegistryOptions): AttachedRegistry {
  return new InstanceRegistry(options);
}

class InstanceRegistry implements AttachedRegistry {
  readonly heartbeatIntervalMs: number;
  readonly #clock: Clock;
  readonly #naming: Naming;
  readonly #store: RegistryStore | undefined;
  readonly #onStoreError: (error: Error) => void;
  readonly #lostAfterMs: number;
  readonly #maxInstances: number;
  readonly #maxInstancesPerCaller: number;
  readonly #changes = new ChangeSet();
  readonly #entries = new Map<string, Entry>();
  readonly #perCaller = new Map<string, number>();
  readonly #services: SynthesizedServices;
  readonly #sweep: LeaseSweep;
  #closed = false;

  constructor(options: AttachedRegistryOptions) {
    this.#clock = options.clock;
    this.#naming = { trustDomain: options.trustDomain, dnsDomain: options.dnsDomain ?? 'cluster.local' };
    this.#store = options.store;
    this.#onStoreError = options.onStoreError ?? (() => {});
    this.heartbeatIntervalMs = options.heartbeatIntervalMs ?? DEFAULT_HEARTBEAT_INTERVAL_MS;
    this.#lostAfterMs = this.heartbeatIntervalMs * MISSED_HEARTBEATS;
    this.#maxInstances = options.maxInstances ?? 20_000;
    this.#maxInstancesPerCaller = options.maxInstancesPerCaller ?? 1000;
    this.#services = new SynthesizedServices(this.#naming, this.#changes, options.serviceRetentionMs ?? DEFAULT_SERVICE_RETENTION_MS);
    this.#sweep = new LeaseSweep(this.#clock, (stalledMs) => this.#expire(stalledMs));
    this.#restore(options.graceMs ?? DEFAULT_GRACE_MS);
  }

  services(): Iterable<Service> {
    return this.#services.all();
  }

  service(hostname: string): Service | undefined {
    return this.#services.service(hostname);
  }

  *instances(): Iterable<Instance> {
    for (const entry of this.#entries.values()) yield entry.instance;
  }

  instancesOf(hostname: string): readonly Instance[] {
    return this.#services.instancesOf(hostname);
  }

  onChange(listener: (change: RegistryChange) => void): () => void {
    return this.#changes.listen(listener);
  }

  entries(): Iterable<RegisteredInstance> {
    return this.#entries.values();
  }

  entry(id: string): RegisteredInstance | undefined {
    return this.#entries.get(id);
  }

  attach(registration: Registration, caller: string, ended: (why: 'lost' | 'replaced') => void): Attachment | Refusal {
    const refusal = this.#refusalFor(registration, caller) ?? this.#takenBy(registration);
    if (refusal !== undefined) return refusal;
    const nowMs = this.#clock.now();
    const entry = this.#admit(registration, caller, 'stream', nowMs + this.#lostAfterMs, ended);
    this.#keep(entry);
    return this.#attachment(entry);
  }

  async put(registration: Registration, caller: string, ttlMs: number): Promise<Refusal | undefined> {
    if (!(ttlMs >= MIN_LEASE_MS && ttlMs <= MAX_LEASE_MS)) {
      return {
        refused: 'invalid',
        reason: `A registration lives for ${MIN_LEASE_MS / 1000} s to ${MAX_LEASE_MS / 3_600_000} h; choose a time between and renew it.`,
      };
    }
    const refusal = this.#refusalOfPut(registration, caller);
    if (refusal !== undefined) return refusal;
    const id = instanceId(registration);
    const expiresAtMs = this.#clock.now() + ttlMs;
    const createdAtMs = this.#entries.get(id)?.createdAtMs ?? this.#clock.now();
    // On disk before it is in force: what cannot be kept is not acknowledged.
    await this.#store?.put(id, encodeInstance({ registration, createdAtMs, draining: false, healthy: true, reason: '', expiresAtMs }));
    // Its own agent may have come meanwhile.
    const late = this.#refusalOfPut(registration, caller);
    if (late === undefined) this.#admit(registration, caller, 'api', expiresAtMs, () => {});
    return late;
  }

  #refusalOfPut(registration: Registration, caller: string): Refusal | undefined {
    const before = this.#entries.get(instanceId(registration));
    if (before?.source === 'stream') {
      return { refused: 'taken', reason: `The instance ${before.instance.id} is registered by its own agent. Give this one another name.` };
    }
    return this.#refusalFor(registration, caller) ?? this.#foreign(registration);
  }

  async remove(id: string): Promise<Refusal | undefined> {
    const entry = this.#entries.get(id);
    if (entry === undefined) return { refused: 'unknown', reason: `There is no instance ${id}.` };
    if (entry.source === 'stream') return { refused: 'taken', reason: `The instance ${id} is registered by its own agent; stop that.` };
    this.#changes.step(() => this.#forget(entry));
    await this.#store?.delete(id);
    return undefined;
  }

  close(): void {
    this.#closed = true;
    this.#sweep.stop();
  }

  #refusalFor(registration: Registration, caller: string): Refusal | undefined {
    const before = this.#entries.get(instanceId(registration));
    if (before === undefined && this.#entries.size >= this.#maxInstances) {
      return { refused: 'limit', reason: `The registry holds ${this.#maxInstances} instances and takes no more. Stop some, or raise the limit.` };
    }
    if (before?.caller !== caller && (this.#perCaller.get(caller) ?? 0) >= this.#maxInstancesPerCaller) {
      return {
        refused: 'limit',
        reason: `${caller} has registered ${this.#maxInstancesPerCaller} instances, which is the most that one identity may. Stop some, or raise the limit.`,
      };
    }
    return undefined;
  }

  /** One workload's name is not for another: neither while it is there nor in the time of grace after a restart. */
  #foreign(registration: Registration): Refusal | undefined {
    const before = this.#entries.get(instanceId(registration));
    if (before === undefined || before.registration.serviceAccount === registration.serviceAccount) return undefined;
    return {
      refused: 'taken',
      reason: `The instance ${before.instance.id} is of service account ${before.registration.serviceAccount}. Give this one another instance name.`,
    };
  }

  /** An agent that comes back before its old stream was found dead takes its instance over; another copy under the same name does not. */
  #takenBy(registration: Registration): Refusal | undefined {
    const before = this.#entries.get(instanceId(registration));
    if (before === undefined || before.source !== 'stream') return this.#foreign(registration);
    const silentMs = this.#clock.now() - before.lastSeenMs;
    const sameSidecar =
      before.registration.address === registration.address &&
      before.registration.metricsAddress === registration.metricsAddress &&
      before.registration.ports.every((port, index) => port.meshPort === registration.ports[index]?.meshPort);
    if (sameSidecar || silentMs > 1.5 * this.heartbeatIntervalMs) return this.#foreign(registration);
    return {
      refused: 'taken',
      reason: `The instance ${before.instance.id} is attached from ${before.registration.address} (sidecar's process ${before.registration.proxyPid}). Stop that one, or give this one another instance name.`,
    };
  }

  #admit(registration: Registration, caller: string, source: InstanceSource, deadlineMs: number, ended: Entry['ended']): Entry {
    const id = instanceId(registration);
    const before = this.#entries.get(id);
    const nowMs = this.#clock.now();
    const entry: Entry = {
      registration,
      instance: toInstance(registration, 'HEALTHY', this.#naming),
      source,
      caller,
      createdAtMs: before?.createdAtMs ?? nowMs,
      healthy: true,
      draining: false,
      reason: '',
      warning: '',
      saidAtMs: 0,
      lastSeenMs: nowMs,
      deadlineMs,
      ended,
    };
    this.#changes.step(() => this.#replace(before, entry));
    before?.ended('replaced');
    return entry;
  }

  #replace(before: Entry | undefined, entry: Entry): void {
    if (before !== undefined) {
      this.#count(before.caller, -1);
      if (before.registration.service !== entry.registration.service) this.#leaveService(before);
    }
    this.#count(entry.caller, 1);
    this.#entries.set(entry.instance.id, entry);
    if (before === undefined || !sameInstance(before.instance, entry.instance)) this.#services.set(entry, this.#clock.now());
    this.#sweep.expect(entry.deadlineMs);
  }

  #attachment(entry: Entry): Attachment {
    const { id } = entry.instance;
    /** A lease that was lost or taken over says nothing any more. */
    const holds = () => this.#entries.get(id) === entry && !this.#closed;
    return {
      id,
      heartbeat: () => {
        if (holds()) this.#seen(entry);
      },
      health: (healthy, reason) => {
        if (!holds()) return;
        this.#seen(entry);
        entry.healthy = healthy;
        const why = healthy ? '' : cleanReason(reason);
        const warning = healthy ? cleanWarning(reason) : '';
        if (why !== entry.reason || warning !== entry.warning) entry.saidAtMs = this.#clock.now();
        entry.reason = why;
        entry.warning = warning;
        this.#show(entry);
      },
      leave: () => {
        if (!holds()) return;
        entry.draining = true;
        this.#show(entry);
      },
      update: (registration) => {
        if (!holds()) return { refused: 'unknown', reason: `The instance ${id} is no longer attached here. Attach it anew.` };
        if (instanceId(registration) !== id || registration.serviceAccount !== entry.registration.serviceAccount) {
          return { refused: 'invalid', reason: `This stream is of the instance ${id}. Open another one for another instance.` };
        }
        this.#changes.step(() => {
          if (registration.service !== entry.registration.service) this.#leaveService(entry);
          entry.registration = registration;
          entry.instance = toInstance(registration, healthOf(entry), this.#naming);
          this.#services.set(entry, this.#clock.now());
        });
        this.#keep(entry);
        return undefined;
      },
      close: () => {
        if (!holds()) return;
        this.#changes.step(() => this.#forget(entry));
        this.#drop(id);
      },
    };
  }

  #seen(entry: Entry): void {
    entry.lastSeenMs = this.#clock.now();
    entry.deadlineMs = entry.lastSeenMs + this.#lostAfterMs;
  }

  /** Shows the entry's health, where that differs from what is shown. */
  #show(entry: Entry): void {
    if (healthOf(entry) === entry.instance.health) return;
    this.#changes.step(() => {
      entry.instance = Object.freeze({ ...entry.instance, health: healthOf(entry) });
      this.#services.set(entry, this.#clock.now());
    });
    this.#keep(entry);
  }

  #forget(entry: Entry): void {
    this.#entries.delete(entry.instance.id);
    this.#count(entry.caller, -1);
    this.#leaveService(entry);
  }

  #leaveService(entry: Entry): void {
    const nowMs = this.#clock.now();
    this.#services.delete(entry.instance.id, hostnameOf(entry.registration, this.#naming), nowMs);
    const nextMs = this.#services.expire(nowMs);
    if (nextMs !== undefined) this.#sweep.expect(nextMs);
  }

  #count(caller: string, by: 1 | -1): void {
    const count = (this.#perCaller.get(caller) ?? 0) + by;
    if (count === 0) this.#perCaller.delete(caller);
    else this.#perCaller.set(caller, count);
  }

  #expire(stalledMs: number): number | undefined {
    const nowMs = this.#clock.now();
    // What its agents said while this process stood still is read only after this turn.
    const graceMs = stalledMs > 0 ? this.heartbeatIntervalMs : 0;
    let nextMs: number | undefined;
    const lost: Entry[] = [];
    this.#changes.step(() => {
      for (const entry of this.#entries.values()) {
        if (graceMs > 0 && entry.source !== 'api') entry.deadlineMs = Math.max(entry.deadlineMs, nowMs + graceMs);
        if (entry.deadlineMs <= nowMs) lost.push(entry);
        else if (nextMs === undefined || entry.deadlineMs < nextMs) nextMs = entry.deadlineMs;
      }
      for (const entry of lost) this.#forget(entry);
      const serviceMs = this.#services.expire(nowMs);
      if (serviceMs !== undefined && (nextMs === undefined || serviceMs < nextMs)) nextMs = serviceMs;
    });
    for (const entry of lost) {
      this.#drop(entry.instance.id);
      entry.ended('lost');
    }
    return nextMs;
  }

  #restore(graceMs: number): void {
    const nowMs = this.#clock.now();
    for (const [key, bytes] of this.#store?.entries() ?? []) {
      const kept = decodeInstance(bytes);
      if (kept === undefined || (kept.expiresAtMs !== 0 && kept.expiresAtMs <= nowMs)) {
        this.#drop(key);
        continue;
      }
      const { registration, createdAtMs, healthy, draining, reason } = kept;
      const byApi = kept.expiresAtMs !== 0;
      const state = { healthy, draining };
      const entry: Entry = {
        registration,
        instance: toInstance(registration, healthOf(state), this.#naming),
        source: byApi ? 'api' : 'restored',
        // Counted against nobody: who comes back is counted then.
        caller: '',
        createdAtMs,
        healthy,
        draining,
        reason,
        warning: '',
        saidAtMs: reason === '' ? 0 : nowMs,
        lastSeenMs: nowMs,
        deadlineMs: byApi ? kept.expiresAtMs : nowMs + graceMs,
        ended: () => {},
      };
      this.#changes.step(() => this.#replace(undefined, entry));
    }
  }

  #encoded(entry: Entry): Uint8Array {
    const { registration, createdAtMs, draining, healthy, reason } = entry;
    return encodeInstance({ registration, createdAtMs, draining, healthy, reason, expiresAtMs: entry.source === 'api' ? entry.deadlineMs : 0 });
  }

  #keep(entry: Entry): void {
    this.#store?.put(entry.instance.id, this.#encoded(entry)).catch(this.#onStoreError);
  }

  #drop(id: string): void {
    this.#store?.delete(id).catch(this.#onStoreError);
  }
}

function sameInstance(a: Instance, b: Instance): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
