/** What a store needs of a disk: ordered keys and atomic, durable writes. */
export interface KeyValue {
  get(key: string): Uint8Array | undefined;
  /** In ascending order of keys, from `start` (included) to `end` (excluded). */
  entries(start: string, end: string): Iterable<readonly [key: string, value: Uint8Array]>;
  /** All of it or nothing; on the disk when it returns. Throws a `StoreError` (DISK_FULL, WRITE_FAILED), having changed nothing. */
  write(batch: Batch): void;
  close(): Promise<void>;
}

export interface Batch {
  readonly put: ReadonlyMap<string, Uint8Array>;
  readonly remove: ReadonlySet<string>;
}

/** The end of the range of all keys that begin with `prefix`. */
export function afterPrefix(prefix: string): string {
  return `${prefix}\uffff`;
}

/** The same in memory: for tests of what is built upon it. */
export function memoryKeyValue(): KeyValue {
  const values = new Map<string, Uint8Array>();
  return {
    get: (key) => values.get(key),
    entries: (start, end) => [...values].filter(([key]) => key >= start && key < end).sort(([a], [b]) => (a < b ? -1 : 1)),
    write(batch) {
      for (const key of batch.remove) values.delete(key);
      for (const [key, value] of batch.put) values.set(key, value);
    },
    close: async () => {},
  };
}
