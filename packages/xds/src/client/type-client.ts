import { create } from '@bufbuild/protobuf';
import { type Any, AnySchema } from '@bufbuild/protobuf/wkt';
import type { DeltaDiscoveryResponse } from '@outrigger/xds/protos/envoy/service/discovery/v3/discovery';
import type { LastGoodCache } from '../cache/last-good-cache.ts';
import type { ReceivedResource, Rejection, ResourceHandler, ResourceUpdate, Verdict } from './handler.ts';

const WILDCARD = '*';
/** Characters of a NACK's reason. */
const MAX_REASON_LENGTH = 4_096;

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
  readonly #decode: (any: Any) => unknown;
  readonly #handler: ResourceHandler<never>;
  readonly #cache: LastGoodCache | undefined;
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

  constructor(typeUrl: string, decode: (any: Any) => unknown, handler: ResourceHandler<never>, cache: LastGoodCache | undefined) {
    this.typeUrl = typeUrl;
    this.#decode = decode;
    this.#handler = handler;
    this.#cache = cache;
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
    const update = this.#takeUndelivered(new Set());
    if (update.length === 0) return 0;
    void this.#call(update, [], 'cache');
    return update.length;
  }

  /** Gives one response to the handler; undefined: ACK, else the reason of the NACK. */
  async deliver(response: DeltaDiscoveryResponse): Promise<string | undefined> {
    const incoming = this.#takeApart(response);
    if (incoming.fault !== undefined) return incoming.fault;
    const spoken = new Set(incoming.removed);
    for (const { name } of incoming.added) spoken.add(name);
    const rejections: Rejection[] = [];
    const added: ReceivedResource<unknown>[] = this.#takeUndelivered(spoken);
    const bodies = new Map<string, Any>();
    this.#sequence += 1;
    const sequence = this.#sequence;
    for (const name of spoken) this.#lastHeard.set(name, sequence);
    for (const { name, version, aliases, body } of incoming.added) {
      try {
        added.push({ name, version, aliases, message: this.#decode(body) });
        bodies.set(name, body);
      } catch (error) {
        rejections.push({ name, message: `cannot be decoded: ${(error as Error).message}` });
      }
    }
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
    for (const { name, version, aliases } of incoming.added) {
      const body = bodies.get(name);
      if (body === undefined || rejected.has(name) || this.#lastHeard.get(name) !== sequence || !this.#wants(name, aliases)) continue;
      this.#known.set(name, { version, aliases });
      this.#cache?.put(this.typeUrl, name, version, body, aliases);
    }
    for (const name of incoming.removed) if (!rejected.has(name) && this.#lastHeard.get(name) === sequence) this.#forget(name);
    if (reason !== '') return shortReason(reason);
    return rejections.length === 0 ? undefined : shortReason(rejections.map(({ name, message }) => `${name}: ${message}`).join('\n'));
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

  #takeUndelivered(except: ReadonlySet<string>): ReceivedResource<unknown>[] {
    const taken: ReceivedResource<unknown>[] = [];
    for (const name of this.#undelivered) {
      this.#undelivered.delete(name);
      const cached = this.#cache?.get(this.typeUrl, name);
      if (cached === undefined || except.has(name)) continue;
      const { version, aliases, value } = cached;
      try {
        const message = this.#decode(create(AnySchema, { typeUrl: this.typeUrl, value: value as Uint8Array<ArrayBuffer> }));
        taken.push({ name, version, aliases, message });
        this.#known.set(name, { version, aliases });
      } catch {
        this.#forget(name);
      }
    }
    return taken;
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
  return reason.length <= MAX_REASON_LENGTH ? reason : `${reason.slice(0, MAX_REASON_LENGTH)}...`;
}
