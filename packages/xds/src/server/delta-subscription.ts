import { type Change, TypeUrl, type VersionedResource } from '../source.ts';
import { type AdsLimits, MAX_OUTSTANDING_ANSWERS, MAX_VERSION_LENGTH } from './limits.ts';
import {
  checkNames,
  type Lookup,
  membership,
  type Nack,
  type Phase,
  type Push,
  type RequestOutcome,
  shortNack,
  type TypeSubscription,
  WILDCARD,
} from './subscriptions.ts';

export interface DeltaRequest {
  readonly subscribe: readonly string[];
  readonly unsubscribe: readonly string[];
  readonly initialVersions: Readonly<Record<string, string>>;
  /** '' for a request that answers nothing. */
  readonly nonce: string;
  /** The reason of a NACK. */
  readonly error: string | undefined;
}

/** Version under which `held` notes that the client was told that there is none. */
const ABSENT = '';

/**
 * Incremental xDS for one type of one stream (xDS protocol, "Incremental xDS"). Pure: requests and changes go in,
 * pushes come out; sent is held until the client unsubscribes.
 */
export class DeltaSubscription implements TypeSubscription {
  readonly names = new Set<string>();
  readonly #typeUrl: TypeUrl;
  readonly #limits: AdsLimits;
  #first = true;
  /** Resource name -> version that the client has (ABSENT: was told that there is none). */
  readonly #held = new Map<string, string>();
  /** Subscribed alias -> name of the resource that answers it, and the other way round. */
  readonly #resolved = new Map<string, string>();
  readonly #aliasesOf = new Map<string, Set<string>>();
  /** Announced by the source, not yet looked at. */
  readonly #due = new Set<string>();
  #dueAll = false;
  /** Asked by the client, not yet answered. true: also when it holds that very version. */
  readonly #asked = new Map<string, boolean>();
  #askedAll = false;
  /** The first request of a type is always answered, be it by an empty response: "you have everything". */
  #mustAnswer = false;
  readonly #outstanding = new Map<string, ReadonlyMap<string, string>>();

  constructor(typeUrl: TypeUrl, limits: AdsLimits) {
    this.#typeUrl = typeUrl;
    this.#limits = limits;
  }

  get busy(): boolean {
    return this.#outstanding.size > 0;
  }

  get idle(): boolean {
    return !this.#dueAll && this.#due.size === 0;
  }

