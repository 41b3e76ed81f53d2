/**
 * What a produced resource depends upon, as a text: "service:HOST", "instances:HOST", "identities:HOST", "vs:HOST",
 * "dr:HOST", "address:IP", "authz:NAMESPACE", "peerauthn:NAMESPACE", "sidecar:NAMESPACE", "envoyfilter:NAMESPACE", "telemetry:NAMESPACE", "bound:NAMESPACE/GATEWAY", "delegate:NAMESPACE/NAME", "routes:HOST", "gateway-api:KIND", or one of the
 * sets "services", "virtualservices", "destinationrules", "gateways". "settings" is among nothing's keys: with it everything is translated again.
 */
export type Key = string;

export const keys = {
  service: (hostname: string): Key => `service:${hostname}`,
  /** Which services have a virtual address. */
  address: (address: string): Key => `address:${address}`,
  instances: (hostname: string): Key => `instances:${hostname}`,
  /** Who the instances of a host are (labels, SPIFFE id, meshed or not), not where and how well. */
  identities: (hostname: string): Key => `identities:${hostname}`,
  virtualServices: (host: string): Key => `vs:${host}`,
  destinationRules: (host: string): Key => `dr:${host}`,
  authorization: (namespace: string): Key => `authz:${namespace}`,
  peerAuthentication: (namespace: string): Key => `peerauthn:${namespace}`,
  sidecar: (namespace: string): Key => `sidecar:${namespace}`,
  envoyFilters: (namespace: string): Key => `envoyfilter:${namespace}`,
  telemetry: (namespace: string): Key => `telemetry:${namespace}`,
  /** VirtualServices that are bound to a gateway: "NAMESPACE/NAME". */
  boundVirtualServices: (gateway: string): Key => `bound:${gateway}`,
  /** A VirtualService without hosts, "NAMESPACE/NAME". */
  delegate: (name: string): Key => `delegate:${name}`,
  gateways: 'gateways' as Key,
  /** Routes of Gateway API that a service is the parent of. */
  serviceRoutes: (hostname: string): Key => `routes:${hostname}`,
  /** Resources of a kind of Gateway API. */
  gatewayApi: (kind: string): Key => `gateway-api:${kind}`,
  /** Any service: for what lists them all. */
  allServices: 'services' as Key,
  allVirtualServices: 'virtualservices' as Key,
  allDestinationRules: 'destinationrules' as Key,
  settings: 'settings' as Key,
} as const;
