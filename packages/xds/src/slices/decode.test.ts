import { create, equals, fromBinary, toBinary } from '@bufbuild/protobuf';
import { ClusterSchema } from '@outrigger/xds/protos/envoy/config/cluster/v3/cluster';
import { ClusterLoadAssignmentSchema } from '@outrigger/xds/protos/envoy/config/endpoint/v3/endpoint';
import { LbEndpointSchema, LocalityLbEndpointsSchema } from '@outrigger/xds/protos/envoy/config/endpoint/v3/endpoint_components';
import { RouteConfigurationSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route';
import { RouteMatchSchema, RouteSchema, VirtualHostSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
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

test.each([
  ['the end of a list is missing', (bytes: Uint8Array) => bytes.subarray(0, bytes.length - 3)],
  ['a piece has a wrong wire type', (bytes: Uint8Array) => Uint8Array.of(...bytes, 0x0f)],
])('throws as the whole does where %s', (_what, damage) => {
  const message = create(RouteConfigurationSchema, { virtualHosts: [create(VirtualHostSchema, { routes: routes(1_000) })] });
  const bytes = damage(toBinary(RouteConfigurationSchema, message));
  expect(() => fromBinary(RouteConfigurationSchema, bytes)).toThrow();
  expect(() => atOnce(decodeSteps(RouteConfigurationSchema, bytes))).toThrow();
});
