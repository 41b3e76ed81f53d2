import {
  type ApiGatewaySpec,
  type ApiListener,
  type BackendReference,
  GATEWAY_API,
  GATEWAY_CONTROLLER,
  type GatewayClassSpec,
  isKind,
  type ListenerSetSpec,
  type ParentReference,
  type Resource,
} from '@outrigger/resources';
import type { Mesh } from '../../mesh.ts';
import { bareNode } from '../../node.ts';
import { Reader } from '../../reader.ts';
import { Visibility } from '../../visibility.ts';
import { type ApiRouteSpec, isSame, parentsOf, ROUTES } from './attachment.ts';
import { type Condition, condition } from './condition.ts';
import { type ApiGateway, isOurs, kindsRefused, kindsTaken, listenersOf } from './gateways.ts';
import { isService, serviceHost } from './parent-services.ts';
import { type AncestorStatus, backendTlsAncestors } from './policy-status.ts';
import { backendOf } from './references.ts';
import { clientAuthorities, tlsOf } from './servers.ts';

export interface ListenerStatus {
  readonly name: string;
  readonly attachedRoutes: number;
  readonly supportedKinds: readonly { readonly group: string; readonly kind: string }[];
  readonly conditions: readonly Condition[];
}

export interface ParentStatus {
  readonly parentRef: ParentReference;
  readonly controllerName: string;
  readonly conditions: readonly Condition[];
}

/** The `status` of a resource of Gateway API. */
export interface ApiStatus {
  readonly conditions?: readonly Condition[];
  readonly listeners?: readonly ListenerStatus[];
  readonly parents?: readonly ParentStatus[];
  readonly ancestors?: readonly AncestorStatus[];
}

/** Whether what was translated of a resource is in force on the gateways that have it; '' it is, else why not. */
export type Programmed = { readonly reason: 'Programmed' | 'Pending' | 'Invalid'; readonly message: string };

/** The statuses of a mesh's resources. undefined: a kind without a status, or of another controller's. */
export function apiStatuses(mesh: Mesh): (resource: Resource, programmed: Programmed) => ApiStatus | undefined {
  /** By namespace: who sees what a gateway there sees. */
  const readers = new Map<string, Reader>();
  return (resource, programmed) => {
    const { namespace } = resource.metadata;
    let reader = readers.get(namespace);
    if (reader === undefined) {
      reader = new Reader(mesh, bareNode(namespace, '', { gateway: { address: '0.0.0.0', portMap: {}, portOffset: 0 } }));
      readers.set(namespace, reader);
    }
    return statusOf(reader, resource, programmed);
  };
}

function statusOf(reader: Reader, resource: Resource, programmed: Programmed): ApiStatus | undefined {
  if (isKind(resource, 'GatewayClass')) return classStatus(resource);
  if (isKind(resource, 'ApiGateway')) return isOurs(reader, resource.spec.gatewayClassName) ? gatewayStatus(reader, resource, programmed) : undefined;
  if (isKind(resource, 'ListenerSet')) return listenerSetStatus(reader, resource, programmed);
  if (isKind(resource, 'BackendTLSPolicy')) return { ancestors: backendTlsAncestors(reader, resource) };
  for (const kind of ROUTES) if (isKind(resource, kind)) return routeStatus(reader, resource as Resource<ApiRouteSpec>);
  return undefined;
}

/** Conditions that do not hold (or, of conflicts, do), as sentences. */
export function conditionNotes({ conditions = [], listeners = [], parents = [], ancestors = [] }: ApiStatus): readonly string[] {
  const bad = ({ type, status }: Condition): boolean => (type === 'Conflicted' ? status === 'True' : status === 'False' && type !== 'Programmed');
  const text = (where: string, list: readonly Condition[]): string[] =>
    list.filter(bad).map(({ type, status, reason, message }) => `${where}${type} is ${status} (${reason})${message === '' ? '' : `: ${message}`}`);
  return [
    ...text('', conditions),
    ...listeners.flatMap((listener) => text(`listener ${listener.name}: `, listener.conditions)),
    ...parents.flatMap((parent) => text(`parent ${parent.parentRef.name}: `, parent.conditions)),
    ...ancestors.flatMap((ancestor) => text(`ancestor ${ancestor.ancestorRef.name}: `, ancestor.conditions)),
  ];
}

