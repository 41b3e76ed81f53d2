import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Answer, call, TestMesh, until } from '../harness/mesh.ts';
import { application, type NodeEntry, TestNode } from '../harness/node.ts';
import { freePorts } from '../harness/ports.ts';
import { isRunning } from '../harness/processes.ts';
import { Wire } from '../harness/wire.ts';

const policy = (app: string, allowed: string): string => `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata:
  name: ${app}
spec:
  selector: {matchLabels: {app: ${app}}}
  action: ALLOW
  rules: [{from: [{source: {principals: ["cluster.local/ns/default/sa/${allowed}"]}}]}]
---
`;

describe('rig node: one process for the proxies of all workloads of a host', () => {
  let mesh: TestMesh;
  let node: TestNode;
  let ports: number[];
  const get = (port: number, path = '/echo'): Promise<Answer> => call({ host: '127.0.0.1', port, path });

  const [ALICE_ECHO, ALICE_VAULT, BOB_ECHO, BOB_VAULT, VAULT, CAROL_ECHO] = [0, 1, 2, 3, 4, 5];
  const at = (index: number): number => ports[index]!;
  const alice = (): NodeEntry => ({ name: 'alice', upstream: [`echo=127.0.0.1:${at(ALICE_ECHO)}`, `vault=127.0.0.1:${at(ALICE_VAULT)}`] });
  const bob = (): NodeEntry => ({ name: 'bob', upstream: [`echo=127.0.0.1:${at(BOB_ECHO)}`, `vault=127.0.0.1:${at(BOB_VAULT)}`] });
  const vault = (): NodeEntry => ({ name: 'vault', ...application('vault', at(VAULT)) });

  beforeAll(async () => {
    ports = await freePorts(6);
    mesh = await TestMesh.start();
    [node] = await Promise.all([TestNode.start(mesh, [alice(), bob(), vault()]), mesh.run({ name: 'echo' })]);
    await until('first answers', async () => (await get(at(ALICE_ECHO))).status === 200 && (await get(at(BOB_VAULT))).status === 200);
  }, 90_000);
  afterAll(async () => {
    await mesh?.stop();
  }, 60_000);

  /** On a connection of its own that stays open. */
  async function tunnel(port: number): Promise<Wire> {
    const wire = await Wire.open(`127.0.0.1:${port}`);
    wire.send('GET / HTTP/1.1\r\nHost: echo\r\nConnection: Upgrade\r\nUpgrade: bytes\r\n\r\n');
    await wire.expect(/^HTTP\/1\.1 101 (?:.+\r\n)*\r\n/);
    return wire;
  }

  test('each workload is itself to others, and has its own policies', async () => {
    const callers = await Promise.all([ALICE_ECHO, BOB_ECHO].map(async (index) => (await get(at(index))).body));
    expect(callers.map((body) => /URI=(spiffe:[^",;]+)/.exec(body)?.[1])).toEqual([
      'spiffe://cluster.local/ns/default/sa/alice',
      'spiffe://cluster.local/ns/default/sa/bob',
    ]);
    await mesh.apply(policy('vault', 'alice') + policy('echo', 'bob'));
    const statuses = await Promise.all([ALICE_ECHO, ALICE_VAULT, BOB_ECHO, BOB_VAULT].map(async (index) => (await get(at(index))).status));
    expect(statuses).toEqual([403, 200, 200, 403]);
    await mesh.delete('AuthorizationPolicy', 'vault');
    await mesh.delete('AuthorizationPolicy', 'echo');
    for (const index of [ALICE_ECHO, BOB_VAULT]) await until('no policy', async () => (await get(at(index))).status === 200);
  });

  test('what is added, changed or removed touches no connection of another', async () => {
    const { proxyPid } = node;
    const wire = await tunnel(at(ALICE_ECHO));
    const gone = await Wire.open(`127.0.0.1:${at(BOB_ECHO)}`);
    const carol: NodeEntry = { name: 'carol', upstream: [`echo=127.0.0.1:${at(CAROL_ECHO)}`] };
    await node.apply([alice(), bob(), vault(), carol]);
    await until('an answer', async () => (await get(at(CAROL_ECHO))).status === 200);
    node.write('- name: alice\n  port: [nowhere]\n- nam: bob\n');
    await until('it says what is wrong', async () => /:2: port nowhere.*\n.*:3: "nam" is nothing/.test(node.output()));
    gone.send('GET /echo HTTP/1.1\r\nHost: echo\r\n\r\n');
    await gone.expect(/^HTTP\/1\.1 200/);
    await node.apply([alice(), { ...vault(), env: { ...vault().env, VERSION: 'v2' } }]);
    await until('what was removed has ended', async () => gone.ended);
    await expect(get(at(CAROL_ECHO))).rejects.toThrow('ECONNREFUSED');
    await until('what was changed answers', async () => (await get(at(ALICE_VAULT))).status === 200);
    wire.send('the same');
    await wire.expect(/the same/);
    wire.close();
    expect(node.proxyPid).toBe(proxyPid);
    await node.apply([alice(), bob(), vault()]);
    await until('an answer', async () => (await get(at(BOB_ECHO))).status === 200);
  }, 90_000);

  /** Requests, one after the other on each of some connections and with a connection for each, until it is ended. */
  function steady(indexes: readonly number[]): { failures: string[]; stop(): Promise<number> } {
    const failures: string[] = [];
    let over = false;
    let asked = 0;
    const workers = indexes.flatMap((index) =>
      [0, 1, 2].map(async () => {
        while (!over) {
          await get(at(index)).then(
            ({ status, headers }) => status !== 200 && failures.push(`${status} ${String(headers['proxy-status'])}`),
            (error) => failures.push(String(error)),
          );
          asked++;
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
      }),
    );
    return {
      failures,
      async stop() {
        over = true;
        await Promise.all(workers);
        return asked;
      },
    };
  }

  test('another process takes over all of them, by `rig restart` and by SIGHUP, with no request failed', async () => {
    const calls = steady([ALICE_ECHO, ALICE_VAULT, BOB_ECHO, BOB_VAULT]);
    const wire = await tunnel(at(ALICE_ECHO));
    const before = node.proxyPid;
    const { code, stdout, stderr } = await mesh.rig(['restart', 'alice', 'bob']);
    expect(`${code} ${stderr}`).toBe('0 ');
    const after = node.proxyPid;
    expect(stdout).toBe(`default.alice: proxy ${before} -> ${after}\ndefault.bob: proxy ${before} -> ${after}\n`);
    expect(after).not.toBe(before);
    process.kill(after, 'SIGHUP');
    await until('a third process', async () => node.proxyPid !== after, 30_000);
    wire.send('still here');
    await wire.expect(/still here/);
    wire.close();
    expect(await calls.stop()).toBeGreaterThan(50);
    expect(calls.failures).toEqual([]);
  }, 90_000);

  test('all serve again after the process was killed', async () => {
    const pid = node.proxyPid;
    process.kill(pid, 'SIGKILL');
    await until('another process', async () => node.proxyPid !== pid);
    for (const index of [ALICE_ECHO, ALICE_VAULT, BOB_ECHO, BOB_VAULT]) await until('an answer', async () => (await get(at(index))).status === 200, 20_000);
  }, 60_000);

  test('its admin interface ends one workload’s proxy alone, and that one comes again', async () => {
    const [, admin = 0] = mesh.portsOf('default', 'bob');
    const post = request({ host: '127.0.0.1', port: admin, path: '/quitquitquit', method: 'POST', agent: false });
    post.on('error', () => {});
    post.end();
    await until('it is gone', async () =>
      get(at(BOB_ECHO)).then(
        () => false,
        () => true,
      ),
    );
    expect((await get(at(ALICE_ECHO))).status).toBe(200);
    await until('it is there again', async () => (await get(at(BOB_ECHO))).status === 200, 20_000);
  }, 60_000);

  test('SIGTERM ends all in order', async () => {
    const pid = node.proxyPid;
    const ended = new Promise((resolve) => node.process.once('exit', (code) => resolve(code)));
    node.process.kill('SIGTERM');
    expect(await ended).toBe(0);
    expect(isRunning(pid)).toBe(false);
    expect((await mesh.rig(['status'])).stdout).not.toMatch(/^alice\.default +outrigger +yes/m);
  }, 60_000);
});