  request(request: DeltaRequest): RequestOutcome {
    const { subscribe, unsubscribe } = request;
    checkNames(subscribe, this.names.size, this.#limits, this.#typeUrl);
    let namesChanged = false;
    const first = this.#first;
    if (first) {
      this.#first = false;
      this.#mustAnswer = true;
      const initial = Object.entries(request.initialVersions);
      checkNames(Object.keys(request.initialVersions), 0, this.#limits, this.#typeUrl);
      for (const [name, version] of initial) if (version !== ABSENT && version.length <= MAX_VERSION_LENGTH) this.#held.set(name, version);
      // Legacy wildcard: nothing named, ever. Other types than these have no wildcard, so for them it asks for nothing.
      if (subscribe.length === 0 && unsubscribe.length === 0 && hasLegacyWildcard(this.#typeUrl)) {
        this.names.add(WILDCARD);
        this.#askedAll = true;
        namesChanged = true;
      }
    }
    for (const name of unsubscribe) {
      if (!this.names.delete(name)) continue;
      namesChanged = true;
      if (name === WILDCARD) this.#forgetWildcard();
      // With a wildcard beside it the client cannot know whether to keep it, so it must be told.
      else if (this.names.has(WILDCARD) || subscribe.includes(WILDCARD)) this.#asked.set(name, true);
      else this.#forget(name);
    }
    for (const name of subscribe) {
      if (!this.names.has(name)) {
        this.names.add(name);
        namesChanged = true;
      }
      if (name === WILDCARD) this.#askedAll = true;
      else this.#asked.set(name, !first);
    }
    const answered = request.nonce === '' ? undefined : this.#outstanding.get(request.nonce);
    if (answered === undefined) return { acked: undefined, nacked: undefined, nonce: undefined, namesChanged };
    this.#outstanding.delete(request.nonce);
    const nacked: Nack | undefined = request.error === undefined ? undefined : { message: shortNack(request.error), versions: answered };
    return { acked: nacked === undefined ? answered : undefined, nacked, nonce: request.nonce, namesChanged };
  }

  changed(change: Change): void {
    if (change === 'all') this.#dueAll = true;
    else for (const name of change) this.#due.add(name);
  }

  askAgain(name: string): void {
    if (this.names.has(name)) this.#asked.set(name, true);
  }

  next(lookup: Lookup, phase: Phase, nonce: string): Push | undefined {
    const answers = (this.#asked.size > 0 || this.#askedAll || this.#mustAnswer) && this.#outstanding.size < MAX_OUTSTANDING_ANSWERS;
    const changes = phase !== 'answers' && !this.busy && !this.idle;
    // Asked of every type and phase whenever one of them has something.
    if (!answers && !changes) return undefined;
    const draft = new Draft();
    const open = answers && this.#answer(lookup, draft);
    if (changes) this.#lookAtChanges(lookup, draft, phase === 'all');
    if (draft.empty && !(this.#mustAnswer && answers && !open)) return undefined;
    this.#mustAnswer = false;
    const versions = draft.versions();
    this.#outstanding.set(nonce, versions);
    return { nonce, resources: [...draft.resources.values()], removed: [...draft.removed], absent: [...draft.absent], versions };
  }

  /** Returns whether something stays unanswered because the source does not know yet. */
  #answer(lookup: Lookup, draft: Draft): boolean {
    let open = false;
    for (const [name, force] of this.#asked) {
      const resource = lookup.get(name);
      if (resource === 'pending') {
        open = true;
        continue;
      }
      this.#asked.delete(name);
      if (!this.names.has(name)) this.#afterUnsubscribe(name, resource, lookup, draft);
      else if (resource !== undefined) this.#offer(name, resource, force, draft);
      else if (force || this.#held.get(name) !== ABSENT) {
        this.#held.set(name, ABSENT);
        draft.absent.add(name);
      }
    }
    if (this.#askedAll) {
      const members = lookup.wildcard();
      if (members === 'pending') return true;
      this.#askedAll = false;
      this.#offerAll(membership(members), lookup, draft, true);
    }
    return open;
  }

  #afterUnsubscribe(name: string, resource: VersionedResource | undefined, lookup: Lookup, draft: Draft): void {
    // The wildcard may have been dropped since, or by the same request.
    const members = this.names.has(WILDCARD) ? lookup.wildcard() : [];
    if (resource !== undefined && members !== 'pending' && membership(members).has(resource.name)) this.#offer(name, resource, true, draft);
    else {
      this.#forget(name);
      draft.removed.add(name);
    }
  }

  #lookAtChanges(lookup: Lookup, draft: Draft, removals: boolean): void {
    const members = this.names.has(WILDCARD) ? lookup.wildcard() : [];
    if (members === 'pending') return;
    const wildcard = membership(members);
    if (this.#dueAll) {
      this.#dueAll = false;
      this.#due.clear();
      this.#offerAll(wildcard, lookup, draft, removals);
      return;
    }
    for (const name of this.#due) {
      this.#due.delete(name);
      this.#lookAt(name, wildcard, lookup, draft, removals);
    }
    for (const name of draft.later) this.#due.add(name);
  }

  /** Compares everything that the client has or wants with what there is. */
  #offerAll(wildcard: ReadonlySet<string>, lookup: Lookup, draft: Draft, removals: boolean): void {
    for (const name of wildcard) {
      const resource = lookup.get(name);
      if (resource !== undefined && resource !== 'pending') this.#offer(name, resource, false, draft);
    }
    for (const name of this.names) if (name !== WILDCARD && !this.#asked.has(name)) this.#lookAt(name, wildcard, lookup, draft, removals);
    for (const name of this.#held.keys()) if (!draft.resources.has(name)) this.#lookAt(name, wildcard, lookup, draft, removals);
    for (const name of draft.later) this.#due.add(name);
  }

  #lookAt(name: string, wildcard: ReadonlySet<string>, lookup: Lookup, draft: Draft, removals: boolean): void {
    const resource = lookup.get(name);
    if (resource === 'pending') return;
    const held = this.#held.get(name);
    if (resource !== undefined && this.#wanted(name, resource, wildcard)) {
      this.#offer(name, resource, false, draft);
      return;
    }
    if (held === undefined || held === ABSENT) return;
    if (!removals) {
      draft.later.add(name);
      return;
    }
    draft.removed.add(name);
    if (this.names.has(name)) this.#held.set(name, ABSENT);
    else this.#held.delete(name);
    const orphans = this.#aliasesOf.get(name);
    if (orphans === undefined) return;
    this.#aliasesOf.delete(name);
    for (const alias of orphans) {
      this.#resolved.delete(alias);
      this.#asked.set(alias, false);
    }
  }

  #wanted(name: string, resource: VersionedResource, wildcard: ReadonlySet<string>): boolean {
    if (this.names.has(name) || wildcard.has(resource.name) || this.names.has(resource.name)) return true;
    return resource.aliases?.some((alias) => this.names.has(alias)) ?? false;
  }

  #offer(name: string, resource: VersionedResource, force: boolean, draft: Draft): void {
    this.#link(name, resource.name, draft);
    for (const alias of resource.aliases ?? []) if (this.names.has(alias)) this.#link(alias, resource.name, draft);
    this.#askAgainWhatItNoLongerAnswers(resource);
    if (!force && this.#held.get(resource.name) === resource.version) return;
    this.#held.set(resource.name, resource.version);
    draft.removed.delete(resource.name);
    draft.resources.set(resource.name, resource);
  }

  #askAgainWhatItNoLongerAnswers(resource: VersionedResource): void {
    const aliases = this.#aliasesOf.get(resource.name);
    if (aliases === undefined) return;
    for (const alias of aliases) {
      if (resource.aliases?.includes(alias)) continue;
      this.#unlink(alias);
      this.#asked.set(alias, false);
    }
  }

  /** Notes which resource answers a name, and takes back one that answered it before and answers nothing else. */
  #link(name: string, target: string, draft: Draft): void {
    const before = this.#resolved.get(name) ?? name;
    if (before === target) return;
    this.#unlink(name);
    if (name !== target) {
      this.#resolved.set(name, target);
      let aliases = this.#aliasesOf.get(target);
      if (aliases === undefined) {
        aliases = new Set();
        this.#aliasesOf.set(target, aliases);
      }
      aliases.add(name);
    }
    if (this.#aliasesOf.has(before) || (before !== name && this.names.has(before)) || this.names.has(WILDCARD)) return;
    const held = this.#held.get(before);
    this.#held.delete(before);
    if (held !== undefined && held !== ABSENT && !draft.resources.has(before)) draft.removed.add(before);
  }

  #unlink(name: string): void {
    const target = this.#resolved.get(name);
    if (target === undefined) return;
    this.#resolved.delete(name);
    const aliases = this.#aliasesOf.get(target)!;
    aliases.delete(name);
    if (aliases.size === 0) this.#aliasesOf.delete(target);
  }

