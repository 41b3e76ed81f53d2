import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import http2 from 'node:http2';
import net, { type AddressInfo } from 'node:net';
import tls from 'node:tls';
import type { JsonObject } from '@bufbuild/protobuf';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { clusterJson, typed } from '../../packages/proxy/src/testing/messages.ts';
import { TestAuthority } from '../../packages/proxy/src/tls/testing/certificates.ts';
import { freePort } from '../harness/ports.ts';
import { until } from '../xds/envoy.ts';
import { DataPlane, planes } from './data-plane.ts';
import { anyCluster, askCluster } from './endpoints.ts';

const OPTIONS = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
const http1 = (common: JsonObject): JsonObject => ({
  typedExtensionProtocolOptions: { [OPTIONS]: typed(OPTIONS, { commonHttpProtocolOptions: common, explicitHttpConfig: { httpProtocolOptions: {} } }) },
});

/** A server over which a test sees the connections. */
class Backend {
  readonly sockets: net.Socket[] = [];
  readonly waiting: http.ServerResponse[] = [];
  /** Answers are kept until a test gives them. */
  hold = false;
  readonly #server: http.Server;

  private constructor() {
    this.#server = http.createServer((request, response) => {
      if (this.hold) this.waiting.push(response);
      else response.end(String(this.sockets.indexOf(request.socket)));
    });
    this.#server.keepAliveTimeout = 60_000;
    this.#server.on('connection', (socket) => this.sockets.push(socket));
  }

  static async start(host = '127.0.0.1'): Promise<Backend> {
    const backend = new Backend();
    backend.#server.listen(0, host);
    await once(backend.#server, 'listening');
    return backend;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  get open(): number {
    return this.sockets.filter((socket) => !socket.destroyed).length;
  }

  release(): void {
    this.hold = false;
    for (const response of this.waiting.splice(0)) response.end('held');
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

/** Answers HTTP/1.1 after whatever comes before "GET", and keeps that. */
function headSeer(heads: Buffer[]): (socket: net.Socket) => void {
  return (socket) => {
    let seen = Buffer.alloc(0);
    let headed = false;
    socket
      .on('error', () => {})
      .on('data', (chunk: Buffer) => {
        seen = Buffer.concat([seen, chunk]);
        const at = seen.indexOf('GET ');
        if (!headed && at >= 0) {
          headed = true;
          heads.push(seen.subarray(0, at));
        }
        for (let end = seen.indexOf('\r\n\r\n', at); headed && at >= 0 && end >= 0; end = seen.indexOf('\r\n\r\n')) {
          seen = seen.subarray(end + 4);
          socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
        }
      });
  };
}

describe.each(planes)('pools and connections through %s', (plane) => {
  let proxy: DataPlane;
  const closing: (() => void)[] = [];

  beforeAll(async () => {
    proxy = await DataPlane.start(plane, { listeners: { web: anyCluster() } });
  });
  afterEach(() => {
    for (const close of closing.splice(0)) close();
  });
  afterAll(async () => {
    await proxy?.stop();
  });

  async function backend(host?: string): Promise<Backend> {
    const made = await Backend.start(host);
    closing.push(() => made.close());
    return made;
  }

  async function listen(server: net.Server): Promise<string> {
    closing.push(() => server.close());
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return `127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  /** There when a request to it gets an answer of its own. */
  async function cluster(name: string, json: JsonObject): Promise<void> {
    await proxy.apply({ clusters: { [name]: json } });
    await until(`${plane} has the cluster ${name}; refusals: ${proxy.refusals.join('; ')}`, async () =>
      (await proxy.admin('/clusters')).includes(`${name}::`) ? true : undefined,
    );
  }

  test.each([
    ['max_connections and max_pending_requests', { maxConnections: 1, maxPendingRequests: 1 }, 3, 1],
    ['max_requests, among which those that wait are not', { maxConnections: 1, maxPendingRequests: 1, maxRequests: 1 }, 3, 1],
  ])('%s', async (name, thresholds, calls, refused) => {
    const up = await backend();
    up.hold = true;
    const key = name.replaceAll(/\W/g, '-');
    await cluster(key, clusterJson(key, { endpoints: [up.address], fields: { circuitBreakers: { thresholds: [thresholds] } } }));
    const first = askCluster(proxy, key);
    await until('the first is under way', () => (up.waiting.length === 1 ? true : undefined));
    const others = Array.from({ length: calls - 1 }, () => askCluster(proxy, key));
    const early = await Promise.race(others);
    expect(early.status).toBe(503);
    expect(early.body).toContain('overflow');
    up.release();
    const all = await Promise.all([first, ...others]);
    expect(all.filter(({ status }) => status === 503)).toHaveLength(refused);
    expect(up.sockets).toHaveLength(1);
  });

  test('max_requests over HTTP/2', async () => {
    const streams: http2.ServerHttp2Stream[] = [];
    const sessions: http2.ServerHttp2Session[] = [];
    const server = http2.createServer().on('session', (session) => sessions.push(session));
    server.on('stream', (stream: http2.ServerHttp2Stream) => streams.push(stream));
    const address = await listen(server as unknown as net.Server);
    closing.push(() => {
      for (const session of sessions) session.destroy();
    });
    await cluster('h2', clusterJson('h2', { endpoints: [address], http2: true, fields: { circuitBreakers: { thresholds: [{ maxRequests: 2 }] } } }));
    const two = [askCluster(proxy, 'h2'), askCluster(proxy, 'h2')];
    await until('two are under way', () => (streams.length === 2 ? true : undefined));
    expect(await askCluster(proxy, 'h2')).toMatchObject({ status: 503, body: expect.stringContaining('overflow') as string });
    for (const stream of streams) {
      stream.respond({ ':status': 200 });
      stream.end('ok');
    }
    expect((await Promise.all(two)).map(({ status }) => status)).toEqual([200, 200]);
    expect(sessions).toHaveLength(1);
  });

  test('per_host_thresholds: connections of one endpoint', async () => {
    const up = await backend();
    up.hold = true;
    const circuitBreakers = { perHostThresholds: [{ maxConnections: 2 }] };
    await cluster('per-host', clusterJson('per-host', { endpoints: [up.address], fields: { circuitBreakers } }));
    const calls = Array.from({ length: 4 }, () => askCluster(proxy, 'per-host'));
    await until('two are under way', () => (up.waiting.length === 2 ? true : undefined));
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(up.sockets).toHaveLength(2);
    up.release();
    expect((await Promise.all(calls)).map(({ status }) => status)).toEqual([200, 200, 200, 200]);
  });

  test('max_requests_per_connection', async () => {
    const up = await backend();
    await cluster('few', clusterJson('few', { endpoints: [up.address], fields: http1({ maxRequestsPerConnection: 2 }) }));
    const bodies: string[] = [];
    for (let call = 0; call < 6; call++) bodies.push((await askCluster(proxy, 'few')).body);
    expect(bodies).toEqual(['0', '0', '1', '1', '2', '2']);
  });

  test('idle_timeout and max_connection_duration close connections, and no request is lost by it', async () => {
    const idle = await backend();
    const old = await backend();
    await cluster('idle', clusterJson('idle', { endpoints: [idle.address], fields: http1({ idleTimeout: '0.3s' }) }));
    await cluster('old', clusterJson('old', { endpoints: [old.address], fields: http1({ maxConnectionDuration: '0.3s' }) }));
    await askCluster(proxy, 'idle');
    expect(idle.open).toBe(1);
    const endMs = Date.now() + 1_000;
    while (Date.now() < endMs) expect((await askCluster(proxy, 'old')).status).toBe(200);
    expect(old.sockets.length).toBeGreaterThanOrEqual(3);
    await until('the idle one is closed', () => (idle.open === 0 ? true : undefined));
    expect((await askCluster(proxy, 'idle')).status).toBe(200);
  });

  test('upstream_bind_config: the source address; tcp_keepalive', async () => {
    const up = await backend();
    await cluster(
      'bound',
      clusterJson('bound', {
        endpoints: [up.address],
        fields: {
          upstreamBindConfig: { sourceAddress: { address: '127.0.0.77', portValue: 0 } },
          upstreamConnectionOptions: { tcpKeepalive: { keepaliveTime: 33, keepaliveInterval: 7, keepaliveProbes: 2 } },
        },
      }),
    );
    expect((await askCluster(proxy, 'bound')).status).toBe(200);
    const [socket] = up.sockets;
    expect(socket!.remoteAddress).toBe('127.0.0.77');
    // 02: the timer of keep-alive; beside it when it fires, in hundredths of a second.
    const port = socket!.remotePort!.toString(16).toUpperCase().padStart(4, '0');
    const firesAfter = await until(`${plane} has a timer of keep-alive`, () => {
      const lines = readFileSync('/proc/net/tcp', 'latin1').split('\n');
      const line = lines.find((text) => text.includes(` 4D00007F:${port} 0100007F:`)) ?? '';
      const hex = / 02:(\w{8}) /.exec(line)?.[1];
      return hex === undefined ? undefined : Number.parseInt(hex, 16);
    });
    expect(firesAfter).toBeGreaterThan(3_000);
    expect(firesAfter).toBeLessThanOrEqual(3_300);
  });

  test('additional_addresses: the endpoint is reached by the one that answers', async () => {
    const up = await backend('::1');
    const closed = await freePort();
    const address = (host: string, portValue: number): JsonObject => ({ address: { socketAddress: { address: host, portValue } } });
    const endpoint = { ...address('127.0.0.1', closed), additionalAddresses: [address('::1', up.port)] };
    const loadAssignment = { clusterName: 'eyes', endpoints: [{ lbEndpoints: [{ endpoint }] }] };
    await cluster('eyes', { ...clusterJson('eyes', { endpoints: [] }), loadAssignment });
    expect(await askCluster(proxy, 'eyes')).toMatchObject({ status: 200, body: '0' });
    expect(up.sockets).toHaveLength(1);
  });

  test.each([
    ['h2', true],
    ['http/1.1', false],
  ])('auto_config: an upstream whose ALPN is %s', async (chosen, isHttp2) => {
    const authority = new TestAuthority();
    const { chainPem: cert, keyPem: key } = authority.issue({ dns: ['up'] });
    const versions: string[] = [];
    const server = isHttp2
      ? http2.createSecureServer({ cert, key }, (request, response) => {
          versions.push(request.httpVersion);
          response.end('ok');
        })
      : tls.createServer({ cert, key, ALPNProtocols: [chosen] }, headSeer([]));
    const address = await listen(server as net.Server);
    const name = `auto-${chosen.replaceAll(/\W/g, '-')}`;
    await cluster(
      name,
      clusterJson(name, {
        endpoints: [address],
        fields: {
          transportSocket: {
            name: 'tls',
            typedConfig: typed('envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext', {
              commonTlsContext: { validationContext: { trustedCa: { inlineString: authority.pem } } },
            }),
          },
          typedExtensionProtocolOptions: { [OPTIONS]: typed(OPTIONS, { autoConfig: { httpProtocolOptions: {}, http2ProtocolOptions: {} } }) },
        },
      }),
    );
    const answers = await Promise.all(Array.from({ length: 3 }, () => askCluster(proxy, name)));
    expect(answers.map(({ status, body }) => `${status} ${body}`)).toEqual(['200 ok', '200 ok', '200 ok']);
    if (isHttp2) expect(new Set(versions)).toEqual(new Set(['2.0']));
    await proxy.apply({ clusters: { [name]: null } });
  });

  describe.each([
    ['V1', /^PROXY TCP4 127\.0\.0\.1 127\.0\.0\.1 (\d+) (\d+)\r\n$/],
    ['V2', /^\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\0\0\x01\x7f\0\0\x01(....)$/s],
  ])('PROXY protocol %s upstream', (version, pattern) => {
    const wrapped = (inner: JsonObject): JsonObject => ({
      transportSocket: {
        name: 'envoy.transport_sockets.upstream_proxy_protocol',
        typedConfig: typed('envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport', {
          config: { version },
          transportSocket: inner,
        }),
      },
    });
    const RAW: JsonObject = { name: 'raw', typedConfig: typed('envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer') };

    test('tells the upstream of each downstream connection', async () => {
      const heads: Buffer[] = [];
      const address = await listen(net.createServer(headSeer(heads)));
      const name = `told-${version}`;
      await cluster(name, clusterJson(name, { endpoints: [address], fields: wrapped(RAW) }));
      const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
      const asked = async (given: http.Agent | undefined): Promise<number> => {
        const request = http.request({ port: proxy.port('web'), headers: { 'x-cluster': name }, agent: given ?? false });
        request.end();
        const [response] = (await once(request, 'response')) as [http.IncomingMessage];
        response.resume();
        await once(response, 'end');
        return response.statusCode!;
      };
      expect([await asked(agent), await asked(agent), await asked(undefined)]).toEqual([200, 200, 200]);
      agent.destroy();
      // One for the two requests of one client's connection, one for that of the other.
      expect(heads).toHaveLength(2);
      for (const head of heads) expect(head.toString('latin1')).toMatch(pattern);
      expect(new Set(heads.map((head) => head.toString('latin1'))).size).toBe(2);
    });

    test('before TLS', async () => {
      const authority = new TestAuthority();
      const { chainPem: cert, keyPem: key } = authority.issue({ dns: ['up'] });
      const heads: Buffer[] = [];
      const inner = tls.createServer({ cert, key }, headSeer([]));
      const outer = net.createServer((socket) => {
        socket.once('readable', () => {
          const size = version === 'V1' ? (socket.read(107) ?? socket.read()) : socket.read(28);
          const bytes = size as Buffer;
          const end = version === 'V1' ? bytes.indexOf('\r\n') + 2 : 28;
          heads.push(bytes.subarray(0, end));
          if (end < bytes.length) socket.unshift(bytes.subarray(end));
          inner.emit('connection', socket);
        });
      });
      const address = await listen(outer);
      const name = `tls-${version}`;
      const context = { commonTlsContext: { validationContext: { trustedCa: { inlineString: authority.pem } } } };
      const transportSocket = { name: 'tls', typedConfig: typed('envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext', context) };
      await cluster(name, clusterJson(name, { endpoints: [address], fields: wrapped(transportSocket) }));
      expect(await askCluster(proxy, name)).toMatchObject({ status: 200, body: 'ok' });
      expect(heads[0]!.toString('latin1')).toMatch(pattern);
    });
  });
});
