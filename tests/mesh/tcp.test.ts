import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { node, type RunningWorkload, TestMesh, until } from '../harness/mesh.ts';
import { everyPair } from '../harness/planes.ts';
import { freePorts } from '../harness/ports.ts';
import { Wire } from '../harness/wire.ts';

const app = join(fileURLToPath(new URL('..', import.meta.url)), 'harness/tcp-app.mjs');

describe.each(everyPair)('TCP ports: client beside %s, server beside %s', (clientPlane, serverPlane) => {
  let mesh: TestMesh;
  let web: RunningWorkload;
  let intruder: RunningWorkload;
  let bank: RunningWorkload;
  let declared: string;

  beforeAll(async () => {
    mesh = await TestMesh.start();
    const [port] = await freePorts(1);
    declared = `127.0.0.1:${port}`;
    [web, intruder, bank] = await Promise.all([
      mesh.run({ name: 'web', client: true, dataPlane: clientPlane, args: ['--upstream', `bank:8080=${declared}`] }),
      mesh.run({ name: 'intruder', client: true, dataPlane: clientPlane }),
      mesh.run({ name: 'bank', protocol: 'tcp', dataPlane: serverPlane, command: () => [node, app] }),
    ]);
    await until('the declared port leads to it', async () => {
      const wire = await Wire.open(declared);
      try {
        await wire.expect(/^220 bank ready\r\n/);
        return true;
      } finally {
        wire.close();
      }
    });
  }, 60_000);
  afterAll(async () => {
    await mesh?.stop();
  }, 60_000);

  async function byConnect(from = web): Promise<Wire> {
    const wire = await Wire.open(from.proxy);
    wire.send('CONNECT bank:8080 HTTP/1.1\r\nHost: bank:8080\r\n\r\n');
    await wire.expect(/^HTTP\/1\.1 200 (?:.+\r\n)*\r\n/);
    return wire;
  }
  const byDeclaredPort = (): Promise<Wire> => Wire.open(declared);

  describe.each([
    // An Envoy takes the end of one half of a CONNECT for the end of all (docs/xds.md).
    ['CONNECT', byConnect, clientPlane !== 'envoy'],
    ['a declared port', byDeclaredPort, true],
  ])('by %s', (_how, dial, halfCloses) => {
    test('the server speaks first, and both speak by turns', async () => {
      const wire = await dial();
      await wire.expect(/^220 bank ready\r\n$/);
      for (const word of ['one', 'two']) {
        wire.send(`echo ${word}\n`);
        await wire.expect(new RegExp(`^${word}\n$`));
      }
      wire.close();
    });

    if (halfCloses)
      test('what is sent before an end arrives whole, and is answered after it', async () => {
        const wire = await dial();
        await wire.expect(/^220 bank ready\r\n$/);
        const content = randomBytes(20 << 20);
        wire.send('take\n');
        wire.socket.end(content);
        expect(await wire.rest()).toBe(`took ${content.length} ${createHash('sha256').update(content).digest('hex')}\n`);
        wire.close();
      });

    test('what the server sends in bulk arrives whole at a slow reader', async () => {
      const wire = await dial();
      await wire.expect(/^220 bank ready\r\n$/);
      const size = 30 << 20;
      wire.socket.pause();
      wire.send(`give ${size}\n`);
      wire.socket.resume();
      await until('all of it', async () => wire.received.length === size);
      wire.close();
    });

    test('a reset of the server ends the client’s connection', async () => {
      const wire = await dial();
      await wire.expect(/^220 bank ready\r\n$/);
      wire.send('reset\n');
      expect(await wire.rest()).toBe('');
      wire.close();
    });

    test('a client that goes away takes its connection to the server with it', async () => {
      const wire = await dial();
      await wire.expect(/^220 bank ready\r\n$/);
      const before = await connections(bank);
      wire.socket.resetAndDestroy();
      await until('the server is rid of it', async () => (await connections(bank)) < before, 5000);
    });
  });

  test('the server may end its half first, and still takes what comes', async () => {
    const wire = await byDeclaredPort();
    await wire.expect(/^220 bank ready\r\n$/);
    wire.send('bye\n');
    expect(await wire.rest()).toBe('bye\n');
    wire.send('and one more thing');
    wire.socket.end();
    await once(wire.socket, 'close');
    await until('the server has it', async () => bank.output().includes('after bye: 18'), 5000);
  });

  test('connections and bytes are counted under Istio’s names', async () => {
    const sides = [
      ...(clientPlane === 'outrigger' ? [['source', web] as const] : []),
      ...(serverPlane === 'outrigger' ? [['destination', bank] as const] : []),
    ];
    for (const [reporter, workload] of sides) {
      const text = await (await fetch(`http://${workload.metricsAddress}/metrics`)).text();
      for (const name of ['connections_opened', 'connections_closed', 'sent_bytes', 'received_bytes']) {
        const line = text.split('\n').find((each) => each.startsWith(`istio_tcp_${name}_total{reporter="${reporter}"`)) ?? '';
        expect(line).toMatch(/source_workload="web".*destination_workload="bank".*request_protocol="tcp".*connection_security_policy="mutual_tls"/);
        expect(Number(line.split(' ').at(-1))).toBeGreaterThan(0);
      }
    }
  });

  test('between the sidecars is mTLS: under STRICT plain text is refused, and a policy by principal holds', async () => {
    const plain = await Wire.open(bank.meshAddress);
    const fromMs = performance.now();
    await plain.expect(/^220 bank ready\r\n$/);
    // An Envoy waits for the caller for two seconds (docs/xds.md); ours for nobody.
    if (serverPlane === 'outrigger') expect(performance.now() - fromMs).toBeLessThan(1_900);
    plain.close();
    await mesh.apply(`apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: istio-system}
spec: {mtls: {mode: STRICT}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: bank-web-only}
spec:
  selector: {matchLabels: {app: bank}}
  rules: [{from: [{source: {principals: [cluster.local/ns/default/sa/web]}}]}]
`);
    await until('plain text is refused', async () => {
      const refused = await Wire.open(bank.meshAddress);
      refused.send('echo hello\n');
      const got = await refused.rest().catch(() => 'it stays open');
      refused.close();
      return got === '';
    });
    const wire = await byConnect();
    await wire.expect(/^220 bank ready\r\n$/);
    wire.close();
    const other = await byConnect(intruder);
    other.send('echo hello\n');
    // An Envoy asks its policies at the client's first byte: what the server says before that gets out (docs/xds.md).
    expect(await other.rest()).toMatch(serverPlane === 'envoy' ? /^(220 bank ready\r\n)?$/ : /^$/);
    other.close();
    await mesh.delete('PeerAuthentication', 'default', 'istio-system');
    await mesh.delete('AuthorizationPolicy', 'bank-web-only');
  });
});

/** Established connections to a workload's application, by the kernel's table. */
async function connections(of: RunningWorkload): Promise<number> {
  const port = of.applicationPort.toString(16).toUpperCase().padStart(4, '0');
  const table = await readFile('/proc/net/tcp', 'utf8');
  return table.split('\n').filter((line) => new RegExp(`^ *\\d+: [0-9A-F]{8}:${port} [0-9A-F]{8}:[0-9A-F]{4} 01 `).test(line)).length;
}
