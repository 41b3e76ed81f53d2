import { create, equals, fromBinary, type MessageShape, toBinary } from '@bufbuild/protobuf';
import { ClusterSchema } from '@outrigger/xds/protos/envoy/config/cluster/v3/cluster';
import { ClusterLoadAssignmentSchema } from '@outrigger/xds/protos/envoy/config/endpoint/v3/endpoint';
import { LbEndpointSchema, LocalityLbEndpointsSchema } from '@outrigger/xds/protos/envoy/config/endpoint/v3/endpoint_components';
import { RouteConfigurationSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route';
import { RouteMatchSchema, RouteSchema, VirtualHostSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
import { HttpConnectionManagerSchema } from '@outrigger/xds/protos/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager';
import { expect, test } from 'vitest';
import { decodeSteps } from './decode.ts';
import { atOnce } from './slices.ts';

const routes = (count: number, length = 10) =>
  Array.from({ length: count }, (_, index) =>
    create(RouteSchema, { name: `route-${index}`, match: create(RouteMatchSchema, { pathSpecifier: { case: 'prefix', value: `/${'x'.repeat(length)}` } }) }),
  );
const assignment = create(ClusterLoadAssignmentSchema, {
  clusterName: 'shop',
  endpoints: [1, 2].map((priority) =>
    create(LocalityLbEndpointsSchema, {
      priority,
      loadBalancingWeight: 7,
      lbEndpoints: Array.from({ length: 500 }, (_, index) =>
        create(LbEndpointSchema, { hostIdentifier: { case: 'endpointName', value: `e${index}` }, loadBalancingWeight: index + 1 }),
      ),
    }),
  ),
});

test.each([
  ['nothing', RouteConfigurationSchema, create(RouteConfigurationSchema)],
  [
    'little',
    RouteConfigurationSchema,
    create(RouteConfigurationSchema, { name: 'r', virtualHosts: [create(VirtualHostSchema, { name: 'a', routes: routes(2) })] }),
  ],
  [
    'many routes in one virtual host',
    RouteConfigurationSchema,
    create(RouteConfigurationSchema, {
      name: 'r',
      requestHeadersToRemove: ['x-a', 'x-b'],
      virtualHosts: [create(VirtualHostSchema, { name: 'a', routes: routes(1_000) }), create(VirtualHostSchema, { name: 'b', routes: routes(3) })],
      ignorePortInHostMatching: true,
    }),
  ],
  [
    'many virtual hosts',
    RouteConfigurationSchema,
    create(RouteConfigurationSchema, {
      virtualHosts: Array.from({ length: 500 }, (_, index) => create(VirtualHostSchema, { name: `vh-${index}`, domains: [`d${index}`], routes: routes(2) })),
    }),
  ],
  [
    'one long text',
    RouteConfigurationSchema,
    create(RouteConfigurationSchema, { name: 'n'.repeat(10_000), virtualHosts: [create(VirtualHostSchema, { routes: routes(2, 5_000) })] }),
  ],
  ['endpoints of localities', ClusterLoadAssignmentSchema, assignment],
  [
    'routes within what is one of several',
    HttpConnectionManagerSchema,
    create(HttpConnectionManagerSchema, {
      statPrefix: 's',
      routeSpecifier: {
        case: 'routeConfig',
        value: create(RouteConfigurationSchema, { virtualHosts: [create(VirtualHostSchema, { routes: routes(2_000) })] }),
      },
      via: 'v',
    }),
  ],
  ['endpoints within a cluster', ClusterSchema, create(ClusterSchema, { name: 'c', loadAssignment: assignment, connectTimeout: { seconds: 1n } })],
] as const)('is the same message in steps: %s', (_what, schema, message) => {
  const bytes = toBinary<typeof schema>(schema, message as never);
  const whole = fromBinary(schema, bytes);
  let steps = 0;
  const decoding = decodeSteps(schema, bytes);
  for (let step = decoding.next(); ; step = decoding.next()) {
    if (step.done === true) {
      expect(equals(schema as typeof RouteConfigurationSchema, step.value as never, whole as never)).toBe(true);
      expect(toBinary<typeof schema>(schema, step.value as never)).toEqual(bytes);
      break;
    }
    steps += 1;
  }
  if (bytes.length > 20_000) expect(steps).toBeGreaterThan(bytes.length / 5_000);
});

test('takes the last of several that exclude each other, and merges one that comes twice', () => {
  const routed = (count: number) =>
    create(HttpConnectionManagerSchema, {
      routeSpecifier: {
        case: 'routeConfig',
        value: create(RouteConfigurationSchema, { virtualHosts: [create(VirtualHostSchema, { routes: routes(count) })] }),
      },
    });
  const rds = create(HttpConnectionManagerSchema, { routeSpecifier: { case: 'rds', value: { routeConfigName: 'r'.repeat(3_000) } } });
  const of = (...messages: MessageShape<typeof HttpConnectionManagerSchema>[]): Uint8Array =>
    Buffer.concat(messages.map((message) => toBinary(HttpConnectionManagerSchema, message)));
  for (const bytes of [of(routed(500), routed(600)), of(rds, routed(500)), of(routed(500), rds), of(routed(1), routed(500), routed(1))])
    expect(atOnce(decodeSteps(HttpConnectionManagerSchema, bytes))).toEqual(fromBinary(HttpConnectionManagerSchema, bytes));
});

test.each([
  ['the end of a list is missing', (bytes: Uint8Array) => bytes.subarray(0, bytes.length - 3)],
  ['a piece has a wrong wire type', (bytes: Uint8Array) => Uint8Array.of(...bytes, 0x0f)],
])('throws as the whole does where %s', (_what, damage) => {
  const message = create(RouteConfigurationSchema, { virtualHosts: [create(VirtualHostSchema, { routes: routes(1_000) })] });
  const bytes = damage(toBinary(RouteConfigurationSchema, message));
  expect(() => fromBinary(RouteConfigurationSchema, bytes)).toThrow();
  expect(() => atOnce(decodeSteps(RouteConfigurationSchema, bytes))).toThrow();
});
