import type { JsonObject } from '@bufbuild/protobuf';
import {
  LoadShedPointSchema,
  OverloadActionSchema,
  OverloadManagerSchema,
  ResourceMonitorSchema,
  ScaleTimersOverloadActionConfig_ScaleTimerSchema,
} from '@outrigger/xds/protos/envoy/config/overload/v3/overload';
import { CompileReport } from '../../routing/compile-result.ts';
import { message, typed } from '../../testing/messages.ts';
import { compileOverload } from '../compile-overload.ts';
import type { Outcome, Subject } from './probe.ts';

const HEAP: JsonObject = {
  name: 'envoy.resource_monitors.fixed_heap',
  typedConfig: typed('envoy.extensions.resource_monitors.fixed_heap.v3.FixedHeapConfig', { maxHeapSizeBytes: '1' }),
};
const TRIGGERS: JsonObject = { triggers: [{ name: 'envoy.resource_monitors.fixed_heap', threshold: { value: 1 } }] };
const SHED: JsonObject = { name: 'envoy.overload_actions.stop_accepting_requests', ...TRIGGERS };
const POINT: JsonObject = { name: 'envoy.load_shed_points.tcp_listener_accept', ...TRIGGERS };
function overload(json: JsonObject): Outcome {
  const report = new CompileReport();
  compileOverload(message(OverloadManagerSchema, json), 'overload_manager', report);
  return report;
}

export const OVERLOAD_SUBJECTS: Readonly<Record<string, Subject>> = {
  OverloadManager: {
    schema: OverloadManagerSchema,
    base: { resourceMonitors: [HEAP] },
    right: { actions: [SHED], loadshedPoints: [POINT], bufferFactoryConfig: { minimumAccountToTrackPowerOfTwo: 20 } },
    path: 'overload_manager',
    compile: overload,
  },
  ResourceMonitor: {
    schema: ResourceMonitorSchema,
    base: HEAP,
    path: 'overload_manager.resource_monitors[0]',
    compile: (json) => overload({ resourceMonitors: [json] }),
  },
  OverloadAction: {
    schema: OverloadActionSchema,
    base: SHED,
    path: 'overload_manager.actions[0]',
    compile: (json) => overload({ resourceMonitors: [HEAP], actions: [json] }),
  },
  LoadShedPoint: {
    schema: LoadShedPointSchema,
    base: POINT,
    path: 'overload_manager.loadshed_points[0]',
    compile: (json) => overload({ resourceMonitors: [HEAP], loadshedPoints: [json] }),
  },
  ScaleTimer: {
    schema: ScaleTimersOverloadActionConfig_ScaleTimerSchema,
    base: { timer: 'HTTP_DOWNSTREAM_STREAM_IDLE', minScale: { value: 50 } },
    path: 'overload_manager.actions[0].typed_config.timer_scale_factors[0]',
    compile: (json) =>
      overload({
        resourceMonitors: [HEAP],
        actions: [
          {
            ...SHED,
            name: 'envoy.overload_actions.reduce_timeouts',
            typedConfig: typed('envoy.config.overload.v3.ScaleTimersOverloadActionConfig', { timerScaleFactors: [json] }),
          },
        ],
      }),
  },
};
