import type { MessageShape } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import type { Node } from '@outrigger/xds/protos/envoy/config/core/v3/base';
import {
  type DeltaDiscoveryRequest,
  DeltaDiscoveryRequestSchema,
  type DiscoveryRequest,
  DiscoveryRequestSchema,
} from '@outrigger/xds/protos/envoy/service/discovery/v3/discovery';
import type { ServerCall, ServerCallEvents, StreamMethod, StreamMethods } from '../grpc/stream-method.ts';
import { decodeMessage } from '../grpc/unary-method.ts';
import type { Caller, ResourceSource, TypeUrl } from '../source.ts';
import { DeltaSubscription } from './delta-subscription.ts';
import { encodeDeltaResponse, encodeSotwResponse } from './encode-response.ts';
import { type AdsLimits, DEFAULT_ADS_LIMITS, SubscriptionLimitError } from './limits.ts';
import { SotwSubscription } from './sotw-subscription.ts';
import type { AdsObserver, StreamStatus } from './status.ts';
import { DiscoveryStream, isTypeUrl, type StreamClock, type StreamService, type TypedPush } from './stream.ts';
import type { RequestOutcome, TypeSubscription } from './subscriptions.ts';

export interface AdsServerOptions {
  readonly observer?: AdsObserver;
  readonly limits?: Partial<AdsLimits>;
  readonly clock?: StreamClock;
}

/** A discovery service for a gRPC server, and what is known of its streams. */
export interface DiscoveryRoutes {
  readonly methods: StreamMethods;
  streams(): readonly StreamStatus[];
  /** Ends every stream with UNAVAILABLE: the clients come back by themselves. */
  close(): void;
}

/** `AggregatedDiscoveryService`, delta and state of the world, of what the source has. */
export function createAdsRoutes(source: ResourceSource, options: AdsServerOptions = {}): DiscoveryRoutes {
  const service = new DiscoveryService(source, options);
  const path = '/envoy.service.discovery.v3.AggregatedDiscoveryService/';
  return {
    methods: new Map([
      [`${path}DeltaAggregatedResources`, service.delta],
      [`${path}StreamAggregatedResources`, service.sotw],
    ]),
    streams: () => service.streams(),
    close: () => service.close(),
  };
}

interface OpenStream {
  readonly stream: { status(): StreamStatus };
  readonly call: ServerCall;
}

/** The streams of one service. `onlyType`: of a service of one type (SDS), whose requests need not name it. */
export class DiscoveryService {
  readonly delta: StreamMethod;
  readonly sotw: StreamMethod;
  readonly #onlyType: TypeUrl | undefined;
  readonly #streams = new Map<number, OpenStream>();
  readonly #open = new Map<string, number>();
  #openTotal = 0;
  #lastId = 0;

