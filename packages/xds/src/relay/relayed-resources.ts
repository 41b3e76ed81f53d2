import type { Any } from '@bufbuild/protobuf/wkt';
import type { ResourceUpdate } from '../client/handler.ts';
import type { VersionedResource } from '../source.ts';

/** What the upstream has said of one type, by names and aliases. */
export class RelayedResources {
  readonly all = new Map<string, VersionedResource>();
  /** Asked for by name and not there. */
  readonly missing = new Set<string>();
  /** Something was said: a wildcard is known now. */
  answered = false;
  readonly #byAlias = new Map<string, string>();

  /** As a view says it; `asked`: the names that the upstream was asked for. */
  get(name: string, asked: ReadonlySet<string>): VersionedResource | 'pending' | undefined {
    const found = this.all.get(name) ?? this.all.get(this.#byAlias.get(name) ?? '');
    if (found !== undefined) return found;
    return asked.has(name) && !this.missing.has(name) ? 'pending' : undefined;
  }

  names(): Iterable<string> | 'pending' {
    return this.answered ? new Set(this.all.keys()) : 'pending';
  }

  put(resource: VersionedResource): void {
    const { name, aliases } = resource;
    this.delete(name);
    this.all.set(name, resource);
    this.missing.delete(name);
    for (const alias of aliases ?? []) {
      this.#byAlias.set(alias, name);
      this.missing.delete(alias);
    }
  }

  delete(name: string): void {
    for (const alias of this.all.get(name)?.aliases ?? []) if (this.#byAlias.get(alias) === name) this.#byAlias.delete(alias);
    this.all.delete(name);
  }

  /** One response of the upstream. */
  take({ added, removed }: ResourceUpdate<Any>, asked: ReadonlySet<string>): void {
    for (const { name, version, message, aliases } of added)
      this.put(aliases.length === 0 ? { name, version, body: message } : { name, version, body: message, aliases });
    for (const name of removed) {
      this.delete(name);
      if (asked.has(name)) this.missing.add(name);
    }
    this.answered = true;
  }

  /** The upstream is asked for `gone` no more. */
  keep(wanted: ReadonlySet<string>, gone: readonly string[]): void {
    for (const name of gone) this.missing.delete(name);
    if (wanted.has('*')) return;
    for (const [name, { aliases }] of this.all) if (!wanted.has(name) && !aliases?.some((alias) => wanted.has(alias))) this.delete(name);
  }
}
