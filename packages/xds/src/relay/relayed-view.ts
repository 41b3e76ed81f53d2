import type { Any } from '@bufbuild/protobuf/wkt';
import type { AdsClient, Subscription } from '../client/ads-client.ts';
import type { ResourceUpdate, Verdict } from '../client/handler.ts';
import type { Change, ResourceView, TypeUrl, VersionedResource } from '../source.ts';

/** One type of one downstream stream: what the upstream has said of it. */
class RelayedType {
  readonly subscription: Subscription;
  readonly resources = new Map<string, VersionedResource>();
  /** Asked for by name and not there. */
  readonly missing = new Set<string>();
  /** Something was said: a wildcard is known now. */
  answered = false;
  /** Upstream responses that wait for the downstream's answer. */
  readonly waiting: ((verdict: Verdict) => void)[] = [];
  /** The downstream's words of refusal since it last was settled. */
  refusal: string | undefined;
  readonly #byAlias = new Map<string, string>();

  constructor(subscribe: (type: RelayedType) => Subscription) {
    this.subscription = subscribe(this);
  }

  find(name: string): VersionedResource | undefined {
    const exact = this.resources.get(name);
    if (exact !== undefined) return exact;
    const target = this.#byAlias.get(name);
    return target === undefined ? undefined : this.resources.get(target);
  }

  put(resource: VersionedResource): void {
    this.delete(resource.name);
    this.resources.set(resource.name, resource);
    this.missing.delete(resource.name);
    for (const alias of resource.aliases ?? []) {
      this.#byAlias.set(alias, resource.name);
      this.missing.delete(alias);
    }
  }

  delete(name: string): void {
    const before = this.resources.get(name);
    if (before === undefined) return;
    this.resources.delete(name);
    for (const alias of before.aliases ?? []) if (this.#byAlias.get(alias) === name) this.#byAlias.delete(alias);
  }
}

/**
 * What one downstream client sees: what its own upstream stream, or the cache, holds. An upstream response is answered
 * when the downstream has answered everything that came of it, and in the downstream's words.
 */
export class RelayedView implements ResourceView {
  readonly #client: AdsClient;
  readonly #changed: (typeUrl: TypeUrl, change: Change) => void;
  readonly #onClose: () => void;
  readonly #types = new Map<TypeUrl, RelayedType>();

  constructor(client: AdsClient, changed: (typeUrl: TypeUrl, change: Change) => void, onClose: () => void) {
    this.#client = client;
    this.#changed = changed;
    this.#onClose = onClose;
  }

  get(typeUrl: TypeUrl, name: string): VersionedResource | 'pending' | undefined {
    const type = this.#types.get(typeUrl);
    if (type === undefined) return 'pending';
    const found = type.find(name);
    if (found !== undefined) return found;
    return type.subscription.names.has(name) && !type.missing.has(name) ? 'pending' : undefined;
  }

  wildcard(typeUrl: TypeUrl): Iterable<string> | 'pending' {
    const type = this.#types.get(typeUrl);
    if (type === undefined || !type.answered) return 'pending';
    return new Set(type.resources.keys());
  }

  subscribed(typeUrl: TypeUrl, names: ReadonlySet<string>): void {
    const type = this.#types.get(typeUrl);
    if (type === undefined) {
      this.#types.set(typeUrl, new RelayedType((made) => this.#client.subscribeRaw(typeUrl, names, (update) => this.#take(typeUrl, made, update))));
      return;
    }
    const gone = [...type.subscription.names].filter((name) => !names.has(name));
    type.subscription.add(names);
    if (gone.length === 0) return;
    type.subscription.remove(gone);
    for (const name of gone) type.missing.delete(name);
    for (const [name, resource] of type.resources) if (!wanted(names, name, resource)) type.delete(name);
  }

  #take(typeUrl: TypeUrl, type: RelayedType, update: ResourceUpdate<Any>): Promise<Verdict> {
    const names = new Set<string>();
    for (const { name, version, message, aliases } of update.added) {
      type.put(aliases.length === 0 ? { name, version, body: message } : { name, version, body: message, aliases });
      names.add(name);
    }
    for (const name of update.removed) {
      type.delete(name);
      if (type.subscription.names.has(name)) type.missing.add(name);
      names.add(name);
    }
    type.answered = true;
    return new Promise((resolve) => {
      type.waiting.push(resolve);
      this.#changed(typeUrl, names);
    });
  }

  nacked(typeUrl: TypeUrl, _versions: ReadonlyMap<string, string>, message: string): void {
    const type = this.#types.get(typeUrl);
    if (type !== undefined) type.refusal = message;
  }

  settled(typeUrl: TypeUrl): void {
    const type = this.#types.get(typeUrl);
    if (type !== undefined) this.#settle(type);
  }

  #settle(type: RelayedType): void {
    const verdict = type.refusal === undefined ? undefined : { refused: type.refusal };
    type.refusal = undefined;
    for (const resolve of type.waiting.splice(0)) resolve(verdict);
  }

  close(): void {
    // A client that ends with its answer on the way has refused nothing: what it was given is what the next one gets while the control plane is away.
    for (const type of this.#types.values()) this.#settle(type);
    this.#client.close();
    this.#onClose();
  }
}

function wanted(names: ReadonlySet<string>, name: string, resource: VersionedResource): boolean {
  return names.has('*') || names.has(name) || (resource.aliases?.some((alias) => names.has(alias)) ?? false);
}
