import { fromBinary } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import { HttpConnectionManagerSchema } from '@outrigger/xds/protos/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager';
import { expect, test } from 'vitest';
import { buildMesh } from '../mesh.ts';
import { Reader } from '../reader.ts';
import { node } from '../testing/shop.ts';
import { connectionManager, type ManagerOptions } from './connection-manager.ts';

const common: Omit<ManagerOptions, 'direction'> = {
  statPrefix: 'http',
  routes: { case: 'rds', value: { routeConfigName: 'routes' } },
  filters: [],
  upgrades: [],
};

test.each<readonly [string, ManagerOptions]>([
  ['inbound', { ...common, direction: 'inbound', forwardPeer: true }],
  ['outbound', { ...common, direction: 'outbound' }],
  ['of a gateway', { ...common, direction: 'outbound', edge: { verifiedClient: false } }],
])('a request has ten seconds for its head, and as long as it likes for the rest: %s', (_what, options) => {
  const { configType } = connectionManager(new Reader(buildMesh({ config: [], services: [], instances: [] }), node('payment-service')), options);
  const manager = fromBinary(HttpConnectionManagerSchema, (configType!.value as Any).value);
  expect(manager.requestHeadersTimeout).toMatchObject({ seconds: 10n, nanos: 0 });
  expect(manager.streamIdleTimeout).toMatchObject({ seconds: 0n, nanos: 0 });
  expect(manager.requestTimeout).toBeUndefined();
});
