import { type Resource, resourceFrom } from '@outrigger/resources';
import type { StoredItem } from '../store/resource-store.ts';

/** What is stored, as it was read. */
export function resourceOf({ object, source }: StoredItem): Resource {
  const manifest = object as unknown as Parameters<typeof resourceFrom>[0];
  return source.file === '' ? resourceFrom(manifest) : resourceFrom(manifest, { file: source.file, line: source.line });
}