function classStatus({ spec }: Resource<GatewayClassSpec>): ApiStatus | undefined {
  return spec.controllerName === GATEWAY_CONTROLLER ? { conditions: [condition('Accepted', true, 'Accepted')] } : undefined;
}

function gatewayStatus(reader: Reader, gateway: ApiGateway, programmed: Programmed): ApiStatus {
  const listeners = (gateway.spec.listeners ?? []).map((listener) => listenerStatus(reader, gateway, listener, programmed));
  const valid = listeners.filter((listener) => listener.valid);
  const all = valid.length === listeners.length;
  return {
    conditions: [
      condition(
        'Accepted',
        valid.length > 0,
        all ? 'Accepted' : 'ListenersNotValid',
        all ? '' : `${listeners.length - valid.length} of ${listeners.length} listeners cannot be served`,
      ),
      condition('Programmed', programmed.reason === 'Programmed' && valid.length > 0, valid.length > 0 ? programmed.reason : 'Invalid', programmed.message),
    ],
    listeners: listeners.map(({ status }) => status),
  };
}

function listenerSetStatus(reader: Reader, set: Resource<ListenerSetSpec>, programmed: Programmed): ApiStatus | undefined {
  const { name, namespace = set.metadata.namespace } = set.spec.parentRef;
  const parent = reader.gatewayApi<ApiGatewaySpec>('Gateway').find(({ metadata }) => metadata.name === name && metadata.namespace === namespace);
  if (parent === undefined || !isOurs(reader, parent.spec.gatewayClassName)) return undefined;
  const gateway = listenersOf(reader, set, [parent]);
  if (gateway !== undefined) return gatewayStatus(reader, gateway, programmed);
  const message = `Gateway ${namespace}/${name} allows no listeners from namespace ${set.metadata.namespace}`;
  return { conditions: [condition('Accepted', false, 'NotAllowed', message), condition('Programmed', false, 'NotAllowed', message)] };
}

/** `valid`: all of it can be served. */
function listenerStatus(
  reader: Reader,
  gateway: ApiGateway,
  listener: ApiListener,
  programmed: Programmed,
): { readonly status: ListenerStatus; readonly valid: boolean } {
  const kinds = kindsTaken(listener);
  const supported = ['HTTP', 'HTTPS', 'TLS', 'TCP'].includes(listener.protocol);
  const conflict = conflictOf(gateway, listener);
  const refused = kindsRefused(listener);
  const tls = supported && (listener.protocol === 'HTTPS' || listener.protocol === 'TLS') ? tlsOf(reader, gateway, listener) : undefined;
  const vouching = clientAuthorities(reader, gateway, listener);
  const withoutAuthority = vouching.names.length === 0 ? vouching.bad[0] : undefined;
  const bad =
    tls !== undefined && 'reason' in tls
      ? tls
      : (vouching.bad[0] ?? (refused.length > 0 ? { reason: 'InvalidRouteKinds', message: `it does not take ${refused.join(', ')}` } : undefined));
  const served = supported && conflict === undefined && (tls === undefined || !('reason' in tls));
  const status: ListenerStatus = {
    name: listener.name,
    attachedRoutes: served ? attachedRoutes(reader, gateway, listener) : 0,
    supportedKinds: kinds.map((kind) => ({ group: GATEWAY_API, kind })),
    conditions: [
      acceptedListener(listener, supported, conflict, withoutAuthority),
      condition('Programmed', served && programmed.reason === 'Programmed', served ? programmed.reason : 'Invalid', served ? programmed.message : ''),
      bad === undefined ? condition('ResolvedRefs', true, 'ResolvedRefs') : condition('ResolvedRefs', false, bad.reason, bad.message),
      conflict === undefined ? condition('Conflicted', false, 'NoConflicts') : condition('Conflicted', true, conflict.reason, conflict.message),
    ],
  };
  return { status, valid: served && refused.length === 0 };
}

