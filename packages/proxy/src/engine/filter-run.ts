import { ResponseFlag } from '@outrigger/telemetry';
import { denialDetails } from '../filters/rbac/rbac.ts';
import type { HeaderList } from '../http/message.ts';
import { grpcToHttpStatus } from '../resilience/outlier-detection.ts';
import type { RouteEntry } from '../routing/route-entry.ts';
import type { StreamRecord } from './stream-record.ts';

/** What the HTTP filters make of a request: go on, refuse it (signed), answer it, or go on after a while. */
export type FilterVerdict =
  | { readonly kind: 'pass' }
  | { readonly kind: 'refuse'; readonly status: number; readonly body: string; readonly details: string; readonly flag: number }
  | { readonly kind: 'answer'; readonly status: number; readonly headers: HeaderList; readonly details: string }
  | { readonly kind: 'delay'; readonly delayMs: number };

const PASS: FilterVerdict = { kind: 'pass' };
export const NO_ROUTE: FilterVerdict = { kind: 'refuse', status: 404, body: '', details: 'route_not_found', flag: ResponseFlag.noRouteFound };

/** In the order RBAC, CORS, header mutation, fault; policies hold also where no route does, as in Envoy. `random` is the stream's. */
export function runFilters(stream: StreamRecord, random: number): FilterVerdict {
  const { filters } = stream.manager.config;
  const { route, head } = stream;
  for (let i = 0; i < filters.rbac.length; i++) {
    const rbac = filters.rbac[i]!;
    if (route?.fields.filters.disabled.has(rbac.name)) continue;
    const verdict = (route?.fields.filters.rbac.get(rbac.name) ?? rbac.filter).decide(stream.connection.info, head);
    if (!verdict.allowed) return { kind: 'refuse', status: 403, body: 'RBAC: access denied', details: denialDetails(verdict), flag: 0 };
  }
  if (route === null) return NO_ROUTE;
  const { cors, disabled, requestMutations } = route.fields.filters;
  if (filters.cors !== '' && !disabled.has(filters.cors)) {
    const verdict = cors.decide(head, random);
    if (verdict === 'preflight' || verdict === 'preflight-refused')
      return { kind: 'answer', status: 200, headers: verdict === 'preflight' ? cors.preflightHeaders(head) : [], details: 'cors_response' };
  }
  if (filters.mutations !== null && !disabled.has(filters.mutations.name)) {
    filters.mutations.request.apply(head.headers, stream);
    if (!requestMutations.empty) requestMutations.apply(head.headers, stream);
  }
  return filters.fault === null || disabled.has(filters.fault.name) ? PASS : injectFault(stream, route, random);
}

/** Asked again after its delay, which is given once. */
export function injectFault(stream: StreamRecord, route: RouteEntry, random: number): FilterVerdict {
  const fault = route.fields.filters.fault.enabled ? route.fields.filters.fault : stream.manager.config.filters.fault!.policy;
  const { head } = stream;
  const cluster = route.kind === 'forward' ? route.pickCluster(head, random).clusterName(head) : '';
  if (!fault.appliesTo(head, cluster)) return PASS;
  const dice = stream.manager.runtime.random;
  const delayMs = (stream.responseFlags & ResponseFlag.delayInjected) !== 0 ? 0 : fault.delayMs(head, dice.uint32());
  if (delayMs > 0) return { kind: 'delay', delayMs };
  if (!fault.aborts(head, dice.uint32())) return PASS;
  const status = fault.abortStatus(head);
  return {
    kind: 'refuse',
    status: status === 0 ? grpcToHttpStatus(fault.abortGrpcStatus(head)) : status,
    body: 'fault filter abort',
    details: 'fault_filter_abort',
    flag: ResponseFlag.faultInjected,
  };
}

/** CONNECT only where it is said; other upgrades pass unless it is said that they do not, as if no proxy were there. */
export function allowsUpgrade(stream: StreamRecord, route: RouteEntry): boolean {
  const token = stream.head.method === 'CONNECT' ? 'connect' : stream.head.protocol;
  return route.fields.upgrades.get(token) ?? stream.manager.config.upgrades.get(token) ?? token !== 'connect';
}
