import type { ProxyLog } from '../engine/options.ts';
import type { ListenerSet } from '../listener/listener-set.ts';
import type { ProcessGarbage } from '../memory/garbage.ts';
import type { Intake } from '../net/intake.ts';
import { loadSocketCalls, type SocketCalls } from '../net/socket-calls.ts';
import { systemClock, type TimerClock } from '../net/timer-wheel.ts';
import { LoopLag } from './loop-lag.ts';
import { BUFFERED_SHARE, HURRIED_PRESSURE, type OverloadConfig, type TimerScale } from './overload-config.ts';
import { type OverloadEffects, OverloadMonitor } from './overload-monitor.ts';
import type { OverloadState } from './overload-state.ts';
import { makeMonitor, ownLimitBytes, type ProcessMemory } from './resource-monitors.ts';
import { type BufferingStream, streamsToReset } from './stream-reset.ts';

/** As Envoy's shrink_heap: a collection of everything stops the loop. */
const SHRINK_INTERVAL_MS = 10_000;

/** What all proxies of a process have together. */
export interface OverloadParts {
  readonly memory: ProcessMemory;
  readonly intake: Intake;
  readonly garbage: ProcessGarbage;
}

/** The overload manager of one proxy at work. */
export class OverloadControl implements OverloadEffects {
  readonly monitor: OverloadMonitor;
  readonly #listeners: ListenerSet;
  readonly #loop = new LoopLag();
  readonly #clock: TimerClock;
  #stop: (() => void) | undefined;
  #calls: SocketCalls | null = null;
  readonly #log: ProxyLog;
  #dueMs = 0;
  #lagAtMs = Number.NEGATIVE_INFINITY;
  readonly #parts: OverloadParts;
  #unwatch: (() => void) | undefined;
  #looksSoon = false;
  #collectsSoon = false;
  /** Streams that were reset for what was kept for them. */
  resets = 0;
  /** Collections of garbage that were asked for. */
  shrinks = 0;

  constructor(
    config: OverloadConfig,
    state: OverloadState,
    listeners: ListenerSet,
    parts: OverloadParts,
    log: ProxyLog,
    clock: TimerClock = systemClock,
    processes = 1,
  ) {
    this.#parts = parts;
    this.#log = log;
    this.#clock = clock;
    this.#listeners = listeners;
    state.maxBufferedBytes = (ownLimitBytes() / processes) * BUFFERED_SHARE;
    this.monitor = new OverloadMonitor(
      config,
      config.monitors.map((monitor) => makeMonitor(monitor, this.#loop, parts.memory, processes)),
      this,
      state,
    );
  }

  start(): void {
    if (this.monitor.config.actions.some(({ kind }) => kind === 'stop-accepting-connections')) void this.#loadCalls();
    const { monitors } = this.monitor.config;
    if (monitors.length > 0) this.#arm();
    if (monitors.some(({ kind }) => kind === 'own-memory')) this.#unwatch = this.#parts.memory.growth.watch(() => this.#lookSoon());
  }

  close(): void {
    this.#unwatch?.();
    this.#unwatch = undefined;
    this.#stop?.();
  }

  #look(): void {
    const { refreshIntervalMs } = this.monitor.config;
    const nowMs = this.#clock.nowMs();
    // Of looks that come in a hurry those alone that come when they would anyway.
    if (nowMs - this.#lagAtMs >= refreshIntervalMs) {
      this.#loop.look(nowMs - this.#dueMs);
      this.#lagAtMs = nowMs;
    }
    this.monitor.refresh();
    this.#arm();
  }

  /** Once whoever made a buffer is done with what it is at: a stream must not be reset while its content is taken in. */
  #lookSoon(): void {
    if (this.#looksSoon) return;
    this.#looksSoon = true;
    queueMicrotask(() => {
      this.#looksSoon = false;
      if (this.#unwatch === undefined) return;
      this.monitor.refresh();
      if (this.#clock.nowMs() + this.#delayMs >= this.#dueMs) return;
      this.#stop?.();
      this.#arm();
    });
  }

  get #delayMs(): number {
    const { refreshIntervalMs, hurriedIntervalMs } = this.monitor.config;
    return this.monitor.highestPressure >= HURRIED_PRESSURE ? hurriedIntervalMs : refreshIntervalMs;
  }

  #arm(): void {
    const delayMs = this.#delayMs;
    this.#dueMs = this.#clock.nowMs() + delayMs;
    this.#stop = this.#clock.after(delayMs, () => this.#look());
  }

  shrinkHeap(): void {
    this.#shrink(SHRINK_INTERVAL_MS);
  }

  #shrink(intervalMs: number): void {
    if (this.#parts.garbage.collect(this.#clock.nowMs(), intervalMs)) this.shrinks++;
  }

  /**
   * What a stream has kept is garbage once its connection has let go of it, which is after this turn of the loop, and memory only once that is
   * collected: V8 by itself waits for 64 MB of it. Until then nothing more is taken in.
   */
  resetStreams(state: number, minBytes: number): void {
    const streams = streamsToReset(this.#streams(), state, minBytes);
    if (streams.length === 0) return;
    for (const stream of streams) {
      this.resets++;
      stream.shed();
    }
    if (this.#collectsSoon) return;
    this.#collectsSoon = true;
    this.#parts.intake.hold();
    this.#clock.after(1, () => {
      this.#collectsSoon = false;
      this.#shrink(0);
      this.#parts.intake.release();
    });
  }

  /** As Envoy: in saturation alone. */
  stopAccepting(state: number): void {
    for (const listener of this.#listeners.all) {
      if (state < 1 || listener.config.bypassOverload) listener.resumeAccepting();
      else if (this.#calls !== null) listener.pauseAccepting(this.#calls);
    }
  }

  async #loadCalls(): Promise<void> {
    try {
      this.#calls = await loadSocketCalls();
    } catch (error) {
      this.#log('warn', `stop_accepting_connections has no effect: ${(error as Error).message}`);
    }
  }

  reduceTimeouts(state: number, connectionIdle: TimerScale | null, streamIdle: TimerScale | null): void {
    for (const listener of this.#listeners.withDraining) {
      if (connectionIdle !== null && state > 0) listener.connections.endLongIdle(connectionIdle, state);
      if (streamIdle !== null) for (const manager of listener.managers) manager.scaleIdle(streamIdle, state);
    }
  }

  /** A connection of TCP is one, unlike with Envoy: nothing else would give back what it holds. */
  *#streams(): Iterable<BufferingStream> {
    for (const listener of this.#listeners.withDraining) {
      for (const manager of listener.managers) yield* manager.streams();
      yield* listener.connections.tcp();
    }
  }
}
