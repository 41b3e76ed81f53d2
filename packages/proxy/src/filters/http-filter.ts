import type { Any } from '@bufbuild/protobuf/wkt';
import type { Random, StreamInfo } from '@outrigger/telemetry';
import type { HeaderList, RequestHead, ResponseHead } from '../http/message.ts';
import type { CompileReport } from '../routing/compile-result.ts';
import type { RouteEntry } from '../routing/route-entry.ts';
import type { ConnectionFacts } from './rbac/rule.ts';

/** Something under way that a request which ends early has to end too. */
export interface Cancellable {
  cancel(): void;
}

/** A signed answer of the proxy's own. */
export interface Refusal {
  readonly kind: 'refuse';
  readonly status: number;
  readonly body: string;
  /** %RESPONSE_CODE_DETAILS%. */
  readonly details: string;
  /** Response flags. */
  readonly flag: number;
  readonly headers?: HeaderList;
}

/** An answer in the application's place. */
export interface Answer {
  readonly kind: 'answer';
  readonly status: number;
  readonly headers: HeaderList;
  readonly body?: Buffer;
  readonly details: string;
  /** local_reply_config has nothing to say to it, nor has the route. */
  readonly asItIs?: boolean;
}

/** What a filter makes of a request: go on, refuse it, answer it, or go on later. */
export type FilterVerdict =
  | { readonly kind: 'pass' }
  | Refusal
  | Answer
  /** After it `afterDelay` of the same filter is asked. */
  | { readonly kind: 'delay'; readonly delayMs: number }
  /** Until the filter calls `goOn`. `pending` is cancelled where the request ends before that. */
  | { readonly kind: 'wait'; readonly pending: Cancellable };

export const PASS: FilterVerdict = Object.freeze({ kind: 'pass' });

/** Where content goes on to. `buffer` is only valid during the call. */
export interface ContentSink {
  body(buffer: Buffer, start: number, end: number, fin: boolean): void;
  /** Always the last of a message. */
  trailers(trailers: HeaderList): void;
}

/** Changes the content of one message on its way, or keeps it back for a while. Made by a filter for one request. */
export interface ContentTransform extends ContentSink, Cancellable {
  /** Where it puts what it makes; set before the first content comes. */
  next: ContentSink;
}

/** The half of a message that content comes from, as a transform sees it: it may be told to wait. */
export interface ContentSource {
  hold(): void;
  release(): void;
}

/** A request to a cluster that a filter makes for itself. */
export interface ClusterRequest {
  readonly cluster: string;
  readonly head: RequestHead;
  /** null: none. */
  readonly body: Buffer | null;
  readonly http2: boolean;
  readonly timeoutMs: number;
  readonly maxAnswerBytes: number;
}

/** What became of it; called once unless it was cancelled. */
export interface ClusterAnswer {
  onAnswer(head: ResponseHead, body: Buffer, trailers: HeaderList): void;
  onNoAnswer(detail: string): void;
}

/** A way to change content that works on its own thread. */
export interface ContentCodec {
  /** False: it has enough for now. */
  write(chunk: Buffer): boolean;
  /** What is in it leaves. */
  flush(): void;
  end(): void;
  destroy(): void;
  on(event: 'data', listener: (chunk: Buffer) => void): void;
  on(event: 'drain' | 'end', listener: () => void): void;
  on(event: 'error', listener: (error: Error) => void): void;
}

/** Which one; what is absent is the library's default. */
export interface CodecSettings {
  readonly kind: 'gzip' | 'gunzip' | 'brotli' | 'unbrotli' | 'zstd' | 'unzstd';
  readonly level?: number;
  readonly quality?: number;
  readonly strategy?: number;
  readonly memLevel?: number;
  readonly windowBits?: number;
  readonly chunkBytes?: number;
}

/** What filters may ask of the proxy that they run in. */
export interface FilterServices {
  readonly random: Random;
  readonly nowMs: () => number;
  readonly unixMs: () => number;
  /** This proxy is to be taken for ill (admin: /healthcheck/fail). */
  failing(): boolean;
  /** Share of a cluster's endpoints that are healthy, [0, 1]; undefined: there is no such cluster, or nobody in it. */
  clusterHealth(cluster: string): number | undefined;
  codec(settings: CodecSettings): ContentCodec;
  call(request: ClusterRequest, answer: ClusterAnswer): Cancellable;
  /** A line in the proxy's log, at most one a second for each `what`. */
  note(what: string, fields: Readonly<Record<string, string>>): void;
}

/** A request as filters see it. */
export interface FilteredStream extends StreamInfo {
  readonly head: RequestHead;
  /** Whether nothing comes behind the request's head. */
  readonly headIsAll: boolean;
  readonly connectionFacts: ConnectionFacts;
  readonly route: RouteEntry | null;
  /** Of this request; uniform in [0, 2^32). */
  readonly dice: number;
  readonly services: FilterServices;
  responseFlags: number;
  /** By namespace (the filter's name); null while there is none. */
  dynamicMetadata: Map<string, Record<string, unknown>> | null;
  /** After a `wait`: filters behind it run, or the verdict is heeded. */
  goOn(verdict: FilterVerdict): void;
  /** Its content cannot be gone on with: the answer says so, or is cut where it has begun. */
  breakOff(status: number, body: string, details: string): void;
  /** The route is looked for again, with the head as it is now. */
  rematch(): void;
  /** What a filter keeps from a request's head to its answer, by its place in the chain. */
  stateOf(filter: HttpFilter): unknown;
  keep(filter: HttpFilter, state: unknown): void;
  /** The request's content goes through it, behind those that were added before. */
  transformRequest(transform: ContentTransform): ContentSource;
  /** The same for the answer's. */
  transformResponse(transform: ContentTransform): ContentSource;
}

/**
 * One HTTP filter with its configuration: made once, shared by all requests. It has either or both of `onRequest` and
 * `onResponse`; answers go through the filters in reverse order, those of the proxy's own making too.
 */
export interface HttpFilter {
  /** HttpFilter.name: what routes call it by. */
  readonly name: string;
  /** Itself, or one that heeds what a route says; `settings` come from the most to the least specific level. */
  forRoute(settings: readonly RouteSetting[]): HttpFilter;
  onRequest?(stream: FilteredStream): FilterVerdict;
  /** After a 'delay'. */
  afterDelay?(stream: FilteredStream): FilterVerdict;
  /** `fin`: the answer is its head alone. */
  onResponse?(stream: FilteredStream, head: ResponseHead, fin: boolean): void;
  /** The request is over; only where it kept a state. */
  onEnd?(stream: FilteredStream, state: unknown): void;
}

/** What typed_per_filter_config of one level says to one filter: an object of a class that the filter knows. */
export type RouteSetting = object;

/** What compilers of filters are told, and gather. */
export interface FilterContext {
  readonly nodeId: string;
  /** Clusters that filters call, so that they are subscribed. */
  readonly clusters: Set<string>;
}

/** A type of filter: how its messages become filters and settings of routes. */
export interface HttpFilterType {
  /** envoy.extensions.filters.http.... */
  readonly typeName: string;
  /** null: it does nothing by itself. */
  compile(any: Any | undefined, name: string, path: string, context: FilterContext, report: CompileReport): HttpFilter | null;
  /** By the type names that typed_per_filter_config may have for it. */
  readonly settings: Readonly<Record<string, (any: Any, path: string, report: CompileReport) => RouteSetting | null>>;
}
