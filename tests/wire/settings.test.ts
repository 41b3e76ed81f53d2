import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { JsonObject } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Flag, FrameType } from '../../packages/proxy/src/http2/frame.ts';
import { block, data, FrameLines, frame, GET, headers, OK, POST, settings, settingsAck, windowUpdate } from '../../packages/proxy/src/http2/testing/frames.ts';
import { clusterJson, listenerJson, routeTo, typed } from '../../packages/proxy/src/testing/messages.ts';
import { ask, TestApplication } from '../../packages/proxy/src/testing/test-proxy.ts';
import { Wire } from '../harness/wire.ts';
import { DataPlane, type Plane, planes } from '../proxy/data-plane.ts';
import { until } from '../xds/envoy.ts';
import { FramePeer } from './frame-peer.ts';

const OPTIONS = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
const REQUEST = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
/** What Envoy does a second later by default. */
const quick: JsonObject = { delayedCloseTimeout: '0.1s' };
const common = (options: JsonObject): JsonObject => ({ ...quick, commonHttpProtocolOptions: options });
const http2 = (options: JsonObject): JsonObject => ({ ...quick, http2ProtocolOptions: options });

const managers: Readonly<Record<string, JsonObject>> = {
  head: { ...quick, requestHeadersTimeout: '0.5s' },
  two: common({ maxRequestsPerConnection: 2 }),
  allow: common({ headersWithUnderscoresAction: 'ALLOW' }),
  drop: common({ headersWithUnderscoresAction: 'DROP_HEADER' }),
  reject: common({ headersWithUnderscoresAction: 'REJECT_REQUEST' }),
  lenient: { ...quick, streamErrorOnInvalidHttpMessage: true },
  strict: { ...quick, streamErrorOnInvalidHttpMessage: false },
  override: { ...quick, streamErrorOnInvalidHttpMessage: true, http2ProtocolOptions: { overrideStreamErrorOnInvalidHttpMessage: false } },
  idle: { ...common({ idleTimeout: '0.5s' }), drainTimeout: '0.2s' },
  age: { ...common({ maxConnectionDuration: '0.5s' }), drainTimeout: '0.2s' },
  windows: http2({ initialStreamWindowSize: 100_000, initialConnectionWindowSize: 200_000, hpackTableSize: 1000, maxConcurrentStreams: 7 }),
  alive: http2({ connectionKeepalive: { interval: '0.3s', timeout: '0.3s', intervalJitter: {} } }),
  empty: http2({ maxConsecutiveInboundFramesWithEmptyPayload: 3 }),
  priority: http2({ maxInboundPriorityFramesPerStream: 5 }),
  updates: http2({ maxInboundWindowUpdateFramesPerDataFrameSent: 1 }),
};

const clusterOptions = (options: JsonObject): JsonObject => ({ typedExtensionProtocolOptions: { [OPTIONS]: typed(OPTIONS, options) } });

/** An HTTP/2 server that answers requests, but not PING. */
class QuietServer {
  readonly lines: string[] = [];
  closed = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor() {
    this.#server = createServer((socket) => this.#accept(socket));
  }

