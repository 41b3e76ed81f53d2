import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { node, type RunningWorkload, TestMesh, until } from '../harness/mesh.ts';
import { peer } from '../harness/peers.ts';
import { everyPair } from '../harness/planes.ts';
import { freePorts } from '../harness/ports.ts';

const here = fileURLToPath(new URL('..', import.meta.url));
const grpcGo = peer('grpc-go') ?? '';
const grpcJs = join(here, 'peers/grpc-js-interop.ts');

/** gRPC's own cases, by the names that gRPC gives them. */
const goCases = [
  'empty_unary',
  'large_unary',
  'huge_unary',
  'client_streaming',
  'server_streaming',
  'ping_pong',
  'empty_stream',
  'timeout_on_sleeping_server',
  'cancel_after_begin',
  'cancel_after_first_response',
  'status_code_and_message',
  'special_status_message',
  'custom_metadata',
  'unimplemented_method',
  'unimplemented_service',
];
const jsCases = [
  'empty_unary',
  'large_unary',
  'huge_unary',
  'client_streaming',
  'server_streaming',
  'ping_pong',
  'status_code_and_message',
  'custom_metadata',
  'deadline',
];

const Code = { DEADLINE_EXCEEDED: 4, PERMISSION_DENIED: 7, UNAVAILABLE: 14, OK: 0 } as const;

interface Unary {
  readonly code: number;
  readonly message: string;
  /** An answer without content (Trailers-Only) is all trailer. */
  readonly trailer: Readonly<Record<string, readonly string[]>> | null;
}

