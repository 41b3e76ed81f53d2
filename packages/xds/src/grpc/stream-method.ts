import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { Code, ConnectError } from '@connectrpc/connect';
import type { Caller } from '../source.ts';
import { frameMessage, MessageSplitter, MessageSplitterError } from './message-splitter.ts';

/** One call, as its method sees it. */
export interface ServerCall {
  readonly caller: Caller;
  /** false: the client takes no more for now; `onDrain` says when it does. */
  send(message: Uint8Array): boolean;
  /** With OK, or with the status of a `ConnectError`; of another error nothing is told. `onEnd` follows at once. */
  end(error?: unknown): void;
}

export interface ServerCallEvents {
  /** A throw ends the call. */
  onMessage(message: Uint8Array): void;
  /** The client has said all. */
  onFinish(): void;
  onDrain?(): void;
  /** Called once, last. undefined: it ended with OK, or the client has gone. */
  onEnd(error: unknown): void;
}

/**
 * A method of a service, from encoded messages to encoded messages. A throw refuses the call. Called back rather than iterated over: connect's handlers
 * pass each message through eight generators, which at 2,000 messages a second was most of a control plane's time, and hold them for as long as the
 * stream is open (npm run bench:control-plane).
 */
export type StreamMethod = (call: ServerCall) => ServerCallEvents;
/** By "/package.Service/Method". */
export type StreamMethods = ReadonlyMap<string, StreamMethod>;

/**
 * Written at once. From 16 kB on Node keeps 32 kB for what it encrypted, as long as the connection is there; else 16 kB. A control plane of a thousand
 * sidecars would hold 16 MB more for what each was sent at first.
 */
const SLICE_BYTES = 12 * 1024;

const HEAD = { ':status': 200, 'content-type': 'application/grpc' };

/** One call (gRPC over HTTP/2). */
export function serveStream(methods: StreamMethods, stream: ServerHttp2Stream, headers: IncomingHttpHeaders, caller: Caller, maxRequestBytes: number): void {
  stream.on('error', () => {});
  if (headers[':method'] !== 'POST' || !/^application\/grpc(?:$|[+;])/.test(headers['content-type'] ?? '')) {
    stream.respond({ ':status': 415 }, { endStream: true });
    hangUp(stream);
    return;
  }
  const path = String(headers[':path']);
  new Call(stream, caller).run(methods.get(path) ?? unimplemented(path), maxRequestBytes);
}

class Call implements ServerCall {
  readonly caller: Caller;
  readonly #stream: ServerHttp2Stream;
  #events: ServerCallEvents | undefined;
  #ended = false;
  /** Of a message that is too long for one write. */
  #rest: Buffer | undefined;
  /** To be done once that is written. */
  #last: (() => void) | undefined;

  constructor(stream: ServerHttp2Stream, caller: Caller) {
    this.#stream = stream;
    this.caller = caller;
  }

  run(method: StreamMethod, maxRequestBytes: number): void {
    const stream = this.#stream;
    const splitter = new MessageSplitter(maxRequestBytes);
    const onMessage = (message: Uint8Array): void => {
      if (!this.#ended) this.#events?.onMessage(message);
    };
    stream.on('data', (chunk: Buffer) => this.#guarded(() => splitter.push(chunk, onMessage)));
    stream.on('end', () => this.#guarded(() => this.#events?.onFinish()));
    stream.on('drain', () => this.#guarded(() => this.#rest === undefined && this.#events?.onDrain?.()));
    stream.on('close', () => this.#over(undefined));
    this.#guarded(() => {
      this.#events = method(this);
    });
  }

  #guarded(run: () => void): void {
    if (this.#ended) return;
    try {
      run();
    } catch (error) {
      this.end(error instanceof MessageSplitterError ? splitterFault(error) : error);
    }
  }

  send(message: Uint8Array): boolean {
    const stream = this.#stream;
    if (this.#ended || stream.destroyed || stream.closed) return true;
    if (!stream.headersSent) stream.respond(HEAD, { waitForTrailers: true });
    const frame = frameMessage(message);
    if (this.#rest === undefined && frame.length <= SLICE_BYTES) return stream.write(frame);
    const idle = this.#rest === undefined;
    this.#rest = idle ? frame : Buffer.concat([this.#rest!, frame]);
    if (idle) this.#writeSlice(this.#rest);
    return false;
  }

  /** The next when this has gone out. */
  #writeSlice(rest: Buffer): void {
    this.#rest = rest.subarray(SLICE_BYTES);
    this.#stream.write(rest.subarray(0, SLICE_BYTES), (error) => {
      const left = this.#rest;
      if (error != null || left === undefined) return;
      if (left.length > 0) {
        this.#writeSlice(left);
        return;
      }
      this.#rest = undefined;
      this.#last?.();
      this.#guarded(() => this.#events?.onDrain?.());
    });
  }

  end(error?: unknown): void {
    if (this.#ended) return;
    this.#over(error);
    const stream = this.#stream;
    if (stream.destroyed || stream.closed) return;
    const trailers = trailersOf(error);
    if (!stream.headersSent) {
      // "Trailers-Only": one HEADERS frame that ends the stream.
      stream.respond({ ...HEAD, ...trailers }, { endStream: true });
      hangUp(stream);
      return;
    }
    stream.once('wantTrailers', () => {
      stream.sendTrailers(trailers);
      hangUp(stream);
    });
    if (this.#rest === undefined) stream.end();
    else this.#last = () => stream.end();
  }

  #over(error: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#events?.onEnd(error);
  }
}

/** What the client still says is heard by nobody. A turn later, since Node writes trailers then. */
function hangUp(stream: ServerHttp2Stream): void {
  setImmediate(() => stream.close(constants.NGHTTP2_NO_ERROR));
}

function unimplemented(path: string): StreamMethod {
  return () => {
    throw new ConnectError(`there is no ${path} here`, Code.Unimplemented);
  };
}

function splitterFault({ code, message }: MessageSplitterError): ConnectError {
  return new ConnectError(message, code === 'too-large' ? Code.ResourceExhausted : Code.Unimplemented);
}

function trailersOf(error: unknown): Record<string, string> {
  if (error === undefined) return { 'grpc-status': '0' };
  const { code, rawMessage } = error instanceof ConnectError ? error : new ConnectError('internal error', Code.Internal);
  return { 'grpc-status': String(code), ...(rawMessage === '' ? {} : { 'grpc-message': encodeMessage(rawMessage) }) };
}

/** gRPC over HTTP/2, "Percent-Encoded". */
function encodeMessage(text: string): string {
  let encoded = '';
  for (const byte of new TextEncoder().encode(text))
    encoded += byte < 0x20 || byte > 0x7e || byte === 0x25 ? `%${byte.toString(16).toUpperCase().padStart(2, '0')}` : String.fromCharCode(byte);
  return encoded;
}
