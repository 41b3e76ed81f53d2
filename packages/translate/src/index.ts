export { VIRTUAL_INBOUND } from './capture/inbound.ts';
export { VIRTUAL_OUTBOUND } from './capture/outbound.ts';
export { parseCaptureListener } from './capture/places.ts';
export {
  BLACK_HOLE_CLUSTER,
  DYNAMIC_DNS_CLUSTER,
  HTTP_TUNNEL,
  INBOUND_PASSTHROUGH_CLUSTER,
  inboundCluster,
  outboundCluster,
  PASSTHROUGH_CLUSTER,
  parseOutboundCluster,
} from './cluster-name.ts';
export type { Condition } from './gateways/api/condition.ts';
export { type ApiStatus, apiStatuses, conditionNotes, type Programmed } from './gateways/api/status.ts';
export { credentialNames, parseSecretName, type SecretName } from './gateways/secret-names.ts';
export { type GrpcBootstrapOptions, grpcBootstrap } from './grpc-bootstrap.ts';
export { coveringHosts, meantHosts, parseAuthority } from './hosts.ts';
export { type Key, keys } from './keys.ts';
export {
  type AuthorizationPolicy,
  buildMesh,
  changeMesh,
  type DestinationRule,
  type Mesh,
  type MeshChange,
  type MeshInput,
  type MeshUpdate,
  type PeerAuthentication,
  type RefusedFilter,
  refusalKey,
  refusalsOf,
  type Sidecar,
  type VirtualService,
} from './mesh.ts';
export { settingsOf } from './mesh-config.ts';
export { networksOf } from './networks.ts';
export {
  bareNode,
  type Capture,
  type DataPlane,
  type GatewayBinding,
  type HostPort,
  hostPortText,
  type InboundPort,
  NodeError,
  nodeMetadata,
  type ProxyNode,
  parseNode,
  type UpstreamPort,
} from './node.ts';
export { INVALID_BACKEND } from './routes/destination.ts';
export { defaultSettings, type MeshSettings, type OutboundPolicy } from './settings.ts';
export { isSameIn, SharedByNode } from './shared-by-node.ts';
export type { NodeField } from './traced-node.ts';
export {
  cluster,
  clusterNames,
  endpoints,
  listener,
  listenerNames,
  routeConfiguration,
  sidecarOf,
  type TranslatedMessage,
  translate,
  virtualHost,
} from './translate.ts';
export type { Note, Place, Translated, TranslatedNames } from './translated.ts';
export { upstreamProblems } from './upstream.ts';
