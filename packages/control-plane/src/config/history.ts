import type { DiffView, ResourceChange, RevisionView } from '../api/shapes.ts';
import { keyOf, type Revision, type StoredItem, type StoredObject, type WatchEvent } from '../store/resource-store.ts';
import { manifestDiff } from './diff.ts';

const CHANGES: Readonly<Record<WatchEvent['type'], ResourceChange['change']>> = { ADDED: 'created', MODIFIED: 'configured', DELETED: 'deleted' };

/** A revision as people are told of it. */
export function revisionView({ revision, timeMs, cause, events }: Revision): RevisionView {
  return {
    revision,
    timeMs,
    by: cause.by,
    how: cause.how,
    changes: events.map(({ type, object }) => ({ ...keyOf(object), change: CHANGES[type] })),
  };
}

/** What leads from one state to another, resource by resource, sorted by kind, namespace and name. */
export function changesBetween(before: readonly StoredItem[], after: readonly StoredItem[]): ResourceChange[] {
  const old = new Map(before.map(({ object }) => [textOf(object), object]));
  const now = new Map(after.map(({ object }) => [textOf(object), object]));
  return [...new Set([...old.keys(), ...now.keys()])].sort().flatMap((key): ResourceChange[] => {
    const from = old.get(key);
    const to = now.get(key);
    if (from === to) return [];
    const diff = manifestDiff(from, to);
    if (diff === '') return [];
    return [{ ...keyOf((to ?? from)!), change: from === undefined ? 'created' : to === undefined ? 'deleted' : 'configured', diff }];
  });
}

export function diffView(from: string, to: string, before: readonly StoredItem[], after: readonly StoredItem[]): DiffView {
  return { from, to, changes: changesBetween(before, after) };
}

function textOf(object: StoredObject): string {
  const { group, kind, namespace, name } = keyOf(object);
  return `${kind} ${namespace} ${name} ${group}`;
}
