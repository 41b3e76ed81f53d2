import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Cluster, ClusterSchema } from '@outrigger/xds/protos/envoy/config/cluster/v3/cluster';
import { type ClusterLoadAssignment, ClusterLoadAssignmentSchema } from '@outrigger/xds/protos/envoy/config/endpoint/v3/endpoint';
import { type VirtualHost, VirtualHostSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
import { afterEach, expect, test } from 'vitest';
import type { MeshView } from './api/mesh-view.ts';
import type { ApplyResult, Problem, ProxyView, ResourceView, ServiceView, WaitResult } from './api/shapes.ts';
import { startControlPlane } from './control-plane.ts';
import type { ControlPlane, ControlPlaneOptions } from './options.ts';
import { attach, credentialsOf, XdsClient } from './testing/workload.ts';

const cleanups: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function stateDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'cp-'));
  cleanups.push(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

async function start(options: Partial<ControlPlaneOptions> = {}): Promise<ControlPlane> {
  const controlPlane = await startControlPlane({
    version: '1',
    stateDirectory: options.stateDirectory ?? stateDirectory(),
    grpc: { port: 0 },
    api: { port: 0 },
    ...options,
  });
  cleanups.push(() => controlPlane.stop());
  return controlPlane;
}

function call<T>(controlPlane: ControlPlane, method: string, path: string, body?: unknown): Promise<T> {
  return new Promise((resolve, reject) => {
    const text = body === undefined ? '' : JSON.stringify(body);
    const headers = body === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) };
    const out = request({ socketPath: controlPlane.addresses.apiSocket, method, path: `/api/v1${path}`, headers, agent: false }, (response) => {
      let answer = '';
      response.on('data', (chunk) => {
        answer += chunk;
      });
      response.on('end', () => resolve(JSON.parse(answer) as T));
    });
    out.on('error', reject);
    out.end(text);
  });
}

const CANARY = (v2: number) => `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: order-service}
spec:
  hosts: [order-service]
  http:
    - route:
        - {destination: {host: order-service, subset: v1}, weight: ${100 - v2}}
        - {destination: {host: order-service, subset: v2}, weight: ${v2}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: order-service}
spec:
  host: order-service
  subsets:
    - {name: v1, labels: {version: v1}}
    - {name: v2, labels: {version: v2}}
`;

const HOST = 'order-service.default.svc.cluster.local';
const V1 = `outbound|8080|v1|${HOST}`;
const V2 = `outbound|8080|v2|${HOST}`;

