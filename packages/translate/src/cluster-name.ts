/** "outbound|PORT|SUBSET|HOST", Istio's name. */
export interface OutboundName {
  readonly port: number;
  /** '' for the whole service. */
  readonly subset: string;
  readonly host: string;
}

export function outboundCluster(port: number, subset: string, host: string): string {
  return `outbound|${port}|${subset}|${host}`;
}

/** "outbound_.PORT_.SUBSET_.HOST": the same service for connections whose TLS goes on as it is, and what clients of the mesh ask for by name (SNI). */
export function sniCluster(port: number, subset: string, host: string): string {
  return `outbound_.${port}_.${subset}_.${host}`;
}

export function inboundCluster(applicationPort: number): string {
  return `inbound|${applicationPort}||`;
}

/** Of either form. */
export function parseOutboundCluster(name: string): OutboundName | undefined {
  const match = /^outbound\|(\d{1,5})\|([^|]*)\|([^|]+)$/.exec(name) ?? /^outbound_\.(\d{1,5})_\.([^|]*?)_\.([^|]+)$/.exec(name);
  return match === null ? undefined : { port: Number(match[1]), subset: match[2]!, host: match[3]! };
}

export function isSniCluster(name: string): boolean {
  return name.startsWith('outbound_.');
}

export function parseInboundCluster(name: string): number | undefined {
  const match = /^inbound\|(\d{1,5})\|\|$/.exec(name);
  return match === null ? undefined : Number(match[1]);
}

export const PASSTHROUGH_CLUSTER = 'PassthroughCluster';
/** What the Host header of a captured request resolves to. */
export const DYNAMIC_DNS_CLUSTER = 'AllowAnyDynamicDNSCluster';
/** To the workload, on a port that no service of it has. */
export const INBOUND_PASSTHROUGH_CLUSTER = 'InboundPassthroughCluster';
/** Nobody. */
export const BLACK_HOLE_CLUSTER = 'BlackHoleCluster';
export const HTTP_TUNNEL = 'http_tunnel';
/** Static, in the bootstrap. */
export const OTLP_CLUSTER = 'otlp';
export const ADS_CLUSTER = 'xds-grpc';
export const SDS_CLUSTER = 'sds-grpc';
