import { type HttpApiRouteSpec, type Resource, refOf, refText } from '@outrigger/resources';
import type { Analyzer } from '../analyzer.ts';
import type { Context } from '../context.ts';

type Route = Resource<Pick<HttpApiRouteSpec, 'parentRefs' | 'hostnames' | 'rules'>>;

interface Placed {
  readonly route: Route;
  readonly rule: number;
}

/** Rules of HTTPRoutes and GRPCRoutes with the very matches of an older route, or of one before them: of equals the first takes everything. */
export const apiShadowedRules: Analyzer = {
  name: 'rig.ApiShadowedRules',
  codes: ['RIG0101'],
  run(context) {
    for (const kind of ['HTTPRoute', 'GRPCRoute'] as const) {
      const routes = context.ofKind(kind) as readonly Route[];
      for (const rivals of Map.groupBy(routes, placeOf).values()) reportRivals(context, rivals.toSorted(bySeniority));
    }
  },
};

function reportRivals(context: Context, routes: readonly Route[]): void {
  const first = new Map<string, Placed>();
  for (const route of routes) {
    for (const [rule, { matches, name }] of (route.spec.rules ?? []).entries()) {
      const texts = (matches === undefined || matches.length === 0 ? [{}] : matches).map(matchText);
      const takers = texts.map((text) => first.get(text));
      for (const text of texts) if (!first.has(text)) first.set(text, { route, rule });
      // Of a rule that says one thing twice, the second time is its own.
      if (takers.some((taker) => taker === undefined)) continue;
      const names = new Set((takers as readonly Placed[]).map((taker) => placeText(taker, route)));
      context.report(route, `spec.rules[${rule}]`, 'RIG0101', name ?? `#${rule}`, [...names].join(' and '));
    }
  }
}

/** Where a route is in effect: only routes of the same parents and hosts compete for sure. */
function placeOf({ metadata, spec }: Route): string {
  const parents = (spec.parentRefs ?? []).map((parent) =>
    [parent.group ?? '', parent.kind ?? '', parent.namespace ?? metadata.namespace, parent.name, parent.sectionName ?? '', parent.port ?? ''].join('|'),
  );
  return JSON.stringify([parents.sort(), (spec.hostnames ?? []).map((host) => host.toLowerCase()).sort()]);
}

/** The same text for matches that say the same, whatever the order of what they say. */
function matchText(match: object): string {
  const sorted = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map((item) => JSON.stringify(sorted(item))).sort();
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value)
        .map(([key, item]) => [key, sorted(item)] as const)
        .sort(([a], [b]) => (a < b ? -1 : 1)),
    );
  };
  return JSON.stringify(sorted({ path: { type: 'PathPrefix', value: '/' }, ...match }));
}

function placeText({ route, rule }: Placed, from: Route): string {
  const line = route.lineOf?.(`spec.rules[${rule}]`);
  const owner = route === from ? '' : `${refText(refOf(route))}, `;
  return `${owner}rule ${route.spec.rules?.[rule]?.name ?? `#${rule}`}${line === undefined ? '' : ` (line ${line})`}`;
}

function bySeniority({ metadata: a }: Route, { metadata: b }: Route): number {
  const [left, right] = [a, b].map(({ creationTimestamp, namespace, name }) => `${creationTimestamp} ${namespace}/${name}`) as [string, string];
  return left < right ? -1 : left > right ? 1 : 0;
}
