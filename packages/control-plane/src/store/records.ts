import { afterPrefix, type KeyValue } from './key-value.ts';
import { decodeRecord, encodeRecord } from './record.ts';

/** Small things that are no resources (join tokens, instances, the authority's roots): no revisions, the same durability. */
export interface Records<T> {
  get(key: string): T | undefined;
  entries(): ReadonlyMap<string, T>;
  /** Durable when it returns. Throws a `StoreError`. */
  put(key: string, value: T): void;
  delete(key: string): void;
}

/** The records under one prefix of the store. */
export function recordsOf<T>(keyValue: KeyValue, section: string): Records<T> {
  const prefix = `${section}/`;
  return {
    get(key) {
      const record = keyValue.get(prefix + key);
      return record === undefined ? undefined : decodeRecord<T>(prefix + key, record);
    },
    entries() {
      const found = new Map<string, T>();
      for (const [key, record] of keyValue.entries(prefix, afterPrefix(prefix))) found.set(key.slice(prefix.length), decodeRecord<T>(key, record));
      return found;
    },
    put: (key, value) => keyValue.write({ put: new Map([[prefix + key, encodeRecord(value)]]), remove: new Set() }),
    delete: (key) => keyValue.write({ put: new Map(), remove: new Set([prefix + key]) }),
  };
}
