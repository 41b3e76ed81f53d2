/** What exists at run time, in one normal form for every registry (files, API, agents, Kubernetes). */

/** A service port's protocol, as Istio's port naming and `appProtocol` give it. UNSUPPORTED: not declared, to be sniffed. */
export type Protocol = 'HTTP' | 'HTTP2' | 'GRPC' | 'GRPC-WEB' | 'HTTPS' | 'TLS' | 'TCP' | 'MONGO' | 'MYSQL' | 'REDIS' | 'UDP' | 'UNSUPPORTED';

export interface ServicePort {
  /** "http", "grpc-api". */
  readonly name: string;
  /** What callers name. */
  readonly port: number;
  readonly protocol: Protocol;
}

/** How endpoints are found: ServiceEntry.resolution; STATIC also for services with instances of the registry. */
export type Resolution = 'STATIC' | 'DNS' | 'DNS_ROUND_ROBIN' | 'NONE' | 'DYNAMIC_DNS';

export interface Service {
  /** Full name: "order-service.default.svc.cluster.local", or a ServiceEntry's host ("*.example.com" too). */
  readonly hostname: string;
  /** Short name in its namespace ("order-service"), or the hostname where there is none. */
  readonly name: string;
  readonly namespace: string;
  readonly ports: readonly ServicePort[];
  /** Virtual addresses, empty where there is none. */
  readonly addresses: readonly string[];
  readonly resolution: Resolution;
  readonly location: 'MESH_INTERNAL' | 'MESH_EXTERNAL';
  /** "." this namespace, "*" all, or namespace names; empty: as the mesh's settings say. */
  readonly exportTo: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  /** Its name stands for the addresses of its instances (Kubernetes' clusterIP None). */
  readonly headless?: boolean;
  /** Kubernetes' own: no ServiceEntry of the same host comes before it. */
  readonly kubernetes?: boolean;
  /** Its endpoints are the SRV records of names, which the control plane resolves. */
  readonly bySrv?: boolean;
  /** The host that it is another name of (Kubernetes' ExternalName). */
  readonly aliasOf?: string;
  /** Identities that its endpoints may show; SPIFFE ids. Empty: those of its instances. */
  readonly subjectAltNames: readonly string[];
  readonly creationTimestamp: string;
}

export type Health = 'HEALTHY' | 'UNHEALTHY' | 'DRAINING';

/** One running copy of a workload. */
export interface Instance {
  /** Unique: "default/order-service-v1-1". */
  readonly id: string;
  readonly namespace: string;
  /** Workload name, what metrics call `source_workload`: "order-service-v1". */
  readonly workload: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly serviceAccount: string;
  readonly trustDomain: string;
  /** IP address, host name (DNS resolutions) or "unix:///path", where the mesh reaches it. */
  readonly address: string;
  /** Region/zone/subzone; '' where unknown. */
  readonly locality: string;
  /** 0: the default, 1. */
  readonly weight: number;
  /** Absent, 0: it is called first; the others, in their order, where those before them fail. */
  readonly priority?: number;
  readonly network: string;
  /** Whether a sidecar takes mesh mTLS there. */
  readonly meshed: boolean;
  readonly health: Health;
  readonly ports: readonly InstancePort[];
  /** Hostnames of the services that it belongs to. */
  readonly services: readonly string[];
}

export interface InstancePort {
  /** Name of the service port that it serves. */
  readonly name: string;
  readonly servicePort: number;
  readonly protocol: Protocol;
  /** Where `address` takes it: the sidecar's inbound port when meshed, else the application's. */
  readonly meshPort: number;
  /** Where the application itself listens (loopback). */
  readonly applicationPort: number;
}