test('a client follows a canary and one endpoint change, and gets nothing that it does not use', async () => {
  const controlPlane = await start();
  const { addresses } = controlPlane;
  const orders = await credentialsOf(addresses, 'order-service');
  const v1 = await attach(addresses, orders, { name: 'order-service', version: 'v1', meshPort: 15_101 });
  const v2 = await attach(addresses, orders, { name: 'order-service', version: 'v2', meshPort: 15_102 });
  cleanups.push(() => [v1, v2].forEach((instance) => void instance.end()));
  const applied = await call<ApplyResult>(controlPlane, 'POST', '/apply', { documents: [{ file: 'canary.yaml', text: CANARY(10) }] });
  expect(applied.applied.map(({ kind, change }) => `${kind} ${change}`)).toEqual(['VirtualService created', 'DestinationRule created']);

  const web = new XdsClient(addresses, await credentialsOf(addresses, 'web'), { name: 'web' });
  cleanups.push(() => web.ads.close());
  web.ads.subscribe(ClusterSchema, [V1, V2], web.handler('CDS'));
  web.ads.subscribe(ClusterLoadAssignmentSchema, [V1, V2], web.handler('EDS'));
  web.ads.subscribe(VirtualHostSchema, ['http_proxy/order-service:8080'], web.handler('VHDS'));
  web.ads.start();
  const got = (type: string) => web.seen.filter((seen) => seen.type === type).flatMap(({ added }) => added);
  await web.until(() => got('CDS').length >= 2 && got('EDS').length >= 2 && got('VHDS').length >= 1);
  const weights = (): number[] => {
    const route = (got('VHDS').at(-1)?.message as VirtualHost | undefined)?.routes.find(({ name }) => name === 'default');
    const specifier = route?.action.case === 'route' ? route.action.value.clusterSpecifier : undefined;
    return specifier?.case === 'weightedClusters' ? specifier.value.clusters.map(({ weight }) => weight ?? 0) : [];
  };
  expect(weights()).toEqual([90, 10]);
  expect((await call<WaitResult>(controlPlane, 'GET', `/wait?revision=${applied.revision}&timeoutMs=5000`)).done).toBe(true);

  // One weight: the virtual host, and nothing else.
  web.seen.length = 0;
  const changed = await call<ApplyResult>(controlPlane, 'POST', '/apply', { documents: [{ file: 'canary.yaml', text: CANARY(50) }] });
  expect(changed.applied.map(({ change }) => change)).toEqual(['configured', 'unchanged']);
  const waited = await call<WaitResult>(controlPlane, 'GET', `/wait?revision=${changed.revision}&timeoutMs=5000`);
  expect(waited).toMatchObject({ done: true, affected: 1, acknowledged: 1, laggards: [], refused: [] });
  expect(weights()).toEqual([50, 50]);
  expect(web.seen.map(({ type, added, removed }) => [type, added.length, removed.length])).toEqual([['VHDS', 1, 0]]);

  // One endpoint gone: its endpoint set, and nothing else.
  web.seen.length = 0;
  v2.end();
  await web.until(() => web.seen.length > 0);
  expect(web.seen.map(({ type, added }) => [type, added.map(({ name }) => name)])).toEqual([['EDS', [V2]]]);
  const lost = got('EDS').at(-1)?.message as ClusterLoadAssignment;
  expect(lost.endpoints.flatMap(({ lbEndpoints }) => lbEndpoints)).toHaveLength(0);

  const [proxy] = await call<ProxyView[]>(controlPlane, 'GET', '/proxies');
  expect(proxy).toMatchObject({
    node: 'web-1.default',
    connected: true,
    refusal: null,
    spiffeId: 'spiffe://cluster.local/ns/default/sa/web',
    configRevision: changed.revision,
  });
  expect(proxy!.certificateExpiresAtMs).toBeGreaterThan(Date.now());
  const services = await call<ServiceView[]>(controlPlane, 'GET', '/services');
  expect(services.map(({ name, instances }) => [name, instances.map(({ version }) => version)])).toEqual([['order-service', ['v1']]]);
  const resources = await call<ResourceView[]>(controlPlane, 'GET', '/resources?kind=virtualservices');
  expect(resources[0]?.status).toMatchObject({ state: 'in-effect', affected: 1, acknowledged: 1 });
});

test('a refused update is shown in the words of the proxy, and wait names it', async () => {
  const controlPlane = await start();
  const { addresses } = controlPlane;
  const orders = await attach(addresses, await credentialsOf(addresses, 'order-service'), { name: 'order-service', version: 'v1' });
  cleanups.push(() => orders.end());
  const web = new XdsClient(addresses, await credentialsOf(addresses, 'web'), { name: 'web' });
  cleanups.push(() => web.ads.close());
  web.ads.subscribe(VirtualHostSchema, ['http_proxy/order-service:8080'], web.handler('VHDS'));
  web.ads.start();
  await web.until(() => web.seen.length > 0);
  web.verdict = () => ({ refused: 'routes[0]: not here' });
  const { revision } = await call<ApplyResult>(controlPlane, 'POST', '/apply', { documents: [{ file: 'canary.yaml', text: CANARY(10) }] });
  const waited = await call<WaitResult>(controlPlane, 'GET', `/wait?revision=${revision}&timeoutMs=5000`);
  expect(waited).toMatchObject({
    done: true,
    affected: 1,
    acknowledged: 0,
    refused: [{ node: 'web-1.default', message: expect.stringContaining('routes[0]: not here') as string }],
  });
  const [proxy] = await call<ProxyView[]>(controlPlane, 'GET', '/proxies');
  expect(proxy?.refusal).toContain('routes[0]: not here');
  expect(proxy?.sync['VHDS']).toBe('refused');
  const [resource] = await call<ResourceView[]>(controlPlane, 'GET', '/resources?kind=VirtualService');
  expect(resource?.status).toMatchObject({ state: 'partly', refused: [{ node: 'web-1.default' }] });
  const problems = await call<{ what: string }[]>(controlPlane, 'GET', '/problems');
  expect(problems.map(({ what }) => what).join()).toContain('routes[0]: not here');
});

