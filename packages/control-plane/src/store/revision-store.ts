import { randomUUID } from 'node:crypto';
import { afterPrefix, type KeyValue } from './key-value.ts';
import { notKept, takeBack } from './past.ts';
import { decodeRecord, encodeRecord } from './record.ts';
import {
  type Cause,
  type Committed,
  groupOf,
  type HistoryQuery,
  keyOf,
  type NewObject,
  type ObjectKey,
  pathOf,
  type ResourceStore,
  type Revision,
  type Selector,
  type StoredItem,
  type StoredObject,
  type WatchEvent,
  type Write,
  type WriteResult,
} from './resource-store.ts';
import { StoreError } from './store-error.ts';

const SCHEMA_KEY = 'meta/schema';
const STATE_KEY = 'meta/state';
const CURRENT = 'current/';
const REVISIONS = 'revision/';
const PRODUCT = 'outrigger';
const SCHEMA_VERSION = 1;
export const DEFAULT_HISTORY_REVISIONS = 10_000;
/** On the disk. Of 1,000 resources of 2 KiB each it holds the last thirty changes of all of them. */
export const DEFAULT_HISTORY_BYTES = 128 * 1024 * 1024;
/** Old revisions removed by one write at most, so that no write pays for many. */
const MAX_REMOVED_PER_WRITE = 64;
/** As etcd has it for a request; a whole apply of thousands of resources fits. */
const MAX_WRITES = 20_000;

export interface RevisionStoreOptions {
  readonly now: () => number;
  /** Transactions kept for watches and undo. Default 10,000. */
  readonly historyRevisions?: number;
  /** What they may take on the disk; the last one is kept however large. Default 128 MiB. */
  readonly historyBytes?: number;
  readonly newUid?: () => string;
}

const EVENT_TYPES: Readonly<Record<WriteResult['change'], WatchEvent['type'] | undefined>> = {
  created: 'ADDED',
  configured: 'MODIFIED',
  deleted: 'DELETED',
  unchanged: undefined,
};

interface Schema {
  readonly product: string;
  readonly version: number;
}

interface State {
  readonly revision: number;
  /** Revisions up to here are no longer kept. */
  readonly compacted: number;
  /** Of the revisions that are kept. */
  readonly historyBytes: number;
}

const UNKNOWN_CAUSE: Cause = { by: '', how: '' };

/** Stamps a new file, refuses one that is not ours or newer than we are. */
export function checkSchema(keyValue: KeyValue, where: string): void {
  const stamp = keyValue.get(SCHEMA_KEY);
  if (stamp === undefined) {
    for (const [key] of keyValue.entries('', '\uffff')) {
      throw new StoreError(
        'FOREIGN',
        `The store in ${where} was not made by Outrigger (it has "${key}").`,
        'Give another state directory; nothing in it was changed.',
      );
    }
    const schema: Schema = { product: PRODUCT, version: SCHEMA_VERSION };
    keyValue.write({ put: new Map([[SCHEMA_KEY, encodeRecord(schema)]]), remove: new Set() });
    return;
  }
  const schema = decodeRecord<Schema>(SCHEMA_KEY, stamp);
  if (schema.product !== PRODUCT || schema.version !== SCHEMA_VERSION) {
    throw new StoreError(
      'FOREIGN',
      `The store in ${where} has the format ${schema.product} ${schema.version}; this version reads ${PRODUCT} ${SCHEMA_VERSION}.`,
      'Start the version of Outrigger that wrote it, or give another state directory; nothing in it was changed.',
    );
  }
}

