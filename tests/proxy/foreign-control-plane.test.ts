import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JsonObject } from '@bufbuild/protobuf';
import { ClusterSchema } from '@outrigger/xds/protos/envoy/config/cluster/v3/cluster';
import { ListenerSchema } from '@outrigger/xds/protos/envoy/config/listener/v3/listener';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { assignment, clusterJson, listenerJson, routesJson, routeTo } from '../../packages/proxy/src/testing/messages.ts';
import { ask, TestApplication } from '../../packages/proxy/src/testing/test-proxy.ts';
import { peer } from '../harness/peers.ts';
import { freePort } from '../harness/ports.ts';
import { until } from '../xds/envoy.ts';
import type { Running } from './data-plane.ts';
import { ForeignControlPlane, json, overAds } from './foreign-control-plane.ts';

const program = peer('go-control-plane');
describe.skipIf(program === undefined)('our proxy under go-control-plane', () => {
  const folder = mkdtempSync(join(tmpdir(), 'foreign-'));
  let plane: ForeignControlPlane;
  let proxy: Running;
  let port: number;
  let one: TestApplication;
  let two: TestApplication;
  const listener = (more: JsonObject = {}): JsonObject => ({
    ...listenerJson('web', { manager: { rds: { routeConfigName: 'routes', configSource: overAds } } }),
    address: { socketAddress: { address: '127.0.0.1', portValue: port } },
    ...more,
  });
  const snapshot = (cluster: string, endpoints: readonly string[], more: JsonObject = {}) => ({
    listeners: [json(ListenerSchema, listener(more))],
    routes: [routesJson('routes', [routeTo(cluster)])],
    clusters: [json(ClusterSchema, clusterJson(cluster, { fields: { edsClusterConfig: { edsConfig: overAds } } }))],
    endpoints: [assignment(cluster, endpoints)],
  });
  const body = async (): Promise<string> => (await ask(`127.0.0.1:${port}`)).body;

  beforeAll(async () => {
    port = await freePort();
    one = await TestApplication.start((_request, response) => response.end('one'));
    two = await TestApplication.start((_request, response) => response.end('two'));
    plane = await ForeignControlPlane.start(program!);
    plane.set(snapshot('shop', [one.address]));
    proxy = await plane.startProxy(folder);
    await until('a first answer', async () => ((await body()) === 'one' ? true : undefined));
  });

  afterAll(async () => {
    await proxy?.kill();
    await plane?.stop();
    await one.close();
    await two.close();
    rmSync(folder, { recursive: true });
  });

  test('takes listeners, routes, clusters and endpoints, and acknowledges each', async () => {
    const kinds = ['listener.v3.Listener', 'route.v3.RouteConfiguration', 'cluster.v3.Cluster', 'endpoint.v3.ClusterLoadAssignment'];
    await until('all are acknowledged', () => {
      const acknowledged = new Set(plane.said.filter(({ kind }) => kind === 'ack').map(({ typeUrl }) => typeUrl!.replace(/.*envoy\.config\./, '')));
      return kinds.every((kind) => acknowledged.has(kind)) ? true : undefined;
    });
    expect(plane.said.filter(({ kind }) => kind === 'nack')).toEqual([]);
  });

  test('follows endpoints, then routes to another cluster, with no failed request', async () => {
    let failed = 0;
    let stop = false;
    const load = (async () => {
      while (!stop) if ((await ask(`127.0.0.1:${port}`)).status !== 200) failed++;
    })();
    plane.set(snapshot('shop', [two.address]));
    await until('the endpoints', async () => ((await body()) === 'two' ? true : undefined));
    plane.set(snapshot('market', [one.address]));
    await until('the other cluster', async () => ((await body()) === 'one' ? true : undefined));
    stop = true;
    await load;
    expect(failed).toBe(0);
  });

  test('refuses what it does not know, says why, and serves on with what was good', async () => {
    plane.set(snapshot('market', [one.address], { listenerFilters: [{ name: 'nobody.knows.this' }] }));
    const refusal = await until('a NACK', () => plane.said.find(({ kind }) => kind === 'nack'));
    expect(refusal).toMatchObject({ typeUrl: expect.stringContaining('Listener'), reason: expect.stringContaining('nobody.knows.this') });
    expect(await body()).toBe('one');
    plane.set(snapshot('market', [two.address]));
    await until('what is good again', async () => ((await body()) === 'two' ? true : undefined));
  });
});
