import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import type { JsonObject } from '@bufbuild/protobuf';
import { parsePrometheus } from '@outrigger/telemetry';
import { TypeUrl } from '@outrigger/xds';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { assignmentMessage, cluster, listener, routeConfiguration, routesJson, routeTo, typed } from '../testing/messages.ts';
import { TestControlPlane } from '../testing/test-control-plane.ts';
import { ask, bootstrapJson, TestApplication, TestProxy } from '../testing/test-proxy.ts';
import { TestAuthority } from '../tls/testing/certificates.ts';

const SERVER = 'spiffe://cluster.local/ns/default/sa/web';
const authority = new TestAuthority();
const served = authority.issue({ uri: [SERVER] });
const inline = authority.issue({ uri: [SERVER] });

let plane: TestControlPlane;
let application: TestApplication;
let made: TestProxy;

/** A proxy with everything that a page tells of: routes over RDS, a breaker that is open, secrets, a key in a cluster. */
beforeAll(async () => {
  plane = await TestControlPlane.start();
  application = await TestApplication.start((_request, response) => response.writeHead(500).end('broken'));
  const loopback = { address: { socketAddress: { address: '127.0.0.1', portValue: 0 } } };
  plane.listener(
    listener('in', {
      manager: { rds: { routeConfigName: 'r', configSource: { ads: {} } }, proxy100Continue: true },
      fields: { ...loopback, trafficDirection: 'OUTBOUND' },
    }),
  );
  const sds = (name: string): JsonObject => ({ name, sdsConfig: { ads: {} } });
  plane.listener(
    listener('secure', {
      routes: [],
      chain: {
        transportSocket: {
          name: 'tls',
          typedConfig: typed('envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext', {
            commonTlsContext: { tlsCertificateSdsSecretConfigs: [sds('default')], validationContextSdsSecretConfig: sds('ROOTCA') },
          }),
        },
      },
      fields: loopback,
    }),
  );
  plane.secret('default', { tlsCertificate: { certificateChain: { inlineString: served.chainPem }, privateKey: { inlineString: served.keyPem } } });
  plane.secret('ROOTCA', { validationContext: { trustedCa: { inlineString: authority.pem } } });
  plane.route(routeConfiguration(routesJson('r', [routeTo('c', { hedgePolicy: { initialRequests: 2 } }, { name: 'all' })])));
  const tlsCertificates = [{ certificateChain: { inlineString: inline.chainPem }, privateKey: { inlineString: inline.keyPem } }];
  plane.cluster(
    cluster('c', {
      fields: {
        outlierDetection: { consecutive5xx: 1, maxEjectionPercent: 100 },
        transportSocketMatches: [
          {
            name: 'tls',
            match: { tlsMode: 'istio' },
            transportSocket: {
              name: 'tls',
              typedConfig: typed('envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext', { commonTlsContext: { tlsCertificates } }),
            },
          },
        ],
        trackClusterStats: {},
      },
    }),
  );
  plane.endpoints(assignmentMessage('c', [{ at: application.address, metadata: { filterMetadata: { istio: { workload: 'pay-v1;default;pay;v1;' } } } }]));
  made = await TestProxy.start(plane, { metricsAddress: '127.0.0.1:0' });
  await made.ask('in');
  await Promise.all([plane.verdict(TypeUrl.listener, 'in'), plane.verdict(TypeUrl.cluster, 'c'), plane.verdict(TypeUrl.route, 'r')]);
});
afterAll(async () => {
  await made.proxy.close();
  await application.close();
  await plane.close();
});

const json = async (path: string): Promise<unknown> => JSON.parse((await made.admin(path)).body);

it('/ready and /server_info say how it is', async () => {
  expect(await made.admin('/ready')).toMatchObject({ status: 200, body: 'LIVE\n' });
  expect(await json('/server_info')).toMatchObject({
    state: 'LIVE',
    node: { id: 'web-1.default', cluster: 'web' },
    outrigger: { control_plane: { connected: true, last_error: '' }, mistakes: 0 },
  });
});

