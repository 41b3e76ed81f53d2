import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, credentials, Metadata, Server, ServerCredentials } from '@grpc/grpc-js';
import { createGrpcServer, createRelay, TypeUrl } from '@outrigger/xds';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { peer } from '../harness/peers.ts';
import { until } from './envoy.ts';
import { apiListener, cluster, endpoints, routeConfiguration } from './resources.ts';
import { ControlPlane } from './world.ts';

/** grpc.health.v1.Health/Check, whose messages are empty enough to be written by hand: the answer is SERVING. */
const METHOD = '/grpc.health.v1.Health/Check';
const SERVING = Buffer.from([0x08, 0x01]);
const asIs = (bytes: Buffer) => bytes;
const TARGET = 'order-service:8080';

/** A gRPC server that says which one it is in the header `x-instance`. */
async function startInstance(name: string): Promise<{ port: number; stop(): void }> {
  const server = new Server();
  const definition = {
    path: METHOD,
    requestStream: false,
    responseStream: false,
    requestSerialize: asIs,
    requestDeserialize: asIs,
    responseSerialize: asIs,
    responseDeserialize: asIs,
  };
  server.addService({ check: definition } as never, {
    check(call: { sendMetadata(metadata: Metadata): void }, done: (error: null, answer: Buffer) => void) {
      const metadata = new Metadata();
      metadata.set('x-instance', name);
      call.sendMetadata(metadata);
      done(null, SERVING);
    },
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => (error === null ? resolve(bound) : reject(error)));
  });
  return { port, stop: () => server.forceShutdown() };
}

let one: Awaited<ReturnType<typeof startInstance>>;
let two: Awaited<ReturnType<typeof startInstance>>;
let folder: string;
let controlPlane: ControlPlane;

function offer(...names: ('one' | 'two')[]): void {
  const { source } = controlPlane;
  const ports = names.map((name) => (name === 'one' ? one.port : two.port));
  source.apply([
    [TypeUrl.listener, TARGET, apiListener(TARGET, TARGET)],
    [TypeUrl.route, TARGET, routeConfiguration(TARGET, 'outbound')],
    [TypeUrl.cluster, 'outbound', cluster('outbound')],
    [TypeUrl.endpoint, 'outbound', endpoints('outbound', ...ports)],
  ]);
}

function grpcBootstrap(serverUri: string): string {
  return JSON.stringify({
    xds_servers: [{ server_uri: serverUri, channel_creds: [{ type: 'insecure' }], server_features: ['xds_v3'] }],
    node: { id: 'web-1.default', cluster: 'web', locality: { zone: 'a' } },
  });
}

beforeAll(async () => {
  one = await startInstance('one');
  two = await startInstance('two');
});

afterAll(() => {
  one.stop();
  two.stop();
});

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'grpc-'));
  controlPlane = new ControlPlane({ listen: { host: '127.0.0.1', port: 0 } });
  await controlPlane.start();
});

afterEach(async () => {
  await controlPlane.kill();
  rmSync(folder, { recursive: true });
});

describe('grpc-js, xds:///', () => {
  test('finds the endpoints, follows a change of them, and comes back after the control plane was away', async () => {
    offer('one');
    process.env['GRPC_XDS_BOOTSTRAP_CONFIG'] = grpcBootstrap(`127.0.0.1:${controlPlane.port}`);
    const { register } = await import('@grpc/grpc-js-xds');
    register();
    const client = new Client(`xds:///${TARGET}`, credentials.createInsecure());
    const ask = () =>
      new Promise<string>((resolve, reject) => {
        const call = client.makeUnaryRequest(METHOD, asIs, asIs, Buffer.alloc(0), (error) => error !== null && reject(error));
        call.once('metadata', (metadata) => resolve(String(metadata.get('x-instance')[0])));
      });
    expect(await ask()).toBe('one');
    const [stream] = controlPlane.routes.streams();
    expect(stream).toMatchObject({ protocol: 'sotw', node: { id: 'web-1.default' } });
    expect(stream!.types.map(({ names }) => [...names])).toEqual([[TARGET], [TARGET], ['outbound'], ['outbound']]);
    offer('two');
    await until('an answer of two', async () => ((await ask()) === 'two' ? true : undefined));
    await controlPlane.kill();
    expect(await ask()).toBe('two');
    offer('one');
    await controlPlane.start();
    await until('an answer of one', async () => ((await ask()) === 'one' ? true : undefined), 40_000);
    client.close();
  });
});

const grpcGo = peer('grpc-go');

describe.skipIf(grpcGo === undefined)('grpc-go, xds:///', () => {
  const call = (serverUri: string) =>
    new Promise<{ instances: Record<string, number>; errors: number; lastError: string }>((resolve, reject) => {
      const path = join(folder, 'bootstrap.json');
      writeFileSync(path, grpcBootstrap(serverUri));
      const child = spawn(grpcGo!, ['client', `xds:///${TARGET}`, '20'], {
        env: { ...process.env, GRPC_XDS_BOOTSTRAP: path },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let text = '';
      child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      child.once('error', reject);
      child.once('close', () => resolve(JSON.parse(text)));
    });

  test('finds the endpoints over TCP, and acknowledges', async () => {
    offer('one', 'two');
    const { instances, errors, lastError } = await call(`127.0.0.1:${controlPlane.port}`);
    expect({ errors, lastError }).toEqual({ errors: 0, lastError: '' });
    expect(Object.keys(instances).sort()).toEqual(['one', 'two']);
    expect(controlPlane.source.events.filter(({ kind }) => kind === 'nacked')).toEqual([]);
    for (const typeUrl of [TypeUrl.listener, TypeUrl.route, TypeUrl.cluster, TypeUrl.endpoint]) {
      await controlPlane.source.until((event) => event.kind === 'acked' && event.typeUrl === typeUrl);
    }
  });

  test('through the relay on a Unix socket, also with the control plane dead', async () => {
    offer('one');
    const path = join(folder, 'ads.sock');
    const relay = createRelay({
      upstream: { host: '127.0.0.1', port: controlPlane.port },
      cacheFolder: join(folder, 'cache'),
      backoff: { initialMs: 20, maxMs: 100 },
    });
    const server = await createGrpcServer({ listen: { socketPath: path }, methods: relay.methods });
    expect(await call(`unix://${path}`)).toMatchObject({ errors: 0, instances: { one: 20 } });
    await controlPlane.kill();
    expect(await call(`unix://${path}`)).toMatchObject({ errors: 0, instances: { one: 20 } });
    relay.close();
    await server.close();
  });
});
