import type { StreamInfo, TraceContext } from '@outrigger/telemetry';
import type { HeaderList, RequestHead, ResponseHead } from '../http/message.ts';
import type { HttpConnection } from '../listener/http-connection.ts';
import type { RequestSample } from '../observe/request-samples.ts';
import type { RouteEntry } from '../routing/route-entry.ts';
import type { Cluster } from '../upstream/cluster.ts';
import type { UpstreamHost } from '../upstream/upstream-host.ts';
import type { TrustedClient } from './client-address.ts';
import type { HttpManager } from './http-manager.ts';

const NO_HEADERS: HeaderList = [];

/** What metrics, access log and spans ask of a stream. Written by the stream as it goes on, read when it is over. */
export abstract class StreamRecord implements StreamInfo {
  readonly manager: HttpManager;
  readonly connection: HttpConnection;
  readonly head: RequestHead;
  readonly startTimeMs: number;
  readonly originalPath: string;
  requestId = '';
  /** From within, by internal_address_config. */
  internal = false;
  /** Its client, where that is another than the other end of the connection. */
  client: TrustedClient | null = null;
  trace: TraceContext | null = null;
  /** It was chosen for one. */
  sample: RequestSample | null = null;
  /** x-outrigger-peer as it came, only over mTLS. */
  sourcePeer = '';
  route: RouteEntry | null = null;
  cluster: Cluster | null = null;
  /** The endpoint of the last attempt. */
  endpoint: UpstreamHost | null = null;
  upstreamRequestAttemptCount = 0;
  upstreamLocalAddress = '';
  upstreamPeerUri = '';
  upstreamSecure = false;
  upstreamTransportFailureReason = '';
  responseCode = 0;
  responseCodeDetails = '';
  localReplyBody = '';
  responseFlags = 0;
  responseTrailers: HeaderList = NO_HEADERS;
  bytesReceived = 0;
  bytesSent = 0;
  protected readonly startMs: number;
  /** Monotonic, -1 while it has not come to that. */
  protected requestEndMs = -1;
  protected responseStartMs = -1;
  protected endMs = -1;
  protected response: ResponseHead | null = null;

  constructor(connection: HttpConnection, head: RequestHead) {
    this.manager = connection.manager;
    this.connection = connection;
    this.head = head;
    const { runtime } = connection.manager;
    this.startMs = runtime.nowMs();
    this.startTimeMs = runtime.unixMs();
    this.originalPath = head.path;
  }

  get durationMs(): number {
    return (this.endMs < 0 ? this.manager.runtime.nowMs() : this.endMs) - this.startMs;
  }
  get requestDurationMs(): number {
    return this.requestEndMs < 0 ? -1 : this.requestEndMs - this.startMs;
  }
  get responseDurationMs(): number {
    return this.responseStartMs < 0 ? -1 : this.responseStartMs - this.startMs;
  }
  get responseTxDurationMs(): number {
    return this.responseStartMs < 0 || this.endMs < 0 ? -1 : this.endMs - this.responseStartMs;
  }
  get protocol(): string {
    return this.head.version === 20 ? 'HTTP/2' : this.head.version === 10 ? 'HTTP/1.0' : 'HTTP/1.1';
  }
  get method(): string {
    return this.head.method;
  }
  get path(): string {
    return this.head.path;
  }
  get scheme(): string {
    return this.head.scheme;
  }
  get authority(): string {
    return this.head.authority;
  }
  get requestHeaders(): HeaderList {
    return this.head.headers;
  }
  get responseHeaders(): HeaderList {
    return this.response === null ? NO_HEADERS : this.response.headers;
  }
  get connectionTerminationDetails(): string {
    return '';
  }
  get routeName(): string {
    return this.route === null ? '' : this.route.name;
  }
  get virtualClusterName(): string {
    return '';
  }
  get upstreamCluster(): string {
    return this.cluster === null ? '' : this.cluster.name;
  }
  get upstreamHost(): string {
    return this.endpoint === null ? '' : this.endpoint.address;
  }
  get downstreamLocalAddress(): string {
    return this.connection.info.localAddress;
  }
  get downstreamRemoteAddress(): string {
    return this.client === null ? this.connection.info.remoteAddress : this.client.address;
  }
  get downstreamDirectRemoteAddress(): string {
    return this.connection.info.directRemoteAddress;
  }
  get requestedServerName(): string {
    return this.connection.info.requestedServerName;
  }
  get downstreamTlsVersion(): string {
    return this.connection.info.tlsVersion;
  }
  get downstreamPeerUri(): string {
    return this.connection.info.peer.uri;
  }
  get downstreamLocalUri(): string {
    return this.connection.info.localUri;
  }
  get mutual(): boolean {
    return this.connection.info.mutual;
  }
  get sampled(): boolean {
    return this.trace?.sampled === true;
  }
  get traceId(): string {
    return this.trace === null ? '' : this.trace.traceId;
  }
  get connectionId(): number {
    return this.connection.info.id;
  }
}
