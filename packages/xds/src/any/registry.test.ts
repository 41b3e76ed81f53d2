import { create, fromJson, toJson } from '@bufbuild/protobuf';
import { type Cluster, ClusterSchema } from '@outrigger/xds/protos/envoy/config/cluster/v3/cluster';
import { ListenerSchema } from '@outrigger/xds/protos/envoy/config/listener/v3/listener';
import { RouterSchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/router/v3/router';
import { HttpConnectionManagerSchema } from '@outrigger/xds/protos/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager';
import { expect, test } from 'vitest';
import { packAny, packResource, typeUrlOf, unpackAny } from './pack.ts';
import { loadTypeRegistry } from './registry.ts';

test('a listener with an Any inside an Any goes to JSON and back', async () => {
  const registry = await loadTypeRegistry();
  const router = {
    name: 'envoy.filters.http.router',
    configType: { case: 'typedConfig' as const, value: packAny(RouterSchema, create(RouterSchema, { suppressEnvoyHeaders: true })) },
  };
  const hcm = packAny(HttpConnectionManagerSchema, create(HttpConnectionManagerSchema, { statPrefix: 'in', httpFilters: [router] }));
  const listener = create(ListenerSchema, { name: 'l', filterChains: [{ filters: [{ name: 'hcm', configType: { case: 'typedConfig', value: hcm } }] }] });
  const json = toJson(ListenerSchema, listener, { registry });
  expect(JSON.stringify(json)).toContain('"suppressEnvoyHeaders":true');
  expect(fromJson(ListenerSchema, json, { registry })).toEqual(listener);
});

test('a version changes with the content and with the aliases, and with nothing else', () => {
  const cluster = (name: string): Cluster => create(ClusterSchema, { name });
  const version = packResource(ClusterSchema, 'a', cluster('a')).version;
  expect(packResource(ClusterSchema, 'other name', cluster('a')).version).toBe(version);
  expect(packResource(ClusterSchema, 'a', cluster('b')).version).not.toBe(version);
  expect(packResource(ClusterSchema, 'a', cluster('a'), ['x']).version).not.toBe(version);
  expect(version).toMatch(/^[\w-]{16}$/);
});

test('unpacks its own type only', () => {
  const any = packAny(ClusterSchema, create(ClusterSchema, { name: 'a' }));
  expect(any.typeUrl).toBe(typeUrlOf(ClusterSchema));
  expect(unpackAny(ClusterSchema, any)).toMatchObject({ name: 'a' });
  expect(unpackAny(RouterSchema, any)).toBeUndefined();
  expect(unpackAny(ClusterSchema, undefined)).toBeUndefined();
});
