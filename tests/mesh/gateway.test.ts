import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttp, type Server } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { Agent, request as httpsRequest, type RequestOptions } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls, createServer as createTls, type TLSSocket } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TestAuthority } from '../../packages/proxy/src/tls/testing/certificates.ts';
import { type Answer, call, type DataPlane, type RunningGateway, type RunningWorkload, TestMesh, until } from '../harness/mesh.ts';
import { envoy } from '../harness/planes.ts';
import { freePorts } from '../harness/ports.ts';
import { Wire } from '../harness/wire.ts';

const planes: readonly DataPlane[] = envoy === undefined ? ['outrigger'] : ['outrigger', 'envoy'];
const example = (name: string): string => readFileSync(fileURLToPath(new URL(`../../examples/gateway/${name}`, import.meta.url)), 'utf8');

const authority = new TestAuthority('the public');
const partners = new TestAuthority('partners');
const shop = authority.issue({ dns: ['shop.example.com'], commonName: 'shop 1' });

interface Secure extends Answer {
  /** Common name of the certificate that was shown. */
  readonly certificate: string;
}

/** HTTPS to a port of this machine under a name. */
function secure(port: number, name: string, path: string, options: RequestOptions = {}): Promise<Secure> {
  return new Promise((resolve, reject) => {
    const outgoing = httpsRequest(
      {
        host: '127.0.0.1',
        port,
        path,
        servername: name,
        ca: authority.pem,
        checkServerIdentity: () => undefined,
        headers: { host: name },
        agent: false,
        ...options,
      },
      (response) => {
        const certificate = String((response.socket as TLSSocket).getPeerCertificate().subject?.CN ?? '');
        let body = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          body += chunk;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body, certificate }));
      },
    );
    outgoing.setTimeout(10_000, () => outgoing.destroy(new Error('no answer')));
    outgoing.on('error', reject).end();
  });
}

function listening(server: Server | ReturnType<typeof createTls>): Promise<number> {
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port)));
}

let mesh: TestMesh;
let web: RunningWorkload;

beforeAll(async () => {
  mesh = await TestMesh.start();
  const tcp = () => [process.execPath, fileURLToPath(new URL('../harness/tcp-app.mjs', import.meta.url))];
  [web] = await Promise.all([mesh.run({ name: 'web' }), mesh.run({ name: 'order-service' }), mesh.run({ name: 'greeter', protocol: 'tcp', command: tcp })]);
  await mesh.apply(example('routes.yaml'));
  await mesh.apply(example('gateway.yaml'));
});
afterAll(() => mesh.stop());

