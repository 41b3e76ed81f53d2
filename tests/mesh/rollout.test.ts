import type { RolloutView } from '@outrigger/control-plane/api';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Load } from '../harness/load.ts';
import { type RunningWorkload, TestMesh, until } from '../harness/mesh.ts';
import { envoy } from '../harness/planes.ts';

/** More than its evidence needs (docs/rollouts.md), with what comes while the last figures are fetched and the routes pushed. */
const FAILED_AT_MOST = 40;
const RUN_MS = 60_000;
const long = process.env['OUTRIGGER_LONG'] !== undefined;

let mesh: TestMesh;
let web: RunningWorkload;
beforeEach(async () => {
  mesh = await TestMesh.start();
  [web] = await Promise.all([mesh.run({ name: 'web', client: true }), mesh.run({ name: 'orders', version: 'v1' })]);
});
afterEach(async () => {
  await mesh?.stop();
}, 60_000);

const start = async (...more: string[]): Promise<RolloutView> => {
  const { code, stdout, stderr } = await mesh.rig(['rollout', 'start', 'orders', '--to', 'v2', ...more, '-o', 'json']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return JSON.parse(stdout) as RolloutView;
};
const views = async (): Promise<RolloutView[]> => JSON.parse((await mesh.api('GET', '/rollouts')).body) as RolloutView[];
const reaches = (what: string, condition: (view: RolloutView) => boolean): Promise<void> =>
  until(
    what,
    async () => {
      const [view] = await views().catch(() => []);
      if (view !== undefined && view.phase !== 'progressing' && !condition(view)) throw new Error(JSON.stringify(view, undefined, 1));
      return view !== undefined && condition(view);
    },
    RUN_MS,
  );

test(
  'a version that fails 3 % is rolled back; a good one reaches 100 %, with the control plane killed in the middle',
  async () => {
    // Of an Envoy by its access log, of ours by its metrics: the two are compared with each other.
    const bad = await mesh.run({ name: 'orders', version: 'v2', instance: 'orders-bad', ...(envoy === undefined ? {} : { dataPlane: 'envoy' }) });
    // Every 33rd of the new version's answers is a 500; POST is not tried again.
    const failing = { ...web, call: (url: string) => web.call(url, { method: 'POST' }) };
    let load = new Load(failing, 'http://orders:8080/flaky/v2/33', { concurrency: 12, pauseMs: 40 });
    const view = await start('--steps', '50,100', '--every', '2s', '--require', 'success>=99.5%');
    expect(view).toMatchObject({ from: 'v1', to: 'v2', weight: 50, routes: ['every call of orders'] });
    await reaches('a rollback', ({ phase }) => phase === 'rolled-back');
    await load.stop();
    expect(load.failures.length).toBeGreaterThan(0);
    expect(load.failures.length).toBeLessThanOrEqual(FAILED_AT_MOST);
    expect((await views())[0]?.weight).toBe(0);

    await bad.stop();
    await mesh.run({ name: 'orders', version: 'v2', instance: 'orders-good' });
    load = new Load(web, 'http://orders:8080/slow/5', { concurrency: 12, pauseMs: 30 });
    await start('--steps', '40,100', '--every', '3s', '--require', 'success>=99%', '--require', 'p50<=3x');
    await reaches('some evidence', ({ arms }) => arms.to.requests > 0);
    await mesh.killControlPlane();
    await mesh.startControlPlane();
    const [again] = await views();
    expect(again).toMatchObject({ phase: 'progressing', step: 0, weight: 40 });
    await reaches('100 %', ({ phase }) => phase === 'succeeded');
    await load.stop();
    expect(load.failures).toEqual([]);
    const answers = await Promise.all(Array.from({ length: 10 }, () => web.call('http://orders:8080/echo')));
    expect(new Set(answers.map(({ headers }) => headers['x-version']))).toEqual(new Set(['v2']));
    const { stdout } = await mesh.rig(['get', 'rollouts']);
    expect(stdout).toMatch(/Rollout\s+default\s+orders\s+in-effect\s+succeeded \(every step has passed: 100 % to v2\); all traffic goes to v2/);
  },
  2 * RUN_MS,
);

test.runIf(long)(
  'a version that is slow is rolled back, when copies of requests show it before any real one has gone there, too',
  async () => {
    await mesh.run({ name: 'orders', version: 'v2' });
    const load = new Load(web, 'http://orders:8080/lag/v2/60', { concurrency: 12, pauseMs: 30 });
    const slow = ['--every', '5s', '--require', 'p90<=2x'];
    await start('--steps', '50,100', ...slow);
    await reaches('a rollback', ({ phase }) => phase === 'rolled-back');
    await start('--steps', '50,100', '--mirror-first', '50', ...slow);
    await reaches('a rollback of copies', ({ phase, step }) => phase === 'rolled-back' && step === -1);
    await load.stop();
    expect(load.failures).toEqual([]);
  },
  2 * RUN_MS,
);
