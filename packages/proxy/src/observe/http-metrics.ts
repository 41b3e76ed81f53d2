import type { Counter, HttpSeries, IstioHttpLabel, IstioMetrics } from '@outrigger/telemetry';
import { formatResponseFlags, ResponseFlag } from '@outrigger/telemetry';
import type { ActiveStream } from '../engine/active-stream.ts';
import { isGrpc } from '../engine/local-reply.ts';
import { parsePeer, peerMatchesIdentity } from '../filters/peer.ts';
import { headerValue } from '../routing/headers.ts';
import type { Cluster } from '../upstream/cluster.ts';
import type { NodeIdentity } from './node-identity.ts';

export type Labels = Partial<Record<IstioHttpLabel, string>>;

export const NONE = 'unknown';
const orUnknown = (text: string): string => (text === '' ? NONE : text);

/** Who the other side is, and by that which series are counted. Made once for a peer, kept where the peer is. */
export class SeriesSet {
  readonly labels: Labels;
  /** By status, flags and gRPC status in one number. */
  readonly byOutcome = new Map<number, HttpSeries>();

  constructor(labels: Labels) {
    this.labels = labels;
  }
}

/** What keeps a request from every endpoint of its cluster. */
const UNREACHED_FLAGS = ResponseFlag.noHealthyUpstream | ResponseFlag.upstreamOverflow | ResponseFlag.noClusterFound | ResponseFlag.dnsResolutionFailed;

interface WithoutHost {
  readonly set: SeriesSet;
  /** Null: the cluster is no subset's. */
  readonly unreached: Counter | null;
}

interface Workload {
  readonly workload: string;
  readonly namespace: string;
  readonly service: string;
  readonly version: string;
}

export function sourceLabels(peer: Workload, principal: string): Labels {
  return {
    source_workload: orUnknown(peer.workload),
    source_workload_namespace: orUnknown(peer.namespace),
    source_principal: orUnknown(principal),
    source_app: orUnknown(peer.service),
    source_version: orUnknown(peer.version),
    source_canonical_service: orUnknown(peer.service),
    source_canonical_revision: peer.version === '' ? 'latest' : peer.version,
  };
}

export function destinationLabels(peer: Workload, principal: string, cluster: Cluster | null, host: string): Labels {
  const service = cluster?.config.service;
  return {
    destination_workload: orUnknown(peer.workload),
    destination_workload_namespace: orUnknown(peer.namespace),
    destination_principal: orUnknown(principal),
    destination_app: orUnknown(peer.service),
    destination_version: orUnknown(peer.version),
    destination_service: orUnknown(service?.host ?? host),
    destination_service_name: orUnknown(service?.name ?? (peer.service === '' ? (cluster?.name ?? '') : peer.service)),
    destination_service_namespace: orUnknown(service?.namespace ?? peer.namespace),
    destination_canonical_service: orUnknown(peer.service === '' ? (service?.name ?? '') : peer.service),
    destination_canonical_revision: peer.version === '' ? 'latest' : peer.version,
  };
}

const NOBODY: Workload = { workload: '', namespace: '', service: '', version: '' };

/** Whom a cluster is of that the proxy does not have: "outbound|8080|v9|web.default.svc.cluster.local". */
function meantBy(clusterName: string): { readonly peer: Workload; readonly host: string } {
  const match = /^outbound\|\d+\|[^|]*\|(([^.|]+)\.([^.|]+)\.svc\.[^|]+)$/.exec(clusterName);
  return match === null ? { peer: NOBODY, host: '' } : { peer: { workload: '', namespace: match[3]!, service: match[2]!, version: '' }, host: match[1]! };
}

/** What a caller's sidecar says of it, believed only so far as its certificate goes. */
export function sourceOf(header: string, uri: string): Workload {
  const peer = header === '' ? undefined : parsePeer(header);
  if (peer !== undefined && peerMatchesIdentity(peer, uri)) return peer;
  const match = /^spiffe:\/\/[^/]+\/ns\/([^/]+)\/sa\/([^/]+)$/.exec(uri);
  return match === null ? NOBODY : { workload: match[2]!, namespace: match[1]!, service: match[2]!, version: '' };
}

/** istio_requests_total and its companions. A request costs one look-up by number and four additions. */
export class HttpMetrics {
  readonly #metrics: IstioMetrics;
  readonly #node: NodeIdentity;
  /** Streams without an endpoint, by cluster name. */
  readonly #withoutHost = new Map<string, WithoutHost>();

