import { create, type DescMessage, type MessageShape, toBinary } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import type { Node } from '@outrigger/xds/protos/envoy/config/core/v3/base';
import { DeltaDiscoveryRequestSchema, DeltaDiscoveryResponseSchema } from '@outrigger/xds/protos/envoy/service/discovery/v3/discovery';
import { StatusSchema } from '@outrigger/xds/protos/google/rpc/status';
import { typeUrlOf } from '../any/pack.ts';
import type { LastGoodCache } from '../cache/last-good-cache.ts';
import { GrpcConnection, type GrpcConnectionLimits, type GrpcError, type GrpcStream } from '../grpc/connection.ts';
import { type GrpcTarget, targetText } from '../grpc/target.ts';
import { decodeSteps } from '../slices/decode.ts';
import { Slices, type Steps } from '../slices/slices.ts';
import { type Backoff, backoffDelayMs, DEFAULT_BACKOFF } from './backoff.ts';
import type { ResourceHandler } from './handler.ts';
import { TypeClient } from './type-client.ts';

const ADS_PATH = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources';
/** google.rpc.Code INVALID_ARGUMENT, as Envoy says it. */
const NACK_CODE = 3;
/** Responses whose handlers are under way; beyond it the stream is not read. */
const MAX_UNANSWERED = 64;
/** Bytes of responses that are not decoded yet; beyond it the stream is not read. */
const MAX_UNDECODED_BYTES = 8 * 1024 * 1024;
const DEFAULT_CACHE_GRACE_MS = 2_000;

export type AdsClientEvent =
  | { readonly kind: 'connected'; readonly target: string }
  /** Also when a connection could not be made. */
  | { readonly kind: 'disconnected'; readonly target: string; readonly reason: string; readonly retryInMs: number }
  /** The handler did not take something, and said so to the server. */
  | { readonly kind: 'rejected'; readonly typeUrl: string; readonly reason: string }
  /** What was last known is served. */
  | { readonly kind: 'cache-used'; readonly typeUrl: string; readonly resources: number; readonly lastContactMs: number | undefined };

export interface AdsClientOptions {
  readonly target: GrpcTarget;
  /** Sent as it is in the first request of each stream. */
  readonly node: Node;
  readonly cache?: LastGoodCache;
  /** How long the server may be silent at start before the cache is served; a failed connection serves it at once. Default 2,000. */
  readonly cacheGraceMs?: number;
  readonly backoff?: Backoff;
  readonly connection?: Partial<GrpcConnectionLimits>;
  readonly onEvent?: (event: AdsClientEvent) => void;
  /** gRPC method of a delta discovery service. Default: ADS. */
  readonly methodPath?: string;
  /** Where responses are decoded, so that a large one does not hold the event loop. Default: of its own. */
  readonly slices?: Slices;
}

interface RequestFields {
  resourceNamesSubscribe?: string[];
  resourceNamesUnsubscribe?: string[];
  initialResourceVersions?: Record<string, string>;
  responseNonce?: string;
  errorDetail?: MessageShape<typeof StatusSchema>;
}

/** A subscription to one type, whose names come and go. */
export interface Subscription {
  /** Wanted names; '*' is the wildcard. */
  readonly names: ReadonlySet<string>;
  add(names: Iterable<string>): void;
  /** What is unsubscribed is forgotten; the handler is not told. */
  remove(names: Iterable<string>): void;
}

export interface AdsClientStatus {
  readonly connected: boolean;
  /** When the server was last heard of (Unix ms), before a restart too; undefined: never. */
  readonly lastContactMs: number | undefined;
  /** Why the last connection ended, '' while there is one. */
  readonly lastError: string;
  readonly types: readonly { readonly typeUrl: string; readonly subscribed: number; readonly known: number; readonly lastRejection: string }[];
}

/** Delta ADS on one stream, reconnected for as long as the client is open. */
export class AdsClient {
  readonly #options: AdsClientOptions;
  readonly #types = new Map<string, TypeClient>();
  readonly #rejections = new Map<string, string>();
  readonly #stop = new AbortController();
  readonly #slices: Slices;
  #connection: GrpcConnection | undefined;
  #stream: GrpcStream | undefined;
  /** Gives up the stream that is open. */
  #endStream: (reason: string) => void = () => {};
  /** Types whose first request went out on this stream. */
  #asked = new Set<string>();
  /** Types that this stream has answered. */
  #answered = new Set<string>();
  #nodeSent = false;
  #unanswered = 0;
  #undecodedBytes = 0;
  #paused = false;
  #away = false;
  #attempt = 0;
  #lastContactMs: number | undefined;
  #lastError = 'not connected yet';
  #flushing = false;
  #started = false;
  #grace: NodeJS.Timeout | undefined;

