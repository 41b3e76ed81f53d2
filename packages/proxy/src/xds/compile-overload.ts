import type { Any } from '@bufbuild/protobuf/wkt';
import {
  BufferFactoryConfigSchema,
  LoadShedPointSchema,
  type OverloadAction,
  OverloadActionSchema,
  type OverloadManager,
  OverloadManagerSchema,
  type ResourceMonitor,
  ResourceMonitorSchema,
  ScaledTriggerSchema,
  ScaleTimersOverloadActionConfig_ScaleTimerSchema,
  ScaleTimersOverloadActionConfig_TimerType,
  ScaleTimersOverloadActionConfigSchema,
  ThresholdTriggerSchema,
  type Trigger as TriggerMessage,
  TriggerSchema,
} from '@outrigger/xds/protos/envoy/config/overload/v3/overload';
import { CgroupMemoryConfigSchema } from '@outrigger/xds/protos/envoy/extensions/resource_monitors/cgroup_memory/v3/cgroup_memory';
import { DownstreamConnectionsConfigSchema } from '@outrigger/xds/protos/envoy/extensions/resource_monitors/downstream_connections/v3/downstream_connections';
import { FixedHeapConfigSchema } from '@outrigger/xds/protos/envoy/extensions/resource_monitors/fixed_heap/v3/fixed_heap';
import { InjectedResourceConfigSchema } from '@outrigger/xds/protos/envoy/extensions/resource_monitors/injected_resource/v3/injected_resource';
import {
  type ActionConfig,
  type ActionKind,
  type ActionTrigger,
  DEFAULT_MIN_RESET_BYTES,
  DEFAULT_REFRESH_INTERVAL_MS,
  EVENT_LOOP,
  type MonitorConfig,
  type OverloadConfig,
  OWN_MEMORY,
  type TimerScale,
} from '../overload/overload-config.ts';
import type { Trigger } from '../overload/trigger.ts';
import type { CompileReport } from '../routing/compile-result.ts';
import { durationMs } from '../routing/duration.ts';
import { checkFields, fieldPolicy, unpack } from './fields.ts';

const OVERLOAD = fieldPolicy('refresh_interval resource_monitors actions loadshed_points buffer_factory_config');
const MONITOR = fieldPolicy('name typed_config');
const ACTION = fieldPolicy('name triggers typed_config');
const POINT = fieldPolicy('name triggers');
const TRIGGER = fieldPolicy('name threshold scaled');
const THRESHOLD = fieldPolicy('value');
const SCALED = fieldPolicy('scaling_threshold saturation_threshold');
const TIMERS = fieldPolicy('timer_scale_factors');
const TIMER = fieldPolicy('timer min_timeout min_scale');
const BUFFERS = fieldPolicy('minimum_account_to_track_power_of_two');
const HEAP = fieldPolicy('max_heap_size_bytes');
const CGROUP = fieldPolicy('max_memory_bytes');
const CONNECTIONS = fieldPolicy('max_active_downstream_connections');
const INJECTED = fieldPolicy('filename');

const MONITOR_PREFIX = 'envoy.resource_monitors.';
const GLOBAL_CONNECTIONS = `${MONITOR_PREFIX}global_downstream_max_connections`;

const ACTIONS: Readonly<Record<string, ActionKind>> = {
  'envoy.overload_actions.stop_accepting_requests': 'stop-accepting-requests',
  'envoy.overload_actions.disable_http_keepalive': 'disable-keep-alive',
  'envoy.overload_actions.stop_accepting_connections': 'stop-accepting-connections',
  'envoy.overload_actions.reject_incoming_connections': 'reject-connections',
  'envoy.overload_actions.reduce_timeouts': 'reduce-timeouts',
  'envoy.overload_actions.reset_high_memory_stream': 'reset-streams',
  'envoy.overload_actions.shrink_heap': 'shrink-heap',
};
const POINTS: Readonly<Record<string, ActionKind>> = {
  'envoy.load_shed_points.http_connection_manager_decode_headers': 'stop-accepting-requests',
  'envoy.load_shed_points.tcp_listener_accept': 'reject-connections',
};

