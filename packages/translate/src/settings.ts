/** ALLOW_ANY_DYNAMIC_DNS: captured requests go to what their Host header resolves to, not to the address that was dialled. */
export type OutboundPolicy = 'ALLOW_ANY' | 'REGISTRY_ONLY' | 'ALLOW_ANY_DYNAMIC_DNS';

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
}

export const defaultSettings: MeshSettings = {
  trustDomain: 'cluster.local',
  trustDomainAliases: [],
  rootNamespace: 'istio-system',
  domainSuffix: 'cluster.local',
  outboundPolicy: 'ALLOW_ANY',
  namespaceLabels: {},
};