  constructor(metrics: IstioMetrics, node: NodeIdentity) {
    this.#metrics = metrics;
    this.#node = node;
  }

  record(stream: ActiveStream): void {
    const set = stream.manager.direction === 'inbound' ? this.#inbound(stream) : this.#outbound(stream);
    const trailers = stream.responseTrailers;
    const grpc = trailers.length > 0 ? headerValue(trailers, 'grpc-status') : headerValue(stream.responseHeaders, 'grpc-status');
    const status = grpc !== undefined && /^\d{1,2}$/.test(grpc) ? Number(grpc) : -1;
    const key = (stream.responseFlags * 128 + (status + 1)) * 1024 + stream.responseCode;
    const series = set.byOutcome.get(key) ?? this.#add(set, key, stream, status);
    series.requests.value++;
    series.durationMs.record(stream.durationMs);
    series.requestBytes.record(stream.bytesReceived);
    series.responseBytes.record(stream.bytesSent);
  }

  #add(set: SeriesSet, key: number, stream: ActiveStream, grpcStatus: number): HttpSeries {
    const series = this.#metrics.http({
      ...set.labels,
      request_protocol: grpcStatus >= 0 || isGrpc(stream.head.headers) ? 'grpc' : 'http',
      response_code: String(stream.responseCode),
      grpc_response_status: grpcStatus < 0 ? '' : String(grpcStatus),
      response_flags: formatResponseFlags(stream.responseFlags),
    });
    set.byOutcome.set(key, series);
    return series;
  }

  #inbound(stream: ActiveStream): SeriesSet {
    const { info } = stream.connection;
    const known = info.series;
    if (known !== null && info.seriesPeer === stream.sourcePeer) return known;
    const set = new SeriesSet({
      reporter: 'destination',
      ...sourceLabels(sourceOf(stream.sourcePeer, info.peer.uri), info.peer.uri),
      ...destinationLabels(this.#node, info.localUri, stream.cluster, ''),
      connection_security_policy: info.mutual ? 'mutual_tls' : 'none',
    });
    info.series = set;
    info.seriesPeer = stream.sourcePeer;
    return set;
  }

  #outbound(stream: ActiveStream): SeriesSet {
    const host = stream.endpoint;
    const policy = stream.upstreamSecure ? 'mutual_tls' : 'none';
    if (host === null || stream.cluster === null) {
      // What the configuration names, not what a request does: there would be no end of those.
      const name = stream.cluster?.name ?? stream.choice?.name ?? '';
      const without = this.#withoutHost.get(name) ?? this.#addWithoutHost(name, stream.cluster);
      if (without.unreached !== null && (stream.responseFlags & UNREACHED_FLAGS) !== 0) without.unreached.value++;
      return without.set;
    }
    if (host.series !== null && host.seriesPeerUri === stream.upstreamPeerUri) return host.series;
    const set = new SeriesSet({
      reporter: 'source',
      ...sourceLabels(this.#node, stream.upstreamSecure ? stream.manager.runtime.localUri() : ''),
      ...destinationLabels(host.peer, stream.upstreamPeerUri, stream.cluster, ''),
      connection_security_policy: stream.upstreamLocalAddress === '' ? NONE : policy,
    });
    if (stream.upstreamLocalAddress !== '') {
      host.series = set;
      host.seriesPeerUri = stream.upstreamPeerUri;
    }
    return set;
  }

  #addWithoutHost(name: string, cluster: Cluster | null): WithoutHost {
    const meant = cluster === null ? meantBy(name) : { peer: NOBODY, host: '' };
    const set = new SeriesSet({
      reporter: 'source',
      ...sourceLabels(this.#node, ''),
      ...destinationLabels(meant.peer, '', cluster, meant.host),
      connection_security_policy: NONE,
    });
    const service = cluster?.config.service?.name ?? meant.peer.service;
    const namespace = cluster?.config.service?.namespace ?? meant.peer.namespace;
    const subset = /^outbound\|\d+\|([^|]+)\|/.exec(name)?.[1];
    const without = { set, unreached: subset === undefined ? null : this.#metrics.unreached(service, namespace, subset) };
    this.#withoutHost.set(name, without);
    return without;
  }
}
