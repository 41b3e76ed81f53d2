import {
  type HeaderList,
  type RequestHead,
  ResponseHead,
  type ServerConnection,
  type ServerConnectionEvents,
  type ServerStream,
  type StreamEvents,
} from '../http/message.ts';
import { Http1ServerConnection } from '../http1/server-connection.ts';
import { Http2ServerConnection } from '../http2/server-connection.ts';
import type { MemoryTransport } from '../net/memory-transport.ts';
import { TurnWriter } from '../net/turn-writer.ts';
import type { TestEngine } from './test-engine.ts';

export interface Reply {
  readonly headers?: HeaderList;
  readonly body?: string;
  readonly trailers?: HeaderList;
}

/** A request as an upstream has heard it so far, and the answering of it. */
export class Received implements StreamEvents {
  readonly head: RequestHead;
  readonly connection: UpstreamConnection;
  readonly #stream: ServerStream;
  body = '';
  ended: boolean;
  trailers: HeaderList = [];
  /** Why it ended early, '' while it has not. */
  reset = '';
  drains = 0;
  /** Called after each event. */
  onChange: () => void = () => {};

  constructor(connection: UpstreamConnection, stream: ServerStream, head: RequestHead, fin: boolean) {
    this.connection = connection;
    this.#stream = stream;
    this.head = head;
    this.ended = fin;
  }

  header(name: string): string | undefined {
    const at = this.head.headers.findIndex((text, i) => i % 2 === 0 && text.toLowerCase() === name);
    return at < 0 ? undefined : this.head.headers[at + 1];
  }

  respond(status: number, { headers = [], body = '', trailers }: Reply = {}): void {
    this.begin(status, headers, body === '' && trailers === undefined);
    if (body !== '') this.write(body, trailers === undefined);
    if (trailers !== undefined) this.#stream.sendTrailers(trailers);
  }

  /** The head alone. */
  begin(status: number, headers: HeaderList = [], fin = false, tunnel = false): boolean {
    const head = new ResponseHead();
    head.status = status;
    head.headers = [...headers];
    head.tunnel = tunnel;
    head.bodyLength = fin ? 0 : -1;
    return this.#stream.sendResponse(head, fin);
  }

  inform(status: number): void {
    const head = new ResponseHead();
    head.status = status;
    this.#stream.sendInformational(head);
  }

  write(text: string, fin = false): boolean {
    const bytes = Buffer.from(text, 'latin1');
    return this.#stream.sendBody(bytes, 0, bytes.length, fin);
  }

  finish(trailers: HeaderList): void {
    this.#stream.sendTrailers(trailers);
  }

  abort(): void {
    this.#stream.reset('LocalReset');
  }

  refuse(): void {
    this.#stream.reset('LocalRefusedStream');
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  onBody(buffer: Buffer, start: number, end: number, fin: boolean): void {
    this.body += buffer.latin1Slice(start, end);
    if (fin) this.ended = true;
    this.onChange();
  }

  onTrailers(trailers: HeaderList): void {
    this.trailers = trailers;
    this.ended = true;
    this.onChange();
  }

  onReset(reason: string): void {
    this.reset = reason;
    this.onChange();
  }

  onDrain(): void {
    this.drains++;
    this.onChange();
  }
}

/** One connection that the proxy has made to a test upstream. */
export class UpstreamConnection implements ServerConnectionEvents {
  readonly upstream: TestUpstream;
  readonly #transport: MemoryTransport;
  readonly #codec: ServerConnection;
  closed = false;

  constructor(upstream: TestUpstream, transport: MemoryTransport, engine: TestEngine) {
    this.upstream = upstream;
    this.#transport = transport;
    const writer = new TurnWriter(engine.runtime.turn, transport);
    this.#codec = upstream.http2
      ? new Http2ServerConnection(transport, writer, this, { ...engine.http2Options, maxConcurrentStreams: upstream.maxConcurrentStreams })
      : new Http1ServerConnection(transport, writer, this, engine.http1Options);
  }

  get sink(): ServerConnection {
    return this.#codec;
  }

  onRequest(stream: ServerStream, head: RequestHead, fin: boolean): void {
    const received = new Received(this, stream, head, fin);
    stream.events = received;
    this.upstream.requests.push(received);
    this.upstream.onRequest(received);
  }

  onClose(): void {
    this.closed = true;
    this.#transport.destroy();
  }

  /** FIN, as a server that has had enough of an idle connection. */
  end(): void {
    this.#transport.end();
  }

  destroy(): void {
    this.#transport.destroy();
  }

  /** GOAWAY, or `Connection: close`. */
  drain(): void {
    this.#codec.drain();
  }
}

/** An upstream in this process: an internal listener of its name that a test answers for. */
export class TestUpstream {
  readonly name: string;
  readonly http2: boolean;
  readonly maxConcurrentStreams: number;
  readonly requests: Received[] = [];
  readonly connections: UpstreamConnection[] = [];
  /** Called with each request's head. */
  onRequest: (received: Received) => void = () => {};

  constructor(engine: TestEngine, name: string, http2: boolean, maxConcurrentStreams = 1024) {
    this.name = name;
    this.http2 = http2;
    this.maxConcurrentStreams = maxConcurrentStreams;
    engine.runtime.internalListeners.set(name, (transport, setSink) => {
      const connection = new UpstreamConnection(this, transport, engine);
      this.connections.push(connection);
      setSink(connection.sink);
    });
  }

  /** Answers the requests, each when it is whole, one after another with these statuses; the last one for all that follow. */
  script(...statuses: number[]): this {
    let next = 0;
    return this.answer((received) => received.respond(statuses[Math.min(next++, statuses.length - 1)]!));
  }

  /** Calls back with each request that is whole. */
  answer(handle: (received: Received) => void): this {
    this.onRequest = (received) => {
      received.onChange = () => {
        if (received.ended) handle(received);
      };
      received.onChange();
    };
    return this;
  }

  get last(): Received {
    return this.requests.at(-1)!;
  }

  get open(): number {
    return this.connections.filter((connection) => !connection.closed).length;
  }
}
