import type { HttpRetry, LocalityLoadBalancerSetting } from '@outrigger/resources';
import type { Network } from './networks.ts';

/** ALLOW_ANY_DYNAMIC_DNS: captured requests go to what their Host header resolves to, not to the address that was dialled. */
export type OutboundPolicy = 'ALLOW_ANY' | 'REGISTRY_ONLY' | 'ALLOW_ANY_DYNAMIC_DNS';

export type PathNormalization = 'NONE' | 'BASE' | 'MERGE_SLASHES' | 'DECODE_AND_MERGE_SLASHES';

/** What holds for the whole mesh; Istio's MeshConfig as far as it is in effect. */
export interface MeshSettings {
  /** "cluster.local" */
  readonly trustDomain: string;
  /** Other names of the same trust domain: their identities are accepted, and stand for ours in policies. */
  readonly trustDomainAliases: readonly string[];
  /** Where mesh-wide policies live. */
  readonly rootNamespace: string;
  /** "cluster.local": the short name "a" in namespace n is a.n.svc.cluster.local. */
  readonly domainSuffix: string;
  /** What happens with hosts that are no service of the mesh. A Sidecar overrides it. */
  readonly outboundPolicy: OutboundPolicy;
  /** Labels of namespaces, where there are namespaces that have some: Kubernetes'. */
  readonly namespaceLabels: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Of resources that say nothing of whom they are exported to. Empty: everybody. */
  readonly serviceExportTo: readonly string[];
  readonly virtualServiceExportTo: readonly string[];
  readonly destinationRuleExportTo: readonly string[];
  readonly connectTimeoutMs: number;
  readonly tcpKeepalive: { readonly probes?: number; readonly timeMs?: number; readonly intervalMs?: number } | undefined;
  readonly localityLbSetting: LocalityLoadBalancerSetting | undefined;
  /** Of routes that say nothing of retries; undefined: those that this mesh has by itself. */
  readonly defaultRetries: HttpRetry | undefined;
  /** HTTP/1.1 goes to services over HTTP/2. */
  readonly upgradesToHttp2: boolean;
  /** Mesh mTLS to whom takes it, though no DestinationRule says so. */
  readonly autoMtls: boolean;
  readonly minMeshTls: 'TLSv1_2' | 'TLSv1_3';
  readonly pathNormalization: PathNormalization;
  /** How often names are resolved whose records have no TTL; undefined: the proxy's own default. */
  readonly dnsRefreshMs: number | undefined;
  /** Of proxies that name no access log of their own. `format` undefined: JSON with Istio's keys. */
  readonly accessLog: { readonly file: string; readonly format: string | Readonly<Record<string, string>> | undefined } | undefined;
  /** Whether proxies that have a collector trace, where no Telemetry says how much. */
  readonly tracing: boolean;
  /** Empty: everybody reaches everybody. */
  readonly networks: readonly Network[];
}

export const defaultSettings: MeshSettings = {
  trustDomain: 'cluster.local',
  trustDomainAliases: [],
  rootNamespace: 'istio-system',
  domainSuffix: 'cluster.local',
  outboundPolicy: 'ALLOW_ANY',
  namespaceLabels: {},
  serviceExportTo: [],
  virtualServiceExportTo: [],
  destinationRuleExportTo: [],
  connectTimeoutMs: 1_000,
  tcpKeepalive: undefined,
  localityLbSetting: undefined,
  defaultRetries: undefined,
  upgradesToHttp2: false,
  autoMtls: true,
  minMeshTls: 'TLSv1_2',
  pathNormalization: 'BASE',
  dnsRefreshMs: undefined,
  accessLog: undefined,
  tracing: true,
  networks: [],
};
