import type { Resource } from '@outrigger/resources';
import type { RouteRule } from '../../routes/rule.ts';

/** A rule for one of its matches, and where it stands. */
export interface OrderedRule {
  readonly route: Resource;
  readonly field: string;
  readonly rule: RouteRule;
}

/** The longest path, a method, the most headers, the most query parameters; else as they stand, the oldest route first. */
export function byPrecedence(a: OrderedRule, b: OrderedRule): number {
  const [left, right] = [weightOf(a.rule), weightOf(b.rule)];
  for (let index = 0; index < left.length; index++) if (left[index] !== right[index]) return right[index]! - left[index]!;
  return 0;
}

function weightOf({ match }: RouteRule): readonly number[] {
  const { uri, method, headers, queryParams } = match![0]!;
  const kind = uri?.exact !== undefined ? 3 : uri?.prefix !== undefined ? 2 : 1;
  const length = (uri?.exact ?? uri?.prefix ?? uri?.regex ?? '').length;
  return [kind, length, method === undefined ? 0 : 1, Object.keys(headers ?? {}).length, Object.keys(queryParams ?? {}).length];
}
