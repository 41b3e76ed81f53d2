import type { Resource } from '../resource.ts';
import type { DestinationRuleSpec } from './destination-rule.ts';
import type { GatewaySpec } from './gateway.ts';
import type { AuthorizationPolicySpec, PeerAuthenticationSpec } from './security.ts';
import type { VirtualServiceSpec } from './virtual-service.ts';
import type { ServiceEntrySpec, SidecarSpec, WorkloadEntrySpec, WorkloadGroupSpec } from './workloads.ts';

/** The kinds that this version acts on, and the shape of their specs. */
export interface SpecByKind {
  VirtualService: VirtualServiceSpec;
  DestinationRule: DestinationRuleSpec;
  ServiceEntry: ServiceEntrySpec;
  WorkloadEntry: WorkloadEntrySpec;
  WorkloadGroup: WorkloadGroupSpec;
  Sidecar: SidecarSpec;
  Gateway: GatewaySpec;
  PeerAuthentication: PeerAuthenticationSpec;
  AuthorizationPolicy: AuthorizationPolicySpec;
}

export type KindInEffect = keyof SpecByKind;

/** API group of each kind in effect; also the closed list of them. */
export const groupOfKind: Readonly<Record<KindInEffect, string>> = {
  VirtualService: 'networking.istio.io',
  DestinationRule: 'networking.istio.io',
  ServiceEntry: 'networking.istio.io',
  WorkloadEntry: 'networking.istio.io',
  WorkloadGroup: 'networking.istio.io',
  Sidecar: 'networking.istio.io',
  Gateway: 'networking.istio.io',
  PeerAuthentication: 'security.istio.io',
  AuthorizationPolicy: 'security.istio.io',
};

/** Whether a resource is of that kind, in any version: `isKind(resource, 'VirtualService')` types its spec. */
export function isKind<K extends KindInEffect>(resource: Resource, kind: K): resource is Resource<SpecByKind[K]> {
  return resource.kind === kind && resource.apiVersion.startsWith(`${groupOfKind[kind]}/`);
}

/** The resources of one kind, typed. */
export function ofKind<K extends KindInEffect>(resources: readonly Resource[], kind: K): readonly Resource<SpecByKind[K]>[] {
  return resources.filter((resource): resource is Resource<SpecByKind[K]> => isKind(resource, kind));
}
