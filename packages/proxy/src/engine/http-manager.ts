import type { FilterServices } from '../filters/http-filter.ts';
import { type Http1Options, http1Options, MAX_PIPELINED_BYTES } from '../http1/options.ts';
import { type Http2Options, http2Options, windowsWithin } from '../http2/options.ts';
import { LbContext } from '../lb/context.ts';
import type { TimerTarget, WheelTimer } from '../net/timer-wheel.ts';
import type { StreamRecorder } from '../observe/stream-recorder.ts';
import type { TimerScale } from '../overload/overload-config.ts';
import { scaledTimeoutMs } from '../overload/overload-monitor.ts';
import type { OverloadState } from '../overload/overload-state.ts';
import type { ClusterSet } from '../upstream/cluster-set.ts';
import type { HttpManagerConfig } from '../xds/listener-config.ts';
import type { ActiveStream } from './active-stream.ts';
import { ClusterCall } from './cluster-call.ts';
import { makeContentCodec } from './content-codec.ts';
import { HttpStats } from './http-stats.ts';
import { IDLE_STEPS } from './idle-clock.ts';
import type { RouteSlot } from './route-slot.ts';
import type { Runtime } from './runtime.ts';

export type Direction = 'inbound' | 'outbound' | 'unspecified';

/** A service that fails is told of so often, ms. */
const NOTE_INTERVAL_MS = 1_000;

/** An HTTP connection manager at work: what all its streams share. */
export class HttpManager implements TimerTarget {
  readonly config: HttpManagerConfig;
  readonly runtime: Runtime;
  readonly clusters: ClusterSet;
  readonly routes: RouteSlot;
  readonly recorder: StreamRecorder;
  readonly direction: Direction;
  readonly bufferLimitBytes: number;
  readonly http1: Http1Options;
  readonly http2: Http2Options;
  /** Picks are synchronous: one context serves all streams without a hash. */
  readonly lbContext = new LbContext();
  readonly services: FilterServices;
  /** Share of new traces that are sampled. */
  readonly samplingRatio: number;
  /** Streams under way, linked through themselves. */
  #first: ActiveStream | null = null;
  #sweep: WheelTimer | undefined;
  /** When filters last said what. */
  readonly #noted = new Map<string, number>();
  readonly overload: Readonly<OverloadState>;
  /** stream_idle_timeout, or less while the proxy is overloaded. */
  #streamIdleMs: number;
  readonly stats = new HttpStats();
  activeStreams = 0;
  activeConnections = 0;
  /** Content that copies of requests under way (request_mirror_policies) keep from being collected. */
  mirroredBytes = 0;

  constructor(
    runtime: Runtime,
    config: HttpManagerConfig,
    clusters: ClusterSet,
    routes: RouteSlot,
    recorder: StreamRecorder,
    direction: Direction,
    bufferLimitBytes: number,
    overload: Readonly<OverloadState> = runtime.overload,
  ) {
    this.runtime = runtime;
    this.config = config;
    this.clusters = clusters;
    this.routes = routes;
    this.recorder = recorder;
    this.direction = direction;
    this.bufferLimitBytes = bufferLimitBytes;
    this.overload = overload;
    this.#streamIdleMs = config.streamIdleTimeoutMs;
    this.services = {
      random: runtime.random,
      nowMs: runtime.nowMs,
      unixMs: runtime.unixMs,
      failing: () => runtime.health.failing,
      clusterHealth: (name) => healthOf(clusters, name),
      codec: makeContentCodec,
      call: (request, answer) => new ClusterCall(runtime, clusters, request, answer),
      note: (what, fields) => this.#note(what, fields),
    };
    const maxHeadBytes = config.maxRequestHeadersKb * 1024;
    const proxyName = config.proxyName === '' ? 'outrigger' : config.proxyName;
    this.http1 = http1Options({
      names: runtime.names,
      maxHeadBytes,
      maxHeaderCount: config.maxHeadersCount,
      underscores: config.underscores,
      proxyName,
      ...(bufferLimitBytes < MAX_PIPELINED_BYTES ? { maxPipelinedBytes: bufferLimitBytes } : {}),
    });
    this.http2 = http2Options({
      names: runtime.names,
      nowMs: runtime.nowMs,
      maxHeaderListBytes: maxHeadBytes,
      maxHeaderCount: config.maxHeadersCount,
      maxConcurrentStreams: config.http2.maxConcurrentStreams,
      underscores: config.underscores,
      proxyName,
      ...windowsWithin(bufferLimitBytes),
      ...config.http2.codec,
    });
    this.samplingRatio = config.tracing === undefined ? 0 : (config.tracing.randomSampling?.value ?? 100) / 100;
  }

