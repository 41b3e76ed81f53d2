import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PeerCertificate } from 'node:tls';
import { credentials, status } from '@grpc/grpc-js';
import { type ControlPlane, startControlPlane } from '@outrigger/control-plane';
import { TypeUrl } from '@outrigger/xds';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { attach, type Credentials, credentialsOf } from '../../packages/control-plane/src/testing/workload.ts';
import { call } from '../harness/mesh.ts';
import { CONTROL_PLANE_ID } from './certificates.ts';
import { ForeignClient, type Response } from './foreign-client.ts';

const HOST = 'order-service.default.svc.cluster.local';
const cluster = (subset: string) => `outbound|8080|${subset}|${HOST}`;
const canary = (v2: number) => `
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
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]
`;

let folder: string;
let controlPlane: ControlPlane;
const closers: (() => void)[] = [];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cp-'));
  controlPlane = await startControlPlane({ version: 'test', stateDirectory: folder, grpc: { port: 0 }, api: { port: 0 } });
  const { addresses } = controlPlane;
  const orders = await credentialsOf(addresses, 'order-service');
  for (const [index, version] of ['v1', 'v2'].entries()) {
    const instance = await attach(addresses, orders, { name: 'order-service', version, meshPort: 15_101 + index });
    closers.push(() => instance.end());
  }
  await apply(10);
});

afterEach(async () => {
  for (const close of closers.splice(0)) close();
  await controlPlane.stop();
  rmSync(folder, { recursive: true });
});

async function apply(v2: number): Promise<void> {
  const body = JSON.stringify({ documents: [{ file: 'canary.yaml', text: canary(v2) }] });
  const headers = { host: 'localhost', 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(body)) };
  const { status: answered } = await call({ socketPath: controlPlane.addresses.apiSocket, method: 'POST', path: '/api/v1/apply', headers, body });
  expect(answered).toBe(200);
}

/** A delta stream of grpc-js under an identity, which says to be the workload `name`. */
function connect(name: string, { ca, key, cert }: Pick<Credentials, 'ca'> & Partial<Credentials>): ForeignClient {
  const pem = (text: string | undefined) => (text === undefined ? null : Buffer.from(text));
  // The server is who its SPIFFE id says, whatever its address.
  const checkServerIdentity = (_: string, { subjectaltname = '' }: PeerCertificate) =>
    subjectaltname.split(', ').includes(`URI:${CONTROL_PLANE_ID}`) ? undefined : new Error(`the server is ${subjectaltname}`);
  const secured = credentials.createSsl(Buffer.from(ca), pem(key), pem(cert), { checkServerIdentity });
  const text = (value: string) => ({ stringValue: value });
  const fields = { NAMESPACE: text('default'), SERVICE_ACCOUNT: text(name), SERVICE: text(name), WORKLOAD: text(name), HTTP_PROXY: text('127.0.0.1:15000') };
  const node = { id: `${name}-1.default`, cluster: name, metadata: { fields: { ...fields, ON_DEMAND: { boolValue: true } } } };
  const client = new ForeignClient(controlPlane.addresses.grpc, secured, 'delta', node);
  closers.push(() => client.close());
  return client;
}

const summary = ({ type_url, resources, removed_resources }: Response) => [type_url, resources.map(({ name }) => name).sort(), removed_resources];

test('a client under its own identity follows a canary: a change of the weights is one virtual host and nothing else', async () => {
  const client = connect('web', await credentialsOf(controlPlane.addresses, 'web'));
  const wanted: readonly (readonly [string, string[]])[] = [
    [TypeUrl.cluster, [cluster('v1'), cluster('v2')]],
    [TypeUrl.endpoint, [cluster('v1'), cluster('v2')]],
    [TypeUrl.virtualHost, ['http_proxy/order-service:8080']],
  ];
  for (const [type_url, resource_names_subscribe] of wanted) client.send({ type_url, resource_names_subscribe });
  const got = new Map<string, string[]>();
  while ([...got.values()].flat().length < 5) {
    const response = await client.take();
    got.set(response.type_url, [...(got.get(response.type_url) ?? []), ...response.resources.map(({ name }) => name)]);
    client.ack(response);
  }
  expect(Object.fromEntries([...got].map(([type_url, names]) => [type_url, names.sort()]))).toEqual({
    [TypeUrl.cluster]: [cluster('v1'), cluster('v2')],
    [TypeUrl.endpoint]: [cluster('v1'), cluster('v2')],
    [TypeUrl.virtualHost]: [`http_proxy/${HOST}:8080`],
  });
  await apply(50);
  const changed = await client.take();
  expect(summary(changed)).toEqual([TypeUrl.virtualHost, [`http_proxy/${HOST}:8080`], []]);
  client.ack(changed);
  // What comes next is the next change, so nothing came of the last but its virtual host.
  closers.shift()!();
  expect(summary(await client.take())).toEqual([TypeUrl.endpoint, [cluster('v1')], []]);
});

test.each([
  ['that says to be somebody else', 'payment-service', true, status.PERMISSION_DENIED],
  ['without a certificate', 'web', false, status.UNAUTHENTICATED],
])('a client %s is refused', async (_, name, certified, expected) => {
  const own = await credentialsOf(controlPlane.addresses, 'web');
  const client = connect(name, certified ? own : { ca: own.ca });
  client.send({ type_url: TypeUrl.cluster, resource_names_subscribe: [cluster('v1')] });
  const { code, details } = await client.ended;
  // grpc-js leaves reserved characters of grpc-message encoded.
  expect([code, decodeURIComponent(details)]).toEqual([expected, expect.stringContaining(`says it is spiffe://cluster.local/ns/default/sa/${name} but`)]);
  expect(client.responses.size).toBe(0);
});
