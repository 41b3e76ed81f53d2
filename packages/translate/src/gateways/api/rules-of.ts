import type { GrpcApiRouteSpec, HttpApiMatch, HttpApiRouteSpec, Resource } from '@outrigger/resources';
import type { Reader } from '../../reader.ts';
import type { Visibility } from '../../visibility.ts';
import type { OrderedRule } from './order.ts';
import type { ServedAt } from './rule-filters.ts';
import { grpcRule, httpRule } from './rules.ts';

type GrpcMatch = NonNullable<NonNullable<GrpcApiRouteSpec['rules']>[number]['matches']>[number];

/** The rules of an HTTPRoute or a GRPCRoute, one for each match. */
export function rulesOf(reader: Reader, visibility: Visibility, route: Resource, at: ServedAt): readonly OrderedRule[] {
  if (route.kind === 'GRPCRoute') {
    const { rules = [] } = route.spec as GrpcApiRouteSpec;
    return rules.flatMap((rule, index) => {
      const field = `spec.rules[${index}]`;
      return matchesOf<GrpcMatch>(rule.matches).map((match) => ({
        route,
        field,
        rule: grpcRule(reader, visibility, route, field, rule, match, at),
        weight: grpcWeight(match),
      }));
    });
  }
  const { rules = [] } = route.spec as HttpApiRouteSpec;
  return rules.flatMap((rule, index) => {
    const field = `spec.rules[${index}]`;
    return matchesOf<HttpApiMatch>(rule.matches).map((match) => ({
      route,
      field,
      rule: httpRule(reader, visibility, route, field, rule, match, at),
      weight: httpWeight(match),
    }));
  });
}

/** None: every request. */
function matchesOf<Match extends object>(matches: readonly Match[] | undefined): readonly (Match | Record<string, never>)[] {
  return matches === undefined || matches.length === 0 ? [{}] : matches;
}

const PATH_RANKS: Readonly<Record<string, number>> = { Exact: 3, PathPrefix: 2, RegularExpression: 1 };

/** An exact path, the longest one, a method, the most headers, the most query parameters. */
function httpWeight({ path, method, headers = [], queryParams = [] }: HttpApiMatch): readonly number[] {
  const { type = 'PathPrefix', value = '/' } = path ?? {};
  const different = (names: readonly string[]): number => new Set(names).size;
  return [
    PATH_RANKS[type]!,
    value.length,
    method === undefined ? 0 : 1,
    different(headers.map(({ name }) => name.toLowerCase())),
    different(queryParams.map(({ name }) => name)),
  ];
}

/** The longest service, the longest method, the most headers. */
function grpcWeight({ method, headers = [] }: GrpcMatch): readonly number[] {
  return [method?.service?.length ?? 0, method?.method?.length ?? 0, new Set(headers.map(({ name }) => name.toLowerCase())).size];
}
