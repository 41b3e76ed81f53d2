import type { LbContext } from './context.ts';
import type { Host } from './host.ts';

/**
 * Chooses among a fixed list of hosts. `attempt` counts repeated picks for one request (0 first), for those pickers that
 * would otherwise give the same host again.
 */
export interface Picker {
  readonly hosts: readonly Host[];
  pick(context: LbContext, attempt: number): Host;
}
