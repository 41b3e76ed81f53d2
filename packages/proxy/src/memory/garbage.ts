import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** `last-resort`: V8 throws away compiled code too, which requests miss for seconds afterwards (bench row pair-mtls-1k). */
type Collect = (options: { type: 'major'; execution: 'sync'; flavor: 'regular' | 'last-resort' }) => void;

/** The garbage of a process, which may be that of many proxies: what one has had collected the others need not. */
export class ProcessGarbage {
  #collectedAtMs = Number.NEGATIVE_INFINITY;

  /** Stops the loop. False: that was done less than `intervalMs` ago. */
  collect(nowMs: number, intervalMs: number): boolean {
    if (nowMs - this.#collectedAtMs < intervalMs) return false;
    this.#collectedAtMs = nowMs;
    collector()({ type: 'major', execution: 'sync', flavor: 'regular' });
    return true;
  }
}

/**
 * Collects garbage and gives its room back to the system, which takes some tens of milliseconds. V8 by itself keeps what the start of many workloads has
 * left until it needs it, and a process that is idle never does (bench row memory-node). For where there has been no traffic.
 */
export function giveBackMemory(): void {
  collector()({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}

/** Node has no other way to it once it runs. */
function collector(): Collect {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as Collect;
}
