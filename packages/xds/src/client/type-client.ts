import { create } from '@bufbuild/protobuf';
import { type Any, AnySchema } from '@bufbuild/protobuf/wkt';
import type { DeltaDiscoveryResponse } from '@outrigger/xds/protos/envoy/service/discovery/v3/discovery';
import type { CachedResource } from '../cache/encoding.ts';
import type { LastGoodCache } from '../cache/last-good-cache.ts';
import { atOnce, type Slices, type Steps } from '../slices/slices.ts';
import type { ReceivedResource, Rejection, ResourceHandler, ResourceUpdate, Verdict } from './handler.ts';

const WILDCARD = '*';
/** Characters of a NACK's reason. */
const MAX_REASON_LENGTH = 4_096;
/** Ends a reason that was longer. */
export const CUT_SHORT = '...';

interface Known {
  readonly version: string;
  readonly aliases: readonly string[];
}

/** What the first request of a type on a stream carries. */
export interface FirstRequest {
  readonly subscribe: string[];
  readonly initialVersions: Record<string, string>;
}

/** One response, taken apart: `body` undefined where there is none of that name. */
interface Incoming {
  readonly added: readonly { readonly name: string; readonly version: string; readonly aliases: readonly string[]; readonly body: Any }[];
  readonly removed: readonly string[];
  /** Set where the response as a whole breaks the protocol. */
  readonly fault: string | undefined;
}

/** What a client holds of one type, what it wants, and what it has heard; without a socket or a clock. */
export class TypeClient {
  readonly typeUrl: string;
  /** Wanted names, '*' among them for the wildcard. */
  readonly names = new Set<string>();
  readonly #decode: (any: Any) => Steps<unknown>;
  readonly #handler: ResourceHandler<never>;
  readonly #cache: LastGoodCache | undefined;
  readonly #slices: Slices;
  /** What the handler has taken. */
  readonly #known = new Map<string, Known>();
  /** In the cache, wanted, and not yet given to the handler. */
  readonly #undelivered = new Set<string>();
  /** The latest response that spoke of a name, so that an older one whose handler takes longer does not win. */
  readonly #lastHeard = new Map<string, number>();
  #sequence = 0;
  #heardOnce = false;
  readonly subscribeLater = new Set<string>();
  readonly unsubscribeLater = new Set<string>();

  constructor(typeUrl: string, decode: (any: Any) => Steps<unknown>, handler: ResourceHandler<never>, cache: LastGoodCache | undefined, slices: Slices) {
    this.typeUrl = typeUrl;
    this.#decode = decode;
    this.#handler = handler;
    this.#cache = cache;
    this.#slices = slices;
  }

  get knownCount(): number {
    return this.#known.size;
  }

  get hasUndelivered(): boolean {
    return this.#undelivered.size > 0;
  }

