import { create } from '@bufbuild/protobuf';
import { AnySchema } from '@bufbuild/protobuf/wkt';
import type { Node } from '@outrigger/xds/protos/envoy/config/core/v3/base';
import type { Caller, ResourceSource, ResourceView, TypeUrl, VersionedResource } from '../source.ts';

export type SourceEvent =
  | { readonly kind: 'acked' | 'nacked'; readonly typeUrl: TypeUrl; readonly versions: ReadonlyMap<string, string>; readonly message: string }
  | { readonly kind: 'subscribed'; readonly typeUrl: TypeUrl; readonly names: readonly string[] }
  | { readonly kind: 'settled'; readonly typeUrl: TypeUrl }
  | { readonly kind: 'opened'; readonly node: Node; readonly caller: Caller }
  | { readonly kind: 'closed' };

/** For tests: one set of resources for every client, and a record of what the server says. */
export class MapSource implements ResourceSource {
  readonly #types = new Map<TypeUrl, Map<string, VersionedResource | 'pending'>>();
  readonly #listeners = new Set<(typeUrl: TypeUrl, names: ReadonlySet<string>) => void>();
  readonly #waiting = new Set<() => void>();
  readonly events: SourceEvent[] = [];
  /** Thrown at the next streams. */
  refusal: Error | undefined;

  open(node: Node, caller: Caller, changed: (typeUrl: TypeUrl, names: ReadonlySet<string>) => void): ResourceView {
    if (this.refusal !== undefined) throw this.refusal;
    this.#listeners.add(changed);
    this.#note({ kind: 'opened', node, caller });
    return {
      get: (typeUrl, name) => {
        const resources = this.#types.get(typeUrl);
        const exact = resources?.get(name);
        if (exact !== undefined) return exact;
        for (const resource of resources?.values() ?? []) if (resource !== 'pending' && resource.aliases?.includes(name)) return resource;
        return undefined;
      },
      wildcard: (typeUrl) => new Set(this.#types.get(typeUrl)?.keys()),
      acked: (typeUrl, versions) => this.#note({ kind: 'acked', typeUrl, versions, message: '' }),
      nacked: (typeUrl, versions, message) => this.#note({ kind: 'nacked', typeUrl, versions, message }),
      subscribed: (typeUrl, names) => this.#note({ kind: 'subscribed', typeUrl, names: [...names] }),
      settled: (typeUrl) => this.#note({ kind: 'settled', typeUrl }),
      close: () => {
        this.#listeners.delete(changed);
        this.#note({ kind: 'closed' });
      },
    };
  }

  /** Sets and deletes (undefined) several, then tells the streams, as one change of the configuration would. */
  apply(changes: readonly (readonly [TypeUrl, string, VersionedResource | 'pending' | undefined])[]): void {
    const byType = new Map<TypeUrl, Set<string>>();
    for (const [typeUrl, name, resource] of changes) {
      const resources = this.#types.get(typeUrl) ?? new Map();
      this.#types.set(typeUrl, resources);
      if (resource === undefined) resources.delete(name);
      else resources.set(name, resource);
      byType.set(typeUrl, (byType.get(typeUrl) ?? new Set()).add(name));
    }
    for (const [typeUrl, names] of byType) for (const listener of this.#listeners) listener(typeUrl, names);
  }

  set(typeUrl: TypeUrl, ...resources: VersionedResource[]): void {
    this.apply(resources.map((resource) => [typeUrl, resource.name, resource] as const));
  }

  remove(typeUrl: TypeUrl, ...names: string[]): void {
    this.apply(names.map((name) => [typeUrl, name, undefined] as const));
  }

  #note(event: SourceEvent): void {
    this.events.push(event);
    for (const wake of this.#waiting) wake();
  }

  /** Fulfilled with the first event, noted already or later, for which `matches` holds. */
  async until(matches: (event: SourceEvent) => boolean): Promise<SourceEvent> {
    for (;;) {
      const found = this.events.find(matches);
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => {
        const wake = () => {
          this.#waiting.delete(wake);
          resolve();
        };
        this.#waiting.add(wake);
      });
    }
  }
}

/** A resource whose body is the text; enough where nobody decodes it. */
export function textResource(name: string, version: string, aliases?: readonly string[]): VersionedResource {
  const body = create(AnySchema, {
    typeUrl: 'type.googleapis.com/google.protobuf.StringValue',
    value: Buffer.from(`${name}@${version}`) as Uint8Array<ArrayBuffer>,
  });
  return aliases === undefined ? { name, version, body } : { name, version, body, aliases };
}
