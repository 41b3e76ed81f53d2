import type { MeshView } from '@outrigger/control-plane/mesh-view';
import { manifestOf, readResources } from '@outrigger/resources';
import { bareNode, defaultSettings } from '@outrigger/translate';
import { loadTypeRegistry, TypeUrl } from '@outrigger/xds';
import { expect, test } from 'vitest';
import { type Plan, planOf } from './plan.ts';
import { inputOfFiles, inputOfMesh } from './sources.ts';
import { sample, window } from './testing/samples.ts';

const types = await loadTypeRegistry();
const HOST = 'orders.default.svc.cluster.local';
const SERVICE = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: orders}
spec: {hosts: [${HOST}], location: MESH_INTERNAL, resolution: STATIC, ports: [{number: 8080, name: http, protocol: HTTP}]}
`;
const ROLLOUT = `
apiVersion: outrigger.dev/v1alpha1
kind: Rollout
metadata: {name: orders}
spec: {service: orders, from: v1, to: v2, steps: [10, 100]}
`;
const routes = (http: string) => `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [orders], http: [${http}]}
`;
const toOrders = (more = '') => `{route: [{destination: {host: orders}}]${more}}`;
const split = { split: { to: 40, mirror: 0 }, from: 'v1', to: 'v2', sticky: undefined };
const orders = { ...split, rollout: { namespace: 'default', name: 'orders' }, service: { hostname: HOST, name: 'orders', namespace: 'default' } };
const web = bareNode('default', 'web', { httpProxy: { host: '127.0.0.1', port: 15_001 }, onDemand: true });

async function planned(before: readonly string[], after: readonly string[], more: Partial<MeshView> = {}): Promise<Plan> {
  const read = (documents: readonly string[]) => readResources([{ file: 'mesh.yaml', text: documents.join('---') }]);
  const there = await read(before);
  expect(there.problems).toEqual([]);
  const view: MeshView = {
    revision: '7',
    settings: defaultSettings,
    resources: there.resources.map((resource) => ({ object: manifestOf(resource), source: { file: '', line: 0 } })) as unknown as MeshView['resources'],
    attached: { services: [], instances: [] },
    resolvedSrv: {},
    refusals: [],
    rollouts: [orders],
    proxies: [{ node: web, subscribed: { [TypeUrl.virtualHost]: ['http_proxy/orders:8080'] }, wildcards: [TypeUrl.listener] }],
    ...more,
  };
  const input = inputOfMesh(view, await read(after), { prune: true, nowMs: 0, types });
  const traffic = { windows: [window([sample('/a')])], nodes: [web] };
  return planOf(input, types, traffic);
}

test('weights of a running rollout are those of before and after', async () => {
  const before = [SERVICE, ROLLOUT, routes(toOrders())];
  expect(await planned(before, before)).toMatchObject({ risk: 'none', replay: { seen: 1, changedPercent: 0 } });
  const timeout = await planned(before, [SERVICE, ROLLOUT, routes(toOrders(', timeout: 3s'))]);
  const weights = `${HOST}:8080 v2 40 %`;
  expect(timeout.services[0]!.routes[0]).toMatchObject({ before: [expect.stringContaining(weights)], after: [expect.stringContaining(weights)] });
  expect(timeout.assumed).toEqual(['weights are as the rollout default/orders has shifted them, before and after: 40 % of orders to v2, the rest to v1']);
});

test('a rollout that goes gives its share back, for the requests that were seen too', async () => {
  const gone = await planned([SERVICE, ROLLOUT, routes(toOrders())], [SERVICE, routes(toOrders())]);
  expect(gone.services[0]!.routes[0]).toMatchObject({ before: [expect.stringContaining('v2 40 %')], after: [expect.not.stringContaining('v2')] });
  expect(gone.replay!.changedPercent).toBe(100);
  expect(gone.assumed).toEqual([]);
});

test('it says what a rollout would do that the plan has not', async () => {
  const begins = await planned([SERVICE, routes(toOrders())], [SERVICE, ROLLOUT, routes(toOrders())], { rollouts: [] });
  expect(begins.assumed).toEqual(['the rollout default/orders begins when it is applied, and shifts weights step by step: none of that is in this plan']);
  const versions = '{route: [{destination: {host: orders, subset: v1}, weight: 50}, {destination: {host: orders, subset: v2}, weight: 50}]}';
  const conflict = await planned([SERVICE, ROLLOUT, routes(toOrders())], [SERVICE, ROLLOUT, routes(versions)]);
  expect(conflict.assumed.at(-1)).toMatch(/^the rollout default\/orders would be paused: VirtualService default\/orders spec\.http\[0\] splits orders/);
});

test('files alone do not say how far one is', async () => {
  const read = await readResources([{ file: 'mesh.yaml', text: [SERVICE, ROLLOUT].join('---') }]);
  expect(inputOfFiles(read, read, { types: undefined }).assumed).toContain(
    'the Rollout default/orders has no effect here, since files do not say how far it is: weights are as written',
  );
});

test('what a proxy has refused of an EnvoyFilter is not in force again until that changes', async () => {
  const filter = (status: number) => `
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: mine}
spec: {configPatches: [{applyTo: HTTP_ROUTE, patch: {operation: INSERT_FIRST, value: {match: {prefix: /}, direct_response: {status: ${status}}}}}]}
`;
  const ref = { group: 'networking.istio.io', kind: 'EnvoyFilter', namespace: 'default', name: 'mine' };
  const refused = { refusals: [{ ref, dataPlane: 'outrigger' as const, message: 'no' }], rollouts: [] };
  const kept = await planned([SERVICE, routes(toOrders()), filter(410)], [SERVICE, routes(toOrders(', timeout: 3s')), filter(410)], refused);
  expect(kept.services[0]!.routes[0]!.after.join()).not.toContain('answers 410');
  const changed = await planned([SERVICE, routes(toOrders()), filter(410)], [SERVICE, routes(toOrders()), filter(418)], refused);
  expect(changed.services[0]!.routes[0]!.before.join()).not.toContain('answers');
  expect(changed.services[0]!.routes[0]!.after.join()).toContain('answers 418');
});