it('/clusters has each endpoint with what happened to it, and what has no effect', async () => {
  const text = (await made.admin('/clusters')).body;
  const at = `c::${application.address}`;
  for (const line of [
    `${at}::rq_total::1`,
    `${at}::rq_error::1`,
    `${at}::rq_active::0`,
    `${at}::cx_total::1`,
    // Its connection went with the ejection.
    `${at}::cx_active::0`,
    `${at}::canary::false`,
    `${at}::health_flags::/failed_outlier_check`,
    `${at}::breaker::open`,
    'c::default_priority::active_requests::0',
    'c::without_effect::track_cluster_stats',
  ])
    expect(text.split('\n')).toContain(line);
  const { cluster_statuses } = (await json('/clusters?format=json')) as {
    cluster_statuses: { name: string; added_via_api: boolean; host_statuses: object[] }[];
  };
  const found = cluster_statuses.find(({ name }) => name === 'c')!;
  expect(found).toMatchObject({ added_via_api: true });
  expect(found).not.toHaveProperty('eds_service_name');
  expect(found.host_statuses).toMatchObject([{ health_status: { eds_health_status: 'UNKNOWN', failed_outlier_check: true } }]);
  expect(cluster_statuses.find(({ name }) => name === 'xds-grpc')).not.toHaveProperty('added_via_api');
});

it('/listeners and /routes have what is in effect, and name what is not', async () => {
  expect((await made.admin('/listeners')).body.split('\n')).toContain(`in::${made.proxy.listenerAddress('in')}`);
  const { listener_statuses } = (await json('/listeners?format=json&detail')) as { listener_statuses: { name: string; without_effect: string[] }[] };
  expect(listener_statuses.find(({ name }) => name === 'in')!.without_effect).toEqual(['filter_chains[0].filters[0].typed_config.proxy_100_continue']);
  expect(await json('/routes')).toMatchObject({
    route_tables: [
      {
        name: 'r',
        virtual_hosts: [{ name: 'all', domains: ['*'], routes: ['all'], clusters: ['c'] }],
        without_effect: ['virtual_hosts[0].routes[0].route.hedge_policy.initial_requests'],
      },
    ],
  });
});

it('/certs has the certificates and never a key', async () => {
  const { body } = await made.admin('/certs');
  const { certificates } = JSON.parse(body) as { certificates: Record<'cert_chain' | 'ca_cert', { path: string; subject_alt_names: object[] }[]>[] };
  expect(certificates.map(({ cert_chain, ca_cert }) => [cert_chain.map(({ path }) => path), ca_cert.map(({ path }) => path)])).toEqual([
    [['default'], []],
    [[], ['ROOTCA']],
  ]);
  expect(certificates[0]!.cert_chain[0]!.subject_alt_names).toEqual([{ uri: SERVER }]);
  expectNoKey(body);
});

it('/config_dump has what came, without the keys in it', async () => {
  const { body } = await made.admin('/config_dump?include_eds');
  for (const [resource, names] of [
    ['dynamic_listeners', ['in', 'secure']],
    ['dynamic_active_clusters', ['c']],
    ['dynamic_endpoint_configs', ['c']],
    ['dynamic_route_configs', ['r']],
  ] as const) {
    const { configs } = (await json(`/config_dump?resource=${resource}`)) as { configs: unknown[] };
    expect([resource, configs.length]).toEqual([resource, names.length]);
    for (const name of names) expect(JSON.stringify(configs)).toContain(`name":"${name}"`);
  }
  expect(body).toContain('[redacted]');
  expect(body).toContain(JSON.stringify(inline.chainPem).slice(1, -1));
  expectNoKey(body);
  expect((await made.admin('/config_dump?resource=nonsense')).status).toBe(404);
  expect((await made.admin('/config_dump?name_regex=(')).status).toBe(400);
});

function expectNoKey(body: string): void {
  for (const { keyPem } of [served, inline]) {
    expect(body).not.toContain('PRIVATE KEY');
    expect(body).not.toContain(keyPem.split('\n')[1]);
  }
}

