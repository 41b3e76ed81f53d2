import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { afterEach, describe, expect, test } from 'vitest';
import { callAs, identityOf } from '../harness/impostor.ts';
import { Load } from '../harness/load.ts';
import { type DataPlane, type RunningWorkload, TestMesh, until } from '../harness/mesh.ts';
import { envoy, everyPair } from '../harness/planes.ts';

let mesh: TestMesh | undefined;
afterEach(async () => {
  await mesh?.stop();
  mesh = undefined;
}, 60_000);

/** How many of a service's endpoints a caller's sidecar would use, by the control plane. */
async function instances(of: TestMesh, service: string): Promise<string[]> {
  const services = JSON.parse((await of.api('GET', '/services')).body) as { name: string; instances: { id: string; health: string }[] }[];
  return (
    services
      .find(({ name }) => name === service)
      ?.instances.filter(({ health }) => health === 'HEALTHY')
      .map(({ id }) => id) ?? []
  );
}

describe('an instance that is killed', () => {
  test.each(everyPair)('fails no idempotent request, and is gone within 2 s (client beside %s, servers beside %s)', async (clientPlane, serverPlane) => {
    mesh = await TestMesh.start();
    const [client, , second] = await Promise.all([
      mesh.run({ name: 'web', client: true, dataPlane: clientPlane }),
      mesh.run({ name: 'payment', instance: 'payment-1', dataPlane: serverPlane }),
      mesh.run({ name: 'payment', instance: 'payment-2', dataPlane: serverPlane }),
    ]);
    await until('a first answer', async () => (await client.call('http://payment:8080/echo')).status === 200);
    const load = new Load(client, 'http://payment:8080/echo', { concurrency: 8, pauseMs: 20 });
    await new Promise((resolve) => setTimeout(resolve, 500));
    const killedMs = performance.now();
    second.process.kill('SIGKILL');
    await until('the instance is gone', async () => (await instances(mesh as TestMesh, 'payment')).length === 1, 2000, 10);
    expect(performance.now() - killedMs).toBeLessThan(2000);
    await new Promise((resolve) => setTimeout(resolve, 1500));
    await load.stop();
    expect(load.failures).toEqual([]);
    expect(load.requests).toBeGreaterThan(200);
  });

  test('leaves no application and no proxy behind when its supervisor is killed with -9', async () => {
    mesh = await TestMesh.start();
    const workload = await mesh.run({ name: 'payment' });
    const services = JSON.parse((await mesh.api('GET', '/services')).body) as { name: string; instances: { applicationPid: number; proxyPid: number }[] }[];
    const { applicationPid = 0, proxyPid = 0 } = services.find(({ name }) => name === 'payment')?.instances[0] ?? {};
    expect(applicationPid).toBeGreaterThan(0);
    expect(proxyPid).toBeGreaterThan(0);
    workload.process.kill('SIGKILL');
    const gone = (pid: number): boolean => {
      try {
        process.kill(pid, 0);
        return false;
      } catch {
        return true;
      }
    };
    await until('both are gone', async () => gone(applicationPid) && gone(proxyPid), 5000);
  });
});

test.each(everyPair)(
  'the control plane killed with -9 under load fails no request, and a sidecar restarted meanwhile serves (%s to %s)',
  async (clientPlane, serverPlane) => {
    mesh = await TestMesh.start();
    const [client, server] = await Promise.all([
      mesh.run({ name: 'web', client: true, dataPlane: clientPlane }),
      mesh.run({ name: 'payment', dataPlane: serverPlane }),
      mesh.run({ name: 'payment', instance: 'payment-2', dataPlane: serverPlane }),
    ]);
    await until('a first answer', async () => (await client.call('http://payment:8080/echo')).status === 200);
    const load = new Load(client, 'http://payment:8080/echo', { concurrency: 4, pauseMs: 20 });
    await new Promise((resolve) => setTimeout(resolve, 500));
    const services = JSON.parse((await mesh.api('GET', '/services')).body) as { name: string; instances: { id: string; proxyPid: number }[] }[];
    const proxyPid = services.find(({ name }) => name === 'payment')?.instances.find(({ id }) => id.endsWith('/payment'))?.proxyPid ?? 0;
    expect(proxyPid).toBeGreaterThan(0);
    await mesh.killControlPlane();
    await new Promise((resolve) => setTimeout(resolve, 500));
    // The proxy of one of two servers: its supervisor starts it again, from what is on disk.
    process.kill(proxyPid, 'SIGKILL');
    // Asked at its own port: for its callers the circuit to it is open for a while.
    await until(
      'the restarted sidecar serves',
      async () => (await fetch(`http://${server.meshAddress}/restarted`)).ok && (await server.count('/restarted')) > 0,
      10_000,
    );
    await load.stop();
    expect(load.failures).toEqual([]);
    await mesh.startControlPlane();
    await until('everybody is registered again', async () => (await instances(mesh as TestMesh, 'payment')).length === 2, 10_000);
    expect((await client.call('http://payment:8080/echo')).status).toBe(200);
  },
);