  constructor(options: AdsClientOptions) {
    this.#options = options;
    this.#lastContactMs = options.cache?.lastContactMs;
    this.#slices = options.slices ?? new Slices();
  }

  /** Subscribes to a type; one subscription per type. `names`: '*' among them is the wildcard. `cached` false: of what must not come to a disk. */
  subscribe<Desc extends DescMessage>(schema: Desc, names: Iterable<string>, handler: ResourceHandler<MessageShape<Desc>>, cached = true): Subscription {
    const typeUrl = typeUrlOf(schema);
    const decode = (any: Any) => {
      if (any.typeUrl !== typeUrl) throw new Error(`is a ${any.typeUrl}`);
      return decodeSteps(schema, any.value);
    };
    return this.#subscribe(this.#typeClient(typeUrl, decode, handler, cached), names);
  }

  /** The same with the messages left encoded; for a relay. */
  subscribeRaw(typeUrl: string, names: Iterable<string>, handler: ResourceHandler<Any>, cached = true): Subscription {
    return this.#subscribe(this.#typeClient(typeUrl, asItIs, handler, cached), names);
  }

  #typeClient<T>(typeUrl: string, decode: (any: Any) => Steps<T>, handler: ResourceHandler<T>, cached: boolean): TypeClient {
    return new TypeClient(typeUrl, decode, handler as unknown as ResourceHandler<never>, cached ? this.#options.cache : undefined, this.#slices);
  }

  #subscribe(type: TypeClient, names: Iterable<string>): Subscription {
    if (this.#types.has(type.typeUrl)) throw new Error(`there is a subscription to ${type.typeUrl} already; add the names to that one`);
    this.#types.set(type.typeUrl, type);
    type.add(names);
    this.#flushSoon();
    return {
      names: type.names,
      add: (more) => {
        type.add(more);
        this.#flushSoon();
      },
      remove: (less) => {
        type.remove(less);
        this.#flushSoon();
      },
    };
  }

  /** Connects, and connects again whenever the stream ends. */
  start(): void {
    if (this.#started) return;
    this.#started = true;
    this.#startGrace();
    void this.#run();
  }

  close(): void {
    this.#stop.abort();
    this.#slices.close();
    clearTimeout(this.#grace);
    this.#stream?.cancel();
    this.#stream = undefined;
    this.#connection?.close();
    this.#options.cache?.close();
  }

  status(): AdsClientStatus {
    const types = Array.from(this.#types.values(), (type) => ({
      typeUrl: type.typeUrl,
      subscribed: type.names.size,
      known: type.knownCount,
      lastRejection: this.#rejections.get(type.typeUrl) ?? '',
    }));
    return { connected: this.#stream !== undefined, lastContactMs: this.#lastContactMs, lastError: this.#lastError, types };
  }

  async #run(): Promise<void> {
    const { target, backoff = DEFAULT_BACKOFF } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      let reason: string;
      try {
        reason = await this.#serveOneStream(target);
      } catch (error) {
        reason = (error as Error).message;
      }
      this.#stream = undefined;
      this.#connection?.close();
      this.#connection = undefined;
      if (signal.aborted) return;
      this.#lastError = reason;
      const retryInMs = backoffDelayMs(this.#attempt, backoff, Math.random());
      this.#attempt += 1;
      this.#emit({ kind: 'disconnected', target: targetText(target), reason, retryInMs });
      this.#goAway();
      await sleep(retryInMs, signal);
    }
  }

