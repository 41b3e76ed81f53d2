import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import {
  DeltaDiscoveryRequestSchema,
  type DeltaDiscoveryResponse,
  DeltaDiscoveryResponseSchema,
} from '@outrigger/xds/protos/envoy/service/discovery/v3/discovery';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { GrpcConnection, type GrpcError, type GrpcStream } from '../grpc/connection.ts';
import { createGrpcServer, type GrpcServer } from '../grpc/server.ts';
import { TypeUrl } from '../source.ts';
import { Mailbox } from '../testing/mailbox.ts';
import { MapSource, textResource } from '../testing/map-source.ts';
import { type AdsServerOptions, createAdsRoutes, type DiscoveryRoutes } from './ads.ts';

const PATH = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources';
const node = { id: 'n' };

let folder: string;
let source: MapSource;
let server: GrpcServer;
let routes: DiscoveryRoutes;
const connections: GrpcConnection[] = [];

async function serve(options: AdsServerOptions = {}, maxRequestBytes?: number): Promise<void> {
  routes = createAdsRoutes(source, options);
  server = await createGrpcServer({
    listen: { socketPath: join(folder, 's') },
    methods: routes.methods,
    ...(maxRequestBytes === undefined ? {} : { maxRequestBytes }),
  });
}

interface RawClient {
  readonly stream: GrpcStream;
  readonly responses: Mailbox<DeltaDiscoveryResponse>;
  readonly ended: Promise<GrpcError | undefined>;
  send(request: MessageInitShape<typeof DeltaDiscoveryRequestSchema>): void;
}

/** A client that says what the test tells it, and nothing else. */
async function rawClient(): Promise<RawClient> {
  const connection = await GrpcConnection.connect({ socketPath: join(folder, 's') });
  connections.push(connection);
  const responses = new Mailbox<DeltaDiscoveryResponse>();
  let end: (error: GrpcError | undefined) => void = () => {};
  const ended = new Promise<GrpcError | undefined>((resolve) => {
    end = resolve;
  });
  const stream = connection.open(PATH, { onMessage: (message) => responses.put(fromBinary(DeltaDiscoveryResponseSchema, message)), onEnd: end });
  return { stream, responses, ended, send: (request) => stream.send(toBinary(DeltaDiscoveryRequestSchema, create(DeltaDiscoveryRequestSchema, request))) };
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ads-'));
  source = new MapSource();
});

afterEach(async () => {
  for (const connection of connections.splice(0)) connection.close();
  await server.close();
  rmSync(folder, { recursive: true });
});

describe('limits', () => {
  test('a stream without a first request, and one without a node, are ended', async () => {
    await serve({ limits: { firstRequestTimeoutMs: 20 } });
    expect(await (await rawClient()).ended).toMatchObject({ status: Code.DeadlineExceeded });
    const nameless = await rawClient();
    nameless.send({ typeUrl: TypeUrl.cluster });
    expect(await nameless.ended).toMatchObject({ status: Code.InvalidArgument, message: expect.stringContaining('node') });
  });

  test('too many names', async () => {
    await serve({ limits: { maxNames: 2 } });
    const client = await rawClient();
    client.send({ node, typeUrl: TypeUrl.endpoint, resourceNamesSubscribe: ['a', 'b', 'c'] });
    expect(await client.ended).toMatchObject({ status: Code.ResourceExhausted, message: expect.stringContaining('more than 2 names') });
    await source.until((event) => event.kind === 'closed');
  });

  test('a request that is too large', async () => {
    await serve({}, 1_000);
    const client = await rawClient();
    client.send({ node: { id: 'x'.repeat(2_000) }, typeUrl: TypeUrl.endpoint });
    expect(await client.ended).toMatchObject({ status: Code.ResourceExhausted });
  });

  test('too many streams of one caller; one that ends makes room', async () => {
    await serve({ limits: { maxStreamsPerCaller: 1 } });
    const first = await rawClient();
    first.send({ node, typeUrl: TypeUrl.cluster });
    await first.responses.take();
    expect(await (await rawClient()).ended).toMatchObject({ status: Code.ResourceExhausted });
    first.stream.cancel();
    await source.until((event) => event.kind === 'closed');
    const third = await rawClient();
    third.send({ node, typeUrl: TypeUrl.cluster });
    await third.responses.take();
  });

  test('a client that does not read costs one push: what changes meanwhile collapses', async () => {
    await serve();
    const client = await rawClient();
    client.send({ node, typeUrl: TypeUrl.cluster });
    const { nonce } = await client.responses.take();
    client.send({ typeUrl: TypeUrl.cluster, responseNonce: nonce });
    await source.until((event) => event.kind === 'acked');
    for (let version = 1; version <= 50; version += 1) source.set(TypeUrl.cluster, textResource('a', String(version)));
    const first = await client.responses.take();
    for (let version = 51; version <= 100; version += 1) source.set(TypeUrl.cluster, textResource('a', String(version)));
    client.send({ typeUrl: TypeUrl.cluster, responseNonce: first.nonce });
    expect([first.resources[0]!.version, (await client.responses.take()).resources[0]!.version]).toEqual(['50', '100']);
    expect(client.responses.size).toBe(0);
  });
});

test('what the source refuses is refused, with its words', async () => {
  await serve();
  source.refusal = new ConnectError('the SVID is of another namespace', Code.PermissionDenied);
  const client = await rawClient();
  client.send({ node, typeUrl: TypeUrl.cluster });
  expect(await client.ended).toMatchObject({ status: Code.PermissionDenied, message: 'the SVID is of another namespace' });
  expect(routes.streams()).toEqual([]);
});

test('a type that we do not have is not answered, and the others are', async () => {
  await serve();
  source.set(TypeUrl.cluster, textResource('a', '1'));
  const client = await rawClient();
  client.send({ node, typeUrl: 'type.googleapis.com/envoy.service.runtime.v3.Runtime' });
  client.send({ typeUrl: TypeUrl.cluster });
  expect(await client.responses.take()).toMatchObject({ typeUrl: TypeUrl.cluster, resources: [{ name: 'a', version: '1' }] });
});

test('observer and status see a stream from its opening to its end', async () => {
  const seen: string[] = [];
  await serve({
    observer: {
      opened: ({ node }) => seen.push(`opened ${node.id}`),
      pushed: ({ node }, { push }) => seen.push(`pushed ${node.id} ${push.resources.length}`),
      nacked: ({ node }, _typeUrl, message) => seen.push(`nacked ${node.id} ${message}`),
      closed: ({ node }) => seen.push(`closed ${node.id}`),
    },
  });
  source.set(TypeUrl.cluster, textResource('a', '1'));
  const client = await rawClient();
  client.send({ node, typeUrl: TypeUrl.cluster });
  const { nonce } = await client.responses.take();
  client.send({ typeUrl: TypeUrl.cluster, responseNonce: nonce, errorDetail: { message: 'no' } });
  await source.until((event) => event.kind === 'nacked');
  expect(routes.streams()).toMatchObject([{ protocol: 'delta', node, caller: { remote: 'unix' } }]);
  client.stream.finish();
  expect(await client.ended).toBeUndefined();
  expect(seen).toEqual(['opened n', 'pushed n 1', 'nacked n no', 'closed n']);
});

test('close ends the streams with UNAVAILABLE', async () => {
  await serve();
  const client = await rawClient();
  client.send({ node, typeUrl: TypeUrl.cluster });
  await client.responses.take();
  routes.close();
  expect(await client.ended).toMatchObject({ status: Code.Unavailable });
});
