import { Agent } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RunningWorkload, TestMesh, until } from '../harness/mesh.ts';
import { isRunning, proxyPid } from '../harness/processes.ts';
import { Wire } from '../harness/wire.ts';

/** Workers and the time of one round: 500 requests a second. */
const WORKERS = 20;
const ROUND_MS = 40;

/** Calls at a steady rate, half of them on connections that are kept, half each on its own. */
class SteadyCalls {
  readonly failures: string[] = [];
  requests = 0;
  #stopped = false;
  readonly #workers: Promise<void>[];

  constructor(from: RunningWorkload, url: string) {
    this.#workers = Array.from({ length: WORKERS }, (_, index) =>
      this.#work(from, url, index % 2 === 0 ? new Agent({ keepAlive: true, maxSockets: 1 }) : undefined),
    );
  }

  async #work(from: RunningWorkload, url: string, agent: Agent | undefined): Promise<void> {
    while (!this.#stopped) {
      const endMs = performance.now() + ROUND_MS;
      try {
        const { status, headers, body } = await from.call(url, agent === undefined ? {} : { agent });
        if (status !== 200) this.failures.push(`${status} ${String(headers['proxy-status'])} ${body}`);
      } catch (error) {
        this.failures.push(String(error));
      }
      this.requests++;
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, endMs - performance.now())));
    }
    agent?.destroy();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#workers);
  }
}

describe('hot restart of sidecars', () => {
  let mesh: TestMesh;
  let web: RunningWorkload;

  beforeAll(async () => {
    mesh = await TestMesh.start();
    [web] = await Promise.all([mesh.run({ name: 'web', client: true }), mesh.run({ name: 'echo' })]);
    await until('a first answer', async () => (await web.call('http://echo:8080/echo')).status === 200);
  }, 60_000);
  afterAll(async () => {
    await mesh?.stop();
  }, 60_000);

  test('under 500 requests a second no connection is refused and no request fails, on either side', async () => {
    const before = [proxyPid(mesh.state, 'web'), proxyPid(mesh.state, 'echo')];
    const calls = new SteadyCalls(web, 'http://echo:8080/echo');
    const slow = web.call('http://echo:8080/slow/2500');
    for (let round = 0; round < 2; round++) {
      const { code, stdout, stderr } = await mesh.rig(['restart', 'echo', 'web']);
      expect(`${code} ${stderr}`).toBe('0 ');
      expect(stdout.trim().split('\n')).toHaveLength(2);
    }
    expect((await slow).body).toBe('slow\n');
    await calls.stop();
    expect(calls.failures).toEqual([]);
    expect(calls.requests).toBeGreaterThan(200);
    await until('the old ones have ended', async () => before.every((pid) => !isRunning(pid)));
    const { stdout } = await mesh.rig(['status', '-o', 'json']);
    expect(stdout).toContain('echo.default');
    expect(Number((await web.call('http://echo:8080/echo')).status)).toBe(200);
  }, 60_000);

  test('a tunnel that is open stays with the process that has it', async () => {
    const wire = await Wire.open(web.proxy);
    wire.send('GET http://echo:8080/ HTTP/1.1\r\nHost: echo:8080\r\nConnection: Upgrade\r\nUpgrade: bytes\r\n\r\n');
    await wire.expect(/^HTTP\/1\.1 101 (?:.+\r\n)*\r\n/);
    const before = proxyPid(mesh.state, 'web');
    expect((await mesh.rig(['restart', '--all'])).code).toBe(0);
    wire.send('still here');
    await wire.expect(/still here/);
    expect(isRunning(before)).toBe(true);
    wire.close();
    await until('it has ended with its last connection', async () => !isRunning(before));
  }, 60_000);

  test('an instance that does not run is told, and one that is ended while it restarts leaves nothing behind', async () => {
    const { code, stderr } = await mesh.rig(['restart', 'nobody']);
    expect(code).toBe(1);
    expect(stderr).toContain('no `rig run` or `rig sidecar` of default.nobody runs here');
    const other = await mesh.run({ name: 'other', client: true });
    other.process.kill('SIGUSR2');
    await other.stop();
    await until('no proxy of it', async () => proxyPid(mesh.state, 'other') === 0);
  }, 60_000);
});
