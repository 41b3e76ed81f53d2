import { create, type DescMessage, fromBinary, type MessageShape, toBinary } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import {
  type DeltaDiscoveryRequest,
  DeltaDiscoveryRequestSchema,
  type DeltaDiscoveryResponse,
  DeltaDiscoveryResponseSchema,
  type DiscoveryRequest,
  DiscoveryRequestSchema,
  type DiscoveryResponse,
  DiscoveryResponseSchema,
  ResourceSchema,
} from '@outrigger/xds/protos/envoy/service/discovery/v3/discovery';
import type { StreamContext, StreamMethod, StreamMethods } from '../grpc/stream-method.ts';
import { type Caller, type ResourceSource, TypeUrl } from '../source.ts';
import { DeltaSubscription } from './delta-subscription.ts';
import { type AdsLimits, DEFAULT_ADS_LIMITS, SubscriptionLimitError } from './limits.ts';
import { SotwSubscription } from './sotw-subscription.ts';
import type { AdsObserver, StreamStatus } from './status.ts';
import { DiscoveryStream, isTypeUrl, type StreamClock, type TypedPush } from './stream.ts';
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

type AnyStream = DiscoveryStream<TypeSubscription>;

/** The streams of one service. `onlyType`: of a service of one type (SDS), whose requests need not name it. */
export class DiscoveryService {
  readonly #source: ResourceSource;
  readonly #observer: AdsObserver;
  readonly #limits: AdsLimits;
  readonly #clock: StreamClock;
  readonly #onlyType: TypeUrl | undefined;
  readonly #streams = new Map<number, AnyStream>();
  readonly #open = new Map<string, number>();
  #openTotal = 0;
  #lastId = 0;

  constructor(source: ResourceSource, options: AdsServerOptions, onlyType?: TypeUrl) {
    this.#source = source;
    this.#observer = options.observer ?? {};
    this.#limits = { ...DEFAULT_ADS_LIMITS, ...options.limits };
    this.#clock = options.clock ?? systemClock;
    this.#onlyType = onlyType;
  }

  streams(): readonly StreamStatus[] {
    return Array.from(this.#streams.values(), (stream) => stream.status());
  }

  close(): void {
    for (const stream of this.#streams.values()) stream.close();
  }

  readonly delta: StreamMethod = (requests, context) =>
    this.#serve(
      decoded(DeltaDiscoveryRequestSchema, requests),
      context,
      'delta',
      (typeUrl) => new DeltaSubscription(typeUrl, this.#limits),
      (subscription, request) =>
        subscription.request({
          subscribe: request.resourceNamesSubscribe,
          unsubscribe: request.resourceNamesUnsubscribe,
          initialVersions: request.initialResourceVersions,
          nonce: request.responseNonce,
          error: request.errorDetail?.message,
        }),
      (push) => toBinary(DeltaDiscoveryResponseSchema, deltaResponse(push)),
    );

  readonly sotw: StreamMethod = (requests, context) =>
    this.#serve(
      decoded(DiscoveryRequestSchema, requests),
      context,
      'sotw',
      (typeUrl) => new SotwSubscription(typeUrl, this.#limits),
      (subscription, request) => subscription.request({ names: request.resourceNames, nonce: request.responseNonce, error: request.errorDetail?.message }),
      (push) => toBinary(DiscoveryResponseSchema, sotwResponse(push)),
    );

  async *#serve<Request extends DeltaDiscoveryRequest | DiscoveryRequest, S extends TypeSubscription>(
    requests: AsyncIterable<Request>,
    context: StreamContext,
    protocol: 'delta' | 'sotw',
    makeSubscription: (typeUrl: TypeUrl) => S,
    apply: (subscription: S, request: Request) => RequestOutcome,
    encode: (push: TypedPush) => Uint8Array,
  ): AsyncIterable<Uint8Array> {
    const { caller } = context;
    this.#admit(caller);
    let stream: DiscoveryStream<S> | undefined;
    let end: 'client' | ConnectError | undefined;
    const hangUp = () => stream?.close();
    try {
      const iterator = requests[Symbol.asyncIterator]();
      const first = await this.#first(iterator);
      if (first === undefined) return;
      if (first.node === undefined) throw new ConnectError('the first request of a discovery stream must carry the node', Code.InvalidArgument);
      this.#lastId += 1;
      stream = new DiscoveryStream(this.#lastId, protocol, first.node, caller, this.#source, makeSubscription, this.#limits, this.#clock, this.#observer);
      this.#streams.set(stream.id, stream as unknown as AnyStream);
      this.#observer.opened?.(stream.status());
      context.signal.addEventListener('abort', hangUp);
      if (context.signal.aborted) return;
      const live = stream;
      void this.#read(first, iterator, live, apply).then((how) => {
        end = how;
        live.close();
      });
      while (!live.closed) {
        const push = live.next();
        if (push === undefined) await live.wait();
        else yield encode(push);
      }
      if (end === 'client' || context.signal.aborted) return;
      throw end ?? new ConnectError('the server ends this stream; connect again', Code.Unavailable);
    } catch (error) {
      if (stream === undefined) this.#observer.refused?.(caller, error instanceof Error ? error.message : String(error));
      throw error;
    } finally {
      context.signal.removeEventListener('abort', hangUp);
      this.#leave(caller);
      if (stream !== undefined) {
        this.#streams.delete(stream.id);
        const status = stream.status();
        stream.close();
        this.#observer.closed?.(status, end instanceof ConnectError ? end.rawMessage : '');
      }
    }
  }

