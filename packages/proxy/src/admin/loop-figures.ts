import type { Counter, MetricRegistry } from '@outrigger/telemetry';
import type { LoopShare } from '../engine/options.ts';

/** What a proxy that is not alone in its process has of the event loop: the noisy one of a node shows here. */
export class LoopFigures {
  readonly share: LoopShare;
  readonly #used: Counter;
  readonly #deferred: Counter;
  #told = { usedMs: 0, deferred: 0 };

  constructor(registry: MetricRegistry, share: LoopShare) {
    this.share = share;
    this.#used = registry.counter('outrigger_loop_used_seconds_total', 'What this proxy has taken of the event loop that it shares.').with();
    this.#deferred = registry
      .counter('outrigger_loop_deferred_total', 'Reads, connections and handshakes that waited because this proxy had used its share.')
      .with();
  }

  /** Brings the counters up to date, when the page is read. */
  refresh(): void {
    const { usedMs, deferred } = this.share;
    this.#used.add((usedMs - this.#told.usedMs) / 1000);
    this.#deferred.add(deferred - this.#told.deferred);
    this.#told = { usedMs, deferred };
  }
}
