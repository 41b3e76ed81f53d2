export type StoreErrorCode =
  /** The object has changed since the resourceVersion that the write names; or it exists already. HTTP 409 in Kubernetes. */
  | 'CONFLICT'
  | 'NOT_FOUND'
  /** A watch asked for revisions that are no longer kept, or that are not of this store: list again, then watch. HTTP 410 in Kubernetes. */
  | 'RELIST'
  /** There is no such revision, or its content is not kept any more. HTTP 410. */
  | 'NOT_KEPT'
  | 'INVALID_OBJECT'
  | 'DISK_FULL'
  | 'WRITE_FAILED'
  /** The file is damaged. */
  | 'BROKEN'
  /** The file is not a store of ours, or of a newer version. */
  | 'FOREIGN'
  | 'CLOSED';

/** `message` says what happened, `next` what to do about it. A failed write changed nothing. */
export class StoreError extends Error {
  readonly code: StoreErrorCode;
  readonly next: string;

  constructor(code: StoreErrorCode, message: string, next: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'StoreError';
    this.code = code;
    this.next = next;
  }
}