function acceptedListener(
  { protocol }: ApiListener,
  supported: boolean,
  conflict: { readonly message: string } | undefined,
  withoutAuthority: { readonly message: string } | undefined,
): Condition {
  if (!supported) return condition('Accepted', false, 'UnsupportedProtocol', `a gateway does not serve ${protocol}`);
  if (conflict !== undefined) return condition('Accepted', false, 'PortUnavailable', conflict.message);
  if (withoutAuthority !== undefined) return condition('Accepted', false, 'NoValidCACertificate', withoutAuthority.message);
  return condition('Accepted', true, 'Accepted');
}

/** The first of two that cannot share a port has it. */
function conflictOf({ spec, of }: ApiGateway, listener: ApiListener): { readonly reason: string; readonly message: string } | undefined {
  const family = ({ protocol }: ApiListener): string => (protocol === 'HTTPS' ? 'TLS' : protocol);
  const listeners = [...(of?.spec.listeners ?? []), ...(spec.listeners ?? [])];
  for (const earlier of listeners.slice(0, listeners.indexOf(listener))) {
    if (earlier.port !== listener.port) continue;
    const where = `listener ${earlier.name} has port ${earlier.port}`;
    if (family(earlier) !== family(listener)) return { reason: 'ProtocolConflict', message: `${where} for ${earlier.protocol}` };
    if (family(listener) === 'TCP' || (earlier.hostname ?? '') === (listener.hostname ?? ''))
      return { reason: 'HostnameConflict', message: `${where} for ${listener.hostname ?? 'every host'}` };
  }
  return undefined;
}

function attachedRoutes(reader: Reader, gateway: ApiGateway, listener: ApiListener): number {
  const routes = ROUTES.flatMap((kind) => reader.gatewayApi<ApiRouteSpec>(kind));
  return routes.filter((route) =>
    parentsOf(reader, route).some((parent) => isSame(parent.gateway, gateway) && parent.attached.some((attached) => attached.listener === listener)),
  ).length;
}

const notAccepted: Readonly<Record<string, string>> = {
  NoMatchingParent: 'there is no such Service, or no such listener of the Gateway, that takes routes of this kind',
  NotAllowedByListeners: 'no listener allows routes of this kind from this namespace',
  NoMatchingListenerHostname: 'no listener has a host name in common with it',
  HostnameConflict: 'an older route of the other kind, HTTPRoute or GRPCRoute, has a host name of it at every listener',
};

function routeStatus(reader: Reader, route: Resource<ApiRouteSpec>): ApiStatus {
  const resolved = resolvedRefs(reader, route);
  const services = (route.spec.parentRefs ?? []).filter(isService).map((parent) => {
    const there =
      takesServices(route) && new Visibility(reader).service(serviceHost(parent, route.metadata.namespace, reader.settings.domainSuffix)) !== undefined;
    return { parent, reason: there ? 'Accepted' : 'NoMatchingParent' };
  });
  return {
    parents: [...parentsOf(reader, route), ...services].map(({ parent, reason }) => ({
      parentRef: parent,
      controllerName: GATEWAY_CONTROLLER,
      conditions: [condition('Accepted', reason === 'Accepted', reason, notAccepted[reason] ?? ''), resolved],
    })),
  };
}

/** By sidecars only requests are routed so. */
function takesServices({ kind }: Resource): boolean {
  return kind === 'HTTPRoute' || kind === 'GRPCRoute';
}

function resolvedRefs(reader: Reader, route: Resource<ApiRouteSpec>): Condition {
  const visibility = new Visibility(reader);
  const { rules = [] } = route.spec as {
    readonly rules?: readonly {
      readonly backendRefs?: readonly BackendReference[];
      readonly filters?: readonly { readonly requestMirror?: { readonly backendRef: BackendReference } }[];
    }[];
  };
  const references = rules.flatMap(({ backendRefs = [], filters = [] }) => [
    ...backendRefs,
    ...filters.flatMap(({ requestMirror }) => (requestMirror === undefined ? [] : [requestMirror.backendRef])),
  ]);
  for (const reference of references) {
    const backend = backendOf(reader, visibility, route, reference);
    if ('reason' in backend) return condition('ResolvedRefs', false, backend.reason, backend.message);
  }
  return condition('ResolvedRefs', true, 'ResolvedRefs');
}
