/** A Kubernetes object as it is stored: `spec` and whatever else the kind has. Frozen. */
export interface StoredObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: StoredMetadata;
  readonly [field: string]: unknown;
}

export interface StoredMetadata {
  readonly name: string;
  /** '' for cluster-scoped kinds. */
  readonly namespace: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  /** The revision that last changed it. */
  readonly resourceVersion: string;
  readonly uid: string;
  /** Counts changes of anything but metadata. */
  readonly generation: number;
  /** RFC 3339. */
  readonly creationTimestamp: string;
}

/** What a writer gives: the store fills in the rest of the metadata. */
export interface NewObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: Pick<StoredMetadata, 'name'> & Partial<Pick<StoredMetadata, 'namespace' | 'labels' | 'annotations' | 'resourceVersion'>>;
  readonly [field: string]: unknown;
}

/** Names an object; the version of its API is no part of that. */
export interface ObjectKey {
  /** "networking.istio.io" */
  readonly group: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

/** Where an object came from, kept beside it; moving in its file is no change of it. */
export interface Source {
  /** `folder`: of the watched folder, and gone when its file goes. */
  readonly manager: 'folder' | 'api';
  readonly file: string;
  readonly line: number;
}

export interface StoredItem {
  readonly object: StoredObject;
  readonly source: Source;
}

export type Write =
  /** CONFLICT where it exists. */
  | { readonly type: 'create'; readonly object: NewObject; readonly source: Source }
  /** NOT_FOUND where it does not exist; CONFLICT where `metadata.resourceVersion` is given and not the present one. */
  | { readonly type: 'update'; readonly object: NewObject; readonly source: Source }
  /** Create or update. */
  | { readonly type: 'put'; readonly object: NewObject; readonly source: Source }
  /** NOT_FOUND where it does not exist; CONFLICT where `resourceVersion` is given and not the present one. */
  | { readonly type: 'delete'; readonly key: ObjectKey; readonly resourceVersion?: string };

export interface WriteResult {
  readonly change: 'created' | 'configured' | 'unchanged' | 'deleted';
  /** As it is now; as it was, where it was deleted. */
  readonly object: StoredObject;
  readonly previous: StoredObject | undefined;
}

export interface Committed {
  /** Of this write, or the present one where nothing changed. */
  readonly revision: string;
  readonly results: readonly WriteResult[];
}

export interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: StoredObject;
  readonly source: Source;
  /** Of what was modified: as it was before. Absent in what an older version wrote. */
  readonly previous?: StoredItem;
}

/** Why there is a revision. */
export interface Cause {
  /** Who wrote: a user of the machine, "dashboard", "folder"; '' : not known. */
  readonly by: string;
  /** By what: "apply", "delete", "undo to 12"; '' : not known. */
  readonly how: string;
}

/** What one transaction did. */
export interface Revision {
  readonly revision: string;
  readonly timeMs: number;
  readonly cause: Cause;
  readonly events: readonly WatchEvent[];
}

export interface HistoryQuery {
  /** Only revisions that touched one of these. */
  readonly touches?: (key: ObjectKey) => boolean;
  /** At most so many, the newest. */
  readonly limit?: number;
}

export interface Selector {
  readonly group?: string;
  readonly kind?: string;
  readonly namespace?: string;
  readonly name?: string;
}

/** Kubernetes' own interface, so that its API server can be the store: reads, optimistic writes, watches from a revision. */
export interface ResourceStore {
  get(key: ObjectKey): Promise<StoredItem | undefined>;
  /** Sorted by kind, namespace, name; as of `resourceVersion`, from which to watch. */
  list(selector?: Selector): Promise<{ readonly items: readonly StoredItem[]; readonly resourceVersion: string }>;
  /** All writes or none, under one new revision; durable when it resolves. Throws a `StoreError`. */
  transact(writes: readonly Write[], cause?: Cause): Promise<Committed>;
  /**
   * Calls back with each revision after `resourceVersion`, past ones first, in order and before `transact` resolves for its own.
   * Throws RELIST where those are not kept any more. Returns what ends it.
   */
  watch(resourceVersion: string, onRevision: (revision: Revision) => void): () => void;
  /** The kept revisions, newest first. */
  history(query?: HistoryQuery): Promise<readonly Revision[]>;
  /** Everything as it was after a revision. Throws NOT_KEPT. */
  at(revision: string): Promise<readonly StoredItem[]>;
  close(): Promise<void>;
}

export function keyOf(object: NewObject | StoredObject): ObjectKey {
  return { group: groupOf(object.apiVersion), kind: object.kind, namespace: object.metadata.namespace ?? '', name: object.metadata.name };
}

/** "group/Kind/namespace/name" */
export function pathOf({ group, kind, namespace, name }: ObjectKey): string {
  return `${group}/${kind}/${namespace}/${name}`;
}

export function groupOf(apiVersion: string): string {
  const slash = apiVersion.indexOf('/');
  return slash === -1 ? '' : apiVersion.slice(0, slash);
}
