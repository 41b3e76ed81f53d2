import { create, toBinary, type UnknownField } from '@bufbuild/protobuf';
import { type Empty, EmptySchema } from '@bufbuild/protobuf/wkt';
import { StreamAccessLogsResponseSchema } from '@outrigger/xds/protos/envoy/service/accesslog/v3/als';
import { type Backoff, backoffDelayMs } from '../client/backoff.ts';
import { GrpcConnection, type GrpcConnectionLimits, type GrpcStream } from '../grpc/connection.ts';
import type { ServerCall, ServerCallEvents, StreamMethods } from '../grpc/stream-method.ts';
import type { GrpcTarget } from '../grpc/target.ts';
import { decodeMessage } from '../grpc/unary-method.ts';

const ALS_PATH = '/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs';
/** `StreamAccessLogsMessage.identifier`: only the first message of a stream has it. */
const IDENTIFIER_FIELD = 1;
/** Kept for one downstream stream while the control plane is away or slow; beyond it the newest are dropped. */
const MAX_BUFFERED_BYTES = 1024 * 1024;
/** Envoy has one stream for each worker and log name. */
const MAX_STREAMS = 256;
const DEFAULT_BACKOFF: Backoff = { initialMs: 250, maxMs: 10_000 };

export interface AccessLogRelayOptions {
  readonly backoff?: Backoff;
  readonly connection?: Partial<GrpcConnectionLimits>;
}

/**
 * Passes access-log streams on, without looking into them: the messages are read as `Empty`, so that all their fields
 * stay the bytes that they were.
 */
export class AccessLogRelay {
  forwardedMessages = 0;
  droppedMessages = 0;
  readonly #target: GrpcTarget;
  readonly #options: AccessLogRelayOptions;
  readonly #streams = new Set<LogStream>();
  readonly #stop = new AbortController();
  #connection: GrpcConnection | undefined;
  #connecting = false;
  #attempt = 0;
  #retry: NodeJS.Timeout | undefined;

  constructor(target: GrpcTarget, options: AccessLogRelayOptions) {
    this.#target = target;
    this.#options = options;
  }

  get methods(): StreamMethods {
    return new Map([[ALS_PATH, (call: ServerCall) => this.#serve(call)]]);
  }

  close(): void {
    this.#stop.abort();
    clearTimeout(this.#retry);
    for (const stream of this.#streams) stream.cancel();
    this.#connection?.close();
  }

  #serve(call: ServerCall): ServerCallEvents {
    const stream = new LogStream(this, () => this.#connectLater());
    if (this.#streams.size < MAX_STREAMS) this.#streams.add(stream);
    return {
      onMessage: (bytes) => {
        if (this.#streams.has(stream)) {
          stream.take(decodeMessage(EmptySchema, bytes));
          this.#connect();
        } else this.droppedMessages += 1;
      },
      onFinish: () => {
        call.send(toBinary(StreamAccessLogsResponseSchema, create(StreamAccessLogsResponseSchema)));
        call.end();
      },
      onEnd: () => {
        this.#streams.delete(stream);
        stream.finish();
      },
    };
  }

  #connect(): void {
    if (this.#connection !== undefined && !this.#connection.closed) {
      for (const stream of this.#streams) stream.attach(this.#connection);
      return;
    }
    if (this.#connecting || this.#retry !== undefined || this.#stop.signal.aborted) return;
    this.#connecting = true;
    GrpcConnection.connect(this.#target, this.#options.connection, this.#stop.signal).then(
      (connection) => {
        this.#connecting = false;
        this.#connection = connection;
        if (this.#stop.signal.aborted) connection.close();
        else for (const stream of this.#streams) stream.attach(connection);
      },
      () => {
        this.#connecting = false;
        this.#connectLater();
      },
    );
  }

  #connectLater(): void {
    if (this.#retry !== undefined || this.#stop.signal.aborted) return;
    this.#retry = setTimeout(
      () => {
        this.#retry = undefined;
        if (this.#streams.size > 0) this.#connect();
      },
      backoffDelayMs(this.#attempt, this.#options.backoff ?? DEFAULT_BACKOFF, Math.random()),
    );
    this.#retry.unref();
    this.#attempt += 1;
  }

  noteForwarded(): void {
    this.forwardedMessages += 1;
    this.#attempt = 0;
  }
}

/** One downstream stream, its buffer, and its upstream stream while there is one. */
class LogStream {
  readonly #relay: AccessLogRelay;
  readonly #onLost: () => void;
  #identifier: UnknownField[] = [];
  #buffer: Empty[] = [];
  #bufferedBytes = 0;
  #upstream: GrpcStream | undefined;
  #identified = false;
  #blocked = false;
  #finished = false;

  constructor(relay: AccessLogRelay, onLost: () => void) {
    this.#relay = relay;
    this.#onLost = onLost;
  }

  take(message: Empty): void {
    const identifier = message.$unknown?.filter(({ no }) => no === IDENTIFIER_FIELD) ?? [];
    if (identifier.length > 0) {
      this.#identifier = identifier;
      message.$unknown = message.$unknown!.filter(({ no }) => no !== IDENTIFIER_FIELD);
    }
    const bytes = bytesOf(message);
    if (this.#bufferedBytes + bytes > MAX_BUFFERED_BYTES) {
      this.#relay.droppedMessages += 1;
      return;
    }
    this.#buffer.push(message);
    this.#bufferedBytes += bytes;
    this.#send();
  }

  attach(connection: GrpcConnection): void {
    if (this.#upstream !== undefined) return;
    this.#identified = false;
    this.#blocked = false;
    const upstream = connection.open(ALS_PATH, {
      onMessage: () => {},
      onDrain: () => {
        this.#blocked = false;
        this.#send();
      },
      onEnd: () => {
        if (this.#upstream === upstream) this.#upstream = undefined;
        if (!this.#finished) this.#onLost();
      },
    });
    this.#upstream = upstream;
    this.#send();
  }

  #send(): void {
    while (this.#upstream !== undefined && !this.#blocked && this.#buffer.length > 0) {
      const message = this.#buffer.shift()!;
      this.#bufferedBytes -= bytesOf(message);
      if (!this.#identified) {
        this.#identified = true;
        message.$unknown = [...this.#identifier, ...(message.$unknown ?? [])];
      }
      this.#blocked = !this.#upstream.send(toBinary(EmptySchema, message));
      this.#relay.noteForwarded();
    }
  }

  finish(): void {
    this.#finished = true;
    this.#relay.droppedMessages += this.#buffer.length;
    this.#upstream?.finish();
  }

  cancel(): void {
    this.#finished = true;
    this.#upstream?.cancel();
  }
}

function bytesOf(message: Empty): number {
  let bytes = 0;
  for (const { data } of message.$unknown ?? []) bytes += data.length;
  return bytes;
}
