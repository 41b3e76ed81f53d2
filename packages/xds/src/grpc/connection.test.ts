import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer as createHttp2Server, type ServerHttp2Stream } from 'node:http2';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Code, ConnectError } from '@connectrpc/connect';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { GrpcConnection, type GrpcError } from './connection.ts';
import { createGrpcServer } from './server.ts';

const PATH = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources';
let folder: string;
const closers: (() => unknown)[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'grpc-'));
});

afterEach(async () => {
  for (const close of closers.splice(0)) await close();
  rmSync(folder, { recursive: true });
});

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

function endOf(connection: GrpcConnection): Promise<GrpcError | undefined> {
  return new Promise((resolve) => connection.open(PATH, { onMessage: () => {}, onEnd: resolve }));
}

/** A server of HTTP/2 whose streams are answered by hand. */
async function rawServer(onStream: (stream: ServerHttp2Stream) => void): Promise<{ port: number; sockets: Socket[] }> {
  const server = createHttp2Server();
  const sockets: Socket[] = [];
  server.on('connection', (socket: Socket) => sockets.push(socket));
  server.on('stream', (stream: ServerHttp2Stream) => {
    stream.on('error', () => {});
    onStream(stream);
  });
  closers.push(() => {
    for (const socket of sockets) socket.destroy();
  });
  return { port: await listen(server), sockets };
}

/** A way to the port that can be made to lose everything, as a machine that is gone. */
async function wire(to: number): Promise<{ port: number; cut(): void }> {
  const sockets: Socket[] = [];
  const server = createServer((near) => {
    const far = connect({ host: '127.0.0.1', port: to });
    sockets.push(near.setNoDelay(true), far.setNoDelay(true));
    near.pipe(far);
    far.pipe(near);
  });
  closers.push(() => {
    for (const socket of sockets) socket.destroy();
  });
  return {
    port: await listen(server),
    cut() {
      for (const socket of sockets) socket.unpipe();
    },
  };
}

describe('GrpcConnection', () => {
  test('an error status of the server is told with its words', async () => {
    const socketPath = join(folder, 's');
    const refuse = (): never => {
      throw new ConnectError('node orders-1 is not yours: 100 %', Code.PermissionDenied);
    };
    const server = await createGrpcServer({ listen: { socketPath }, methods: new Map([[PATH, refuse]]) });
    closers.push(() => server.close());
    const connection = await GrpcConnection.connect({ socketPath });
    expect(await endOf(connection)).toMatchObject({ code: 'status', status: Code.PermissionDenied, message: 'node orders-1 is not yours: 100 %' });
    connection.close();
  });

  test('nobody there: says where, and why', async () => {
    const socketPath = join(folder, 'none');
    await expect(GrpcConnection.connect({ socketPath })).rejects.toMatchObject({
      code: 'transport',
      message: expect.stringMatching(/cannot connect to unix:.*none: .*ENOENT/),
    });
  });

  test('a server that accepts and says nothing is given up', async () => {
    const sockets: Socket[] = [];
    const port = await listen(createServer((socket) => sockets.push(socket)));
    await expect(GrpcConnection.connect({ host: '127.0.0.1', port }, { connectTimeoutMs: 50 })).rejects.toMatchObject({
      message: expect.stringContaining('no answer within 50 ms'),
    });
    for (const socket of sockets) socket.destroy();
  });

  test('a server that died without a word is found by the keep-alive ping', async () => {
    const { port } = await rawServer((stream) => stream.respond({ ':status': 200 }));
    const between = await wire(port);
    const connection = await GrpcConnection.connect({ host: '127.0.0.1', port: between.port }, { keepAliveIntervalMs: 20, keepAliveTimeoutMs: 200 });
    await new Promise<void>((resolve) => {
      connection.onPong = resolve;
    });
    const end = endOf(connection);
    between.cut();
    expect(await end).toMatchObject({ code: 'transport', message: expect.stringContaining('no answer to a keep-alive ping within 200 ms') });
  });

  test('a message beyond the limit, and a server that is none of gRPC, end the stream', async () => {
    const large = await rawServer((stream) => {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
      stream.write(Buffer.from([0, 0, 0, 4, 1]));
    });
    const first = await GrpcConnection.connect({ host: '127.0.0.1', port: large.port }, { maxMessageBytes: 1024 });
    expect(await endOf(first)).toMatchObject({ code: 'protocol', message: expect.stringContaining('a message of 1025 bytes; 1024 are taken') });
    first.close();
    const html = await rawServer((stream) => {
      stream.respond({ ':status': 404 });
      stream.end('<html>');
    });
    const second = await GrpcConnection.connect({ host: '127.0.0.1', port: html.port });
    expect(await endOf(second)).toMatchObject({ code: 'protocol', message: expect.stringContaining('HTTP status 404') });
    second.close();
  });
});

describe('createGrpcServer', () => {
  test('on a Unix path: a newer server takes the path over, and the older does not take it away again', async () => {
    const socketPath = join(folder, 's');
    const older = await createGrpcServer({ listen: { socketPath }, methods: new Map() });
    // Another process would have another name beside the path; this one has to close first, as a crash would.
    await older.close();
    expect(existsSync(socketPath)).toBe(false);
    const newer = await createGrpcServer({ listen: { socketPath }, methods: new Map() });
    closers.push(() => newer.close());
    (await GrpcConnection.connect({ socketPath })).close();
  });

  test('a port in use and a path that is too long say so', async () => {
    const taken = createServer();
    const port = await listen(taken);
    await expect(createGrpcServer({ listen: { host: '127.0.0.1', port }, methods: new Map() })).rejects.toMatchObject({
      code: 'address-in-use',
      message: expect.stringContaining(`127.0.0.1:${port}`),
    });
    await expect(createGrpcServer({ listen: { socketPath: join(folder, 'x'.repeat(100)) }, methods: new Map() })).rejects.toMatchObject({
      code: 'path-too-long',
    });
  });
});
