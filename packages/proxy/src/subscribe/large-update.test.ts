import http from 'node:http';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { TypeUrl } from '@outrigger/xds';
import { ListenerSchema } from '@outrigger/xds/protos/envoy/config/listener/v3/listener';
import { type RouteConfiguration, RouteConfigurationSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { compileRouteConfiguration } from '../routing/compile-routes.ts';
import { assignmentMessage, cluster, listenerJson, message, routesJson, routeTo } from '../testing/messages.ts';
import { TestControlPlane } from '../testing/test-control-plane.ts';
import { TestApplication, TestProxy } from '../testing/test-proxy.ts';

/** More of this thread's time in one turn is a request that waits. */
const MAX_HOLD_MS = 50;

const cpuMs = (): number => {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
};

/** The most that this thread has worked in one turn of the event loop: what others of the machine take does not count. */
function watchLoop(): () => number {
  let longestMs = 0;
  let lastMs = cpuMs();
  let running = true;
  const tick = (): void => {
    const nowMs = cpuMs();
    longestMs = Math.max(longestMs, nowMs - lastMs);
    lastMs = nowMs;
    if (running) setImmediate(tick);
  };
  setImmediate(tick);
  return () => {
    running = false;
    return longestMs;
  };
}

function manyRoutes(count: number): RouteConfiguration {
  const routes = Array.from({ length: count }, (_, index) => ({
    ...routeTo('shop', { timeout: '5s' }),
    match: { prefix: `/part-${index}/`, headers: [{ name: 'x-version', stringMatch: { exact: `v${index}` } }] },
  }));
  return message(RouteConfigurationSchema, routesJson('routes', [...routes, routeTo('shop')]));
}

describe('a large update', () => {
  let plane: TestControlPlane;
  let proxy: TestProxy;
  let application: TestApplication;

  beforeEach(async () => {
    application = await TestApplication.start();
    plane = await TestControlPlane.start();
    const rds = { rds: { routeConfigName: 'routes', configSource: { ads: {} } } };
    const json = { ...listenerJson('web', { manager: rds }), address: { socketAddress: { address: '127.0.0.1', portValue: 0 } } };
    plane.listener(message(ListenerSchema, json));
    plane.cluster(cluster('shop', { endpoints: [application.address] }));
    plane.route(message(RouteConfigurationSchema, routesJson('routes', [routeTo('shop')])));
    proxy = await TestProxy.start(plane);
  });

  afterEach(async () => {
    await proxy?.proxy.close();
    await plane?.close();
    await application?.close();
  });

  test('of 10,000 routes holds the event loop for a fraction of what its work takes, and requests go on', async () => {
    const update = manyRoutes(10_000);
    const bytes = toBinary(RouteConfigurationSchema, update);
    const startMs = cpuMs();
    expect(compileRouteConfiguration(fromBinary(RouteConfigurationSchema, bytes)).ok).toBe(true);
    const wholeMs = cpuMs() - startMs;
    await plane.until(() => plane.verdicts.some(({ typeUrl }) => typeUrl === TypeUrl.route));
    plane.forget();
    const agent = new http.Agent({ keepAlive: true });
    expect((await proxy.ask('web', { agent })).status).toBe(200);
    plane.route(update);
    const longestHoldMs = watchLoop();
    let taken = false;
    const verdict = plane.verdict(TypeUrl.route, 'routes').finally(() => {
      taken = true;
    });
    let served = 0;
    while (!taken) {
      expect((await proxy.ask('web', { agent })).status).toBe(200);
      served += 1;
    }
    const holdMs = longestHoldMs();
    agent.destroy();
    expect((await verdict).kind).toBe('ack');
    expect((await proxy.admin('/config_dump')).body).toContain('/part-9999/');
    expect(served).toBeGreaterThan(5);
    expect(holdMs).toBeLessThan(Math.min(MAX_HOLD_MS, wholeMs / 5));
  });

  test('that is refused leaves everything as it was, and one that comes after it is taken', async () => {
    const bad = manyRoutes(3_000);
    bad.virtualHosts[0]!.routes[2_999]!.match = undefined as never;
    plane.route(bad);
    await plane.until(() => plane.verdicts.some(({ typeUrl, kind }) => typeUrl === TypeUrl.route && kind === 'nack'));
    expect(plane.verdicts.find(({ kind }) => kind === 'nack')?.reason).toContain('routes[2999]');
    expect((await proxy.ask('web')).status).toBe(200);
    plane.forget();
    plane.route(message(RouteConfigurationSchema, routesJson('routes', [{ match: { prefix: '/' }, directResponse: { status: 418 } }])));
    expect((await plane.verdict(TypeUrl.route, 'routes')).kind).toBe('ack');
    expect((await proxy.ask('web')).status).toBe(418);
  });

  test('of routes and, right behind it, a small one: the latter is in effect in the end', async () => {
    plane.forget();
    plane.route(manyRoutes(3_000));
    plane.route(message(RouteConfigurationSchema, routesJson('routes', [{ match: { prefix: '/' }, directResponse: { status: 418 } }])));
    plane.cluster(cluster('shop', {}));
    plane.endpoints(
      assignmentMessage(
        'shop',
        Array.from({ length: 2_000 }, (_, index) => `10.0.${index >> 8}.${index & 255}:80`),
      ),
    );
    expect((await plane.verdict(TypeUrl.route, 'routes')).kind).toBe('ack');
    expect((await plane.verdict(TypeUrl.endpoint, 'shop')).kind).toBe('ack');
    expect((await proxy.ask('web')).status).toBe(418);
  });
});
