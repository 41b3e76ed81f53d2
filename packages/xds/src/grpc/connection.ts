import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2, constants, type IncomingHttpHeaders } from 'node:http2';
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { frameMessage, MessageSplitter } from './message-splitter.ts';
import { spiffeIdOf } from './spiffe.ts';
import { type GrpcTarget, targetText } from './target.ts';

export interface GrpcConnectionLimits {
  /** TCP connect, TLS handshake and HTTP/2 settings together. */
  readonly connectTimeoutMs: number;
  /** HTTP/2 PING at this interval ... */
  readonly keepAliveIntervalMs: number;
  /** ... and how long its answer may take. */
  readonly keepAliveTimeoutMs: number;
  readonly maxMessageBytes: number;
}

export const DEFAULT_CONNECTION_LIMITS: GrpcConnectionLimits = {
  connectTimeoutMs: 5_000,
  keepAliveIntervalMs: 10_000,
  keepAliveTimeoutMs: 5_000,
  maxMessageBytes: 64 * 1024 * 1024,
};

const RECEIVE_WINDOW_BYTES = 1024 * 1024;

/** `status`: the server ended the call with a gRPC status. `transport`: connecting, TLS or the connection failed. `protocol`: the server broke gRPC. */
export type GrpcErrorCode = 'status' | 'transport' | 'protocol';

export class GrpcError extends Error {
  readonly code: GrpcErrorCode;
  /** gRPC status code; 14 (UNAVAILABLE) where there was none. */
  readonly status: number;

  constructor(code: GrpcErrorCode, message: string, status = 14, cause?: unknown) {
    super(message, { cause });
    this.code = code;
    this.status = status;
  }
}

export interface GrpcStreamEvents {
  /** The buffer is the callee's. A throw ends the stream. */
  onMessage(message: Buffer): void;
  /** Called once, last. undefined: the server ended it with OK. */
  onEnd(error: GrpcError | undefined): void;
  /** The stream takes more after a `false` of `send`. */
  onDrain?(): void;
}

/** One bidirectional call. */
export interface GrpcStream {
  /** false: wait for `onDrain` before the next. */
  send(message: Uint8Array): boolean;
  pause(): void;
  resume(): void;
  /** Ends the sending half; `onEnd` follows when the server has answered. */
  finish(): void;
  /** Ends it at once, without a call back. */
  cancel(): void;
}

/**
 * One HTTP/2 connection to a gRPC server, over mTLS or a Unix socket. It serves until it breaks; who holds it connects
 * anew. Written on node:http2 alone, since each sidecar loads it: connect's transport costs 100 ms and 10 MB at start.
 */
export class GrpcConnection {
  readonly #target: GrpcTarget;
  readonly #limits: GrpcConnectionLimits;
  readonly #session: ClientHttp2Session;
  #waitingForPong: NodeJS.Timeout | undefined;
  readonly #pings: NodeJS.Timeout;
  #brokenBy: string | undefined;
  /** Called at each sign of life that is not a message. */
  onPong: () => void = () => {};

  static async connect(target: GrpcTarget, limits: Partial<GrpcConnectionLimits> = {}, signal?: AbortSignal): Promise<GrpcConnection> {
    const all = { ...DEFAULT_CONNECTION_LIMITS, ...limits };
    const deadline = AbortSignal.timeout(all.connectTimeoutMs);
    const stop = signal === undefined ? deadline : AbortSignal.any([signal, deadline]);
    let socket: Socket | undefined;
    try {
      socket = await openSocket(target, stop);
      const connection = new GrpcConnection(target, socket, all);
      await connection.#ready(stop);
      return connection;
    } catch (error) {
      socket?.destroy();
      if (error instanceof GrpcError) throw error;
      const reason = deadline.aborted ? `no answer within ${all.connectTimeoutMs} ms` : error instanceof Error ? error.message : String(error);
      throw new GrpcError('transport', `cannot connect to ${targetText(target)}: ${reason}`, 14, error);
    }
  }

