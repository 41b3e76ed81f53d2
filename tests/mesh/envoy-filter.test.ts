import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RunningWorkload, TestMesh, until } from '../harness/mesh.ts';

let mesh: TestMesh;
let web: RunningWorkload;
beforeAll(async () => {
  mesh = await TestMesh.start();
  [web] = await Promise.all([mesh.run({ name: 'web' }), mesh.run({ name: 'order-service' })]);
});
afterAll(() => mesh.stop());

const filter = (name: string, type: string, more: string): string => `
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: { name: ${name} }
spec:
  configPatches:
    - applyTo: HTTP_FILTER
      match: { context: SIDECAR_OUTBOUND, listener: { filterChain: { filter: { name: envoy.filters.network.http_connection_manager } } } }
      patch:
        operation: INSERT_FIRST
        value:
          name: ${name}
          typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.${type}, ${more} }
`;

test('our proxy does what it knows of an EnvoyFilter, and keeps what it has where it knows a filter not', async () => {
  const asked = () => web.call('http://order-service:8080/echo');
  expect((await asked()).status).toBe(200);
  await mesh.apply(
    filter('good', 'header_mutation.v3.HeaderMutation', 'mutations: { response_mutations: [{ append: { header: { key: x-good, value: yes-it-is } } }] }'),
  );
  await until('the filter', async () => (await asked()).headers['x-good'] === 'yes-it-is');
  await expect(mesh.apply(filter('bad', 'lua.v3.Lua', 'inline_code: "-- nothing"'))).rejects.toThrow('Lua is not supported by this proxy');
  const status = async (name: string): Promise<{ state: string; summary: string }> => {
    const all = JSON.parse((await mesh.api('GET', '/resources?kind=EnvoyFilter')).body) as { name: string; status: { state: string; summary: string } }[];
    return all.find((one) => one.name === name)!.status;
  };
  await until('it is taken back', async () => (await status('bad')).state === 'quarantined');
  expect((await status('bad')).summary).toContain('Lua is not supported by this proxy');
  await until('the other stays', async () => (await status('good')).state === 'in-effect');
  expect((await asked()).headers['x-good']).toBe('yes-it-is');
});