test('what is referred to and not there is without effect until it comes', async () => {
  const controlPlane = await start();
  const { addresses } = controlPlane;
  const { messages } = await call<ApplyResult>(controlPlane, 'POST', '/apply', { documents: [{ file: 'canary.yaml', text: CANARY(10) }] });
  expect(messages.map(({ code, level }) => `${code} ${level}`)).toEqual(['IST0101 Warning', 'IST0101 Warning', 'IST0174 Warning']);
  const states = async () =>
    (await call<ResourceView[]>(controlPlane, 'GET', '/resources')).map(({ kind, status }) => `${kind} ${status.state}: ${status.summary}`);
  const missing = 'without-effect: without effect because host order-service is no service that namespace default can see';
  expect(await states()).toEqual([`DestinationRule ${missing}`, `VirtualService ${missing}`]);
  const orders = await credentialsOf(addresses, 'order-service');
  const instances = [await attach(addresses, orders, { name: 'order-service', version: 'v1', meshPort: 15_101 })];
  cleanups.push(() => instances.forEach((instance) => void instance.end()));
  const accepted = 'accepted: accepted; no connected proxy has needed it so far (a sidecar asks with its first call)';
  expect((await states())[1]).toBe(`VirtualService ${accepted}`);
  instances.push(await attach(addresses, orders, { name: 'order-service', version: 'v2', meshPort: 15_102 }));
  expect(await states()).toEqual([`DestinationRule ${accepted}`, `VirtualService ${accepted}`]);
});

test('a bad file of the watched folder is a problem, and its last good version stays', async () => {
  const configDirectory = mkdtempSync(join(tmpdir(), 'config-'));
  cleanups.push(() => rmSync(configDirectory, { recursive: true, force: true }));
  const directory = stateDirectory();
  writeFileSync(join(configDirectory, 'canary.yaml'), CANARY(10));
  await (await start({ stateDirectory: directory, configDirectory })).stop();
  writeFileSync(join(configDirectory, 'canary.yaml'), CANARY(50).replace('weight: 50', 'wait: 50'));
  const controlPlane = await start({ stateDirectory: directory, configDirectory });
  expect(await call<Problem[]>(controlPlane, 'GET', '/problems')).toMatchObject([
    { where: 'canary.yaml:9', what: expect.stringContaining('unknown field "spec.http[0].route[0].wait"') as string },
  ]);
  const [, virtualService] = await call<ResourceView[]>(controlPlane, 'GET', '/resources');
  expect(JSON.stringify(virtualService!.manifest)).toContain('"weight":90');
});

test('a node that says to be somebody else is refused, and so is one without a certificate', async () => {
  const { addresses } = await start();
  const web = await credentialsOf(addresses, 'web');
  const other = new XdsClient(addresses, web, { name: 'payment-service' });
  cleanups.push(() => other.ads.close());
  other.ads.subscribe(ClusterSchema, ['*'], other.handler('CDS'));
  other.ads.start();
  await other.until(() => other.errors.length > 0);
  expect(other.errors[0]).toContain(
    'says it is spiffe://cluster.local/ns/default/sa/payment-service but its certificate is of spiffe://cluster.local/ns/default/sa/web',
  );
  const nameless = new XdsClient(addresses, { ca: web.ca }, { name: 'web' });
  cleanups.push(() => nameless.ads.close());
  nameless.ads.subscribe(ClusterSchema, ['*'], nameless.handler('CDS'));
  nameless.ads.start();
  await nameless.until(() => nameless.errors.length > 0);
  expect(nameless.errors[0]).toContain('says it is spiffe://cluster.local/ns/default/sa/web but shows no certificate of this mesh');
  expect([...other.seen, ...nameless.seen]).toEqual([]);
});

