/** One resource of a response, decoded. */
export interface ReceivedResource<T> {
  readonly name: string;
  readonly version: string;
  readonly message: T;
  readonly aliases: readonly string[];
}

/** What one response (or the cache at start) says of one type. */
export interface ResourceUpdate<T> {
  /** New ones and changed ones alike. */
  readonly added: readonly ReceivedResource<T>[];
  /** Gone, or asked for by name and not there. */
  readonly removed: readonly string[];
  /** `cache`: what was last known, because the server is away or slow. */
  readonly from: 'server' | 'cache';
}

/** One resource that the client does not take. The last good version of that name stays. */
export interface Rejection {
  readonly name: string;
  readonly message: string;
}

/** Nothing or an empty list: ACK. A list: NACK with these reasons; what is not named in it is taken. `refused`: NACK of all of it, in these words. */
export type Verdict = readonly Rejection[] | { readonly refused: string } | undefined;

/**
 * Called for each response in the order of arrival (for the first one of a type also when there is nothing); the answer goes out when the promise is fulfilled, so return one that
 * waits until the change is in effect. A throw rejects the whole response.
 */
export type ResourceHandler<T> = (update: ResourceUpdate<T>) => Verdict | Promise<Verdict>;
