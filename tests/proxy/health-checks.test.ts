import { once } from 'node:events';
import http2 from 'node:http2';
import net, { type AddressInfo } from 'node:net';
import tls from 'node:tls';
import { isDeepStrictEqual } from 'node:util';
import type { JsonObject } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { clusterJson, typed } from '../../packages/proxy/src/testing/messages.ts';
import { TestApplication } from '../../packages/proxy/src/testing/test-proxy.ts';
import { TestAuthority } from '../../packages/proxy/src/tls/testing/certificates.ts';
import { until } from '../xds/envoy.ts';
import { DataPlane, planes } from './data-plane.ts';
import { anyCluster, askCluster, hostField, spread } from './endpoints.ts';

const check = (kind: JsonObject, fields: JsonObject = {}): JsonObject => ({
  healthChecks: [{ timeout: '0.5s', interval: '0.1s', noTrafficInterval: '0.1s', unhealthyThreshold: 2, healthyThreshold: 2, ...kind, ...fields }],
});
const HTTP: JsonObject = { httpHealthCheck: { path: '/healthz' } };

/** An application whose health a test sets. */
class Patient {
  readonly name: string;
  status = 200;
  callHeaders: Record<string, string> = {};
  checks = 0;
  last: { method: string; headers: Record<string, unknown> } | undefined;
  #application!: TestApplication;

  private constructor(name: string) {
    this.name = name;
  }

  static async start(name: string): Promise<Patient> {
    const patient = new Patient(name);
    patient.#application = await TestApplication.start((request, response) => {
      if (request.url === '/healthz') {
        patient.checks++;
        patient.last = { method: request.method!, headers: request.headers };
        response.writeHead(patient.status).end();
      } else response.writeHead(200, patient.callHeaders).end(name);
    });
    return patient;
  }

  get address(): string {
    return this.#application.address;
  }

  close(): Promise<void> {
    return this.#application.close();
  }
}

async function listen(server: net.Server): Promise<string> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** grpc.health.v1.Health.Check. */
async function grpcHealth(): Promise<{ address: string; status: number; asked: string[]; close(): void }> {
  const server = http2.createServer();
  const sessions = new Set<http2.ServerHttp2Session>();
  const health = { address: '', status: 1, asked: [] as string[], close: () => {} };
  server.on('session', (session) => sessions.add(session));
  server.on('stream', async (stream: http2.ServerHttp2Stream, headers) => {
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    health.asked.push(`${headers[':method']} ${headers[':path']} ${headers[':authority']} ${headers['content-type']} ${Buffer.concat(chunks).toString('hex')}`);
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.end(Buffer.from([0, 0, 0, 0, 2, 8, health.status]));
  });
  health.address = await listen(server as unknown as net.Server);
  health.close = () => {
    for (const session of sessions) session.destroy();
    server.close();
  };
  return health;
}

