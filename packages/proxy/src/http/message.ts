/**
 * The contract between codecs (http1, http2) and the engine. A codec turns bytes into heads, body slices and
 * trailers; the engine never knows which codec is on either side.
 */

/**
 * name, value, name, value ... as on the wire (latin1). HTTP/1 names keep their case and order; HTTP/2 names are lower
 * case, without pseudo-headers. Framing and hop-by-hop headers (Connection and what it names, Keep-Alive,
 * Proxy-Connection, TE except "trailers", Transfer-Encoding, Upgrade, HTTP2-Settings) are not in it: a codec takes them
 * off and makes its own; Content-Length stays. `Host` is not in it either: see `authority`.
 */
export type HeaderList = string[];

export class RequestHead {
  method = '';
  /** Path and query as sent ("/a?b"), "*" for OPTIONS *, '' for CONNECT without :path. Absolute-form is taken apart. */
  path = '';
  scheme = 'http';
  /** Host header or :authority, or the authority of an absolute-form target. */
  authority = '';
  headers: HeaderList = [];
  /** 10, 11 or 20. */
  version = 11;
  /** -1: not known before the end; 0: no body. */
  bodyLength = 0;
  /**
   * Token of Upgrade or :protocol (lower case), '' if none. A request with it, and a CONNECT, has no body of its own
   * (`bodyLength` -1, never `fin`): what follows is the tunnel's, if the answer makes one. Extended CONNECT of HTTP/2
   * (RFC 8441) shows as GET, as it would have come over HTTP/1; the HTTP/2 codec turns it back.
   */
  protocol = '';
  /** Lower-case names that came as never-indexed (RFC 7541 section 6.2.3) and must leave so; null: none. */
  neverIndexed: string[] | null = null;
  /** Expect: 100-continue was there (taken off). */
  expectContinue = false;
}

export class ResponseHead {
  status = 0;
  /** Reason phrase of an HTTP/1 upstream; '' takes the standard one. */
  reason = '';
  headers: HeaderList = [];
  version = 11;
  bodyLength = -1;
  /** What the peer chose in the Upgrade header of a 101; '' takes what the request asked for. */
  protocol = '';
  /** Lower-case names that came as never-indexed and must leave so; null: none. */
  neverIndexed: string[] | null = null;
  /** 101 or a 2xx to CONNECT: both directions are raw bytes from here. */
  tunnel = false;
}

/** Why a stream ended early. The names are Envoy's stream reset reasons. */
export type ResetReason =
  | 'LocalReset'
  | 'LocalRefusedStream'
  | 'RemoteReset'
  | 'RemoteRefusedStream'
  | 'ConnectionFailure'
  | 'ConnectionTermination'
  | 'Overflow'
  | 'ConnectError'
  | 'ProtocolError';

/** What arrives on a stream. `buffer` is only valid during the call: copy what outlives it. */
export interface StreamEvents {
  onBody(buffer: Buffer, start: number, end: number, fin: boolean): void;
  /** Always the last event of the message. */
  onTrailers(trailers: HeaderList): void;
  onReset(reason: ResetReason, detail: string): void;
  /** The sending side takes more after a `false`. */
  onDrain(): void;
}

/** What arrives for a request sent upstream. */
export interface ResponseEvents extends StreamEvents {
  /** 1xx other than 101. */
  onInformational(head: ResponseHead): void;
  onResponse(head: ResponseHead, fin: boolean): void;
}

/**
 * Either side's sending half. `false` says: stop until onDrain (what was given is taken all the same). Once the exchange
 * is over (the response's end was sent or delivered, a reset either way) all methods do nothing. A response that ends
 * before its request ends the exchange: HTTP/2 resets the rest with NO_ERROR, HTTP/1 closes the connection. A tunnel
 * ends when both halves have.
 */
export interface SendStream {
  sendBody(buffer: Buffer, start: number, end: number, fin: boolean): boolean;
  sendTrailers(trailers: HeaderList): void;
  /** Ends both halves. Nothing is called back afterwards. */
  reset(reason: ResetReason): void;
  /** Backpressure of the receiving half: HTTP/1 stops reading the socket, HTTP/2 withholds WINDOW_UPDATE. */
  pause(): void;
  resume(): void;
  /** What was given and its receiver has not taken. */
  readonly bufferedBytes: number;
}

/** One request as the server side sees it. `events` is set by the engine inside onRequest. */
export interface ServerStream extends SendStream {
  events: StreamEvents;
  sendInformational(head: ResponseHead): void;
  sendResponse(head: ResponseHead, fin: boolean): boolean;
}

export interface ClientStream extends SendStream {
  events: ResponseEvents;
}

/** Implemented by the engine, one per downstream connection. */
export interface ServerConnectionEvents {
  /** `head` and its header list are the callee's from here on. */
  onRequest(stream: ServerStream, head: RequestHead, fin: boolean): void;
  /** The peer broke the protocol, or the transport ended: no stream is left. `detail` is for the log. */
  onClose(detail: string): void;
}

/** A server-side codec on one connection. Bytes leave through its TurnWriter. */
export interface ServerConnection {
  receive(buffer: Buffer, start: number, end: number): void;
  /** The peer's FIN. */
  receiveEnd(): void;
  /** The transport is gone (reset, error). */
  transportClosed(detail: string): void;
  /** The transport takes more. */
  transportDrained(): void;
  /** GOAWAY or `Connection: close`: no new request; ends when the last stream has. */
  drain(): void;
  /** A drain has had its time: does not wait for the peer's word that it has read of it. */
  endDrain(): void;
  /** A head has begun and is not whole. */
  readonly headPending: boolean;
  /** It has taken too long. */
  timeoutHead(): void;
  /** Answers are whole but for the peer's window. */
  readonly awaitsWindow: boolean;
  /** Resets those of which nothing has left since the last call; true where some still wait. */
  resetStalled(): boolean;
  readonly activeStreams: number;
}

export interface ClientConnectionEvents {
  /** A stream has ended, or the peer's limits changed: the pool may hand out more. */
  onCapacity(): void;
  /** No more requests here; those under way go on (GOAWAY, Connection: close). */
  onDraining(): void;
  onClose(detail: string): void;
}

/** A client-side codec on one connection. */
export interface ClientConnection {
  request(head: RequestHead, fin: boolean, events: ResponseEvents): ClientStream;
  /** Requests that may be started now: HTTP/1 0 or 1; HTTP/2 by the peer's MAX_CONCURRENT_STREAMS. */
  readonly capacity: number;
  readonly activeStreams: number;
  receive(buffer: Buffer, start: number, end: number): void;
  receiveEnd(): void;
  transportClosed(detail: string): void;
  transportDrained(): void;
  drain(): void;
}
