import type { Any } from '@bufbuild/protobuf/wkt';
import type { AdsClient, Subscription } from '../client/ads-client.ts';
import type { Rejection, ResourceUpdate, Verdict } from '../client/handler.ts';
import { CUT_SHORT } from '../client/type-client.ts';
import type { StreamMethods } from '../grpc/stream-method.ts';
import { createAdsRoutes } from '../server/ads.ts';
import { type Change, type ResourceView, TypeUrl, type VersionedResource } from '../source.ts';
import { RelayedResources } from './relayed-resources.ts';

export interface SharedRelay {
  /** ADS, for a server on a Unix socket. */
  readonly methods: StreamMethods;
  /** What is known of a type, encoded. */
  entries(typeUrl: string): Iterable<VersionedResource>;
  close(): void;
}

/**
 * ADS for several processes that are one proxy to the control plane: one stream to it, of what any of them wants. A response is answered once all that
 * were given something of it have answered, with a refusal where one has refused.
 */
export function createSharedRelay(client: AdsClient): SharedRelay {
  const types = new Map<string, SharedType>();
  const routes = createAdsRoutes({
    open: (_node, _caller, changed) => new SharedView(client, types, changed),
  });
  return {
    methods: routes.methods,
    entries: (typeUrl) => types.get(typeUrl)?.resources.all.values() ?? [],
    close: () => routes.close(),
  };
}

/** One type, as all views have it. */
class SharedType {
  readonly resources = new RelayedResources();
  readonly views = new Set<SharedView>();
  readonly subscription: Subscription;
  readonly #typeUrl: TypeUrl;

  constructor(client: AdsClient, typeUrl: TypeUrl) {
    this.#typeUrl = typeUrl;
    // Secrets come to no disk.
    this.subscription = client.subscribeRaw(typeUrl, [], (update) => this.#take(update), typeUrl !== TypeUrl.secret);
  }

  /** The names that some view wants are those that are subscribed to. */
  wantedChanged(): void {
    const wanted = new Set<string>();
    for (const view of this.views) for (const name of view.names(this.#typeUrl)) wanted.add(name);
    const gone = [...this.subscription.names].filter((name) => !wanted.has(name));
    this.subscription.add(wanted);
    if (gone.length === 0) return;
    this.subscription.remove(gone);
    this.resources.keep(wanted, gone);
  }

  async #take(update: ResourceUpdate<Any>): Promise<Verdict> {
    const { all } = this.resources;
    const before = new Map(update.added.map(({ name }) => [name, all.get(name)]));
    this.resources.take(update, this.subscription.names);
    const given = new Map(Array.from(before.keys(), (name) => [name, all.get(name)]));
    const changed = new Set([...update.added.flatMap(({ name, aliases }) => [name, ...aliases]), ...update.removed]);
    const asked = [...this.views];
    const verdicts = await Promise.all(asked.map((view) => view.tell(this.#typeUrl, changed)));
    const refusals = verdicts.filter((verdict) => verdict !== undefined);
    if (refusals.length === 0) return undefined;
    const rejections = refusals.map((verdict) => rejectionsOf(verdict, before));
    // What was refused is served by nobody: who begins later is given what the others serve.
    const refused = rejections.includes(null) ? before.keys() : rejections.flatMap((some) => some!.map(({ name }) => name));
    const restored = new Set<string>();
    for (const name of refused) {
      const good = before.get(name);
      if (restored.has(name) || all.get(name) !== given.get(name)) continue;
      restored.add(name);
      if (good === undefined) this.resources.delete(name);
      else this.resources.put(good);
    }
    for (const view of this.views) if (!asked.includes(view)) void view.tell(this.#typeUrl, restored);
    return rejections.includes(null) ? refusals[rejections.indexOf(null)] : rejections.flatMap((some) => some!);
  }
}

/** What one process sees. */
class SharedView implements ResourceView {
  readonly #client: AdsClient;
  readonly #types: Map<string, SharedType>;
  readonly #changed: (typeUrl: TypeUrl, change: Change) => void;
  readonly #names = new Map<TypeUrl, ReadonlySet<string>>();
  /** Responses of the control plane that wait for this process's answer. */
  readonly #waiting = new Map<TypeUrl, ((verdict: Verdict) => void)[]>();
  /** Its words of refusal since it last was settled. */
  readonly #refusals = new Map<TypeUrl, string>();

  constructor(client: AdsClient, types: Map<string, SharedType>, changed: (typeUrl: TypeUrl, change: Change) => void) {
    this.#client = client;
    this.#types = types;
    this.#changed = changed;
  }

  names(typeUrl: TypeUrl): ReadonlySet<string> {
    return this.#names.get(typeUrl) ?? new Set();
  }

  get(typeUrl: TypeUrl, name: string): VersionedResource | 'pending' | undefined {
    const type = this.#types.get(typeUrl);
    return type === undefined ? 'pending' : type.resources.get(name, type.subscription.names);
  }

  wildcard(typeUrl: TypeUrl): Iterable<string> | 'pending' {
    return this.#types.get(typeUrl)?.resources.names() ?? 'pending';
  }

  subscribed(typeUrl: TypeUrl, names: ReadonlySet<string>): void {
    this.#names.set(typeUrl, new Set(names));
    let type = this.#types.get(typeUrl);
    if (type === undefined) {
      type = new SharedType(this.#client, typeUrl);
      this.#types.set(typeUrl, type);
    }
    type.views.add(this);
    type.wantedChanged();
  }

  /** Fulfilled when it has answered, undefined where it takes it or wants none of it. */
  tell(typeUrl: TypeUrl, changed: ReadonlySet<string>): Promise<Verdict> {
    const wanted = this.names(typeUrl);
    if (!wanted.has('*') && ![...changed].some((name) => wanted.has(name))) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      const waiting = this.#waiting.get(typeUrl);
      if (waiting === undefined) this.#waiting.set(typeUrl, [resolve]);
      else waiting.push(resolve);
      this.#changed(typeUrl, changed);
    });
  }

  nacked(typeUrl: TypeUrl, _versions: ReadonlyMap<string, string>, message: string): void {
    this.#refusals.set(typeUrl, message);
  }

  settled(typeUrl: TypeUrl): void {
    const refused = this.#refusals.get(typeUrl);
    this.#refusals.delete(typeUrl);
    const waiting = this.#waiting.get(typeUrl) ?? [];
    this.#waiting.delete(typeUrl);
    for (const resolve of waiting) resolve(refused === undefined ? undefined : { refused });
  }

  /** A process that ends with its answer on the way has refused nothing. */
  close(): void {
    for (const typeUrl of [...this.#waiting.keys()]) this.settled(typeUrl);
    for (const type of this.#types.values()) if (type.views.delete(this)) type.wantedChanged();
  }
}

/** A refusal as our client words it: a line for each resource. Null where it names none, or is cut short: then it is of all that were given. */
function rejectionsOf(verdict: NonNullable<Verdict>, given: ReadonlyMap<string, unknown>): readonly Rejection[] | null {
  if (!('refused' in verdict)) return verdict;
  const rejections = verdict.refused.split('\n').flatMap((line) => {
    const name = line.slice(0, Math.max(0, line.indexOf(': ')));
    return given.has(name) ? [{ name, message: line.slice(name.length + 2) }] : [];
  });
  return rejections.length === 0 || verdict.refused.endsWith(CUT_SHORT) ? null : rejections;
}
