import { readdirSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Flag, FrameType, Setting } from '../../packages/proxy/src/http2/frame.ts';
import { block, data, frame, GET, headers, POST, PREFACE, ping, rst, settings, windowUpdate } from '../../packages/proxy/src/http2/testing/frames.ts';
import { clusterJson, listenerJson, routeTo } from '../../packages/proxy/src/testing/messages.ts';
import { ask, TestApplication } from '../../packages/proxy/src/testing/test-proxy.ts';
import { Wire } from '../harness/wire.ts';
import { DataPlane } from '../proxy/data-plane.ts';
import { until } from '../xds/envoy.ts';
import { FramePeer } from './frame-peer.ts';
import { MemoryMark } from './memory-mark.ts';
import { tlsChain } from './tls-chain.ts';

const long = process.env['OUTRIGGER_LONG'] === '1';
const ATTACKERS = 8;
/** Frames of one attacker; each is cut off long before. */
const MOST = 20_000;
/** What all attackers of a flood may cost in resident memory, MB: the streams that they have open are among it. */
const FLOOD_MB = 96;

const id = (i: number) => 2 * i + 1;
const opened = headers(1, POST, false);
/** A name that fills the table, then named as often as a block holds: 60 MB of headers in 16 KB. */
const bomb = (i: number) =>
  i === 0
    ? frame(
        FrameType.HEADERS,
        Flag.END_HEADERS | Flag.END_STREAM,
        1,
        Buffer.concat([block(GET), Buffer.from([0x40, 1, 0x61, 0x7f, 0xb1, 0x1e]), Buffer.alloc(4016, 0x78)]),
      )
    : frame(FrameType.HEADERS, Flag.END_HEADERS | Flag.END_STREAM, id(i), Buffer.concat([block(GET), Buffer.alloc(15_000, 0xbe)]));

const floods: readonly { name: string; before?: Buffer; frames: (i: number) => Buffer; why: string }[] = [
  { name: 'rapid reset', frames: (i) => Buffer.concat([headers(id(i), GET, true), rst(id(i))]), why: 'too many streams reset' },
  {
    name: 'MadeYouReset by WINDOW_UPDATE of 0',
    frames: (i) => Buffer.concat([headers(id(i), POST, false), windowUpdate(id(i), 0)]),
    why: 'too many streams in error',
  },
  {
    name: 'MadeYouReset by a window too large',
    frames: (i) => Buffer.concat([headers(id(i), POST, false), windowUpdate(id(i), 0x7fffffff)]),
    why: 'too many streams in error',
  },
  {
    name: 'MadeYouReset by DATA after the end',
    frames: (i) => Buffer.concat([headers(id(i), GET, true), data(id(i), 'x', false)]),
    why: 'too many streams in error',
  },
  { name: 'MadeYouReset by malformed headers', frames: (i) => headers(id(i), [...GET, ['X', 'y']], true), why: 'too many streams in error' },
  {
    name: 'CONTINUATION',
    frames: (i) => (i === 0 ? frame(FrameType.HEADERS, 0, 1, block(GET)) : frame(FrameType.CONTINUATION, 0, 1, block([['a', 'b']]))),
    why: 'too many CONTINUATION frames',
  },
  {
    name: 'CONTINUATION of large pieces',
    frames: (i) => frame(i === 0 ? FrameType.HEADERS : FrameType.CONTINUATION, 0, 1, Buffer.alloc(16_000, 0xbe)),
    why: 'header block too large',
  },
  { name: 'empty CONTINUATION', frames: (i) => frame(i === 0 ? FrameType.HEADERS : FrameType.CONTINUATION, 0, 1), why: 'too many CONTINUATION frames' },
  { name: 'empty DATA', before: opened, frames: () => data(1, '', false), why: 'too many empty DATA frames' },
  { name: 'padded DATA without content', before: opened, frames: () => frame(FrameType.DATA, Flag.PADDED, 1, [0]), why: 'too many empty DATA frames' },
  { name: 'SETTINGS', frames: () => settings(), why: 'too many control frames' },
  {
    name: 'SETTINGS that move the windows',
    frames: (i) => settings({ [Setting.INITIAL_WINDOW_SIZE]: i % 2 === 0 ? 0 : 65_535 }),
    why: 'too many control frames',
  },
  { name: 'PING', frames: () => ping('12345678'), why: 'too many control frames' },
  { name: 'PRIORITY', frames: (i) => frame(FrameType.PRIORITY, 0, id(i % 1000), [0, 0, 0, 0, 1]), why: 'too many control frames' },
  { name: 'WINDOW_UPDATE', frames: () => windowUpdate(0, 1), why: 'too many control frames' },
  { name: 'unknown frames', frames: () => frame(99, 0, 0, Buffer.alloc(100)), why: 'too many control frames' },
  { name: 'an HPACK bomb', frames: bomb, why: 'header section far too large' },
];

