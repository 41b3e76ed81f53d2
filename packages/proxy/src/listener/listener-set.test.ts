import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JsonObject } from '@bufbuild/protobuf';
import { ListenerSchema } from '@outrigger/xds/protos/envoy/config/listener/v3/listener';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { listener, message, typed } from '../testing/messages.ts';
import { TestEngine } from '../testing/test-engine.ts';
import { ask } from '../testing/test-proxy.ts';

let engine: TestEngine;

beforeEach(() => {
  engine = new TestEngine();
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
});
afterEach(async () => {
  vi.useRealTimers();
  expect(await engine.close()).toEqual([]);
});

async function set(name: string, status: number, port: number, leaving: string[] = [], manager: JsonObject = {}): Promise<void> {
  const config = engine.listeners.compile(
    listener(name, {
      routes: [
        { match: { prefix: '/slow' }, route: { cluster: 'slow', timeout: '0s' } },
        { match: { prefix: '/' }, directResponse: { status } },
      ],
      manager,
      fields: { address: { socketAddress: { address: '127.0.0.1', portValue: port } } },
    }),
  );
  if (typeof config === 'string') throw new Error(config);
  await engine.listeners.set(config, leaving);
}

const address = (name: string): string => engine.listeners.get(name)!.address;
const portOf = (name: string): number => Number(address(name).split(':')[1]);

describe('a listener in the place of another', () => {
  it('of its own name takes over the socket: the same address, and every connection waits in one queue', async () => {
    await set('in', 200, 0);
    const before = address('in');
    await set('in', 418, 0);
    expect(address('in')).toBe(before);
    expect((await ask(before)).status).toBe(418);
  });

  it('of another name takes over the socket of one that leaves, and of nobody else', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'listener-'));
    const path = join(folder, 'in.sock');
    const onPath = async (name: string, status: number, leaving: string[] = []): Promise<void> => {
      const config = engine.listeners.compile(
        listener(name, { routes: [{ match: { prefix: '/' }, directResponse: { status } }], fields: { address: { pipe: { path } } } }),
      );
      if (typeof config === 'string') throw new Error(config);
      await engine.listeners.set(config, leaving);
    };
    await onPath('old', 200);
    await expect(onPath('new', 418)).rejects.toThrow('listener new has the address of listener old; give it another, or remove that one');
    expect((await askPath(path)).status).toBe(200);
    await onPath('new', 418, ['old']);
    engine.listeners.remove('old');
    expect((await askPath(path)).status).toBe(418);
    rmSync(folder, { recursive: true });
  });

  it('that cannot be bound leaves the one before as it was', async () => {
    await set('in', 200, 0);
    const blocker = net.createServer().listen(0, '127.0.0.1');
    await once(blocker, 'listening');
    await expect(set('in', 418, (blocker.address() as net.AddressInfo).port)).rejects.toMatchObject({ code: 'in-use' });
    expect((await ask(address('in'))).status).toBe(200);
    blocker.close();
  });
});

describe('connections of a listener that was replaced', () => {
  it('that are idle bring one more request, which is told to be the last', async () => {
    await set('in', 200, 0);
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    expect((await ask(address('in'), { agent })).headers.connection).not.toBe('close');
    await set('in', 418, 0);
    // The old policy still, once.
    const last = await ask(address('in'), { agent });
    expect([last.status, last.headers.connection]).toEqual([200, 'close']);
    expect((await ask(address('in'), { agent })).status).toBe(418);
    agent.destroy();
  });

  it('that have not said a word yet are served too', async () => {
    await set('in', 200, 0);
    const socket = net.connect(portOf('in'), '127.0.0.1');
    await once(socket, 'connect');
    await vi.waitFor(() => expect(engine.listeners.get('in')!.connections.count).toBe(1));
    await set('in', 418, 0);
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    const [bytes] = (await once(socket, 'data')) as [Buffer];
    expect(bytes.toString()).toMatch(/^HTTP\/1\.1 200 OK\r\n.*Connection: close\r\n/s);
    await once(socket, 'close');
  });

  it('that stay idle are ended after two seconds', async () => {
    await set('in', 200, 0);
    const agent = new http.Agent({ keepAlive: true });
    await ask(address('in'), { agent });
    const [socket] = Object.values(agent.freeSockets)[0]!;
    await set('in', 418, 0);
    const closed = once(socket!, 'close');
    vi.advanceTimersByTime(1_900);
    expect(engine.listeners.connectionCount).toBe(1);
    vi.advanceTimersByTime(200);
    await closed;
    await engine.advance(2_000);
    expect(engine.listeners.connectionCount).toBe(0);
    expect([...engine.listeners.withDraining]).toHaveLength(1);
  });

  it('keep their request under way for a minute, and then no longer', async () => {
    const slow = engine.upstream('slow');
    engine.cluster('slow', { endpoints: ['slow'] });
    await set('in', 200, 0);
    const one = ask(address('in'), { path: '/slow' });
    const two = ask(address('in'), { path: '/slow' }).catch((error: Error) => error.message);
    while (slow.requests.length < 2) await engine.settle();
    await set('in', 418, 0);
    vi.advanceTimersByTime(30_000);
    slow.requests[0]!.respond(200, { body: 'at last' });
    const first = await one;
    expect([first.status, first.body, first.headers.connection]).toEqual([200, 'at last', 'close']);
    vi.advanceTimersByTime(31_000);
    expect(await two).toMatch(/hang up|reset/i);
    expect([...engine.listeners.withDraining]).toHaveLength(1);
  });

  it('over HTTP/2 are told at once, and their requests end in peace', async () => {
    await engine.listener('h2', { routes: [{ match: { prefix: '/' }, directResponse: { status: 200 } }] });
    const client = engine.client('h2', { http2: true });
    await client.call();
    await engine.listener('h2', { routes: [{ match: { prefix: '/' }, directResponse: { status: 418 } }] });
    await engine.settle();
    expect([client.draining, client.closed]).toEqual([true, true]);
    expect((await engine.client('h2', { http2: true }).call()).status).toBe(418);
  });
});

