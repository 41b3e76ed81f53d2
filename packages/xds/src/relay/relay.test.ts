import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { ClusterSchema } from '@outrigger/xds/protos/envoy/config/cluster/v3/cluster';
import { NodeSchema } from '@outrigger/xds/protos/envoy/config/core/v3/base';
import { ClusterLoadAssignmentSchema } from '@outrigger/xds/protos/envoy/config/endpoint/v3/endpoint';
import { VirtualHostSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
import {
  type StreamAccessLogsMessage,
  StreamAccessLogsMessageSchema,
  StreamAccessLogsResponseSchema,
} from '@outrigger/xds/protos/envoy/service/accesslog/v3/als';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { packResource } from '../any/pack.ts';
import { AdsClient } from '../client/ads-client.ts';
import type { ResourceUpdate } from '../client/handler.ts';
import { GrpcConnection } from '../grpc/connection.ts';
import { createGrpcServer, type GrpcServer } from '../grpc/server.ts';
import type { StreamMethod } from '../grpc/stream-method.ts';
import { createAdsRoutes } from '../server/ads.ts';
import { TypeUrl } from '../source.ts';
import { cluster, updateText } from '../testing/clusters.ts';
import { Mailbox } from '../testing/mailbox.ts';
import { MapSource } from '../testing/map-source.ts';
import { createRelay, type Relay } from './relay.ts';

const ALS_PATH = '/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs';
const backoff = { initialMs: 5, maxMs: 20 };
const node = create(NodeSchema, { id: 'payment-1.default', cluster: 'payment', metadata: { SERVICE_ACCOUNT: 'payment' } });

let folder: string;
let source: MapSource;
let logs: Mailbox<StreamAccessLogsMessage>;
let controlPlane: GrpcServer | undefined;
let relay: Relay;
let relayServer: GrpcServer;
const clients: AdsClient[] = [];

const upstreamPath = () => join(folder, 'cp.sock');
const relayPath = () => join(folder, 'relay.sock');

async function startControlPlane(): Promise<void> {
  const ads = createAdsRoutes(source);
  const accessLogs: StreamMethod = (call) => ({
    onMessage: (bytes) => logs.put(fromBinary(StreamAccessLogsMessageSchema, bytes)),
    onFinish() {
      call.send(toBinary(StreamAccessLogsResponseSchema, create(StreamAccessLogsResponseSchema)));
      call.end();
    },
    onEnd() {},
  });
  controlPlane = await createGrpcServer({ listen: { socketPath: upstreamPath() }, methods: new Map([...ads.methods, [ALS_PATH, accessLogs]]) });
}

async function stopControlPlane(): Promise<void> {
  await controlPlane?.close();
  controlPlane = undefined;
}

async function startRelay(): Promise<void> {
  relay = createRelay({ upstream: { socketPath: upstreamPath() }, cacheFolder: join(folder, 'cache'), backoff });
  relayServer = await createGrpcServer({ listen: { socketPath: relayPath() }, methods: relay.methods });
}

async function stopRelay(): Promise<void> {
  relay.close();
  await relayServer.close();
}

async function until(test: () => boolean): Promise<void> {
  while (!test()) await new Promise((resolve) => setImmediate(resolve));
}

function downstream(): AdsClient {
  const made = new AdsClient({ target: { socketPath: relayPath() }, node, backoff });
  clients.push(made);
  return made;
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'relay-'));
  source = new MapSource();
  logs = new Mailbox();
  await startControlPlane();
  await startRelay();
});

afterEach(async () => {
  for (const made of clients.splice(0)) made.close();
  await stopRelay();
  await stopControlPlane();
  rmSync(folder, { recursive: true });
});

