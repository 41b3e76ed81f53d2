import { isJsonObject, type Json, type Resource, type VirtualServiceSpec } from '@outrigger/resources';
import type { Analyzer } from '../analyzer.ts';
import type { Context } from '../context.ts';

/** A match's conditions by field, without its name: what decides, as text to compare. */
type Conditions = ReadonlyMap<string, string>;

interface PlacedMatch {
  readonly conditions: Conditions;
  readonly rule: number;
}

/** Rules of a VirtualService that nothing can reach, and matches that an earlier one has taken. */
export const unreachableRules: Analyzer = {
  name: 'schemaValidation.CollectionValidationAnalyzer',
  codes: ['IST0130', 'IST0131'],
  run(context) {
    for (const resource of context.ofKind('VirtualService')) {
      for (const protocol of ['http', 'tls', 'tcp'] as const) reportRules(context, resource, protocol);
    }
  },
};

function reportRules(context: Context, resource: Resource<VirtualServiceSpec>, protocol: 'http' | 'tls' | 'tcp'): void {
  const rules = resource.spec[protocol] ?? [];
  const labelOf = (rule: number): string => {
    const candidate = rules[rule];
    return candidate !== undefined && 'name' in candidate && candidate.name !== undefined ? JSON.stringify(candidate.name) : `#${rule}`;
  };
  const earlier: PlacedMatch[] = [];
  let everythingTaken = false;
  for (const [rule, { match }] of rules.entries()) {
    const place = `spec.${protocol}[${rule}]`;
    const matches = match ?? [];
    if (everythingTaken) {
      context.report(
        resource,
        place,
        'IST0130',
        labelOf(rule),
        matches.length === 0 ? 'only the last rule can have no matches' : 'route without matches defined before',
      );
      continue;
    }
    if (matches.length === 0) {
      everythingTaken = true;
      continue;
    }
    let duplicates = 0;
    for (const [index, written] of matches.entries()) {
      const conditions = conditionsOf(written as unknown as Json);
      const label = 'name' in written && written.name !== undefined ? JSON.stringify(written.name) : `#${index}`;
      const taken = earlier.find((other) => covers(other.conditions, conditions));
      if (taken !== undefined) context.report(resource, `${place}.match[${index}]`, 'IST0131', labelOf(rule), label, labelOf(taken.rule));
      if (earlier.some((other) => other.rule < rule && isSame(other.conditions, conditions))) duplicates++;
      earlier.push({ conditions, rule });
    }
    if (duplicates === matches.length) context.report(resource, place, 'IST0130', labelOf(rule), 'all matches used by prior rules');
  }
}

/** Flattens a match: {uri: {prefix: "/a"}} -> uri.prefix = "/a". */
function conditionsOf(match: Json): Conditions {
  const conditions = new Map<string, string>();
  const add = (value: Json, path: string): void => {
    if (isJsonObject(value) && Object.keys(value).length > 0) for (const [key, item] of Object.entries(value)) add(item, path === '' ? key : `${path} ${key}`);
    else if (path !== '' && path !== 'name' && path !== 'statPrefix') conditions.set(path, JSON.stringify(value));
  };
  add(match, '');
  return conditions;
}

/** Whether whatever fulfils `right` fulfils `left`: all of left's conditions stand in right, a URI's prefix maybe longer. */
function covers(left: Conditions, right: Conditions): boolean {
  for (const [path, value] of left) {
    const other = right.get(path);
    if (other === undefined) return false;
    if (other !== value && !(path === 'uri prefix' && other.startsWith(value.slice(0, -1)))) return false;
  }
  return left.get('ignoreUriCase') === right.get('ignoreUriCase');
}

function isSame(left: Conditions, right: Conditions): boolean {
  return left.size === right.size && [...left].every(([path, value]) => right.get(path) === value);
}
