import {
  type ApiGatewaySpec,
  type AuthorizationPolicySpec,
  BUILT_IN_GATEWAY_CLASS,
  GATEWAY_API,
  GATEWAY_CONTROLLER,
  GATEWAY_NAME_LABEL,
  type GatewaySpec,
  type Instance,
  isKind,
  matchesLabels,
  type ParentReference,
  type PeerAuthenticationSpec,
  type Resource,
  refOf,
  refText,
  type VirtualServiceSpec,
} from '@outrigger/resources';
import { destinationsOf } from './analyzers/destinations.ts';
import type { Context } from './context.ts';

/** The reason for which a resource of a kind in effect does nothing, or a part of it does not; the first that is found. */
export function reasonWithoutEffect(resource: Resource, context: Context): string | undefined {
  if (isKind(resource, 'VirtualService')) return virtualServiceReason(resource, context);
  if (isKind(resource, 'DestinationRule')) return unknownHost(context, resource.spec.host, resource.metadata.namespace);
  if (isKind(resource, 'WorkloadEntry')) {
    const { namespace, name } = resource.metadata;
    const known = context.instances.some(
      (instance) => instance.namespace === namespace && instance.id.startsWith(`${namespace}/${name}`) && instance.services.length > 0,
    );
    return known ? undefined : `no ServiceEntry of namespace ${namespace} selects its labels`;
  }
  if (isKind(resource, 'Gateway')) return unselectedGateway(context, resource);
  if (isKind(resource, 'ApiGateway')) return unservedGateway(context, resource);
  if (isKind(resource, 'GatewayClass') && resource.spec.controllerName !== GATEWAY_CONTROLLER)
    return `it is of the controller ${resource.spec.controllerName}; ours is ${GATEWAY_CONTROLLER}`;
  for (const kind of ['HTTPRoute', 'GRPCRoute', 'TLSRoute', 'TCPRoute'] as const)
    if (isKind(resource, kind)) return unattached(resource.spec.parentRefs, kind === 'HTTPRoute' || kind === 'GRPCRoute');
  if (isKind(resource, 'Sidecar')) return unselected(context, resource, resource.spec.workloadSelector?.labels);
  if (isKind(resource, 'PeerAuthentication')) return unselected(context, resource, resource.spec.selector?.matchLabels) ?? olderForNamespace(context, resource);
  if (isKind(resource, 'AuthorizationPolicy')) return authorizationReason(context, resource);
  return undefined;
}

function virtualServiceReason(resource: Resource<VirtualServiceSpec>, context: Context): string | undefined {
  const { metadata, spec } = resource;
  const gateways = spec.gateways ?? [];
  const hosts = spec.hosts ?? [];
  if (hosts.length === 0) return 'it has no hosts: it is a delegate, and does something only where another VirtualService delegates to it';
  if (gateways.length > 0 && !gateways.includes('mesh')) {
    const absent = gateways.filter((name) => context.gatewayOf(name, metadata.namespace).gateway === undefined);
    if (absent.length === gateways.length) return `there is no Gateway ${absent.join(', ')} to which it is bound`;
  } else {
    const unknown = hosts.map((host) => unknownHost(context, host, metadata.namespace));
    if (unknown.every((reason) => reason !== undefined)) return unknown[0];
  }
  for (const { destination, path } of destinationsOf(spec)) {
    const reason =
      unknownHost(context, destination.host, metadata.namespace) ?? unknownSubset(context, destination.host, destination.subset ?? '', metadata.namespace);
    // The rest of it holds all the same, as in Istio: it is this destination that does nothing good.
    if (reason !== undefined) return `${reason} (${path}); until it is there, what is sent to it is answered 503`;
  }
  return undefined;
}

function unknownHost(context: Context, host: string, namespace: string): string | undefined {
  const full = context.fullHost(host, namespace);
  // A wildcard holds for whatever service comes; what it covers now may be nothing.
  if (full.includes('*') || context.serviceFor(full, [namespace]) !== undefined) return undefined;
  return `host ${host} is no service that namespace ${namespace} can see`;
}

function unknownSubset(context: Context, host: string, subset: string, namespace: string): string | undefined {
  if (subset === '') return undefined;
  const full = context.fullHost(host, namespace);
  const rules = context.ofKind('DestinationRule').filter((rule) => context.fullHost(rule.spec.host, rule.metadata.namespace) === full);
  if (rules.some((rule) => rule.spec.subsets?.some(({ name }) => name === subset))) return undefined;
  return rules.length === 0
    ? `subset ${subset}: no DestinationRule is for host ${host}`
    : `subset ${subset} is not in ${rules.map((rule) => refText(refOf(rule))).join(', ')}`;
}

