import type { ByteSink } from '../net/byte-sink.ts';
import type { ProxyLog } from './options.ts';

/** Stacks remembered: each is logged once, however often it comes. */
const MAX_REMEMBERED_STACKS = 100;

/**
 * Where exceptions of this proxy's own code end up: a mistake in one stream costs that stream, or at most its connection, never
 * the process. Guards stand where bytes, timers, turns and answers of others enter; behind them nothing throws for what a peer does.
 */
export class Faults {
  /** Exceptions so far. */
  count = 0;
  readonly #log: ProxyLog;
  readonly #stacks = new Set<string>();

  constructor(log: ProxyLog) {
    this.#log = log;
  }

  /** `where`: what was ended or left undone, for the log. */
  report(error: unknown, where: string): void {
    this.count++;
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
    if (this.#stacks.has(stack) || this.#stacks.size >= MAX_REMEMBERED_STACKS) return;
    this.#stacks.add(stack);
    this.#log('error', `a mistake in this proxy (${where}); please report it. Further ones like it are only counted`, { stack });
  }

  /** Runs it, and reports what it throws. */
  guard(where: string, run: () => void): void {
    try {
      run();
    } catch (error) {
      this.report(error, where);
    }
  }
}

/** Stands between a transport and its sink: an exception ends that connection. */
export class GuardedSink implements ByteSink {
  readonly #sink: ByteSink;
  readonly #faults: Faults;
  readonly #end: () => void;

  /** `end` destroys the transport; the sink is still told that it was closed. */
  constructor(sink: ByteSink, faults: Faults, end: () => void) {
    this.#sink = sink;
    this.#faults = faults;
    this.#end = end;
  }

  receive(buffer: Buffer, start: number, end: number): void {
    try {
      this.#sink.receive(buffer, start, end);
    } catch (error) {
      this.#failed(error);
    }
  }

  receiveEnd(): void {
    try {
      this.#sink.receiveEnd();
    } catch (error) {
      this.#failed(error);
    }
  }

  transportClosed(detail: string): void {
    try {
      this.#sink.transportClosed(detail);
    } catch (error) {
      this.#failed(error);
    }
  }

  transportDrained(): void {
    try {
      this.#sink.transportDrained();
    } catch (error) {
      this.#failed(error);
    }
  }

  #failed(error: unknown): void {
    this.#faults.report(error, 'a connection was ended');
    this.#faults.guard('a connection was not ended', this.#end);
  }
}