  static async start(): Promise<QuietServer> {
    const server = new QuietServer();
    server.#server.listen(0, '127.0.0.1');
    await once(server.#server, 'listening');
    return server;
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    const reader = new FrameLines(true);
    socket.write(settings());
    socket.on('data', (chunk: Buffer) => {
      for (const line of reader.read(chunk.toString('latin1'))) {
        this.lines.push(line);
        const id = Number(/^HEADERS (\d+)/.exec(line)?.[1]);
        if (/^SETTINGS (?!ack)/.test(line)) socket.write(settingsAck);
        if (id === 0 || Number.isNaN(id)) continue;
        // The smaller table that the client has asked for is confirmed by a size update (RFC 7541 section 4.2).
        const head = frame(FrameType.HEADERS, Flag.END_HEADERS, id, Buffer.concat([Buffer.from([0x20]), block(OK)]));
        socket.write(Buffer.concat([head, data(id, 'ok', true)]));
      }
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      this.closed++;
      this.#sockets.delete(socket);
    });
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

describe.each(planes)('limits and timeouts of connections by their fields, %s:', (plane: Plane) => {
  let proxy: DataPlane;
  let application: TestApplication;
  let quiet: QuietServer;

  beforeAll(async () => {
    application = await TestApplication.start((request, response) => {
      request.resume();
      if (request.url === '/many') for (let i = 0; i < 30; i++) response.setHeader(`x-${i}`, 'y');
      request.on('end', () => response.end('ok'));
    });
    quiet = await QuietServer.start();
    const listeners = Object.entries(managers).map(([name, manager]) => [name, listenerJson(name, { routes: [routeTo('application')], manager })] as const);
    proxy = await DataPlane.start(plane, {
      listeners: {
        ...Object.fromEntries(listeners),
        few: listenerJson('few', { routes: [routeTo('few')] }),
        quiet: listenerJson('quiet', { routes: [routeTo('quiet')] }),
      },
      clusters: {
        application: clusterJson('application', { endpoints: [application.address] }),
        few: clusterJson('few', {
          endpoints: [application.address],
          fields: clusterOptions({ commonHttpProtocolOptions: { maxHeadersCount: 20 }, explicitHttpConfig: { httpProtocolOptions: {} } }),
        }),
        quiet: clusterJson('quiet', {
          endpoints: [quiet.address],
          fields: clusterOptions({
            explicitHttpConfig: {
              http2ProtocolOptions: {
                initialStreamWindowSize: 100_000,
                hpackTableSize: 1000,
                connectionKeepalive: { interval: '0.3s', timeout: '0.3s', intervalJitter: {} },
              },
            },
          }),
        }),
      },
    });
  });

  afterAll(async () => {
    await proxy?.stop();
    await application?.close();
    await quiet?.close();
  });

  const wire = (listener: string) => Wire.open(`127.0.0.1:${proxy.port(listener)}`);
  const peer = (listener: string) => FramePeer.begin(proxy.port(listener));

  test.concurrent('request_headers_timeout', async () => {
    const client = await wire('head');
    client.send('GET / HTTP/1.1\r\nHost: a\r\n');
    expect(await client.rest()).toMatch(/^HTTP\/1\.1 408 /);
    client.close();
  });

  test.concurrent('max_requests_per_connection', async () => {
    const client = await wire('two');
    client.send(REQUEST);
    expect((await client.expect(/\r\n\r\nok/)).input).not.toMatch(/connection: close/i);
    client.send(REQUEST);
    expect(await client.rest()).toMatch(/connection: close/i);
    client.close();
    const over2 = await peer('two');
    await over2.send(headers(1, GET, true));
    await over2.line(/^DATA 1 .*fin/);
    expect(over2.goaway).toBeUndefined();
    await over2.send(headers(3, GET, true));
    await over2.line(/^DATA 3 .*fin/);
    expect(await over2.line(/^GOAWAY/)).toContain('NO_ERROR');
    over2.close();
  });

  test('headers_with_underscores_action', async () => {
    const send = async (listener: string) => {
      const before = application.requests.length;
      const { status } = await ask(`127.0.0.1:${proxy.port(listener)}`, { headers: { x_y: '1', z: '2' } });
      return [status, application.requests.slice(before).map(({ headers: got }) => [got['x_y'], got['z']])];
    };
    expect(await send('allow')).toEqual([200, [['1', '2']]]);
    expect(await send('drop')).toEqual([200, [[undefined, '2']]]);
    expect(await send('reject')).toEqual([400, []]);
    const client = await peer('reject');
    await client.send(headers(1, [...GET, ['x_y', '1']], true));
    expect(await client.line(/^(?:RST_STREAM 1|GOAWAY|HEADERS 1 .*:status=400)/)).not.toBeNull();
    client.close();
  });

  test.concurrent.each([
    ['lenient', true],
    ['strict', false],
    ['override', false],
  ])('stream_error_on_invalid_http_message, %s: the connection stays: %s', async (listener, stays) => {
    const client = await peer(listener);
    await client.send(headers(1, [...GET, ['X', 'upper case']], true));
    if (stays) expect(await client.line(/^RST_STREAM 1/)).toContain('PROTOCOL_ERROR');
    else expect(await client.end()).toBe(true);
    await client.send(headers(3, GET, true));
    expect((await client.line(/^HEADERS 3 .*:status=200/, 2000)) !== null).toBe(stays);
    client.close();
  });

  test.concurrent.each(['idle', 'age'])('%s: GOAWAY twice, and the end after drain_timeout', async (listener) => {
    const client = await peer(listener);
    await client.send(headers(1, GET, true));
    expect(await client.line(/^DATA 1 .*fin/)).not.toBeNull();
    expect(await client.line(/^GOAWAY 2147483647 NO_ERROR/)).not.toBeNull();
    expect(await client.line(/^GOAWAY 1 NO_ERROR/)).not.toBeNull();
    expect(await client.end()).toBe(true);
    client.close();
  });

  test.concurrent('windows, table and streams are in SETTINGS', async () => {
    const client = await peer('windows');
    const line = (await client.line(/^SETTINGS (?!ack)/))!;
    for (const setting of ['0001000003e8', '000300000007', '0004000186a0']) expect(line).toContain(setting);
    expect(await client.line(/^WINDOW_UPDATE 0/)).toBe(`WINDOW_UPDATE 0 ${200_000 - 65_535}`);
    client.close();
  });

  test.concurrent('connection_keepalive', async () => {
    const client = await peer('alive');
    await client.send(headers(1, POST, false));
    const startMs = performance.now();
    expect(await client.line(/^PING (?!.*ack)/)).not.toBeNull();
    expect(await client.end()).toBe(true);
    expect(performance.now() - startMs).toBeGreaterThan(500);
    client.close();
  });

  test.concurrent.each<[string, Buffer, (i: number) => Buffer, number]>([
    ['empty', headers(1, POST, false), () => data(1, '', false), 3],
    ['priority', headers(1, POST, false), () => frame(FrameType.PRIORITY, 0, 3, [0, 0, 0, 0, 1]), 5],
    ['updates', headers(1, POST, false), () => windowUpdate(0, 1), 5],
  ])('too many frames of one kind: %s', async (listener, before, make, fine) => {
    const client = await peer(listener);
    await client.send(Buffer.concat([before, ...Array.from({ length: fine }, (_, i) => make(i)), frame(FrameType.PING, 0, 0, '12345678')]));
    expect(await client.line(/^PING 12345678 ack/)).not.toBeNull();
    await client.send(Buffer.concat(Array.from({ length: 20 }, (_, i) => make(i))));
    expect(await client.end()).toBe(true);
    client.close();
  });

  test.concurrent('upstream: max_headers_count', async () => {
    const address = `127.0.0.1:${proxy.port('few')}`;
    expect((await ask(address)).status).toBe(200);
    expect([502, 503]).toContain((await ask(address, { path: '/many' })).status);
  });

  test.concurrent('upstream: windows and table in SETTINGS, and a server that answers no PING is left', async () => {
    expect((await ask(`127.0.0.1:${proxy.port('quiet')}`)).status).toBe(200);
    const line = quiet.lines.find((text) => /^SETTINGS (?!ack)/.test(text))!;
    for (const setting of ['0001000003e8', '0004000186a0']) expect(line).toContain(setting);
    await until('the connection is left', () => (quiet.closed > 0 ? true : undefined));
    expect(quiet.lines.some((text) => /^PING (?!.*ack)/.test(text))).toBe(true);
  });
});
