import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { call, type DataPlane, until } from '../harness/mesh.ts';
import { peer } from '../harness/peers.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const node = join(root, 'node_modules/.bin/node');
const program = join(root, 'packages/cli/dist/rig.js');
const examples = join(root, 'examples/shop');
const services = ['web', 'order-service', 'payment-service', 'fraud-service', 'ledger-service', 'load'];
const planes: DataPlane[] = peer('envoy') === undefined ? ['outrigger'] : ['outrigger', 'envoy'];

const BREAKER = `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: payment-breaker}
spec:
  host: payment-service
  trafficPolicy: {outlierDetection: {consecutive5xxErrors: 5, interval: 1s, baseEjectionTime: 3s, maxEjectionPercent: 100}}
`;

interface Demo {
  readonly state: string;
  readonly process: ChildProcess;
  readonly output: () => string;
  readonly ended: Promise<number>;
}

function startDemo(plane: DataPlane, ...args: string[]): Demo {
  const state = mkdtempSync(join(tmpdir(), 'demo-'));
  const child = spawn(
    node,
    [program, '--state', state, 'demo', '--headless', '--rate', '20', ...args, ...(plane === 'envoy' ? ['--envoy', ...services] : [])],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
  }
  const ended = new Promise<number>((resolve) => child.once('close', (code) => resolve(code ?? -1)));
  return { state, process: child, output: () => text, ended };
}

/** Processes of a demo that are still there. */
function leftovers(state: string): string[] {
  return spawnSync('ps', ['-eo', 'pid,args'], { encoding: 'utf8' })
    .stdout.split('\n')
    .filter((line) => line.includes(state));
}

