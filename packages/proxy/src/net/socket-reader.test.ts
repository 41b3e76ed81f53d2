import { once } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import { TestAuthority } from '../tls/testing/certificates.ts';
import type { ByteSink } from './byte-sink.ts';
import { Intake } from './intake.ts';
import { adoptAccepted, SocketReader } from './socket-reader.ts';

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

class Log implements ByteSink {
  text = '';
  ended = false;
  closed: string | undefined = undefined;
  drains = 0;
  /** Where the bytes came from. */
  readonly buffers = new Set<Buffer>();
  #changed: () => void = () => {};

  receive(buffer: Buffer, start: number, end: number): void {
    this.buffers.add(buffer);
    this.text += buffer.latin1Slice(start, end);
    this.#changed();
  }

  receiveEnd(): void {
    this.ended = true;
    this.#changed();
  }

  transportClosed(detail: string): void {
    this.closed = detail;
    this.#changed();
  }

  transportDrained(): void {
    this.drains++;
    this.#changed();
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
  }
}

const intake = new Intake();
const shared = intake.buffer;

/** A server whose sockets are adopted, and a client of it. */
async function connected(): Promise<{ server: net.Server; socket: net.Socket; log: Log; client: net.Socket }> {
  const log = new Log();
  const server = net.createServer({ pauseOnConnect: true, allowHalfOpen: true });
  const adopted = once(server, 'connection').then(([accepted]) => adoptAccepted(accepted as net.Socket, new SocketReader(log, intake)));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = net.connect({ port: (server.address() as net.AddressInfo).port, host: '127.0.0.1', allowHalfOpen: true });
  cleanups.push(() => {
    client.destroy();
    server.close();
  });
  client.on('error', () => {});
  return { server, socket: await adopted, log, client };
}

async function reads(socket: net.Socket, log: Log, client: net.Socket): Promise<void> {
  socket.resume();
  client.write('one');
  await log.until(() => log.text === 'one');
}

/** A round trip of another connection: the loop has been to every socket. */
async function elsewhere(): Promise<void> {
  const { socket, log, client } = await connected();
  socket.resume();
  client.write('x');
  await log.until(() => log.text === 'x');
}

describe('adoptAccepted', () => {
  it('reads into the shared buffer once resumed, and closes each half by itself', async () => {
    const { socket, log, client } = await connected();
    client.end('hello');
    socket.resume();
    await log.until(() => log.ended);
    expect(log.text).toBe('hello');
    expect([...log.buffers]).toEqual([shared]);
    expect(log.closed).toBeUndefined();
    const answer = once(client, 'data');
    socket.end('answer');
    expect(`${(await answer)[0]}`).toBe('answer');
    await log.until(() => log.closed !== undefined);
    expect(log.closed).toBe('');
  });

  it('lets the server close when its sockets have', async () => {
    const { server, socket, log, client } = await connected();
    socket.resume();
    let closed = false;
    server.close(() => {
      closed = true;
    });
    client.write('x');
    await log.until(() => log.text === 'x');
    expect(closed).toBe(false);
    socket.destroy();
    await once(server, 'close');
  });

  it('reads nothing while it is paused', async () => {
    const { socket, log, client } = await connected();
    await reads(socket, log, client);
    socket.pause();
    client.write('two');
    await elsewhere();
    expect(log.text).toBe('one');
    socket.resume();
    await log.until(() => log.text === 'onetwo');
  });

  it('brings at most one read while the intake is held, then the rest', async () => {
    const { socket, log, client } = await connected();
    intake.hold();
    socket.resume();
    const text = 'x'.repeat(1_000_000);
    client.write(text);
    await log.until(() => log.text !== '');
    await elsewhere();
    expect(log.text.length).toBeLessThanOrEqual(shared.length);
    intake.release();
    await log.until(() => log.text.length === text.length);
  });

  it('reads nothing once the intake is held', async () => {
    const { socket, log, client } = await connected();
    await reads(socket, log, client);
    intake.hold();
    client.write('two');
    await elsewhere();
    expect(log.text).toBe('one');
    intake.release();
    await log.until(() => log.text === 'onetwo');
  });

  it('stays paused when the intake is released, if its owner has paused it since', async () => {
    const { socket, log, client } = await connected();
    intake.hold();
    await reads(socket, log, client);
    socket.pause();
    intake.release();
    client.write('two');
    await elsewhere();
    expect(log.text).toBe('one');
    socket.resume();
    await log.until(() => log.text === 'onetwo');
  });

  it('says why a connection broke, and when its writes have left', async () => {
    const { socket, log, client } = await connected();
    socket.resume();
    client.resume();
    let full = false;
    for (let i = 0; i < 200 && !full; i++) full = !socket.write(Buffer.alloc(1_000_000));
    expect(full).toBe(true);
    await log.until(() => log.drains > 0);
    client.resetAndDestroy();
    await log.until(() => log.closed !== undefined);
    expect(log.closed).toContain('ECONNRESET');
  });
});

it('brings what an ordinary socket reads as well', async () => {
  const log = new Log();
  const server = net.createServer((socket) => new SocketReader(log, intake).watchData(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1');
  cleanups.push(() => {
    client.destroy();
    server.close();
  });
  client.end('hello');
  await log.until(() => log.closed !== undefined);
  expect(log).toMatchObject({ text: 'hello', ended: true, closed: '' });
});

it('reads into the shared buffer on the server side of TLS too, pauses, and sees the end', async () => {
  const log = new Log();
  const { chainPem, keyPem } = new TestAuthority().issue({ dns: ['server'] });
  const server = tls.createServer({ cert: chainPem, key: keyPem, allowHalfOpen: true });
  const secured = once(server, 'secureConnection').then(([socket]) => {
    new SocketReader(log, intake).watchSecured(socket as tls.TLSSocket);
    return socket as tls.TLSSocket;
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = tls.connect({
    port: (server.address() as net.AddressInfo).port,
    host: '127.0.0.1',
    rejectUnauthorized: false,
    allowHalfOpen: true,
  } as tls.ConnectionOptions);
  cleanups.push(() => {
    client.destroy();
    server.close();
  });
  client.on('error', () => {});
  const text = Array.from({ length: 40_000 }, (_, i) => `${i},`).join('');
  client.write(text);
  const socket = await secured;
  await log.until(() => log.text.length >= text.length);
  expect(log.text === text).toBe(true);
  expect([...log.buffers]).toEqual([shared]);
  socket.pause();
  client.write('while paused');
  // A round trip of another connection: this one had its chance to read.
  const other = await connected();
  other.socket.resume();
  other.client.write('x');
  await other.log.until(() => other.log.text === 'x');
  expect(log.text === text).toBe(true);
  socket.resume();
  await log.until(() => log.text === `${text}while paused`);
  client.end();
  await log.until(() => log.ended);
  expect(log.closed).toBeUndefined();
  socket.end();
  await log.until(() => log.closed !== undefined);
  expect(log.closed).toBe('');
});
