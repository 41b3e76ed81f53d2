import { describe, expect, test } from 'vitest';
import { LoopLag } from './loop-lag.ts';
import { type ActionConfig, DEFAULT_OVERLOAD, EVENT_LOOP, type OverloadConfig, OWN_MEMORY } from './overload-config.ts';
import { OverloadMonitor, type ResourceMonitor, scaledTimeoutMs } from './overload-monitor.ts';
import { OverloadState } from './overload-state.ts';
import { streamsToReset } from './stream-reset.ts';

class Resource implements ResourceMonitor {
  readonly name: string;
  value: number | Error = 0;
  constructor(name: string) {
    this.name = name;
  }
  pressure(): number {
    if (this.value instanceof Error) throw this.value;
    return this.value;
  }
}

function watched(config: OverloadConfig) {
  const done: string[] = [];
  const resources = config.monitors.map(({ name }) => new Resource(name));
  const monitor = new OverloadMonitor(
    config,
    resources,
    {
      shrinkHeap: () => done.push('shrink'),
      resetStreams: (state) => done.push(`reset ${state.toFixed(2)}`),
      stopAccepting: (state) => done.push(`accepting ${state}`),
      reduceTimeouts: (state) => done.push(`timeouts ${state.toFixed(2)}`),
    },
    new OverloadState(),
  );
  const at = (pressures: Readonly<Record<string, number | Error>>) => {
    for (const resource of resources) resource.value = pressures[resource.name] ?? resource.value;
    done.length = 0;
    monitor.refresh();
    return { done: [...done], requests: monitor.state.requests, connections: monitor.state.connections, sheds: monitor.state.shedsRequests };
  };
  return { monitor, at };
}

describe('what holds without an overload_manager', () => {
  test('memory: first what costs nothing, then no requests, last no connections; and all of it ends', () => {
    const { at } = watched(DEFAULT_OVERLOAD);
    expect(at({ [OWN_MEMORY]: 0.8 })).toEqual({ done: [], requests: 0, connections: 0, sheds: false });
    expect(at({ [OWN_MEMORY]: 0.9 })).toEqual({ done: ['shrink', 'timeouts 0.50', 'reset 1.00'], requests: 0, connections: 0, sheds: false });
    expect(at({ [OWN_MEMORY]: 0.96 })).toMatchObject({ requests: 1, connections: 0, sheds: true });
    expect(at({ [OWN_MEMORY]: 0.99 })).toMatchObject({ requests: 1, connections: 1 });
    expect(at({ [OWN_MEMORY]: 0.5 })).toEqual({ done: ['timeouts 0.00'], requests: 0, connections: 0, sheds: false });
    expect(at({ [OWN_MEMORY]: 0.5 }).done).toEqual([]);
  });

  test('a loop that lags sheds the more the longer it lags', () => {
    const { at } = watched(DEFAULT_OVERLOAD);
    expect(at({ [EVENT_LOOP]: 0.5 }).requests).toBe(0);
    expect(at({ [EVENT_LOOP]: 0.75 }).requests).toBe(0.5);
    expect(at({ [EVENT_LOOP]: 1 }).requests).toBe(1);
  });
});

test('a resource that cannot be told keeps its last pressure, and that is counted', () => {
  const { at, monitor } = watched(DEFAULT_OVERLOAD);
  at({ [OWN_MEMORY]: 0.96 });
  expect(at({ [OWN_MEMORY]: new Error('no such file') }).requests).toBe(1);
  expect(monitor.monitorStats.get(OWN_MEMORY)).toEqual({ pressure: 0.96, failedUpdates: 1 });
});

test('the trigger that goes furthest counts', () => {
  const trigger = (resource: string, value: number) => ({ resource, trigger: { kind: 'threshold', value } as const });
  const action: ActionConfig = {
    name: 'envoy.overload_actions.disable_http_keepalive',
    kind: 'disable-keep-alive',
    triggers: [trigger('a', 0.9), trigger('b', 0.2)],
    point: false,
    connectionIdle: null,
    streamIdle: null,
  };
  const { at, monitor } = watched({
    ...DEFAULT_OVERLOAD,
    monitors: [
      { name: 'a', kind: 'injected', path: '' },
      { name: 'b', kind: 'injected', path: '' },
    ],
    actions: [action],
  });
  at({ a: 0.1, b: 0.3 });
  expect(monitor.state).toMatchObject({ keepAlive: 1, requests: 0, shedsRequests: true });
});

describe('how late the loop is', () => {
  const pressures = (lagsMs: readonly number[]): number => {
    const lag = new LoopLag();
    for (const ms of lagsMs) lag.look(ms);
    return lag.pressure;
  };
  test.each<[string, readonly number[], number]>([
    ['one long pause is none', [5_000], 0],
    ['pauses with a look in time between them are none', [900, 900, 900, 0, 900, 900, 900, 900], 0],
    ['two seconds of it are', [900, 700, 900, 900, 900, 900, 900, 900], 0.7],
    ['at most 1', [9e3, 9e3, 9e3, 9e3, 9e3, 9e3, 9e3, 9e3], 1],
    ['and it ends with the first look in time', [9e3, 9e3, 9e3, 9e3, 9e3, 9e3, 9e3, 9e3, 3], 0.003],
  ])('%s', (_what, lagsMs, pressure) => {
    expect(pressures(lagsMs)).toBe(pressure);
  });
});

describe('which streams are reset', () => {
  const KIB = 1024;
  const streams = [1, 2, 3, 9, 40, 200].map((kib) => ({ bufferedBytes: kib * KIB, shed: () => {} }));
  const reset = (state: number, minBytes = KIB): number[] => streamsToReset(streams, state, minBytes).map(({ bufferedBytes }) => bufferedBytes / KIB);
  test('the further the action goes, the more of them, the largest first', () => {
    expect(reset(0.01)).toEqual([200]);
    expect(reset(0.4)).toEqual([200, 40]);
    expect(reset(1)).toEqual([200, 40, 9, 3, 2, 1]);
    expect(reset(1, 8 * KIB)).toEqual([200, 40, 9]);
  });
  test('fifty at a time', () => {
    expect(
      streamsToReset(
        Array.from({ length: 80 }, () => ({ bufferedBytes: KIB, shed: () => {} })),
        1,
        KIB,
      ),
    ).toHaveLength(50);
  });
});

test('timeouts between what is configured and the least', () => {
  expect(scaledTimeoutMs(60_000, { kind: 'min', minMs: 2_000 }, 0.5)).toBe(31_000);
  expect(scaledTimeoutMs(60_000, { kind: 'ratio', ratio: 0.1 }, 1)).toBe(6_000);
  expect(scaledTimeoutMs(1_000, { kind: 'min', minMs: 2_000 }, 1)).toBe(1_000);
  expect(scaledTimeoutMs(0, { kind: 'min', minMs: 2_000 }, 1)).toBe(0);
  expect(scaledTimeoutMs(60_000, null, 1)).toBe(60_000);
});

test('what may run out is looked at in a hurry once little is left; the event loop is not', () => {
  const { at, monitor } = watched(DEFAULT_OVERLOAD);
  at({ [OWN_MEMORY]: 0.6, [EVENT_LOOP]: 0.99 });
  expect(monitor.highestPressure).toBe(0.6);
});
