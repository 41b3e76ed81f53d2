import type { ClientStream, HeaderList, ResetReason, ResponseEvents, ResponseHead, ServerStream, StreamEvents } from '../http/message.ts';
import type { Http2Connection } from './connection.ts';

/** One stream of either side: one shape, so that the connection's code stays monomorphic. */
export class Http2Stream implements ServerStream, ClientStream {
  id: number;
  /** A client's stream has ResponseEvents here. */
  events: ResponseEvents;
  readonly method: string;
  readonly asksTunnel: boolean;
  tunnel: boolean;
  /** Reset, or both halves closed: nothing is called or sent any more. */
  over: boolean;
  localClosed: boolean;
  remoteClosed: boolean;
  /** The response sent has no content: HEAD, 204, 304. */
  contentless: boolean;
  /** The final response's head was sent or received. */
  responded: boolean;
  informational: number;
  /** Content still to come by content-length; -1 not known. */
  expected: number;
  sendWindow: number;
  receiveWindow: number;
  /** Received, and not yet given back by WINDOW_UPDATE. */
  unacknowledged: number;
  /** Of these: received while paused, and counted by the connection. */
  held: number;
  paused: boolean;
  /** Told to stop: owes an onDrain. */
  stopped: boolean;
  /** Content that no window has let out yet. */
  pending: Buffer[] | null;
  pendingOffset: number;
  pendingFin: boolean;
  pendingTrailers: HeaderList | null;
  /** In the connection's list of those that wait for its window. */
  waiting: boolean;
  /** Its whole answer waits for the peer's window: how much of it when it was last looked at; -1: it was not. */
  sweptAt: number;
  private readonly connection: Http2Connection;

  constructor(connection: Http2Connection, id: number, events: StreamEvents, method: string, asksTunnel: boolean, sendWindow: number, receiveWindow: number) {
    this.id = id;
    this.events = events as ResponseEvents;
    this.method = method;
    this.asksTunnel = asksTunnel;
    this.tunnel = false;
    this.over = false;
    this.localClosed = false;
    this.remoteClosed = false;
    this.contentless = false;
    this.responded = false;
    this.informational = 0;
    this.expected = -1;
    this.sendWindow = sendWindow;
    this.receiveWindow = receiveWindow;
    this.unacknowledged = 0;
    this.held = 0;
    this.paused = false;
    this.stopped = false;
    this.pending = null;
    this.pendingOffset = 0;
    this.pendingFin = false;
    this.pendingTrailers = null;
    this.waiting = false;
    this.sweptAt = -1;
    this.connection = connection;
  }

  get bufferedBytes(): number {
    if (this.pending === null) return 0;
    let bytes = -this.pendingOffset;
    for (const chunk of this.pending) bytes += chunk.length;
    return bytes;
  }

  sendInformational(head: ResponseHead): void {
    this.connection.sendInformational(this, head);
  }

  sendResponse(head: ResponseHead, fin: boolean): boolean {
    return this.connection.sendResponse(this, head, fin);
  }

  sendBody(buffer: Buffer, start: number, end: number, fin: boolean): boolean {
    return this.connection.sendBody(this, buffer, start, end, fin);
  }

  sendTrailers(trailers: HeaderList): void {
    this.connection.sendTrailers(this, trailers);
  }

  reset(reason: ResetReason): void {
    this.connection.resetStream(this, reason);
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    if (!this.paused) return;
    this.paused = false;
    this.connection.resumed(this);
  }
}
