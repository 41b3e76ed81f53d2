import { type Key, keys } from '@outrigger/translate';

export type Names = { readonly names: readonly string[]; readonly keys: ReadonlySet<Key> };

/**
 * On what the names of wildcard subscriptions hang, all clients together: a change of endpoints touches none of it, and then a push need not look at each
 * client.
 */
export class WildcardKeys {
  readonly #counts = new Map<Key, number>();
  /** Names that could not be translated: tried again with every push. */
  #failed = 0;

  replace(before: Names | 'failed' | undefined, after: Names | 'failed' | undefined): void {
    if (before === 'failed') this.#failed -= 1;
    else for (const key of before?.keys ?? []) this.#count(key, -1);
    if (after === 'failed') this.#failed += 1;
    else for (const key of after?.keys ?? []) this.#count(key, 1);
  }

  /** Whether the names of some client may be others now. */
  isTouched(touched: ReadonlySet<Key>): boolean {
    if (this.#failed > 0 || touched.has(keys.settings)) return true;
    for (const key of touched) if (this.#counts.has(key)) return true;
    return false;
  }

  #count(key: Key, by: 1 | -1): void {
    const count = (this.#counts.get(key) ?? 0) + by;
    if (count === 0) this.#counts.delete(key);
    else this.#counts.set(key, count);
  }
}