test('what was applied and who was registered are there after a restart', async () => {
  const directory = stateDirectory();
  const first = await start({ stateDirectory: directory });
  const credentials = await credentialsOf(first.addresses, 'order-service');
  const instance = await attach(first.addresses, credentials, { name: 'order-service', version: 'v1' });
  await call<ApplyResult>(first, 'POST', '/apply', { documents: [{ file: 'canary.yaml', text: CANARY(10) }] });
  await first.stop();
  instance.end();

  const second = await start({ stateDirectory: directory });
  expect((await call<ResourceView[]>(second, 'GET', '/resources')).map(({ kind, origin }) => [kind, origin?.file])).toEqual([
    ['DestinationRule', 'canary.yaml'],
    ['VirtualService', 'canary.yaml'],
  ]);
  expect((await call<ServiceView[]>(second, 'GET', '/services'))[0]?.instances).toHaveLength(1);
  // The same authority: an identity from before is still one of this mesh.
  const again = new XdsClient(second.addresses, credentials, { name: 'order-service', version: 'v1' });
  cleanups.push(() => again.ads.close());
  again.ads.subscribe(ClusterSchema, [V1], again.handler('CDS'));
  again.ads.start();
  await again.until(() => again.seen.length > 0);
  expect(again.errors).toEqual([]);
});

test('stops within two seconds with clients connected', async () => {
  const controlPlane = await start();
  const web = new XdsClient(controlPlane.addresses, await credentialsOf(controlPlane.addresses, 'web'), { name: 'web' });
  cleanups.push(() => web.ads.close());
  web.ads.subscribe(ClusterSchema, ['*'], web.handler('CDS'));
  web.ads.start();
  await web.until(() => web.ads.status().connected);
  const [host, port] = controlPlane.addresses.grpc.split(':');
  const silent = connect({ host: host!, port: Number(port) });
  silent.on('error', () => {});
  cleanups.push(() => void silent.destroy());
  await new Promise<void>((resolve) => silent.once('connect', resolve));
  const closed = new Promise<void>((resolve) => silent.once('close', () => resolve()));
  const started = performance.now();
  await controlPlane.stop();
  expect(performance.now() - started).toBeLessThan(2_000);
  // It has not even begun its handshake.
  await closed;
});

test.each([
  ['a bad trust domain', { trustDomain: 'Not A Domain' }, 'BAD_OPTION'],
  ['a bad port', { grpc: { port: 99_999 } }, 'BAD_OPTION'],
  ['a host name as an address', { api: { host: 'example.com' } }, 'BAD_OPTION'],
  ['a folder that is not there', { configDirectory: '/nonexistent/config' }, 'CONFIG_DIRECTORY'],
  ['an address of another machine', { api: { host: '192.0.2.1', port: 0 } }, 'ADDRESS_REFUSED'],
] as const)('does not start with %s', async (_name, options, code) => {
  await expect(start(options)).rejects.toMatchObject({ name: 'StartError', code, next: expect.stringMatching(/./) as string });
});

test('a second one with the same state directory, or the same port, is refused in words', async () => {
  const directory = stateDirectory();
  const first = await start({ stateDirectory: directory });
  await expect(start({ stateDirectory: directory })).rejects.toMatchObject({
    code: 'ALREADY_RUNNING',
    message: expect.stringContaining(`process ${process.pid}`) as string,
  });
  const port = Number(first.addresses.grpc.split(':')[1]);
  await expect(start({ grpc: { port } })).rejects.toMatchObject({ code: 'ADDRESS_IN_USE', where: `127.0.0.1:${port}` });
  const apiPort = Number(new URL(first.addresses.api).port);
  await expect(start({ api: { port: apiPort } })).rejects.toMatchObject({ code: 'ADDRESS_IN_USE', where: `127.0.0.1:${apiPort}` });
});