test('certificates of 10 seconds are rotated without a failed request or handshake, beside both data planes', async () => {
  mesh = await TestMesh.start(['--certificate-ttl', '10']);
  const { state } = mesh;
  const planes: readonly DataPlane[] = envoy === undefined ? ['outrigger'] : ['outrigger', 'envoy'];
  const started = await Promise.all(
    planes.flatMap((dataPlane) => [
      (mesh as TestMesh).run({ name: `web-${dataPlane}`, client: true, dataPlane }),
      (mesh as TestMesh).run({ name: 'payment', instance: `payment-${dataPlane}`, dataPlane }),
    ]),
  );
  const clients = started.filter(({ name }) => name !== 'payment');
  const servers = started.filter(({ name }) => name === 'payment');
  for (const client of clients) await until('a first answer', async () => (await client.call('http://payment:8080/echo')).status === 200);
  const loads = clients.map((client) => new Load(client, 'http://payment:8080/echo', { concurrency: 3, pauseMs: 25 }));
  // Renewed at half life: a rotation each 5 s on either side. Twenty of them in the long form.
  const rotations = process.env['OUTRIGGER_LONG'] ? 20 : 3;
  const seen = new Map(servers.map(({ instance }) => [instance, new Set<string>()]));
  const handshakes: string[] = [];
  await until(
    `${rotations} rotations`,
    async () => {
      for (const { instance, meshAddress } of servers) {
        const { status, error, serverSerial } = await callAs(meshAddress, '/echo', identityOf(state, clients[0]?.instance ?? ''));
        if (status !== 200) handshakes.push(`${instance}: ${status} ${error}`);
        seen.get(instance)?.add(serverSerial);
      }
      return [...seen.values()].every((serials) => serials.size > rotations);
    },
    rotations * 10_000,
    300,
  );
  for (const load of loads) {
    await load.stop();
    expect(load.failures).toEqual([]);
    expect(load.requests).toBeGreaterThan(300);
  }
  expect(handshakes).toEqual([]);
}, 240_000);

test.each<DataPlane>(['outrigger', ...(envoy ? (['envoy'] as const) : [])])(
  'a failing end of a chain of five is asked at most 4 times a request (%s)',
  async (dataPlane) => {
    mesh = await TestMesh.start();
    const names = ['web', 'orders', 'payment', 'fraud'];
    const [client, ledger] = (await Promise.all([
      mesh.run({ name: 'load', client: true, dataPlane }),
      mesh.run({ name: 'ledger', dataPlane }),
      ...names.map((name, index) =>
        (mesh as TestMesh).run({
          name,
          dataPlane,
          next: `http://${names[index + 1] ?? 'ledger'}:8080${index === names.length - 1 ? '/seq/ledger/503' : '/chain'}`,
        }),
      ),
    ])) as [RunningWorkload, RunningWorkload];
    // An Envoy may not know the next service yet: such a request reaches nobody, and the first that does is counted.
    await until('a request reaches the ledger', async () => {
      const id = randomUUID();
      expect((await client.call('http://web:8080/chain', { headers: { 'x-request-id': id } })).status).toBeGreaterThanOrEqual(500);
      return (await ledger.count('/seq/ledger/503')) > 0;
    });
    expect(await ledger.count('/seq/ledger/503')).toBeLessThanOrEqual(4);
  },
);

test('a connect timeout is retried once', async () => {
  mesh = await TestMesh.start();
  const hole = await blackHole();
  const client = await mesh.run({ name: 'web', client: true });
  await mesh.apply(`apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: nowhere}
spec:
  hosts: [nowhere.example]
  location: MESH_EXTERNAL
  resolution: STATIC
  ports: [{number: 8080, name: http, protocol: HTTP}]
  endpoints: [{address: 127.0.0.1, ports: {http: ${hole.port}}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: nowhere}
spec:
  host: nowhere.example
  trafficPolicy: {connectionPool: {tcp: {connectTimeout: 0.3s}}}
`);
  const startedMs = performance.now();
  const answer = await client.call('http://nowhere.example:8080/');
  const elapsedMs = performance.now() - startedMs;
  expect(answer.status).toBe(503);
  hole.stop();
  // Two tries of 300 ms and one pause, neither one nor four.
  expect(elapsedMs).toBeGreaterThanOrEqual(590);
  expect(elapsedMs).toBeLessThan(1150);
});

/** A port that answers no SYN: it listens, never accepts, and its queue is full. Node's own servers accept at once, so Python holds it. */
function blackHole(): Promise<{ port: number; stop: () => void }> {
  const program = `import socket, sys, time
server = socket.socket(); server.bind(("127.0.0.1", 0)); server.listen(0)
held = []
for _ in range(3):
    client = socket.socket(); client.setblocking(False); client.connect_ex(server.getsockname()); held.append(client)
time.sleep(0.2); print(server.getsockname()[1], flush=True); sys.stdin.read()`;
  const child = spawn('python3', ['-c', program], { stdio: ['pipe', 'pipe', 'inherit'] });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.stdout.once('data', (chunk: Buffer) => resolve({ port: Number(chunk.toString()), stop: () => child.kill() }));
  });
}
