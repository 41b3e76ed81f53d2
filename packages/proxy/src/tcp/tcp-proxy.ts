import { ResponseFlag } from '@outrigger/telemetry';
import type { Runtime } from '../engine/runtime.ts';
import { RequestHead } from '../http/message.ts';
import type { Transport } from '../http/transport.ts';
import { LbContext } from '../lb/context.ts';
import type { SubsetCriteria } from '../lb/subset-criteria.ts';
import { XxHash64 } from '../lb/xxhash64.ts';
import type { ConnectionInfo } from '../listener/connection-info.ts';
import type { ByteSink } from '../net/byte-sink.ts';
import type { TimerTarget, WheelTimer } from '../net/timer-wheel.ts';
import { TurnWriter } from '../net/turn-writer.ts';
import { tcpRecord } from '../observe/tcp-record.ts';
import type { Cluster } from '../upstream/cluster.ts';
import type { ClusterSet } from '../upstream/cluster-set.ts';
import type { UpstreamHost } from '../upstream/upstream-host.ts';
import { UpstreamTransport, type UpstreamTransportEvents } from '../upstream/upstream-transport.ts';
import type { TcpProxyConfig, TunnelingConfig, WeightedTcpCluster } from '../xds/listener-config.ts';
import { HttpTunnel } from './http-tunnel.ts';