test('another trust domain than the state directory was made with is refused', async () => {
  const directory = stateDirectory();
  await (await start({ stateDirectory: directory })).stop();
  await expect(start({ stateDirectory: directory, trustDomain: 'other.example' })).rejects.toMatchObject({ name: 'StartError' });
});

test('other settings of the mesh reach who hangs on them, and nothing else is sent', async () => {
  const directory = stateDirectory();
  const meshConfigFile = join(directory, 'mesh.yaml');
  writeFileSync(meshConfigFile, 'connectTimeout: 3s\n');
  const controlPlane = await start({ meshConfigFile });
  const { addresses } = controlPlane;
  const orders = await attach(addresses, await credentialsOf(addresses, 'order-service'), { name: 'order-service', version: 'v1', meshPort: 15_103 });
  cleanups.push(() => void orders.end());
  const web = new XdsClient(addresses, await credentialsOf(addresses, 'web'), { name: 'web' });
  cleanups.push(() => web.ads.close());
  const name = `outbound|8080||${HOST}`;
  web.ads.subscribe(ClusterSchema, [name], web.handler('CDS'));
  web.ads.subscribe(VirtualHostSchema, ['http_proxy/order-service:8080'], web.handler('VHDS'));
  web.ads.start();
  await web.until(() => web.seen.length >= 2);
  const timeouts = (): unknown[] =>
    web.seen.flatMap(({ type, added }) => (type === 'CDS' ? added.map(({ message }) => Number((message as Cluster).connectTimeout?.seconds)) : []));
  expect(timeouts()).toEqual([3]);
  web.seen.length = 0;
  writeFileSync(meshConfigFile, 'connectTimeout: 12s\n');
  await web.until(() => web.seen.length > 0);
  expect([timeouts(), web.seen.map(({ type }) => type)]).toEqual([[12], ['CDS']]);
  expect(await call<Problem[]>(controlPlane, 'GET', '/problems')).toEqual([]);
  writeFileSync(meshConfigFile, 'rootNamespace: mesh\nserviceSettings: []\n');
  const other = await start({ meshConfigFile });
  expect(await call(other, 'GET', '/version')).toMatchObject({ rootNamespace: 'mesh' });
  expect(await call(other, 'GET', '/notes')).toMatchObject([{ what: expect.stringContaining('serviceSettings'), where: `${meshConfigFile}:2` }]);
});

test('settings of the mesh in a watched folder that are bad at a start leave in force what was', async () => {
  const [directory, configDirectory] = [stateDirectory(), stateDirectory()];
  const operator = (meshConfig: string) =>
    `apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nmetadata: {name: a}\nspec: {meshConfig: ${meshConfig}}\n`;
  const startedWith = async (text: string): Promise<unknown> => {
    writeFileSync(join(configDirectory, 'istio.yaml'), text);
    const controlPlane = await start({ stateDirectory: directory, configDirectory });
    const [{ settings }, problems] = [await call<MeshView>(controlPlane, 'GET', '/mesh'), await call<Problem[]>(controlPlane, 'GET', '/problems')];
    await controlPlane.stop();
    return [settings.connectTimeoutMs, problems.map(({ where }) => where)];
  };
  expect(await startedWith(operator('{connectTimeout: 3s}'))).toEqual([3_000, []]);
  expect(await startedWith(operator('{connectTimeout: soon}'))).toEqual([3_000, ['istio.yaml:4']]);
  expect(await startedWith(operator('{connectTimeout: ['))).toEqual([3_000, [expect.stringMatching(/^istio.yaml:/)]]);
  expect(await startedWith(operator('{}'))).toEqual([1_000, []]);
  expect(await startedWith(operator('{connectTimeout: soon}'))).toEqual([1_000, ['istio.yaml:4']]);
});