  /** Fulfilled with the reason when the stream ends. */
  async #serveOneStream(target: GrpcTarget): Promise<string> {
    const connection = await GrpcConnection.connect(target, this.#options.connection, this.#stop.signal);
    if (this.#stop.signal.aborted) {
      connection.close();
      return 'closed';
    }
    this.#connection = connection;
    connection.onPong = () => this.#heard();
    return new Promise<string>((resolve) => {
      this.#endStream = (reason) => {
        stream.cancel();
        resolve(reason);
      };
      this.#asked = new Set();
      this.#answered = new Set();
      this.#nodeSent = false;
      this.#unanswered = 0;
      this.#undecodedBytes = 0;
      this.#paused = false;
      const stream = connection.open(this.#options.methodPath ?? ADS_PATH, {
        onMessage: (message) => this.#receive(stream, message),
        onEnd: (error: GrpcError | undefined) => resolve(error?.message ?? 'the server ended the stream'),
      });
      this.#stream = stream;
      this.#lastError = '';
      this.#emit({ kind: 'connected', target: targetText(target) });
      this.#flush();
    });
  }

  #receive(stream: GrpcStream, message: Buffer): void {
    this.#heard();
    this.#unanswered += 1;
    this.#undecodedBytes += message.length;
    this.#pace(stream);
    void this.#take(stream, message);
  }

  /** A server that sends faster than its responses are taken waits. */
  #pace(stream: GrpcStream): void {
    const paused = this.#unanswered >= MAX_UNANSWERED || this.#undecodedBytes > MAX_UNDECODED_BYTES;
    if (paused === this.#paused) return;
    this.#paused = paused;
    if (paused) stream.pause();
    else stream.resume();
  }

  /** Of a stream that has ended by now it is taken too: the next one says what is held by its initial versions. */
  async #take(stream: GrpcStream, message: Buffer): Promise<void> {
    let answer: [TypeClient, RequestFields] | undefined;
    let fault = '';
    try {
      const response = await this.#slices.run(decodeSteps(DeltaDiscoveryResponseSchema, message));
      this.#attempt = 0;
      const type = this.#types.get(response.typeUrl);
      if (stream === this.#stream) {
        this.#undecodedBytes -= message.length;
        if (type !== undefined) this.#answered.add(type.typeUrl);
        this.#pace(stream);
      }
      if (type !== undefined) {
        this.#away = false;
        const reason = await type.deliver(response);
        this.#note(type, reason);
        const errorDetail = reason === undefined ? {} : { errorDetail: create(StatusSchema, { code: NACK_CODE, message: reason }) };
        answer = [type, { responseNonce: response.nonce, ...errorDetail }];
      }
    } catch (error) {
      fault = `a response cannot be read: ${(error as Error).message}`;
    }
    if (stream !== this.#stream) return;
    if (fault !== '') {
      this.#endStream(fault);
      return;
    }
    this.#unanswered -= 1;
    this.#pace(stream);
    if (answer !== undefined) this.#send(...answer);
  }

  #note(type: TypeClient, reason: string | undefined): void {
    if (reason === undefined) {
      this.#rejections.delete(type.typeUrl);
      return;
    }
    this.#rejections.set(type.typeUrl, reason);
    this.#emit({ kind: 'rejected', typeUrl: type.typeUrl, reason });
  }

  #heard(): void {
    this.#lastContactMs = Date.now();
    this.#options.cache?.contact(this.#lastContactMs);
  }

  /** Names that are added in one turn go out in one request. */
  #flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    queueMicrotask(() => {
      this.#flushing = false;
      if (this.#stop.signal.aborted) return;
      if (this.#stream !== undefined) this.#flush();
      if (this.#away) this.#serveCache();
    });
  }

  #flush(): void {
    for (const type of this.#types.values()) {
      if (!this.#asked.has(type.typeUrl)) {
        if (type.names.size === 0) continue;
        this.#asked.add(type.typeUrl);
        const { subscribe, initialVersions } = type.firstRequest();
        this.#send(type, { resourceNamesSubscribe: subscribe, initialResourceVersions: initialVersions });
      } else if (type.subscribeLater.size > 0 || type.unsubscribeLater.size > 0) {
        this.#send(type, { resourceNamesSubscribe: [...type.subscribeLater], resourceNamesUnsubscribe: [...type.unsubscribeLater] });
        type.subscribeLater.clear();
        type.unsubscribeLater.clear();
      }
    }
  }

  #send(type: TypeClient, request: RequestFields): void {
    const node = this.#nodeSent ? {} : { node: this.#options.node };
    this.#nodeSent = true;
    this.#stream?.send(toBinary(DeltaDiscoveryRequestSchema, create(DeltaDiscoveryRequestSchema, { typeUrl: type.typeUrl, ...node, ...request })));
  }

  #startGrace(): void {
    this.#grace = setTimeout(() => {
      for (const type of this.#types.values()) if (!this.#answered.has(type.typeUrl)) this.#deliverCached(type);
      if (this.#answered.size === 0) this.#away = true;
    }, this.#options.cacheGraceMs ?? DEFAULT_CACHE_GRACE_MS);
  }

  #goAway(): void {
    this.#away = true;
    this.#serveCache();
  }

  #serveCache(): void {
    for (const type of this.#types.values()) this.#deliverCached(type);
  }

  #deliverCached(type: TypeClient): void {
    if (!type.hasUndelivered) return;
    const resources = type.deliverCached();
    if (resources > 0) this.#emit({ kind: 'cache-used', typeUrl: type.typeUrl, resources, lastContactMs: this.#lastContactMs });
  }

  #emit(event: AdsClientEvent): void {
    this.#options.onEvent?.(event);
  }
}

// biome-ignore lint/correctness/useYield: nothing to decode takes no step.
function* asItIs(any: Any): Steps<Any> {
  return any;
}

function sleep(delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, delayMs);
    function done() {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
    signal.addEventListener('abort', done);
    if (signal.aborted) done();
  });
}
