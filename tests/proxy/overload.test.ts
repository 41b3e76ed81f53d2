import { once } from 'node:events';
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import http2 from 'node:http2';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JsonObject } from '@bufbuild/protobuf';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { clusterJson, listenerJson, routeTo, typed } from '../../packages/proxy/src/testing/messages.ts';
import { ask, TestApplication } from '../../packages/proxy/src/testing/test-proxy.ts';
import { until } from '../xds/envoy.ts';
import { DataPlane, planes } from './data-plane.ts';

const RESOURCE = 'envoy.resource_monitors.injected_resource';
const at = (value: number): JsonObject => ({ triggers: [{ name: RESOURCE, threshold: { value } }] });
const action = (name: string, trigger: JsonObject, fields: JsonObject = {}): JsonObject => ({ name: `envoy.overload_actions.${name}`, ...trigger, ...fields });

/** Every action has a pressure of its own, from which those before it are in motion too. */
const STEPS = { idle: 0.2, keepAlive: 0.4, requests: 0.6, connections: 0.8, stopped: 0.9 } as const;

describe.each(planes)('%s: the overload manager', (plane) => {
  let proxy: DataPlane;
  let application: TestApplication;
  let folder: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'overload-'));
    writeFileSync(join(folder, 'pressure'), '0');
    application = await TestApplication.start();
    const accessLog = [
      {
        name: 'envoy.access_loggers.file',
        typedConfig: typed('envoy.extensions.access_loggers.file.v3.FileAccessLog', {
          path: join(folder, 'access.log'),
          logFormat: { textFormatSource: { inlineString: '%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%\n' } },
        }),
      },
    ];
    const web = (name: string, fields: JsonObject = {}): JsonObject =>
      listenerJson(name, { routes: [routeTo('app')], manager: { accessLog, commonHttpProtocolOptions: { idleTimeout: '60s' }, drainTimeout: '0.1s' }, fields });
    proxy = await DataPlane.start(
      plane,
      {
        listeners: { web: web('web'), exempt: web('exempt', { bypassOverloadManager: true }) },
        clusters: { app: clusterJson('app', { endpoints: [application.address] }) },
      },
      {
        overload_manager: {
          refreshInterval: '0.05s',
          resourceMonitors: [
            {
              name: RESOURCE,
              typedConfig: typed('envoy.extensions.resource_monitors.injected_resource.v3.InjectedResourceConfig', { filename: join(folder, 'pressure') }),
            },
            {
              name: 'envoy.resource_monitors.fixed_heap',
              typedConfig: typed('envoy.extensions.resource_monitors.fixed_heap.v3.FixedHeapConfig', { maxHeapSizeBytes: String(2 ** 40) }),
            },
          ],
          actions: [
            action(
              'reduce_timeouts',
              { triggers: [{ name: RESOURCE, scaled: { scalingThreshold: 0.1, saturationThreshold: STEPS.idle } }] },
              {
                typedConfig: typed('envoy.config.overload.v3.ScaleTimersOverloadActionConfig', {
                  timerScaleFactors: [{ timer: 'HTTP_DOWNSTREAM_CONNECTION_IDLE', minTimeout: '0.1s' }],
                }),
              },
            ),
            action('disable_http_keepalive', at(STEPS.keepAlive)),
            action('stop_accepting_requests', at(STEPS.requests)),
            action('stop_accepting_connections', at(STEPS.stopped)),
            action('reject_incoming_connections', at(STEPS.connections)),
            action('shrink_heap', at(STEPS.connections)),
          ],
        },
      },
    );
  });

  afterAll(async () => {
    await proxy?.stop();
    await application?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  beforeEach(() => pressure(0));

  /** Seen by the proxy. */
  async function pressure(value: number): Promise<void> {
    // Envoy looks when another file takes its place.
    writeFileSync(join(folder, 'next'), String(value));
    renameSync(join(folder, 'next'), join(folder, 'pressure'));
    await until(`the pressure is ${value}`, async () => ((await stat(`overload.${RESOURCE}.pressure`)) === Math.round(value * 100) ? true : undefined));
    await until('the action follows', async () =>
      (await stat('overload.envoy.overload_actions.stop_accepting_requests.active')) === (value >= STEPS.requests ? 1 : 0) ? true : undefined,
    );
  }

  async function stat(name: string): Promise<number | undefined> {
    // On a connection of its own: Envoy's admin interface is under the overload manager too.
    const line = (await ask(`127.0.0.1:${proxy.adminPort}`, { path: `/stats?filter=^${name.replaceAll('.', '\\.')}$` })).body.trim();
    return line === '' ? undefined : Number(line.slice(line.lastIndexOf(':') + 1));
  }

  const web = (): string => `127.0.0.1:${proxy.port('web')}`;

  test('stop_accepting_requests: 503 at once, signed, and the application hears nothing', async () => {
    expect((await ask(web())).status).toBe(200);
    const before = (await stat('http.web.downstream_rq_overload_close')) ?? 0;
    const heard = application.requests.length;
    await pressure(STEPS.requests);
    const { status, headers } = await ask(web());
    expect(status).toBe(503);
    // Envoy sets nothing up for a request that it drops, its signature neither.
    if (plane === 'outrigger') expect(headers['proxy-status']).toMatch(/^test; error=\w+; details="overload; UO"$/);
    expect(application.requests).toHaveLength(heard);
    expect(await stat('http.web.downstream_rq_overload_close')).toBe(before + 1);
    // Envoy has the same line, without a flag, and writes it after 10 s.
    if (plane === 'outrigger')
      await until('it is in the access log', () => (/^503 UO overload$/m.test(readFileSync(join(folder, 'access.log'), 'utf8')) ? true : undefined));
    for (const name of [
      'overload.envoy.overload_actions.stop_accepting_requests.scale_percent',
      'overload.envoy.overload_actions.shrink_heap.shrink_count',
      `overload.${RESOURCE}.failed_updates`,
      `overload.${RESOURCE}.skipped_updates`,
      'overload.envoy.resource_monitors.fixed_heap.pressure',
    ])
      expect([name, await stat(name)]).toEqual([name, name.endsWith('percent') ? 100 : 0]);
    await pressure(0);
    expect((await ask(web())).status).toBe(200);
  });

  test('a gRPC call is answered as gRPC', async () => {
    await pressure(STEPS.requests);
    const session = http2.connect(`http://${web()}`);
    const call = session.request({ ':method': 'POST', ':path': '/s/m', 'content-type': 'application/grpc', te: 'trailers' });
    call.end();
    const [headers] = (await once(call, 'response')) as [http2.IncomingHttpHeaders];
    expect(headers).toMatchObject({ ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '14' });
    session.destroy();
  });

  test('a listener that bypasses it goes on', async () => {
    await pressure(STEPS.connections);
    expect((await ask(`127.0.0.1:${proxy.port('exempt')}`)).status).toBe(200);
  });

  test('disable_http_keepalive: the answer is the last of its connection', async () => {
    const agent = new http.Agent({ keepAlive: true });
    try {
      expect((await ask(web(), { agent })).headers.connection).not.toBe('close');
      await pressure(STEPS.keepAlive);
      const { status, headers } = await ask(web(), { agent });
      expect([status, headers.connection]).toEqual([200, 'close']);
      expect(await stat('http.web.downstream_cx_overload_disable_keepalive')).toBeGreaterThan(0);
    } finally {
      agent.destroy();
    }
  });

  test('reduce_timeouts: an idle connection is closed that had a minute', async () => {
    const socket = net.connect(proxy.port('web'), '127.0.0.1');
    socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await once(socket, 'data');
    await pressure(STEPS.idle);
    socket.resume();
    await once(socket, 'end');
    socket.destroy();
  });

  test('stop_accepting_connections: they wait until the pressure is gone', async () => {
    await pressure(STEPS.stopped);
    let text = '';
    const caller = async (): Promise<net.Socket> => {
      const socket = net.connect(proxy.port('web'), '127.0.0.1');
      await once(socket, 'connect');
      socket.on('error', () => {});
      socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
      return socket.setEncoding('latin1').on('data', (chunk: string) => {
        text += chunk;
      });
    };
    let socket = await caller();
    // Others are served meanwhile.
    expect((await ask(`127.0.0.1:${proxy.port('exempt')}`)).status).toBe(200);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(text).toBe('');
    await pressure(0);
    await until('it has its answer', async () => {
      // One that Envoy accepts while its idle timeouts are still those of pressure is closed by them.
      if (socket.destroyed) socket = await caller();
      return text.startsWith('HTTP/1.1 200') ? true : undefined;
    });
    socket.destroy();
  });

  test('reject_incoming_connections: closed as they come', async () => {
    await pressure(STEPS.connections);
    const before = (await stat(`listener.127.0.0.1_${proxy.port('web')}.downstream_cx_overload_reject`)) ?? 0;
    const socket = net.connect(proxy.port('web'), '127.0.0.1');
    socket.on('error', () => {});
    socket.resume();
    await once(socket, 'close');
    await until('it is counted', async () =>
      ((await stat(`listener.127.0.0.1_${proxy.port('web')}.downstream_cx_overload_reject`)) ?? 0) > before ? true : undefined,
    );
  });
});

