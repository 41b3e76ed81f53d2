import {
  type ClientConnection,
  type ClientConnectionEvents,
  type ClientStream,
  type HeaderList,
  RequestHead,
  type ResponseEvents,
  type ResponseHead,
} from '../http/message.ts';
import { Http1ClientConnection } from '../http1/client-connection.ts';
import { Http2ClientConnection } from '../http2/client-connection.ts';
import type { MemoryTransport } from '../net/memory-transport.ts';
import { TurnWriter } from '../net/turn-writer.ts';
import type { TestEngine } from './test-engine.ts';

export interface Asked {
  readonly method?: string;
  readonly path?: string;
  readonly authority?: string;
  readonly headers?: HeaderList;
  /** Content; undefined: none. */
  readonly body?: string;
  /** More content follows by `write`. */
  readonly open?: boolean;
  /** Upgrade token. */
  readonly protocol?: string;
  /** Declared length of what follows by `write`; default: not known. */
  readonly length?: number;
}

/** One call and what came back so far. */
export class Call implements ResponseEvents {
  #stream!: ClientStream;
  /** 0: no answer yet. */
  status = 0;
  headers: HeaderList = [];
  body = '';
  trailers: HeaderList = [];
  informational: number[] = [];
  /** The answer is whole. */
  ended = false;
  /** Why it was cut, '' where it was not. */
  reset = '';
  drains = 0;
  /** How often it came to an end: whole, or cut. */
  ends = 0;
  /** Called after each event. */
  onChange: () => void = () => {};

  attach(stream: ClientStream): void {
    this.#stream = stream;
  }

  get over(): boolean {
    return this.ends > 0;
  }

  header(name: string): string | undefined {
    const at = this.headers.findIndex((text, i) => i % 2 === 0 && text.toLowerCase() === name);
    return at < 0 ? undefined : this.headers[at + 1];
  }

  write(text: string, fin = false): boolean {
    const bytes = Buffer.from(text, 'latin1');
    return this.#stream.sendBody(bytes, 0, bytes.length, fin);
  }

  finish(trailers: HeaderList): void {
    this.#stream.sendTrailers(trailers);
  }

  /** Gives it up: RST_STREAM, or the end of the connection. */
  abort(): void {
    if (this.over) return;
    this.reset = 'LocalReset';
    this.ends++;
    this.#stream.reset('LocalReset');
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  onInformational(head: ResponseHead): void {
    this.informational.push(head.status);
    this.onChange();
  }

  onResponse(head: ResponseHead, fin: boolean): void {
    this.status = head.status;
    this.headers = head.headers;
    if (fin) this.#end();
    this.onChange();
  }

  onBody(buffer: Buffer, start: number, end: number, fin: boolean): void {
    this.body += buffer.latin1Slice(start, end);
    if (fin) this.#end();
    this.onChange();
  }

  onTrailers(trailers: HeaderList): void {
    this.trailers = trailers;
    this.#end();
    this.onChange();
  }

  onReset(reason: string): void {
    this.reset = reason;
    this.ends++;
    this.onChange();
  }

  onDrain(): void {
    this.drains++;
    this.onChange();
  }

  #end(): void {
    this.ended = true;
    this.ends++;
  }
}

/** One downstream connection, of our own client codec. */
export class TestClient implements ClientConnectionEvents {
  readonly #engine: TestEngine;
  readonly #transport: MemoryTransport;
  readonly #codec: ClientConnection;
  closed = false;
  draining = false;

  constructor(engine: TestEngine, transport: MemoryTransport, http2: boolean) {
    this.#engine = engine;
    this.#transport = transport;
    const writer = new TurnWriter(engine.runtime.turn, transport);
    this.#codec = http2
      ? new Http2ClientConnection(transport, writer, this, engine.http2Options)
      : new Http1ClientConnection(transport, writer, this, engine.http1Options);
    transport.sink = this.#codec;
  }

  get capacity(): number {
    return this.#codec.capacity;
  }

  /** Sends a request; it is under way when this returns. */
  send(asked: Asked = {}): Call {
    const head = new RequestHead();
    const { body, open = false, protocol = '', length = -1 } = asked;
    head.method = asked.method ?? (body === undefined && !open ? 'GET' : 'POST');
    head.path = asked.path ?? '/';
    head.authority = asked.authority ?? 'service';
    head.headers = [...(asked.headers ?? [])];
    head.protocol = protocol;
    const tunnel = protocol !== '' || head.method === 'CONNECT';
    const fin = body === undefined && !open && !tunnel;
    head.bodyLength = fin ? 0 : open || tunnel ? length : body!.length;
    if (head.bodyLength > 0) head.headers.push('content-length', String(head.bodyLength));
    const call = new Call();
    call.attach(this.#codec.request(head, fin, call));
    if (body !== undefined) call.write(body, !open);
    return call;
  }

  /** Sends it and lets time pass until it has come to an end. */
  async call(asked: Asked = {}): Promise<Call> {
    const call = this.send(asked);
    await this.#engine.until(() => call.over);
    return call;
  }

  end(): void {
    this.#transport.end();
  }

  destroy(): void {
    this.#transport.destroy();
  }

  onCapacity(): void {}

  onDraining(): void {
    this.draining = true;
  }

  onClose(): void {
    this.closed = true;
    this.#transport.destroy();
  }
}
