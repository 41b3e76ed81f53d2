import type { ResourceRef } from '@outrigger/resources';
import { isSameIn, type Key, keys, type NodeField, type Note, type ProxyNode, SharedByNode, type TranslatedMessage } from '@outrigger/translate';
import type { TypeUrl, VersionedResource } from '@outrigger/xds';
import { encodeResource } from './encode.ts';

/** Who gets entries. */
export interface Holder<Self> {
  readonly node: ProxyNode;
  /** Its node is no longer the same as those of the others who get `from`, in what the translation now reads. */
  moved(from: Entry<Self>, to: Entry<Self>): void;
}

/** One xDS resource for all the clients that get the same one. */
export interface Entry<Client> {
  readonly typeUrl: TypeUrl;
  /** As it was subscribed to. */
  readonly name: string;
  /** One of those who get it: any of them translates to the same. */
  readonly node: ProxyNode;
  /** In what of the node those who get it are the same. */
  reads: ReadonlySet<NodeField>;
  /** 'pending': cannot be translated now; clients keep what they have. */
  resource: VersionedResource | 'pending' | undefined;
  keys: readonly Key[];
  sources: readonly ResourceRef[];
  notes: readonly Note[];
  readonly clients: Set<Client>;
}

/** undefined: this type is not translated. 'failed': it threw, and no single object could be put aside. */
export type Translator = (node: ProxyNode, typeUrl: TypeUrl, name: string) => TranslatedMessage | 'failed' | undefined;

const NOTHING: ReadonlySet<Key> = new Set();

/** Entries that hang on a key, and the key as one text that they share: each translation makes its own. */
interface Filed<Client> {
  readonly key: Key;
  readonly entries: Set<Entry<Client>>;
}
/** Of a translation that failed before it could say what it reads. */
const ITSELF: ReadonlySet<NodeField> = new Set(['id']);

/** Encoded resources in use, shared between the clients for which they are the same. */
export class TranslationCache<Client extends Holder<Client>> {
  readonly #translate: Translator;
  readonly #entries = new Set<Entry<Client>>();
  /** By type and name. */
  readonly #shared = new Map<string, SharedByNode<Entry<Client>>>();
  readonly #byKey = new Map<Key, Filed<Client>>();
  /** Those that could not be translated: tried again with every change. */
  readonly #failed = new Set<Entry<Client>>();

  constructor(translate: Translator) {
    this.#translate = translate;
  }

  get size(): number {
    return this.#entries.size;
  }

  entries(): Iterable<Entry<Client>> {
    return this.#entries;
  }

  acquire(client: Client, typeUrl: TypeUrl, name: string): Entry<Client> {
    const { node } = client;
    const id = sharedId(typeUrl, name);
    let shared = this.#shared.get(id);
    if (shared === undefined) {
      shared = new SharedByNode();
      this.#shared.set(id, shared);
    }
    let entry = shared.get(node);
    if (entry === undefined) {
      entry = { typeUrl, name, node, reads: new Set(), resource: undefined, keys: [], sources: [], notes: [], clients: new Set() };
      this.#entries.add(entry);
      entry.reads = this.#fill(entry);
      shared.set(node, entry.reads, entry);
    }
    entry.clients.add(client);
    return entry;
  }

  release(client: Client, entry: Entry<Client>): void {
    entry.clients.delete(client);
    if (entry.clients.size > 0) return;
    this.#entries.delete(entry);
    this.#failed.delete(entry);
    this.#index(entry, NOTHING);
    const id = sharedId(entry.typeUrl, entry.name);
    const shared = this.#shared.get(id)!;
    shared.delete(entry.node, entry.reads);
    if (shared.isEmpty) this.#shared.delete(id);
  }

  /** Translates again what hangs on the touched keys. Gives the entries whose content is another now for one of their clients, with the content before. */
  refresh(touched: ReadonlySet<Key>): ReadonlyMap<Entry<Client>, VersionedResource | undefined> {
    const affected = new Set(touched.has(keys.settings) ? this.#entries : this.#failed);
    for (const key of touched) for (const entry of this.#byKey.get(key)?.entries ?? []) affected.add(entry);
    const changed = new Map<Entry<Client>, VersionedResource | undefined>();
    const parting: [entry: Entry<Client>, before: VersionedResource | 'pending' | undefined][] = [];
    for (const entry of affected) {
      const before = entry.resource;
      const reads = this.#fill(entry);
      if (!reads.isSubsetOf(entry.reads)) {
        this.#narrow(entry, reads.union(entry.reads));
        parting.push([entry, before]);
      }
      if (entry.resource === 'pending') continue;
      if (before === 'pending') changed.set(entry, undefined);
      else if (before?.version !== entry.resource?.version) changed.set(entry, before);
    }
    for (const [entry, before] of parting) for (const to of this.#part(entry)) if (!changed.has(to)) changed.set(to, before === 'pending' ? undefined : before);
    return changed;
  }

  /** From now on for those alone who are the same in these fields too. */
  #narrow(entry: Entry<Client>, reads: ReadonlySet<NodeField>): void {
    const shared = this.#shared.get(sharedId(entry.typeUrl, entry.name))!;
    shared.delete(entry.node, entry.reads);
    entry.reads = reads;
    shared.set(entry.node, reads, entry);
  }

  /** Gives the entries that its other clients get now. */
  #part(entry: Entry<Client>): Set<Entry<Client>> {
    const found = new Set<Entry<Client>>();
    for (const client of [...entry.clients]) {
      if (isSameIn(entry.reads, client.node, entry.node)) continue;
      const to = this.acquire(client, entry.typeUrl, entry.name);
      client.moved(entry, to);
      this.release(client, entry);
      found.add(to);
    }
    return found;
  }

  /** Gives what of the node it reads. */
  #fill(entry: Entry<Client>): ReadonlySet<NodeField> {
    const translated = this.#translate(entry.node, entry.typeUrl, entry.name);
    if (translated === 'failed') {
      entry.resource = 'pending';
      this.#failed.add(entry);
      return ITSELF;
    }
    this.#failed.delete(entry);
    this.#index(entry, translated?.keys ?? NOTHING);
    entry.sources = translated?.sources ?? [];
    entry.notes = translated?.notes ?? [];
    entry.resource = translated?.message === undefined ? undefined : encodeResource(entry.typeUrl, translated.name, translated.message, translated.aliases);
    return translated?.reads ?? new Set();
  }

  #index(entry: Entry<Client>, keys: ReadonlySet<Key>): void {
    for (const key of entry.keys) {
      if (keys.has(key)) continue;
      const filed = this.#byKey.get(key);
      filed?.entries.delete(entry);
      if (filed?.entries.size === 0) this.#byKey.delete(key);
    }
    entry.keys = Array.from(keys, (key) => {
      let filed = this.#byKey.get(key);
      if (filed === undefined) {
        filed = { key, entries: new Set() };
        this.#byKey.set(key, filed);
      }
      filed.entries.add(entry);
      return filed.key;
    });
  }
}

function sharedId(typeUrl: TypeUrl, name: string): string {
  return `${typeUrl}\n${name}`;
}
