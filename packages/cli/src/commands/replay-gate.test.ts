import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startControlPlane } from '@outrigger/control-plane';
import type { ApplyResult, SampleWindow } from '@outrigger/control-plane/api';
import type { MeshView } from '@outrigger/control-plane/mesh-view';
import { bareNode } from '@outrigger/translate';
import { TypeUrl } from '@outrigger/xds';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ApiClient } from '../api/client.ts';
import { sample, window } from '../plan/testing/samples.ts';
import { gatePercent, gateWindowMs, passReplayGate } from './replay-gate.ts';

const directory = mkdtempSync(join(tmpdir(), 'gate-'));
let controlPlane: Awaited<ReturnType<typeof startControlPlane>>;
let windows: SampleWindow[] = [];

const mesh = (http: string) => [
  {
    file: 'mesh.yaml',
    text: `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: orders}
spec: {hosts: [orders.default.svc.cluster.local], location: MESH_INTERNAL, resolution: STATIC, ports: [{number: 8080, name: http, protocol: HTTP}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [orders], http: ${http}}
`,
  },
];
const all = '[{route: [{destination: {host: orders}}]}]';
const withoutLegacy =
  '[{match: [{uri: {prefix: /orders}}], route: [{destination: {host: orders}}]}, {match: [{uri: {prefix: /cart}}], route: [{destination: {host: orders}}]}]';

/** The control plane's own store and configuration, with a sidecar and its requests beside. */
class WatchedMesh extends ApiClient {
  override async get<T>(path: string, timeoutMs?: number): Promise<T> {
    if (path.startsWith('/request-samples')) return { windows } as T;
    const answer = await super.get<T>(path, timeoutMs);
    if (path !== '/mesh') return answer;
    const node = bareNode('default', 'web', { httpProxy: { host: '127.0.0.1', port: 15_001 } });
    const view: MeshView = {
      ...(answer as MeshView),
      proxies: [{ node, subscribed: { [TypeUrl.virtualHost]: ['http_proxy/orders:8080'], [TypeUrl.route]: ['http_proxy'] }, wildcards: [TypeUrl.listener] }],
    };
    return view as T;
  }
}
let api: WatchedMesh;

beforeAll(async () => {
  controlPlane = await startControlPlane({ version: 'test', stateDirectory: directory, grpc: { port: 0 }, api: { port: 0 } });
  api = new WatchedMesh(controlPlane.addresses.apiSocket);
  await api.post<ApplyResult>('/apply', { documents: mesh(all) });
});
afterAll(async () => {
  await controlPlane.stop();
  rmSync(directory, { recursive: true, force: true });
});

/** Of 2,000 requests one in twenty is for a path that somebody has forgotten. */
function traffic(): SampleWindow[] {
  const samples = Array.from({ length: 40 }, (_, index) => sample(index % 20 === 3 ? `/legacy/${index}` : `/orders/${index}`));
  return [window(samples, { seen: 2_000 })];
}

describe('a change that would send 5 % of the traffic to a 404', () => {
  const gate = async (percent: number, http = withoutLegacy, unseen: 'refuse' | 'apply' = 'refuse') => {
    const printed: string[] = [];
    const options = { namespace: 'default', percent, window: '1h', unseen, print: (line: string) => printed.push(line) };
    const passed = await passReplayGate(api, mesh(http), options).then(
      (answer) => answer,
      (error: Error & { next: string }) => error,
    );
    return { passed, printed: printed.join('\n') };
  };

  test('is refused, and the requests are shown', async () => {
    windows = traffic();
    const { passed, printed } = await gate(1);
    expect(passed).toMatchObject({
      message: expect.stringMatching(/refused by the replay gate: 5 % .* more than 1 %; nothing has been changed/) as string,
      next: expect.stringContaining('--replay-gate=off') as string,
    });
    expect(printed).toContain('5 % of 2000 requests would have fared otherwise (judged by 40 of them)');
    expect(printed).toMatch(
      /5 % \(100\) from default\/web to orders:8080\n {2}- to orders\.default\.svc\.cluster\.local:8080.*\n {2}\+ 404 no-route\n {4}GET \/legacy\/3 \(200\)\n {4}GET \/legacy\/23 \(200\)/,
    );
  });

  test('passes where so much is meant to change, and is then of the revision that was judged', async () => {
    windows = traffic();
    const { passed, printed } = await gate(5);
    expect({ passed, printed }).toMatchObject({ passed: { revision: '1', replay: { changedPercent: 5 } }, printed: '' });
    await api.post<ApplyResult>('/apply', { documents: mesh(all).map(({ file, text }) => ({ file, text: text.replaceAll('name: orders', 'name: other') })) });
    const late = api.post<ApplyResult>('/apply', { documents: mesh(withoutLegacy), ifRevision: '1' });
    await expect(late).rejects.toMatchObject({ status: 409, message: expect.stringContaining('was judged at 1') as string });
  });

  test('is not let through for want of requests to judge by', async () => {
    windows = [];
    expect((await gate(1)).passed).toMatchObject({
      exitCode: 5,
      message:
        'the replay gate has nothing to judge by: 1 of 1 proxies would be sent something, and no request was seen in the last 1h; nothing has been changed',
      next: expect.stringContaining('--replay-unseen=apply') as string,
    });
    expect(await gate(1, all)).toMatchObject({ passed: { replay: { seen: 0 } }, printed: '' });
  });

  test('is let through without them where that is said, which is said too', async () => {
    windows = [];
    expect(await gate(1, withoutLegacy, 'apply')).toMatchObject({
      passed: { replay: { seen: 0 } },
      printed: expect.stringMatching(/^the replay gate has nothing to judge by: .* applied, as --replay-unseen=apply says$/) as string,
    });
  });
});

test.each([
  [undefined, undefined],
  ['off', undefined],
  [true, 1],
  ['0', 0],
  ['2.5', 2.5],
])('--replay-gate %s lets %s percent through', (gate, percent) => {
  expect(gatePercent(gate)).toBe(percent);
});

test.each(['', 'on', '101', '-1', '1e1', '5%'])('--replay-gate=%s is refused in words', (gate) => {
  expect(() => gatePercent(gate)).toThrow(expect.objectContaining({ exitCode: 2 }) as Error);
});

test.each(['', '1', '25h', '0s', '500ms', '-1h', 'forever'])('--replay-window %s is refused in words', (window) => {
  expect(() => gateWindowMs(window)).toThrow(expect.objectContaining({ exitCode: 2 }) as Error);
});