  /** Applies requests until the client ends; returns that, or why the stream must fail. */
  async #read<Request extends DeltaDiscoveryRequest | DiscoveryRequest, S extends TypeSubscription>(
    first: Request,
    rest: AsyncIterator<Request>,
    stream: DiscoveryStream<S>,
    apply: (subscription: S, request: Request) => RequestOutcome,
  ): Promise<'client' | ConnectError> {
    try {
      for (let request = first; ; ) {
        const typeUrl = this.#onlyType ?? request.typeUrl;
        // A type that we do not have is not answered: the client's other types must not suffer from it.
        if (isTypeUrl(typeUrl)) stream.receive(typeUrl, (subscription) => apply(subscription, request));
        const following = await rest.next();
        if (following.done === true) break;
        request = following.value;
      }
      return 'client';
    } catch (error) {
      if (error instanceof SubscriptionLimitError) return new ConnectError(error.message, Code.ResourceExhausted);
      return ConnectError.from(error);
    }
  }

  async #first<Request>(iterator: AsyncIterator<Request>): Promise<Request | undefined> {
    let cancel = () => {};
    const tooLate = new Promise<never>((_, reject) => {
      const { firstRequestTimeoutMs } = this.#limits;
      cancel = this.#clock.after(firstRequestTimeoutMs, () => reject(new ConnectError(`no request within ${firstRequestTimeoutMs} ms`, Code.DeadlineExceeded)));
    });
    try {
      const first = await Promise.race([iterator.next(), tooLate]);
      return first.done === true ? undefined : first.value;
    } finally {
      cancel();
    }
  }

  #admit(caller: Caller): void {
    const key = callerText(caller);
    const open = this.#open.get(key) ?? 0;
    if (this.#openTotal >= this.#limits.maxStreams || open >= this.#limits.maxStreamsPerCaller) {
      const reason = `too many discovery streams (${open} of ${key}, ${this.#openTotal} in all)`;
      this.#observer.refused?.(caller, reason);
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

async function* decoded<Schema extends DescMessage>(schema: Schema, requests: AsyncIterable<Uint8Array>): AsyncIterable<MessageShape<Schema>> {
  for await (const bytes of requests) {
    let request: MessageShape<Schema>;
    try {
      request = fromBinary(schema, bytes);
    } catch {
      throw new ConnectError(`this is no ${schema.typeName}`, Code.InvalidArgument);
    }
    yield request;
  }
}

function deltaResponse({ typeUrl, push, version }: TypedPush): DeltaDiscoveryResponse {
  const resources = push.resources.map((resource) =>
    create(ResourceSchema, {
      name: resource.name,
      version: resource.version,
      aliases: resource.aliases === undefined ? [] : [...resource.aliases],
      resource: resource.body,
    }),
  );
  const removed = [...push.removed];
  if (typeUrl !== TypeUrl.virtualHost) removed.push(...push.absent);
  // VHDS: a host that is not there is said by a resource without a body, so that the waiting request finds its answer.
  else for (const name of push.absent) resources.push(create(ResourceSchema, { name, aliases: [name] }));
  return create(DeltaDiscoveryResponseSchema, { typeUrl, nonce: push.nonce, systemVersionInfo: version, resources, removedResources: removed });
}

function sotwResponse({ typeUrl, push, version }: TypedPush): DiscoveryResponse {
  return create(DiscoveryResponseSchema, { typeUrl, nonce: push.nonce, versionInfo: version, resources: push.resources.map((resource) => resource.body) });
}

const systemClock: StreamClock = {
  now: () => Date.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
};
