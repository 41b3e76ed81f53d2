import { afterEach, expect, test } from 'vitest';
import { Load } from '../harness/load.ts';
import { type RunningWorkload, TestMesh, until } from '../harness/mesh.ts';

const long = process.env['OUTRIGGER_LONG'] !== undefined;
/** Of each kind. */
const changes = long ? 50 : 6;
const certificateTtlS = 5;
const rotations = long ? 20 : 4;
const controlPlaneAwayMs = long ? 60_000 : 4_000;
/** So that calls in between are many: 500 a second together. */
const workers = 10;
const pauseMs = 20;

let mesh: TestMesh | undefined;
afterEach(async () => {
  await mesh?.stop();
  mesh = undefined;
}, 60_000);

const routes = (attempts: number): string => `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: payment}
spec:
  hosts: [payment]
  http: [{retries: {attempts: ${attempts}, retryOn: "connect-failure,refused-stream,reset,503"}, route: [{destination: {host: payment}}]}]
`;
const cluster = (seconds: number): string => `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: payment}
spec: {host: payment, trafficPolicy: {connectionPool: {tcp: {connectTimeout: ${seconds}s}}}}
`;
/** Another rule of its policy is another listener. */
const listener = (path: string): string => `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: payment}
spec:
  selector: {matchLabels: {app: payment}}
  action: DENY
  rules: [{to: [{operation: {paths: ["/${path}"]}}]}]
`;

test(
  'nothing that is done to a mesh at work fails a request',
  async () => {
    mesh = await TestMesh.start(['--certificate-ttl', String(certificateTtlS)]);
    const start = (instance: string): Promise<RunningWorkload> => mesh!.run({ name: 'payment', instance, keepAliveMs: 1_000 });
    const [web, first, second] = await Promise.all([mesh.run({ name: 'web', client: true }), start('payment-1'), start('payment-2')]);
    await until('a first answer', async () => (await web.call('http://payment:8080/echo')).status === 200);
    const load = new Load(web, 'http://payment:8080/echo', { concurrency: workers, pauseMs });
    // Few enough that the application's side of an idle connection ends just as another request is written.
    const slow = new Load(web, 'http://payment:8080/slow/1', { concurrency: 1, pauseMs: 1_000 });
    const unharmed = (what: string): void => expect({ what, failures: [...load.failures, ...slow.failures] }).toEqual({ what, failures: [] });
    const beganMs = performance.now();
    try {
      for (let change = 0; change < changes; change++) {
        await mesh.apply(`${routes(2 + (change % 2))}---\n${cluster(1 + (change % 2))}---\n${listener(`secret-${change}`)}`);
        unharmed(`change ${change} of routes, clusters and listeners`);
      }
      const { code, stdout, stderr } = await mesh.rig(['restart', '--all']);
      expect({ code, stderr, replaced: stdout.split('\n').filter(Boolean).length }).toEqual({ code: 0, stderr: '', replaced: 3 });
      unharmed('a rolling hot restart of every sidecar');
      await first.stop();
      unharmed('one of two instances stopped');
      await start('payment-1');
      await second.stop();
      unharmed('the other one stopped after the first had come back');
      await start('payment-2');
      await mesh.killControlPlane();
      await new Promise((resolve) => setTimeout(resolve, Math.min(controlPlaneAwayMs, long ? controlPlaneAwayMs : (certificateTtlS * 1000) / 2)));
      unharmed('the control plane away');
      await mesh.startControlPlane();
      await mesh.apply(routes(2));
      const rotatedMs = rotations * certificateTtlS * 500;
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, rotatedMs - (performance.now() - beganMs))));
    } finally {
      await Promise.all([load.stop(), slow.stop()]);
    }
    unharmed('all of it');
    expect(load.requests).toBeGreaterThan(1_000);
  },
  long ? 400_000 : 120_000,
);