describe.each(planes)('%s: global_downstream_max_connections', (plane) => {
  test('one more than there may be is closed as it comes, but for listeners that do not count', async () => {
    const application = await TestApplication.start();
    const proxy = await DataPlane.start(
      plane,
      {
        listeners: {
          web: listenerJson('web', { routes: [routeTo('app')] }),
          free: listenerJson('free', { routes: [routeTo('app')], fields: { ignoreGlobalConnLimit: true } }),
        },
        clusters: { app: clusterJson('app', { endpoints: [application.address] }) },
      },
      {
        overload_manager: {
          resourceMonitors: [
            {
              name: 'envoy.resource_monitors.global_downstream_max_connections',
              typedConfig: typed('envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig', {
                maxActiveDownstreamConnections: '2',
              }),
            },
          ],
        },
      },
    );
    const sockets: net.Socket[] = [];
    try {
      for (let i = 0; i < 2; i++) {
        const socket = net.connect(proxy.port('web'), '127.0.0.1');
        sockets.push(socket);
        socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
        await once(socket, 'data');
      }
      const third = net.connect(proxy.port('web'), '127.0.0.1').on('error', () => {});
      third.resume();
      await once(third, 'close');
      expect((await ask(`127.0.0.1:${proxy.port('free')}`)).status).toBe(200);
      expect(await proxy.admin(`/stats?filter=^listener.127.0.0.1_${proxy.port('web')}.downstream_global_cx_overflow$`)).toMatch(/: 1\s*$/);
      sockets.pop()!.destroy();
      await until('there is room again', () =>
        ask(`127.0.0.1:${proxy.port('web')}`).then(
          ({ status }) => (status === 200 ? true : undefined),
          () => undefined,
        ),
      );
    } finally {
      for (const socket of sockets) socket.destroy();
      await proxy.stop();
      await application.close();
    }
  });
});