  constructor(source: ResourceSource, options: AdsServerOptions, onlyType?: TypeUrl) {
    this.#onlyType = onlyType;
    const limits = { ...DEFAULT_ADS_LIMITS, ...options.limits };
    const common = { source, limits, clock: options.clock ?? systemClock, observer: options.observer ?? {} };
    this.delta = this.#method(
      { ...common, protocol: 'delta', makeSubscription: (typeUrl) => new DeltaSubscription(typeUrl, limits) },
      DeltaDiscoveryRequestSchema,
      (subscription, request) =>
        subscription.request({
          subscribe: request.resourceNamesSubscribe,
          unsubscribe: request.resourceNamesUnsubscribe,
          initialVersions: request.initialResourceVersions,
          nonce: request.responseNonce,
          error: request.errorDetail?.message,
        }),
      encodeDeltaResponse,
    );
    this.sotw = this.#method(
      { ...common, protocol: 'sotw', makeSubscription: (typeUrl) => new SotwSubscription(typeUrl, limits) },
      DiscoveryRequestSchema,
      (subscription, request) => subscription.request({ names: request.resourceNames, nonce: request.responseNonce, error: request.errorDetail?.message }),
      encodeSotwResponse,
    );
  }

  streams(): readonly StreamStatus[] {
    return Array.from(this.#streams.values(), ({ stream }) => stream.status());
  }

  close(): void {
    for (const { call } of [...this.#streams.values()]) call.end(new ConnectError('the server ends this stream; connect again', Code.Unavailable));
  }

  #method<Schema extends typeof DeltaDiscoveryRequestSchema | typeof DiscoveryRequestSchema, S extends TypeSubscription>(
    service: StreamService<S>,
    schema: Schema,
    apply: (subscription: S, request: MessageShape<Schema>) => RequestOutcome,
    encode: (push: TypedPush) => Uint8Array,
  ): StreamMethod {
    return (call) => this.#serve(service, call, (bytes) => decodeMessage(schema, bytes), apply, encode);
  }

  #serve<Request extends DeltaDiscoveryRequest | DiscoveryRequest, S extends TypeSubscription>(
    service: StreamService<S>,
    call: ServerCall,
    decodeRequest: (bytes: Uint8Array) => Request,
    apply: (subscription: S, request: Request) => RequestOutcome,
    encode: (push: TypedPush) => Uint8Array,
  ): ServerCallEvents {
    const { limits, clock, observer } = service;
    const { caller } = call;
    this.#admit(caller, service);
    let stream: DiscoveryStream<S> | undefined;
    let writable = true;
    const cancelTimer = clock.after(limits.firstRequestTimeoutMs, () =>
      call.end(new ConnectError(`no request within ${limits.firstRequestTimeoutMs} ms`, Code.DeadlineExceeded)),
    );
    const send = (): void => {
      while (writable) {
        const push = stream?.next();
        if (push === undefined) return;
        writable = call.send(encode(push));
      }
    };
    return {
      onMessage: (bytes) => {
        const request = decodeRequest(bytes);
        if (stream === undefined) {
          cancelTimer();
          stream = this.#openStream(service, request.node, call, send);
        }
        const typeUrl = this.#onlyType ?? request.typeUrl;
        // A type that we do not have is not answered: the client's other types must not suffer from it.
        if (isTypeUrl(typeUrl)) stream.receive(typeUrl, (subscription) => withinLimits(() => apply(subscription, request)));
      },
      onFinish: () => call.end(),
      onDrain: () => {
        writable = true;
        send();
      },
      onEnd: (error) => {
        cancelTimer();
        this.#leave(caller);
        const reason = error instanceof ConnectError ? error.rawMessage : error === undefined ? '' : String(error);
        if (stream === undefined) {
          if (error !== undefined) observer.refused?.(caller, reason);
          return;
        }
        this.#streams.delete(stream.id);
        stream.close();
        observer.closed?.(stream.status(), reason);
      },
    };
  }

  #openStream<S extends TypeSubscription>(service: StreamService<S>, node: Node | undefined, call: ServerCall, send: () => void): DiscoveryStream<S> {
    if (node === undefined) throw new ConnectError('the first request of a discovery stream must carry the node', Code.InvalidArgument);
    this.#lastId += 1;
    const stream = new DiscoveryStream(service, this.#lastId, node, call.caller, send);
    this.#streams.set(stream.id, { stream, call });
    service.observer.opened?.(stream.status());
    return stream;
  }

  #admit(caller: Caller, { limits, observer }: Pick<StreamService<TypeSubscription>, 'limits' | 'observer'>): void {
    const key = callerText(caller);
    const open = this.#open.get(key) ?? 0;
    if (this.#openTotal >= limits.maxStreams || open >= limits.maxStreamsPerCaller) {
      const reason = `too many discovery streams (${open} of ${key}, ${this.#openTotal} in all)`;
      observer.refused?.(caller, reason);
      throw new ConnectError(reason, Code.ResourceExhausted);
    }
    this.#open.set(key, open + 1);
    this.#openTotal += 1;
  }

  #leave(caller: Caller): void {
    const key = callerText(caller);
    const open = (this.#open.get(key) ?? 1) - 1;
    if (open === 0) this.#open.delete(key);
    else this.#open.set(key, open);
    this.#openTotal -= 1;
  }
}

/** The identity, or the address without its port, which changes with each connection. */
function callerText(caller: Caller): string {
  if (caller.spiffeId !== undefined) return caller.spiffeId;
  const colon = caller.remote.lastIndexOf(':');
  return colon < 0 ? caller.remote : caller.remote.slice(0, colon);
}

function withinLimits<Result>(run: () => Result): Result {
  try {
    return run();
  } catch (error) {
    throw error instanceof SubscriptionLimitError ? new ConnectError(error.message, Code.ResourceExhausted) : error;
  }
}

const systemClock: StreamClock = {
  now: () => Date.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
};
