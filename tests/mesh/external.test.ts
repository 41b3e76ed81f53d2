import { once } from 'node:events';
import { createServer as createHttp } from 'node:http';
import { createServer as createTcp, type Server } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type DataPlane, type RunningWorkload, TestMesh, until } from '../harness/mesh.ts';
import { envoy } from '../harness/planes.ts';
import { freePorts } from '../harness/ports.ts';
import { Wire } from '../harness/wire.ts';

const planes: readonly DataPlane[] = envoy === undefined ? ['outrigger'] : ['outrigger', 'envoy'];

/** An HTTP server outside the mesh that says which one it is and what it was asked. */
function named(name: string): Server {
  return createHttp((request, response) => {
    response.setHeader('x-instance', name);
    response.end(JSON.stringify({ name, url: request.url, headers: request.headers }));
  });
}

async function listening(server: Server): Promise<number> {
  server.listen(0, 'localhost');
  await once(server, 'listening');
  return (server.address() as { port: number }).port;
}

function serviceEntry(name: string, spec: string): string {
  return `---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ${name}}
spec:
${spec.replace(/^\n/, '').trimEnd()}
`;
}

describe.each(planes)('services outside the mesh, client beside %s', (dataPlane) => {
  let mesh: TestMesh;
  let web: RunningWorkload;
  let inside: RunningWorkload;
  let declared: number;
  const servers: Server[] = [];
  const ports: number[] = [];
  let greeter: number;

  beforeAll(async () => {
    mesh = await TestMesh.start();
    for (const name of ['one', 'two', 'three']) {
      const server = named(name);
      servers.push(server);
      ports.push(await listening(server));
    }
    const tcp = createTcp((socket) => {
      socket.on('error', () => {});
      socket.write('hello from outside\n');
      socket.pipe(socket);
    });
    servers.push(tcp);
    greeter = await listening(tcp);
    declared = (await freePorts(1))[0] ?? 0;
    [web, inside] = await Promise.all([
      mesh.run({ name: 'web', client: true, dataPlane, args: ['--upstream', `static.example:8080=127.0.0.1:${declared}`] }),
      mesh.run({ name: 'inside', dataPlane }),
    ]);
  }, 60_000);
  afterAll(async () => {
    for (const server of servers) server.close();
    for (const server of servers) (server as Partial<{ closeAllConnections(): void }>).closeAllConnections?.();
    await mesh?.stop();
  }, 60_000);

  /** Which servers answered so many calls. */
  async function answerers(url: string, calls = 20): Promise<string[]> {
    const seen = new Set<string>();
    for (let call = 0; call < calls; call++) {
      const answer = await web.call(url);
      expect(answer.status).toBe(200);
      seen.add(String(answer.headers['x-instance']));
    }
    return [...seen].sort();
  }

  test('resolution STATIC: every endpoint is called, by its own port, also through a declared port', async () => {
    await mesh.apply(
      serviceEntry(
        'static',
        `
  hosts: [static.example]
  location: MESH_EXTERNAL
  resolution: STATIC
  ports: [{number: 8080, name: http, protocol: HTTP}]
  endpoints:
    - {address: 127.0.0.1, ports: {http: ${ports[0]}}}
    - {address: 127.0.0.1, ports: {http: ${ports[1]}}}`,
      ),
    );
    expect(await answerers('http://static.example:8080/a')).toEqual(['one', 'two']);
    const seen = JSON.parse((await web.call('http://static.example:8080/a?b')).body) as { url: string; headers: Record<string, string> };
    expect(seen).toMatchObject({ url: '/a?b', headers: { host: 'static.example:8080' } });
    // Who calls is nobody's business outside.
    expect(Object.keys(seen.headers)).not.toContain('x-outrigger-peer');
    const byPort = await fetch(`http://127.0.0.1:${declared}/c`, { headers: { connection: 'close' } });
    expect(await byPort.json()).toMatchObject({ url: '/c' });
  });

  test('resolution DNS: names of endpoints are resolved, all of them; DNS_ROUND_ROBIN takes the first endpoint', async () => {
    const endpoints = `
  endpoints:
    - {address: localhost, ports: {http: ${ports[0]}}}
    - {address: localhost, ports: {http: ${ports[1]}}}`;
    const spec = (host: string, resolution: string, more: string): string => `
  hosts: [${host}]
  location: MESH_EXTERNAL
  resolution: ${resolution}
  ports: [{number: 8080, name: http, protocol: HTTP}]${more}`;
    await mesh.apply(
      serviceEntry('dns', spec('dns.example', 'DNS', endpoints)) +
        serviceEntry('logical', spec('logical.example', 'DNS_ROUND_ROBIN', endpoints.split('\n').slice(0, 3).join('\n'))) +
        serviceEntry('lost', spec('lost.invalid', 'DNS', '')),
    );
    expect(await answerers('http://dns.example:8080/')).toEqual(['one', 'two']);
    expect(await answerers('http://logical.example:8080/')).toEqual(['one']);
    const lost = await web.call('http://lost.invalid:8080/');
    expect(lost.status).toBe(503);
    expect(lost.headers['proxy-status']).toContain('web.default');
  });

  test('resolution DNS without endpoints: the host itself is resolved', async () => {
    await mesh.apply(
      serviceEntry(
        'own-name',
        `
  hosts: [localhost]
  location: MESH_EXTERNAL
  resolution: DNS
  ports: [{number: ${ports[2]}, name: http, protocol: HTTP}]`,
      ),
    );
    expect(await answerers(`http://localhost:${ports[2]}/`, 3)).toEqual(['three']);
    await mesh.delete('ServiceEntry', 'own-name');
  });

  test('a workload that a WorkloadEntry declares comes and goes with it; one with a sidecar is called by mTLS', async () => {
    const entry = (name: string, address: string, more: string): string => `---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: ${name}}
spec: {address: 127.0.0.1, ports: {http: ${address.split(':').at(-1)}}, labels: {app: legacy${more}}, serviceAccount: inside}
`;
    await mesh.apply(
      serviceEntry(
        'legacy',
        `
  hosts: [legacy.example]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 8080, name: http, protocol: HTTP}]
  workloadSelector: {labels: {app: legacy}}`,
      ) + entry('legacy-1', `:${ports[0]}`, ''),
    );
    expect(await answerers('http://legacy.example:8080/', 5)).toEqual(['one']);
    await mesh.apply(entry('legacy-2', inside.meshAddress, ', security.istio.io/tlsMode: istio'));
    await mesh.delete('WorkloadEntry', 'legacy-1');
    const answer = await web.call('http://legacy.example:8080/echo');
    expect(answer.status).toBe(200);
    expect((JSON.parse(answer.body) as { headers: Record<string, string> }).headers['x-forwarded-client-cert']).toContain('sa/web');
    await mesh.delete('WorkloadEntry', 'legacy-2');
    expect((await web.call('http://legacy.example:8080/')).status).toBe(503);
  });

  test('a TCP service outside, and TLS of the application’s own, go through CONNECT untouched', async () => {
    await mesh.apply(
      serviceEntry(
        'greeter',
        `
  hosts: [greeter.example]
  location: MESH_EXTERNAL
  resolution: STATIC
  ports: [{number: 7000, name: tcp, protocol: TCP}, {number: 7443, name: tls, protocol: TLS}]
  endpoints: [{address: 127.0.0.1, ports: {tcp: ${greeter}, tls: ${greeter}}}]`,
      ),
    );
    for (const target of ['greeter.example:7000', 'greeter.example:7443', `localhost:${greeter}`]) {
      const wire = await Wire.open(web.proxy);
      wire.send(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`);
      await wire.expect(/^HTTP\/1\.1 200 (?:.+\r\n)*\r\n/);
      await wire.expect(/^hello from outside\n$/);
      wire.send('\x16\x03\x01 not for you');
      await wire.expect(/^\x16\x03\x01 not for you$/);
      wire.close();
    }
  });

  test('a name that nobody declared passes by default, and is refused and signed under REGISTRY_ONLY', async () => {
    const url = `http://localhost:${ports[0]}/`;
    const passed = await web.call(url);
    expect(passed).toMatchObject({ status: 200, headers: { 'x-instance': 'one' } });
    expect(passed.body).not.toContain('x-outrigger-peer');
    await mesh.apply(`apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: default}
spec:
  egress: [{hosts: ["./*"]}]
  outboundTrafficPolicy: {mode: REGISTRY_ONLY}
`);
    await until('it is refused', async () => (await web.call(url)).status === 502, 2000);
    const refused = await web.call(url);
    expect(refused.headers['proxy-status'] ?? '').toContain('web.default');
    const wire = await Wire.open(web.proxy);
    wire.send(`CONNECT localhost:${greeter} HTTP/1.1\r\nHost: localhost:${greeter}\r\n\r\n`);
    await wire.expect(/^HTTP\/1\.1 502 /);
    wire.close();
    expect((await web.call('http://inside:8080/echo')).status).toBe(200);
    expect((await web.call('http://static.example:8080/')).status).toBe(200);
    await mesh.delete('Sidecar', 'default');
    await until('it passes again', async () => (await web.call(url)).status === 200, 2000);
  });
});