// Envoy of the same configuration keeps all of the answers.
describe('peers that do not read', () => {
  const CONNECTIONS = 20;
  const STREAMS = 5;
  const BODY_BYTES = 4 * 1024 * 1024;
  /** All of it together would be 400 MiB; what the connections may keep is far below this. */
  const MOST_BYTES = 80 * 1024 * 1024;
  let proxy: DataPlane;
  let application: TestApplication;
  const clients: { destroy(): void }[] = [];

  beforeAll(async () => {
    application = await TestApplication.start((request, response) => {
      // It never reads what is posted.
      if (request.method === 'POST') return;
      response.end(Buffer.alloc(BODY_BYTES, 'x'));
    });
    const limits: JsonObject = { perConnectionBufferLimitBytes: 65_536 };
    proxy = await DataPlane.start('outrigger', {
      listeners: { web: listenerJson('web', { routes: [routeTo('app')], fields: limits }) },
      clusters: {
        app: clusterJson('app', { endpoints: [application.address], fields: { ...limits, circuitBreakers: { thresholds: [{ maxConnections: 1000 }] } } }),
      },
    });
  });

  afterAll(async () => {
    for (const client of clients) client.destroy();
    await proxy?.stop();
    await application?.close();
  });

  const residentBytes = (): number => Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${proxy.pid}/status`, 'utf8'))![1]) * 1024;

  /** Once nothing more comes in. */
  async function settled(): Promise<number> {
    let last = -1;
    return await until('its memory stays as it is', async () => {
      const before = residentBytes();
      await new Promise((resolve) => setTimeout(resolve, 300));
      const now = residentBytes();
      const still = Math.abs(now - before) < 1024 * 1024 && Math.abs(now - last) < 2 * 1024 * 1024;
      last = now;
      return still ? now : undefined;
    });
  }

  function session(): http2.ClientHttp2Session {
    const made = http2.connect(`http://127.0.0.1:${proxy.port('web')}`, { settings: { initialWindowSize: 65_535 } });
    made.on('error', () => {});
    clients.push(made);
    return made;
  }

  test('slow readers: answers wait upstream, not in the proxy', async () => {
    const before = residentBytes();
    for (let i = 0; i < CONNECTIONS; i++) {
      const socket = net.connect(proxy.port('web'), '127.0.0.1');
      clients.push(socket);
      socket.on('error', () => {});
      socket.pause();
      socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
      const h2 = session();
      for (let stream = 0; stream < STREAMS; stream++) h2.request({ ':path': '/' }).on('error', () => {});
    }
    await until('all have been asked', () => (application.requests.length >= CONNECTIONS * (STREAMS + 1) ? true : undefined));
    const grown = (await settled()) - before;
    expect(grown).toBeLessThan(MOST_BYTES);
    expect((await ask(`127.0.0.1:${proxy.port('web')}`)).status).toBe(200);
  }, 60_000);

  test('slow writers of the other side: requests wait downstream, not in the proxy', async () => {
    const before = residentBytes();
    const heard = application.requests.length;
    const body = Buffer.alloc(BODY_BYTES);
    for (let i = 0; i < CONNECTIONS; i++) {
      const h2 = session();
      for (let stream = 0; stream < STREAMS; stream++) {
        const call = h2.request({ ':method': 'POST', ':path': '/' });
        call.on('error', () => {});
        call.write(body);
      }
    }
    await until('all have come', () => (application.requests.length >= heard + CONNECTIONS * STREAMS ? true : undefined));
    const grown = (await settled()) - before;
    expect(grown).toBeLessThan(MOST_BYTES);
    expect((await ask(`127.0.0.1:${proxy.port('web')}`)).status).toBe(200);
  }, 60_000);
});

