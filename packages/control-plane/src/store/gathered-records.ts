import type { Clock } from '../options.ts';
import { Debounce } from '../push/debounce.ts';
import type { Records } from './records.ts';

/** A write waits for the disk, and everything else with it: what changes often is written this often, ms. */
const WINDOW_MS = 250;

interface Pending<T> {
  readonly put: Map<string, T>;
  readonly remove: Set<string>;
  readonly done: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Records that change often: the first change is written at once, those that follow within the window together. */
export class GatheredRecords<T> {
  readonly #records: Records<T>;
  readonly #writes: Debounce;
  #pending: Pending<T> | undefined;

  constructor(records: Records<T>, clock: Clock) {
    this.#records = records;
    this.#writes = new Debounce(clock, WINDOW_MS, () => this.flush());
  }

  entries(): ReadonlyMap<string, T> {
    return this.#records.entries();
  }

  /** Fulfilled once durable; rejected with a `StoreError`. */
  put(key: string, value: T): Promise<void> {
    const pending = this.#next();
    pending.remove.delete(key);
    pending.put.set(key, value);
    return pending.done;
  }

  delete(key: string): Promise<void> {
    const pending = this.#next();
    pending.put.delete(key);
    pending.remove.add(key);
    return pending.done;
  }

  flush(): void {
    const pending = this.#pending;
    if (pending === undefined) return;
    this.#pending = undefined;
    try {
      this.#records.write(pending.put, pending.remove);
      pending.resolve();
    } catch (error) {
      pending.reject(error);
    }
  }

  /** Writes what waits. */
  stop(): void {
    this.flush();
    this.#writes.stop();
  }

  #next(): Pending<T> {
    this.#pending ??= { put: new Map(), remove: new Set(), ...withResolvers() };
    this.#writes.trigger();
    return this.#pending;
  }
}

function withResolvers(): Pick<Pending<unknown>, 'done' | 'resolve' | 'reject'> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  return { done: promise, resolve, reject };
}
