import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TypeUrl } from '@outrigger/xds';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { peer } from '../harness/peers.ts';
import { freePort } from '../harness/ports.ts';
import { bootstrap } from './bootstrap.ts';
import { type EnvoyProcess, startEnvoy, until } from './envoy.ts';
import { cluster, endpoints, listener, routeConfiguration } from './resources.ts';
import { ControlPlane, get, startBackend } from './world.ts';

const binary = peer('envoy');

describe.skipIf(binary === undefined).each(['DELTA_GRPC', 'GRPC'] as const)('a real Envoy over %s', (apiType) => {
  let folder: string;
  let controlPlane: ControlPlane;
  let envoy: EnvoyProcess;
  let port: number;
  let one: Awaited<ReturnType<typeof startBackend>>;
  let two: Awaited<ReturnType<typeof startBackend>>;

  beforeAll(async () => {
    one = await startBackend('one');
    two = await startBackend('two');
  });

  afterAll(() => {
    one.close();
    two.close();
  });

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'envoy-'));
    port = await freePort();
    controlPlane = new ControlPlane({ listen: { host: '127.0.0.1', port: 0 } });
    await controlPlane.start();
    const { source } = controlPlane;
    source.set(TypeUrl.cluster, cluster('one'));
    source.set(TypeUrl.endpoint, endpoints('one', one.port));
    source.set(TypeUrl.listener, listener('main', port, 'r'));
    source.set(TypeUrl.route, routeConfiguration('r', 'one'));
    envoy = await startEnvoy(binary!, folder, 'envoy', bootstrap(apiType, { port: controlPlane.port }));
    await until('the first good answer', async () => ((await get(port)) === 'one' ? true : undefined));
  });

  afterEach(async () => {
    await envoy.kill();
    await controlPlane.kill();
    rmSync(folder, { recursive: true });
  });

  test('is served, acknowledges everything, and shows its node', () => {
    const [stream] = controlPlane.routes.streams();
    expect(stream).toMatchObject({ protocol: apiType === 'GRPC' ? 'sotw' : 'delta', node: { id: 'order-1.default' } });
    expect(stream!.types.map(({ sync }) => sync)).toEqual(['synced', 'synced', 'synced', 'synced']);
  });

  test('moves to a new cluster without one failed request, and the old one goes last', async () => {
    const { source, pushed } = controlPlane;
    pushed.length = 0;
    const answers = new Map<string, number>();
    const ended = new AbortController();
    const load = (async () => {
      while (!ended.signal.aborted) {
        const answer = await get(port).catch((error) => String(error));
        answers.set(answer, (answers.get(answer) ?? 0) + 1);
      }
    })();
    source.apply([
      [TypeUrl.route, 'r', routeConfiguration('r', 'two')],
      [TypeUrl.cluster, 'one', undefined],
      [TypeUrl.endpoint, 'one', undefined],
      [TypeUrl.cluster, 'two', cluster('two')],
      [TypeUrl.endpoint, 'two', endpoints('two', two.port)],
    ]);
    await until('the old cluster is gone', async () => ((await envoy.stat('cluster_manager.active_clusters')) === 2 && answers.has('two') ? true : undefined));
    ended.abort();
    await load;
    expect([...answers.keys()].sort().filter((answer) => answer !== 'one')).toEqual(['two']);
    const order = pushed.map((push) => push.split(' ')[0]);
    expect(order.indexOf('ClusterLoadAssignment')).toBeGreaterThan(order.indexOf('Cluster'));
    expect(order.indexOf('RouteConfiguration')).toBeGreaterThan(order.indexOf('ClusterLoadAssignment'));
    expect(order.lastIndexOf('Cluster')).toBeGreaterThan(order.indexOf('RouteConfiguration'));
  });

  test("one endpoint's change sends one resource and nothing else", async () => {
    const { source, pushed } = controlPlane;
    pushed.length = 0;
    source.set(TypeUrl.endpoint, endpoints('one', two.port));
    await until('the new endpoint', async () => ((await get(port)) === 'two' ? true : undefined));
    expect(pushed).toEqual(['ClusterLoadAssignment one']);
  });

  test('refuses a bad cluster in its own words; the last good version serves on, and the repaired one is taken', async () => {
    const { source } = controlPlane;
    source.set(TypeUrl.cluster, cluster('one', { lb_policy: 'RING_HASH', ring_hash_lb_config: { minimum_ring_size: 10, maximum_ring_size: 1 } }));
    const nacked = await source.until((event) => event.kind === 'nacked');
    expect(nacked).toMatchObject({ typeUrl: TypeUrl.cluster, message: expect.stringMatching(/ring/i) });
    expect(controlPlane.routes.streams()[0]!.types.find(({ typeUrl }) => typeUrl === TypeUrl.cluster)).toMatchObject({ sync: 'refused' });
    expect(await get(port)).toBe('one');
    const repaired = cluster('one', { connect_timeout: '2s' });
    source.set(TypeUrl.cluster, repaired);
    await source.until((event) => event.kind === 'acked' && event.versions.get('one') === repaired.version);
  });

  test('comes back after the control plane was killed, and is sent what is different', async () => {
    const { source, pushed } = controlPlane;
    await controlPlane.kill();
    expect(await get(port)).toBe('one');
    pushed.length = 0;
    source.set(TypeUrl.route, routeConfiguration('r', 'two'));
    source.set(TypeUrl.cluster, cluster('two'));
    source.set(TypeUrl.endpoint, endpoints('two', two.port));
    await controlPlane.start();
    await until('the new route', async () => ((await get(port)) === 'two' ? true : undefined), 40_000);
    if (apiType === 'DELTA_GRPC') {
      expect(pushed.filter((push) => push.startsWith('Cluster '))).toEqual(['Cluster two']);
      // Nothing of listeners was different: an empty response.
      expect(pushed.filter((push) => push.startsWith('Listener'))).toEqual(['Listener ']);
    }
  });
});
