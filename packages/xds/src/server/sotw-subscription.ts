import { type Change, TypeUrl, type VersionedResource } from '../source.ts';
import { hasLegacyWildcard } from './delta-subscription.ts';
import type { AdsLimits } from './limits.ts';
import { checkNames, type Lookup, type Phase, type Push, type RequestOutcome, shortNack, type TypeSubscription, WILDCARD } from './subscriptions.ts';

export interface SotwRequest {
  readonly names: readonly string[];
  readonly nonce: string;
  readonly error: string | undefined;
}

const NOTHING: RequestOutcome = { acked: undefined, nacked: undefined, nonce: undefined, namesChanged: false };

/**
 * State-of-the-world xDS for one type of one stream. Listeners and clusters are sent whole, other types by name and
 * only where they changed (xDS protocol, "Grouping Resources into Responses").
 */
export class SotwSubscription implements TypeSubscription {
  names: ReadonlySet<string> = new Set();
  readonly #typeUrl: TypeUrl;
  readonly #limits: AdsLimits;
  readonly #whole: boolean;
  #everNamed = false;
  #first = true;
  #lastNonce = '';
  #outstanding: ReadonlyMap<string, string> | undefined;
  /** What the client has. With their bodies: a removal that must wait is sent once more with the additions before it. */
  #sent = new Map<string, VersionedResource>();
  readonly #due = new Set<string>();
  #dueAll = false;
  readonly #asked = new Set<string>();
  #mustAnswer = false;

  constructor(typeUrl: TypeUrl, limits: AdsLimits) {
    this.#typeUrl = typeUrl;
    this.#limits = limits;
    this.#whole = typeUrl === TypeUrl.listener || typeUrl === TypeUrl.cluster;
  }

  get busy(): boolean {
    return this.#outstanding !== undefined;
  }

  get idle(): boolean {
    return !this.#dueAll && this.#due.size === 0;
  }

  request(request: SotwRequest): RequestOutcome {
    // Stale: the client had not seen our last response when it wrote this; its answer to that one repeats the names.
    if (!this.#first && request.nonce !== this.#lastNonce) return NOTHING;
    checkNames(request.names, 0, this.#limits, this.#typeUrl);
    this.#first = false;
    const answered = this.#outstanding;
    this.#outstanding = undefined;
    const namesChanged = this.#take(request.names);
    if (answered === undefined) return { ...NOTHING, namesChanged };
    const nacked = request.error === undefined ? undefined : { message: shortNack(request.error), versions: answered };
    return { acked: nacked === undefined ? answered : undefined, nacked, nonce: request.nonce, namesChanged };
  }

  #take(requested: readonly string[]): boolean {
    if (requested.length > 0) this.#everNamed = true;
    const names = new Set(requested);
    if (!this.#everNamed && hasLegacyWildcard(this.#typeUrl)) names.add(WILDCARD);
    let changed = names.size !== this.names.size;
    for (const name of names) {
      if (this.names.has(name)) continue;
      changed = true;
      if (this.#whole) this.#mustAnswer = true;
      else this.#asked.add(name);
    }
    if (changed) {
      for (const name of this.names) {
        if (names.has(name)) continue;
        this.#asked.delete(name);
        if (!names.has(WILDCARD)) this.#sent.delete(name);
      }
      if (!names.has(WILDCARD) && this.names.has(WILDCARD)) for (const name of this.#sent.keys()) if (!names.has(name)) this.#sent.delete(name);
    }
    this.names = names;
    return changed;
  }

  changed(change: Change): void {
    if (change === 'all') this.#dueAll = true;
    else for (const name of change) this.#due.add(name);
  }

  askAgain(name: string): void {
    if (!this.names.has(name)) return;
    if (this.#whole) this.#mustAnswer = true;
    else this.#asked.add(name);
  }

  next(lookup: Lookup, phase: Phase, nonce: string): Push | undefined {
    if (this.busy || this.names.size === 0) return undefined;
    if (this.idle && !this.#mustAnswer && this.#asked.size === 0) return undefined;
    const resources = this.#whole ? this.#nextWhole(lookup, phase) : this.#nextByName(lookup, phase);
    if (resources === undefined) return undefined;
    this.#mustAnswer = false;
    this.#lastNonce = nonce;
    const versions = new Map<string, string>();
    for (const resource of resources) versions.set(resource.name, resource.version);
    const removed = this.#whole ? [...this.#sent.keys()].filter((name) => !versions.has(name)) : [];
    for (const name of removed) versions.set(name, '');
    if (this.#whole) this.#sent = new Map();
    for (const resource of resources) this.#sent.set(resource.name, resource);
    this.#outstanding = versions;
    return { nonce, resources, removed, absent: [], versions };
  }

  #nextWhole(lookup: Lookup, phase: Phase): readonly VersionedResource[] | undefined {
    if (!this.#mustAnswer && (phase === 'answers' || this.idle)) return undefined;
    const now = this.#state(lookup);
    // An incomplete state would delete at the client what is only not known yet.
    if (now === undefined) return undefined;
    const gone: VersionedResource[] = [];
    let differs = this.#mustAnswer;
    for (const [name, resource] of this.#sent) if (!now.has(name)) gone.push(resource);
    for (const [name, resource] of now) if (this.#sent.get(name)?.version !== resource.version) differs = true;
    if (phase !== 'all') {
      if (!differs) {
        if (gone.length === 0) this.#clearDue();
        return undefined;
      }
      if (gone.length === 0) this.#clearDue();
      return [...now.values(), ...gone];
    }
    this.#clearDue();
    return differs || gone.length > 0 ? [...now.values()] : undefined;
  }

  #clearDue(): void {
    this.#dueAll = false;
    this.#due.clear();
  }

  #state(lookup: Lookup): Map<string, VersionedResource> | undefined {
    const state = new Map<string, VersionedResource>();
    if (this.names.has(WILDCARD)) {
      const members = lookup.wildcard();
      if (members === 'pending') return undefined;
      for (const name of members) if (!addTo(state, lookup.get(name))) return undefined;
    }
    for (const name of this.names) if (name !== WILDCARD && !addTo(state, lookup.get(name))) return undefined;
    return state;
  }

  #nextByName(lookup: Lookup, phase: Phase): readonly VersionedResource[] | undefined {
    const out = new Map<string, VersionedResource>();
    for (const name of this.#asked) {
      const resource = lookup.get(name);
      // Not there yet, or not at all: state of the world has no word for it, so it stays asked for.
      if (resource === 'pending' || resource === undefined) continue;
      this.#asked.delete(name);
      out.set(resource.name, resource);
    }
    if (phase !== 'answers') {
      const names = this.#dueAll ? this.names : this.#due;
      for (const name of names) {
        if (!this.names.has(name) || this.#asked.has(name)) continue;
        const resource = lookup.get(name);
        if (resource === 'pending') continue;
        if (resource === undefined) {
          this.#sent.delete(name);
          this.#asked.add(name);
        } else if (this.#sent.get(resource.name)?.version !== resource.version) out.set(resource.name, resource);
      }
      this.#clearDue();
    }
    return out.size === 0 ? undefined : [...out.values()];
  }
}

function addTo(state: Map<string, VersionedResource>, resource: VersionedResource | 'pending' | undefined): boolean {
  if (resource === 'pending') return false;
  if (resource !== undefined) state.set(resource.name, resource);
  return true;
}
