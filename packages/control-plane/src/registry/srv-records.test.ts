import { mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { FakeDns } from '@outrigger/discovery/testing';
import { type ClusterLoadAssignment, ClusterLoadAssignmentSchema } from '@outrigger/xds/protos/envoy/config/endpoint/v3/endpoint';
import { afterEach, expect, test } from 'vitest';
import type { MeshView } from '../api/mesh-view.ts';
import type { Problem, ResourceView } from '../api/shapes.ts';
import { startControlPlane } from '../control-plane.ts';
import type { ControlPlane } from '../options.ts';
import { credentialsOf, XdsClient } from '../testing/workload.ts';

const cleanups: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const NAME = '_http._tcp.orders.example.com';
const ENTRY = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: orders, annotations: {outrigger.dev/srv: ${NAME}}}
spec:
  hosts: [orders.example.com]
  resolution: DNS
  ports:
  - {number: 80, name: http, protocol: HTTP}
`;
const CLUSTER = 'outbound|80||orders.example.com';

async function call<T>({ addresses }: ControlPlane, method: string, path: string, body?: object): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const headers = { 'content-type': 'application/json' };
  const out = request({ socketPath: addresses.apiSocket, method, path: `/api/v1${path}`, headers, agent: false }, (response) =>
    text(response).then(resolve, reject),
  );
  out.on('error', reject);
  out.end(body === undefined ? undefined : JSON.stringify(body));
  const answer = await promise;
  return (path === '/metrics' ? answer : JSON.parse(answer)) as T;
}

/** A sidecar that has what is called through the cluster. */
async function subscriber({ addresses }: ControlPlane): Promise<{ until(endpoints: readonly string[]): Promise<void> }> {
  const web = new XdsClient(addresses, await credentialsOf(addresses, 'web'), { name: 'web' });
  cleanups.push(() => web.ads.close());
  web.ads.subscribe(ClusterLoadAssignmentSchema, [CLUSTER], web.handler('EDS'));
  web.ads.start();
  const now = (): string[] | undefined => {
    const last = web.seen.at(-1)?.added.at(-1)?.message as ClusterLoadAssignment | undefined;
    return last?.endpoints.flatMap(({ priority, lbEndpoints }) =>
      lbEndpoints.map(({ hostIdentifier, loadBalancingWeight }) => {
        const address = hostIdentifier.case === 'endpoint' ? hostIdentifier.value.address?.address : undefined;
        if (address?.case !== 'socketAddress') throw new Error('no address');
        return `${address.value.address}:${address.value.portSpecifier.value} priority ${priority} weight ${loadBalancingWeight}`;
      }),
    );
  };
  return { until: (endpoints) => web.until(() => JSON.stringify(now()) === JSON.stringify(endpoints)) };
}

test('endpoints follow DNS, stay while it fails, and are there after a restart', async () => {
  const dns = await FakeDns.start();
  cleanups.push(() => dns.stop());
  dns.zone = [
    { name: NAME, ttlS: 1, data: 'SRV 1 20 8080 a.example.com' },
    { name: NAME, ttlS: 1, data: 'SRV 2 5 8081 b.example.com' },
    { name: 'a.example.com', ttlS: 1, data: 'A 10.0.0.1' },
    { name: 'b.example.com', ttlS: 1, data: 'A 10.0.0.2' },
  ];
  const stateDirectory = mkdtempSync(join(tmpdir(), 'cp-srv-'));
  cleanups.push(() => rmSync(stateDirectory, { recursive: true, force: true }));
  const start = async (): Promise<ControlPlane> => {
    const dnsServers = [`127.0.0.1:${dns.server.port}`];
    const started = await startControlPlane({ version: '1', stateDirectory, grpc: { port: 0 }, api: { port: 0 }, dnsServers });
    cleanups.push(() => started.stop());
    return started;
  };
  const first = await start();
  await call(first, 'POST', '/apply', { documents: [{ file: 'orders.yaml', text: ENTRY }] });
  const web = await subscriber(first);
  await web.until(['10.0.0.1:8080 priority 0 weight 20', '10.0.0.2:8081 priority 1 weight 5']);
  expect(await call<Problem[]>(first, 'GET', '/problems')).toEqual([]);

  // The next time it is asked it has moved, and from then on it fails.
  dns.zone = [...dns.zone.slice(0, 1), { name: 'a.example.com', ttlS: 1, data: 'A 10.0.0.3' }];
  await web.until(['10.0.0.3:8080 priority 0 weight 20']);
  const { resolvedSrv } = await call<MeshView>(first, 'GET', '/mesh');
  expect(resolvedSrv).toEqual({ [NAME]: [{ address: '10.0.0.3', port: 8080, priority: 1, weight: 20 }] });
  dns.rcode = 2;
  await first.stop();

  const second = await start();
  await (await subscriber(second)).until(['10.0.0.3:8080 priority 0 weight 20']);
  const fault = `DNS name ${NAME}: SERVFAIL from 127.0.0.1:${dns.server.port}; its endpoint stays in use`;
  let problems: Problem[] = [];
  while (problems.length === 0) problems = await call<Problem[]>(second, 'GET', '/problems');
  expect(problems).toMatchObject([{ what: fault, where: 'ServiceEntry default/orders' }]);
  const [resource] = await call<ResourceView[]>(second, 'GET', '/resources');
  expect(resource?.status).toMatchObject({ state: 'in-effect', notes: [`outrigger.dev/srv: ${fault}`] });
  expect(await call<string>(second, 'GET', '/metrics')).toContain('outrigger_dns_names_failing 1');
});

test('a name that is not there makes its ServiceEntry one without effect', async () => {
  const dns = await FakeDns.start();
  cleanups.push(() => dns.stop());
  const stateDirectory = mkdtempSync(join(tmpdir(), 'cp-srv-'));
  cleanups.push(() => rmSync(stateDirectory, { recursive: true, force: true }));
  const dnsServers = [`127.0.0.1:${dns.server.port}`];
  const controlPlane = await startControlPlane({ version: '1', stateDirectory, grpc: { port: 0 }, api: { port: 0 }, dnsServers });
  cleanups.push(() => controlPlane.stop());
  await call(controlPlane, 'POST', '/apply', { documents: [{ file: 'orders.yaml', text: ENTRY }] });
  let problems: Problem[] = [];
  while (problems.length === 0) problems = await call<Problem[]>(controlPlane, 'GET', '/problems');
  const [resource] = await call<ResourceView[]>(controlPlane, 'GET', '/resources');
  expect(resource?.status).toMatchObject({
    state: 'without-effect',
    summary: `without effect because DNS name ${NAME}: there is no such name; it has no endpoints`,
  });
});

test.each(['dns.example', '127.0.0.1:0'])('"%s" is no DNS server to ask', async (server) => {
  await expect(startControlPlane({ version: '1', dnsServers: [server] })).rejects.toMatchObject({ code: 'BAD_OPTION', where: 'dnsServers' });
});
