import type { JsonObject, JsonValue } from '@bufbuild/protobuf';

/** Which endpoints a request may go to, by their metadata "envoy.lb" (metadata_match). Immutable. */
export class SubsetCriteria {
  /** Sorted, as one text: what a selector has to name. */
  readonly keysId: string;
  /** Keys and values as one text: the name of a subset. */
  readonly id: string;
  readonly #pairs: readonly (readonly [string, JsonValue])[];

  constructor(pairs: readonly (readonly [string, JsonValue])[]) {
    this.#pairs = pairs.toSorted(([a], [b]) => (a < b ? -1 : 1));
    this.keysId = keysIdOf(this.#pairs.map(([key]) => key));
    this.id = JSON.stringify(this.#pairs);
  }

  /** Without what is not among the keys. */
  only(keys: ReadonlySet<string>): SubsetCriteria {
    return new SubsetCriteria(this.#pairs.filter(([key]) => keys.has(key)));
  }
}

export function keysIdOf(keys: readonly string[]): string {
  return JSON.stringify([...new Set(keys)].sort());
}

/** Of a route, with those of the weighted cluster over them; null: none. */
export function criteriaOf(...levels: readonly (JsonObject | undefined)[]): SubsetCriteria | null {
  const merged: JsonObject = Object.assign({}, ...levels);
  const pairs = Object.entries(merged);
  return pairs.length === 0 ? null : new SubsetCriteria(pairs);
}
