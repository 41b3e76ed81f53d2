import { type ApiListener, covers, GATEWAY_API, hostsOverlap, type ParentReference, type Resource, refKey, refOf } from '@outrigger/resources';
import type { Reader } from '../../reader.ts';
import { type ApiGateway, allowsNamespace, kindsTaken, ourGateways } from './gateways.ts';
import { bySeniority } from './order.ts';

export interface ApiRouteSpec {
  readonly parentRefs?: readonly ParentReference[];
  readonly hostnames?: readonly string[];
}
export type ApiRoute = Resource<ApiRouteSpec>;

/** A listener that a route is attached to, and for which names. */
export interface Attached {
  readonly listener: ApiListener;
  /** '*' for any. */
  readonly hostnames: readonly string[];
}

/** What became of one parent that a route names; the reasons are the specification's. */
export interface ParentResult {
  readonly parent: ParentReference;
  readonly gateway: ApiGateway;
  readonly attached: readonly Attached[];
  readonly reason: 'Accepted' | 'NoMatchingParent' | 'NotAllowedByListeners' | 'NoMatchingListenerHostname' | 'HostnameConflict';
}

export const ROUTES = ['HTTPRoute', 'GRPCRoute', 'TLSRoute', 'TCPRoute'] as const;

/** Kinds of which one alone may have a host name at a listener. */
const REQUEST_ROUTES = ['HTTPRoute', 'GRPCRoute'] as const;

const PARENTS = Symbol('parents');
const ORDERED = Symbol('routes by seniority');

/** Names that both take: the narrower of two where one covers the other. No names: any. */
export function sharedHostnames(listener: string | undefined, route: readonly string[] | undefined): readonly string[] {
  const own = (listener ?? '*').toLowerCase() || '*';
  if (route === undefined || route.length === 0) return [own];
  return route.map((name) => name.toLowerCase()).flatMap((name) => (covers(own, name) ? [name] : covers(name, own) ? [own] : []));
}

/** The gateways of ours that a route names, and its listeners of them. */
export function parentsOf(reader: Reader, route: ApiRoute): readonly ParentResult[] {
  // Each listener asks it of every route.
  const known = reader.once(PARENTS, () => new Map<ApiRoute, readonly ParentResult[]>());
  const found = known.get(route);
  if (found !== undefined) return found;
  if (REQUEST_ROUTES.some((kind) => kind === route.kind)) {
    for (const [one, parents] of withoutConflicts(reader)) known.set(one, parents);
    const parents = known.get(route);
    if (parents !== undefined) return parents;
  }
  const parents = foundParents(reader, route);
  known.set(route, parents);
  return parents;
}

/** Of an HTTPRoute and a GRPCRoute with a host name in common the older one has the listener. */
function* withoutConflicts(reader: Reader): Generator<readonly [ApiRoute, readonly ParentResult[]]> {
  const [http, grpc] = REQUEST_ROUTES.map((kind) => reader.gatewayApi<ApiRouteSpec>(kind));
  if (http!.length === 0 || grpc!.length === 0) {
    for (const route of [...http!, ...grpc!]) yield [route, foundParents(reader, route)];
    return;
  }
  const taken = new Map<ApiListener, { readonly kind: string; readonly hostname: string }[]>();
  for (const route of [...http!, ...grpc!].sort(bySeniority)) {
    const parents = foundParents(reader, route).map((parent) => {
      const attached = parent.attached.filter(({ listener, hostnames }) => {
        const others = (taken.get(listener) ?? []).filter(({ kind }) => kind !== route.kind);
        return !hostnames.some((name) => others.some(({ hostname }) => hostsOverlap(hostname, name)));
      });
      return attached.length > 0 || parent.attached.length === 0 ? { ...parent, attached } : { ...parent, attached, reason: 'HostnameConflict' as const };
    });
    for (const { attached } of parents)
      for (const { listener, hostnames } of attached) {
        const list = taken.get(listener) ?? [];
        for (const hostname of hostnames) list.push({ kind: route.kind, hostname });
        taken.set(listener, list);
      }
    yield [route, parents];
  }
}

function foundParents(reader: Reader, route: ApiRoute): readonly ParentResult[] {
  const gateways = ourGateways(reader);
  return (route.spec.parentRefs ?? []).flatMap((parent): ParentResult[] => {
    const { kind = 'Gateway', group = GATEWAY_API } = parent;
    if (group !== GATEWAY_API) return [];
    const namespace = parent.namespace ?? route.metadata.namespace;
    const gateway = gateways.find((one) => one.kind === kind && one.metadata.name === parent.name && one.metadata.namespace === namespace);
    return gateway === undefined ? [] : [attach(reader, route, parent, gateway)];
  });
}

function attach(reader: Reader, route: ApiRoute, parent: ParentReference, gateway: ApiGateway): ParentResult {
  const result = (reason: ParentResult['reason'], attached: readonly Attached[] = []): ParentResult => ({ parent, gateway, attached, reason });
  const named = (gateway.spec.listeners ?? []).filter(
    ({ name, port }) => (parent.sectionName === undefined || parent.sectionName === name) && (parent.port === undefined || parent.port === port),
  );
  if (named.length === 0) return result('NoMatchingParent');
  const allowed = named.filter((listener) => kindsTaken(listener).includes(route.kind) && allowsNamespace(reader, gateway, listener, route.metadata.namespace));
  if (allowed.length === 0) return result('NotAllowedByListeners');
  const attached = allowed
    .map((listener) => ({ listener, hostnames: sharedHostnames(listener.hostname, route.spec.hostnames) }))
    .filter(({ hostnames }) => hostnames.length > 0);
  return attached.length === 0 ? result('NoMatchingListenerHostname') : result('Accepted', attached);
}

/** Routes of a kind that are attached to a listener, oldest first. */
export function attachedTo<Spec extends ApiRouteSpec>(
  reader: Reader,
  kind: string,
  gateway: ApiGateway,
  listener: ApiListener,
): readonly { readonly route: Resource<Spec>; readonly hostnames: readonly string[] }[] {
  const ordered = reader.once(ORDERED, () => new Map<string, readonly ApiRoute[]>());
  const routes = ordered.get(kind) ?? [...reader.gatewayApi<ApiRouteSpec>(kind)].sort(bySeniority);
  ordered.set(kind, routes);
  return (routes as readonly Resource<Spec>[]).flatMap((route) => {
    const hostnames = parentsOf(reader, route)
      .filter((parent) => isSame(parent.gateway, gateway))
      .flatMap(({ attached }) => attached.filter((one) => one.listener === listener).flatMap((one) => one.hostnames));
    return hostnames.length === 0 ? [] : [{ route, hostnames: [...new Set(hostnames)] }];
  });
}

export function isSame(one: Resource, other: Resource): boolean {
  return refKey(refOf(one)) === refKey(refOf(other));
}
