import type { JsonObject } from '@bufbuild/protobuf';
import type { HeaderMutations } from '../routing/header-mutations.ts';
import type { TextMatcher } from '../routing/string-matcher.ts';

/** Statuses from `start` up to `end`, which is not among them. */
export interface StatusRange {
  readonly start: number;
  readonly end: number;
}

export interface HttpCheck {
  readonly kind: 'http';
  /** '': the name of the cluster. */
  readonly host: string;
  readonly path: string;
  readonly method: string;
  readonly http2: boolean;
  readonly headers: HeaderMutations;
  /** Body of the request; empty: none. */
  readonly send: Buffer;
  /** Pieces of the answer's body, in that order; none: the body is not looked at. */
  readonly receive: readonly Buffer[];
  /** Of the answer's body, so much is looked at; 0: all of it. */
  readonly responseBufferBytes: number;
  readonly expected: readonly StatusRange[];
  readonly retriable: readonly StatusRange[];
  /** What x-envoy-upstream-healthchecked-cluster must say; null: anything. */
  readonly serviceName: TextMatcher | null;
}

export interface TcpCheck {
  readonly kind: 'tcp';
  readonly send: Buffer;
  /** Pieces of the answer, in that order; none: that the connection opens is enough. */
  readonly receive: readonly Buffer[];
}

export interface GrpcCheck {
  readonly kind: 'grpc';
  readonly service: string;
  /** '': the name of the cluster. */
  readonly authority: string;
  readonly headers: HeaderMutations;
}

/** HealthCheck of a cluster, decoded. Times in ms. */
export interface HealthCheckConfig {
  readonly check: HttpCheck | TcpCheck | GrpcCheck;
  readonly timeoutMs: number;
  readonly intervalMs: number;
  readonly initialJitterMs: number;
  readonly intervalJitterMs: number;
  readonly intervalJitterPercent: number;
  readonly unhealthyThreshold: number;
  readonly healthyThreshold: number;
  readonly noTrafficIntervalMs: number;
  readonly noTrafficHealthyIntervalMs: number;
  readonly unhealthyIntervalMs: number;
  readonly unhealthyEdgeIntervalMs: number;
  readonly healthyEdgeIntervalMs: number;
  readonly reuseConnection: boolean;
  /** In the place of those of the transport socket; null: those. */
  readonly alpn: readonly string[] | null;
  /** What chooses the transport socket in the place of the endpoint's metadata; null: that. */
  readonly socketMatch: JsonObject | null;
}
