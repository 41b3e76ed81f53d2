import type { Histogram } from './histogram.ts';
import type { Counter, MetricFamily, MetricRegistry } from './metrics.ts';
import { formatResponseFlags } from './response-flags.ts';

/** Labels of Istio's HTTP metrics (istio.io/docs/reference/config/metrics), in the order in which they are given. */
export const ISTIO_HTTP_LABELS = [
  'reporter',
  'source_workload',
  'source_workload_namespace',
  'source_principal',
  'source_app',
  'source_version',
  'source_canonical_service',
  'source_canonical_revision',
  'destination_workload',
  'destination_workload_namespace',
  'destination_principal',
  'destination_app',
  'destination_version',
  'destination_service',
  'destination_service_name',
  'destination_service_namespace',
  'destination_canonical_service',
  'destination_canonical_revision',
  'request_protocol',
  'response_code',
  'grpc_response_status',
  'response_flags',
  'connection_security_policy',
] as const;
export type IstioHttpLabel = (typeof ISTIO_HTTP_LABELS)[number];

/** Labels of Istio's TCP metrics. */
export const ISTIO_TCP_LABELS = ISTIO_HTTP_LABELS.filter((label) => label !== 'response_code' && label !== 'grpc_response_status');

/** What Istio writes where it does not know. */
export const UNKNOWN_LABEL = 'unknown';

/** The series of one set of labels, to be kept and counted on. */
export interface HttpSeries {
  readonly requests: Counter;
  readonly durationMs: Histogram;
  readonly requestBytes: Histogram;
  readonly responseBytes: Histogram;
}

export interface TcpSeries {
  readonly opened: Counter;
  readonly closed: Counter;
  readonly sentBytes: Counter;
  readonly receivedBytes: Counter;
}

/** Flags are below 2^30, so that both fit into one exact number. */
const CODE_RANGE = 1000;

/**
 * All series between one source and one destination: what changes from request to request is the answer alone. Kept by
 * whoever knows both ends (a connection's peer and a route's cluster), so that a request costs one look into a map.
 */
export class HttpEdge {
  readonly #metrics: IstioMetrics;
  readonly #labels: Readonly<Partial<Record<IstioHttpLabel, string>>>;
  readonly #plain = new Map<number, HttpSeries>();
  readonly #grpc = new Map<string, Map<number, HttpSeries>>();

  constructor(metrics: IstioMetrics, labels: Readonly<Partial<Record<IstioHttpLabel, string>>>) {
    this.#metrics = metrics;
    this.#labels = labels;
  }

  /** `responseCode` 0 where none was sent; `flags` as bits of ResponseFlag; `grpcStatus` '' where it was no gRPC call. */
  series(responseCode: number, flags: number, grpcStatus: string): HttpSeries {
    const byAnswer = grpcStatus === '' ? this.#plain : this.#grpcMap(grpcStatus);
    const key = flags * CODE_RANGE + responseCode;
    return byAnswer.get(key) ?? this.#make(byAnswer, key, responseCode, flags, grpcStatus);
  }

  #grpcMap(given: string): Map<number, HttpSeries> {
    // The peer writes it: what is no status of gRPC gets no series of its own.
    const grpcStatus = GRPC_STATUS.test(given) ? given : UNKNOWN_LABEL;
    let map = this.#grpc.get(grpcStatus);
    if (map === undefined) {
      map = new Map();
      this.#grpc.set(grpcStatus, map);
    }
    return map;
  }

  #make(map: Map<number, HttpSeries>, key: number, responseCode: number, flags: number, grpcStatus: string): HttpSeries {
    const series = this.#metrics.http({
      ...this.#labels,
      request_protocol: grpcStatus === '' ? 'http' : 'grpc',
      response_code: String(responseCode),
      grpc_response_status: grpcStatus === '' || GRPC_STATUS.test(grpcStatus) ? grpcStatus : UNKNOWN_LABEL,
      response_flags: formatResponseFlags(flags),
    });
    map.set(key, series);
    return series;
  }
}

/** 0 to 16. */
const GRPC_STATUS = /^(?:\d|1[0-6])$/;

/** Istio's standard metrics on one registry. */
export class IstioMetrics {
  readonly #requests: MetricFamily<Counter>;
  readonly #unreached: MetricFamily<Counter>;
  readonly #duration: MetricFamily<Histogram>;
  readonly #requestBytes: MetricFamily<Histogram>;
  readonly #responseBytes: MetricFamily<Histogram>;
  readonly #opened: MetricFamily<Counter>;
  readonly #closed: MetricFamily<Counter>;
  readonly #sent: MetricFamily<Counter>;
  readonly #received: MetricFamily<Counter>;

  constructor(registry: MetricRegistry) {
    this.#requests = registry.counter('istio_requests_total', 'Requests, counted when they end.', ...ISTIO_HTTP_LABELS);
    this.#unreached = registry.counter(
      'outrigger_unreached_requests_total',
      'Requests that reached no endpoint of a subset: none was healthy, or too many waited.',
      'destination_service_name',
      'destination_service_namespace',
      'destination_subset',
    );
    this.#duration = registry.histogram('istio_request_duration_milliseconds', 'Duration of requests in milliseconds.', ...ISTIO_HTTP_LABELS);
    this.#requestBytes = registry.histogram('istio_request_bytes', 'Size of request bodies in bytes.', ...ISTIO_HTTP_LABELS);
    this.#responseBytes = registry.histogram('istio_response_bytes', 'Size of response bodies in bytes.', ...ISTIO_HTTP_LABELS);
    this.#opened = registry.counter('istio_tcp_connections_opened_total', 'TCP connections opened.', ...ISTIO_TCP_LABELS);
    this.#closed = registry.counter('istio_tcp_connections_closed_total', 'TCP connections closed.', ...ISTIO_TCP_LABELS);
    this.#sent = registry.counter('istio_tcp_sent_bytes_total', 'Bytes sent to the client over TCP.', ...ISTIO_TCP_LABELS);
    this.#received = registry.counter('istio_tcp_received_bytes_total', 'Bytes received from the client over TCP.', ...ISTIO_TCP_LABELS);
  }

  /** Labels that are not given say "unknown" (an empty one stays empty, as grpc_response_status of HTTP does). */
  http(labels: Readonly<Partial<Record<IstioHttpLabel, string>>>): HttpSeries {
    const values = ISTIO_HTTP_LABELS.map((name) => labels[name] ?? UNKNOWN_LABEL);
    return {
      requests: this.#requests.with(...values),
      durationMs: this.#duration.with(...values),
      requestBytes: this.#requestBytes.with(...values),
      responseBytes: this.#responseBytes.with(...values),
    };
  }

  /** Istio has the version of who answered; of who could not be reached there is the subset that was meant. */
  unreached(service: string, namespace: string, subset: string): Counter {
    return this.#unreached.with(service, namespace, subset);
  }

  tcp(labels: Readonly<Partial<Record<IstioHttpLabel, string>>>): TcpSeries {
    const values = ISTIO_TCP_LABELS.map((name) => labels[name] ?? UNKNOWN_LABEL);
    return {
      opened: this.#opened.with(...values),
      closed: this.#closed.with(...values),
      sentBytes: this.#sent.with(...values),
      receivedBytes: this.#received.with(...values),
    };
  }
}
