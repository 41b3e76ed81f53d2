import { brokenStore, openLmdb } from './lmdb-key-value.ts';
import { type Records, recordsOf } from './records.ts';
import type { ResourceStore } from './resource-store.ts';
import { checkSchema, createRevisionStore, type RevisionStoreOptions } from './revision-store.ts';
import { StoreError } from './store-error.ts';

export interface Store {
  readonly resources: ResourceStore;
  /** Small things that are no resources, by section. */
  records<T>(section: 'authority' | 'token' | 'instance' | 'srv' | 'setting' | 'rollout'): Records<T>;
  close(): Promise<void>;
}

/** Opens (makes) the store in a directory. Throws a `StoreError`. */
export async function openStore(directory: string, options: RevisionStoreOptions): Promise<Store> {
  const keyValue = await openLmdb(directory);
  try {
    checkSchema(keyValue, directory);
    const resources = createRevisionStore(keyValue, options);
    return {
      resources,
      records: (section) => recordsOf(keyValue, section),
      async close() {
        await resources.close();
        await keyValue.close();
      },
    };
  } catch (error) {
    await keyValue.close();
    throw error instanceof StoreError && error.code === 'BROKEN' ? brokenStore(directory, error.message) : error;
  }
}
