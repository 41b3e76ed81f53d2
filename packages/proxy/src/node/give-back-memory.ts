import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * Collects garbage and gives its room back to the system, which takes some tens of milliseconds. V8 by itself keeps what the start of many workloads has
 * left until it needs it, and a process that is idle never does (bench row memory-node).
 */
export function giveBackMemory(): void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as (options: object) => void;
  collect({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}
