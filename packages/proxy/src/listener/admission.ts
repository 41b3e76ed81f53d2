import { drawn } from '../overload/overload-state.ts';
import type { ListenerConfig } from '../xds/listener-config.ts';
import type { ListenerParts } from './listener-parts.ts';
import type { ListenerStats } from './listener-stats.ts';

/** Whether a listener takes one more connection, by its limit, the proxy's, and its overload. */
export class Admission {
  readonly #parts: ListenerParts;
  readonly #config: ListenerConfig;
  readonly #stats: ListenerStats;
  readonly #limit: number;
  readonly #open: { count: number };

  /** `before`: of the listener of the same name that it takes the place of. */
  constructor(parts: ListenerParts, config: ListenerConfig, stats: ListenerStats, before: Admission | undefined) {
    this.#parts = parts;
    this.#config = config;
    this.#stats = stats;
    this.#limit = parts.connectionLimit(config.name);
    this.#open = before !== undefined && before.#config.name === config.name ? before.#open : { count: 0 };
  }

  /** Sockets that were accepted and are open still, by those before it too. */
  get openCount(): number {
    return this.#open.count;
  }

  /** False: there are as many as there may be. */
  enter(): boolean {
    const { overload, random } = this.#parts.runtime;
    if (overload.shedsConnections && !this.#config.bypassOverload && drawn(random, overload.connections)) {
      this.#stats.shed++;
      overload.connectionsShed++;
      return false;
    }
    if (this.#open.count >= this.#limit) {
      this.#stats.overflow++;
      return false;
    }
    if (!this.#config.ignoreGlobalConnLimit && !this.#parts.admit()) {
      this.#stats.globalOverflow++;
      return false;
    }
    this.#open.count++;
    return true;
  }

  left(): void {
    this.#open.count--;
    if (!this.#config.ignoreGlobalConnLimit) this.#parts.onConnectionGone();
  }
}
