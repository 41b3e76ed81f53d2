import { type Problem, readResources, type Validator } from '@outrigger/resources';
import type { ResourceChange } from '../api/shapes.ts';
import { keyOf, type NewObject, pathOf, type StoredItem, type StoredObject, type Write } from '../store/resource-store.ts';
import { changesBetween } from './history.ts';

export interface Undo {
  readonly changes: readonly ResourceChange[];
  readonly writes: readonly Write[];
  /** What is changed by it, as it is in force now or, where it is not there now, as it was. */
  readonly touched: readonly StoredItem[];
  /** What would be restored and is refused now. */
  readonly problems: readonly Problem[];
}

/** What makes of what is in force what was in force once. What was valid then may not be valid any more. */
export async function undoTo(revision: string, present: readonly StoredItem[], wanted: readonly StoredItem[], validator: Validator): Promise<Undo> {
  const changes = changesBetween(present, wanted);
  const changed = new Set(changes.map(pathOf));
  const before = new Map(present.map((item) => [pathOf(keyOf(item.object)), item]));
  const restored = wanted.filter(({ object }) => changed.has(pathOf(keyOf(object))));
  const kept = new Set(wanted.map(({ object }) => pathOf(keyOf(object))));
  const removed = [...before].filter(([key]) => changed.has(key) && !kept.has(key)).map(([, item]) => item);
  const objects = restored.map(({ object }) => writable(object));
  const { problems } = await readResources(
    objects.map((object) => ({
      file: `revision ${revision}: ${object.kind} ${object.metadata.namespace}/${object.metadata.name}`,
      text: JSON.stringify(object),
    })),
    { validator },
  );
  return {
    changes,
    writes: [
      ...restored.map(({ source }, index): Write => ({ type: 'put', object: objects[index]!, source })),
      ...removed.map(({ object }): Write => ({ type: 'delete', key: keyOf(object) })),
    ],
    touched: [...restored.map((item) => before.get(pathOf(keyOf(item.object))) ?? item), ...removed],
    problems,
  };
}

/** As a person would write it: the rest of the metadata is the store's. */
function writable({ metadata, status: _status, ...content }: StoredObject): NewObject {
  const { name, namespace, labels, annotations } = metadata;
  return {
    ...content,
    apiVersion: content.apiVersion,
    kind: content.kind,
    metadata: { name, namespace, ...(labels === undefined ? {} : { labels }), ...(annotations === undefined ? {} : { annotations }) },
  };
}