it('/metrics is on a port of its own, with the labels of Istio and the open breaker', async () => {
  const { body, headers } = await ask(made.proxy.metricsAddress!, { path: '/metrics' });
  expect(headers['content-type']).toContain('text/plain; version=0.0.4');
  const parsed = parsePrometheus(body);
  if (!parsed.ok) throw new Error('not readable');
  expect(body).toMatch(/^outrigger_endpoint_breaker\{cluster="c",endpoint="127\.0\.0\.1:\d+"\} 2$/m);
  const line = body.split('\n').find((one) => one.startsWith('istio_requests_total{'))!;
  for (const label of [
    'reporter="source"',
    'source_workload="web"',
    'destination_workload="pay-v1"',
    'destination_version="v1"',
    'destination_service_name="pay"',
    'response_code="500"',
    'request_protocol="http"',
    'connection_security_policy="none"',
  ])
    expect(line).toContain(label);
  expect((await ask(made.proxy.metricsAddress!, { path: '/config_dump' })).status).toBe(404);
  expect((await made.admin('/stats/prometheus')).body).toContain('istio_requests_total');
});

describe('the interface', () => {
  it('is asked by its address, not by a name that somebody may have pointed here', async () => {
    for (const host of ['localhost', 'localhost:9901', '127.0.0.1:1', '[::1]:1'])
      expect([host, (await made.admin('/ready', { headers: { host } })).status]).toEqual([host, 200]);
    for (const host of ['evil.example', 'localhost.evil.example', '127.0.0.1.nip.io', 'x:1'])
      expect([host, (await made.admin('/config_dump', { headers: { host } })).status]).toEqual([host, 403]);
    expect((await ask(made.proxy.metricsAddress!, { path: '/metrics', headers: { host: 'evil.example' } })).status).toBe(403);
  });

  it('does nothing by GET, and lists its pages', async () => {
    expect((await made.admin('/clusters', { method: 'POST', body: 'x' })).status).toBe(405);
    expect((await made.admin('/quitquitquit')).status).toBe(405);
    expect((await made.admin('/')).body).toContain('/config_dump: the configuration as it came');
    expect((await made.admin('/nothing')).status).toBe(404);
    for (const path of ['//', '/%', '/__proto__', '/constructor', 'http://x/ready']) expect((await made.admin(path)).status).toBeGreaterThanOrEqual(200);
  });

  it('goes on after garbage', async () => {
    const [host, port] = made.proxy.adminAddress!.split(':');
    for (const bytes of ['\x00\x01\x02\r\n\r\n', `GET / HTTP/1.1\r\n${'x'.repeat(20_000)}`]) {
      const socket = net.connect(Number(port), host);
      socket.on('error', () => {});
      socket.end(bytes);
      socket.resume();
      await once(socket, 'close');
    }
    expect((await made.admin('/ready')).status).toBe(200);
  });

  it('says why it cannot listen', async () => {
    const blocker = http.createServer().listen(0, '127.0.0.1');
    await once(blocker, 'listening');
    const { port } = blocker.address() as net.AddressInfo;
    await expect(TestProxy.start(plane, { metricsAddress: `127.0.0.1:${port}` })).rejects.toThrow(
      /the metrics page cannot listen on .*: the address is in use/,
    );
    await expect(TestProxy.start(plane, { metricsAddress: 'nonsense' })).rejects.toThrow('"nonsense" is no IP:PORT for the metrics page');
    blocker.close();
  });
});

it('/config_dump has what came over xDS where nothing is kept on disk too', async () => {
  const bare = await TestProxy.make(bootstrapJson(plane));
  await bare.proxy.start();
  try {
    const { configs } = JSON.parse((await bare.admin('/config_dump?resource=dynamic_listeners&mask=name')).body) as { configs: { name: string }[] };
    expect(configs.map(({ name }) => name).sort()).toEqual(['in', 'secure']);
  } finally {
    await bare.proxy.close();
  }
});
