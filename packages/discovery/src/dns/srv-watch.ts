import { isIP } from 'node:net';
import type { SrvEndpoint } from '@outrigger/resources';
import type { Clock } from '../clock.ts';
import type { DnsClient } from './dns-client.ts';
import { HostAddresses } from './host-addresses.ts';
import { lookupSrv, type SrvAnswer } from './srv-lookup.ts';
import { retryMs } from './ttl.ts';

const MAX_NAMES = 10_000;
/** Of a time to wait, that is waited beside it: names that were first asked for together do not stay together. */
const JITTER = 0.1;
/** A registry that starts anew, or has lost its leader, says for a moment that there is nothing: so long it must say so before that is believed. */
const ABSENCE_BELIEVED_AFTER_MS = 60_000;

export interface SrvStore {
  entries(): Iterable<readonly [name: string, endpoints: unknown]>;
  /** Resolves once durable. */
  put(name: string, endpoints: readonly SrvEndpoint[]): Promise<void>;
  delete(name: string): Promise<void>;
}

export interface SrvWatchOptions {
  readonly clock: Clock;
  readonly client: DnsClient;
  /** From 0 to 1. Default `Math.random`. */
  readonly random?: () => number;
  readonly store?: SrvStore;
  readonly onStoreError?: (error: Error) => void;
  /** What is wrong has changed. */
  readonly onFault?: (state: SrvState) => void;
}

/** What is known of one name. */
export interface SrvState {
  readonly name: string;
  readonly owners: readonly string[];
  /** In use now; undefined: nobody has said anything so far. */
  readonly endpoints: readonly SrvEndpoint[] | undefined;
  /** What is wrong with it; '' where nothing is. */
  readonly fault: string;
  readonly faultSinceMs: number;
}

export interface SrvCounts {
  readonly found: number;
  readonly absent: number;
  readonly failed: number;
}

/** Names whose SRV records are looked up again and again, as long as somebody wants them; each once, however many do. */
export interface SrvWatch {
  readonly counts: SrvCounts;
  /** Names that an owner wants, in the place of those before. */
  want(owner: string, names: ReadonlySet<string>): void;
  resolved(name: string): readonly SrvEndpoint[] | undefined;
  states(): Iterable<SrvState>;
  statesOf(owner: string): readonly SrvState[];
  /** Lets go of what is kept of names that nobody wants. */
  forgetUnwanted(): void;
  /** Called with the owners of names whose endpoints have changed; the returned function stops it. */
  onChange(listener: (owners: ReadonlySet<string>) => void): () => void;
  close(): void;
}

interface Watched {
  readonly name: string;
  readonly owners: Set<string>;
  endpoints: readonly SrvEndpoint[] | undefined;
  fault: string;
  faultSinceMs: number;
  /** In a row. */
  failures: number;
  /** Since when it is said that there is none; undefined: it is not. */
  absentSinceMs: number | undefined;
  started: boolean;
  stopTimer: () => void;
}

export function createSrvWatch(options: SrvWatchOptions): SrvWatch {
  return new Watch(options);
}

class Watch implements SrvWatch {
  readonly #options: SrvWatchOptions;
  readonly #random: () => number;
  readonly #hosts: HostAddresses;
  readonly #watched = new Map<string, Watched>();
  readonly #namesOf = new Map<string, ReadonlySet<string>>();
  readonly #kept = new Map<string, readonly SrvEndpoint[]>();
  readonly #listeners = new Set<(owners: ReadonlySet<string>) => void>();
  readonly counts = { found: 0, absent: 0, failed: 0 };
  #started = 0;
  #closed = false;

  constructor(options: SrvWatchOptions) {
    this.#options = options;
    this.#random = options.random ?? Math.random;
    this.#hosts = new HostAddresses(options.clock, options.client);
    for (const [name, value] of options.store?.entries() ?? []) {
      const endpoints = decodeEndpoints(value);
      if (endpoints !== undefined) this.#kept.set(name, endpoints);
    }
  }

