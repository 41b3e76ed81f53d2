import { refText } from '@outrigger/resources';
import { messageLine } from '../messages.ts';
import { table } from '../output.ts';
import type { AccessChange } from './access.ts';
import type { DestinationPlan, PolicyPlan, ProxyPlan, RoutePlan, ServicePlan } from './changes.ts';
import type { Plan } from './plan.ts';
import type { ReplayReport } from './replay.ts';
import { percentText } from './risk.ts';

const MARKS = { created: '+', configured: '~', deleted: '-' } as const;
/** Of the proxies that have one change in common. */
const MAX_PROXIES = 4;
/** `-o json` has all. */
const MAX_LISTED_PROXIES = 20;
const MAX_FIELDS = 12;
export const MAX_GROUPS = 20;

/** For a terminal: the risk first, then what it comes of. */
export function planText(plan: Plan): string {
  const sections = [
    [`risk: ${plan.risk}`, ...plan.reasons.map(({ risk, reason }) => `  ${risk}: ${reason}`)],
    section(
      'resources',
      plan.resources.map(({ resource, change }) => `${MARKS[change]} ${refText(resource)}`),
    ),
    ...plan.services.map((service) => section(service.service, serviceLines(service))),
    section('access', plan.access.map(accessLine)),
    proxyLines(plan),
    section('analysis', [
      ...plan.messages.new.map((message) => `new:  ${messageLine(message)}`),
      ...plan.messages.gone.map((message) => `gone: ${messageLine(message)}`),
    ]),
    plan.replay === undefined ? [] : section('replay', replayLines(plan.replay)),
    section('assumed', plan.assumed),
  ];
  return sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n');
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [title, ...lines.map((line) => `  ${line}`)];
}

export function serviceLines({ routes, destinations, policies }: ServicePlan): string[] {
  return [...routes.flatMap(routePlanLines), ...destinations.flatMap(destinationLines), ...policies.map(policyLine)];
}

function routePlanLines(route: RoutePlan): string[] {
  const what = route.change === 'changed' ? `routes of ${route.host}` : `routes of ${route.host} ${route.change}`;
  return [`${what}, for ${some(route.proxies)}${by(route.patchedBy)}`, ...lineDiff(route.before, route.after).map((line) => `  ${line}`)];
}

/** Lines that go and lines that come; where they are the same, their new order. */
export function lineDiff(before: readonly string[], after: readonly string[]): string[] {
  const gone = without(before, after).map((line) => `- ${line}`);
  const come = without(after, before).map((line) => `+ ${line}`);
  if (gone.length + come.length > 0) return [...gone, ...come];
  return JSON.stringify(before) === JSON.stringify(after) ? [] : ['in another order:', ...after.map((line, index) => `${index + 1}. ${line}`)];
}

function without(lines: readonly string[], others: readonly string[]): string[] {
  const left = [...others];
  return lines.filter((line) => {
    const at = left.indexOf(line);
    if (at >= 0) left.splice(at, 1);
    return at < 0;
  });
}

function destinationLines({ cluster, change, fields, endpoints, proxies, patchedBy }: DestinationPlan): string[] {
  const counts =
    endpoints === null
      ? ''
      : `: ${[endpoints.added > 0 ? `${endpoints.added} endpoints come` : '', endpoints.removed > 0 ? `${endpoints.removed} go` : ''].filter(Boolean).join(', ') || 'endpoints change'}`;
  const shown = fields.slice(0, MAX_FIELDS).map(({ field, before, after }) => `  ${field}: ${before ?? 'not set'} -> ${after ?? 'not set'}`);
  return [
    `destination ${cluster} ${endpoints === null ? change : 'stays'}${counts}, for ${some(proxies)}${by(patchedBy)}`,
    ...shown,
    ...(fields.length > MAX_FIELDS ? [`  and ${fields.length - MAX_FIELDS} more fields`] : []),
  ];
}

function policyLine({ listener, change, because, proxies }: PolicyPlan): string {
  return `listener ${listener} of ${some(proxies)} ${change}${by(because)}`;
}

function by(names: readonly string[]): string {
  return names.length === 0 ? '' : ` by ${names.join(', ')}`;
}

export function accessLine({ caller, target, change, request, requests, because }: AccessChange): string {
  const more = requests > 1 ? ` and ${requests - 1} more kinds of request` : '';
  return `${caller} ${change} access to ${target}: ${request}${more} (${change === 'gains' ? 'before: ' : ''}${because})`;
}

function proxyLines(plan: Plan): string[] {
  const { proxies, allProxies, xdsBytes, newProxies, goneProxies } = plan;
  const head = `proxies: ${proxies.length} of ${allProxies} touched, ${bytesText(xdsBytes)} of xDS`;
  const rows = proxies.slice(0, MAX_LISTED_PROXIES).map(({ proxy, bytes, ...rest }) => [`  ${proxy}`, bytesText(bytes), typesText(rest)]);
  return [
    head,
    ...(rows.length === 0 ? [] : table(['  PROXY', 'XDS', 'CHANGES'], rows).split('\n')),
    ...proxies.flatMap(({ proxy, changes }) =>
      changes.flatMap(({ type, name, refusal }) => (refusal === undefined ? [] : [`  ${proxy} would refuse ${type} ${name}: ${refusal}`])),
    ),
    ...(proxies.length > MAX_LISTED_PROXIES ? [`  and ${proxies.length - MAX_LISTED_PROXIES} more`] : []),
    ...(newProxies.length === 0 ? [] : [`  new: ${some(newProxies)}`]),
    ...(goneProxies.length === 0 ? [] : [`  gone: ${some(goneProxies)}`]),
  ];
}

export function typesText({ changes }: Pick<ProxyPlan, 'changes'>): string {
  const counts = new Map<string, number>();
  for (const { type, change } of changes) counts.set(`${type} ${change}`, (counts.get(`${type} ${change}`) ?? 0) + 1);
  return [...counts].map(([what, count]) => `${count} ${what}`).join(', ');
}

export function replayLines(report: ReplayReport): string[] {
  const { seen, sampled, changedPercent, groups, unjudged } = report;
  if (seen === 0) return ['no request was seen', ...unjudgedLines(unjudged)];
  return [
    `${percentText(changedPercent)} of ${seen} requests would have fared otherwise (judged by ${sampled} of them)`,
    ...groups
      .slice(0, MAX_GROUPS)
      .flatMap((group) => [
        `${percentText(group.percent)} (${group.requests}) ${group.direction === 'inbound' ? 'at' : 'from'} ${group.workload} to ${group.host}`,
        `  - ${group.before}`,
        `  + ${group.after}`,
        ...group.examples.map((example) => `    ${example}`),
      ]),
    ...(groups.length > MAX_GROUPS ? [`and ${groups.length - MAX_GROUPS} more groups`] : []),
    ...unjudgedLines(unjudged),
  ];
}

function unjudgedLines(unjudged: ReplayReport['unjudged']): string[] {
  return Object.entries(unjudged).map(([why, count]) => `not sure of ${count}: ${why}`);
}

export function bytesText(bytes: number): string {
  return bytes < 10_000 ? `${bytes} B` : `${(bytes / 1000).toFixed(bytes < 100_000 ? 1 : 0)} kB`;
}

export function some(all: readonly string[]): string {
  return all.length <= MAX_PROXIES ? all.join(', ') : `${all.slice(0, MAX_PROXIES).join(', ')} and ${all.length - MAX_PROXIES} more`;
}
