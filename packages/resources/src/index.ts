export { annotationsOf, type KubernetesDocument, labelsOf, namespaceOf, podOf } from './document.ts';
export { durationMs } from './duration.ts';
export { EntrySelectors, LabelledWorkloads } from './entry-selectors.ts';
export { isExportedTo } from './export-to.ts';
export { gatewayName, MESH_GATEWAY } from './gateway-name.ts';
export { covers, fullHost, hostsOverlap, isPartialWildcard } from './hosts.ts';
export { type InstanceOptions, instancesOf, instancesOfEntry, instancesOfWorkload, type WorkloadSelection, workloadSelectionsOf } from './instances.ts';
export { field, isJsonObject, type Json, type JsonObject, list, stringMap, text } from './json.ts';
export { kindsNamed } from './kind-names.ts';
export type {
  ConnectionPoolSettings,
  ConsistentHash,
  DestinationRuleSpec,
  LoadBalancerSettings,
  LocalityLoadBalancerSetting,
  OutlierDetection,
  PortTrafficPolicy,
  SimpleLoadBalancer,
  Subset,
  TrafficPolicy,
} from './kinds/destination-rule.ts';
export type { EnvoyFilterMatch, EnvoyFilterSpec } from './kinds/envoy-filter.ts';
export type { GatewayServerSpec, GatewaySpec } from './kinds/gateway.ts';
export type {
  ApiGatewaySpec,
  ApiListener,
  ApiRouteFilter,
  BackendReference,
  BackendTlsPolicySpec,
  ConnectionApiRouteSpec,
  FrontendValidation,
  GatewayClassSpec,
  GrpcApiRouteSpec,
  HeaderModifier,
  HttpApiMatch,
  HttpApiRouteSpec,
  HttpApiRule,
  ListenerSetSpec,
  NamedMatch,
  NamespaceSelector,
  ObjectReference,
  ParentReference,
  PathModifier,
  ReferenceGrantSpec,
} from './kinds/gateway-api.ts';
export { BUILT_IN_GATEWAY_CLASS, GATEWAY_CONTROLLER, GATEWAY_NAME_LABEL } from './kinds/gateway-api.ts';
export { GATEWAY_API, groupOfKind, isKind, type KindInEffect, kindInEffect, ofKind, type SpecByKind } from './kinds/known.ts';
export { OUTRIGGER_API, parseRequirement, type Requirement, type RolloutSpec } from './kinds/rollout.ts';
export type {
  AuthorizationAction,
  AuthorizationCondition,
  AuthorizationOperation,
  AuthorizationPolicySpec,
  AuthorizationRule,
  AuthorizationSource,
  MutualTls,
  MutualTlsMode,
  PeerAuthenticationSpec,
} from './kinds/security.ts';
export type { ClientTlsSettings, DurationText, LabelSelector, Percent, PolicyTargetReference, StringMatch, TlsMode, WorkloadSelector } from './kinds/shared.ts';
export type { TelemetrySpec, TelemetryTag } from './kinds/telemetry.ts';
export type {
  CorsPolicy,
  Destination,
  HeaderOperations,
  Headers,
  HttpDirectResponse,
  HttpFaultInjection,
  HttpMatchRequest,
  HttpRedirect,
  HttpRetry,
  HttpRewrite,
  HttpRoute,
  HttpRouteDestination,
  L4MatchAttributes,
  RouteDestination,
  TcpRoute,
  TlsMatchAttributes,
  TlsRoute,
  VirtualServiceSpec,
} from './kinds/virtual-service.ts';
export type {
  IstioEgressListener,
  IstioIngressListener,
  OutboundTrafficPolicy,
  ReadinessProbe,
  ServerTlsSettings,
  ServiceEntryPort,
  ServiceEntrySpec,
  SidecarPort,
  SidecarSpec,
  TlsProtocol,
  WorkloadEntrySpec,
  WorkloadGroupSpec,
} from './kinds/workloads.ts';
export { type KubernetesService, kubernetesServices } from './kubernetes-services.ts';
export { LabelIndex, type LabelsIn, SelectorIndex } from './label-index.ts';
export { matchesLabels, selects } from './labels.ts';
export type { Health, Instance, InstancePort, Protocol, Resolution, Service, ServicePort } from './mesh.ts';
export { type MeshConfigEffect, meshConfigFields } from './mesh-config/fields.ts';
export { meshNetworksProblems } from './mesh-config/networks.ts';
export { type FoundSettings, meshConfigIn, meshConfigProblems, meshConfigWithoutEffect, meshNetworksIn } from './mesh-config/read.ts';
export { type ParseResult, parseDocuments, parseSettings, type SettingsDocument, type SourceFile } from './parse.ts';
export { type Problem, type ProblemCode, problemText } from './problem.ts';
export { protocolOf } from './protocol.ts';
export { type ReadOptions, type ReadResult, readResources } from './read.ts';
export { type Kind, kindOf, kinds, loadSchema } from './registry.ts';
export { groupOf, type Metadata, type Origin, type Resource, type ResourceRef, refKey, refOf, refText } from './resource.ts';
export { manifestOf, resourceFrom } from './restore.ts';
export type { FieldError, FieldErrorType } from './schema/field-error.ts';
export type { Schema } from './schema/structural.ts';
export { servicesOf } from './services.ts';
export { type ResolvedSrv, SRV_ANNOTATION, type SrvEndpoint, srvNamesOf } from './srv-names.ts';
export { editFields, type FieldEdit } from './syntax/edit.ts';
export { createValidator, type Validated, type ValidateOptions, type Validator } from './validator.ts';
