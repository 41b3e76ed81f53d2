import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromBinary } from '@bufbuild/protobuf';
import { createGrpcServer, createRelay, type GrpcServer, type Relay, type StreamMethod, TypeUrl } from '@outrigger/xds';
import { StreamAccessLogsMessageSchema } from '@outrigger/xds/protos/envoy/service/accesslog/v3/als';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { peer } from '../harness/peers.ts';
import { freePort } from '../harness/ports.ts';
import { bootstrap } from './bootstrap.ts';
import { type EnvoyProcess, startEnvoy, until } from './envoy.ts';
import { cluster, endpoints, listener, routeConfiguration } from './resources.ts';
import { ControlPlane, get, startBackend } from './world.ts';

const binary = peer('envoy');

const ACCESS_LOG = {
  name: 'envoy.access_loggers.http_grpc',
  typed_config: {
    '@type': 'type.googleapis.com/envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig',
    common_config: {
      log_name: 'outrigger',
      transport_api_version: 'V3',
      grpc_service: { envoy_grpc: { cluster_name: 'xds-grpc' } },
      buffer_flush_interval: '0.05s',
    },
  },
};

describe.skipIf(binary === undefined).each(['DELTA_GRPC', 'GRPC'] as const)('an Envoy behind the relay, %s', (apiType) => {
  let folder: string;
  let controlPlane: ControlPlane;
  let relay: Relay;
  let relayServer: GrpcServer;
  let envoy: EnvoyProcess | undefined;
  let port: number;
  let one: Awaited<ReturnType<typeof startBackend>>;
  let two: Awaited<ReturnType<typeof startBackend>>;
  const requests: string[] = [];

  const startRelay = async () => {
    relay = createRelay({
      upstream: { host: '127.0.0.1', port: controlPlane.port },
      cacheFolder: join(folder, 'cache'),
      backoff: { initialMs: 20, maxMs: 100 },
    });
    relayServer = await createGrpcServer({ listen: { socketPath: join(folder, 'ads.sock') }, methods: relay.methods });
  };
  const stopRelay = async () => {
    relay.close();
    await relayServer.close();
  };
  const start = async (name: string) => {
    envoy = await startEnvoy(binary!, folder, name, bootstrap(apiType, { path: join(folder, 'ads.sock') }));
  };
  const serves = (answer: string, timeoutMs?: number) =>
    until(`an answer of ${answer}`, async () => ((await get(port)) === answer ? true : undefined), timeoutMs);

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'relay-'));
    requests.length = 0;
    one = await startBackend('one');
    two = await startBackend('two');
    port = await freePort();
    const accessLogs: StreamMethod = (call) => ({
      onMessage(bytes) {
        const { identifier, logEntries } = fromBinary(StreamAccessLogsMessageSchema, bytes);
        if (logEntries.case === 'httpLogs')
          for (const entry of logEntries.value.logEntry) requests.push(`${identifier?.node?.id ?? ''} ${entry.response?.responseCode}`);
      },
      onFinish: () => call.end(),
      onEnd() {},
    });
    controlPlane = new ControlPlane(
      { listen: { host: '127.0.0.1', port: 0 } },
      new Map([['/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs', accessLogs]]),
    );
    await controlPlane.start();
    const { source } = controlPlane;
    source.set(TypeUrl.cluster, cluster('one'));
    source.set(TypeUrl.endpoint, endpoints('one', one.port));
    source.set(TypeUrl.listener, listener('main', port, 'r', { accessLog: ACCESS_LOG }));
    source.set(TypeUrl.route, routeConfiguration('r', 'one'));
    await startRelay();
    await start('first');
    await serves('one');
  });

  afterEach(async () => {
    await envoy?.kill();
    await stopRelay();
    await controlPlane.kill();
    one.close();
    two.close();
    rmSync(folder, { recursive: true });
  });

  test('is served under its own node; changes and its words of refusal pass through', async () => {
    const { source, routes } = controlPlane;
    expect(routes.streams()).toMatchObject([{ protocol: 'delta', node: { id: 'order-1.default', userAgentName: 'envoy' } }]);
    source.set(TypeUrl.endpoint, endpoints('one', two.port));
    await serves('two');
    source.set(TypeUrl.cluster, cluster('one', { lb_policy: 'RING_HASH', ring_hash_lb_config: { minimum_ring_size: 10, maximum_ring_size: 1 } }));
    expect(await source.until((event) => event.kind === 'nacked')).toMatchObject({ typeUrl: TypeUrl.cluster, message: expect.stringMatching(/ring/i) });
    expect(await get(port)).toBe('two');
  });

  test('with the control plane dead, an Envoy that was killed starts again and serves; so it does with the relay restarted too', async () => {
    const { source } = controlPlane;
    // Everything is acknowledged, so everything is in the cache.
    await until('all acknowledged', () =>
      controlPlane.routes.streams()[0]?.types.length === 4 && controlPlane.routes.streams()[0]!.types.every(({ sync }) => sync === 'synced') ? true : undefined,
    );
    await controlPlane.kill();
    await envoy!.kill();
    await start('second');
    await serves('one');
    await envoy!.kill();
    await stopRelay();
    await startRelay();
    await start('third');
    await serves('one');
    // Whoever has the control plane's port meanwhile is found not to be one.
    await until('its control plane is said to be away', () => {
      const [upstream] = relay.status().upstreams;
      expect(upstream?.nodeId).toBe('order-1.default');
      return upstream?.connected === false ? true : undefined;
    });
    source.set(TypeUrl.endpoint, endpoints('one', two.port));
    await controlPlane.start();
    await serves('two');
  });

  test('its access log reaches the control plane', async () => {
    await until('an access log entry', () => (requests.length > 0 ? true : undefined));
    expect(requests[0]).toBe('order-1.default 200');
    expect(relay.status().accessLog.droppedMessages).toBe(0);
  });
});
