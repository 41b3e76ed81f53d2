import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { node, type RunningWorkload, TestMesh, until } from '../harness/mesh.ts';
import { peer } from '../harness/peers.ts';
import { eachSide } from '../harness/planes.ts';
import { freePorts } from '../harness/ports.ts';

const clients = fileURLToPath(new URL('../peers/clients', import.meta.url));
const goHttp = peer('go-http');
const pythonHttp = peer('python-http');
const javaClasses = mkdtempSync(join(tmpdir(), 'rig-java-'));
const hasJava = spawnSync('javac', ['-d', javaClasses, join(clients, 'Client.java')]).status === 0;
afterAll(() => rmSync(javaClasses, { recursive: true, force: true }));
const URL_ = 'http://echo:8080';

interface Program {
  readonly name: string;
  /** Undefined: not on this machine. */
  readonly command: readonly string[] | undefined;
  readonly environment?: Record<string, string>;
}

/** Each is run with nothing but what `rig run` puts into its environment. */
const programs: readonly Program[] = [
  ...['urllib', 'http.client'].map((library) => ({ name: `Python's ${library}`, command: ['python3', join(clients, 'client.py'), library] })),
  ...['requests', 'httpx', 'aiohttp'].map((library) => ({
    name: `Python's ${library}`,
    command: pythonHttp === undefined ? undefined : ['python3', join(clients, 'client.py'), library],
    environment: { PYTHONPATH: pythonHttp ?? '' },
  })),
  { name: "Go's net/http", command: goHttp === undefined ? undefined : [goHttp, 'net/http'] },
  ...['fetch', 'http'].map((library) => ({ name: `Node's ${library}`, command: [node, join(clients, 'client.mjs'), library] })),
  ...['HttpClient', 'URLConnection'].map((library) => ({
    name: `Java's ${library}`,
    command: hasJava ? ['java', '-cp', javaClasses, 'Client', library] : undefined,
  })),
];

const python = { PYTHONPATH: pythonHttp ?? '' };
const webSocketClients: Readonly<Record<string, readonly string[]>> = {
  'ws of npm': [node, join(clients, 'websocket.mjs')],
  ...(pythonHttp === undefined ? {} : { "Python's websockets": ['python3', join(clients, 'websocket.py')] }),
};
const webSocketServers: Readonly<Record<string, (port: number) => readonly string[]>> = {
  'chat-js': (port) => [node, join(clients, 'websocket.mjs'), 'server', '127.0.0.1', `${port}`],
  ...(pythonHttp === undefined
    ? {}
    : { 'chat-py': (port: number) => ['env', `PYTHONPATH=${pythonHttp}`, 'python3', join(clients, 'websocket.py'), 'server', '127.0.0.1', `${port}`] }),
};

const BODY = Buffer.from(Array.from({ length: 1 << 20 }, (_, index) => index % 251));
const digest = { bytes: BODY.length, sha256: createHash('sha256').update(BODY).digest('hex') };
const blocks = Buffer.from(Array.from({ length: 300_000 }, (_, index) => ((index % 65_536) * 31) & 0xff));

