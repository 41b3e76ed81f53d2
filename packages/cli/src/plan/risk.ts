import type { Message } from '@outrigger/analysis';
import type { AccessChange } from './access.ts';
import type { ProxyPlan, ServicePlan } from './changes.ts';
import type { ReplayReport } from './replay.ts';
import { leavesSome } from './virtual-hosts.ts';

export const RISKS = ['none', 'low', 'medium', 'high'] as const;
export type Risk = (typeof RISKS)[number];

export interface Reason {
  readonly risk: Risk;
  /** In words. */
  readonly reason: string;
}

/** Above this share of the requests that were seen a change of fate is of high risk. */
const REPLAY_HIGH_PERCENT = 1;
/** From so many proxies on, and this share of all, a change is a wide one. */
const WIDE_PROXIES = 10;
const WIDE_SHARE = 0.5;

export interface Judged {
  readonly resources: number;
  readonly services: readonly ServicePlan[];
  readonly proxies: readonly ProxyPlan[];
  readonly allProxies: number;
  readonly access: readonly AccessChange[];
  readonly newMessages: readonly Message[];
  readonly replay: ReplayReport | undefined;
}

/**
 * The rules by which a plan is judged, the gravest first; docs/changes.md has them for people.
 * High: somebody loses access, a route or a listener goes, requests have no route, a route leads nowhere, a new error, or real requests would have fared otherwise.
 * Medium: requests go elsewhere or are treated otherwise, somebody gains access, a new warning, half of a large mesh is touched.
 */
export function reasonsOf(judged: Judged): Reason[] {
  const { services, access, proxies, newMessages, replay } = judged;
  const found: Reason[] = [];
  const add = (risk: Risk, count: number, reason: (count: number) => string): void => {
    if (count > 0) found.push({ risk, reason: reason(count) });
  };
  const refused = proxies.filter(({ changes }) => changes.some(({ refusal }) => refusal !== undefined));
  add('high', refused.length, (count) => `${names(refused.map(({ proxy }) => proxy))} would refuse what ${plural(count, 'it is', 'they are')} sent`);
  const loses = access.filter(({ change }) => change === 'loses');
  add('high', loses.length, () => `${callers(loses)} ${plural(callersIn(loses), 'loses', 'lose')} access to ${targets(loses)}`);
  const routes = services.flatMap((service) => service.routes);
  const nowhere = routes.filter(({ before, after }) => after.some(leadsNowhere) && !before.some(leadsNowhere));
  add('high', nowhere.length, () => `a route of ${hosts(nowhere)} would lead nowhere`);
  const left = routes.filter((route) => !nowhere.includes(route) && route.change === 'changed' && !leavesSome(route.before) && leavesSome(route.after));
  add('high', left.length, () => `some requests to ${hosts(left)} have no route any more (404)`);
  const gone = routes.filter(({ change, before, after }) => change === 'removed' || (after.length === 0 && before.length > 0));
  add('high', gone.length, () => `${hosts(gone)} ${plural(gone.length, 'has', 'have')} no routes any more`);
  const shut = services.flatMap(({ policies }) => policies).filter(({ change }) => change === 'removed');
  add('high', shut.length, (count) => `${count} ${plural(count, 'listener is', 'listeners are')} taken away: ${names(shut.map(({ listener }) => listener))}`);
  const errors = newMessages.filter(({ level }) => level === 'Error');
  add('high', errors.length, (count) => `${count} new ${plural(count, 'error', 'errors')} of analysis: ${names(errors.map(({ code }) => code))}`);
  if (replay !== undefined && replay.seen > 0) {
    const percent = replay.changedPercent;
    if (percent > 0)
      found.push({
        risk: percent > REPLAY_HIGH_PERCENT ? 'high' : 'medium',
        reason: `${percentText(percent)} of ${replay.seen} requests that were seen would have fared otherwise`,
      });
  }
  const moved = routes.filter((route) => route.change === 'changed' && !nowhere.includes(route) && !left.includes(route) && !gone.includes(route));
  add('medium', moved.length, () => `requests to ${hosts(moved)} are routed otherwise`);
  const gains = access.filter(({ change }) => change === 'gains');
  add('medium', gains.length, () => `${callers(gains)} ${plural(callersIn(gains), 'gains', 'gain')} access to ${targets(gains)}`);
  const treated = services.filter(({ destinations }) => destinations.some(({ change, fields }) => change === 'removed' || fields.length > 0));
  add('medium', treated.length, () => `connections to ${names(treated.map(({ service }) => service))} are made or judged otherwise`);
  const changedListeners = (inbound: boolean): readonly ServicePlan[] =>
    services.filter(({ policies }) => policies.some((policy) => policy.change === 'changed' && policy.inbound === inbound));
  const carried = changedListeners(false);
  add('medium', carried.length, () => `what ${names(carried.map(({ service }) => service))} takes is carried on otherwise`);
  const guarded = changedListeners(true);
  add('medium', guarded.length, () => `what is let in at ${names(guarded.map(({ service }) => service))} is decided otherwise`);
  const warnings = newMessages.filter(({ level }) => level === 'Warning');
  add('medium', warnings.length, (count) => `${count} new ${plural(count, 'warning', 'warnings')} of analysis: ${names(warnings.map(({ code }) => code))}`);
  if (proxies.length >= WIDE_PROXIES && proxies.length >= judged.allProxies * WIDE_SHARE)
    found.push({ risk: 'medium', reason: `${proxies.length} of ${judged.allProxies} proxies are touched` });
  if (found.length === 0 && proxies.length > 0)
    found.push({
      risk: 'low',
      reason: `${proxies.length} ${plural(proxies.length, 'proxy gets', 'proxies get')} something new, and nothing that is there is treated otherwise`,
    });
  if (found.length === 0 && judged.resources > 0)
    found.push({ risk: 'low', reason: `${judged.resources} ${plural(judged.resources, 'resource is', 'resources are')} another, and no proxy is touched` });
  return found;
}

export function riskOf(reasons: readonly Reason[]): Risk {
  return RISKS[Math.max(0, ...reasons.map(({ risk }) => RISKS.indexOf(risk)))]!;
}

/** Of a line of `routeLines`. */
function leadsNowhere(line: string): boolean {
  return /-> (answers (404|500|503)|invalid-backend|BlackHoleCluster)\b/i.test(line);
}

export function percentText(percent: number): string {
  return percent > 0 && percent < 0.1 ? 'less than 0.1 %' : `${Number(percent.toFixed(1))} %`;
}

const MAX_NAMES = 3;

function names(all: readonly string[]): string {
  const unique = [...new Set(all)];
  return unique.length <= MAX_NAMES ? unique.join(', ') : `${unique.slice(0, MAX_NAMES).join(', ')} and ${unique.length - MAX_NAMES} more`;
}

function hosts(routes: readonly { readonly host: string }[]): string {
  return names(routes.map(({ host }) => host));
}

function callers(access: readonly AccessChange[]): string {
  return names(access.map(({ caller }) => caller));
}

function callersIn(access: readonly AccessChange[]): number {
  return new Set(access.map(({ caller }) => caller)).size;
}

function targets(access: readonly AccessChange[]): string {
  return names(access.map(({ target }) => target));
}

function plural(count: number, one: string, several: string): string {
  return count === 1 ? one : several;
}