  link(stream: ActiveStream): void {
    const first = this.#first;
    stream.next = first;
    if (first !== null) first.previous = stream;
    this.#first = stream;
    this.activeStreams++;
    this.runtime.turn.streams++;
    if (this.#sweep === undefined && this.#streamIdleMs > 0) this.#sweep = this.runtime.wheel.arm(this.#streamIdleMs / IDLE_STEPS, this);
  }

  /** Those under way. */
  *streams(): Iterable<ActiveStream> {
    for (let stream = this.#first; stream !== null; ) {
      const next: ActiveStream | null = stream.next;
      yield stream;
      stream = next;
    }
  }

  /** Overload at `state`: streams may be idle for less. A route's own timeout stays. */
  scaleIdle(scale: TimerScale, state: number): void {
    const idleMs = scaledTimeoutMs(this.config.streamIdleTimeoutMs, scale, state);
    if (idleMs === this.#streamIdleMs) return;
    this.#streamIdleMs = idleMs;
    if (this.#sweep === undefined) return;
    this.runtime.wheel.cancel(this.#sweep);
    this.#sweep = this.runtime.wheel.arm(idleMs / IDLE_STEPS, this);
  }

  unlink(stream: ActiveStream): void {
    if (stream.previous === null) this.#first = stream.next;
    else stream.previous.next = stream.next;
    if (stream.next !== null) stream.next.previous = stream.previous;
    stream.previous = stream.next = null;
    this.activeStreams--;
    this.runtime.turn.streams--;
    this.stats.complete(stream.responseCode);
  }

  #note(what: string, fields: Readonly<Record<string, string>>): void {
    const nowMs = this.runtime.nowMs();
    if (nowMs - (this.#noted.get(what) ?? Number.NEGATIVE_INFINITY) < NOTE_INTERVAL_MS) return;
    this.#noted.set(what, nowMs);
    this.runtime.log('warn', what, fields);
  }

  /** One timer for the idle clocks of all streams: a stream that moves writes one flag, no clock. */
  onTimer(): void {
    this.#sweep = undefined;
    let stream = this.#first;
    while (stream !== null) {
      const next: ActiveStream | null = stream.next;
      if (stream.ownIdle) {
        // Its own clock looks at it.
      } else if (stream.moved) {
        stream.moved = false;
        stream.idleSteps = 0;
      } else if (++stream.idleSteps >= IDLE_STEPS) stream.onIdle();
      stream = next;
    }
    if (this.#first !== null) this.#sweep = this.runtime.wheel.arm(this.#streamIdleMs / IDLE_STEPS, this);
  }

  close(): void {
    if (this.#sweep !== undefined) this.runtime.wheel.cancel(this.#sweep);
    this.#sweep = undefined;
  }
}

function healthOf(clusters: ClusterSet, name: string): number | undefined {
  const cluster = clusters.get(name);
  if (cluster === undefined) return undefined;
  let all = 0;
  let healthy = 0;
  for (const host of cluster.hosts) {
    all++;
    if (host.health !== 'unhealthy' && host.admits) healthy++;
  }
  return all === 0 ? undefined : healthy / all;
}
