import { keyOf, type Revision, type StoredItem } from './resource-store.ts';
import { StoreError } from './store-error.ts';

/** Takes a revision's events back, the last one first. `items` by the key that `keyText` gives. Throws NOT_KEPT. */
export function takeBack(items: Map<string, StoredItem>, revision: Revision, keyText: (key: ReturnType<typeof keyOf>) => string): void {
  for (const { type, object, source, previous } of revision.events.toReversed()) {
    const key = keyText(keyOf(object));
    if (type === 'ADDED') items.delete(key);
    else if (type === 'DELETED') items.set(key, { object, source });
    else if (previous !== undefined) items.set(key, previous);
    else throw notKept(`What was there before revision ${revision.revision} is not kept: a version of Outrigger wrote it that kept no history.`);
  }
}

export function notKept(what: string): StoreError {
  return new StoreError('NOT_KEPT', what, '`rig history` lists the revisions that are kept.');
}