  private constructor(target: GrpcTarget, socket: Socket, limits: GrpcConnectionLimits) {
    this.#target = target;
    this.#limits = limits;
    const scheme = 'tls' in target && target.tls !== undefined ? 'https' : 'http';
    const authority = 'socketPath' in target ? 'localhost' : isIP(target.host) === 6 ? `[${target.host}]:${target.port}` : `${target.host}:${target.port}`;
    this.#session = connectHttp2(`${scheme}://${authority}`, {
      createConnection: () => socket,
      settings: { initialWindowSize: RECEIVE_WINDOW_BYTES, enablePush: false },
    });
    this.#session.on('error', (error) => {
      this.#brokenBy ??= error.message;
    });
    this.#session.on('goaway', () => {
      this.#brokenBy ??= 'the server is going away';
    });
    this.#session.once('close', () => {
      clearInterval(this.#pings);
      clearTimeout(this.#waitingForPong);
    });
    this.#pings = setInterval(() => this.#ping(), limits.keepAliveIntervalMs);
    this.#pings.unref();
  }

  get closed(): boolean {
    return this.#session.closed || this.#session.destroyed;
  }

  #ready(stop: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const failed = (error?: Error) => reject(error ?? new Error('the connection was closed before it was ready'));
      const aborted = () => failed(new Error('given up'));
      this.#session.once('remoteSettings', () => {
        this.#session.off('close', failed);
        stop.removeEventListener('abort', aborted);
        resolve();
      });
      this.#session.once('error', failed);
      this.#session.once('close', failed);
      stop.addEventListener('abort', aborted);
      if (stop.aborted) aborted();
    });
  }

  #ping(): void {
    if (this.closed || this.#waitingForPong !== undefined) return;
    this.#waitingForPong = setTimeout(() => {
      this.#brokenBy = `no answer to a keep-alive ping within ${this.#limits.keepAliveTimeoutMs} ms`;
      this.#session.destroy();
    }, this.#limits.keepAliveTimeoutMs);
    this.#waitingForPong.unref();
    this.#session.ping((error) => {
      clearTimeout(this.#waitingForPong);
      this.#waitingForPong = undefined;
      if (error === null) this.onPong();
    });
  }

  /** Starts a call; `path` is "/package.Service/Method". */
  open(path: string, events: GrpcStreamEvents): GrpcStream {
    const stream = this.#session.request(
      { ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers', 'grpc-accept-encoding': 'identity', 'user-agent': 'outrigger' },
      { endStream: false },
    );
    const call = new Call(stream, events, this.#limits.maxMessageBytes, (fallback) => `${targetText(this.#target)}: ${this.#brokenBy ?? fallback}`);
    return call;
  }

  close(): void {
    this.#session.destroy();
  }
}

class Call implements GrpcStream {
  readonly #stream: ClientHttp2Stream;
  readonly #events: GrpcStreamEvents;
  #ended = false;
  #error: Error | undefined;
  #httpStatus = 0;
  #trailers: IncomingHttpHeaders | undefined;

