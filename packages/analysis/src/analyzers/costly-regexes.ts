import type { HttpRoute, StringMatch } from '@outrigger/resources';
import type { Analyzer } from '../analyzer.ts';
import { plainMatch, regexSteps } from '../regex-cost.ts';

/** From how many steps at each character of a text an expression is told of. */
const MANY_STEPS = 1_000;

/** Regular expressions that cost much at every request, and those that say no more than an exact text or a prefix. */
export const costlyRegexes: Analyzer = {
  name: 'rig.CostlyRegexes',
  codes: ['RIG0108', 'RIG0110'],
  run(context) {
    for (const resource of context.ofKind('VirtualService')) {
      for (const [index, rule] of (resource.spec.http ?? []).entries()) {
        for (const { path, match } of matchesOf(rule, `spec.http[${index}]`)) {
          if (match.regex === undefined) continue;
          const steps = regexSteps(match.regex);
          const plain = plainMatch(match.regex);
          if (steps >= MANY_STEPS) context.report(resource, `${path}.regex`, 'RIG0108', steps);
          // Of a regular expression the ends are looked at as they are, of a prefix a whole path is meant.
          else if (plain !== undefined)
            context.reportWithFix(
              resource,
              `${path}.regex`,
              { path: `${path}.regex`, rename: plain.kind, value: plain.text },
              'RIG0110',
              plain.kind,
              JSON.stringify(plain.text),
            );
        }
      }
    }
  },
};

interface PlacedMatch {
  readonly path: string;
  readonly match: StringMatch;
}

function matchesOf({ match, corsPolicy }: HttpRoute, place: string): readonly PlacedMatch[] {
  return [
    ...(match ?? []).flatMap((one, index) => {
      const at = `${place}.match[${index}]`;
      return [
        ...(['uri', 'scheme', 'method', 'authority'] as const).flatMap((name) =>
          one[name] === undefined ? [] : [{ path: `${at}.${name}`, match: one[name] }],
        ),
        ...(['headers', 'withoutHeaders', 'queryParams'] as const).flatMap((name) =>
          Object.entries(one[name] ?? {}).map(([key, value]) => ({ path: `${at}.${name}[${key}]`, match: value })),
        ),
      ];
    }),
    ...(corsPolicy?.allowOrigins ?? []).map((origin, index) => ({ path: `${place}.corsPolicy.allowOrigins[${index}]`, match: origin })),
  ];
}
