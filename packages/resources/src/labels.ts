import { field, type Json, list, stringMap, text } from './json.ts';

/** Whether labels hold all of a selector's. */
export function matchesLabels(selector: Readonly<Record<string, string>> | undefined, labels: Readonly<Record<string, string>>): boolean {
  return Object.entries(selector ?? {}).every(([key, value]) => labels[key] === value);
}

/** Whether a Kubernetes LabelSelector (`matchLabels`, `matchExpressions`) selects labels; none selects everything. */
export function selects(selector: Json | undefined, labels: Readonly<Record<string, string>>): boolean {
  return (
    matchesLabels(stringMap(selector, 'matchLabels'), labels) && list(field(selector, 'matchExpressions')).every((expression) => holds(expression, labels))
  );
}

function holds(expression: Json, labels: Readonly<Record<string, string>>): boolean {
  const value = labels[text(field(expression, 'key'))];
  const values = list(field(expression, 'values'));
  switch (field(expression, 'operator')) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    default:
      return false;
  }
}
