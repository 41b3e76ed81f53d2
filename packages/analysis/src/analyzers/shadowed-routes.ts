import type { HttpMatchRequest, HttpRoute, Resource, StringMatch, VirtualServiceSpec } from '@outrigger/resources';
import type { Analyzer } from '../analyzer.ts';
import type { Context } from '../context.ts';

/** Rules of which earlier ones take every request, though none has the same match: what IST0130 and IST0131 leave out or only hint at. */
export const shadowedRoutes: Analyzer = {
  name: 'rig.ShadowedRoutes',
  codes: ['RIG0101'],
  run(context) {
    for (const resource of context.ofKind('VirtualService')) reportShadowed(context, resource);
  },
};

function reportShadowed(context: Context, resource: Resource<VirtualServiceSpec>): void {
  const rules = resource.spec.http ?? [];
  const labelOf = (index: number): string => rules[index]?.name ?? `#${index}`;
  for (const [index, { match }] of rules.entries()) {
    const matches = match ?? [];
    const takers = matches.map((own) => rules.findIndex((earlier, at) => at < index && takes(earlier, (other) => covers(other, own))));
    if (matches.length === 0 || takers.includes(-1)) continue;
    // The same match again is IST0130.
    const isRepeated = matches.every((own) =>
      rules.slice(0, index).some((earlier) => takes(earlier, (other) => JSON.stringify(other) === JSON.stringify(own))),
    );
    if (isRepeated) continue;
    const names = [...new Set(takers)].map((taker) => {
      const line = resource.lineOf?.(`spec.http[${taker}]`);
      return `rule ${labelOf(taker)}${line === undefined ? '' : ` (line ${line})`}`;
    });
    context.report(resource, `spec.http[${index}]`, 'RIG0101', labelOf(index), names.join(' and '));
  }
}

/** What a delegate does not take goes on to the next rule. */
function takes({ match, delegate }: HttpRoute, matching: (match: HttpMatchRequest) => boolean): boolean {
  return delegate === undefined && (match ?? []).some(matching);
}

/** Whether every request that `narrow` matches is matched by `wide`. False where it cannot be told. */
function covers(wide: HttpMatchRequest, narrow: HttpMatchRequest): boolean {
  return (
    coversUri(wide, narrow) &&
    (['scheme', 'method', 'authority'] as const).every((field) => coversText(wide[field], narrow[field])) &&
    (['headers', 'queryParams'] as const).every((field) =>
      Object.entries(wide[field] ?? {}).every(([name, value]) => narrow[field]?.[name] !== undefined && coversText(value, narrow[field][name])),
    ) &&
    Object.entries(wide.withoutHeaders ?? {}).every(([name, value]) => isSame(narrow.withoutHeaders?.[name], value)) &&
    Object.entries(wide.sourceLabels ?? {}).every(([name, value]) => narrow.sourceLabels?.[name] === value) &&
    (['port', 'sourceNamespace'] as const).every((field) => wide[field] === undefined || wide[field] === narrow[field]) &&
    // Without gateways of its own a match has those of its VirtualService: not known to be fewer.
    (wide.gateways === undefined || narrow.gateways?.every((gateway) => wide.gateways?.includes(gateway)) === true)
  );
}

function coversUri(wide: HttpMatchRequest, narrow: HttpMatchRequest): boolean {
  if (wide.uri?.prefix === '/' || wide.uri === undefined) return true;
  if ((narrow.ignoreUriCase ?? false) === (wide.ignoreUriCase ?? false)) return coversText(wide.uri, narrow.uri);
  return false;
}

function coversText(wide: StringMatch | undefined, narrow: StringMatch | undefined): boolean {
  // A StringMatch of nothing asks that it be there.
  if (wide === undefined || (Object.keys(wide).length === 0 && narrow !== undefined)) return true;
  if (narrow === undefined) return false;
  const { prefix } = wide;
  const text = narrow.exact ?? narrow.prefix;
  return (prefix !== undefined && text?.startsWith(prefix) === true) || isSame(wide, narrow);
}

function isSame(left: StringMatch | undefined, right: StringMatch): boolean {
  return left !== undefined && left.exact === right.exact && left.prefix === right.prefix && left.regex === right.regex;
}
