import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RunningWorkload, TestMesh, until } from '../harness/mesh.ts';
import { envoy } from '../harness/planes.ts';
import { proxyPid } from '../harness/processes.ts';

let mesh: TestMesh;
let callers: RunningWorkload[];
const url = 'http://order-service:8080/echo';
/** What `rig apply` without --wait promises. */
const EFFECT_MS = 1000;
/** How long one proxy holds up `rig apply --wait`, beyond what the others need. */
const STOPPED_MS = 500;

interface Waited {
  readonly wait: { readonly done: boolean; readonly elapsedMs: number; readonly affected: number; readonly acknowledged: number; readonly laggards: string[] };
}

beforeAll(async () => {
  mesh = await TestMesh.start();
  const [, , ...rest] = await Promise.all([
    mesh.run({ name: 'order-service', version: 'v1' }),
    mesh.run({ name: 'order-service', version: 'v2' }),
    mesh.run({ name: 'web', client: true }),
    mesh.run({ name: 'shop', client: true }),
    ...(envoy === undefined ? [] : [mesh.run({ name: 'back-office', client: true, dataPlane: 'envoy' })]),
  ]);
  callers = rest;
  await mesh.apply(weights(100));
  for (const caller of callers) await until('a first answer', async () => (await version(caller)) === 'v1');
}, 60_000);
afterAll(async () => {
  await mesh?.stop();
}, 60_000);

function weights(v1: number): string {
  return `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: order-service}
spec:
  hosts: [order-service]
  http:
    - route:
        - {destination: {host: order-service, subset: v1}, weight: ${v1}}
        - {destination: {host: order-service, subset: v2}, weight: ${100 - v1}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: order-service}
spec:
  host: order-service
  subsets:
    - {name: v1, labels: {version: v1}}
    - {name: v2, labels: {version: v2}}
`;
}

async function version(caller: RunningWorkload): Promise<string> {
  return String((await caller.call(url)).headers['x-version']);
}

async function apply(v1: number, ...more: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const file = join(mesh.state, 'weights.yaml');
  writeFileSync(file, weights(v1));
  return await mesh.rig(['apply', '-f', file, ...more]);
}

test('a change of one weight is in effect in every sidecar within a second of the end of apply', async () => {
  for (const [v1, expected] of [
    [0, 'v2'],
    [100, 'v1'],
    [0, 'v2'],
  ] as const) {
    const { code, stderr } = await apply(v1);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const appliedMs = performance.now();
    const delaysMs = await Promise.all(
      callers.map(async (caller) => {
        await until(`${caller.name} calls ${expected}`, async () => (await version(caller)) === expected, EFFECT_MS, 5);
        return performance.now() - appliedMs;
      }),
    );
    expect(Math.max(...delaysMs)).toBeLessThan(EFFECT_MS);
    // And nobody goes back.
    for (const caller of callers) for (let call = 0; call < 5; call++) expect(await version(caller)).toBe(expected);
  }
});

test('--wait ends when all have acknowledged, and what was applied holds at once', async () => {
  const startedMs = performance.now();
  const { code, stdout } = await apply(100, '--wait', '-o', 'json');
  const tookMs = performance.now() - startedMs;
  expect(code).toBe(0);
  const { wait } = JSON.parse(stdout) as Waited;
  expect(wait).toMatchObject({ done: true, laggards: [] });
  // Of all proxies those that call the service.
  expect(wait.affected).toBe(callers.length);
  expect(wait.acknowledged).toBe(wait.affected);
  expect(wait.elapsedMs).toBeLessThan(tookMs);
  expect(await Promise.all(callers.map(version))).toEqual(callers.map(() => 'v1'));
});

test('--wait names a proxy that has stopped, and says how long it took once that goes on', async () => {
  for (const stopped of callers) {
    const pid = proxyPid(mesh.state, stopped.instance);
    expect(pid).toBeGreaterThan(0);
    process.kill(pid, 'SIGSTOP');
    try {
      const { code, stdout } = await apply(0, '--wait', '1', '-o', 'json');
      expect(code).toBe(4);
      const { wait } = JSON.parse(stdout) as Waited;
      expect(wait).toMatchObject({ done: false, laggards: [`${stopped.instance}.default`] });
      expect(wait.acknowledged).toBe(wait.affected - 1);
      expect(wait.elapsedMs).toBeGreaterThanOrEqual(1000);

      const startedMs = performance.now();
      const applied = apply(100, '--wait', '-o', 'json');
      await until('the others have it', async () => (await Promise.all(callers.filter((one) => one !== stopped).map(version))).every((v) => v === 'v1'), 5000);
      await new Promise((resolve) => setTimeout(resolve, STOPPED_MS));
      process.kill(pid, 'SIGCONT');
      const { wait: second } = JSON.parse((await applied).stdout) as Waited;
      expect(second).toMatchObject({ done: true, laggards: [] });
      expect(second.elapsedMs).toBeGreaterThanOrEqual(STOPPED_MS);
      expect(second.elapsedMs).toBeLessThan(performance.now() - startedMs);
      expect(await version(stopped)).toBe('v1');
    } finally {
      process.kill(pid, 'SIGCONT');
    }
  }
});
