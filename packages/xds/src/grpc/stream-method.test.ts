import { mkdtempSync, rmSync } from 'node:fs';
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants, type IncomingHttpHeaders } from 'node:http2';
import { connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create } from '@bufbuild/protobuf';
import { EmptySchema, Int32ValueSchema } from '@bufbuild/protobuf/wkt';
import { Code, ConnectError } from '@connectrpc/connect';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { frameMessage, MessageSplitter } from './message-splitter.ts';
import { createGrpcServer, type GrpcServer } from './server.ts';
import type { StreamMethod } from './stream-method.ts';
import { unaryMethod } from './unary-method.ts';

const PATH = '/p.S/M';
const END_STREAM = 1;

let folder: string;
let server: GrpcServer;
let session: ClientHttp2Session;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'stream-method-'));
});
afterEach(async () => {
  session.destroy();
  await server.close();
  rmSync(folder, { recursive: true });
});

async function serve(method: StreamMethod): Promise<void> {
  const socketPath = join(folder, 's');
  server = await createGrpcServer({ listen: { socketPath }, methods: new Map([[PATH, method]]), maxRequestBytes: 1_000 });
  session = connect('http://localhost', { createConnection: () => connectTcp(socketPath) });
}

/** Says what it hears. */
const echo: StreamMethod = (call) => ({ onMessage: (message) => void call.send(message), onFinish: () => call.end(), onEnd: () => {} });

function call(headers: Record<string, string> = {}): ClientHttp2Stream {
  return session.request({ ':method': 'POST', ':path': PATH, 'content-type': 'application/grpc', te: 'trailers', ...headers }, { endStream: false });
}

/** Status and text, and whether they came in the one frame of a "Trailers-Only" answer. */
function outcome(stream: ClientHttp2Stream): Promise<{ http: number; status: string; message: string; alone: boolean }> {
  return new Promise((resolve, reject) => {
    let first: IncomingHttpHeaders = {};
    const end = (headers: IncomingHttpHeaders, alone: boolean): void =>
      resolve({ http: Number(first[':status']), status: String(headers['grpc-status'] ?? ''), message: String(headers['grpc-message'] ?? ''), alone });
    stream.on('response', (headers, flags) => {
      first = headers;
      if ((flags & END_STREAM) !== 0) end(headers, true);
    });
    stream.on('trailers', (headers) => end(headers, false));
    stream.on('error', reject);
    stream.resume();
  });
}

test('a refusal before any message is one frame with status and text', async () => {
  await serve(() => {
    throw new ConnectError('not 100 % yours, ä', Code.PermissionDenied);
  });
  expect(await outcome(call())).toEqual({ http: 200, status: '7', message: 'not 100 %25 yours, %C3%A4', alone: true });
});

test('a failure after messages comes in trailers, and says nothing of what is inside', async () => {
  await serve((call) => ({
    ...echo(call),
    onMessage(message) {
      call.send(message);
      throw new Error('the password is secret');
    },
  }));
  const stream = call();
  stream.write(frameMessage(Buffer.from('hello')));
  expect(await outcome(stream)).toEqual({ http: 200, status: '13', message: 'internal error', alone: false });
});

test('what ends well has the status 0', async () => {
  await serve(echo);
  const stream = call();
  stream.end(Buffer.concat([frameMessage(Buffer.from('a')), frameMessage(Buffer.from('b'))]));
  expect(await outcome(stream)).toEqual({ http: 200, status: '0', message: '', alone: false });
});

test.each([
  ['a message that is too large', frameMessage(Buffer.alloc(1_001)), '8'],
  ['a compressed message', Buffer.from([1, 0, 0, 0, 1, 65]), '12'],
])('%s ends the call', async (_case, bytes, status) => {
  await serve(echo);
  const stream = call();
  stream.write(bytes);
  expect(await outcome(stream)).toMatchObject({ status });
});

test('what is no gRPC is told so', async () => {
  await serve(echo);
  expect(await outcome(call({ 'content-type': 'application/json' }))).toMatchObject({ http: 415 });
});

test('a method that is not there, and one whose client says too little', async () => {
  await serve(unaryMethod(EmptySchema, EmptySchema, async () => create(EmptySchema)));
  expect(await outcome(call({ ':path': '/p.S/Other' }))).toEqual({ http: 200, status: '12', message: 'there is no /p.S/Other here', alone: true });
  const silent = call();
  silent.end();
  expect(await outcome(silent)).toMatchObject({ status: '12', message: 'no google.protobuf.Empty came' });
  const asking = call();
  asking.end(frameMessage(new Uint8Array()));
  expect(await outcome(asking)).toMatchObject({ status: '0', alone: false });
});

test('an answer that cannot be written ends its call alone', async () => {
  await serve(unaryMethod(EmptySchema, Int32ValueSchema, async () => create(Int32ValueSchema, { value: 2 ** 40 })));
  const asking = call();
  asking.end(frameMessage(new Uint8Array()));
  expect(await outcome(asking)).toEqual({ http: 200, status: '13', message: 'internal error', alone: true });
});

test('a client that goes ends the method', async () => {
  const gone = Promise.withResolvers<unknown>();
  await serve((call) => ({ ...echo(call), onEnd: (error) => gone.resolve(error) }));
  const stream = call();
  stream.on('error', () => {});
  stream.write(frameMessage(Buffer.from('a')));
  await new Promise((resolve) => stream.once('data', resolve));
  stream.close(constants.NGHTTP2_CANCEL);
  expect(await gone.promise).toBeUndefined();
});

test('long messages come whole and in order, before the status', async () => {
  const lengths = [40_000, 3, 12_283, 100_000, 0];
  await serve((call) => ({
    ...echo(call),
    onMessage() {
      for (const length of lengths) call.send(Buffer.alloc(length, length % 251));
      call.end();
    },
  }));
  const stream = call();
  const heard: string[] = [];
  const splitter = new MessageSplitter(1_000_000);
  stream.on('data', (chunk: Buffer) =>
    splitter.push(chunk, (message) => heard.push(`${message.length} ${message.equals(Buffer.alloc(message.length, message.length % 251))}`)),
  );
  stream.write(frameMessage(Buffer.from('a')));
  expect(await outcome(stream)).toMatchObject({ status: '0' });
  expect(heard).toEqual(lengths.map((length) => `${length} true`));
});

test('who does not read is not written to without end', async () => {
  let said = 0;
  await serve((call) => {
    const say = (): void => {
      while (said < 10_000) {
        said += 1;
        if (!call.send(Buffer.alloc(1_000))) return;
      }
      call.end();
    };
    setImmediate(say);
    return { ...echo(call), onDrain: say };
  });
  const stream = call();
  stream.pause();
  await new Promise((resolve) => stream.once('response', resolve));
  // Windows and buffers on both sides are full by then: a further second changes nothing.
  for (let before = -1; before !== said; ) {
    before = said;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  expect(said).toBeLessThan(2_000);
  stream.resume();
  await new Promise((resolve) => stream.once('end', resolve));
  expect(said).toBe(10_000);
});