  want(owner: string, names: ReadonlySet<string>): void {
    for (const name of this.#namesOf.get(owner) ?? []) if (!names.has(name)) this.#leave(name, owner);
    if (names.size === 0) this.#namesOf.delete(owner);
    else this.#namesOf.set(owner, names);
    for (const name of names) {
      const known = this.#watched.get(name);
      if (known !== undefined) known.owners.add(owner);
      else this.#enter(name, owner);
    }
  }

  resolved(name: string): readonly SrvEndpoint[] | undefined {
    return this.#watched.get(name)?.endpoints;
  }

  *states(): Iterable<SrvState> {
    for (const watched of this.#watched.values()) yield stateOf(watched);
  }

  statesOf(owner: string): readonly SrvState[] {
    return [...(this.#namesOf.get(owner) ?? [])].map((name) => stateOf(this.#watched.get(name)!));
  }

  forgetUnwanted(): void {
    for (const name of this.#kept.keys()) this.#unkeep(name);
    this.#kept.clear();
  }

  onChange(listener: (owners: ReadonlySet<string>) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    this.#closed = true;
    for (const { stopTimer } of this.#watched.values()) stopTimer();
    this.#options.client.close();
  }

  #enter(name: string, owner: string): void {
    const watched: Watched = {
      name,
      owners: new Set([owner]),
      endpoints: this.#kept.get(name),
      fault: '',
      faultSinceMs: 0,
      failures: 0,
      absentSinceMs: undefined,
      started: false,
      stopTimer: () => {},
    };
    this.#kept.delete(name);
    this.#watched.set(name, watched);
    if (this.#started < MAX_NAMES) this.#start(watched);
    else this.#setFault(watched, `it is not looked up: ${MAX_NAMES} names are at most`);
  }

  #leave(name: string, owner: string): void {
    const watched = this.#watched.get(name)!;
    watched.owners.delete(owner);
    if (watched.owners.size > 0) return;
    watched.stopTimer();
    this.#watched.delete(name);
    if (watched.endpoints !== undefined) this.#unkeep(name);
    if (!watched.started) return;
    this.#started -= 1;
    if (this.#started === this.#watched.size) return;
    // Its place is for one that had none.
    for (const other of this.#watched.values()) {
      if (other.started) continue;
      this.#start(other);
      break;
    }
  }

  #start(watched: Watched): void {
    watched.started = true;
    this.#started += 1;
    void this.#look(watched);
  }

  async #look(watched: Watched): Promise<void> {
    const answer = await lookupSrv(this.#options.client, this.#hosts, watched.name).catch(
      // A socket that cannot be had, say: it is tried again.
      (error: Error): SrvAnswer => ({ kind: 'failed', reason: error.message }),
    );
    if (this.#closed || this.#watched.get(watched.name) !== watched) return;
    this.counts[answer.kind] += 1;
    const waitMs = this.#take(watched, answer);
    watched.stopTimer = this.#options.clock.after(waitMs * (1 + JITTER * this.#random()), () => void this.#look(watched));
  }

  /** How long until it is looked up again. */
  #take(watched: Watched, answer: SrvAnswer): number {
    const { clock } = this.#options;
    if (answer.kind !== 'absent') watched.absentSinceMs = undefined;
    watched.failures = answer.kind === 'failed' || (answer.kind === 'found' && answer.failing) ? watched.failures + 1 : 0;
    switch (answer.kind) {
      case 'found':
        this.#setFault(watched, answer.faults.join('; '));
        this.#setEndpoints(watched, answer.endpoints);
        return answer.failing ? Math.min(answer.ttlMs, retryMs(watched.failures)) : answer.ttlMs;
      case 'absent': {
        // No later than now, should somebody have set the clock back.
        watched.absentSinceMs = Math.min(watched.absentSinceMs ?? Number.POSITIVE_INFINITY, clock.now());
        const believed = answer.decidedly || clock.now() - watched.absentSinceMs >= ABSENCE_BELIEVED_AFTER_MS || watched.endpoints === undefined;
        if (believed) this.#setEndpoints(watched, []);
        this.#setFault(watched, answer.reason);
        return answer.ttlMs;
      }
      case 'failed':
        this.#setFault(watched, answer.reason);
        return retryMs(watched.failures);
    }
  }

  #setEndpoints(watched: Watched, endpoints: readonly SrvEndpoint[]): void {
    if (JSON.stringify(watched.endpoints) === JSON.stringify(endpoints)) return;
    watched.endpoints = endpoints;
    this.#options.store?.put(watched.name, endpoints).catch((error: Error) => this.#options.onStoreError?.(error));
    for (const listener of [...this.#listeners]) listener(watched.owners);
  }

  #setFault(watched: Watched, fault: string): void {
    if (watched.fault === fault) return;
    if (watched.fault === '') watched.faultSinceMs = this.#options.clock.now();
    watched.fault = fault;
    this.#options.onFault?.(stateOf(watched));
  }

  #unkeep(name: string): void {
    this.#options.store?.delete(name).catch((error: Error) => this.#options.onStoreError?.(error));
  }
}

function stateOf({ name, owners, endpoints, fault, faultSinceMs }: Watched): SrvState {
  return { name, owners: [...owners].sort(), endpoints, fault, faultSinceMs };
}

/** undefined: not what was written; it is looked up again. */
function decodeEndpoints(value: unknown): readonly SrvEndpoint[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const isEndpoint = ({ address, port, priority, weight }: SrvEndpoint): boolean =>
    typeof address === 'string' && isIP(address) !== 0 && [port, priority, weight].every((number) => Number.isInteger(number) && number >= 0);
  return value.every((one: unknown) => typeof one === 'object' && one !== null && isEndpoint(one as SrvEndpoint)) ? (value as SrvEndpoint[]) : undefined;
}
