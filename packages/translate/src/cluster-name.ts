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

export function inboundCluster(applicationPort: number): string {
  return `inbound|${applicationPort}||`;
}

export function parseOutboundCluster(name: string): OutboundName | undefined {
  const match = /^outbound\|(\d{1,5})\|([^|]*)\|([^|]+)$/.exec(name);
  return match === null ? undefined : { port: Number(match[1]), subset: match[2]!, host: match[3]! };
}

export function parseInboundCluster(name: string): number | undefined {
  const match = /^inbound\|(\d{1,5})\|\|$/.exec(name);
  return match === null ? undefined : Number(match[1]);
}

export const PASSTHROUGH_CLUSTER = 'PassthroughCluster';
export const HTTP_TUNNEL = 'http_tunnel';
/** Static, in the bootstrap. */
export const OTLP_CLUSTER = 'otlp';
export const ADS_CLUSTER = 'xds-grpc';
export const SDS_CLUSTER = 'sds-grpc';