/** The bootstrap's overload_manager. */
export function compileOverload(message: OverloadManager, path: string, report: CompileReport): OverloadConfig {
  checkFields(OverloadManagerSchema, message, OVERLOAD, path, report);
  const monitors: MonitorConfig[] = [];
  let maxConnections: number | undefined;
  message.resourceMonitors.forEach((monitor, index) => {
    const at = `${path}.resource_monitors[${index}]`;
    checkFields(ResourceMonitorSchema, monitor, MONITOR, at, report);
    if (monitor.name === GLOBAL_CONNECTIONS) maxConnections = compileConnections(monitor, at, report);
    else monitors.push(...compileMonitor(monitor, at, report));
  });
  const known = new Set(monitors.map(({ name }) => name));
  if (known.size < monitors.length) report.error(`${path}.resource_monitors`, 'names a monitor twice');
  const actions = message.actions.flatMap((action, index) => compileAction(action, `${path}.actions[${index}]`, known, report));
  const points = message.loadshedPoints.flatMap((point, index) => {
    const at = `${path}.loadshed_points[${index}]`;
    checkFields(LoadShedPointSchema, point, POINT, at, report);
    const kind = POINTS[point.name];
    // What is shed later than at these two is shed at these two.
    if (kind === undefined) report.ignore(`${at} (${point.name})`);
    if (kind === undefined) return [];
    return [{ name: point.name, kind, triggers: compileTriggers(point.triggers, at, known, report), point: true, connectionIdle: null, streamIdle: null }];
  });
  const buffers = message.bufferFactoryConfig;
  if (buffers !== undefined) checkFields(BufferFactoryConfigSchema, buffers, BUFFERS, `${path}.buffer_factory_config`, report);
  return {
    refreshIntervalMs: durationMs(message.refreshInterval, DEFAULT_REFRESH_INTERVAL_MS),
    // As the configuration says, and no more often.
    hurriedIntervalMs: durationMs(message.refreshInterval, DEFAULT_REFRESH_INTERVAL_MS),
    monitors,
    actions: [...actions, ...points],
    maxConnections,
    minResetBytes: buffers === undefined ? DEFAULT_MIN_RESET_BYTES : 2 ** buffers.minimumAccountToTrackPowerOfTwo,
  };
}

function typedConfig(monitor: ResourceMonitor): Any | undefined {
  return monitor.configType.case === 'typedConfig' ? monitor.configType.value : undefined;
}

function compileConnections(monitor: ResourceMonitor, path: string, report: CompileReport): number | undefined {
  const config = unpack(typedConfig(monitor), DownstreamConnectionsConfigSchema, `${path}.typed_config`, report);
  if (config === undefined) return undefined;
  checkFields(DownstreamConnectionsConfigSchema, config, CONNECTIONS, `${path}.typed_config`, report);
  const most = Number(config.maxActiveDownstreamConnections);
  if (most <= 0) report.error(`${path}.typed_config.max_active_downstream_connections`, 'must be more than 0');
  return most;
}

function compileMonitor(monitor: ResourceMonitor, path: string, report: CompileReport): MonitorConfig[] {
  const { name } = monitor;
  const any = typedConfig(monitor);
  const at = `${path}.typed_config`;
  switch (name) {
    case `${MONITOR_PREFIX}fixed_heap`: {
      const config = unpack(any, FixedHeapConfigSchema, at, report);
      if (config === undefined) return [];
      checkFields(FixedHeapConfigSchema, config, HEAP, at, report);
      if (config.maxHeapSizeBytes === 0n) report.error(`${at}.max_heap_size_bytes`, 'must be more than 0');
      return [{ name, kind: 'fixed-heap', maxHeapBytes: Number(config.maxHeapSizeBytes) }];
    }
    case `${MONITOR_PREFIX}cgroup_memory`: {
      const config = unpack(any, CgroupMemoryConfigSchema, at, report);
      if (config === undefined) return [];
      checkFields(CgroupMemoryConfigSchema, config, CGROUP, at, report);
      return [{ name, kind: 'cgroup-memory', maxBytes: Number(config.maxMemoryBytes) }];
    }
    case `${MONITOR_PREFIX}injected_resource`: {
      const config = unpack(any, InjectedResourceConfigSchema, at, report);
      if (config === undefined) return [];
      checkFields(InjectedResourceConfigSchema, config, INJECTED, at, report);
      if (config.filename === '') report.error(`${at}.filename`, 'must not be empty');
      return [{ name, kind: 'injected', path: config.filename }];
    }
    case OWN_MEMORY:
      return [{ name, kind: 'own-memory' }];
    case EVENT_LOOP:
      return [{ name, kind: 'event-loop' }];
    default:
      report.error(`${path}.name`, `${name} is not supported by this proxy`);
      return [];
  }
}

