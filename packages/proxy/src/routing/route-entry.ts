import type { StreamInfo } from '@outrigger/telemetry';
import type { RouteFilters } from '../filters/route-filters.ts';
import type { RequestHead } from '../http/message.ts';
import type { RetryPolicy } from '../resilience/retry-policy.ts';
import type { ClusterChoice } from './cluster-choice.ts';
import type { HashPolicies } from './hash-policy.ts';
import type { HeaderMutations } from './header-mutations.ts';
import { headerValue } from './headers.ts';
import type { InternalRedirectPolicy } from './internal-redirect.ts';
import type { MirrorPolicy } from './mirror.ts';
import type { Relocation } from './redirect.ts';
import type { RequestRewrite } from './rewrite.ts';
import type { RouteMetadata } from './route-metadata.ts';

export type RouteActionKind = 'forward' | 'redirect' | 'direct-response' | 'non-forwarding';

/** What a direct response says. */
export interface DirectResponse {
  readonly status: number;
  readonly body: Uint8Array;
}

/** Everything about one route, with nothing left to be decided from configuration. */
export interface RouteEntryFields {
  /** Route.name. */
  readonly name: string;
  readonly virtualHostName: string;
  readonly kind: RouteActionKind;
  /** Weighted clusters, one for a plain cluster, none where the action does not forward. */
  readonly clusters: readonly ClusterChoice[];
  /** Sum that the weights are taken of. */
  readonly totalWeight: number;
  /** Lower-case header that carries the value for the weighted choice; '' takes the request's random number. */
  readonly randomValueHeader: string;
  /** Whether `hash` decides it, where the request has something to hash. */
  readonly choosesByHash: boolean;
  /** 503, 404 or 500. */
  readonly clusterNotFoundStatus: number;
  /** Whole request, ms; 0: none. Envoy's default of 15 s holds where xDS has none. */
  readonly timeoutMs: number;
  /** Stream idle timeout, ms; 0: none; -1: the connection manager's. */
  readonly idleTimeoutMs: number;
  /** ms; 0: none; -1: the connection manager's. */
  readonly maxStreamDurationMs: number;
  /** Upper limit for grpc-timeout, ms; 0: no limit; -1: the header is not looked at. */
  readonly grpcTimeoutMaxMs: number;
  /** A grpc-timeout is the longest time of the stream, not the time for the answer (max_stream_duration, not max_grpc_timeout). */
  readonly grpcTimeoutIsDuration: boolean;
  /** Taken off a grpc-timeout, ms. */
  readonly grpcTimeoutOffsetMs: number;
  readonly retry: RetryPolicy;
  /** RoutingPriority HIGH: limits and connections of their own. */
  readonly highPriority: boolean;
  /** An attempt whose time is over may still answer, beside the next one (hedge_policy). */
  readonly hedgeOnPerTryTimeout: boolean;
  /** null: redirects of the upstream are passed on. */
  readonly internalRedirect: InternalRedirectPolicy | null;
  readonly rewrite: RequestRewrite;
  readonly hash: HashPolicies;
  readonly mirrors: readonly MirrorPolicy[];
  /** By lower-case Upgrade token ("websocket", "connect"): allowed here or not. Absent: the connection manager decides. */
  readonly upgrades: ReadonlyMap<string, boolean>;
  /** CONNECT is ended here and its payload goes upstream as raw bytes (upgrade_configs.connect_config). */
  readonly connectTerminates: boolean;
  readonly redirect: Relocation | null;
  readonly direct: DirectResponse | null;
  /** For answers without a cluster (direct response, redirect, local reply): route, virtual host and configuration level. */
  readonly responseHeaders: HeaderMutations;
  readonly filters: RouteFilters;
  readonly metadata: RouteMetadata;
  /** Decorator's operation, or ''. */
  readonly operation: string;
  readonly includeRequestAttemptCount: boolean;
  readonly includeAttemptCountInResponse: boolean;
  readonly includeIsTimeoutRetry: boolean;
  /** Retry and shadow buffer, bytes; -1: the listener's limit. */
  readonly bufferLimitBytes: number;
}

/** A route as the engine holds it for a request. Immutable. */
export class RouteEntry {
  readonly fields: RouteEntryFields;
  readonly name: string;
  readonly kind: RouteActionKind;
  readonly timeoutMs: number;
  readonly retry: RetryPolicy;
  readonly #clusters: readonly ClusterChoice[];
  readonly #totalWeight: number;
  readonly #randomValueHeader: string;

  constructor(fields: RouteEntryFields) {
    this.fields = fields;
    this.name = fields.name;
    this.kind = fields.kind;
    this.timeoutMs = fields.timeoutMs;
    this.retry = fields.retry;
    this.#clusters = fields.clusters;
    this.#totalWeight = fields.totalWeight;
    this.#randomValueHeader = fields.randomValueHeader;
  }

  /** The cluster for this request. Only where `kind` is 'forward'. `random` is uniform in [0, 2^32). */
  pickCluster(head: RequestHead, random: number): ClusterChoice {
    if (this.#clusters.length === 1) return this.#clusters[0]!;
    return this.#pickWeighted(head, random);
  }

  #pickWeighted(head: RequestHead, random: number): ClusterChoice {
    // Mixed again: runtime_fraction took its decision from the same number, and the two must not go together.
    let selected = Math.imul(random ^ (random >>> 15), 0x2c1b3c6d) >>> 0;
    if (this.#randomValueHeader !== '') {
      const given = headerNumber(head.headers, this.#randomValueHeader);
      if (given >= 0) selected = given;
    }
    selected %= this.#totalWeight;
    if (this.fields.choosesByHash) {
      const kept = this.fields.hash.remainder(head, this.#totalWeight);
      if (kept >= 0) selected = kept;
    }
    const clusters = this.#clusters;
    for (let i = 0; i < clusters.length - 1; i++) {
      selected -= clusters[i]!.weight;
      if (selected < 0) return clusters[i]!;
    }
    return clusters[clusters.length - 1]!;
  }

  /**
   * Makes the head what goes upstream: header mutations of cluster, route, virtual host and configuration, then host
   * and path rewrite, in Envoy's order. `auto_host_rewrite` needs the endpoint and is left to the caller (`fields.rewrite.autoHost`).
   */
  finalizeRequest(head: RequestHead, choice: ClusterChoice, info: StreamInfo): void {
    choice.requestHeaders.apply(head.headers, info);
    this.fields.rewrite.apply(head, choice.hostRewrite);
  }

  finalizeResponse(headers: string[], choice: ClusterChoice | null, info: StreamInfo): void {
    (choice === null ? this.fields.responseHeaders : choice.responseHeaders).apply(headers, info);
  }
}

function headerNumber(headers: readonly string[], lowerName: string): number {
  const text = headerValue(headers, lowerName);
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : -1;
}
