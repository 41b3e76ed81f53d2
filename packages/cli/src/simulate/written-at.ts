import { type Resource, type ResourceRef, refKey, refOf } from '@outrigger/resources';
import type { Matched } from './outcome.ts';

/** File and line of a resource, or of a field of it. */
export function writtenAt(resources: readonly Resource[], ref: ResourceRef, field = ''): Pick<Matched, 'file' | 'line'> {
  const key = refKey(ref);
  const written = resources.find((resource) => refKey(refOf(resource)) === key);
  return { file: written?.origin?.file ?? '', line: (field === '' ? undefined : written?.lineOf?.(field)) ?? written?.origin?.line ?? 0 };
}
