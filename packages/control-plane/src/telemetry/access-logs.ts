import { create, toBinary } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import { bucketIndex, bucketUpperBound, ISTIO_EDGES } from '@outrigger/telemetry';
import { decodeMessage, type StreamMethod, type StreamMethods } from '@outrigger/xds';
import type { HTTPAccessLogEntry } from '@outrigger/xds/protos/envoy/data/accesslog/v3/accesslog';
import { StreamAccessLogsMessageSchema, StreamAccessLogsResponseSchema } from '@outrigger/xds/protos/envoy/service/accesslog/v3/als';
import { isFailure } from './series.ts';
import type { Edge, Party, Traffic, Unreached } from './windows.ts';

/** Whose sidecar reports, and where the endpoints are that it calls. */
export interface Directory {
  /** The workload of a node; undefined: not registered. */
  ofNode(nodeId: string): (Party & { readonly spiffeId: string }) | undefined;
  /** By "ip:port" where the mesh reaches it. */
  ofEndpoint(address: string): Party | undefined;
  /** "cluster.local/ns/default/sa/web" and the like; undefined: of no known workload. */
  ofSpiffeId(spiffeId: string): Party | undefined;
}

export interface AccessLogsOptions {
  readonly directory: () => Directory;
  /** `unreached`: as the caller counted, and no sidecar of whom it was for. */
  readonly record: (edge: Edge, traffic: Traffic, unreached: boolean) => void;
  readonly recordUnreached: (unreached: Unreached) => void;
  /** Whether every bucket of a service's durations is wanted. */
  readonly wantsFine: (service: string, namespace: string) => boolean;
}

const UNKNOWN: Party = { service: '', namespace: '', version: '' };
/** Of the header by which authenticated sidecars tell who they are: "WORKLOAD;NAMESPACE;SERVICE;VERSION". */
const PEER_HEADER = 'x-outrigger-peer';

/** Envoy's access logs as traffic: what our own sidecars say by their metrics. */
export function accessLogMethods(options: AccessLogsOptions): StreamMethods {
  const serve: StreamMethod = (call) => {
    const { spiffeId } = call.caller;
    if (spiffeId === undefined) throw new ConnectError('access logs are taken from workloads with a certificate of this mesh', Code.Unauthenticated);
    let nodeId = '';
    return {
      onMessage(bytes) {
        const message = decodeMessage(StreamAccessLogsMessageSchema, bytes);
        nodeId = message.identifier?.node?.id ?? nodeId;
        const directory = options.directory();
        const own = directory.ofNode(nodeId);
        // Who reports must be who it says it is: else one workload could make up another's figures.
        if (own === undefined || own.spiffeId !== spiffeId || message.logEntries.case !== 'httpLogs') return;
        for (const entry of message.logEntries.value.logEntry) record(entry, own, directory, options);
      },
      onFinish() {
        call.send(toBinary(StreamAccessLogsResponseSchema, create(StreamAccessLogsResponseSchema)));
        call.end();
      },
      onEnd() {},
    };
  };
  return new Map([['/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs', serve]]);
}

function record(entry: HTTPAccessLogEntry, own: Party, directory: Directory, options: AccessLogsOptions): void {
  const properties = entry.commonProperties;
  const cluster = properties?.upstreamCluster ?? '';
  const inbound = cluster.startsWith('inbound|');
  const status = entry.response?.responseCode ?? 0;
  const headers = { ...entry.response?.responseTrailers, ...entry.response?.responseHeaders };
  const durationMs = milliseconds(properties?.timeToLastDownstreamTxByte) ?? milliseconds(properties?.duration);
  const traffic = (mtls: boolean | undefined, to: Party): Traffic => ({
    requests: 1,
    failures: isFailure(status, headers['grpc-status'] ?? '') ? 1 : 0,
    mtls: mtls === true ? 1 : 0,
    plain: mtls === false ? 1 : 0,
    durations: durationMs === undefined ? new Map() : new Map([[boundOf(durationMs, options.wantsFine(to.service, to.namespace)), 1]]),
  });
  const self: Party = { service: own.service, namespace: own.namespace, version: own.version };
  if (inbound) {
    const uri = properties?.tlsProperties?.peerCertificateProperties?.subjectAltName.find(({ san }) => san.case === 'uri')?.san.value;
    const from = peerOf(entry.request?.requestHeaders[PEER_HEADER]) ?? (uri === undefined ? undefined : directory.ofSpiffeId(String(uri))) ?? UNKNOWN;
    options.record({ reporter: 'destination', from, to: self }, traffic(uri !== undefined, self), false);
    return;
  }
  const socket = properties?.upstreamRemoteAddress?.address;
  const endpoint =
    socket?.case === 'socketAddress' && socket.value.portSpecifier.case === 'portValue'
      ? directory.ofEndpoint(`${socket.value.address}:${socket.value.portSpecifier.value}`)
      : undefined;
  // "outbound|8080|v1|order-service.default.svc.cluster.local"
  const [, , subset = '', host = ''] = cluster.split('|');
  const [short = '', space = ''] = host.split('.');
  const to = endpoint ?? (host === '' ? UNKNOWN : { service: short, namespace: space, version: '' });
  // Envoy's log does not say how it reached the endpoint.
  const flags = properties?.responseFlags;
  options.record({ reporter: 'source', from: self, to }, traffic(undefined, to), endpoint !== undefined && flags?.upstreamConnectionFailure === true);
  if (endpoint === undefined && subset !== '' && (flags?.noHealthyUpstream === true || flags?.upstreamOverflow === true))
    options.recordUnreached({ service: short, namespace: space, subset, requests: 1 });
}

function boundOf(durationMs: number, fine: boolean): number {
  return fine ? bucketUpperBound(bucketIndex(durationMs)) : (ISTIO_EDGES.find((edge) => durationMs <= edge) ?? Number.POSITIVE_INFINITY);
}

function peerOf(header: string | undefined): Party | undefined {
  const [, namespace, service, version = ''] = header?.split(';') ?? [];
  return namespace === undefined || service === undefined ? undefined : { namespace, service, version };
}

function milliseconds(duration: { readonly seconds: bigint; readonly nanos: number } | undefined): number | undefined {
  return duration === undefined ? undefined : Number(duration.seconds) * 1000 + duration.nanos / 1e6;
}