describe('ADS', () => {
  test('keeps for the next client what the one before took and had not acknowledged when it ended', async () => {
    source.set(TypeUrl.cluster, cluster('a'));
    const given = new Mailbox<string>();
    const first = downstream();
    first.subscribe(ClusterSchema, ['a'], (update) => {
      given.put(updateText(update));
      // Its acknowledgement never comes.
      return new Promise(() => {});
    });
    first.start();
    expect(await given.take()).toBe('+a');
    first.close();
    await until(() => relay.status().upstreams.length === 0);
    await stopControlPlane();
    const second = downstream();
    second.subscribe(ClusterSchema, ['a'], (update) => {
      given.put(updateText(update));
      return undefined;
    });
    second.start();
    expect(await given.take()).toBe('+a');
  });

  test('passes on the node, what there is, changes, removals and the answers', async () => {
    source.set(TypeUrl.cluster, cluster('a'), cluster('b'));
    const updates = new Mailbox<string>();
    const client = downstream();
    client.subscribe(ClusterSchema, ['*'], (update) => {
      updates.put(updateText(update));
      return update.added.some(({ message }) => message.connectTimeout?.seconds === 66n) ? { refused: 'no cluster waits 66 s' } : undefined;
    });
    client.start();
    expect(await updates.take()).toBe('+a +b');
    expect(source.events[0]).toMatchObject({ kind: 'opened', node });
    await source.until((event) => event.kind === 'acked');
    source.remove(TypeUrl.cluster, 'a');
    expect(await updates.take()).toBe('-a');
    source.set(TypeUrl.cluster, cluster('b', 66));
    await updates.take();
    expect(await source.until((event) => event.kind === 'nacked')).toMatchObject({
      message: 'no cluster waits 66 s',
      versions: new Map([['b', cluster('b', 66).version]]),
    });
  });

  test('holds the ACK back until the client has answered', async () => {
    source.set(TypeUrl.cluster, cluster('a'));
    const waiting = new Mailbox<() => void>();
    const client = downstream();
    client.subscribe(ClusterSchema, ['*'], () => new Promise((resolve) => waiting.put(() => resolve(undefined))));
    client.start();
    const release = await waiting.take();
    expect(source.events.map(({ kind }) => kind)).not.toContain('acked');
    release();
    await source.until((event) => event.kind === 'acked');
  });

  test('names on demand, aliases, and what is not there', async () => {
    const host = packResource(VirtualHostSchema, 'rc/order:80', create(VirtualHostSchema, { name: 'order' }), ['rc/order']);
    source.set(TypeUrl.virtualHost, host);
    const updates = new Mailbox<ResourceUpdate<unknown>>();
    const client = downstream();
    const subscription = client.subscribe(VirtualHostSchema, ['rc/order'], (update) => {
      updates.put(update);
      return undefined;
    });
    client.start();
    expect((await updates.take()).added).toMatchObject([{ name: 'rc/order:80', aliases: ['rc/order'] }]);
    subscription.add(['rc/nowhere']);
    expect(updateText(await updates.take())).toBe('-rc/nowhere');
    subscription.remove(['rc/nowhere', 'rc/order']);
    await source.until((event) => event.kind === 'subscribed' && event.names.length === 0);
  });

  test('with nothing there the client is told so', async () => {
    const updates = new Mailbox<string>();
    const client = downstream();
    client.subscribe(ClusterSchema, ['*'], (update) => {
      updates.put(updateText(update));
      return undefined;
    });
    client.start();
    expect(await updates.take()).toBe('');
  });

  test('control plane and relay gone, relay and client restarted: the last good answers are served; then the difference', async () => {
    source.set(TypeUrl.cluster, cluster('a'), cluster('b'));
    source.set(TypeUrl.endpoint, packResource(ClusterLoadAssignmentSchema, 'a', create(ClusterLoadAssignmentSchema, { clusterName: 'a' })));
    const first = downstream();
    first.subscribe(ClusterSchema, ['*'], () => undefined);
    first.subscribe(ClusterLoadAssignmentSchema, ['a'], () => undefined);
    first.start();
    await source.until((event) => event.kind === 'acked' && event.typeUrl === TypeUrl.cluster);
    await source.until((event) => event.kind === 'acked' && event.typeUrl === TypeUrl.endpoint);
    first.close();
    await stopControlPlane();
    await stopRelay();
    await startRelay();

    const updates = new Mailbox<string>();
    const second = downstream();
    for (const [schema, names] of [
      [ClusterSchema, ['*']],
      [ClusterLoadAssignmentSchema, ['a', 'never-seen']],
    ] as const)
      second.subscribe(schema, names, (update) => {
        updates.put(`${schema.name} ${updateText(update)}`);
        return undefined;
      });
    second.start();
    expect([await updates.take(), await updates.take()].sort()).toEqual(['Cluster +a +b', 'ClusterLoadAssignment +a']);
    const [upstream] = relay.status().upstreams;
    expect(upstream).toMatchObject({ nodeId: node.id, connected: false, lastContactMs: expect.any(Number) });

    source.remove(TypeUrl.cluster, 'b');
    await startControlPlane();
    const later = [await updates.take(), await updates.take()].sort();
    expect(later).toEqual(['Cluster -b', 'ClusterLoadAssignment -never-seen']);
  });

  test('what the client refused is not what is served after a restart', async () => {
    source.set(TypeUrl.cluster, cluster('a'));
    const refuse66 = (update: ResourceUpdate<{ connectTimeout?: { seconds: bigint } | undefined }>) =>
      update.added.filter(({ message }) => message.connectTimeout?.seconds === 66n).map(({ name }) => ({ name, message: 'no' }));
    const first = downstream();
    first.subscribe(ClusterSchema, ['*'], refuse66);
    first.start();
    await source.until((event) => event.kind === 'acked');
    source.set(TypeUrl.cluster, cluster('a', 66));
    await source.until((event) => event.kind === 'nacked');
    first.close();
    await stopControlPlane();
    await stopRelay();
    await startRelay();
    const timeouts = new Mailbox<bigint | undefined>();
    const second = downstream();
    second.subscribe(ClusterSchema, ['*'], (update) => {
      timeouts.put(update.added[0]?.message.connectTimeout?.seconds);
      return undefined;
    });
    second.start();
    expect(await timeouts.take()).toBe(1n);
  });
});

