import { createSecureContext } from 'node:tls';
import { create } from '@bufbuild/protobuf';
import type { Authority, Svid } from '@outrigger/identity';
import { AdsClient, type AdsClientEvent, type ClientTls, TypeUrl } from '@outrigger/xds';
import { ClusterSchema } from '@outrigger/xds/protos/envoy/config/cluster/v3/cluster';
import { NodeSchema } from '@outrigger/xds/protos/envoy/config/core/v3/base';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Mailbox } from '../../packages/xds/src/testing/mailbox.ts';
import { CONTROL_PLANE_ID, controlPlaneTls, svidOf, testAuthority } from './certificates.ts';
import { cluster } from './resources.ts';
import { ControlPlane } from './world.ts';

let authority: Authority;
let controlPlane: ControlPlane;
const clients: AdsClient[] = [];

function tlsOf(svid: Svid, serverSpiffeId = CONTROL_PLANE_ID, ca: readonly string[] = svid.trustBundlePem): ClientTls {
  return { secureContext: createSecureContext({ key: svid.privateKeyPem, cert: svid.certificateChainPem.join('\n'), ca: [...ca] }), serverSpiffeId };
}

function connect(tls: () => ClientTls | Promise<ClientTls>, names: readonly string[] = ['*']): { updates: Mailbox<string>; events: Mailbox<AdsClientEvent> } {
  const updates = new Mailbox<string>();
  const events = new Mailbox<AdsClientEvent>();
  const client = new AdsClient({
    target: { host: '127.0.0.1', port: controlPlane.port, tls },
    node: create(NodeSchema, { id: 'order-1.default' }),
    backoff: { initialMs: 10, maxMs: 20 },
    onEvent: (event) => events.put(event),
  });
  client.subscribe(ClusterSchema, [...names], (update) => {
    updates.put(update.added.map(({ name }) => name).join(' '));
    return undefined;
  });
  client.start();
  clients.push(client);
  return { updates, events };
}

const callers = () => controlPlane.source.events.flatMap((event) => (event.kind === 'opened' ? [event.caller.spiffeId] : []));

beforeEach(async () => {
  authority = await testAuthority();
  controlPlane = new ControlPlane({ listen: { host: '127.0.0.1', port: 0 }, tls: await controlPlaneTls(authority) });
  await controlPlane.start();
  controlPlane.source.set(TypeUrl.cluster, cluster('one'));
});

afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  await controlPlane.kill();
  authority.close();
});

test('the caller is who its certificate says', async () => {
  const svid = await svidOf(authority, 'order-service');
  const { updates } = connect(() => tlsOf(svid));
  expect(await updates.take()).toBe('one');
  expect(callers()).toEqual(['spiffe://cluster.local/ns/default/sa/order-service']);
});

test('a certificate of a foreign authority proves nothing, whatever name it shows', async () => {
  const foreign = await testAuthority();
  const svid = await svidOf(foreign, 'order-service');
  const { updates } = connect(() => tlsOf(svid, CONTROL_PLANE_ID, authority.trustBundle().rootsPem));
  expect(await updates.take()).toBe('one');
  expect(callers()).toEqual([undefined]);
  foreign.close();
});

test('who proves nothing may not say much at once', async () => {
  const names = ['one', ...Array.from({ length: 100 }, (_, index) => `${index}`.padEnd(1_000, '.'))];
  const foreign = await testAuthority();
  const unproven = await svidOf(foreign, 'order-service');
  const { events } = connect(() => tlsOf(unproven, CONTROL_PLANE_ID, authority.trustBundle().rootsPem), names);
  const refused = await events.takeUntil((event) => event.kind === 'disconnected');
  expect(refused).toMatchObject({ reason: expect.stringMatching(/a message of \d+ bytes; 65536 are taken/) });
  const svid = await svidOf(authority, 'order-service');
  expect(await connect(() => tlsOf(svid), names).updates.take()).toBe('one');
  foreign.close();
});

test('a server of another identity, or of a foreign authority, is not talked to', async () => {
  const svid = await svidOf(authority, 'order-service');
  const wrongName = await connect(() => tlsOf(svid, 'spiffe://cluster.local/ns/other/sa/other')).events.take();
  expect(wrongName).toMatchObject({
    kind: 'disconnected',
    reason: expect.stringContaining(`the server shows the identity ${CONTROL_PLANE_ID}; expected spiffe://cluster.local/ns/other/sa/other`),
  });
  const foreign = await testAuthority();
  const unknown = await connect(() => tlsOf(svid, CONTROL_PLANE_ID, foreign.trustBundle().rootsPem)).events.take();
  expect(unknown).toMatchObject({ kind: 'disconnected', reason: expect.stringMatching(/certificate/) });
  expect(callers()).toEqual([]);
  foreign.close();
});

test('each new connection uses the certificate of the moment; a server that rotates its own keeps its streams', async () => {
  let svid = await svidOf(authority, 'first');
  const { updates, events } = connect(async () => tlsOf(svid));
  await updates.take();
  svid = await svidOf(authority, 'second');
  controlPlane.setTls(await controlPlaneTls(authority));
  controlPlane.source.set(TypeUrl.cluster, cluster('two'));
  expect(await updates.take()).toBe('two');
  await controlPlane.kill();
  await controlPlane.start();
  await events.takeUntil((event) => event.kind === 'disconnected');
  await events.takeUntil((event) => event.kind === 'connected');
  await controlPlane.source.until((event) => event.kind === 'opened' && event.caller.spiffeId === 'spiffe://cluster.local/ns/default/sa/second');
});
