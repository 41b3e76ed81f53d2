import type { Resource } from '@outrigger/resources';
import type { RouteRule } from '../../routes/rule.ts';

/** A rule for one of its matches, and where it stands. */
export interface OrderedRule {
  readonly route: Resource;
  readonly field: string;
  readonly rule: RouteRule;
  /** What counts first stands first; more goes before less. */
  readonly weight: readonly number[];
}

/** As the specification weighs matches; of equals as they stand, the oldest route first. */
export function byPrecedence(a: OrderedRule, b: OrderedRule): number {
  for (let index = 0; index < a.weight.length; index++) if (a.weight[index] !== b.weight[index]) return (b.weight[index] ?? 0) - a.weight[index]!;
  return 0;
}

/** The oldest first, then by "{namespace}/{name}". */
export function bySeniority({ metadata: a }: Resource, { metadata: b }: Resource): number {
  return compare(a.creationTimestamp, b.creationTimestamp) || compare(`${a.namespace}/${a.name}`, `${b.namespace}/${b.name}`);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
