import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RequestSamplesView } from '@outrigger/control-plane/api';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RunningWorkload, TestMesh, until } from '../harness/mesh.ts';

interface Plan {
  readonly replay: { readonly changedPercent: number; readonly groups: readonly { readonly examples: readonly string[] }[] };
}

let mesh: TestMesh;
let web: RunningWorkload;

const routes = (http: string) => `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: order-service}
spec: {hosts: [order-service], http: ${http}}
`;
const everything = '[{route: [{destination: {host: order-service}}]}]';
const echoAlone = '[{match: [{uri: {prefix: /echo}}], route: [{destination: {host: order-service}}]}]';

beforeAll(async () => {
  mesh = await TestMesh.start();
  [, web] = await Promise.all([mesh.run({ name: 'order-service' }), mesh.run({ name: 'web', client: true })]);
  await mesh.apply(routes(everything));
  await until('a first answer', async () => (await web.call('http://order-service:8080/echo')).status === 200);
}, 60_000);
afterAll(async () => {
  await mesh?.stop();
}, 60_000);

test('a change that sends real requests to a 404 is planned as that, refused with the requests shown, applied when told to, and taken back', async () => {
  const file = join(mesh.state, 'routes.yaml');
  writeFileSync(file, routes(echoAlone));
  for (let index = 0; index < 24; index++) {
    const path = index % 8 === 0 ? `/seq/${index}/200` : `/echo?token=secret-${index}`;
    await web.call(`http://order-service:8080${path}`, { headers: { authorization: 'Bearer secret-of-somebody' } });
  }
  // A sidecar's window is over after five seconds, and then the control plane asks for it.
  await until(
    'the requests to be there',
    async () => {
      const { windows } = JSON.parse((await mesh.api('GET', '/request-samples')).body) as RequestSamplesView;
      return windows.reduce((sum, { seen }) => sum + seen, 0) >= 50;
    },
    20_000,
    200,
  );
  const { stdout } = await mesh.rig(['plan', '-f', file, '--replay', '1h', '-o', 'json']);
  const planned = JSON.parse(stdout) as Plan;
  expect(stdout).not.toContain('secret');
  expect(planned).toMatchObject({
    risk: 'high',
    allProxies: 2,
    proxies: [{ proxy: expect.stringContaining('web') as string }],
    replay: {
      groups: [{ workload: 'default/web', host: 'order-service:8080', before: 'to order-service.default.svc.cluster.local:8080', after: '404 no-route' }],
    },
  });
  expect(planned.replay.groups[0]!.examples).toContainEqual(expect.stringMatching(/^GET \/seq\/\d+\/200 \(200\)$/) as string);
  // Three of twenty-four where they left, and none of what came to the application.
  expect(planned.replay.changedPercent).toBeGreaterThan(4);
  expect(planned.replay.changedPercent).toBeLessThan(7);

  const refused = await mesh.rig(['apply', '-f', file, '--replay-gate']);
  expect(refused).toMatchObject({
    code: 1,
    stdout: '',
    stderr: expect.stringMatching(/\+ 404 no-route\n +GET \/seq\/[\s\S]*refused by the replay gate: .* nothing has been changed/) as string,
  });
  expect((await web.call('http://order-service:8080/seq/1/200')).status).toBe(200);

  const applied = await mesh.rig(['apply', '-f', file, '--replay-gate=10', '--wait', '-o', 'json']);
  // As many as the plan has said.
  expect(JSON.parse(applied.stdout)).toMatchObject({ wait: { done: true, affected: 1 }, replay: { groups: [{ after: '404 no-route' }] } });
  expect((await web.call('http://order-service:8080/seq/1/200')).status).toBe(404);
  const undone = await mesh.rig(['undo', '--wait']);
  expect(undone).toMatchObject({ code: 0, stdout: expect.stringContaining('VirtualService default/order-service configured') as string });
  expect((await web.call('http://order-service:8080/seq/1/200')).status).toBe(200);
  expect((await mesh.rig(['history', '--limit', '3'])).stdout).toMatch(/undo to \d+[\s\S]*apply[\s\S]*apply/);
});
