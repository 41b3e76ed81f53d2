import type { Any } from '@bufbuild/protobuf/wkt';
import type { AdsClient, Subscription } from '../client/ads-client.ts';
import type { ResourceUpdate, Verdict } from '../client/handler.ts';
import type { Change, ResourceView, TypeUrl, VersionedResource } from '../source.ts';
import { RelayedResources } from './relayed-resources.ts';

/** One type of one downstream stream: what the upstream has said of it. */
class RelayedType {
  readonly subscription: Subscription;
  readonly resources = new RelayedResources();
  /** Upstream responses that wait for the downstream's answer. */
  readonly waiting: ((verdict: Verdict) => void)[] = [];
  /** The downstream's words of refusal since it last was settled. */
  refusal: string | undefined;

  constructor(subscribe: (type: RelayedType) => Subscription) {
    this.subscription = subscribe(this);
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
    return type === undefined ? 'pending' : type.resources.get(name, type.subscription.names);
  }

  wildcard(typeUrl: TypeUrl): Iterable<string> | 'pending' {
    return this.#types.get(typeUrl)?.resources.names() ?? 'pending';
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
    type.resources.keep(names, gone);
  }

  #take(typeUrl: TypeUrl, type: RelayedType, update: ResourceUpdate<Any>): Promise<Verdict> {
    type.resources.take(update, type.subscription.names);
    const names = new Set([...update.added.map(({ name }) => name), ...update.removed]);
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
