import { type BackendReference, type BackendTlsPolicySpec, GATEWAY_API, GATEWAY_CONTROLLER, type Resource, refOf, refText } from '@outrigger/resources';
import type { Reader } from '../../reader.ts';
import { Visibility } from '../../visibility.ts';
import { type ApiRouteSpec, parentsOf, ROUTES } from './attachment.ts';
import { backendAuthorities } from './backend-authorities.ts';
import { type Condition, condition } from './condition.ts';
import { bySeniority } from './order.ts';

type Policy = Resource<BackendTlsPolicySpec>;

export interface AncestorStatus {
  readonly ancestorRef: { readonly group: string; readonly kind: string; readonly namespace: string; readonly name: string };
  readonly controllerName: string;
  readonly conditions: readonly Condition[];
}

const GATEWAYS_OF = Symbol('gateways by the services that they send to');
/** The specification's. */
const MAX_ANCESTORS = 16;

/** What has become of a BackendTLSPolicy at each Gateway of ours that sends to a Service that it names. */
export function backendTlsAncestors(reader: Reader, policy: Policy): readonly AncestorStatus[] {
  const { namespace } = policy.metadata;
  const services = policy.spec.targetRefs.filter(({ group, kind }) => group === '' && kind === 'Service').map(({ name }) => `${namespace}/${name}`);
  const gateways = new Map(services.flatMap((service) => [...(gatewaysOf(reader).get(service) ?? [])]));
  const conditions = [accepted(reader, policy, services), resolved(policy)];
  return [...gateways.values()]
    .sort(bySeniority)
    .slice(0, MAX_ANCESTORS)
    .map(({ metadata }) => ({
      ancestorRef: { group: GATEWAY_API, kind: 'Gateway', namespace: metadata.namespace, name: metadata.name },
      controllerName: GATEWAY_CONTROLLER,
      conditions,
    }));
}

function accepted(reader: Reader, policy: Policy, services: readonly string[]): Condition {
  const { system, names, bad } = backendAuthorities(policy);
  if (!system && names.length === 0) return condition('Accepted', false, bad[0]?.reason === 'Invalid' ? 'Invalid' : 'NoValidCACertificate', bad[0]?.message);
  const visibility = new Visibility(reader);
  const there = services.some((service) => {
    const [namespace, name] = service.split('/');
    return visibility.service(`${name}.${namespace}.svc.${reader.settings.domainSuffix}`) !== undefined;
  });
  if (!there) return condition('Accepted', false, 'TargetNotFound', 'none of the Services that it names is there');
  const older = olderOf(reader, policy);
  return older === undefined
    ? condition('Accepted', true, 'Accepted')
    : condition('Accepted', false, 'Conflicted', `${refText(refOf(older))} is older and has the same target`);
}

/** One that has all its targets; a policy that keeps one of its own is in force there. */
function olderOf(reader: Reader, policy: Policy): Policy | undefined {
  const before = reader
    .gatewayApi<BackendTlsPolicySpec>('BackendTLSPolicy')
    .filter((other) => other.metadata.namespace === policy.metadata.namespace && bySeniority(other, policy) < 0);
  const takers = policy.spec.targetRefs.map((target) =>
    before.find(({ spec }) =>
      spec.targetRefs.some(
        ({ group, kind, name, sectionName = '' }) =>
          group === target.group && kind === target.kind && name === target.name && sectionName === (target.sectionName ?? ''),
      ),
    ),
  );
  return takers.includes(undefined) ? undefined : takers[0];
}

function resolved(policy: Policy): Condition {
  const [bad] = backendAuthorities(policy).bad.filter(({ reason }) => reason === 'InvalidKind');
  return bad === undefined ? condition('ResolvedRefs', true, 'ResolvedRefs') : condition('ResolvedRefs', false, bad.reason, bad.message);
}

/** Gateways by name, by "NAMESPACE/NAME" of a Service to which a route sends that is attached to them. */
function gatewaysOf(reader: Reader): ReadonlyMap<string, ReadonlyMap<string, Resource>> {
  return reader.once(GATEWAYS_OF, () => {
    const found = new Map<string, Map<string, Resource>>();
    for (const route of ROUTES.flatMap((kind) => reader.gatewayApi<RouteSpec>(kind))) {
      const attached = parentsOf(reader, route).filter(({ reason }) => reason === 'Accepted');
      for (const { gateway } of attached) {
        const owner: Resource = gateway.of ?? gateway;
        for (const { group = '', kind = 'Service', name, namespace = route.metadata.namespace } of backendsOf(route)) {
          if (group !== '' || kind !== 'Service') continue;
          const service = `${namespace}/${name}`;
          const known = found.get(service) ?? new Map<string, Resource>();
          found.set(service, known.set(refText(refOf(owner)), owner));
        }
      }
    }
    return found;
  });
}

type RouteSpec = ApiRouteSpec & { readonly rules?: readonly { readonly backendRefs?: readonly BackendReference[] }[] };

function backendsOf({ spec }: Resource<RouteSpec>): readonly BackendReference[] {
  return (spec.rules ?? []).flatMap(({ backendRefs = [] }) => backendRefs);
}
