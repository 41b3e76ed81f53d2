import { fromBinary } from '@bufbuild/protobuf';
import { DeltaDiscoveryResponseSchema, DiscoveryResponseSchema } from '@outrigger/xds/protos/envoy/service/discovery/v3/discovery';
import { expect, test } from 'vitest';
import { TypeUrl, type VersionedResource } from '../source.ts';
import { textResource } from '../testing/map-source.ts';
import { encodeDeltaResponse, encodeSotwResponse } from './encode-response.ts';

const aliased = { ...textResource('r/orders', '2'), aliases: ['r/orders:8080', 'r/bestellungen'] };
const push = { nonce: '7', resources: [textResource('a', '1'), aliased], removed: ['b'], absent: ['c'], versions: new Map() };
const bodyText = ({ typeUrl, value }: VersionedResource['body']): string => `${typeUrl} ${Buffer.from(value).toString('hex')}`;

test('a delta response is read as what was meant', () => {
  const read = fromBinary(DeltaDiscoveryResponseSchema, encodeDeltaResponse({ typeUrl: TypeUrl.cluster, push, version: 'v' }));
  expect(read).toMatchObject({ systemVersionInfo: 'v', typeUrl: TypeUrl.cluster, nonce: '7', removedResources: ['b', 'c'] });
  expect(read.resources).toMatchObject([
    { name: 'a', version: '1', aliases: [] },
    { name: 'r/orders', version: '2', aliases: aliased.aliases },
  ]);
  expect(read.resources.map(({ resource }) => bodyText(resource!))).toEqual(push.resources.map(({ body }) => bodyText(body)));
  expect(read.$unknown).toBeUndefined();
});

test('a virtual host that is not there is a resource without a body', () => {
  const read = fromBinary(DeltaDiscoveryResponseSchema, encodeDeltaResponse({ typeUrl: TypeUrl.virtualHost, push, version: 'v' }));
  expect(read.removedResources).toEqual(['b']);
  expect(read.resources.at(-1)).toMatchObject({ name: 'c', version: '', aliases: ['c'] });
  expect(read.resources.at(-1)!.resource).toBeUndefined();
});

test('so is a response with the state of the world', () => {
  const read = fromBinary(DiscoveryResponseSchema, encodeSotwResponse({ typeUrl: TypeUrl.cluster, push, version: 'v' }));
  expect(read).toMatchObject({ versionInfo: 'v', typeUrl: TypeUrl.cluster, nonce: '7' });
  expect(read.resources.map(bodyText)).toEqual(push.resources.map(({ body }) => bodyText(body)));
  expect(read.$unknown).toBeUndefined();
});

test('a long response leaves nothing in those after it', () => {
  const long = { ...push, resources: [{ ...textResource('long', '1'), body: { ...textResource('long', '1').body, value: new Uint8Array(300_000) } }] };
  const sizes = [long, push, long, push].map((one) => encodeDeltaResponse({ typeUrl: TypeUrl.cluster, push: one, version: 'v' }).length);
  expect(sizes[0]).toBeGreaterThan(300_000);
  expect([sizes[2], sizes[3]]).toEqual([sizes[0], sizes[1]]);
  const read = fromBinary(DeltaDiscoveryResponseSchema, encodeDeltaResponse({ typeUrl: TypeUrl.cluster, push, version: 'v' }));
  expect(read.resources.map(({ name }) => name)).toEqual(['a', 'r/orders']);
});