describe.each(planes)('the demo with %s beside every service', (plane) => {
  let demo: Demo;
  /** `rig ARGS` on the demo's mesh. Throws where it does not end with 0. */
  const rig = (...args: string[]): string => {
    const { status, stdout, stderr } = spawnSync(node, [program, '--state', demo.state, ...args], { encoding: 'utf8', cwd: root });
    if (status !== 0) throw new Error(`rig ${args.join(' ')} ended with ${status}: ${stdout}${stderr}`);
    return stdout;
  };
  /** `rig demo call INSTANCE URL`, without the start of a process each time. */
  const callFrom = async (instance: string, url: string): Promise<string> =>
    (await call({ socketPath: join(demo.state, 'run/demo.sock'), path: `/call?arg=${instance}&arg=${encodeURIComponent(url)}` })).body;
  const ok = (text: string): boolean => text.includes('HTTP/1.1 200');
  const shopAnswers = (): Promise<void> => until('the shop answers', async () => ok(await callFrom('web', 'http://order-service:8080/')), 80_000, 500);
  /** Of so many calls, none of which may fail, those that v2 answered. One after another: beside each other, least request takes those away from whoever is slower. */
  const answeredByV2 = async (calls: number): Promise<number> => {
    const answers: string[] = [];
    for (let call = 0; call < calls; call++) answers.push(await callFrom('web', 'http://order-service:8080/'));
    expect(answers.filter((text) => !ok(text))).toEqual([]);
    return answers.filter((text) => text.includes('"service":"order-service","version":"v2"')).length;
  };
  const payments = (): unknown[] =>
    (JSON.parse(rig('top', '-o', 'json')) as { service: string; instances: number; breaker: { open: number } }[]).filter(
      ({ service }) => service === 'payment-service',
    );

  beforeAll(async () => {
    demo = startDemo(plane);
    await until(
      'the first good request',
      async () => {
        if (demo.process.exitCode !== null) throw new Error(`the demo ended: ${demo.output()}`);
        return demo.output().includes('the first good request');
      },
      60_000,
    );
  }, 90_000);
  afterAll(async () => {
    demo.process.kill('SIGINT');
    await demo.ended;
    rmSync(demo.state, { recursive: true, force: true });
  }, 60_000);

  test('canary: nine of ten calls go to v1, and half of them again after it is undone', { timeout: 120_000 }, async () => {
    rig('apply', '-f', join(examples, 'canary-90-10.yaml'), '--wait');
    // 40 calls with p = 0.1: more than 14 of them once in 100,000 runs.
    expect(await answeredByV2(40)).toBeLessThanOrEqual(14);
    rig('delete', '-f', join(examples, 'canary-90-10.yaml'), '--wait');
    // With p = 0.5: fewer than 7 once in 100,000 runs.
    expect(await answeredByV2(40)).toBeGreaterThanOrEqual(7);
  });

  test('a killed instance of payment-service is gone, and back when it is revived; no call fails', { timeout: 60_000 }, async () => {
    rig('demo', 'kill', 'payment-service-2');
    await until('two instances', async () => JSON.stringify(payments()).includes('"instances":2'), 5_000, 50);
    for (let index = 0; index < 5; index++) expect(ok(await callFrom('order-service-v1', 'http://payment-service:8080/'))).toBe(true);
    rig('demo', 'revive', 'payment-service-2');
    await until('three instances', async () => JSON.stringify(payments()).includes('"instances":3'));
  });

  test('STRICT refuses a caller without mutual TLS, and the shop goes on', { timeout: 60_000 }, async () => {
    const bootstrap = readFileSync(join(demo.state, 'sidecars/default.ledger-service/bootstrap.json'), 'utf8');
    const inbound = /"mesh":\s*"127\.0\.0\.1:(\d+)"/.exec(bootstrap);
    const plain = () =>
      call({ host: '127.0.0.1', port: Number(inbound?.[1]), path: '/' }).then(
        ({ status }) => String(status),
        () => 'refused',
      );
    expect(await plain()).toBe('200');
    rig('apply', '-f', join(examples, 'strict.yaml'), '--wait');
    await until('a plain caller is refused', async () => (await plain()) === 'refused');
    expect(ok(await callFrom('web', 'http://order-service:8080/'))).toBe(true);
    rig('delete', '-f', join(examples, 'strict.yaml'), '--wait');
    await until('a plain caller is let in again', async () => (await plain()) === '200');
  });

  test('payment-service locked to order-service answers web with a signed 403, and the shop goes on', { timeout: 60_000 }, async () => {
    rig('apply', '-f', join(examples, 'payment-order-only.yaml'), '--wait');
    let refusal = '';
    await until('web is refused', async () => {
      refusal = await callFrom('web', 'http://payment-service:8080/');
      return refusal.includes('HTTP/1.1 403');
    });
    expect(refusal).toMatch(/proxy-status: payment-service-v1\.default; error=http_request_denied/i);
    expect(ok(await callFrom('web', 'http://order-service:8080/'))).toBe(true);
    rig('delete', '-f', join(examples, 'payment-order-only.yaml'), '--wait');
    await until('web is let in', async () => ok(await callFrom('web', 'http://payment-service:8080/')));
  });

  test('the breaker opens where payment-service fails, and closes when it is well again', { timeout: 150_000 }, async () => {
    // As without it, but for the 30 s that an open one would stay open.
    const rule = join(demo.state, 'breaker.yaml');
    writeFileSync(rule, BREAKER);
    rig('apply', '-f', rule, '--wait');
    rig('demo', 'fail', 'payment-service');
    await until('an open breaker', async () => !JSON.stringify(payments()).includes('"open":0'), 20_000, 200);
    rig('demo', 'heal', 'payment-service');
    await shopAnswers();
    await until('closed breakers', async () => JSON.stringify(payments()).includes('"open":0'), 40_000, 500);
  });
});

describe.each(planes)('the demo with %s', (plane) => {
  const demos: Demo[] = [];
  afterEach(async () => {
    for (const demo of demos.splice(0)) {
      demo.process.kill('SIGKILL');
      await demo.ended;
      rmSync(demo.state, { recursive: true, force: true });
    }
  });
  const start = (...args: string[]): Demo => {
    const demo = startDemo(plane, ...args);
    demos.push(demo);
    return demo;
  };
  const serving = (demo: Demo): Promise<void> => until('the first good request', async () => demo.output().includes('the first good request'), 60_000);

  test('ends with 0 after its time, its last line the summary, and leaves no process', { timeout: 120_000 }, async () => {
    const demo = start('--exit-after', '3');
    expect(await demo.ended, demo.output()).toBe(0);
    expect(demo.output().trimEnd().split('\n').at(-1)).toMatch(/^requests=[1-9]\d* failures=0 p50Ms=[\d.]+ p99Ms=[\d.]+ mtls=/);
    expect(leftovers(demo.state)).toEqual([]);
  });

  test('leaves nothing when it is killed with -9', { timeout: 120_000 }, async () => {
    const demo = start();
    await serving(demo);
    expect(leftovers(demo.state).length).toBeGreaterThan(8);
    demo.process.kill('SIGKILL');
    await until('nothing is left', async () => leftovers(demo.state).length === 0, 10_000, 100);
  });
});
