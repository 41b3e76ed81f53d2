import type { Resource } from '../resource.ts';
import type { DestinationRuleSpec } from './destination-rule.ts';
import type { EnvoyFilterSpec } from './envoy-filter.ts';
import type { GatewaySpec } from './gateway.ts';
import type {
  ApiGatewaySpec,
  BackendTlsPolicySpec,
  ConnectionApiRouteSpec,
  GatewayClassSpec,
  GrpcApiRouteSpec,
  HttpApiRouteSpec,
  ListenerSetSpec,
  ReferenceGrantSpec,
} from './gateway-api.ts';
import { OUTRIGGER_API, type RolloutSpec } from './rollout.ts';
import type { AuthorizationPolicySpec, PeerAuthenticationSpec } from './security.ts';
import type { TelemetrySpec } from './telemetry.ts';
import type { VirtualServiceSpec } from './virtual-service.ts';
import type { ServiceEntrySpec, SidecarSpec, WorkloadEntrySpec, WorkloadGroupSpec } from './workloads.ts';

/** The kinds that this version acts on, and the shape of their specs; `ApiGateway` for the second that is called Gateway. */
export interface SpecByKind {
  VirtualService: VirtualServiceSpec;
  DestinationRule: DestinationRuleSpec;
  ServiceEntry: ServiceEntrySpec;
  WorkloadEntry: WorkloadEntrySpec;
  WorkloadGroup: WorkloadGroupSpec;
  Sidecar: SidecarSpec;
  Gateway: GatewaySpec;
  EnvoyFilter: EnvoyFilterSpec;
  Telemetry: TelemetrySpec;
  PeerAuthentication: PeerAuthenticationSpec;
  AuthorizationPolicy: AuthorizationPolicySpec;
  GatewayClass: GatewayClassSpec;
  /** Gateway API's Gateway. */
  ApiGateway: ApiGatewaySpec;
  HTTPRoute: HttpApiRouteSpec;
  GRPCRoute: GrpcApiRouteSpec;
  TLSRoute: ConnectionApiRouteSpec;
  TCPRoute: ConnectionApiRouteSpec;
  ListenerSet: ListenerSetSpec;
  ReferenceGrant: ReferenceGrantSpec;
  BackendTLSPolicy: BackendTlsPolicySpec;
  Rollout: RolloutSpec;
}

export type KindInEffect = keyof SpecByKind;

export const GATEWAY_API = 'gateway.networking.k8s.io';

/** API group of each kind in effect; also the closed list of them. */
export const groupOfKind: Readonly<Record<KindInEffect, string>> = {
  VirtualService: 'networking.istio.io',
  DestinationRule: 'networking.istio.io',
  ServiceEntry: 'networking.istio.io',
  WorkloadEntry: 'networking.istio.io',
  WorkloadGroup: 'networking.istio.io',
  Sidecar: 'networking.istio.io',
  Gateway: 'networking.istio.io',
  EnvoyFilter: 'networking.istio.io',
  Telemetry: 'telemetry.istio.io',
  PeerAuthentication: 'security.istio.io',
  AuthorizationPolicy: 'security.istio.io',
  GatewayClass: GATEWAY_API,
  ApiGateway: GATEWAY_API,
  HTTPRoute: GATEWAY_API,
  GRPCRoute: GATEWAY_API,
  TLSRoute: GATEWAY_API,
  TCPRoute: GATEWAY_API,
  ListenerSet: GATEWAY_API,
  ReferenceGrant: GATEWAY_API,
  BackendTLSPolicy: GATEWAY_API,
  Rollout: OUTRIGGER_API,
};

function nameOf(kind: KindInEffect): string {
  return kind === 'ApiGateway' ? 'Gateway' : kind;
}

/** The kind in effect that a group's kind is; undefined: this version does not act on it. */
export function kindInEffect(group: string, name: string): KindInEffect | undefined {
  return (Object.keys(groupOfKind) as KindInEffect[]).find((kind) => nameOf(kind) === name && groupOfKind[kind] === group);
}

/** Whether a resource is of that kind, in any version: `isKind(resource, 'VirtualService')` types its spec. */
export function isKind<K extends KindInEffect>(resource: Resource, kind: K): resource is Resource<SpecByKind[K]> {
  return resource.kind === nameOf(kind) && resource.apiVersion.startsWith(`${groupOfKind[kind]}/`);
}

/** The resources of one kind, typed. */
export function ofKind<K extends KindInEffect>(resources: readonly Resource[], kind: K): readonly Resource<SpecByKind[K]>[] {
  return resources.filter((resource): resource is Resource<SpecByKind[K]> => isKind(resource, kind));
}