describe('connections of a filter chain that stays as it is', () => {
  /** One chain for 127.0.0.2, one for everybody else, each to its upstream, over TCP. */
  async function setChains(first: string, rest: string, fields: JsonObject = {}): Promise<void> {
    const tcp = (cluster: string): JsonObject => ({
      filters: [{ name: 'tcp', typedConfig: typed('envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', { statPrefix: 'x', cluster }) }],
    });
    const config = engine.listeners.compile(
      message(ListenerSchema, {
        name: 'in',
        address: { socketAddress: { address: '127.0.0.1', portValue: 0 } },
        filterChains: [{ ...tcp(first), filterChainMatch: { sourcePrefixRanges: [{ addressPrefix: '127.0.0.2', prefixLen: 32 }] } }],
        defaultFilterChain: tcp(rest),
        ...fields,
      }),
    );
    if (typeof config === 'string') throw new Error(config);
    await engine.listeners.set(config);
  }

  let server: net.Server;
  beforeEach(async () => {
    server = net.createServer((socket) => socket.on('error', () => {}).pipe(socket)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const at = `127.0.0.1:${(server.address() as net.AddressInfo).port}`;
    for (const name of ['a', 'b', 'c']) engine.cluster(name, { endpoints: [at] });
  });
  afterEach(() => {
    server.close();
  });

  async function connect(localAddress: string): Promise<net.Socket> {
    const socket = net.connect({ port: portOf('in'), host: '127.0.0.1', localAddress });
    socket.on('error', () => {});
    await echo(socket);
    return socket;
  }
  async function echo(socket: net.Socket): Promise<void> {
    socket.write('x');
    await once(socket, 'data');
  }

  it('are not touched, while those of one that changes are ended; until theirs changes too', async () => {
    await setChains('a', 'b');
    const [first, other] = [await connect('127.0.0.2'), await connect('127.0.0.1')];
    const ended = once(other, 'close');
    await setChains('a', 'c');
    vi.advanceTimersByTime(2_100);
    await ended;
    vi.advanceTimersByTime(120_000);
    await echo(first);
    // Through another update that leaves it alone.
    await setChains('a', 'b');
    vi.advanceTimersByTime(120_000);
    await echo(first);
    expect(engine.listeners.connectionCount).toBe(1);
    const gone = once(first, 'close');
    await setChains('c', 'b');
    vi.advanceTimersByTime(2_100);
    await gone;
    await vi.waitFor(() => expect([...engine.listeners.withDraining]).toHaveLength(1));
  });

  it('are ended with the listener, and where the listener itself has changed', async () => {
    await setChains('a', 'b');
    const first = await connect('127.0.0.2');
    const ended = once(first, 'close');
    await setChains('a', 'b', { perConnectionBufferLimitBytes: 9_000 });
    vi.advanceTimersByTime(2_100);
    await ended;
    const second = await connect('127.0.0.2');
    await setChains('a', 'c', { perConnectionBufferLimitBytes: 9_000 });
    const removed = once(second, 'close');
    engine.listeners.remove('in');
    vi.advanceTimersByTime(2_100);
    await removed;
  });
});

it('the drain of all ends what is idle at once, and waits for what is under way', async () => {
  const slow = engine.upstream('slow');
  engine.cluster('slow', { endpoints: ['slow'] });
  await set('in', 200, 0);
  const agent = new http.Agent({ keepAlive: true });
  await ask(address('in'), { agent });
  const [socket] = Object.values(agent.freeSockets)[0]!;
  const under = ask(address('in'), { path: '/slow' });
  while (slow.requests.length === 0) await engine.settle();
  const at = address('in');
  const closed = once(socket!, 'close');
  engine.listeners.drain();
  await closed;
  await expect(ask(at)).rejects.toThrow(/ECONNREFUSED/);
  slow.last.respond(200);
  expect((await under).status).toBe(200);
});

async function askPath(socketPath: string): Promise<{ status: number | undefined }> {
  const request = http.request({ socketPath, agent: false }).end();
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  response.resume();
  return { status: response.statusCode };
}