  /** The client has dropped it: what only this name asked for is no longer held. */
  #forget(name: string): void {
    const target = this.#resolved.get(name) ?? name;
    this.#unlink(name);
    this.#asked.delete(name);
    this.#held.delete(name);
    if (!this.names.has(target) && !this.#aliasesOf.has(target)) this.#held.delete(target);
  }

  #forgetWildcard(): void {
    this.#askedAll = false;
    // Names that were to be told "in the wildcard or not" have no question left.
    for (const name of this.#asked.keys()) if (!this.names.has(name)) this.#asked.delete(name);
    for (const name of this.#held.keys()) if (!this.names.has(name) && !this.#aliasesOf.has(name)) this.#held.delete(name);
  }
}

/** A response in the making. */
class Draft {
  readonly resources = new Map<string, VersionedResource>();
  readonly removed = new Set<string>();
  readonly absent = new Set<string>();
  /** Removals that wait for their phase. */
  readonly later = new Set<string>();

  get empty(): boolean {
    return this.resources.size === 0 && this.removed.size === 0 && this.absent.size === 0;
  }

  versions(): Map<string, string> {
    const versions = new Map<string, string>();
    for (const name of this.removed) versions.set(name, ABSENT);
    for (const name of this.absent) versions.set(name, ABSENT);
    for (const resource of this.resources.values()) versions.set(resource.name, resource.version);
    return versions;
  }
}

/** Listeners and clusters by the protocol; virtual hosts because Envoy's VHDS starts so and waits for an answer. */
export function hasLegacyWildcard(typeUrl: TypeUrl): boolean {
  return typeUrl === TypeUrl.listener || typeUrl === TypeUrl.cluster || typeUrl === TypeUrl.virtualHost;
}
