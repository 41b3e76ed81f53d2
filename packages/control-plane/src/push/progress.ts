import type { WaitResult } from '../api/shapes.ts';
import type { Clock } from '../options.ts';
import type { ClientView } from './client-view.ts';

/** One push: what of the configuration went out with it, and to whom. */
interface Flush {
  readonly number: number;
  readonly revision: number;
  readonly startedAtMs: number;
  /** By node id. */
  readonly affected: Map<string, ClientView>;
  doneAtMs: number | undefined;
}

/** Pushes whose progress can be asked for; older ones are answered as the oldest kept. */
const MAX_FLUSHES = 512;
export const MAX_WAIT_MS = 10 * 60_000;
const MAX_WAITERS = 1_000;

interface Waiter {
  readonly revision: number;
  readonly finish: () => void;
}

/** Which proxies have acknowledged which revision. */
export class Progress {
  readonly #clock: Clock;
  readonly #current: (node: string) => ClientView | undefined;
  readonly #flushes: Flush[] = [];
  readonly #waiters = new Set<Waiter>();
  #number = 0;

  /** `current` gives the connected view of a node, which may be a later one than the one that was pushed to. */
  constructor(clock: Clock, current: (node: string) => ClientView | undefined) {
    this.#clock = clock;
    this.#current = current;
  }

  get number(): number {
    return this.#number;
  }

  begin(): number {
    this.#number += 1;
    return this.#number;
  }

  /** `startedAtMs`: when the change was made. */
  pushed(number: number, revision: string, startedAtMs: number, affected: Map<string, ClientView>): void {
    const flush: Flush = { number, revision: Number(revision), startedAtMs, affected, doneAtMs: affected.size === 0 ? this.#clock.now() : undefined };
    this.#flushes.push(flush);
    if (this.#flushes.length > MAX_FLUSHES) this.#flushes.shift();
    this.progressed();
  }

  /** A client has acknowledged, refused, come or gone. */
  progressed(): void {
    for (const flush of this.#flushes) {
      if (flush.doneAtMs === undefined && this.#missing(flush).length === 0) flush.doneAtMs = this.#clock.now();
    }
    for (const waiter of [...this.#waiters]) if (this.#result(waiter.revision).done) waiter.finish();
  }

  wait(revision: string, timeoutMs: number): Promise<WaitResult> {
    const wanted = Number(revision);
    const now = this.#result(wanted);
    if (now.done || timeoutMs <= 0 || this.#waiters.size >= MAX_WAITERS) return Promise.resolve(now);
    return new Promise((resolve) => {
      const finish = (): void => {
        cancel();
        this.#waiters.delete(waiter);
        resolve(this.#result(wanted));
      };
      const waiter: Waiter = { revision: wanted, finish };
      const cancel = this.#clock.after(Math.min(timeoutMs, MAX_WAIT_MS), finish);
      this.#waiters.add(waiter);
    });
  }

  stop(): void {
    for (const waiter of [...this.#waiters]) waiter.finish();
  }

  #result(revision: number): WaitResult {
    const flush = this.#flushes.find((candidate) => candidate.revision >= revision);
    if (flush === undefined) return { done: false, elapsedMs: 0, affected: 0, acknowledged: 0, laggards: [], refused: [] };
    const laggards = this.#missing(flush);
    const refused: WaitResult['refused'] = [];
    for (const node of flush.affected.keys()) {
      for (const { message } of this.#current(node)?.refused.values() ?? []) {
        if (!refused.some((other) => other.node === node && other.message === message)) refused.push({ node, message });
      }
    }
    const unhappy = new Set([...laggards, ...refused.map(({ node }) => node)]);
    return {
      done: laggards.length === 0,
      elapsedMs: Math.max(0, (flush.doneAtMs ?? this.#clock.now()) - flush.startedAtMs),
      affected: flush.affected.size,
      acknowledged: flush.affected.size - unhappy.size,
      laggards,
      refused,
    };
  }

  #missing(flush: Flush): string[] {
    if (flush.doneAtMs !== undefined) return [];
    const missing: string[] = [];
    for (const [node, pushedTo] of flush.affected) {
      const view = this.#current(node);
      if (view === undefined) missing.push(node);
      // One that has come back since gets everything anew, so all of that must be acknowledged.
      else if ([...view.outstanding.values()].some((outstanding) => view !== pushedTo || outstanding.flush <= flush.number)) missing.push(node);
    }
    return missing;
  }
}