  add(names: Iterable<string>): void {
    for (const name of names) {
      if (this.names.has(name)) continue;
      this.names.add(name);
      this.unsubscribeLater.delete(name);
      this.subscribeLater.add(name);
      if (this.#cache === undefined) continue;
      if (name === WILDCARD) for (const cached of this.#cache.entries(this.typeUrl)) this.#offerCached(cached.name);
      else if (this.#cache.get(this.typeUrl, name) !== undefined) this.#offerCached(name);
      else for (const cached of this.#cache.entries(this.typeUrl)) if (cached.aliases.includes(name)) this.#offerCached(cached.name);
    }
  }

  #offerCached(name: string): void {
    if (!this.#known.has(name)) this.#undelivered.add(name);
  }

  /** What nothing else asks for is forgotten, in memory and in the cache. */
  remove(names: Iterable<string>): void {
    for (const name of names) {
      if (!this.names.delete(name)) continue;
      this.subscribeLater.delete(name);
      this.unsubscribeLater.add(name);
    }
    for (const [name, { aliases }] of this.#known) if (!this.#wants(name, aliases)) this.#forget(name);
    for (const name of this.#undelivered) {
      const cached = this.#cache?.get(this.typeUrl, name);
      if (cached === undefined || !this.#wants(name, cached.aliases)) this.#forget(name);
    }
  }

  #forget(name: string): void {
    this.#known.delete(name);
    this.#undelivered.delete(name);
    this.#lastHeard.delete(name);
    this.#cache?.remove(this.typeUrl, name);
  }

  #wants(name: string, aliases: readonly string[]): boolean {
    return this.names.has(WILDCARD) || this.names.has(name) || aliases.some((alias) => this.names.has(alias));
  }

  firstRequest(): FirstRequest {
    this.subscribeLater.clear();
    this.unsubscribeLater.clear();
    const initialVersions: Record<string, string> = {};
    for (const [name, { version }] of this.#known) initialVersions[name] = version;
    for (const name of this.#undelivered) {
      const cached = this.#cache?.get(this.typeUrl, name);
      if (cached !== undefined) initialVersions[name] = cached.version;
    }
    return { subscribe: [...this.names], initialVersions };
  }

  /** Gives the handler what the cache holds. Returns how many resources that were. */
  deliverCached(): number {
    const cached = this.#takeUndelivered(new Set());
    if (cached.length > 0) void this.#deliverCached(cached);
    return cached.length;
  }

  async #deliverCached(cached: readonly CachedResource[]): Promise<void> {
    const added = await this.#slices.run(this.#decodeCached(cached));
    if (added.length > 0) await this.#call(added, [], 'cache');
  }

  /** Gives one response to the handler; undefined: ACK, else the reason of the NACK. */
  async deliver(response: DeltaDiscoveryResponse): Promise<string | undefined> {
    const incoming = this.#takeApart(response);
    if (incoming.fault !== undefined) return incoming.fault;
    const spoken = new Set(incoming.removed);
    for (const { name } of incoming.added) spoken.add(name);
    const rejections: Rejection[] = [];
    const bodies = new Map<string, Any>();
    this.#sequence += 1;
    const sequence = this.#sequence;
    for (const name of spoken) this.#lastHeard.set(name, sequence);
    const cached = this.#takeUndelivered(spoken);
    const added = await this.#slices.run(this.#decodeAll(cached, incoming, bodies, rejections));
    const first = !this.#heardOnce;
    this.#heardOnce = true;
    let reason = '';
    if (added.length > 0 || incoming.removed.length > 0 || first) {
      const verdict = await this.#call(added, incoming.removed, 'server');
      if ('refused' in verdict) {
        reason = verdict.refused;
        for (const name of spoken) rejections.push({ name, message: reason });
      } else rejections.push(...verdict);
    }
    const rejected = new Set(rejections.map(({ name }) => name));
    const remember = this.#remember(incoming, bodies, rejected, sequence);
    // Of a client that has ended meanwhile too: the next one begins with what this one took.
    if (this.#slices.closed) atOnce(remember);
    else await this.#slices.run(remember);
    if (reason !== '') return shortReason(reason);
    return rejections.length === 0 ? undefined : shortReason(rejections.map(({ name, message }) => `${name}: ${message}`).join('\n'));
  }

  *#decodeAll(cached: readonly CachedResource[], { added }: Incoming, bodies: Map<string, Any>, rejections: Rejection[]): Steps<ReceivedResource<unknown>[]> {
    const decoded = yield* this.#decodeCached(cached);
    for (const { name, version, aliases, body } of added) {
      try {
        decoded.push({ name, version, aliases, message: yield* this.#decode(body) });
        bodies.set(name, body);
      } catch (error) {
        rejections.push({ name, message: `cannot be decoded: ${(error as Error).message}` });
      }
      yield;
    }
    return decoded;
  }

  /** What was taken, unless a later response has spoken of it meanwhile. */
  *#remember({ added, removed }: Incoming, bodies: ReadonlyMap<string, Any>, rejected: ReadonlySet<string>, sequence: number): Steps<void> {
    for (const { name, version, aliases } of added) {
      const body = bodies.get(name);
      if (body === undefined || rejected.has(name) || this.#lastHeard.get(name) !== sequence || !this.#wants(name, aliases)) continue;
      this.#known.set(name, { version, aliases });
      this.#cache?.put(this.typeUrl, name, version, body, aliases);
      yield;
    }
    for (const name of removed) if (!rejected.has(name) && this.#lastHeard.get(name) === sequence) this.#forget(name);
  }

  #takeApart(response: DeltaDiscoveryResponse): Incoming {
    const added: { name: string; version: string; aliases: readonly string[]; body: Any }[] = [];
    const removed = new Set<string>();
    const seen = new Set<string>();
    for (const { name, version, aliases, resource } of response.resources) {
      if (seen.has(name)) return { added, removed: [], fault: `the resource ${name} is twice in one response` };
      seen.add(name);
      if (resource !== undefined) {
        if (this.#wants(name, aliases)) added.push({ name, version, aliases, body: resource });
      } else if (version === '' || this.#known.get(name)?.version !== version) {
        // No body: there is none of that name (VHDS). With the version that is held it is a TTL heartbeat instead.
        removed.add(name);
      }
    }
    for (const name of response.removedResources) if (!seen.has(name)) removed.add(name);
    return { added, removed: [...removed], fault: undefined };
  }

  #takeUndelivered(except: ReadonlySet<string>): CachedResource[] {
    const taken: CachedResource[] = [];
    for (const name of this.#undelivered) {
      this.#undelivered.delete(name);
      const cached = this.#cache?.get(this.typeUrl, name);
      if (cached === undefined || except.has(name)) continue;
      taken.push(cached);
      this.#known.set(name, { version: cached.version, aliases: cached.aliases });
    }
    return taken;
  }

  *#decodeCached(cached: readonly CachedResource[]): Steps<ReceivedResource<unknown>[]> {
    const decoded: ReceivedResource<unknown>[] = [];
    for (const { name, version, aliases, value } of cached) {
      try {
        const message = yield* this.#decode(create(AnySchema, { typeUrl: this.typeUrl, value: value as Uint8Array<ArrayBuffer> }));
        decoded.push({ name, version, aliases, message });
      } catch {
        this.#forget(name);
      }
      yield;
    }
    return decoded;
  }

  async #call(
    added: readonly ReceivedResource<unknown>[],
    removed: readonly string[],
    from: 'server' | 'cache',
  ): Promise<readonly Rejection[] | { readonly refused: string }> {
    let verdict: Verdict;
    try {
      const update: ResourceUpdate<unknown> = { added, removed, from };
      verdict = await this.#handler(update as ResourceUpdate<never>);
    } catch (error) {
      verdict = { refused: error instanceof Error ? error.message : String(error) };
    }
    if (verdict === undefined) return [];
    // What came from the cache was taken for known when it was delivered; the server must send it again.
    const rejected = 'refused' in verdict ? undefined : new Set(verdict.map(({ name }) => name));
    for (const resource of added) if ((rejected?.has(resource.name) ?? true) && this.#isCached(resource)) this.#forget(resource.name);
    return verdict;
  }

  #isCached({ name, version }: ReceivedResource<unknown>): boolean {
    return this.#known.get(name)?.version === version && this.#cache?.get(this.typeUrl, name)?.version === version;
  }
}

function shortReason(reason: string): string {
  return reason.length <= MAX_REASON_LENGTH ? reason : `${reason.slice(0, MAX_REASON_LENGTH)}${CUT_SHORT}`;
}