/** A `ResourceStore` of append-only revisions; what is current is kept in memory too. */
export function createRevisionStore(keyValue: KeyValue, options: RevisionStoreOptions): ResourceStore {
  const historyRevisions = options.historyRevisions ?? DEFAULT_HISTORY_REVISIONS;
  const mostHistoryBytes = options.historyBytes ?? DEFAULT_HISTORY_BYTES;
  const newUid = options.newUid ?? randomUUID;
  let state = readState(keyValue);
  const current = new Map<string, StoredItem>();
  for (const [key, record] of keyValue.entries(CURRENT, afterPrefix(CURRENT))) current.set(key, freeze(decodeRecord<StoredItem>(key, record)));
  const watchers = new Set<(revision: Revision) => void>();
  let closed = false;

  function revisionsAfter(revision: number): Revision[] {
    const revisions: Revision[] = [];
    for (const [key, record] of keyValue.entries(revisionKey(revision + 1), afterPrefix(REVISIONS))) revisions.push(revisionOf(key, record));
    return revisions;
  }

  function* newestFirst(after: number): Generator<Revision> {
    for (let number = state.revision; number > after; number--) {
      const key = revisionKey(number);
      const record = keyValue.get(key);
      if (record !== undefined) yield revisionOf(key, record);
    }
  }

  /** What of the history goes so that `added` bytes of a new revision find room. */
  function compact(revision: number, added: number, remove: Set<string>): State {
    let { compacted, historyBytes } = state;
    historyBytes += added;
    const last = Math.min(revision - 1, compacted + MAX_REMOVED_PER_WRITE);
    while (compacted < last && (compacted < revision - historyRevisions || historyBytes > mostHistoryBytes)) {
      compacted += 1;
      const key = revisionKey(compacted);
      historyBytes -= keyValue.get(key)?.length ?? 0;
      remove.add(key);
    }
    return { revision, compacted, historyBytes };
  }

  function commit(writes: readonly Write[], cause: Cause): Committed {
    if (closed) throw new StoreError('CLOSED', 'The store is closed.', 'Start the control plane again.');
    if (writes.length > MAX_WRITES)
      throw new StoreError('INVALID_OBJECT', `One write holds ${writes.length} objects; the most is ${MAX_WRITES}.`, 'Apply them in several parts.');
    const revision = state.revision + 1;
    const next = new Map<string, StoredItem | undefined>();
    const events: WatchEvent[] = [];
    const results = writes.map((write) => {
      const key = currentKey(write.type === 'delete' ? write.key : keyOf(write.object));
      const before = next.has(key) ? next.get(key) : current.get(key);
      const { result, item } = perform(write, before, String(revision), options.now(), newUid);
      if (item !== before) next.set(key, item);
      const type = EVENT_TYPES[result.change];
      if (type !== undefined)
        events.push({ type, object: result.object, source: (item ?? before)!.source, ...(type === 'MODIFIED' ? { previous: before! } : {}) });
      return result;
    });
    if (next.size === 0) return { revision: String(state.revision), results };

    const put = new Map<string, Uint8Array>();
    const remove = new Set<string>();
    for (const [key, item] of next) {
      if (item === undefined) remove.add(key);
      else put.set(key, encodeRecord(item));
    }
    let nextState = state;
    const entry: Revision = freeze({ revision: String(revision), timeMs: options.now(), cause: { by: cause.by, how: cause.how }, events });
    if (events.length > 0) {
      const record = encodeRecord(entry);
      nextState = compact(revision, record.length, remove);
      put.set(revisionKey(revision), record);
      put.set(STATE_KEY, encodeRecord(nextState));
    }
    keyValue.write({ put, remove });

    state = nextState;
    for (const [key, item] of next) {
      if (item === undefined) current.delete(key);
      else current.set(key, item);
    }
    if (events.length > 0) for (const watcher of [...watchers]) watcher(entry);
    return { revision: String(state.revision), results };
  }

  return {
    get: async (key) => current.get(currentKey(key)),
    async list(selector = {}) {
      const items = [...current.values()].filter(({ object }) => matches(object, selector));
      return { items: items.sort(byName), resourceVersion: String(state.revision) };
    },
    transact: async (writes, cause = UNKNOWN_CAUSE) => commit(writes, cause),
    watch(resourceVersion, onRevision) {
      const from = Number(resourceVersion);
      if (!Number.isInteger(from) || from < state.compacted || from > state.revision) {
        throw new StoreError(
          'RELIST',
          `Revision ${resourceVersion} cannot be watched from: kept are those after ${state.compacted}, the last is ${state.revision}.`,
          'List again and watch from the resourceVersion of that list.',
        );
      }
      for (const revision of revisionsAfter(from)) onRevision(revision);
      watchers.add(onRevision);
      return () => watchers.delete(onRevision);
    },
    async history({ touches, limit = Number.POSITIVE_INFINITY }: HistoryQuery = {}) {
      const found: Revision[] = [];
      for (const revision of newestFirst(state.compacted)) {
        if (found.length >= limit) break;
        if (touches === undefined || revision.events.some(({ object }) => touches(keyOf(object)))) found.push(revision);
      }
      return found;
    },
    async at(revision) {
      const wanted = Number(revision);
      if (!Number.isInteger(wanted) || wanted < 0 || wanted > state.revision) throw notKept(`There is no revision ${revision}; the last is ${state.revision}.`);
      if (wanted < state.compacted) throw notKept(`Revision ${revision} is not kept any more; the oldest that is, is ${state.compacted}.`);
      const items = new Map(current);
      for (const later of newestFirst(wanted)) takeBack(items, later, currentKey);
      return [...items.values()].sort(byName);
    },
    async close() {
      closed = true;
      watchers.clear();
    },
  };
}

function readState(keyValue: KeyValue): State {
  const record = keyValue.get(STATE_KEY);
  if (record === undefined) return { revision: 0, compacted: 0, historyBytes: 0 };
  const kept = decodeRecord<Omit<State, 'historyBytes'> & Partial<State>>(STATE_KEY, record);
  if (kept.historyBytes !== undefined) return { ...kept, historyBytes: kept.historyBytes };
  // Of a version that did not count.
  let historyBytes = 0;
  for (const [, revision] of keyValue.entries(REVISIONS, afterPrefix(REVISIONS))) historyBytes += revision.length;
  return { ...kept, historyBytes };
}

function revisionOf(key: string, record: Uint8Array): Revision {
  const { cause = UNKNOWN_CAUSE, ...rest } = decodeRecord<Omit<Revision, 'cause'> & Partial<Revision>>(key, record);
  return freeze({ ...rest, cause });
}