function compileAction(action: OverloadAction, path: string, known: ReadonlySet<string>, report: CompileReport): ActionConfig[] {
  checkFields(OverloadActionSchema, action, ACTION, path, report);
  const kind = ACTIONS[action.name];
  if (kind === undefined) {
    report.error(`${path}.name`, `${action.name} is not supported by this proxy`);
    return [];
  }
  const timers = kind === 'reduce-timeouts' ? compileTimers(action.typedConfig, `${path}.typed_config`, report) : { connectionIdle: null, streamIdle: null };
  return [{ name: action.name, kind, triggers: compileTriggers(action.triggers, path, known, report), point: false, ...timers }];
}

function compileTriggers(triggers: readonly TriggerMessage[], path: string, known: ReadonlySet<string>, report: CompileReport): ActionTrigger[] {
  if (triggers.length === 0) report.error(`${path}.triggers`, 'needs at least one trigger');
  return triggers.flatMap((message, index) => {
    const at = `${path}.triggers[${index}]`;
    checkFields(TriggerSchema, message, TRIGGER, at, report);
    if (!known.has(message.name)) report.error(`${at}.name`, `there is no resource monitor ${message.name}`);
    const trigger = compileTrigger(message, at, report);
    return trigger === undefined ? [] : [{ resource: message.name, trigger }];
  });
}

function compileTrigger({ triggerOneof }: TriggerMessage, path: string, report: CompileReport): Trigger | undefined {
  const inRange = (value: number, field: string): number => {
    if (!(value >= 0 && value <= 1)) report.error(`${path}.${field}`, 'must be from 0 to 1');
    return value;
  };
  if (triggerOneof.case === 'threshold') {
    checkFields(ThresholdTriggerSchema, triggerOneof.value, THRESHOLD, `${path}.threshold`, report);
    return { kind: 'threshold', value: inRange(triggerOneof.value.value, 'threshold.value') };
  }
  if (triggerOneof.case === 'scaled') {
    const { scalingThreshold, saturationThreshold } = triggerOneof.value;
    checkFields(ScaledTriggerSchema, triggerOneof.value, SCALED, `${path}.scaled`, report);
    if (scalingThreshold >= saturationThreshold) report.error(`${path}.scaled`, 'scaling_threshold must be less than saturation_threshold');
    return {
      kind: 'scaled',
      scalingThreshold: inRange(scalingThreshold, 'scaled.scaling_threshold'),
      saturationThreshold: inRange(saturationThreshold, 'scaled.saturation_threshold'),
    };
  }
  report.error(path, 'needs a threshold or a scaled trigger');
  return undefined;
}

function compileTimers(any: Any | undefined, path: string, report: CompileReport): Pick<ActionConfig, 'connectionIdle' | 'streamIdle'> {
  let connectionIdle: TimerScale | null = null;
  let streamIdle: TimerScale | null = null;
  const config = unpack(any, ScaleTimersOverloadActionConfigSchema, path, report);
  if (config !== undefined) checkFields(ScaleTimersOverloadActionConfigSchema, config, TIMERS, path, report);
  config?.timerScaleFactors.forEach((factor, index) => {
    const at = `${path}.timer_scale_factors[${index}]`;
    checkFields(ScaleTimersOverloadActionConfig_ScaleTimerSchema, factor, TIMER, at, report);
    const { overloadAdjust } = factor;
    if (overloadAdjust.case === undefined) {
      report.error(at, 'needs min_timeout or min_scale');
      return;
    }
    const scale: TimerScale =
      overloadAdjust.case === 'minTimeout'
        ? { kind: 'min', minMs: durationMs(overloadAdjust.value, 0) }
        : { kind: 'ratio', ratio: overloadAdjust.value.value / 100 };
    if (factor.timer === ScaleTimersOverloadActionConfig_TimerType.HTTP_DOWNSTREAM_CONNECTION_IDLE) connectionIdle = scale;
    else if (factor.timer === ScaleTimersOverloadActionConfig_TimerType.HTTP_DOWNSTREAM_STREAM_IDLE) streamIdle = scale;
    else report.ignore(`${at}.timer`);
  });
  return { connectionIdle, streamIdle };
}
