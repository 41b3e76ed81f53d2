import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type DataPlane, node, type RunningWorkload, TestMesh, until } from '../harness/mesh.ts';
import { envoy } from '../harness/planes.ts';
import { freePorts } from '../harness/ports.ts';
import { isRunning, proxyPid } from '../harness/processes.ts';

const app = fileURLToPath(new URL('../harness/app.mjs', import.meta.url));
const planes: readonly DataPlane[] = envoy === undefined ? ['outrigger'] : ['outrigger', 'envoy'];

/** Says "up" once it hears signals, and which came; ends with 40 + the signal's number at any but the first SIGHUP. */
const signalled = `
const numbers = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 };
for (const signal of Object.keys(numbers)) process.on(signal, () => { console.log('got ' + signal); process.exit(40 + numbers[signal]); });
require('node:http').createServer((_, response) => response.end('hello')).listen(Number(process.env.PORT), '127.0.0.1', () => console.log('up'));`;

describe.each(planes)('rig run with %s beside', (dataPlane) => {
  let mesh: TestMesh;
  let web: RunningWorkload;

  beforeAll(async () => {
    mesh = await TestMesh.start();
    web = await mesh.run({ name: 'web', client: true, dataPlane });
  }, 60_000);
  afterAll(async () => {
    await mesh?.stop();
  }, 60_000);

  /** What is the matter with an instance of a service. */
  async function saidOf(service: string): Promise<string[]> {
    const problems = JSON.parse((await mesh.api('GET', '/problems')).body) as { what: string; where: string }[];
    return problems.filter(({ where }) => where.includes(service)).map(({ what }) => what);
  }

  async function applicationPid(service: string): Promise<number> {
    const services = JSON.parse((await mesh.api('GET', '/services')).body) as { name: string; instances: { applicationPid: number }[] }[];
    return services.find(({ name }) => name === service)?.instances[0]?.applicationPid ?? 0;
  }

  test('ends with the exit code of the application, and takes its proxy along', async () => {
    for (const [script, expected] of [
      ['exit 7', 7],
      ['kill -9 $$', 137],
    ] as const) {
      const ended = await mesh.rig(['run', '--name', 'job', '--data-plane', dataPlane, '--', 'sh', '-c', script]);
      expect(ended.code).toBe(expected);
      expect(proxyPid(mesh.state, 'job')).toBe(0);
    }
    const missing = await mesh.rig(['run', '--name', 'job', '--data-plane', dataPlane, '--', '/no/such/program']);
    expect(missing.code).toBe(127);
    expect(missing.stderr).toContain('/no/such/program');
  });

  test('an application that ends at once is not waited for', async () => {
    const ended = await mesh.rig(['run', '--name', 'job', '--data-plane', dataPlane, '--', node, '-p', 'Date.now()']);
    // Registering has 5 s to be answered: that it does not use them up.
    expect(Date.now() - Number(ended.stdout)).toBeLessThan(4000);
  });

  test('what the application says and reads is its own', async () => {
    const said = await mesh.rig(['run', '--name', 'job', '--data-plane', dataPlane, '--', 'sh', '-c', 'echo out; echo err >&2']);
    expect(said.stdout).toBe('out\n');
    expect(said.stderr).toContain('err\n');
  });

  test.each([
    ['SIGTERM', 55],
    ['SIGINT', 42],
    ['SIGHUP', 41],
  ] as const)('passes %s on', async (signal, expected) => {
    const target = await mesh.run({ name: 'target', dataPlane, command: () => [node, '-e', signalled] });
    const ended = once(target.process, 'exit');
    target.process.kill(signal);
    expect(await ended).toEqual([expected, null]);
    expect(target.output()).toContain(`got ${signal}`);
    expect(target.output().match(/got SIG/g)).toHaveLength(1);
    expect(proxyPid(mesh.state, 'target')).toBe(0);
  });

  test('a proxy that is killed is started again, and its application has noticed nothing', async () => {
    const echo = await mesh.run({ name: 'echo', dataPlane });
    await until('a first answer', async () => (await web.call('http://echo:8080/echo')).status === 200);
    const application = await applicationPid('echo');
    expect(isRunning(application)).toBe(true);
    const killed = proxyPid(mesh.state, 'echo');
    expect(killed).toBeGreaterThan(0);
    process.kill(killed, 'SIGKILL');
    await until('there is another proxy', async () => ![0, killed].includes(proxyPid(mesh.state, 'echo')), 10_000);
    await until('it serves', async () => (await web.call('http://echo:8080/again')).status === 200, 15_000);
    // Its count goes on: the same process.
    expect(await echo.count('/echo')).toBeGreaterThan(0);
    expect(isRunning(application)).toBe(true);
    await echo.stop();
  });

  test('an application that is killed ends the run in order: its instance is gone, and its proxy with it', async () => {
    const echo = await mesh.run({ name: 'mortal', dataPlane });
    const application = await applicationPid('mortal');
    const proxy = proxyPid(mesh.state, 'mortal');
    const ended = once(echo.process, 'exit');
    process.kill(application, 'SIGKILL');
    expect(await ended).toEqual([137, null]);
    expect(isRunning(proxy)).toBe(false);
    const left = JSON.parse((await mesh.api('GET', '/services')).body) as { name: string; instances: unknown[] }[];
    expect(left.find(({ name }) => name === 'mortal')?.instances ?? []).toEqual([]);
  });

  test('rig sidecar stands beside somebody else’s process, through its restarts', async () => {
    // An Envoy keeps an endpoint ejected that has become healthy again.
    if (dataPlane === 'envoy')
      await mesh.apply(`apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: other}
spec: {host: other, trafficPolicy: {outlierDetection: {baseEjectionTime: 1s, interval: 0.1s}}}
`);
    const [port = 0] = await freePorts(1);
    const start = () => spawn(node, [app], { env: { ...process.env, NAME: 'other', PORT: String(port) }, stdio: 'ignore' });
    let other = start();
    const sidecar = await mesh.run({ name: 'other', dataPlane, args: ['--sidecar', '--port', `8080:${port}`], client: true, command: () => [] });
    try {
      await until('it is called', async () => (await web.call('http://other:8080/echo')).status === 200);
      const proxy = proxyPid(mesh.state, 'other');
      const ended = once(other, 'exit');
      other.kill('SIGKILL');
      await ended;
      await until('its health check has seen it', async () => (await mesh.api('GET', '/services')).body.includes('"UNHEALTHY"'), 5000);
      expect((await web.call('http://other:8080/echo')).status).toBe(503);
      expect(await saidOf('other')).toEqual([expect.stringMatching(/^\S*other\S* is no endpoint: connect ECONNREFUSED 127.0.0.1:\d+$/)]);
      other = start();
      await until('it is called again', async () => (await web.call('http://other:8080/echo')).status === 200, 10_000);
      expect(proxyPid(mesh.state, 'other')).toBe(proxy);
      expect(await saidOf('other')).toEqual([]);
    } finally {
      other.kill();
      await sidecar.stop();
    }
  });
});
