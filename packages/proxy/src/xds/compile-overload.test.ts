import type { JsonObject } from '@bufbuild/protobuf';
import { OverloadManagerSchema } from '@outrigger/xds/protos/envoy/config/overload/v3/overload';
import { describe, expect, it } from 'vitest';
import { readBootstrap } from '../bootstrap/bootstrap-config.ts';
import { DEFAULT_OVERLOAD, EVENT_LOOP, OWN_MEMORY } from '../overload/overload-config.ts';
import { CompileReport } from '../routing/compile-result.ts';
import { message, typed } from '../testing/messages.ts';
import { compileOverload } from './compile-overload.ts';

const HEAP = 'envoy.resource_monitors.fixed_heap';
const heap = (fields: JsonObject = { maxHeapSizeBytes: '1000' }): JsonObject => ({
  name: HEAP,
  typedConfig: typed('envoy.extensions.resource_monitors.fixed_heap.v3.FixedHeapConfig', fields),
});
const shed = (trigger: JsonObject, name = 'envoy.overload_actions.stop_accepting_requests'): JsonObject => ({ name, triggers: [{ name: HEAP, ...trigger }] });
const AT: JsonObject = { threshold: { value: 0.9 } };

function compile(json: JsonObject) {
  const report = new CompileReport();
  return { config: compileOverload(message(OverloadManagerSchema, json), 'overload_manager', report), report };
}

it('takes monitors, triggers, actions and points', () => {
  const { config, report } = compile({
    refreshInterval: '0.25s',
    resourceMonitors: [
      heap(),
      {
        name: 'envoy.resource_monitors.global_downstream_max_connections',
        typedConfig: typed('envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig', { maxActiveDownstreamConnections: '7' }),
      },
      { name: OWN_MEMORY },
      { name: EVENT_LOOP },
    ],
    actions: [
      shed({ scaled: { scalingThreshold: 0.5, saturationThreshold: 0.9 } }),
      {
        ...shed(AT, 'envoy.overload_actions.reduce_timeouts'),
        typedConfig: typed('envoy.config.overload.v3.ScaleTimersOverloadActionConfig', {
          timerScaleFactors: [
            { timer: 'HTTP_DOWNSTREAM_CONNECTION_IDLE', minTimeout: '2s' },
            { timer: 'HTTP_DOWNSTREAM_STREAM_IDLE', minScale: { value: 20 } },
          ],
        }),
      },
    ],
    loadshedPoints: [shed(AT, 'envoy.load_shed_points.tcp_listener_accept')],
    bufferFactoryConfig: { minimumAccountToTrackPowerOfTwo: 12 },
  });
  expect(report).toMatchObject({ errors: [], ignored: [] });
  expect(config).toMatchObject({
    refreshIntervalMs: 250,
    maxConnections: 7,
    minResetBytes: 4096,
    monitors: [{ kind: 'fixed-heap', maxHeapBytes: 1000 }, { kind: 'own-memory' }, { kind: 'event-loop' }],
    actions: [
      {
        kind: 'stop-accepting-requests',
        point: false,
        triggers: [{ resource: HEAP, trigger: { kind: 'scaled', scalingThreshold: 0.5, saturationThreshold: 0.9 } }],
      },
      { kind: 'reduce-timeouts', connectionIdle: { kind: 'min', minMs: 2_000 }, streamIdle: { kind: 'ratio', ratio: 0.2 } },
      { kind: 'reject-connections', point: true, triggers: [{ trigger: { kind: 'threshold', value: 0.9 } }] },
    ],
  });
});

describe('what cannot be meant is refused', () => {
  it.each<[string, JsonObject, string]>([
    ['a monitor that is not known', { resourceMonitors: [{ name: 'cpu' }] }, 'overload_manager.resource_monitors[0].name'],
    ['a heap of nothing', { resourceMonitors: [heap({})] }, 'overload_manager.resource_monitors[0].typed_config.max_heap_size_bytes'],
    ['a monitor twice', { resourceMonitors: [heap(), heap()] }, 'overload_manager.resource_monitors'],
    ['an action that is not known', { resourceMonitors: [heap()], actions: [shed(AT, 'panic')] }, 'overload_manager.actions[0].name'],
    ['a trigger of a monitor that is not there', { actions: [shed(AT)] }, 'overload_manager.actions[0].triggers[0].name'],
    ['no trigger', { resourceMonitors: [heap()], actions: [{ ...shed(AT), triggers: [] }] }, 'overload_manager.actions[0].triggers'],
    [
      'a threshold of more than all',
      { resourceMonitors: [heap()], actions: [shed({ threshold: { value: 90 } })] },
      'overload_manager.actions[0].triggers[0].threshold.value',
    ],
    [
      'thresholds the wrong way round',
      { resourceMonitors: [heap()], actions: [shed({ scaled: { scalingThreshold: 0.9, saturationThreshold: 0.5 } })] },
      'overload_manager.actions[0].triggers[0].scaled',
    ],
  ])('%s', (_what, json, path) => {
    expect(compile(json).report.errors.map((error) => error.path)).toContain(path);
  });
});

it('names the points of load shedding that it has not', () => {
  const { report } = compile({ resourceMonitors: [heap()], loadshedPoints: [shed(AT, 'envoy.load_shed_points.http2_server_go_away_on_dispatch')] });
  expect(report.ignored).toEqual(['overload_manager.loadshed_points[0] (envoy.load_shed_points.http2_server_go_away_on_dispatch)']);
});

it('stands in a bootstrap, or something sane in its place', async () => {
  const read = (fields: JsonObject) => readBootstrap(JSON.stringify({ node: { id: 'a' }, ...fields }), 'b.json');
  expect((await read({})).overload).toBe(DEFAULT_OVERLOAD);
  const { overload } = await read({ overloadManager: { resourceMonitors: [heap()], actions: [shed(AT)] } });
  expect(overload.actions).toHaveLength(1);
  await expect(read({ overloadManager: { resourceMonitors: [{ name: 'cpu' }] } })).rejects.toThrow('cpu is not supported by this proxy');
});
