import { fromBinary } from '@bufbuild/protobuf';
import type { Resource, TelemetrySpec } from '@outrigger/resources';
import { HttpConnectionManagerSchema } from '@outrigger/xds/protos/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager';
import { describe, expect, test } from 'vitest';
import { buildMesh } from '../mesh.ts';
import { bareNode, type DataPlane } from '../node.ts';
import { resource, service } from '../testing/shop.ts';
import { listener } from '../translate.ts';
import { PROXY_LISTENER } from './outbound.ts';

const telemetry = (name: string, spec: TelemetrySpec, namespace = 'default'): Resource => ({
  ...resource('Telemetry', name, spec, { namespace }),
  apiVersion: 'telemetry.istio.io/v1',
});
const root = 'istio-system';
const mine: Pick<TelemetrySpec, 'selector'> = { selector: { matchLabels: { app: 'web' } } };

/** What the forward proxy of a workload says of its log and its traces. */
function told(config: readonly Resource[], dataPlane: DataPlane = 'outrigger') {
  const node = bareNode('default', 'web', {
    dataPlane,
    labels: { app: 'web' },
    httpProxy: { host: '127.0.0.1', port: 15_001 },
    accessLog: '/dev/stdout',
    otlp: { host: '127.0.0.1', port: 4318 },
  });
  const { message, notes } = listener(buildMesh({ config, services: [service('web', 80)], instances: [] }), node, PROXY_LISTENER);
  const found = message!.filterChains[0]!.filters.map(({ configType }) => configType).find((one) => one.case === 'typedConfig');
  const manager = fromBinary(HttpConnectionManagerSchema, (found!.value as { value: Uint8Array }).value);
  return {
    logs: manager.accessLog.map(({ name }) => name.replace('envoy.access_loggers.', '')),
    percent: manager.tracing?.randomSampling?.value,
    tags: manager.tracing?.customTags.map(({ tag }) => tag),
    notes: notes.map(({ field, on }) => `${on} ${field}`),
  };
}

describe('the log', () => {
  const off = (mode?: 'CLIENT' | 'SERVER'): TelemetrySpec => ({ accessLogging: [{ disabled: true, ...(mode === undefined ? {} : { match: { mode } }) }] });
  test.each<readonly [string, readonly Resource[], readonly string[]]>([
    ['is written', [], ['file']],
    ['is off for the mesh', [telemetry('mesh', off(), root)], []],
    ['is on for the namespace again', [telemetry('mesh', off(), root), telemetry('ns', { accessLogging: [{}] })], ['file']],
    ['is off for the workload', [telemetry('one', { ...off(), ...mine })], []],
    ['is off for another workload', [telemetry('one', { ...off(), selector: { matchLabels: { app: 'other' } } })], ['file']],
    ['is off for servers alone', [telemetry('ns', off('SERVER'))], ['file']],
    ['is off for clients', [telemetry('ns', off('CLIENT'))], []],
    ['of another provider is off', [telemetry('ns', { accessLogging: [{ disabled: true, providers: [{ name: 'otel' }] }] })], ['file']],
  ])('%s', (_, config, logs) => {
    expect(told(config).logs).toEqual(logs);
  });

  test('keeps an Envoy telling the control plane of its requests', () => {
    expect(told([telemetry('mesh', off(), root)], 'envoy').logs).toEqual(['http_grpc']);
  });
});

describe('traces', () => {
  test('are sampled as the nearest says, and what it leaves out is of the one above', () => {
    const config = [
      telemetry('mesh', { tracing: [{ randomSamplingPercentage: 50 }] }, root),
      telemetry('one', { ...mine, tracing: [{ customTags: { a: { literal: { value: 'b' } } } }] }),
    ];
    expect(told(config)).toMatchObject({ percent: 50, tags: [], notes: ['outrigger spec.tracing[0].customTags'] });
    expect(told(config, 'envoy')).toMatchObject({ percent: 100, tags: ['a'] });
    expect(told([]).percent).toBe(1);
  });

  test('are not reported where nobody wants them', () => {
    expect(told([telemetry('mesh', { tracing: [{ disableSpanReporting: true }] }, root)]).percent).toBeUndefined();
  });
});