describe.each(eachSide)('unchanged programs: client beside %s, server beside %s', (clientPlane, serverPlane) => {
  let mesh: TestMesh;
  let web: RunningWorkload;
  let direct: string;
  let sockets: Record<string, string>;

  beforeAll(async () => {
    mesh = await TestMesh.start();
    const [port, js, py] = await freePorts(3);
    direct = `http://127.0.0.1:${port}`;
    sockets = { 'chat-js': `ws://127.0.0.1:${js}`, 'chat-py': `ws://127.0.0.1:${py}` };
    const upstreams = [`echo:8080=127.0.0.1:${port}`, `chat-js:8080=127.0.0.1:${js}`, `chat-py:8080=127.0.0.1:${py}`];
    [web] = await Promise.all([
      mesh.run({ name: 'web', client: true, dataPlane: clientPlane, args: upstreams.flatMap((upstream) => ['--upstream', upstream]) }),
      mesh.run({ name: 'echo', dataPlane: serverPlane }),
      ...Object.entries(webSocketServers).map(([name, command]) => mesh.run({ name, dataPlane: serverPlane, command })),
    ]);
    await until('a first answer', async () => (await web.call(`${URL_}/echo`)).status === 200);
    // What comes to echo came through the mesh, or not at all.
    await mesh.apply(`apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: istio-system}
spec: {mtls: {mode: STRICT}}
`);
  }, 60_000);
  afterAll(async () => {
    await mesh?.stop();
  }, 60_000);

  for (const { name, command = [], environment = {} } of programs) {
    test.skipIf(command.length === 0)(name, async () => {
      const { code, stdout, stderr } = await web.exec([...command, URL_], { environment });
      expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
      const seen = JSON.parse(stdout) as { echo: { headers: Record<string, string> }; digest: object; sha256: string };
      expect(seen.echo).toMatchObject({ name: 'echo', method: 'GET', path: '/echo' });
      expect(seen.echo.headers).toMatchObject({ 'x-client': command.at(-1), host: 'echo:8080' });
      expect(seen.echo.headers['x-forwarded-client-cert']).toContain('URI=spiffe://cluster.local/ns/default/sa/web');
      expect(seen.digest).toEqual(digest);
      expect(seen.sha256).toBe(createHash('sha256').update(blocks).digest('hex'));
    });
  }

  test.each([
    ['an absolute-form request', () => [URL_]],
    ['CONNECT', () => ['--proxytunnel', URL_]],
    ['HTTP/1.0', () => ['--http1.0', URL_]],
    ['the short name, the name with the namespace, and the whole name', () => [URL_, 'http://echo.default:8080', 'http://echo.default.svc.cluster.local:8080']],
    ['a declared port', () => ['--noproxy', '*', direct]],
  ])('curl by %s', async (_how, args) => {
    const given = args();
    const urls = given.filter((arg) => arg.startsWith('http:')).map((url) => `${url}/echo`);
    const flags = given.filter((arg) => !arg.startsWith('http:'));
    for (const url of urls) {
      const { code, stdout, stderr } = await web.exec(['curl', '-sS', '-m', '10', ...flags, url]);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(JSON.parse(stdout)).toMatchObject({ name: 'echo', headers: { host: url.split('/')[2] } });
    }
  });

  test.each([
    ['a name of the mesh', () => 'ws://echo:8080/chat'],
    ['a declared port', () => `${direct.replace('http', 'ws')}/chat`],
  ])("Node's WebSocket by %s", async (_how, url) => {
    const script = `const socket = new WebSocket(process.argv[1]);
socket.onopen = () => socket.send('hello');
socket.onmessage = ({ data }) => { console.log(data); socket.close(); };
socket.onclose = ({ code }) => console.log(code);
socket.onerror = ({ message }) => { console.error(message); process.exit(1); };`;
    const { code, stdout, stderr } = await web.exec([node, '-e', script, url()]);
    expect({ code, stdout, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stdout: 'hello\n1005\n', stderr: '' });
  });

  test.each(
    Object.entries(webSocketClients).flatMap(([client, command]) =>
      Object.keys(webSocketServers).flatMap((server) => [
        { client, command, server, how: 'a declared port', url: () => sockets[server]! },
        // Of the two only Python's takes a proxy from its environment.
        ...(client.startsWith('Python') ? [{ client, command, server, how: 'CONNECT', url: () => `ws://${server}:8080` }] : []),
      ]),
    ),
  )('$client to $server by $how', async ({ command, url }) => {
    const { code, stdout, stderr } = await web.exec([...command, 'client', url()], { environment: { ...python, http_proxy: `http://${web.proxy}` } });
    expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
    expect(JSON.parse(stdout)).toEqual({ protocol: 'two', text: 'grüße', sha256: digest.sha256, pong: 'still there?', close: 4001, reason: 'enough' });
  });
});