/** Bytes read from the client before the upstream is there; then reading stops. */
const MAX_EARLY_BYTES = 64 * 1024;
/** RFC 3986 section 3.2, without user information. */
const AUTHORITY = /^[\w.~!$&'()*+,;=:%[\]-]+$/;
const CLUSTER_TIMEOUT_MS = 5_000;
/** Once both sides have ended: how long a reader may take none of what is still to be sent. */
const LINGER_MS = 30_000;

const Timer = { IDLE: 0, MAX_AGE: 1, LINGER: 2 } as const;

/** Told of each connection: opened when its upstream is there, closed with what passed. */
export interface TcpRecorder {
  opened(proxy: TcpProxy): void;
  closed(proxy: TcpProxy): void;
}

/** One downstream connection joined to one upstream connection, each half closing by itself. */
export class TcpProxy implements ByteSink, UpstreamTransportEvents, TimerTarget {
  info: ConnectionInfo;
  config: TcpProxyConfig;
  readonly #runtime: Runtime;
  readonly #clusters: ClusterSet;
  readonly #recorder: TcpRecorder;
  #downstream: Transport;
  #toDownstream: TurnWriter;
  #toUpstream: TurnWriter | null = null;
  readonly #onGone: (proxy: TcpProxy) => void;
  readonly startMs: number;
  readonly startTimeMs: number;
  #upstream: UpstreamTransport | HttpTunnel | null = null;
  #subset: SubsetCriteria | null = null;
  #open = false;
  /** It is known who the client is, and that it may have this upstream. */
  #settled = false;
  #early: Buffer[] = [];
  #earlyBytes = 0;
  #downstreamEnded = false;
  #upstreamEnded = false;
  #downstreamGone = false;
  #upstreamGone = false;
  #attempts = 0;
  #closed = false;
  #counted = false;
  #tunnelled = false;
  #moved = true;
  #idle: WheelTimer | undefined;
  #maxAge: WheelTimer | undefined;
  #linger: WheelTimer | undefined;
  /** Bytes still to be sent when last looked at. */
  #lingering = 0;
  cluster: Cluster | null = null;
  host: UpstreamHost | null = null;
  bytesReceived = 0;
  bytesSent = 0;
  responseFlags = 0;
  details = '';
  peerUri = '';
  upstreamSecure = false;
  upstreamLocal = '';
  endMs = -1;

  constructor(
    runtime: Runtime,
    clusters: ClusterSet,
    config: TcpProxyConfig,
    info: ConnectionInfo,
    downstream: Transport,
    recorder: TcpRecorder,
    onGone: (proxy: TcpProxy) => void,
  ) {
    this.#runtime = runtime;
    this.#clusters = clusters;
    this.config = config;
    this.info = info;
    this.#downstream = downstream;
    this.#toDownstream = new TurnWriter(runtime.turn, downstream, config.bufferLimitBytes);
    this.#recorder = recorder;
    this.#onGone = onGone;
    this.startMs = runtime.nowMs();
    this.startTimeMs = runtime.unixMs();
  }

  start(): void {
    if (!this.#settle()) return;
    this.#connect();
  }

  /** Connects ahead, for a client of which it is not known yet who it is. Nothing is counted or logged before `settle`. */
  connectAhead(): void {
    this.#connect();
  }

  /** It is known who the client is: it gets what the upstream has said so far, unless a policy has something against it. */
  settle(config: TcpProxyConfig, info: ConnectionInfo, downstream: Transport, said: { readonly held: readonly Buffer[]; readonly ended: boolean }): void {
    // Into what is held.
    this.#toDownstream.flush();
    this.config = config;
    this.info = info;
    this.#downstream = downstream;
    this.#toDownstream = new TurnWriter(this.#runtime.turn, downstream, config.bufferLimitBytes);
    if (!this.#settle()) return;
    for (const chunk of said.held) this.#toDownstream.bytes(chunk, 0, chunk.length);
    if (said.ended) this.#toDownstream.end();
    if (!this.#open) return;
    this.#recorder.opened(this);
    this.#upstream!.transport.resume();
  }

  /** Ends what was connected ahead, unless it has been settled. */
  abandon(): void {
    if (!this.#settled) this.close();
  }

  /** What the two sides have not taken. */
  get bufferedBytes(): number {
    return this.#downstream.writableLength + (this.#open ? this.#upstream!.transport.writableLength : this.#earlyBytes);
  }

  /** The proxy is short of memory. */
  shed(): void {
    this.responseFlags |= ResponseFlag.overloadManager;
    this.details = 'overload_reset_high_memory_connection';
    this.close();
  }

  /** The policies first: one that refuses hears nothing. */
  static allows(config: TcpProxyConfig, info: ConnectionInfo): boolean {
    return config.policies.every((policy) => policy.decide(info, null).allowed);
  }

  #settle(): boolean {
    this.#settled = true;
    if (!TcpProxy.allows(this.config, this.info)) {
      this.#refuse(ResponseFlag.unauthorizedExternalService, 'rbac_access_denied');
      return false;
    }
    if (this.config.idleTimeoutMs > 0) this.#idle = this.#runtime.wheel.arm(this.config.idleTimeoutMs, this, Timer.IDLE);
    if (this.config.maxConnectionDurationMs > 0) this.#maxAge = this.#runtime.wheel.arm(this.config.maxConnectionDurationMs, this, Timer.MAX_AGE);
    return true;
  }

  #connect(): void {
    const picked = this.#pickCluster();
    this.#subset = picked.subset;
    const asked = this.info.requestedServerName;
    const name = this.config.clusterFromSni && asked !== '' ? asked : picked.name;
    const cluster = this.#clusters.get(name);
    if (cluster?.warm === true) this.#toCluster(cluster);
    else {
      this.#clusters.ready([name], CLUSTER_TIMEOUT_MS).then(() => {
        if (this.#closed) return;
        const there = this.#clusters.get(name);
        if (there === undefined) this.#refuse(ResponseFlag.noClusterFound, 'cluster_not_found');
        else this.#toCluster(there);
      });
    }
  }

  #pickCluster(): WeightedTcpCluster {
    const { clusters, totalWeight } = this.config;
    let left = this.#runtime.random.uint32() % totalWeight;
    for (const cluster of clusters) {
      left -= cluster.weight;
      if (left < 0) return cluster;
    }
    return clusters[0]!;
  }

  #toCluster(cluster: Cluster): void {
    this.cluster = cluster;
    this.#attempts++;
    if (cluster.forwardProxy !== null) {
      this.#refuse(ResponseFlag.noHealthyUpstream, 'no_host_to_forward_to');
      return;
    }
    const context = new LbContext();
    context.nowMs = this.#runtime.nowMs();
    context.subset = this.#subset;
    if (this.config.hashSourceIp) {
      const hasher = new XxHash64();
      hasher.hash(this.info.remoteHost);
      context.hasHash = true;
      context.hashHigh = hasher.high;
      context.hashLow = hasher.low;
    }
    if (cluster.originalDst !== null) context.destination = cluster.originalDst.destinationOf([], this.info);
    const host = cluster.pick(context);
    if (host === null) {
      this.#refuse(ResponseFlag.noHealthyUpstream, 'no_healthy_upstream');
      return;
    }
    this.host = host;
    if (this.config.tunneling !== null) {
      this.#connectTunnel(cluster, host, this.config.tunneling);
      return;
    }
    if (!cluster.limits.tryConnection()) {
      this.#refuse(ResponseFlag.upstreamOverflow, 'max_connections');
      return;
    }
    this.#counted = true;
    host.connections++;
    host.activeRequests++;
    host.stats.connectTotal++;
    host.closers?.add(this);
    cluster.outlier.onAttempt(host);
    this.#upstream = new UpstreamTransport(this.#runtime, this);
    this.#upstream.connect(host.endpoint.address, host.socket, '', cluster.config.connectTimeoutMs, cluster.how(host, this.info));
  }

  /** The pool counts its connections itself. */
  #connectTunnel(cluster: Cluster, host: UpstreamHost, { hostname, path, headers }: TunnelingConfig): void {
    const record = tcpRecord(this);
    const authority = hostname.format(record, '');
    // It may be what the client has said (%REQUESTED_SERVER_NAME%), and stands in a request line.
    if (!AUTHORITY.test(authority)) {
      this.#refuse(ResponseFlag.downstreamProtocolError, 'tunnel_without_hostname');
      return;
    }
    const head = new RequestHead();
    head.method = path === '' ? 'CONNECT' : 'POST';
    head.path = path;
    head.authority = authority;
    head.bodyLength = -1;
    headers.apply(head.headers, record);
    host.activeRequests++;
    host.stats.requestTotal++;
    this.#tunnelled = true;
    cluster.outlier.onAttempt(host);
    const tunnel = new HttpTunnel(cluster.pool(host, cluster.usesHttp2(11), this.info), head, this.#runtime.faults, this);
    this.#upstream = tunnel;
    tunnel.start();
  }

  onOpen(): void {
    const upstream = this.#upstream!;
    this.#open = true;
    this.peerUri = upstream.peerUri;
    this.upstreamSecure = upstream.secure;
    this.upstreamLocal = upstream.localAddress;
    this.cluster!.outlier.onResponse(this.host!, 200, this.#runtime.nowMs());
    upstream.sink = new UpstreamSide(this);
    if (this.#settled) this.#recorder.opened(this);
    const writer = new TurnWriter(this.#runtime.turn, upstream.transport, this.cluster!.config.bufferLimitBytes);
    this.#toUpstream = writer;
    for (const chunk of this.#early) writer.bytes(chunk, 0, chunk.length);
    this.#early = [];
    if (this.#earlyBytes >= this.#maxEarlyBytes) this.#downstream.resume();
    if (this.#downstreamEnded) writer.end();
  }

  onOpenFailed(timeout: boolean, detail: string): void {
    const host = this.host!;
    if (!this.#tunnelled) host.stats.connectFail++;
    this.cluster!.outlier.onLocalOriginFailure(host, timeout ? 'connect-timeout' : 'connect-failure', this.#runtime.nowMs());
    this.#release();
    if (this.#attempts < this.config.maxConnectAttempts) this.#toCluster(this.cluster!);
    else this.#refuse(ResponseFlag.upstreamConnectionFailure, detail);
  }

  receive(buffer: Buffer, start: number, end: number): void {
    this.#moved = true;
    if (this.#upstreamGone) {
      // It had ended its half, and now is gone for good: what the client sends has nowhere to go.
      this.close();
      return;
    }
    this.bytesReceived += end - start;
    if (!this.#open) {
      this.#early.push(this.#runtime.turn.slabs.copy(buffer, start, end));
      this.#earlyBytes += end - start;
      if (this.#earlyBytes >= this.#maxEarlyBytes) this.#downstream.pause();
      return;
    }
    const writer = this.#toUpstream!;
    writer.bytes(buffer, start, end);
    if (writer.blocked) this.#downstream.pause();
  }

  receiveEnd(): void {
    this.#downstreamEnded = true;
    this.#toUpstream?.end();
    this.#checkEnd();
  }

  transportClosed(detail: string): void {
    if (this.#closed) return;
    this.#downstreamGone = true;
    if (!this.#upstreamEnded || !this.#downstreamEnded) {
      this.responseFlags |= ResponseFlag.downstreamConnectionTermination;
      this.details = detail;
      this.close();
    } else if (this.#upstreamGone) this.close();
  }

  transportDrained(): void {
    this.#toDownstream.drained();
    if (this.#open) this.#upstream!.transport.resume();
  }

  upstreamReceive(buffer: Buffer, start: number, end: number): void {
    this.#moved = true;
    this.bytesSent += end - start;
    this.#toDownstream.bytes(buffer, start, end);
    if (this.#toDownstream.blocked) this.#upstream!.transport.pause();
  }

  upstreamEnd(): void {
    this.#upstreamEnded = true;
    this.#toDownstream.end();
    this.#checkEnd();
  }

  upstreamClosed(detail: string): void {
    if (this.#closed) return;
    this.#upstreamGone = true;
    if (!this.#upstreamEnded) {
      this.responseFlags |= ResponseFlag.upstreamConnectionTermination;
      this.details = detail;
      this.close();
    } else if (this.#downstreamGone) this.close();
  }

  upstreamDrained(): void {
    this.#toUpstream!.drained();
    this.#downstream.resume();
  }

  onTimer(kind: number): void {
    if (kind === Timer.MAX_AGE) {
      this.details = 'max_connection_duration';
      this.close();
    } else if (kind === Timer.LINGER) {
      const unsent = this.#unsent;
      if (unsent >= this.#lingering) this.close();
      else this.#awaitClose(unsent);
    } else if (this.#moved) {
      this.#moved = false;
      this.#idle = this.#runtime.wheel.arm(this.config.idleTimeoutMs, this, Timer.IDLE);
    } else {
      this.responseFlags |= ResponseFlag.streamIdleTimeout;
      this.close();
    }
  }

  /** Ends both sides at once. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.endMs = this.#runtime.nowMs();
    const { wheel } = this.#runtime;
    for (const timer of [this.#idle, this.#maxAge, this.#linger]) if (timer !== undefined) wheel.cancel(timer);
    this.#toDownstream.destroy();
    if (this.#toUpstream !== null) this.#toUpstream.destroy();
    else this.#upstream?.abort();
    this.#release();
    if (!this.#settled) return;
    this.#recorder.closed(this);
    this.#onGone(this);
  }

  /** Both sides have ended: what was written still leaves, then the transports close by themselves, or are made to. */
  #checkEnd(): void {
    if (this.#downstreamEnded && this.#upstreamEnded && this.#linger === undefined && !this.#closed) this.#awaitClose(this.#unsent);
  }

  #awaitClose(unsent: number): void {
    this.#lingering = unsent;
    this.#linger = this.#runtime.wheel.arm(LINGER_MS, this, Timer.LINGER);
  }

  get #maxEarlyBytes(): number {
    return Math.min(MAX_EARLY_BYTES, this.config.bufferLimitBytes);
  }

  get #unsent(): number {
    return this.#downstream.writableLength + this.#upstream!.transport.writableLength;
  }

  #refuse(flag: number, details: string): void {
    this.responseFlags |= flag;
    this.details = details;
    this.close();
  }

  #release(): void {
    if (this.#tunnelled) {
      this.#tunnelled = false;
      this.host!.activeRequests--;
    }
    if (!this.#counted) return;
    this.#counted = false;
    this.cluster!.limits.releaseConnection();
    this.host!.connections--;
    this.host!.activeRequests--;
    this.host!.closers?.delete(this);
  }
}

/** The upstream's half of the events. */
class UpstreamSide implements ByteSink {
  readonly #proxy: TcpProxy;
  constructor(proxy: TcpProxy) {
    this.#proxy = proxy;
  }
  receive(buffer: Buffer, start: number, end: number): void {
    this.#proxy.upstreamReceive(buffer, start, end);
  }
  receiveEnd(): void {
    this.#proxy.upstreamEnd();
  }
  transportClosed(detail: string): void {
    this.#proxy.upstreamClosed(detail);
  }
  transportDrained(): void {
    this.#proxy.upstreamDrained();
  }
}
