import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RunningWorkload, TestMesh, until } from '../harness/mesh.ts';
import { everyPair } from '../harness/planes.ts';
import { Wire } from '../harness/wire.ts';

const MB = 1_000_000;
/** Buffers of two proxies, of three loopback sockets and their ends: what may be under way to somebody who does not read. */
const MAX_UNDER_WAY_BYTES = 25 * MB;
/** An Envoy opens HTTP/2 windows of 16 MiB, and takes that twice. */
const MAX_UNDER_WAY_WITH_ENVOY_BYTES = 100 * MB;

describe.each(everyPair)('HTTP/1 on the wire: client beside %s, server beside %s', (clientPlane, serverPlane) => {
  let mesh: TestMesh;
  let web: RunningWorkload;
  let echo: RunningWorkload;
  let outside: OutsideServer;
  const own = clientPlane === 'outrigger' && serverPlane === 'outrigger';
  /** What an Envoy does between two Envoys is not ours to try. */
  const oursTakesPart = clientPlane !== 'envoy' || serverPlane !== 'envoy';
  const maxUnderWayBytes = own ? MAX_UNDER_WAY_BYTES : MAX_UNDER_WAY_WITH_ENVOY_BYTES;

  beforeAll(async () => {
    outside = await OutsideServer.start();
    mesh = await TestMesh.start();
    [web, echo] = await Promise.all([
      mesh.run({ name: 'web', client: true, dataPlane: clientPlane }),
      mesh.run({ name: 'echo', dataPlane: serverPlane }),
      mesh.apply(`apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: outside}
spec:
  hosts: [outside.example]
  location: MESH_EXTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
  endpoints: [{address: 127.0.0.1, ports: {http: ${outside.port}}}]
`),
    ]);
    await until('a first answer', async () => (await web.call('http://echo:8080/echo')).status === 200);
  }, 60_000);
  afterAll(async () => {
    outside?.stop();
    await mesh?.stop();
  }, 60_000);

  const open = (): Promise<Wire> => Wire.open(web.proxy);
  const request = (method: string, path: string, lines: readonly string[] = [], version = '1.1'): string =>
    [`${method} http://echo:8080${path} HTTP/${version}`, 'Host: echo:8080', ...lines, '', ''].join('\r\n');

  if (oursTakesPart)
    test('50 MB up and 50 MB down arrive as they were sent', async () => {
      const upload = `${web.instance}-upload`;
      const script = `head -c 50000000 /dev/urandom > "$0"; sha256sum < "$0"; curl -sS -T "$0" http://echo:8080/digest; rm "$0"`;
      const up = await web.exec(['sh', '-c', script, `${mesh.state}/${upload}`]);
      expect(up.stderr).toBe('');
      const [sha256 = '', answer = ''] = up.stdout.split(/ +-\n/);
      expect(JSON.parse(answer)).toEqual({ bytes: 50 * MB, sha256 });
      const down = await web.exec(['sh', '-c', 'curl -sS http://echo:8080/bytes/50000000 | sha256sum']);
      expect(down).toMatchObject({ stderr: '', stdout: `${digestOfBytes(50 * MB)}  -\n` });
    });

  if (oursTakesPart)
    test('a reader that stops reading stops the application from sending, and gets the rest when it goes on', async () => {
      const total = 200 * MB;
      const [host = '', port = ''] = web.proxy.split(':');
      const socket = connect(Number(port), host);
      socket.write(request('GET', `/bytes/${total}`, ['Connection: close']));
      await once(socket, 'readable');
      const given = async (): Promise<number> => JSON.parse((await echo.ask('/given')).body) as number;
      expect(await settled(given)).toBeLessThan(maxUnderWayBytes);
      let received = 0;
      socket.on('data', (chunk) => {
        received += chunk.length;
      });
      await once(socket, 'close');
      expect(received).toBeGreaterThan(total);
    });

  if (oursTakesPart)
    test('an application that stops reading stops the sender', async () => {
      const total = 200 * MB;
      const [host = '', port = ''] = web.proxy.split(':');
      const socket = connect(Number(port), host);
      socket.on('error', () => {});
      socket.write(request('POST', '/hold', [`Content-Length: ${total}`]));
      const block = Buffer.alloc(1 << 20, 7);
      let sent = 0;
      const write = (): void => {
        while (sent < total) {
          const chunk = block.subarray(0, Math.min(block.length, total - sent));
          sent += chunk.length;
          if (!socket.write(chunk)) return;
        }
      };
      socket.on('drain', write);
      write();
      expect(await settled(async () => sent)).toBeLessThan(maxUnderWayBytes);
      await echo.ask('/release');
      let answer = '';
      socket.on('data', (chunk) => {
        answer += chunk.toString();
      });
      await until('the answer', async () => answer.includes('sha256'));
      expect(answer).toContain(`"bytes":${total}`);
      socket.destroy();
    });

  test('Expect: 100-continue is the application’s to grant or refuse', async () => {
    const granted = await open();
    granted.send(request('POST', '/digest', ['Content-Length: 5', 'Expect: 100-continue']));
    await granted.expect(/^HTTP\/1\.1 100 Continue\r\n\r\n/i);
    granted.send('hello');
    await granted.expect(/^HTTP\/1\.1 200 OK\r\n/);
    await granted.expect(/"bytes":5/);
    granted.close();

    const refused = await open();
    refused.send(request('POST', '/refuse', ['Content-Length: 5', 'Expect: 100-continue']));
    await refused.expect(/^HTTP\/1\.1 417 /);
    refused.close();
    expect(await echo.count('/refuse')).toBe(0);
  });

  test('content in chunks with trailers arrives with them, and so does the answer', async () => {
    const wire = await open();
    wire.send(request('POST', '/trailers', ['Transfer-Encoding: chunked', 'TE: trailers', 'Connection: TE', 'Trailer: X-Sum']));
    wire.send('5\r\nhello\r\n0\r\nX-Sum: abc\r\n\r\n');
    await wire.expect(/^HTTP\/1\.1 200 OK\r\n(?:.+\r\n)*?transfer-encoding: chunked\r\n/i);
    await wire.expect(/\{"trailers":[\s\S]*\{"x-sum":"abc"\}/);
    await wire.expect(/\r\n0\r\nx-check: whole\r\n\r\n/i);
    wire.close();
  });

  test('HEAD, 204 and 304 have no content, and the connection goes on', async () => {
    const wire = await open();
    wire.send(request('HEAD', '/bytes/12345'));
    await wire.expect(/^HTTP\/1\.1 200 OK\r\n(?:.+\r\n)*?content-length: 12345\r\n(?:.+\r\n)*\r\n/i);
    wire.send(request('GET', '/seq/none/204'));
    await wire.expect(/^HTTP\/1\.1 204 No Content\r\n(?:.+\r\n)*\r\n/);
    wire.send(request('GET', '/seq/same/304'));
    await wire.expect(/^HTTP\/1\.1 304 Not Modified\r\n(?:.+\r\n)*\r\n/);
    wire.send(request('GET', '/seq/last/200'));
    await wire.expect(/^HTTP\/1\.1 200 OK\r\n(?:.+\r\n)*\r\n(?:4\r\n)?200\n/);
    wire.close();
  });

  test('requests in a row on one connection are answered in their order', async () => {
    const wire = await open();
    wire.send(request('GET', '/seq/first/201') + request('GET', '/slow/200') + request('GET', '/seq/third/202', ['Connection: close']));
    expect((await wire.rest()).match(/HTTP\/1\.1 \d+|slow/g)).toEqual(['HTTP/1.1 201', 'HTTP/1.1 200', 'slow', 'HTTP/1.1 202']);
    wire.close();
  });

  test('HTTP/1.0 is answered, and its connection ends with the answer unless it asks for more', async () => {
    const wire = await open();
    wire.send(request('GET', '/seq/old/200', ['Connection: keep-alive'], '1.0'));
    await wire.expect(/^HTTP\/1\.[01] 200 OK\r\n(?:.+\r\n)*\r\n200\n/);
    if (!wire.ended) wire.send(request('GET', '/seq/older/200', [], '1.0'));
    const answer = await wire.rest();
    expect(answer).not.toContain('chunked');
    wire.close();
    const closing = await open();
    closing.send(request('GET', '/seq/oldest/200', [], '1.0'));
    expect(await closing.rest()).toMatch(/^HTTP\/1\.[01] 200 OK\r\n(?:.+\r\n)*\r\n200\n$/);
    closing.close();
  });

  test('header names keep their case on HTTP/1 hops, and their order on every hop', async () => {
    const mine = ['X-Zebra: 1', 'x-Apple: 2', 'ACCEPT: */*', 'X-apple-Pie: 3'];
    const wire = await open();
    wire.send(`GET http://outside.example/a HTTP/1.1\r\nHost: outside.example\r\n${mine.join('\r\n')}\r\n\r\n`);
    await wire.expect(/^HTTP\/1\.1 200 OK\r\n(?:.+\r\n)*?X-MiXed-Answer: yes\r\n/);
    wire.close();
    const sent = outside.heads[0]?.split('\r\n') ?? [];
    expect(sent.filter((line) => mine.includes(line))).toEqual(mine);

    const inMesh = await web.call('http://echo:8080/echo', { headers: { 'X-Zebra': '1', 'x-Apple': '2', 'X-apple-Pie': '3' } });
    const { rawHeaders } = JSON.parse(inMesh.body) as { rawHeaders: string[] };
    expect(rawHeaders.filter((name) => /^x-(zebra|apple)/i.test(name)).map((name) => name.toLowerCase())).toEqual(['x-zebra', 'x-apple', 'x-apple-pie']);
  });

  test('a websocket talks both ways until either end closes it', async () => {
    const wire = await open();
    wire.send(
      request('GET', '/chat', ['Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Version: 13']),
    );
    await wire.expect(/^HTTP\/1\.1 101 (?:.+\r\n)*?sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=\r\n(?:.+\r\n)*\r\n/i);
    for (const word of ['abc', 'again']) {
      const masked = [...word].map((letter, index) => String.fromCharCode(letter.charCodeAt(0) ^ (index % 4)));
      wire.send(`\x81${String.fromCharCode(0x80 | word.length)}\x00\x01\x02\x03${masked.join('')}`);
      await wire.expect(new RegExp(`^\\x81${String.fromCharCode(word.length)}${word}`));
    }
    wire.socket.end();
    expect(await wire.rest()).toBe('');
    wire.close();
  });

  // An Envoy passes the upgrades that its configuration names, and no others.
  if (own)
    test('an upgrade that nobody knows passes too', async () => {
      const wire = await open();
      wire.send(`${request('GET', '/strange', ['Upgrade: strange/2', 'Connection: Upgrade'])}early`);
      await wire.expect(/^HTTP\/1\.1 101 (?:.+\r\n)*\r\nearly$/);
      wire.send('late');
      await wire.expect(/^late$/);
      wire.close();
    });
});

/** A figure, once it has stopped growing. */
async function settled(figure: () => Promise<number>): Promise<number> {
  let before = -1;
  await until(
    'it stops',
    async () => {
      const now = await figure();
      const same = now === before;
      before = now;
      return same;
    },
    20_000,
    500,
  );
  return before;
}

function digestOfBytes(total: number): string {
  const block = Buffer.from(Array.from({ length: 65_536 }, (_, index) => (index * 31) & 0xff));
  const hash = createHash('sha256');
  for (let left = total; left > 0; left -= block.length) hash.update(left < block.length ? block.subarray(0, left) : block);
  return hash.digest('hex');
}

/** A server outside the mesh that keeps the heads of requests as they came. */
class OutsideServer {
  readonly heads: string[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor() {
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => {});
      let text = '';
      socket.setEncoding('latin1').on('data', (chunk: string) => {
        text += chunk;
        if (!text.includes('\r\n\r\n')) return;
        this.heads.push(text);
        text = '';
        socket.write('HTTP/1.1 200 OK\r\nX-MiXed-Answer: yes\r\nContent-Length: 0\r\n\r\n');
      });
    });
  }

  static async start(): Promise<OutsideServer> {
    const outside = new OutsideServer();
    outside.#server.listen(0, '127.0.0.1');
    await once(outside.#server, 'listening');
    return outside;
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  stop(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }
}