function unselected(context: Context, resource: Resource, labels: Readonly<Record<string, string>> | undefined): string | undefined {
  if (labels === undefined || Object.keys(labels).length === 0) return undefined;
  const { namespace } = resource.metadata;
  // In the root namespace a policy holds for the workloads of every namespace; a Sidecar's selector too.
  const everywhere = namespace === context.rootNamespace;
  const selected = context.instances.some((instance) => (everywhere || instance.namespace === namespace) && matchesLabels(labels, instance.labels));
  const text = Object.entries(labels).map(([key, value]) => `${key}: ${value}`);
  return selected ? undefined : `no workload of ${everywhere ? 'any namespace' : `namespace ${namespace}`} has the labels ${text.join(', ')}`;
}

/** A Gateway of Gateway API is served by the gateway of its name, or by one whose label names it. */
function unservedGateway(context: Context, { metadata, spec }: Resource<ApiGatewaySpec>): string | undefined {
  const { gatewayClassName: name } = spec;
  const written = context.ofKind('GatewayClass').find((one) => one.metadata.name === name);
  if (written === undefined ? name !== BUILT_IN_GATEWAY_CLASS : written.spec.controllerName !== GATEWAY_CONTROLLER)
    return written === undefined
      ? `there is no GatewayClass ${name}: make one with the controllerName ${GATEWAY_CONTROLLER}, or name the class ${BUILT_IN_GATEWAY_CLASS}, which is there without one`
      : `its class ${name} is of the controller ${written.spec.controllerName}`;
  // By which address of its own it is found is the proxy's to say.
  if ((spec.addresses ?? []).length > 0) return undefined;
  const serves = ({ namespace, labels, workload }: Instance): boolean => {
    const named = labels[GATEWAY_NAME_LABEL];
    const version = labels['version'] ?? '';
    const service = version === '' ? workload : workload.slice(0, -version.length - 1);
    return namespace === metadata.namespace && (named === undefined ? service : named) === metadata.name;
  };
  return context.instances.some(serves)
    ? undefined
    : `no gateway serves it: \`rig gateway --name ${metadata.name} --namespace ${metadata.namespace}\` starts one`;
}

function unattached(parents: readonly ParentReference[] | undefined, ofServices: boolean): string | undefined {
  const toGateway = (parents ?? []).some(
    ({ kind = 'Gateway', group = GATEWAY_API }) => (kind === 'Gateway' || kind === 'ListenerSet') && group === GATEWAY_API,
  );
  const toService = ofServices && (parents ?? []).some(({ kind, group = '' }) => kind === 'Service' && group === '');
  return toGateway || toService ? undefined : `none of its parents is a Gateway${ofServices ? ' or a Service' : ''}`;
}

/** A Gateway's selector holds in every namespace. */
function unselectedGateway(context: Context, { spec }: Resource<GatewaySpec>): string | undefined {
  const labels = spec.selector ?? {};
  if (context.instances.some((instance) => matchesLabels(labels, instance.labels))) return undefined;
  const text = Object.entries(labels).map(([key, value]) => `${key}: ${value}`);
  return text.length === 0
    ? 'no gateway runs'
    : `no gateway runs with the labels ${text.join(', ')}: \`rig gateway --name NAME --label ${text[0]!.replace(': ', '=')}\` starts one`;
}

/** Of several PeerAuthentications for one whole namespace the oldest holds. */
function olderForNamespace(context: Context, resource: Resource<PeerAuthenticationSpec>): string | undefined {
  if (Object.keys(resource.spec.selector?.matchLabels ?? {}).length > 0) return undefined;
  const rivals = context
    .ofKind('PeerAuthentication')
    .filter(({ metadata, spec }) => metadata.namespace === resource.metadata.namespace && Object.keys(spec.selector?.matchLabels ?? {}).length === 0);
  const [oldest] = rivals.toSorted(
    (left, right) => compare(left.metadata.creationTimestamp, right.metadata.creationTimestamp) || compare(left.metadata.name, right.metadata.name),
  );
  return oldest === undefined || oldest.metadata.name === resource.metadata.name
    ? undefined
    : `${refText(refOf(oldest))}, which is older, holds for the namespace`;
}

function authorizationReason(context: Context, resource: Resource<AuthorizationPolicySpec>): string | undefined {
  const { action } = resource.spec;
  if (action === 'AUDIT') return 'action AUDIT is not in effect in this version';
  const targets = [...(resource.spec.targetRef === undefined ? [] : [resource.spec.targetRef]), ...(resource.spec.targetRefs ?? [])];
  if (targets.length > 0) {
    const ofGateways = targets.some(({ group, kind }) => group === GATEWAY_API && (kind === 'Gateway' || kind === 'GatewayClass'));
    return ofGateways ? undefined : 'policies bound by targetRef are in effect for Gateways and their classes alone in this version';
  }
  return unselected(context, resource, resource.spec.selector?.matchLabels);
}

function compare(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}
