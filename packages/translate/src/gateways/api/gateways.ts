import {
  type ApiGatewaySpec,
  type ApiListener,
  BUILT_IN_GATEWAY_CLASS,
  GATEWAY_API,
  GATEWAY_CONTROLLER,
  GATEWAY_NAME_LABEL,
  type GatewayClassSpec,
  type ListenerSetSpec,
  type Resource,
  selects,
} from '@outrigger/resources';
import type { ProxyNode } from '../../node.ts';
import type { Reader } from '../../reader.ts';
import { bySeniority } from './order.ts';

/** A Gateway, or a ListenerSet with the Gateway (`of`) that it adds listeners to. */
export type ApiGateway = Resource<ApiGatewaySpec> & { readonly of?: Resource<ApiGatewaySpec> };

const OUR_GATEWAYS = Symbol('our gateways');

/** Off Kubernetes a namespace has the one label that each has there. */
const NAMESPACE_NAME_LABEL = 'kubernetes.io/metadata.name';

/** Whether a class is ours, and so its gateways. */
export function isOurs(reader: Reader, className: string): boolean {
  const written = reader.gatewayApi<GatewayClassSpec>('GatewayClass').find(({ metadata }) => metadata.name === className);
  return written === undefined ? className === BUILT_IN_GATEWAY_CLASS : written.spec.controllerName === GATEWAY_CONTROLLER;
}

/** Gateways first: of two that want one port the Gateway's own listener has it. */
export function ourGateways(reader: Reader): readonly ApiGateway[] {
  return reader.once(OUR_GATEWAYS, () => {
    const gateways = reader.gatewayApi<ApiGatewaySpec>('Gateway').filter(({ spec }) => isOurs(reader, spec.gatewayClassName));
    const sets = [...reader.gatewayApi<ListenerSetSpec>('ListenerSet')].sort(bySeniority);
    return [...gateways, ...sets.flatMap((set) => listenersOf(reader, set, gateways) ?? [])];
  });
}

/** undefined: of no Gateway of ours, or of one that does not allow it. */
export function listenersOf(reader: Reader, set: Resource<ListenerSetSpec>, gateways: readonly Resource<ApiGatewaySpec>[]): ApiGateway | undefined {
  const { parentRef, listeners = [] } = set.spec;
  const namespace = parentRef.namespace ?? set.metadata.namespace;
  const of = gateways.find(({ metadata }) => metadata.name === parentRef.name && metadata.namespace === namespace);
  if (of === undefined || (parentRef.kind ?? 'Gateway') !== 'Gateway' || (parentRef.group ?? GATEWAY_API) !== GATEWAY_API) return undefined;
  const { from = 'None', selector } = of.spec.allowedListeners?.namespaces ?? {};
  const own = set.metadata.namespace;
  const allowed =
    from === 'All' || (from === 'Same' && own === namespace) || (from === 'Selector' && selector !== undefined && selects(selector, labelsOf(reader, own)));
  return allowed ? { ...set, spec: { ...of.spec, listeners }, of } : undefined;
}

function labelsOf(reader: Reader, namespace: string): Readonly<Record<string, string>> {
  return { ...reader.settings.namespaceLabels[namespace], [NAMESPACE_NAME_LABEL]: namespace };
}

/** Those that a workload serves: of its namespace, and of its name, or as its label or their address says. */
export function servesGateway(node: Pick<ProxyNode, 'namespace' | 'service' | 'labels'>, gateway: ApiGateway, domainSuffix: string): boolean {
  const { metadata, spec } = gateway.of ?? gateway;
  if (metadata.namespace !== node.namespace) return false;
  const label = node.labels[GATEWAY_NAME_LABEL];
  if (label !== undefined) return label === metadata.name;
  const addresses = (spec.addresses ?? []).filter(({ type }) => type === 'Hostname').map(({ value = '' }) => value);
  return addresses.length > 0 ? addresses.includes(`${node.service}.${node.namespace}.svc.${domainSuffix}`) : node.service === metadata.name;
}

const routeKinds: Readonly<Record<string, readonly string[]>> = {
  HTTP: ['HTTPRoute', 'GRPCRoute'],
  HTTPS: ['HTTPRoute', 'GRPCRoute'],
  TLS: ['TLSRoute', 'TCPRoute'],
  TCP: ['TCPRoute'],
};

/** Kinds of routes that a listener takes: those of its protocol, as far as it allows them. */
export function kindsTaken({ protocol, tls, allowedRoutes }: ApiListener): readonly string[] {
  const able = protocol === 'TLS' && tls?.mode === 'Passthrough' ? ['TLSRoute'] : (routeKinds[protocol] ?? []);
  const allowed = allowedRoutes?.kinds ?? [];
  return allowed.length === 0 ? able : able.filter((kind) => allowed.some((one) => one.kind === kind && (one.group ?? GATEWAY_API) === GATEWAY_API));
}

/** Kinds that a listener names and that it cannot take. */
export function kindsRefused(listener: ApiListener): readonly string[] {
  const taken = kindsTaken(listener);
  return (listener.allowedRoutes?.kinds ?? [])
    .filter(({ kind, group }) => !taken.includes(kind) || (group ?? GATEWAY_API) !== GATEWAY_API)
    .map(({ kind }) => kind);
}

/** Whether a listener allows routes of a namespace. */
export function allowsNamespace(reader: Reader, { metadata }: ApiGateway, { allowedRoutes }: ApiListener, namespace: string): boolean {
  const { from = 'Same', selector } = allowedRoutes?.namespaces ?? {};
  if (from === 'All') return true;
  return from === 'Same' ? namespace === metadata.namespace : selector !== undefined && selects(selector, labelsOf(reader, namespace));
}
