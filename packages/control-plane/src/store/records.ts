import { afterPrefix, type KeyValue } from './key-value.ts';
import { decodeRecord, encodeRecord } from './record.ts';

/** Small things that are no resources (join tokens, instances, the authority's roots): no revisions, the same durability. */
export interface Records<T> {
  get(key: string): T | undefined;
  entries(): ReadonlyMap<string, T>;
  /** Durable when it returns. Throws a `StoreError`. */
  put(key: string, value: T): void;
  delete(key: string): void;
  /** All of it or nothing; durable when it returns. Throws a `StoreError`. */
  write(put: ReadonlyMap<string, T>, remove: ReadonlySet<string>): void;
}

/** The records under one prefix of the store. */
export function recordsOf<T>(keyValue: KeyValue, section: string): Records<T> {
  const prefix = `${section}/`;
  const write = (put: ReadonlyMap<string, T>, remove: ReadonlySet<string>): void =>
    keyValue.write({
      put: new Map([...put].map(([key, value]) => [prefix + key, encodeRecord(value)])),
      remove: new Set([...remove].map((key) => prefix + key)),
    });
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
    put: (key, value) => write(new Map([[key, value]]), new Set()),
    delete: (key) => write(new Map(), new Set([key])),
    write,
  };
}