describe.skipIf(grpcGo === '').each(everyPair)('gRPC and HTTP/2 services: client beside %s, servers beside %s', (clientPlane, serverPlane) => {
  let mesh: TestMesh;
  let web: RunningWorkload;
  let goServer: RunningWorkload;
  let direct: { go: string; js: string; h2: string };
  /** grpc-go heeds `https_proxy` alone (docs/cli.md leaves it to the user). */
  let throughProxy: { https_proxy: string };

  beforeAll(async () => {
    mesh = await TestMesh.start();
    const [go, js, h2, nowhere] = await freePorts(4);
    direct = { go: `127.0.0.1:${go}`, js: `127.0.0.1:${js}`, h2: `127.0.0.1:${h2}` };
    [web, goServer] = await Promise.all([
      mesh.run({
        name: 'web',
        client: true,
        dataPlane: clientPlane,
        args: ['--upstream', `go-server:8080=${go}`, '--upstream', `js-server:8080=${js}`, '--upstream', `h2-server:8080=${h2}`],
      }),
      mesh.run({
        name: 'go-server',
        protocol: 'grpc',
        dataPlane: serverPlane,
        command: (port) => [grpcGo, 'interop-server', `127.0.0.1:${port}`, '-'],
      }),
      mesh.run({ name: 'js-server', protocol: 'grpc', dataPlane: serverPlane, command: (port) => [node, grpcJs, 'server', `127.0.0.1:${port}`, '-'] }),
      mesh.run({ name: 'h2-server', protocol: 'http2', dataPlane: serverPlane, command: () => [node, join(here, 'harness/h2-app.mjs')] }),
    ]);
    throughProxy = { https_proxy: `http://${web.proxy}` };
    await mesh.apply(`apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: nowhere}
spec:
  hosts: [nowhere.example]
  location: MESH_EXTERNAL
  resolution: STATIC
  ports: [{number: 8080, name: grpc, protocol: GRPC}]
  endpoints: [{address: 127.0.0.1, ports: {grpc: ${nowhere}}}]
`);
    await until('a first answer', async () => (await unary('go-server:8080')).code === Code.OK);
  }, 90_000);
  afterAll(async () => {
    await mesh?.stop();
  }, 60_000);

  /** One call by grpc-go, its own retries off, with metadata "name=value,...". */
  async function unary(target: string, metadata = ''): Promise<Unary> {
    const { stdout, stderr } = await web.exec([grpcGo, 'unary', target, metadata], { environment: throughProxy });
    if (stdout === '') throw new Error(stderr);
    return JSON.parse(stdout) as Unary;
  }

  test.each([
    ['grpc-go', 'grpc-go, by CONNECT', () => [grpcGo, 'interop', 'go-server:8080', goCases.join()]],
    ['grpc-go', 'grpc-js, by a declared port', () => [grpcGo, 'interop', direct.js, goCases.join()]],
    ['grpc-js', 'grpc-go, by a declared port', () => [node, grpcJs, 'interop', direct.go, jsCases.join()]],
    ['grpc-js', 'grpc-js, by CONNECT', () => [node, grpcJs, 'interop', 'js-server:8080', jsCases.join()]],
  ])('%s calls %s: every case of gRPC passes', async (_client, _server, command) => {
    const { code, stdout, stderr } = await web.exec(command(), { environment: throughProxy });
    expect({ code, stdout, stderr: stdout === '' ? stderr : '' }).toEqual({ code: 0, stdout: 'passed\n', stderr: '' });
  });

  test('a call that the application refuses is not tried again; with retryOn: unavailable it is, and a deadline holds over all', async () => {
    expect(await unary('go-server:8080', 'x-key=plain,x-fail=1')).toMatchObject({
      code: Code.UNAVAILABLE,
      message: 'not yet',
      trailer: { 'x-attempt': ['1'] },
    });
    await mesh.apply(`apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: go-server}
spec:
  hosts: [go-server]
  http:
    - retries: {attempts: 3, retryOn: unavailable}
      route: [{destination: {host: go-server}}]
`);
    expect(await unary('go-server:8080', 'x-key=twice,x-fail=2')).toMatchObject({ code: Code.OK, trailer: { 'x-attempt': ['3'] } });
    expect(await unary('go-server:8080', 'x-key=ever,x-fail=9')).toMatchObject({ code: Code.UNAVAILABLE, message: 'not yet', trailer: { 'x-attempt': ['4'] } });
    if (clientPlane === 'outrigger') {
      const metrics = await (await fetch(`http://${web.metricsAddress}/metrics`)).text();
      expect(metrics).toMatch(/istio_requests_total\{reporter="source",[^}]*request_protocol="grpc",response_code="200",grpc_response_status="14"/);
    }
    // After four failures in a row a success, or the next one would open the circuit.
    expect((await unary('go-server:8080')).code).toBe(Code.OK);
    expect(await unary('go-server:8080', 'x-sleep-ms=5000,timeout=300ms')).toMatchObject({ code: Code.DEADLINE_EXCEEDED });
    await mesh.delete('VirtualService', 'go-server');
  });

  test('what the mesh answers is gRPC, and signed: UNAVAILABLE where nobody listens, PERMISSION_DENIED by policy', async () => {
    const signature = ({ trailer }: Unary): string => trailer?.['proxy-status']?.[0] ?? '';
    const nowhere = await unary('nowhere.example:8080');
    expect(nowhere.code).toBe(Code.UNAVAILABLE);
    expect(signature(nowhere)).toMatch(/^web\.default; error=/);
    await mesh.apply(`apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: go-server}
spec:
  selector: {matchLabels: {app: go-server}}
  action: DENY
  rules: [{to: [{operation: {paths: [/grpc.testing.TestService/UnaryCall]}}]}]
`);
    // An Envoy keeps the old policy on its open connections until they have drained (docs/xds.md, Bootstrap).
    if (serverPlane === 'envoy') await until('the policy holds', async () => (await unary('go-server:8080')).code !== Code.OK, 5000);
    const refused = await unary('go-server:8080');
    expect(refused).toMatchObject({ code: Code.PERMISSION_DENIED, message: 'RBAC: access denied' });
    expect(signature(refused)).toMatch(/^go-server\.default; error=/);
    // A call of another method is let in.
    expect((await web.exec([grpcGo, 'interop', 'go-server:8080', 'empty_unary'], { environment: throughProxy })).stdout).toBe('passed\n');
    await mesh.delete('AuthorizationPolicy', 'go-server');
    await until('it is let in again', async () => (await unary('go-server:8080')).code === Code.OK, serverPlane === 'envoy' ? 5000 : 500);
  });

  test('a timeout of the route is UNAVAILABLE to a caller that has none of its own', async () => {
    await mesh.apply(`apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: go-server}
spec:
  hosts: [go-server]
  http:
    - timeout: 0.3s
      route: [{destination: {host: go-server}}]
`);
    expect(await unary('go-server:8080', 'x-sleep-ms=3000')).toMatchObject({ code: Code.UNAVAILABLE, message: 'upstream request timeout' });
    await mesh.delete('VirtualService', 'go-server');
  });

  test('a server that ends is UNAVAILABLE to its callers at once', async () => {
    await goServer.stop();
    const startedMs = performance.now();
    expect((await unary('go-server:8080')).code).toBe(Code.UNAVAILABLE);
    expect(performance.now() - startedMs).toBeLessThan(5000);
  });

  test.each([
    ['HTTP/2 by a declared port', () => ['--http2-prior-knowledge', '--noproxy', '*', `http://${direct.h2}/a?b=c`]],
    ['HTTP/2 inside CONNECT', () => ['--http2-prior-knowledge', '--proxytunnel', 'http://h2-server:8080/a?b=c']],
    ['HTTP/1.1', () => ['http://h2-server:8080/a?b=c']],
  ])('an http2 port takes %s', async (_how, args) => {
    const { stdout, stderr } = await web.exec(['curl', '-s', '-S', '-m', '10', '-X', 'POST', '-d', 'hello', ...args()]);
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toMatchObject({ method: 'POST', path: '/a?b=c', body: 'hello' });
  });
});
