import { type ResourceRef, refKey } from '@outrigger/resources';
import { type Key, keys, type ProxyNode } from '@outrigger/translate';
import { type Change, type ResourceView, TypeUrl, type VersionedResource } from '@outrigger/xds';
import { PUSHED_TYPES } from './encode.ts';
import type { Entry, Holder, TranslationCache } from './translation-cache.ts';
import type { Names, WildcardKeys } from './wildcard-keys.ts';

/** What a client view needs of the source that made it. */
export interface ViewContext {
  readonly cache: TranslationCache<ClientView>;
  readonly wildcards: WildcardKeys;
  /** Names of a wildcard subscription; 'failed': cannot be translated now. */
  namesOf(node: ProxyNode, typeUrl: TypeUrl): Names | 'failed';
  /** Number of the last push. */
  flush(): number;
  progressed(view: ClientView): void;
  refused(view: ClientView, typeUrl: TypeUrl, message: string): void;
  closed(view: ClientView): void;
}

/** Not acknowledged yet: since which push. */
export interface Outstanding {
  readonly typeUrl: TypeUrl;
  readonly version: string;
  readonly flush: number;
}

/** A version that the client refused, in its own words. */
export interface Refused {
  readonly typeUrl: TypeUrl;
  readonly name: string;
  readonly version: string;
  readonly message: string;
}

/** Texts of one client that are kept. */
const MAX_REFUSED = 100;
const WILDCARD = '*';

/** What one connected client has subscribed to, and how much of it it has acknowledged. */
export class ClientView implements ResourceView, Holder<ClientView> {
  readonly node: ProxyNode;
  readonly #context: ViewContext;
  readonly #changed: (typeUrl: TypeUrl, change: Change) => void;
  readonly #entries = new Map<TypeUrl, Map<string, Entry<ClientView>>>();
  readonly #wildcards = new Map<TypeUrl, Names | 'failed'>();
  readonly #outstanding = new Map<string, Outstanding>();
  readonly #refused = new Map<string, Refused>();
  #closed = false;

  constructor(node: ProxyNode, context: ViewContext, changed: (typeUrl: TypeUrl, change: Change) => void) {
    this.node = node;
    this.#context = context;
    this.#changed = changed;
  }

  get closed(): boolean {
    return this.#closed;
  }

  get outstanding(): ReadonlyMap<string, Outstanding> {
    return this.#outstanding;
  }

  get refused(): ReadonlyMap<string, Refused> {
    return this.#refused;
  }

  /** Types of which it has all that there are for it. */
  get wildcards(): Iterable<TypeUrl> {
    return this.#wildcards.keys();
  }

  *entries(): IterableIterator<Entry<ClientView>> {
    for (const entries of this.#entries.values()) yield* entries.values();
  }

  has(typeUrl: TypeUrl): boolean {
    return (this.#entries.get(typeUrl)?.size ?? 0) > 0;
  }

  get(typeUrl: TypeUrl, name: string): VersionedResource | 'pending' | undefined {
    if (this.#closed || !PUSHED_TYPES.includes(typeUrl)) return undefined;
    let entries = this.#entries.get(typeUrl);
    if (entries === undefined) {
      entries = new Map();
      this.#entries.set(typeUrl, entries);
    }
    let entry = entries.get(name);
    if (entry === undefined) {
      entry = this.#context.cache.acquire(this, typeUrl, name);
      entries.set(name, entry);
      this.#await(entry, this.#context.flush());
    }
    return entry.resource;
  }

  moved(from: Entry<ClientView>, to: Entry<ClientView>): void {
    this.#entries.get(from.typeUrl)?.set(from.name, to);
  }

  wildcard(typeUrl: TypeUrl): Iterable<string> | 'pending' {
    if (typeUrl !== TypeUrl.cluster && typeUrl !== TypeUrl.listener) return [];
    let names = this.#wildcards.get(typeUrl);
    if (names === undefined || names === 'failed') {
      names = this.#context.namesOf(this.node, typeUrl);
      this.#setWildcard(typeUrl, names);
    }
    return names === 'failed' ? 'pending' : names.names;
  }

  subscribed(typeUrl: TypeUrl, names: ReadonlySet<string>): void {
    if (!names.has(WILDCARD)) this.#setWildcard(typeUrl, undefined);
    const wildcard = this.#wildcards.get(typeUrl);
    this.#keep(typeUrl, new Set([...names, ...(wildcard === undefined || wildcard === 'failed' ? [] : wildcard.names)]));
  }

  #setWildcard(typeUrl: TypeUrl, names: Names | 'failed' | undefined): void {
    this.#context.wildcards.replace(this.#wildcards.get(typeUrl), names);
    if (names === undefined) this.#wildcards.delete(typeUrl);
    else this.#wildcards.set(typeUrl, names);
  }

  /** Releases what is subscribed to no more. */
  #keep(typeUrl: TypeUrl, names: Set<string>): void {
    const entries = this.#entries.get(typeUrl);
    if (entries === undefined) return;
    for (const [name, entry] of entries) {
      // A virtual host is held under its own name, whatever alias it was asked for by.
      if (names.has(name) && entry.resource !== undefined && entry.resource !== 'pending') names.add(entry.resource.name);
    }
    for (const [name, entry] of entries) {
      if (names.has(name)) continue;
      entries.delete(name);
      this.#outstanding.delete(outstandingKey(typeUrl, name));
      this.#refused.delete(outstandingKey(typeUrl, name));
      this.#context.cache.release(this, entry);
    }
  }

  /** After a push has translated again: the wildcard's names where they changed. Gives those that came or went. */
  refreshWildcard(typeUrl: TypeUrl, touched: ReadonlySet<Key>): ReadonlySet<string> | undefined {
    const before = this.#wildcards.get(typeUrl);
    if (before === undefined) return undefined;
    if (before !== 'failed' && !touched.has(keys.settings) && before.keys.isDisjointFrom(touched)) return undefined;
    const after = this.#context.namesOf(this.node, typeUrl);
    if (after === 'failed') return undefined;
    this.#setWildcard(typeUrl, after);
    if (before === 'failed') return new Set(after.names);
    const old = new Set(before.names);
    const now = new Set(after.names);
    return new Set([...before.names.filter((name) => !now.has(name)), ...after.names.filter((name) => !old.has(name))]);
  }

  /** What another push changed for this client. */
  announce(flush: number, changes: ReadonlyMap<TypeUrl, ReadonlySet<string>>): void {
    for (const typeUrl of PUSHED_TYPES) {
      const names = changes.get(typeUrl);
      if (names === undefined) continue;
      for (const name of names) {
        const entry = this.#entries.get(typeUrl)?.get(name);
        if (entry !== undefined) this.#await(entry, flush);
        else this.#outstanding.set(outstandingKey(typeUrl, name), { typeUrl, version: '', flush });
      }
    }
    for (const typeUrl of PUSHED_TYPES) {
      const names = changes.get(typeUrl);
      if (names !== undefined) this.#changed(typeUrl, names);
    }
  }

  #await(entry: Entry<ClientView>, flush: number): void {
    if (entry.resource === 'pending') return;
    const key = outstandingKey(entry.typeUrl, entry.name);
    const version = entry.resource?.version ?? '';
    // Of a resource that changes again before it is acknowledged, the first change is still waited for.
    this.#outstanding.set(key, { typeUrl: entry.typeUrl, version, flush: this.#outstanding.get(key)?.flush ?? flush });
  }

