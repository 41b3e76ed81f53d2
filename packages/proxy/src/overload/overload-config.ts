import type { Trigger } from './trigger.ts';

/** A resource whose use is watched, by the name that triggers and statistics have for it. */
export type MonitorConfig = { readonly name: string } & (
  | { readonly kind: 'fixed-heap'; readonly maxHeapBytes: number }
  /** `maxBytes` 0: the limit of the cgroup alone. */
  | { readonly kind: 'cgroup-memory'; readonly maxBytes: number }
  | { readonly kind: 'injected'; readonly path: string }
  /** What this process holds, of what it may: the cgroup's limit or the machine's memory, and V8's heap. */
  | { readonly kind: 'own-memory' }
  /** How late the event loop comes to what is due. */
  | { readonly kind: 'event-loop' }
);

/** Actions, and points at which load is shed, that this proxy has. */
export type ActionKind =
  | 'stop-accepting-requests'
  | 'disable-keep-alive'
  | 'stop-accepting-connections'
  | 'reject-connections'
  | 'reduce-timeouts'
  | 'reset-streams'
  | 'shrink-heap';

export interface ActionTrigger {
  /** Name of a monitor. */
  readonly resource: string;
  readonly trigger: Trigger;
}

/** How short a timeout becomes when the action is saturated. */
export type TimerScale = { readonly kind: 'ratio'; readonly ratio: number } | { readonly kind: 'min'; readonly minMs: number };

export interface ActionConfig {
  readonly name: string;
  readonly kind: ActionKind;
  /** The one that goes furthest counts. */
  readonly triggers: readonly ActionTrigger[];
  /** A point of load shedding (loadshed_points): its statistics are others. */
  readonly point: boolean;
  /** Of reduce-timeouts; null: that timer stays. */
  readonly connectionIdle: TimerScale | null;
  readonly streamIdle: TimerScale | null;
}

/** OverloadManager, decoded. */
export interface OverloadConfig {
  readonly refreshIntervalMs: number;
  /** The same while a resource is under pressure (from HURRIED_PRESSURE). */
  readonly hurriedIntervalMs: number;
  readonly monitors: readonly MonitorConfig[];
  readonly actions: readonly ActionConfig[];
  /** Downstream connections at once (global_downstream_max_connections); undefined: not said here. */
  readonly maxConnections: number | undefined;
  /** Streams that hold less are never reset, bytes. */
  readonly minResetBytes: number;
}

export const OWN_MEMORY = 'outrigger.resource_monitors.memory';
export const EVENT_LOOP = 'outrigger.resource_monitors.event_loop';

/** A quarter of a second is long for memory that is nearly gone. */
export const HURRIED_PRESSURE = 0.7;
/** Of the memory that a process may have, for request content that is kept. */
export const BUFFERED_SHARE = 0.25;
/** Envoy's default of refresh_interval. */
export const DEFAULT_REFRESH_INTERVAL_MS = 1_000;
/** As Envoy without a buffer_factory_config: none is small enough to be left alone. */
export const DEFAULT_MIN_RESET_BYTES = 1024 * 1024;

const action = (name: string, kind: ActionKind, ...triggers: ActionTrigger[]): ActionConfig => ({
  name: `envoy.overload_actions.${name}`,
  kind,
  triggers,
  point: false,
  connectionIdle: null,
  streamIdle: null,
});
const memory = (value: number): ActionTrigger => ({ resource: OWN_MEMORY, trigger: { kind: 'threshold', value } });

/**
 * What holds where the bootstrap has no overload_manager. Memory first gives back what can be had for nothing (garbage, idle connections, the
 * streams that hold most), then takes no new requests, and last no connections. A loop that has lagged for two seconds sheds requests,
 * the more the longer it lags.
 */
export const DEFAULT_OVERLOAD: OverloadConfig = {
  refreshIntervalMs: 250,
  hurriedIntervalMs: 25,
  monitors: [
    { name: OWN_MEMORY, kind: 'own-memory' },
    { name: EVENT_LOOP, kind: 'event-loop' },
  ],
  actions: [
    action('shrink_heap', 'shrink-heap', memory(0.85)),
    {
      ...action('reduce_timeouts', 'reduce-timeouts', { resource: OWN_MEMORY, trigger: { kind: 'scaled', scalingThreshold: 0.85, saturationThreshold: 0.95 } }),
      connectionIdle: { kind: 'min', minMs: 2_000 },
    },
    action('reset_high_memory_stream', 'reset-streams', {
      resource: OWN_MEMORY,
      trigger: { kind: 'threshold', value: 0.9 },
    }),
    action('stop_accepting_requests', 'stop-accepting-requests', memory(0.95), {
      resource: EVENT_LOOP,
      trigger: { kind: 'scaled', scalingThreshold: 0.5, saturationThreshold: 1 },
    }),
    action('reject_incoming_connections', 'reject-connections', memory(0.98)),
  ],
  maxConnections: undefined,
  minResetBytes: 16 * 1024,
};

/** The same for one of many proxies in a process. */
export const SHARED_OVERLOAD: OverloadConfig = { ...DEFAULT_OVERLOAD, refreshIntervalMs: 1_000 };
