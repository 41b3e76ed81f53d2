import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import http2 from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create, toBinary } from '@bufbuild/protobuf';
import { AnySchema } from '@bufbuild/protobuf/wkt';
import { ClusterSchema } from '@outrigger/xds/protos/envoy/config/cluster/v3/cluster';
import { NodeSchema } from '@outrigger/xds/protos/envoy/config/core/v3/base';
import { DeltaDiscoveryResponseSchema, ResourceSchema } from '@outrigger/xds/protos/envoy/service/discovery/v3/discovery';
import { expect, test } from 'vitest';
import { frameMessage } from '../grpc/message-splitter.ts';
import { Slices } from '../slices/slices.ts';
import { TypeUrl } from '../source.ts';
import { Mailbox } from '../testing/mailbox.ts';
import { AdsClient, type AdsClientEvent } from './ads-client.ts';

const node = create(NodeSchema, { id: 'web-1' });

function response(name: string, value: Uint8Array): Buffer {
  const resource = create(AnySchema, { typeUrl: TypeUrl.cluster, value: value as Uint8Array<ArrayBuffer> });
  const message = create(DeltaDiscoveryResponseSchema, {
    typeUrl: TypeUrl.cluster,
    nonce: '1',
    resources: [create(ResourceSchema, { name, version: '1', resource })],
  });
  return frameMessage(toBinary(DeltaDiscoveryResponseSchema, message));
}

const good = response('shop', toBinary(ClusterSchema, create(ClusterSchema, { name: 'shop' })));

/** A server that says to each stream what a test wants. */
async function serve(onStream: (stream: http2.ServerHttp2Stream, index: number) => void): Promise<{ socketPath: string; close(): Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), 'broken-'));
  const socketPath = join(folder, 'ads.sock');
  const server = http2.createServer();
  const sessions = new Set<http2.ServerHttp2Session>();
  let streams = 0;
  server.on('session', (session) => void sessions.add(session.on('error', () => {})));
  server.on('stream', (stream: http2.ServerHttp2Stream) => {
    stream.on('error', () => {});
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
    onStream(stream, streams++);
  });
  server.listen(socketPath);
  await once(server, 'listening');
  return {
    socketPath,
    async close() {
      for (const session of sessions) session.destroy();
      server.close();
      await once(server, 'close');
      rmSync(folder, { recursive: true });
    },
  };
}

test.each([
  ['is no message', frameMessage(Buffer.from([0x0f, 0xff, 0xff]))],
  [
    'ends too early, after much that is whole',
    frameMessage(Buffer.concat([...Array.from({ length: 500 }, () => good.subarray(5)), Buffer.from([0x12, 0x7f])])),
  ],
])('a response that %s ends the stream, and the next one is heard', async (_what, bad) => {
  const server = await serve((stream, index) => stream.write(index === 0 ? bad : good));
  const events = new Mailbox<AdsClientEvent>();
  const names = new Mailbox<string>();
  const client = new AdsClient({
    target: { socketPath: server.socketPath },
    node,
    backoff: { initialMs: 1, maxMs: 5 },
    onEvent: (event) => events.put(event),
  });
  client.subscribe(ClusterSchema, ['*'], ({ added }) => {
    for (const { name } of added) names.put(name);
    return undefined;
  });
  client.start();
  expect(await events.takeUntil((event) => event.kind === 'disconnected')).toMatchObject({ reason: expect.stringContaining('cannot be read') });
  expect(await names.take()).toBe('shop');
  client.close();
  await server.close();
});

test('a server that sends more than is decoded is not read on', async () => {
  const large = response('shop', toBinary(ClusterSchema, create(ClusterSchema, { name: 'shop', altStatName: 'x'.repeat(1024 * 1024) })));
  let sent = 0;
  let full: () => void = () => {};
  const stalled = new Promise<void>((resolve) => {
    full = resolve;
  });
  const server = await serve((stream) => {
    const next = (): void => {
      sent += 1;
      if (sent <= 200) stream.write(large, next);
    };
    next();
    let before = 0;
    const look = setInterval(() => {
      if (sent === before && sent > 1) full();
      before = sent;
    }, 200);
    stream.on('close', () => clearInterval(look));
  });
  // It never gets a turn.
  const slices = new Slices({ nowMs: () => 0, defer: () => {} }, 0);
  const client = new AdsClient({ target: { socketPath: server.socketPath }, node, slices });
  client.subscribe(ClusterSchema, ['*'], () => undefined);
  client.start();
  await stalled;
  expect(sent).toBeGreaterThan(5);
  expect(sent).toBeLessThan(40);
  client.close();
  await server.close();
});