function perform(
  write: Write,
  before: StoredItem | undefined,
  revision: string,
  now: number,
  newUid: () => string,
): { readonly result: WriteResult; readonly item: StoredItem | undefined } {
  const key = write.type === 'delete' ? write.key : keyOf(write.object);
  const wanted = write.type === 'delete' ? write.resourceVersion : write.object.metadata.resourceVersion;
  if (before === undefined && (write.type === 'delete' || write.type === 'update'))
    throw new StoreError('NOT_FOUND', `${keyText(key)} does not exist.`, 'Create it first.');
  if (before !== undefined && write.type === 'create') throw new StoreError('CONFLICT', `${keyText(key)} exists already.`, 'Update it instead.');
  if (wanted !== undefined && wanted !== '' && wanted !== before?.object.metadata.resourceVersion) {
    throw new StoreError(
      'CONFLICT',
      `${keyText(key)} has changed: resourceVersion ${wanted} was given, the present one is ${before?.object.metadata.resourceVersion ?? 'none (it was deleted)'}.`,
      'Get it again, make the change on that, and write it.',
    );
  }
  if (write.type === 'delete') return { result: { change: 'deleted', object: before!.object, previous: before!.object }, item: undefined };
  checkName(write.object);
  const content = contentOf(write.object);
  const old = before === undefined ? undefined : contentOf(before.object);
  if (before !== undefined && sameJson(content, old)) {
    const moved = !sameJson(before.source, write.source);
    return {
      result: { change: 'unchanged', object: before.object, previous: before.object },
      item: moved ? freeze({ object: before.object, source: write.source }) : before,
    };
  }
  const { metadata, ...rest } = content;
  const generation = before === undefined ? 1 : before.object.metadata.generation + (sameJson(rest, withoutMetadata(old!)) ? 0 : 1);
  const object = {
    ...rest,
    metadata: {
      ...metadata,
      resourceVersion: revision,
      uid: before?.object.metadata.uid ?? newUid(),
      generation,
      creationTimestamp: before?.object.metadata.creationTimestamp ?? new Date(now).toISOString(),
    },
  } as unknown as StoredObject;
  const item: StoredItem = freeze({ object: structuredClone(object), source: write.source });
  return { result: { change: before === undefined ? 'created' : 'configured', object: item.object, previous: before?.object }, item };
}

type Content = Record<string, unknown> & { readonly metadata: Record<string, unknown> };

/** What a writer decides; the rest of the metadata is the store's. */
function contentOf(object: NewObject | StoredObject): Content {
  const { name, namespace = '', labels = {}, annotations = {} } = object.metadata;
  const { status: _status, ...rest } = object;
  return { ...rest, metadata: { name, namespace, labels, annotations } };
}

function withoutMetadata(content: Content): Record<string, unknown> {
  const { metadata: _metadata, ...rest } = content;
  return rest;
}

/** Equal as JSON, whatever the order of keys. */
function sameJson(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null || Array.isArray(a) !== Array.isArray(b)) return false;
  const keysOfA = Object.keys(a).filter((key) => (a as Record<string, unknown>)[key] !== undefined);
  const keysOfB = Object.keys(b).filter((key) => (b as Record<string, unknown>)[key] !== undefined);
  return keysOfA.length === keysOfB.length && keysOfA.every((key) => sameJson((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]));
}

function checkName(object: NewObject): void {
  const { name, namespace = '' } = object.metadata;
  for (const part of [object.apiVersion, object.kind, name, namespace]) {
    if (typeof part !== 'string' || part.length > 253 || part.includes('\u0000')) {
      throw new StoreError(
        'INVALID_OBJECT',
        'An object needs an apiVersion, a kind and a name, each a text of at most 253 characters.',
        'Correct its metadata.',
      );
    }
  }
  if (name === '' || object.kind === '' || /[/]/.test(`${object.kind}${name}${namespace}`)) {
    throw new StoreError('INVALID_OBJECT', `"${name}" in "${namespace}" is no name for a ${object.kind}.`, 'Use lower-case letters, digits and dashes.');
  }
}

function currentKey(key: ObjectKey): string {
  return CURRENT + pathOf(key);
}

/** Sixteen digits sort as numbers do. */
function revisionKey(revision: number): string {
  return `${REVISIONS}${String(revision).padStart(16, '0')}`;
}

function matches(object: StoredObject, selector: Selector): boolean {
  return (
    (selector.group === undefined || groupOf(object.apiVersion) === selector.group) &&
    (selector.kind === undefined || object.kind === selector.kind) &&
    (selector.namespace === undefined || object.metadata.namespace === selector.namespace) &&
    (selector.name === undefined || object.metadata.name === selector.name)
  );
}

function byName(a: StoredItem, b: StoredItem): number {
  const left = currentKey(keyOf(a.object));
  const right = currentKey(keyOf(b.object));
  return left < right ? -1 : left > right ? 1 : 0;
}

function keyText(key: ObjectKey): string {
  return `${key.kind} ${key.namespace === '' ? '' : `${key.namespace}/`}${key.name}`;
}

function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) freeze(inner);
  }
  return value;
}
