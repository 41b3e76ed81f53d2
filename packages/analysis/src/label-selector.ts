import type { Json } from '@outrigger/resources';
import { field, matchesLabels } from './context.ts';
import { list, stringMap, text } from './kubernetes.ts';

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

/** Labels as a selector is written on a command line: "app=a,version=v1". */
export function selectorText(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .sort()
    .join(',');
}