describe('access logs', () => {
  const entry = (logName: string | undefined, path: string) =>
    toBinary(
      StreamAccessLogsMessageSchema,
      create(StreamAccessLogsMessageSchema, {
        ...(logName === undefined ? {} : { identifier: { logName, node } }),
        logEntries: { case: 'httpLogs', value: { logEntry: [{ request: { path } }] } },
      }),
    );
  const pathOf = (message: StreamAccessLogsMessage) =>
    message.logEntries.case === 'httpLogs' ? message.logEntries.value.logEntry[0]?.request?.path : undefined;

  test('pass as they are; after the control plane was away what was kept comes, with the identifier again', async () => {
    const connection = await GrpcConnection.connect({ socketPath: relayPath() });
    const stream = connection.open(ALS_PATH, { onMessage: () => {}, onEnd: () => {} });
    stream.send(entry('outrigger', '/1'));
    stream.send(entry(undefined, '/2'));
    const first = await logs.take();
    expect(first.identifier).toMatchObject({ logName: 'outrigger', node: { id: node.id } });
    expect(pathOf(first)).toBe('/1');
    const second = await logs.take();
    expect(second.identifier).toBeUndefined();
    expect(pathOf(second)).toBe('/2');
    await stopControlPlane();
    await startControlPlane();
    // What is written into the dying connection may be lost, as with Envoy's own; the stream goes on.
    let sent = 2;
    const timer = setInterval(() => stream.send(entry(undefined, `/${++sent}`)), 5);
    const back = await logs.take();
    clearInterval(timer);
    expect(back.identifier).toMatchObject({ logName: 'outrigger' });
    connection.close();
  });

  test('a control plane that stays away costs bounded memory: the rest is dropped and counted', async () => {
    await stopControlPlane();
    const connection = await GrpcConnection.connect({ socketPath: relayPath() });
    const drained = new Mailbox<true>();
    const stream = connection.open(ALS_PATH, {
      onMessage: () => {},
      onEnd: () => {},
      onDrain: () => drained.put(true),
    });
    for (let sent = 0; sent < 40; sent += 1) if (!stream.send(entry('outrigger', 'x'.repeat(64 * 1024)))) await drained.take();
    await expect.poll(() => relay.status().accessLog.droppedMessages).toBeGreaterThan(20);
    connection.close();
  });
});