  constructor(stream: ClientHttp2Stream, events: GrpcStreamEvents, maxMessageBytes: number, explain: (fallback: string) => string) {
    this.#stream = stream;
    this.#events = events;
    const splitter = new MessageSplitter(maxMessageBytes);
    stream.on('response', (headers) => {
      this.#httpStatus = Number(headers[':status']);
      // Trailers-only response: the status is in the headers.
      if (headers['grpc-status'] !== undefined) this.#trailers = headers;
    });
    stream.on('trailers', (headers) => {
      this.#trailers = headers;
    });
    stream.on('data', (chunk: Buffer) => {
      if (this.#ended || this.#httpStatus !== 200) return;
      try {
        splitter.push(chunk, (message) => {
          if (!this.#ended) events.onMessage(message);
        });
      } catch (error) {
        this.#end(new GrpcError('protocol', explain((error as Error).message), 13, error));
        stream.close(constants.NGHTTP2_CANCEL);
      }
    });
    stream.on('drain', () => {
      if (!this.#ended) events.onDrain?.();
    });
    stream.on('error', (error) => {
      this.#error = error;
    });
    // The server has said all; our half is still open, and nothing that could be said on it would be heard.
    stream.on('end', () => {
      this.#end(this.#outcome(explain));
      stream.close(constants.NGHTTP2_NO_ERROR);
    });
    stream.on('close', () => this.#end(this.#outcome(explain)));
  }

  #outcome(explain: (fallback: string) => string): GrpcError | undefined {
    const status = this.#trailers?.['grpc-status'];
    if (status === '0') return undefined;
    if (status !== undefined)
      return new GrpcError('status', decodeMessage(String(this.#trailers?.['grpc-message'] ?? '')) || `gRPC status ${status}`, Number(status));
    if (this.#httpStatus !== 0 && this.#httpStatus !== 200)
      return new GrpcError('protocol', explain(`HTTP status ${this.#httpStatus}; is this a gRPC server?`), 14);
    return new GrpcError('transport', explain(this.#error?.message ?? 'the connection was closed'), 14, this.#error);
  }

  #end(error: GrpcError | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#events.onEnd(error);
  }

  send(message: Uint8Array): boolean {
    if (this.#ended || this.#stream.destroyed || this.#stream.closed) return true;
    return this.#stream.write(frameMessage(message));
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  finish(): void {
    this.#stream.end();
  }

  cancel(): void {
    this.#ended = true;
    this.#stream.close(constants.NGHTTP2_CANCEL);
  }
}

async function openSocket(target: GrpcTarget, stop: AbortSignal): Promise<Socket> {
  if ('socketPath' in target) return connected(connectTcp({ path: target.socketPath }), 'connect', stop);
  if (target.tls === undefined) return connected(connectTcp({ host: target.host, port: target.port, noDelay: true }), 'connect', stop);
  const { secureContext, serverSpiffeId } = await target.tls();
  const socket = connectTls({
    host: target.host,
    port: target.port,
    secureContext,
    ALPNProtocols: ['h2'],
    minVersion: 'TLSv1.2',
    // No session is offered: a resumed one would skip the check below.
    checkServerIdentity: (_host, certificate) => {
      const shown = spiffeIdOf(certificate.subjectaltname);
      if (shown === serverSpiffeId) return undefined;
      return new Error(`the server shows the identity ${shown ?? 'of no SPIFFE id'}; expected ${serverSpiffeId}`);
    },
  });
  socket.setNoDelay(true);
  await connected(socket, 'secureConnect', stop);
  if (socket.alpnProtocol === 'h2') return socket;
  socket.destroy();
  throw new Error('the server does not speak HTTP/2 over this TLS connection');
}

function connected<S extends Socket>(socket: S, event: 'connect' | 'secureConnect', stop: AbortSignal): Promise<S> {
  return new Promise((resolve, reject) => {
    const done = () => {
      socket.off('error', failed);
      socket.off('close', closed);
      stop.removeEventListener('abort', aborted);
    };
    const failed = (error: Error) => {
      done();
      socket.destroy();
      reject(error);
    };
    const closed = () => failed(new Error('the server closed the connection'));
    const aborted = () => failed(new Error('given up'));
    socket.once(event, () => {
      done();
      resolve(socket);
    });
    socket.once('error', failed);
    socket.once('close', closed);
    stop.addEventListener('abort', aborted);
    if (stop.aborted) aborted();
  });
}

/** grpc-message is percent-encoded (gRPC over HTTP/2, "Responses"); a wrong encoding is shown as it is. */
function decodeMessage(encoded: string): string {
  try {
    return decodeURIComponent(encoded);
  } catch {
    return encoded;
  }
}