describe.each(planes)('a gateway with %s as its data plane', (dataPlane) => {
  const instance = `ingress-${dataPlane}`;
  let gateway: RunningGateway;
  let http = 0;
  let https = 0;
  let opaque = 0;
  let passed = 0;
  let apiHttp = 0;
  let apiHttps = 0;
  let taken = 0;
  const folder = mkdtempSync(join(tmpdir(), 'certificates-'));
  const servers: { close(): unknown }[] = [];

  /** As tools do that renew certificates: written aside, moved into place. */
  const write = (name: string, text: string): void => {
    writeFileSync(join(folder, `${name}.new`), text);
    renameSync(join(folder, `${name}.new`), join(folder, name));
  };
  const plain = (host: string, path = '/echo', port = http): Promise<Answer> => call({ host: '127.0.0.1', port, path, headers: { host } });
  /** As `rig status` lists them. */
  const problems = async (): Promise<string> => (await mesh.api('GET', '/problems')).body;
  const nameOf = ({ body }: Answer): string => (JSON.parse(body) as { name: string }).name;

  beforeAll(async () => {
    write('shop.crt', shop.chainPem);
    write('shop.key', shop.keyPem);
    const other = authority.issue({ dns: ['partners.example.com'], commonName: 'partners' });
    mkdirSync(join(folder, 'partners'));
    writeFileSync(join(folder, 'partners/tls.crt'), other.chainPem);
    writeFileSync(join(folder, 'partners/tls.key'), other.keyPem);
    writeFileSync(join(folder, 'partners/ca.crt'), partners.pem);
    [http = 0, https = 0, opaque = 0, passed = 0, apiHttp = 0, apiHttps = 0, taken = 0] = await freePorts(7);
    const ports = { 80: http, 443: https, 31400: opaque, 8443: passed, 8081: apiHttp, 8444: apiHttps, 81: taken };
    const portMap = Object.entries(ports).map(([port, bound]) => `${port}=${bound}`);
    gateway = await mesh.gateway('ingress', instance, dataPlane, ['--label', 'istio=ingressgateway', '--certificates', folder, '--port-map', ...portMap]);
    // An Envoy acknowledges a listener before it binds it.
    await until('the listeners', async () => (await secure(https, 'shop.example.com', '/echo')).status === 200);
  });
  afterAll(async () => {
    for (const server of servers) server.close();
    await gateway.stop();
    rmSync(folder, { recursive: true });
  });

  test('ends HTTPS, each name with its own certificate, and goes on by host and path to services of the mesh by mTLS', async () => {
    const orders = await secure(https, 'shop.example.com', '/orders/1', {
      headers: { host: 'shop.example.com', 'x-forwarded-client-cert': 'By=forged', 'x-forwarded-for': '6.6.6.6' },
    });
    expect([orders.status, nameOf(orders), orders.certificate]).toEqual([200, 'order-service', 'shop 1']);
    const { headers } = JSON.parse(orders.body) as { headers: Record<string, string> };
    expect(headers['x-forwarded-client-cert']).toContain('URI=spiffe://cluster.local/ns/default/sa/ingress');
    expect(headers['x-forwarded-client-cert']).not.toContain('forged');
    // What a client says of where it comes from is not what counts; an Envoy puts an address of its machine in the place of loopback's.
    expect(headers['x-forwarded-for']).toMatch(/^6\.6\.6\.6,(127\.0\.0\.1|192\.\S+)$/);
    expect(nameOf(await secure(https, 'shop.example.com', '/echo'))).toBe('web');
  });

  test('speaks HTTP/2 to who offers it, and passes WebSockets on', async () => {
    const session = connectHttp2('https://shop.example.com', {
      createConnection: () => connectTls({ host: '127.0.0.1', port: https, servername: 'shop.example.com', ca: authority.pem, ALPNProtocols: ['h2'] }),
    });
    const stream = session.request({ ':path': '/orders/2' });
    let body = '';
    for await (const chunk of stream.setEncoding('utf8')) body += chunk;
    expect(JSON.parse(body)).toMatchObject({ name: 'order-service', path: '/orders/2' });
    session.destroy();
    const upgraded = httpsRequest({
      host: '127.0.0.1',
      port: https,
      path: '/socket',
      servername: 'shop.example.com',
      ca: authority.pem,
      headers: {
        host: 'shop.example.com',
        upgrade: 'websocket',
        connection: 'upgrade',
        'sec-websocket-version': '13',
        'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
      },
    }).end();
    const [answer, socket] = (await once(upgraded, 'upgrade')) as [{ statusCode: number }, TLSSocket];
    expect(answer.statusCode).toBe(101);
    // A masked text frame, which comes back unmasked.
    socket.write(Buffer.from([0x81, 0x82, 1, 2, 3, 4, 'h'.charCodeAt(0) ^ 1, 'i'.charCodeAt(0) ^ 2]));
    let echoed = '';
    while (echoed.length < 4) echoed += ((await once(socket, 'data')) as [Buffer])[0].toString('latin1');
    expect(echoed).toBe('\x81\x02hi');
    socket.destroy();
  });

  test('asks for a client certificate where the server says so', async () => {
    const known = partners.issue({ commonName: 'a partner' });
    const stranger = authority.issue({ commonName: 'a stranger' });
    const mutual = (certificate?: typeof known) =>
      secure(https, 'partners.example.com', '/echo', certificate === undefined ? {} : { cert: certificate.chainPem, key: certificate.keyPem });
    const answer = await mutual(known);
    expect([answer.status, answer.certificate]).toEqual([200, 'partners']);
    await expect(mutual()).rejects.toThrow();
    await expect(mutual(stranger)).rejects.toThrow();
    writeFileSync(join(folder, 'partners/ca.crl'), partners.revoke(known));
    await until('the list of the revoked', () =>
      mutual(known).then(
        () => false,
        () => true,
      ),
    );
    expect((await mutual(partners.issue({ commonName: 'another partner' }))).status).toBe(200);
  });

  test('sends plain HTTP on to HTTPS, and knows no other host', async () => {
    const redirected = await plain('shop.example.com', '/orders/1?a=b');
    expect([redirected.status, redirected.headers['location']]).toEqual([301, 'https://shop.example.com/orders/1?a=b']);
    expect((await plain('elsewhere.example.com')).status).toBe(404);
    expect((await secure(https, 'shop.example.com', '/', { headers: { host: 'elsewhere.example.com' } })).status).toBe(404);
    await expect(secure(https, 'elsewhere.example.com', '/')).rejects.toThrow();
  });

  test('takes a new certificate from the disk without ending a connection', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const kept = () => secure(https, 'shop.example.com', '/echo', { agent });
    expect((await kept()).certificate).toBe('shop 1');
    const renewed = authority.issue({ dns: ['shop.example.com'], commonName: 'shop 2' });
    // Half of it is no good yet: what is there stays in use.
    write('shop.crt', renewed.chainPem);
    await until('the problem', async () => (await problems()).includes('shop.key is not the key of'));
    expect((await secure(https, 'shop.example.com', '/echo')).certificate).toBe('shop 1');
    write('shop.key', renewed.keyPem);
    await until('the new certificate', async () => (await secure(https, 'shop.example.com', '/echo')).certificate === 'shop 2');
    await until('the end of the problem', async () => !(await problems()).includes('shop.key'));
    const [socket] = Object.values(agent.sockets).concat(Object.values(agent.freeSockets)).flat();
    expect((await kept()).status).toBe(200);
    expect(Object.values(agent.freeSockets).flat()[0] ?? socket).toBe(socket);
    agent.destroy();
  });

  test('serves on beside a Gateway that has no certificate, and says what is missing', async () => {
    await mesh.apply(`apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: bad}
spec:
  selector: {istio: ingressgateway}
  servers:
    - {port: {number: 443, name: https-bad, protocol: HTTPS}, hosts: ["bad.example.com"], tls: {mode: SIMPLE, credentialName: nowhere}}
    - {port: {number: 80, name: tcp, protocol: TCP}, hosts: ["*"]}
`);
    await until('the problem', async () => (await problems()).includes('certificate nowhere'));
    expect(nameOf(await secure(https, 'shop.example.com', '/orders'))).toBe('order-service');
    await expect(secure(https, 'bad.example.com', '/')).rejects.toThrow();
    const { stdout } = await mesh.rig(['get', 'gw', 'bad']);
    expect(stdout).toContain('port 80: default/edge (spec.servers[0]) serves HTTP there: the server is left out');
    const own = authority.issue({ dns: ['bad.example.com'], commonName: 'not bad any more' });
    write('nowhere.key', own.keyPem);
    write('nowhere.crt', own.chainPem);
    await until('its certificate', async () => (await secure(https, 'bad.example.com', '/')).certificate === 'not bad any more');
    rmSync(join(folder, 'nowhere.key'));
    await until('the problem', async () => (await problems()).includes('certificate nowhere'));
    await mesh.delete('gw', 'bad');
    // With nobody who names it, it is no problem any more.
    await until('the end of the problem', async () => !(await problems()).includes('certificate nowhere'));
    await expect(secure(https, 'bad.example.com', '/')).rejects.toThrow();
  });

  test('says which port it cannot have, and serves the others', async () => {
    const blocker = createHttp();
    await new Promise<void>((resolve) => blocker.listen(taken, '127.0.0.1', resolve));
    const file = join(folder, 'taken.yaml');
    writeFileSync(
      file,
      `apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: taken}
spec:
  selector: {istio: ingressgateway}
  servers:
    - {port: {number: 81, name: http, protocol: HTTP}, hosts: ["*"]}
`,
    );
    const applied = await mesh.rig(['apply', '-f', file, '--wait']);
    expect([applied.code, applied.stdout]).toEqual([1, expect.stringMatching(new RegExp(`refused by ${instance}.*(cannot listen on|cannot bind).*${taken}`))]);
    expect((await mesh.rig(['status'])).stdout).toContain('--port-map PORT=OTHER');
    const states = JSON.parse((await mesh.rig(['get', 'gw', '-o', 'json'])).stdout) as { name: string; status: { state: string } }[];
    expect(states.filter(({ name }) => name === 'edge' || name === 'taken').map(({ name, status }) => `${name} ${status.state}`)).toEqual([
      'edge in-effect',
      'taken partly',
    ]);
    expect((await secure(https, 'shop.example.com', '/echo')).status).toBe(200);
    blocker.close();
    // An Envoy does not try again by itself.
    const state = async () => (JSON.parse((await mesh.api('GET', '/resources?kind=gw&name=taken')).body) as { status: { state: string } }[])[0]!.status.state;
    if (dataPlane === 'outrigger') await until('the port', async () => (await state()) === 'in-effect');
    await mesh.delete('gw', 'taken');
  });

  test('hands opaque bytes on, and TLS that it does not end, by its name', async () => {
    const inside = authority.issue({ dns: ['bank.example.com'], commonName: 'the bank itself' });
    const bank = createTls({ cert: inside.chainPem, key: inside.keyPem }, (socket) => void socket.on('error', () => {}).end('the bank\n'));
    servers.push(bank);
    const port = await listening(bank);
    await mesh.apply(`apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: bank}
spec:
  hosts: [bank.example.com]
  resolution: STATIC
  ports: [{number: 443, name: tls, protocol: TLS}]
  endpoints: [{address: 127.0.0.1, ports: {tls: ${port}}}]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: bytes}
spec:
  selector: {istio: ingressgateway}
  servers:
    - {port: {number: 31400, name: tcp, protocol: TCP}, hosts: ["*"]}
    - {port: {number: 8443, name: tls, protocol: TLS}, hosts: ["*.example.com"], tls: {mode: PASSTHROUGH}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: bytes}
spec:
  hosts: ["*"]
  gateways: [bytes]
  tcp: [{match: [{port: 31400}], route: [{destination: {host: greeter, port: {number: 8080}}}]}]
  tls: [{match: [{port: 8443, sniHosts: [bank.example.com]}], route: [{destination: {host: bank.example.com, port: {number: 443}}}]}]
`);
    const wire = await Wire.open(`127.0.0.1:${opaque}`);
    await wire.expect(/220 greeter ready\r\n/);
    wire.send('echo hello\n');
    await wire.expect(/hello\n/);
    wire.close();
    const shown = await new Promise<string>((resolve, reject) => {
      const socket = connectTls({ host: '127.0.0.1', port: passed, servername: 'bank.example.com', ca: authority.pem }, () => {
        resolve(String(socket.getPeerCertificate().subject.CN));
        socket.destroy();
      });
      socket.on('error', reject);
    });
    expect(shown).toBe('the bank itself');
  });

  test('serves the Gateway API Gateway of its name, with conditions as the specification has them', async () => {
    await mesh.apply(example('gateway-api.yaml'));
    await until('the listener', async () => (await secure(apiHttps, 'shop.example.org', '/')).status === 200);
    const orders = await secure(apiHttps, 'shop.example.org', '/api/orders/7?a=b');
    const { name, path } = JSON.parse(orders.body) as { name: string; path: string };
    expect([name, path, orders.headers['x-served-by']]).toEqual(['order-service', '/orders/7?a=b', 'orders']);
    expect(nameOf(await secure(apiHttps, 'shop.example.org', '/api/ordersly'))).toBe('web');
    expect((await secure(apiHttps, 'other.example.org', '/')).status).toBe(404);
    const redirected = await plain('shop.example.org', '/x', apiHttp);
    expect([redirected.status, redirected.headers['location']]).toEqual([301, 'https://shop.example.org/x']);
    const shown = await mesh.rig(['get', 'gtw/ingress', '-o', 'json']);
    const [view] = JSON.parse(shown.stdout) as {
      manifest: { status: { conditions: { type: string; status: string }[]; listeners: { name: string; attachedRoutes: number }[] } };
    }[];
    const { conditions, listeners } = view!.manifest.status;
    expect(conditions.map(({ type, status }) => `${type} ${status}`)).toEqual(['Accepted True', 'Programmed True']);
    expect(listeners.map(({ name: listener, attachedRoutes }) => `${listener} ${attachedRoutes}`)).toEqual(['http 1', 'https 1']);
    await mesh.delete('httproute', 'shop');
    await until('its end', async () => (await secure(apiHttps, 'shop.example.org', '/')).status === 404);
  });

  test('takes AuthorizationPolicies of its own', async () => {
    await mesh.apply(`apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: edge}
spec:
  selector: {matchLabels: {istio: ingressgateway}}
  action: DENY
  rules: [{to: [{operation: {paths: [/orders/secret], ports: ["443"]}}]}]
`);
    const denied = await secure(https, 'shop.example.com', '/orders/secret');
    expect([denied.status, String(denied.headers['proxy-status'])]).toEqual([403, expect.stringContaining('ingress.default')]);
    expect((await secure(https, 'shop.example.com', '/orders/1')).status).toBe(200);
    await mesh.delete('AuthorizationPolicy', 'edge');
  });

  test('is where calls leave the mesh that are to leave by it', async () => {
    const api = createHttp((request, response) => void response.end(JSON.stringify({ name: 'api', headers: request.headers })));
    servers.push(api);
    const port = await listening(api);
    const [egressPort = 0] = await freePorts(1);
    const egress = await mesh.gateway('egress', `egress-${dataPlane}`, dataPlane, [
      '--label',
      'istio=egressgateway',
      '--port',
      'http:8443',
      '--port-map',
      `8443=${egressPort}`,
    ]);
    await mesh.apply(example('egress.yaml').replace('18080', String(port)));
    await until('the egress gateway', async () => (await web.call('http://api.example.com/x')).status === 200);
    const { body } = await web.call('http://api.example.com/x');
    const { name, headers } = JSON.parse(body) as { name: string; headers: Record<string, string> };
    expect([name, headers['host']]).toEqual(['api', 'api.example.com']);
    expect(headers['x-outrigger-peer']).toBeUndefined();
    // Its client certificate is the caller's, and with the gateway away there is no other way out.
    await egress.stop();
    expect((await web.call('http://api.example.com/x')).status).toBe(503);
  });

  test('is replaced under its connections, drains when it is told to end, and is gone from the mesh', async () => {
    const agent = new Agent({ keepAlive: true });
    const ask = () => secure(https, 'shop.example.com', '/echo', { agent });
    expect((await ask()).status).toBe(200);
    if (dataPlane === 'outrigger') {
      const statuses: (number | string)[] = [];
      let asking = true;
      const load = (async () => {
        while (asking)
          statuses.push(
            await secure(https, 'shop.example.com', '/echo').then(
              ({ status }) => status,
              (error) => String(error.message),
            ),
          );
      })();
      expect((await mesh.rig(['restart', instance])).code).toBe(0);
      asking = false;
      await load;
      expect(new Set(statuses)).toEqual(new Set([200]));
    }
    const slow = secure(https, 'shop.example.com', '/slow/1500');
    await until('the slow call', async () => (await web.count('/slow/1500')) > 0);
    const stopped = gateway.stop();
    expect((await slow).body).toBe('slow\n');
    await stopped;
    agent.destroy();
    await expect(secure(https, 'shop.example.com', '/echo')).rejects.toThrow();
    await until('its end', async () => {
      const proxies = JSON.parse((await mesh.api('GET', '/proxies')).body) as { instance: string; connected: boolean }[];
      return proxies.every((proxy) => proxy.instance !== instance || !proxy.connected);
    });
  });
});
