import { histogramsOf, type Sample, UNKNOWN_LABEL } from '@outrigger/telemetry';
import type { Edge, Party, Traffic, Unreached } from './windows.ts';

/** Of one sidecar; its own cap is lower. */
const MAX_SERIES = 20_000;
const REQUESTS = 'istio_requests_total';
const DURATION = 'istio_request_duration_milliseconds';
const UNREACHED = 'outrigger_unreached_requests_total';
/** Flag of requests that were for an endpoint and did not come to its sidecar. */
const CONNECTION_FAILURE = 'UF';
/** gRPC's server faults: UNKNOWN, DEADLINE_EXCEEDED, INTERNAL, UNAVAILABLE, DATA_LOSS. */
const GRPC_FAULTS: ReadonlySet<string> = new Set(['2', '4', '13', '14', '15']);

interface Known {
  requests: number;
  /** Upper bound -> how many in that bucket alone. */
  durations: ReadonlyMap<number, number>;
}

/** What is new of one series. */
export interface Sighting {
  readonly edge: Edge;
  readonly traffic: Traffic;
  /** As its caller counted, and no sidecar of whom it was for. */
  readonly unreached: boolean;
}

export interface Advance {
  readonly sightings: readonly Sighting[];
  /** Of requests that had no endpoint at all, by the subset that they were for. */
  readonly unreached: readonly Unreached[];
}

/** One sidecar's counters as last seen: they only ever grow, so what is new is the difference. */
export class Series {
  #known = new Map<string, Known>();
  #unreached = new Map<string, number>();
  #first = true;
  #fine = false;

  /** What happened since the last page. The first page is where counting begins. `fine`: whether it has every bucket of the histograms. */
  advance(samples: readonly Sample[], fine = false): Advance {
    const before = this.#known;
    const after = new Map<string, Known>();
    const found: Sighting[] = [];
    const unreached = this.#advanceUnreached(samples);
    // Buckets of one kind say nothing of those of the other: durations count from the next page on.
    const sameBuckets = fine === this.#fine;
    const durations = new Map(histogramsOf(samples, DURATION).map((histogram) => [labelKey(histogram.labels), separate(histogram.buckets)]));
    for (const { name, labels, value } of samples) {
      if (name !== REQUESTS || after.size >= MAX_SERIES) continue;
      const key = labelKey(labels);
      const now: Known = { requests: value, durations: durations.get(key) ?? new Map() };
      after.set(key, now);
      const old = before.get(key);
      // A sidecar that started anew counts from zero.
      const base = old === undefined || old.requests > value ? undefined : old;
      const requests = value - (base?.requests ?? 0);
      if (this.#first || requests <= 0) continue;
      const { response_code: code = '', grpc_response_status: grpc = '', connection_security_policy: policy = '', reporter } = labels;
      found.push({
        edge: {
          reporter: reporter === 'source' ? 'source' : 'destination',
          from: party(labels, 'source'),
          to: party(labels, 'destination'),
        },
        traffic: {
          requests,
          failures: isFailure(Number(code), grpc) ? requests : 0,
          mtls: policy === 'mutual_tls' ? requests : 0,
          plain: policy === 'none' ? requests : 0,
          durations: sameBuckets ? difference(now.durations, base?.durations) : new Map(),
        },
        unreached: reporter === 'source' && (labels['response_flags'] ?? '').split(',').includes(CONNECTION_FAILURE),
      });
    }
    this.#known = after;
    this.#first = false;
    this.#fine = fine;
    return { sightings: found, unreached };
  }

  #advanceUnreached(samples: readonly Sample[]): readonly Unreached[] {
    const before = this.#unreached;
    const after = new Map<string, number>();
    const found: Unreached[] = [];
    for (const { name, labels, value } of samples) {
      if (name !== UNREACHED || after.size >= MAX_SERIES) continue;
      const key = labelKey(labels);
      after.set(key, value);
      const known = before.get(key) ?? 0;
      const requests = known > value ? value : value - known;
      const { destination_service_name: service = '', destination_service_namespace: namespace = '', destination_subset: subset = '' } = labels;
      if (requests > 0 && !this.#first) found.push({ service, namespace, subset, requests });
    }
    this.#unreached = after;
    return found;
  }
}

export function isFailure(status: number, grpcStatus: string): boolean {
  return !(status >= 100 && status < 500) || GRPC_FAULTS.has(grpcStatus);
}

function party(labels: Readonly<Record<string, string>>, side: 'source' | 'destination'): Party {
  const known = (...names: string[]): string => names.map((name) => labels[name] ?? '').find((value) => value !== '' && value !== UNKNOWN_LABEL) ?? '';
  return {
    service: known(`${side}_canonical_service`, `${side}_app`, `${side}_service_name`, `${side}_workload`),
    namespace: known(`${side}_workload_namespace`, `${side}_service_namespace`),
    version: known(`${side}_version`, `${side}_canonical_revision`).replace(/^latest$/, ''),
  };
}

function labelKey(labels: Readonly<Record<string, string>>): string {
  return JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Prometheus counts everything up to a bound; here each bucket is for itself. */
function separate(buckets: readonly (readonly [bound: number, cumulative: number])[]): Map<number, number> {
  const separated = new Map<number, number>();
  let below = 0;
  for (const [bound, cumulative] of buckets) {
    if (cumulative > below) separated.set(bound, cumulative - below);
    below = Math.max(below, cumulative);
  }
  return separated;
}

function difference(now: ReadonlyMap<number, number>, before: ReadonlyMap<number, number> | undefined): Map<number, number> {
  const result = new Map<number, number>();
  for (const [bound, count] of now) {
    const more = count - (before?.get(bound) ?? 0);
    if (more > 0) result.set(bound, more);
  }
  return result;
}