describe.each(planes)('active health checks through %s', (plane) => {
  let proxy: DataPlane;
  let a: Patient;
  let b: Patient;

  beforeAll(async () => {
    a = await Patient.start('a');
    b = await Patient.start('b');
    proxy = await DataPlane.start(plane, {
      listeners: { web: anyCluster() },
      clusters: {
        http: clusterJson('http', { endpoints: [a.address, b.address], fields: check(HTTP) }),
        said: clusterJson('said', { endpoints: [a.address, b.address], fields: check(HTTP, { interval: '2s' }) }),
      },
    });
  });

  afterAll(async () => {
    await proxy?.stop();
    await a.close();
    await b.close();
  });

  const flags = (cluster: string, given: { readonly address: string }) => async (): Promise<string | undefined> =>
    (await hostField(proxy, cluster, 'health_flags'))[given.address];
  const becomes = (cluster: string, given: { readonly address: string }, wanted: string | undefined) =>
    until(`${plane}: ${given.address} of ${cluster} is ${wanted}`, async () => ((await flags(cluster, given)()) === wanted ? true : undefined));
  /** Envoy's workers learn of a change a moment after its admin interface does. */
  const spreads = (cluster: string, wanted: Record<string, number>) =>
    until(`${plane}: the requests to ${cluster} spread as ${JSON.stringify(wanted)}`, async () => {
      const calls = Object.values(wanted).reduce((sum, count) => sum + count, 0);
      return isDeepStrictEqual(await spread(proxy, cluster, calls), wanted) ? true : undefined;
    });

  test('HTTP: an endpoint whose checks fail gets no request, and gets them again when they pass', async () => {
    await becomes('http', a, 'healthy');
    await until('a check of this cluster', () => (a.last?.headers['host'] === 'http' ? true : undefined));
    expect(a.last).toMatchObject({ method: 'GET', headers: { 'user-agent': 'Envoy/HC' } });
    await spreads('http', { a: 5, b: 5 });
    a.status = 503;
    await becomes('http', a, '/failed_active_hc');
    await spreads('http', { b: 10 });
    b.status = 503;
    await becomes('http', b, '/failed_active_hc');
    const refused = await until('no endpoint is asked', async () => {
      const answer = await askCluster(proxy, 'http');
      return answer.status === 200 ? undefined : answer;
    });
    expect(refused).toMatchObject({ status: 503, body: 'no healthy upstream' });
    a.status = b.status = 200;
    await becomes('http', a, 'healthy');
    await becomes('http', b, 'healthy');
    await spreads('http', { a: 5, b: 5 });
  });

  test('an ordinary answer with x-envoy-immediate-health-check-fail takes the endpoint out at once', async () => {
    await becomes('said', a, 'healthy');
    a.callHeaders = { 'x-envoy-immediate-health-check-fail': 'true' };
    await until('a has been asked', async () => ((await askCluster(proxy, 'said')).body === 'a' ? true : undefined));
    a.callHeaders = {};
    await becomes('said', a, '/failed_active_hc/excluded_via_immediate_hc_fail');
    await spreads('said', { b: 6 });
    await becomes('said', a, 'healthy');
  });

  test('TCP: what is sent and what must come back; a connection is enough where nothing must', async () => {
    let answer = 'PONG';
    const heard: string[] = [];
    const sockets = new Set<net.Socket>();
    const server = net.createServer((socket) => {
      sockets.add(socket);
      socket
        .on('error', () => {})
        .on('data', (data) => {
          heard.push(data.toString());
          socket.write(`<${answer}>`);
        });
    });
    const address = await listen(server);
    const hex = (text: string): JsonObject => ({ text: Buffer.from(text).toString('hex') });
    await proxy.apply({
      clusters: {
        tcp: clusterJson('tcp', { endpoints: [address], fields: check({ tcpHealthCheck: { send: hex('PING'), receive: [hex('PO'), hex('NG')] } }) }),
        open: clusterJson('open', { endpoints: [address], fields: check({ tcpHealthCheck: {} }) }),
      },
    });
    await becomes('tcp', { address }, 'healthy');
    await becomes('open', { address }, 'healthy');
    expect(heard[0]).toBe('PING');
    answer = 'WRONG';
    await becomes('tcp', { address }, '/failed_active_hc/active_hc_timeout');
    answer = 'PONG';
    await becomes('tcp', { address }, 'healthy');
    server.close();
    for (const socket of sockets) socket.destroy();
    await becomes('open', { address }, '/failed_active_hc');
    await proxy.apply({ clusters: { tcp: null, open: null } });
  });

  test('gRPC: grpc.health.v1 decides', async () => {
    const health = await grpcHealth();
    const fields = {
      ...check({ grpcHealthCheck: { serviceName: 'pay', authority: 'pay.example' } }),
      typedExtensionProtocolOptions: clusterJson('x', { endpoints: [], http2: true })['typedExtensionProtocolOptions']!,
    };
    await proxy.apply({ clusters: { grpc: clusterJson('grpc', { endpoints: [health.address], fields }) } });
    await becomes('grpc', health, 'healthy');
    expect(health.asked[0]).toBe('POST /grpc.health.v1.Health/Check pay.example application/grpc 00000000050a03706179');
    health.status = 2;
    await becomes('grpc', health, '/failed_active_hc');
    health.status = 1;
    await becomes('grpc', health, 'healthy');
    await proxy.apply({ clusters: { grpc: null } });
    health.close();
  });

  test('over the cluster’s mTLS', async () => {
    const authority = new TestAuthority();
    const server = authority.issue({ uri: ['spiffe://x/server'] });
    const ours = authority.issue({ uri: ['spiffe://x/proxy'] });
    const peers: string[] = [];
    const listener = tls.createServer(
      { cert: server.chainPem, key: server.keyPem, ca: authority.pem, requestCert: true, rejectUnauthorized: true },
      (socket) => {
        peers.push(String(socket.getPeerCertificate().subjectaltname));
        socket.on('error', () => {}).on('data', () => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'));
      },
    );
    const address = await listen(listener);
    const transportSocket = {
      name: 'tls',
      typedConfig: typed('envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext', {
        commonTlsContext: {
          tlsCertificates: [{ certificateChain: { inlineString: ours.chainPem }, privateKey: { inlineString: ours.keyPem } }],
          validationContext: {
            trustedCa: { inlineString: authority.pem },
            matchTypedSubjectAltNames: [{ sanType: 'URI', matcher: { exact: 'spiffe://x/server' } }],
          },
        },
      }),
    };
    await proxy.apply({
      clusters: { mtls: clusterJson('mtls', { endpoints: [address], fields: { ...check(HTTP, { reuseConnection: false }), transportSocket } }) },
    });
    await becomes('mtls', { address }, 'healthy');
    expect(peers[0]).toBe('URI:spiffe://x/proxy');
    await proxy.apply({ clusters: { mtls: null } });
    listener.close();
  });

  test('an endpoint that EDS drops stays while its checks pass, and goes when they fail', async () => {
    const at = ({ address }: Patient): JsonObject => ({
      endpoint: { address: { socketAddress: { address: '127.0.0.1', portValue: Number(address.split(':')[1]) } } },
    });
    const loads = (...patients: Patient[]): JsonObject => ({ endpoints: [{ lbEndpoints: patients.map(at) }] });
    await proxy.apply({ endpoints: { eds: loads(a, b) }, clusters: { eds: clusterJson('eds', { fields: check(HTTP) }) } });
    await becomes('eds', b, 'healthy');
    await becomes('eds', a, 'healthy');
    await proxy.apply({ endpoints: { eds: loads(b) } });
    await becomes('eds', a, '/pending_dynamic_removal');
    await spreads('eds', { a: 5, b: 5 });
    a.status = 500;
    await becomes('eds', a, undefined);
    a.status = 200;
    await spreads('eds', { b: 4 });
    await proxy.apply({ clusters: { eds: null } });
  });

  test.each([true, false])('TCP connections to an endpoint that fails are closed, if the cluster says so: %s', async (closes) => {
    const name = `close-${closes}`;
    const fields = { ...check(HTTP), closeConnectionsOnHostHealthFailure: closes };
    const tcp = typed('envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', { statPrefix: name, cluster: name });
    await proxy.apply({
      clusters: { [name]: clusterJson(name, { endpoints: [b.address], fields }) },
      listeners: { [name]: { name, filterChains: [{ filters: [{ name: 'tcp', typedConfig: tcp }] }] } },
    });
    await becomes(name, b, 'healthy');
    await proxy.listening(name);
    const socket = net.connect(proxy.port(name), '127.0.0.1').on('error', () => {});
    let closed = false;
    socket.once('close', () => {
      closed = true;
    });
    socket.resume();
    await until('the connection is carried', async () => ((await hostField(proxy, name, 'cx_active'))[b.address] === '1' ? true : undefined));
    b.status = 500;
    await becomes(name, b, '/failed_active_hc');
    if (closes) await until('it is closed', () => (closed ? true : undefined));
    else {
      await new Promise((resolve) => setTimeout(resolve, 200));
      expect(closed).toBe(false);
    }
    socket.destroy();
    b.status = 200;
    await proxy.apply({ clusters: { [name]: null }, listeners: { [name]: null } });
  });

  test('a check of an endpoint’s own port, and none where it is disabled', async () => {
    const port = (patient: Patient): number => Number(patient.address.split(':')[1]);
    const before = b.checks;
    const address = (patient: Patient): JsonObject => ({ socketAddress: { address: '127.0.0.1', portValue: port(patient) } });
    const lbEndpoints = [
      { endpoint: { address: address(a), healthCheckConfig: { portValue: 1 } } },
      { endpoint: { address: address(b), healthCheckConfig: { disableActiveHealthCheck: true } } },
    ];
    const loadAssignment = { clusterName: 'ports', endpoints: [{ lbEndpoints }] };
    await proxy.apply({ clusters: { http: null, said: null, ports: { ...clusterJson('ports', { endpoints: [], fields: check(HTTP) }), loadAssignment } } });
    await becomes('ports', a, '/failed_active_hc');
    await spreads('ports', { b: 4 });
    await until('the checks of the other clusters have ended', async () => {
      const seen = b.checks;
      await new Promise((resolve) => setTimeout(resolve, 300));
      return b.checks === seen ? true : undefined;
    });
    expect(b.checks).toBeGreaterThanOrEqual(before);
    await proxy.apply({ clusters: { ports: null } });
  });
});