test('outrigger: reset_high_memory_stream ends the call and the TCP connection that hold most, and no other', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'overload-'));
  const file = join(folder, 'pressure');
  writeFileSync(file, '0');
  // It reads nothing of what is posted.
  const application = await TestApplication.start((request, response) => {
    if (request.method !== 'POST') response.end('ok');
  });
  const deafened: net.Socket[] = [];
  const deaf = net.createServer({ pauseOnConnect: true }, (socket) => deafened.push(socket.on('error', () => {}))).listen(0, '127.0.0.1');
  await once(deaf, 'listening');
  const toDeaf = typed('envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', { statPrefix: 'tcp', cluster: 'deaf' });
  const tcp = { filterChains: [{ filters: [{ name: 'tcp', typedConfig: toDeaf }] }] };
  const proxy = await DataPlane.start(
    'outrigger',
    {
      listeners: { web: listenerJson('web', { routes: [routeTo('app')] }), tcp },
      clusters: {
        app: clusterJson('app', { endpoints: [application.address] }),
        deaf: clusterJson('deaf', { endpoints: [`127.0.0.1:${(deaf.address() as net.AddressInfo).port}`] }),
      },
    },
    {
      overload_manager: {
        refreshInterval: '0.05s',
        bufferFactoryConfig: { minimumAccountToTrackPowerOfTwo: 14 },
        resourceMonitors: [
          { name: RESOURCE, typedConfig: typed('envoy.extensions.resource_monitors.injected_resource.v3.InjectedResourceConfig', { filename: file }) },
        ],
        actions: [action('reset_high_memory_stream', at(0.5))],
      },
    },
  );
  const session = http2.connect(`http://127.0.0.1:${proxy.port('web')}`).on('error', () => {});
  const large = session.request({ ':method': 'POST', ':path': '/' }).on('error', () => {});
  const small = session.request({ ':method': 'POST', ':path': '/' }).on('error', () => {});
  const socket = net.connect(proxy.port('tcp'), '127.0.0.1').on('error', () => {});
  try {
    // Each with an error, which `once` of node:events would throw.
    const ends = Promise.all([large, socket].map((it) => new Promise((resolve) => it.once('close', resolve))));
    large.write(Buffer.alloc(16 * 1024 * 1024));
    socket.write(Buffer.alloc(16 * 1024 * 1024));
    small.write('small');
    await until('both are on their way', () => (application.requests.length === 2 && deafened.length === 1 ? true : undefined));
    writeFileSync(file, '1');
    await ends;
    expect(small.destroyed).toBe(false);
    expect((await ask(`127.0.0.1:${proxy.port('web')}`)).status).toBe(200);
  } finally {
    session.destroy();
    socket.destroy();
    await proxy.stop();
    for (const accepted of deafened) accepted.destroy();
    deaf.close();
    await application.close();
    rmSync(folder, { recursive: true });
  }
});