  acked(typeUrl: TypeUrl, versions: ReadonlyMap<string, string>): void {
    for (const [name, version] of versions) {
      for (const key of this.#keysOf(typeUrl, name)) {
        // The same version too: what stood in its way may be gone.
        this.#refused.delete(key);
        if (this.#outstanding.get(key)?.version === version) this.#outstanding.delete(key);
      }
    }
    this.#context.progressed(this);
  }

  nacked(typeUrl: TypeUrl, versions: ReadonlyMap<string, string>, message: string): void {
    // A refusal is of a whole answer; proxies take what is good of it, and name what is not.
    const named = [...versions.keys()].filter((name) => names(message, name));
    const taken = named.length === 0 ? new Map<string, string>() : new Map([...versions].filter(([name]) => !named.includes(name)));
    if (taken.size > 0) this.acked(typeUrl, taken);
    for (const [name, version] of versions) {
      if (taken.has(name)) continue;
      for (const key of this.#keysOf(typeUrl, name)) {
        this.#outstanding.delete(key);
        if (this.#refused.size < MAX_REFUSED) this.#refused.set(key, { typeUrl, name, version, message });
      }
    }
    this.#context.refused(this, typeUrl, message);
    this.#context.progressed(this);
  }

  /** What had a part in the refused, as far as it is still sent. */
  sourcesRefused(typeUrl: TypeUrl): readonly ResourceRef[] {
    const sources = new Map<string, ResourceRef>();
    for (const [key, { version }] of this.#refused) {
      for (const entry of this.#entries.get(typeUrl)?.values() ?? []) {
        if (outstandingKey(typeUrl, entry.name) !== key || typeof entry.resource !== 'object' || entry.resource.version !== version) continue;
        for (const source of entry.sources) sources.set(refKey(source), source);
      }
    }
    return [...sources.values()];
  }

  settled(typeUrl: TypeUrl): void {
    // What the client had already from an earlier stream is never sent, so never acknowledged by name.
    for (const [key, { typeUrl: type }] of this.#outstanding) if (type === typeUrl) this.#outstanding.delete(key);
    this.#context.progressed(this);
  }

  /** A response carries a virtual host's own name; it was asked for by another. */
  *#keysOf(typeUrl: TypeUrl, name: string): IterableIterator<string> {
    yield outstandingKey(typeUrl, name);
    if (typeUrl !== TypeUrl.virtualHost) return;
    for (const entry of this.#entries.get(typeUrl)?.values() ?? []) {
      if (entry.name !== name && typeof entry.resource === 'object' && entry.resource.name === name) yield outstandingKey(typeUrl, entry.name);
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const entry of this.entries()) this.#context.cache.release(this, entry);
    this.#entries.clear();
    for (const typeUrl of [...this.#wildcards.keys()]) this.#setWildcard(typeUrl, undefined);
    this.#context.closed(this);
  }
}

/** Whether a text has a name in it that is no part of a longer one. */
function names(text: string, name: string): boolean {
  const part = /[\w.|-]/;
  for (let at = text.indexOf(name); at >= 0; at = text.indexOf(name, at + 1)) {
    if (!part.test(text[at - 1] ?? ' ') && !part.test(text[at + name.length] ?? ' ')) return true;
  }
  return false;
}

export function outstandingKey(typeUrl: TypeUrl, name: string): string {
  return `${typeUrl}\n${name}`;
}
