import type { WaitResult } from '../api/shapes.ts';
import type { Clock } from '../options.ts';
import type { ClientView } from './client-view.ts';

/** One push: what of the configuration went out with it, and to whom. */
interface Flush {
  readonly number: number;
  readonly revision: number;
  readonly startedAtMs: number;
  /** By node id. */
  readonly affected: ReadonlyMap<string, ClientView>;
  /** Those of them that have not acknowledged it. */
  readonly missing: Set<string>;
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
  /** Of each node, those that miss it. */
  readonly #awaited = new Map<string, Set<Flush>>();
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
  pushed(number: number, revision: string, startedAtMs: number, affected: ReadonlyMap<string, ClientView>): void {
    const flush: Flush = { number, revision: Number(revision), startedAtMs, affected, missing: new Set(), doneAtMs: undefined };
    this.#flushes.push(flush);
    for (const node of affected.keys()) {
      if (!this.#misses(flush, node)) continue;
      flush.missing.add(node);
      const awaited = this.#awaited.get(node);
      if (awaited === undefined) this.#awaited.set(node, new Set([flush]));
      else awaited.add(flush);
    }
    if (this.#flushes.length > MAX_FLUSHES) this.#forget(this.#flushes.shift()!);
    if (flush.missing.size === 0) this.#done(flush);
  }

  /** A client of this node has acknowledged, refused, come or gone. Costs what it is waited for with, whatever others are. */
  progressed(node: string): void {
    const awaited = this.#awaited.get(node);
    if (awaited === undefined) return;
    for (const flush of awaited) {
      if (this.#misses(flush, node)) continue;
      awaited.delete(flush);
      flush.missing.delete(node);
      if (flush.missing.size === 0) this.#done(flush);
    }
    if (awaited.size === 0) this.#awaited.delete(node);
  }

  #done(flush: Flush): void {
    flush.doneAtMs = this.#clock.now();
    for (const waiter of [...this.#waiters]) if (this.#result(waiter.revision).done) waiter.finish();
  }

  #forget(flush: Flush): void {
    for (const node of flush.missing) {
      const awaited = this.#awaited.get(node);
      awaited?.delete(flush);
      if (awaited?.size === 0) this.#awaited.delete(node);
    }
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
    const laggards = [...flush.missing];
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

  #misses(flush: Flush, node: string): boolean {
    const view = this.#current(node);
    if (view === undefined) return true;
    // One that has come back since gets everything anew, so all of that must be acknowledged.
    if (view !== flush.affected.get(node)) return view.outstanding.size > 0;
    for (const outstanding of view.outstanding.values()) if (outstanding.flush <= flush.number) return true;
    return false;
  }
}
