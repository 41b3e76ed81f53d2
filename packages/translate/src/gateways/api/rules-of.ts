import type { GrpcApiRouteSpec, HttpApiRouteSpec, Resource } from '@outrigger/resources';
import type { Reader } from '../../reader.ts';
import type { Visibility } from '../../visibility.ts';
import type { OrderedRule } from './order.ts';
import { grpcRule, httpRule, type ServedAt } from './rules.ts';

/** The rules of an HTTPRoute or a GRPCRoute, one for each match. */
export function rulesOf(reader: Reader, visibility: Visibility, route: Resource, at: ServedAt): readonly OrderedRule[] {
  if (route.kind === 'GRPCRoute') {
    const { rules = [] } = route.spec as GrpcApiRouteSpec;
    return rules.flatMap((rule, index) =>
      (rule.matches ?? [{}]).map((match) => ({ route, field: `spec.rules[${index}]`, rule: grpcRule(reader, visibility, route, rule, match, at) })),
    );
  }
  const { rules = [] } = route.spec as HttpApiRouteSpec;
  return rules.flatMap((rule, index) =>
    (rule.matches ?? [{}]).map((match) => ({ route, field: `spec.rules[${index}]`, rule: httpRule(reader, visibility, route, rule, match, at) })),
  );
}
