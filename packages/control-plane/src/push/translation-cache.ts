import type { ResourceRef } from '@outrigger/resources';
import { type Key, type Note, type ProxyNode, shareKey, type TranslatedMessage } from '@outrigger/translate';
import type { TypeUrl, VersionedResource } from '@outrigger/xds';
import { encodeResource } from './encode.ts';

/** One xDS resource for all the clients that get the same one. */
export interface Entry<Client> {
  readonly id: string;
  readonly typeUrl: TypeUrl;
  /** As it was subscribed to. */
  readonly name: string;
  /** One of those who get it: any of them translates to the same. */
  readonly node: ProxyNode;
  /** 'pending': cannot be translated now; clients keep what they have. */
  resource: VersionedResource | 'pending' | undefined;
  keys: ReadonlySet<Key>;
  sources: readonly ResourceRef[];
  notes: readonly Note[];
  readonly clients: Set<Client>;
}

/** undefined: this type is not translated. 'failed': it threw, and no single object could be put aside. */
export type Translator = (node: ProxyNode, typeUrl: TypeUrl, name: string) => TranslatedMessage | 'failed' | undefined;

const NOTHING: ReadonlySet<Key> = new Set();

/** Encoded resources in use, shared between clients, found by what they were made of. */
export class TranslationCache<Client> {
  readonly #translate: Translator;
  readonly #entries = new Map<string, Entry<Client>>();
  readonly #byKey = new Map<Key, Set<Entry<Client>>>();
  /** Those that could not be translated: tried again with every change. */
  readonly #failed = new Set<Entry<Client>>();

  constructor(translate: Translator) {
    this.#translate = translate;
  }

  get size(): number {
    return this.#entries.size;
  }

  entries(): Iterable<Entry<Client>> {
    return this.#entries.values();
  }

  acquire(client: Client, node: ProxyNode, typeUrl: TypeUrl, name: string): Entry<Client> {
    const id = `${typeUrl}\n${shareKey(node, typeUrl)}\n${name}`;
    let entry = this.#entries.get(id);
    if (entry === undefined) {
      entry = { id, typeUrl, name, node, resource: undefined, keys: NOTHING, sources: [], notes: [], clients: new Set() };
      this.#entries.set(id, entry);
      this.#fill(entry);
    }
    entry.clients.add(client);
    return entry;
  }

  release(client: Client, entry: Entry<Client>): void {
    entry.clients.delete(client);
    if (entry.clients.size > 0) return;
    this.#entries.delete(entry.id);
    this.#failed.delete(entry);
    this.#index(entry, NOTHING);
  }

  /** Translates again what hangs on the touched keys. Gives the entries whose content is another now, with the content before. */
  refresh(touched: ReadonlySet<Key>): ReadonlyMap<Entry<Client>, VersionedResource | undefined> {
    const affected = new Set(this.#failed);
    for (const key of touched) for (const entry of this.#byKey.get(key) ?? []) affected.add(entry);
    const changed = new Map<Entry<Client>, VersionedResource | undefined>();
    for (const entry of affected) {
      const before = entry.resource;
      this.#fill(entry);
      if (entry.resource === 'pending') continue;
      if (before === 'pending') changed.set(entry, undefined);
      else if (before?.version !== entry.resource?.version) changed.set(entry, before);
    }
    return changed;
  }

  #fill(entry: Entry<Client>): void {
    const translated = this.#translate(entry.node, entry.typeUrl, entry.name);
    if (translated === 'failed') {
      entry.resource = 'pending';
      this.#failed.add(entry);
      return;
    }
    this.#failed.delete(entry);
    this.#index(entry, translated?.keys ?? NOTHING);
    entry.sources = translated?.sources ?? [];
    entry.notes = translated?.notes ?? [];
    entry.resource = translated?.message === undefined ? undefined : encodeResource(entry.typeUrl, translated.name, translated.message, translated.aliases);
  }

  #index(entry: Entry<Client>, keys: ReadonlySet<Key>): void {
    for (const key of entry.keys) {
      if (keys.has(key)) continue;
      const entries = this.#byKey.get(key);
      entries?.delete(entry);
      if (entries?.size === 0) this.#byKey.delete(key);
    }
    for (const key of keys) {
      const entries = this.#byKey.get(key);
      if (entries === undefined) this.#byKey.set(key, new Set([entry]));
      else entries.add(entry);
    }
    entry.keys = keys;
  }
}
