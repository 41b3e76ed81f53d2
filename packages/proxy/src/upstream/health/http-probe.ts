import type { Runtime } from '../../engine/runtime.ts';
import {
  type ClientConnection,
  type ClientConnectionEvents,
  type HeaderList,
  RequestHead,
  type ResetReason,
  type ResponseEvents,
  type ResponseHead,
} from '../../http/message.ts';
import { Http1ClientConnection } from '../../http1/client-connection.ts';
import type { Http1Options } from '../../http1/options.ts';
import { Http2ClientConnection } from '../../http2/client-connection.ts';
import type { Http2Options } from '../../http2/options.ts';
import type { ByteSink } from '../../net/byte-sink.ts';
import { TurnWriter } from '../../net/turn-writer.ts';
import type { CheckFailure } from '../../resilience/active-health.ts';
import { UpstreamTransport, type UpstreamTransportEvents } from '../upstream-transport.ts';
import type { Probe, ProbeEvents, ProbeTarget } from './probe.ts';

/** As Envoy's, so that applications that leave checks out of their logs know ours too. */
export const HEALTH_CHECK_USER_AGENT = 'Envoy/HC';

export interface ProbeCodecs {
  readonly http1: Http1Options;
  readonly http2: Http2Options;
}

/** What is asked, and what an answer means. One check at a time. */
export interface HttpProbeKind {
  readonly http2: boolean;
  request(target: ProbeTarget): { readonly head: RequestHead; readonly body: Buffer };
  begin(): void;
  onHead(head: ResponseHead): void;
  onBody(buffer: Buffer, start: number, end: number): void;
  /** The answer is whole. */
  verdict(trailers: HeaderList, events: ProbeEvents): void;
}

export function requestHead(method: string, path: string, target: ProbeTarget, headers: HeaderList, bodyLength: number): RequestHead {
  const head = new RequestHead();
  head.method = method;
  head.path = path;
  head.scheme = target.socket === null ? 'http' : 'https';
  head.authority = target.authority;
  head.headers = headers;
  head.bodyLength = bodyLength;
  return head;
}

/** Checks over HTTP, on one connection while it lasts. */
export class HttpProbe implements Probe {
  readonly runtime: Runtime;
  readonly codecs: ProbeCodecs;
  readonly kind: HttpProbeKind;
  readonly #target: ProbeTarget;
  readonly #reuse: boolean;
  readonly #events: ProbeEvents;
  #connection: ProbeConnection | null = null;
  #underWay = false;

  constructor(runtime: Runtime, codecs: ProbeCodecs, kind: HttpProbeKind, target: ProbeTarget, reuse: boolean, events: ProbeEvents) {
    this.runtime = runtime;
    this.codecs = codecs;
    this.kind = kind;
    this.#target = target;
    this.#reuse = reuse;
    this.#events = events;
  }

  check(): void {
    this.#underWay = true;
    this.kind.begin();
    if (this.#connection?.reusable === false) {
      this.#connection.close();
      this.#connection = null;
    }
    if (this.#connection === null) {
      this.#connection = new ProbeConnection(this);
      this.#connection.open(this.#target);
    } else this.ask(this.#connection);
  }

  ask(connection: ProbeConnection): void {
    const { head, body } = this.kind.request(this.#target);
    connection.request(head, body);
  }

  giveUp(): void {
    this.close();
  }

  close(): void {
    this.#underWay = false;
    const connection = this.#connection;
    this.#connection = null;
    connection?.close();
  }

  onAnswer(connection: ProbeConnection, trailers: HeaderList): void {
    if (connection !== this.#connection || !this.#underWay) return;
    this.#underWay = false;
    if (!this.#reuse) this.close();
    this.kind.verdict(trailers, this.#events);
  }

  onFailed(connection: ProbeConnection, failure: CheckFailure): void {
    if (connection !== this.#connection) return;
    const wasUnderWay = this.#underWay;
    this.close();
    if (wasUnderWay) this.#events.onFailed(failure, false, false);
  }
}

class ProbeConnection implements UpstreamTransportEvents, ByteSink, ClientConnectionEvents, ResponseEvents {
  readonly #probe: HttpProbe;
  readonly #transport: UpstreamTransport;
  #codec: ClientConnection | null = null;
  #closed = false;

  constructor(probe: HttpProbe) {
    this.#probe = probe;
    this.#transport = new UpstreamTransport(probe.runtime, this);
  }

  /** False once the peer has said that it takes no more (GOAWAY, Connection: close). */
  get reusable(): boolean {
    return this.#codec !== null && this.#codec.capacity > 0;
  }

  open({ address, socket, timeoutMs, how }: ProbeTarget): void {
    this.#transport.connect(address, socket, '', timeoutMs, how);
  }

  request(head: RequestHead, body: Buffer): void {
    const stream = this.#codec!.request(head, body.length === 0, this);
    if (body.length > 0) stream.sendBody(body, 0, body.length, true);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#codec === null) this.#transport.abort();
    else this.#transport.transport.destroy();
  }

  onOpen(): void {
    const { runtime, codecs, kind } = this.#probe;
    const transport = this.#transport.transport;
    const writer = new TurnWriter(runtime.turn, transport);
    this.#codec = kind.http2
      ? new Http2ClientConnection(transport, writer, this, codecs.http2)
      : new Http1ClientConnection(transport, writer, this, codecs.http1);
    this.#transport.sink = this;
    this.#probe.ask(this);
  }

  onOpenFailed(timeout: boolean): void {
    this.#closed = true;
    this.#probe.onFailed(this, timeout ? 'network-timeout' : 'network');
  }

  onCapacity(): void {}

  onDraining(): void {}

  onClose(): void {
    if (!this.#closed) this.#probe.onFailed(this, 'network');
  }

  onInformational(): void {}

  onResponse(head: ResponseHead, fin: boolean): void {
    this.#probe.kind.onHead(head);
    if (fin) this.#probe.onAnswer(this, []);
  }

  onBody(buffer: Buffer, start: number, end: number, fin: boolean): void {
    this.#probe.kind.onBody(buffer, start, end);
    if (fin) this.#probe.onAnswer(this, []);
  }

  onTrailers(trailers: HeaderList): void {
    this.#probe.onAnswer(this, trailers);
  }

  onReset(_reason: ResetReason): void {
    if (!this.#closed) this.#probe.onFailed(this, 'network');
  }

  onDrain(): void {}

  receive(buffer: Buffer, start: number, end: number): void {
    if (!this.#closed) this.#codec!.receive(buffer, start, end);
  }

  receiveEnd(): void {
    if (!this.#closed) this.#codec!.receiveEnd();
  }

  transportClosed(detail: string): void {
    if (this.#closed) return;
    this.#codec!.transportClosed(detail);
    this.onClose();
  }

  transportDrained(): void {
    if (!this.#closed) this.#codec!.transportDrained();
  }
}