let proxy: DataPlane;
let application: TestApplication;
let address: string;

beforeAll(async () => {
  application = await TestApplication.start((request, response) => {
    request.resume();
    request.on('end', () => response.end(request.url === '/big' ? Buffer.alloc(1024 * 1024, 'x') : 'ok'));
  });
  const routes = [routeTo('application')];
  const short = { requestHeadersTimeout: '1s', streamIdleTimeout: '1s', commonHttpProtocolOptions: { idleTimeout: '1s' }, drainTimeout: '0.5s' };
  proxy = await DataPlane.start('outrigger', {
    listeners: {
      plain: listenerJson('plain', { routes }),
      short: listenerJson('short', { routes, manager: short }),
      tls: listenerJson('tls', { routes, manager: short, chain: { ...(await tlsChain()), transportSocketConnectTimeout: '1s' } }),
    },
    clusters: {
      application: clusterJson('application', {
        endpoints: [application.address],
        fields: { circuitBreakers: { thresholds: [{ maxConnections: 200, maxPendingRequests: 100_000, maxRequests: 100_000 }] } },
      }),
    },
  });
  address = `127.0.0.1:${proxy.port('plain')}`;
});

afterAll(async () => {
  await proxy?.stop();
  await application?.close();
});

/** Asks again and again until `attack` is over, and at least a few times. */
async function servedMeanwhile(attack: Promise<unknown>): Promise<void> {
  let over = false;
  const done = attack.finally(() => {
    over = true;
  });
  for (let i = 0; i < 5 || !over; i++) {
    expect((await ask(address)).status).toBe(200);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await done;
}

describe('a flood over HTTP/2 is cut off with its error, at a bounded cost, while others are served:', () => {
  test.each(floods)('$name', async ({ before, frames, why }) => {
    const memory = new MemoryMark(proxy.pid);
    const peers = await Promise.all(Array.from({ length: ATTACKERS }, () => FramePeer.begin(proxy.port('plain'))));
    await servedMeanwhile(
      Promise.all(
        peers.map(async (peer) => {
          if (before !== undefined) await peer.send(before);
          await peer.flood(frames, MOST);
          await peer.line(/^GOAWAY/);
        }),
      ),
    );
    expect(peers.map(({ goaway }) => goaway?.replace(/^GOAWAY \d+ /, ''))).toEqual(peers.map(() => `ENHANCE_YOUR_CALM ${why}`));
    expect((await Promise.all(peers.map((peer) => peer.end()))).every((ended) => ended)).toBe(true);
    for (const peer of peers) peer.close();
    expect(memory.growthMb).toBeLessThan(FLOOD_MB);
  });
});

describe('a peer that asks and does not take', () => {
  const STREAMS = 100;
  const big = GET.map(([name, value]) => [name, name === ':path' ? '/big' : value] as const);

  test('has its answers held at their source: a window that stays shut', async () => {
    const memory = new MemoryMark(proxy.pid);
    const peers = await Promise.all(
      Array.from({ length: ATTACKERS }, () => FramePeer.begin(proxy.port('short'), settings({ [Setting.INITIAL_WINDOW_SIZE]: 0 }))),
    );
    await servedMeanwhile(
      Promise.all(
        peers.map(async (peer) => {
          await peer.send(Buffer.concat(Array.from({ length: STREAMS }, (_, i) => headers(id(i), big, true))));
          await until('every stream is over', () =>
            peer.lines.filter((line) => /^RST_STREAM|^HEADERS .* fin$/.test(line)).length >= STREAMS ? true : undefined,
          );
        }),
      ),
    );
    for (const peer of peers) peer.close();
    // 800 MB were asked for.
    expect(memory.growthMb).toBeLessThan(256);
  });

  test('has its answers held at their source: a socket that is not read', async () => {
    const memory = new MemoryMark(proxy.pid);
    const sockets: Socket[] = [];
    await servedMeanwhile(
      Promise.all(
        Array.from({ length: ATTACKERS }, async () => {
          const socket = connect({ port: proxy.port('short'), host: '127.0.0.1' });
          sockets.push(socket);
          socket.on('error', () => {});
          socket.pause();
          const window = settings({ [Setting.INITIAL_WINDOW_SIZE]: 0x7fffffff });
          socket.write(
            Buffer.concat([PREFACE, window, windowUpdate(0, 0x7fff0000 - 65_535), ...Array.from({ length: STREAMS }, (_, i) => headers(id(i), big, true))]),
          );
          await new Promise((resolve) => setTimeout(resolve, 1500));
        }),
      ),
    );
    for (const socket of sockets) socket.destroy();
    expect(memory.growthMb).toBeLessThan(256);
  });
});

describe('a slow peer is let go:', () => {
  const drop = async (listener: string, bytes: string): Promise<string> => {
    const wire = await Wire.open(`127.0.0.1:${proxy.port(listener)}`);
    wire.send(bytes);
    const rest = await wire.rest();
    wire.close();
    return rest;
  };

  test.concurrent.each<[string, string, string, RegExp]>([
    ['nothing at all', 'short', '', /^$/],
    ['a request line', 'short', 'GET / HT', /^HTTP\/1\.1 408 /],
    ['a head', 'short', 'GET / HTTP/1.1\r\nHost: a\r\nX-', /^HTTP\/1\.1 408 /],
    ['content', 'short', 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhe', /^HTTP\/1\.1 408 /],
    ['chunks', 'short', 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe', /^HTTP\/1\.1 408 /],
    ['the preface of HTTP/2', 'short', PREFACE.toString('latin1', 0, 20), /^$/],
    ['a TLS handshake', 'tls', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', /^$/],
    ['no TLS handshake', 'tls', '', /^$/],
  ])('%s', async (_name, listener, bytes, answer) => {
    expect(await drop(listener, bytes)).toMatch(answer);
  });

  test.concurrent('a byte now and then is not enough', async () => {
    const wire = await Wire.open(`127.0.0.1:${proxy.port('short')}`);
    const drip = setInterval(() => wire.send('x'), 100);
    wire.send('GET / HTTP/1.1\r\nX-');
    const answer = await wire.rest().finally(() => clearInterval(drip));
    wire.close();
    expect(answer).toMatch(/^HTTP\/1\.1 408 /);
  });

  test.concurrent('a header block, and a connection without streams', async () => {
    const half = await FramePeer.begin(proxy.port('short'));
    await half.send(frame(FrameType.HEADERS, 0, 1, block(GET)));
    const idle = await FramePeer.begin(proxy.port('short'));
    expect(await half.line(/^GOAWAY/)).toContain('ENHANCE_YOUR_CALM header block not whole in time');
    expect(await idle.line(/^GOAWAY 0 /)).toContain('NO_ERROR');
    expect([await half.end(), await idle.end()]).toEqual([true, true]);
    half.close();
    idle.close();
  });

  test.concurrent('content of HTTP/2', async () => {
    const peer = await FramePeer.begin(proxy.port('short'));
    await peer.send(Buffer.concat([headers(1, POST, false), data(1, 'x', false)]));
    expect(await peer.line(/^(?:HEADERS 1 .*:status=408|RST_STREAM 1)/)).not.toBeNull();
    peer.close();
  });
});

test(`${long ? '10,000' : '2,000'} idle connections cost what they cost, and others are served`, async () => {
  const count = long ? 10_000 : 2000;
  const memory = new MemoryMark(proxy.pid);
  const sockets: Socket[] = [];
  const open = async () => {
    while (sockets.length < count) {
      await Promise.all(
        Array.from({ length: 100 }, async () => {
          const socket = connect({ port: proxy.port('plain'), host: '127.0.0.1' });
          sockets.push(socket);
          socket.on('error', () => {});
          await new Promise<void>((resolve) => socket.once('connect', () => resolve()));
        }),
      );
    }
  };
  await servedMeanwhile(open());
  await until('all are with the proxy', () => (readdirSync(`/proc/${proxy.pid}/fd`).length >= count ? true : undefined));
  expect((await ask(address)).status).toBe(200);
  // 16 KB a connection, and what a busy heap keeps.
  expect(memory.growthMb).toBeLessThan((count * 16) / 1024 + 48);
  for (const socket of sockets) socket.destroy();
});

test('all of it was not one mistake of the proxy', () => {
  expect(proxy.log).not.toMatch(/"level":"error"|TypeError|RangeError|"level":50/);
});
