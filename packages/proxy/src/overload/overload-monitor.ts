import type { ActionConfig, OverloadConfig, TimerScale } from './overload-config.ts';
import type { OverloadState } from './overload-state.ts';
import { triggered } from './trigger.ts';

/** A resource as it is now. */
export interface ResourceMonitor {
  readonly name: string;
  /** In [0, 1]. Throws where it cannot be told: then what was told last holds. */
  pressure(): number;
}

/** What is done beyond the request path, at every refresh while the action is in motion. `state` is in (0, 1]. */
export interface OverloadEffects {
  shrinkHeap(): void;
  resetStreams(state: number, minBytes: number): void;
  /** `state` 0: back to what is configured. */
  reduceTimeouts(state: number, connectionIdle: TimerScale | null, streamIdle: TimerScale | null): void;
  /** `state` 1: new connections wait in the kernel's queue; less: they are accepted. */
  stopAccepting(state: number): void;
}

export interface MonitorStats {
  pressure: number;
  failedUpdates: number;
}

export interface ActionStats {
  readonly config: ActionConfig;
  state: number;
}

/** Looks at all resources and sets the state that the request path reads. The clock is the caller's: it says when to look. */
export class OverloadMonitor {
  readonly config: OverloadConfig;
  readonly state: OverloadState;
  readonly monitorStats = new Map<string, MonitorStats>();
  readonly actionStats: readonly ActionStats[];
  readonly #monitors: readonly ResourceMonitor[];
  readonly #effects: OverloadEffects;

  constructor(config: OverloadConfig, monitors: readonly ResourceMonitor[], effects: OverloadEffects, state: OverloadState) {
    this.config = config;
    this.state = state;
    this.#monitors = monitors;
    this.#effects = effects;
    for (const { name } of monitors) this.monitorStats.set(name, { pressure: 0, failedUpdates: 0 });
    this.actionStats = config.actions.map((action) => ({ config: action, state: 0 }));
  }

  refresh(): void {
    for (const monitor of this.#monitors) {
      const stats = this.monitorStats.get(monitor.name)!;
      try {
        stats.pressure = monitor.pressure();
      } catch {
        stats.failedUpdates++;
      }
    }
    for (const stats of this.actionStats) {
      const before = stats.state;
      stats.state = this.#stateOf(stats.config);
      if (stats.state > 0 || before > 0) this.#act(stats.config, stats.state);
    }
    const { state } = this;
    state.requests = this.#most('stop-accepting-requests');
    state.keepAlive = this.#most('disable-keep-alive');
    state.connections = this.#most('reject-connections');
    state.shedsRequests = state.requests > 0 || state.keepAlive > 0;
    state.shedsConnections = state.connections > 0;
  }

  /** Of what may run out; the event loop has a measure of its own for time. */
  get highestPressure(): number {
    let highest = 0;
    for (const { name, kind } of this.config.monitors) if (kind !== 'event-loop') highest = Math.max(highest, this.monitorStats.get(name)!.pressure);
    return highest;
  }

  /** How often load was shed at a point. */
  shedAt({ kind }: ActionConfig): number {
    return kind === 'reject-connections' ? this.state.connectionsShed : this.state.requestsShed;
  }

  #stateOf({ triggers }: ActionConfig): number {
    let most = 0;
    for (const { resource, trigger } of triggers) most = Math.max(most, triggered(trigger, this.monitorStats.get(resource)?.pressure ?? 0));
    return most;
  }

  #most(kind: ActionConfig['kind']): number {
    let most = 0;
    for (const { config, state } of this.actionStats) if (config.kind === kind && state > most) most = state;
    return most;
  }

  #act({ kind, connectionIdle, streamIdle }: ActionConfig, state: number): void {
    if (kind === 'reduce-timeouts') this.#effects.reduceTimeouts(state, connectionIdle, streamIdle);
    else if (kind === 'stop-accepting-connections') this.#effects.stopAccepting(state);
    else if (state === 0) return;
    else if (kind === 'shrink-heap') this.#effects.shrinkHeap();
    else if (kind === 'reset-streams') this.#effects.resetStreams(state, this.config.minResetBytes);
  }
}

/** A timeout while the action is at `state`: between what is configured and the least that it may become. */
export function scaledTimeoutMs(timeoutMs: number, scale: TimerScale | null, state: number): number {
  if (scale === null || timeoutMs === 0) return timeoutMs;
  const leastMs = Math.min(timeoutMs, scale.kind === 'min' ? scale.minMs : timeoutMs * scale.ratio);
  return leastMs + (timeoutMs - leastMs) * (1 - state);
}
