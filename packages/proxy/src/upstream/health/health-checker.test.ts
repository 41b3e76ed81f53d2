import type { JsonObject } from '@bufbuild/protobuf';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { clustersText } from '../../admin/clusters-page.ts';
import { routeTo } from '../../testing/messages.ts';
import { TestEngine } from '../../testing/test-engine.ts';
import type { Received } from '../../testing/test-upstream.ts';

let engine: TestEngine;

beforeEach(() => {
  engine = new TestEngine();
});
afterEach(async () => {
  expect(await engine.close()).toEqual([]);
});

const HTTP = { httpHealthCheck: { path: '/healthz' } };

function check(fields: JsonObject = HTTP): JsonObject {
  return { timeout: '1s', interval: '10s', noTrafficInterval: '10s', unhealthyThreshold: 2, healthyThreshold: 2, ...fields };
}

function flags(cluster = 'c'): Record<string, string> {
  const found: Record<string, string> = {};
  for (const host of engine.clusters.get(cluster)!.hosts)
    found[host.address.replace('internal:', '')] = clustersText(engine.clusters).match(new RegExp(`${cluster}::${host.address}::health_flags::(.*)`))![1]!;
  return found;
}

/** An upstream whose checks and whose requests are told apart; each is answered by what stands in the fields then. */
function upstream(name: string, http2 = false) {
  const made = {
    checks: [] as Received[],
    calls: 0,
    status: 200,
    headers: [] as string[],
    body: '',
    silent: false,
    upstream: engine.upstream(name, { http2 }),
  };
  made.upstream.answer((received) => {
    if (received.head.path !== '/healthz') {
      made.calls++;
      received.respond(200);
      return;
    }
    made.checks.push(received);
    if (!made.silent) received.respond(made.status, { headers: made.headers, body: made.body });
  });
  return made;
}

describe('HTTP checks', () => {
  it('ask as they are told, over HTTP/1.1 or HTTP/2', async () => {
    const a = upstream('a');
    const b = upstream('b', true);
    const http = { path: '/healthz', host: 'probe.example', method: 'HEAD', requestHeadersToAdd: [{ header: { key: 'x-who', value: '%UPSTREAM_HOST%' } }] };
    engine.cluster('c', { endpoints: ['a'], fields: { healthChecks: [check({ httpHealthCheck: http })] } });
    engine.cluster('d', { endpoints: ['b'], fields: { healthChecks: [check({ httpHealthCheck: { path: '/healthz', codecClientType: 'HTTP2' } })] } });
    await engine.advance(20);
    const [first] = a.checks;
    expect(first!.head).toMatchObject({ method: 'HEAD', path: '/healthz', authority: 'probe.example', version: 11 });
    expect([first!.header('user-agent'), first!.header('x-who')]).toEqual(['Envoy/HC', 'internal:a']);
    expect(b.checks[0]!.head).toMatchObject({ method: 'GET', authority: 'd', version: 20 });
    expect([flags('c'), flags('d')]).toEqual([{ a: 'healthy' }, { b: 'healthy' }]);
  });

  it('keep the endpoint out after two failures, and let it back after two good ones', async () => {
    const a = upstream('a');
    const b = upstream('b');
    engine.cluster('c', {
      endpoints: ['a', 'b'],
      fields: { healthChecks: [check({ httpHealthCheck: { path: '/healthz', retriableStatuses: [{ start: 503, end: 504 }] } })] },
    });
    await engine.listener('in', { routes: [routeTo('c')] });
    await engine.advance(20);
    a.status = 503;
    await engine.advance(10_100);
    expect(flags()).toEqual({ a: 'healthy', b: 'healthy' });
    await engine.advance(10_100);
    expect(flags()).toEqual({ a: '/failed_active_hc', b: 'healthy' });
    for (let call = 0; call < 10; call++) await engine.client('in').call();
    expect([a.calls, b.calls]).toEqual([0, 10]);
    a.status = 200;
    await engine.advance(10_100);
    expect(flags()['a']).toBe('/failed_active_hc');
    await engine.advance(10_100);
    expect(flags()['a']).toBe('healthy');
    for (let call = 0; call < 10; call++) await engine.client('in').call();
    expect(a.calls).toBe(5);
    expect([a.checks.length, a.upstream.connections.length]).toEqual([5, 2]);
  });

  it.each([
    ['another status than 200', 204, {}, '', false],
    ['an expected status', 204, { expectedStatuses: [{ start: 200, end: 205 }] }, '', true],
    ['the end of the expected statuses', 205, { expectedStatuses: [{ start: 200, end: 205 }] }, '', false],
    ['a body with what is to be in it', 200, { receive: [{ text: '6f6b' }, { text: '21' }] }, 'is ok today!', true],
    ['a body with it in another order', 200, { receive: [{ text: '21' }, { text: '6f6b' }] }, 'is ok today!', false],
    ['a body with it beyond what is looked at', 200, { receive: [{ text: '6f6b' }], responseBufferSize: 4 }, 'is ok today!', false],
    ['another service', 200, { serviceNameMatcher: { prefix: 'pay' } }, '', false],
  ] as const)('%s: passed or not', async (_what, status, fields, body, passed) => {
    const a = upstream('a');
    a.status = status;
    a.body = body;
    engine.cluster('c', { endpoints: ['a'], fields: { healthChecks: [check({ httpHealthCheck: { path: '/healthz', ...fields } as JsonObject })] } });
    await engine.advance(20);
    expect(flags()['a']).toBe(passed ? 'healthy' : '/failed_active_hc');
  });

  it('send a body where there is one', async () => {
    const a = upstream('a');
    engine.cluster('c', {
      endpoints: ['a'],
      fields: { healthChecks: [check({ httpHealthCheck: { path: '/healthz', method: 'POST', send: { text: '6f6b' } } })] },
    });
    await engine.advance(20);
    expect([a.checks[0]!.header('content-length'), a.checks[0]!.body]).toEqual(['2', 'ok']);
  });

  it('a service that names itself passes, x-envoy-degraded takes it second', async () => {
    const a = upstream('a');
    const b = upstream('b');
    a.headers = b.headers = ['x-envoy-upstream-healthchecked-cluster', 'pay'];
    b.headers = [...b.headers, 'x-envoy-degraded', ''];
    engine.cluster('c', {
      endpoints: ['a', 'b'],
      fields: { healthChecks: [check({ httpHealthCheck: { path: '/healthz', serviceNameMatcher: { prefix: 'pay' } } })] },
    });
    await engine.listener('in', { routes: [routeTo('c')] });
    await engine.advance(20);
    expect(flags()).toEqual({ a: 'healthy', b: '/degraded_active_hc' });
    // With 1.4 of overprovisioning one of two takes 70 %, the degraded one the rest.
    for (let call = 0; call < 100; call++) await engine.client('in').call();
    expect(a.calls).toBeGreaterThan(55);
    expect(b.calls).toBeGreaterThan(15);
  });

  it('time out, with a connection of their own for the next one', async () => {
    const a = upstream('a');
    a.silent = true;
    engine.cluster('c', { endpoints: ['a'], fields: { healthChecks: [check()] } });
    await engine.advance(900);
    expect(flags()['a']).toBe('/failed_active_hc');
    await engine.advance(200);
    expect(flags()['a']).toBe('/failed_active_hc/active_hc_timeout');
    a.silent = false;
    await engine.advance(20_100);
    expect(flags()['a']).toBe('healthy');
    expect([a.upstream.connections.length, a.upstream.open]).toEqual([2, 1]);
  });

  it('take a new connection each time where they are told so, and where the upstream has closed it', async () => {
    const a = upstream('a');
    const b = upstream('b');
    engine.cluster('c', { endpoints: ['a'], fields: { healthChecks: [check({ ...HTTP, reuseConnection: false })] } });
    engine.cluster('d', { endpoints: ['b'], fields: { healthChecks: [check()] } });
    await engine.advance(10_200);
    expect([a.checks.length, a.upstream.connections.length, a.upstream.open]).toEqual([2, 2, 0]);
    expect(b.upstream.connections).toHaveLength(1);
    b.upstream.connections[0]!.end();
    await engine.advance(10_000);
    expect([b.checks.length, b.upstream.connections.length, flags('d')['b']]).toEqual([3, 2, 'healthy']);
    b.headers = ['connection', 'close'];
    await engine.advance(20_000);
    expect([b.checks.length, flags('d')['b']]).toEqual([5, 'healthy']);
  });

  it('come rarely without traffic, and often with it', async () => {
    const a = upstream('a');
    engine.cluster('c', { endpoints: ['a'], fields: { healthChecks: [check({ ...HTTP, interval: '1s', noTrafficInterval: '60s' })] } });
    await engine.listener('in', { routes: [routeTo('c')] });
    await engine.advance(59_000);
    expect(a.checks).toHaveLength(1);
    await engine.client('in').call();
    await engine.advance(6_000);
    expect(a.checks.length).toBeGreaterThan(4);
  });

  it('begin within the initial jitter', async () => {
    const names = Array.from({ length: 20 }, (_, i) => `u${i}`);
    const upstreams = names.map((name) => upstream(name));
    const checked = () => upstreams.filter(({ checks }) => checks.length > 0).length;
    engine.cluster('c', { endpoints: names, fields: { healthChecks: [check({ ...HTTP, initialJitter: '20s' })] } });
    await engine.advance(10_000);
    expect(checked()).toBeGreaterThan(3);
    expect(checked()).toBeLessThan(17);
    await engine.advance(10_100);
    expect(checked()).toBe(20);
  });

  it('ask at the port of the check, or not at all, as the endpoint says', async () => {
    const a = upstream('a');
    const probe = upstream('probe');
    const b = upstream('b');
    b.status = 500;
    const at = (name: string) => ({ address: { envoyInternalAddress: { serverListenerName: name } } });
    const endpoints = [
      { endpoint: { ...at('a'), healthCheckConfig: { ...at('probe'), hostname: 'a.example' } } },
      { endpoint: { ...at('b'), healthCheckConfig: { disableActiveHealthCheck: true } } },
    ];
    engine.cluster('c', {
      fields: {
        type: 'STATIC',
        edsClusterConfig: null,
        loadAssignment: { clusterName: 'c', endpoints: [{ lbEndpoints: endpoints }] },
        healthChecks: [check()],
      },
    });
    await engine.advance(20);
    expect([a.checks.length, probe.checks.length, b.checks.length]).toEqual([0, 1, 0]);
    expect(probe.checks[0]!.head.authority).toBe('a.example');
    expect(flags()).toEqual({ a: 'healthy', b: 'healthy' });
  });
});

describe('gRPC checks', () => {
  const serving = (status: number) => String.fromCharCode(0, 0, 0, 0, 2, 8, status);
  it.each([
    ['SERVING', 200, serving(1), '0', 'healthy'],
    ['NOT_SERVING', 200, serving(2), '0', '/failed_active_hc'],
    ['an error', 200, '', '5', '/failed_active_hc'],
    ['no gRPC', 404, 'no', undefined, '/failed_active_hc'],
    ['bytes that are no message', 200, 'nonsense', '0', '/failed_active_hc'],
  ])('%s', async (_what, status, body, grpcStatus, becomes) => {
    const seen: Received[] = [];
    engine.upstream('a', { http2: true }).answer((received) => {
      seen.push(received);
      received.respond(status, {
        headers: ['content-type', grpcStatus === undefined ? 'text/plain' : 'application/grpc'],
        body,
        ...(grpcStatus === undefined ? {} : { trailers: ['grpc-status', grpcStatus] }),
      });
    });
    engine.cluster('c', {
      endpoints: ['a'],
      fields: { healthChecks: [check({ grpcHealthCheck: { serviceName: 'pay', initialMetadata: [{ header: { key: 'x-k', value: 'v' } }] } })] },
    });
    await engine.advance(20);
    expect(flags()['a']).toBe(becomes);
    expect(seen[0]!.head).toMatchObject({ method: 'POST', path: '/grpc.health.v1.Health/Check', authority: 'c' });
    expect([seen[0]!.body, seen[0]!.header('x-k'), seen[0]!.header('te'), seen[0]!.header('grpc-timeout')]).toEqual([
      '\0\0\0\0\x05\n\x03pay',
      'v',
      'trailers',
      '1000m',
    ]);
  });
});

describe('what depends on checks', () => {
  it('a cluster is ready when the first check of each endpoint has ended, well or not', async () => {
    const a = upstream('a');
    a.silent = true;
    upstream('b');
    engine.cluster('c', { endpoints: ['a', 'b'], fields: { healthChecks: [check()] } });
    await engine.listener('in', { routes: [routeTo('c')] });
    const call = engine.client('in').send();
    await engine.advance(900);
    expect([engine.clusters.get('c')!.warm, call.over]).toEqual([false, false]);
    await engine.advance(300);
    expect([engine.clusters.get('c')!.warm, call.status]).toEqual([true, 200]);
  });

  it('one that takes the place of another does so only then', async () => {
    const a = upstream('a');
    const b = upstream('b');
    b.silent = true;
    engine.cluster('c', { endpoints: ['a'] });
    await engine.listener('in', { routes: [routeTo('c')] });
    engine.cluster('c', { endpoints: ['b'], fields: { healthChecks: [check()] } });
    expect((await engine.client('in').call()).status).toBe(200);
    expect(a.calls).toBe(1);
    await engine.advance(1_200);
    expect((await engine.client('in').call()).status).toBe(503);
    expect(engine.last.flags).toBe('UH');
    expect(a.calls).toBe(1);
  });

  it('a failing priority gives way to the next', async () => {
    const a = upstream('a');
    const b = upstream('b');
    const at = (name: string) => ({ endpoint: { address: { envoyInternalAddress: { serverListenerName: name } } } });
    const endpoints = [{ lbEndpoints: [at('a')] }, { priority: 1, lbEndpoints: [at('b')] }];
    engine.cluster('c', { fields: { type: 'STATIC', edsClusterConfig: null, loadAssignment: { clusterName: 'c', endpoints }, healthChecks: [check()] } });
    await engine.listener('in', { routes: [routeTo('c')] });
    await engine.advance(20);
    await engine.client('in').call();
    a.status = 500;
    await engine.advance(10_100);
    await engine.client('in').call();
    expect([a.calls, b.calls]).toEqual([1, 1]);
  });

  it('in panic all are asked', async () => {
    const a = upstream('a');
    a.status = 500;
    engine.cluster('c', { endpoints: ['a'], fields: { commonLbConfig: { healthyPanicThreshold: { value: 50 } }, healthChecks: [check()] } });
    await engine.listener('in', { routes: [routeTo('c')] });
    await engine.advance(20);
    expect((await engine.client('in').call()).status).toBe(200);
    expect(flags()['a']).toBe('/failed_active_hc');
  });

  it('an ordinary answer with x-envoy-immediate-health-check-fail takes the endpoint out at once, and out of the count', async () => {
    const a = upstream('a');
    upstream('b');
    a.upstream.answer((received) =>
      received.respond(200, { headers: received.head.path === '/healthz' ? [] : ['x-envoy-immediate-health-check-fail', 'true'] }),
    );
    engine.cluster('c', { endpoints: ['a', 'b'], fields: { commonLbConfig: { healthyPanicThreshold: { value: 60 } }, healthChecks: [check()] } });
    await engine.listener('in', { routes: [routeTo('c')] });
    await engine.advance(20);
    for (let call = 0; call < 4; call++) await engine.client('in').call();
    expect(flags()).toEqual({ a: '/failed_active_hc/excluded_via_immediate_hc_fail', b: 'healthy' });
    // One of two well would be panic at 60 %: one of one is not.
    expect(a.upstream.requests.filter(({ head }) => head.path !== '/healthz')).toHaveLength(1);
    await engine.advance(20_100);
    expect(flags()['a']).toBe('healthy');
  });

  it.each([
    [false, '/pending_dynamic_removal', 1],
    [true, undefined, 0],
  ])('an endpoint that discovery drops stays while its checks pass, unless ignore_health_on_host_removal is %s', async (ignore, flag, calls) => {
    const a = upstream('a');
    upstream('b');
    engine.cluster('c', { fields: { healthChecks: [check()], ignoreHealthOnHostRemoval: ignore } });
    engine.endpoints('c', ['a', 'b']);
    await engine.listener('in', { routes: [routeTo('c')] });
    await engine.advance(20);
    engine.endpoints('c', ['b']);
    expect(flags()['a']).toBe(flag);
    for (let call = 0; call < 2; call++) await engine.client('in').call();
    expect(a.calls).toBe(calls);
    a.status = 500;
    await engine.advance(10_100);
    expect(flags()).toEqual({ b: 'healthy' });
    expect(a.upstream.open).toBe(0);
  });

  it('an endpoint that fails loses its idle connections', async () => {
    const a = upstream('a');
    engine.cluster('c', { endpoints: ['a'], fields: { healthChecks: [check()] } });
    await engine.listener('in', { routes: [routeTo('c')] });
    await engine.advance(20);
    await engine.client('in').call();
    expect(a.upstream.open).toBe(2);
    a.status = 500;
    await engine.advance(10_100);
    expect(a.upstream.open).toBe(1);
  });

  it('a check that passes ends an ejection, unless it is told not to', async () => {
    for (const uneject of [true, false]) {
      const name = `c-${uneject}`;
      const a = engine.upstream(name);
      a.answer((received) => received.respond(received.head.path === '/healthz' ? 200 : 500));
      const outlierDetection = { consecutive5xx: 1, maxEjectionPercent: 100, baseEjectionTime: '300s', successfulActiveHealthCheckUnejectHost: uneject };
      engine.cluster(name, { endpoints: [name], fields: { healthChecks: [check()], outlierDetection } });
      await engine.listener(`in-${name}`, { routes: [routeTo(name)] });
      await engine.advance(20);
      await engine.client(`in-${name}`).call();
      expect(flags(name)[name]).toBe('/failed_outlier_check');
      await engine.advance(10_100);
      expect(flags(name)[name]).toBe(uneject ? 'healthy' : '/failed_outlier_check');
    }
  });

  it('endpoints that are new are not counted before their first check where the cluster says so', async () => {
    upstream('a');
    const b = upstream('b');
    b.silent = true;
    engine.cluster('c', { fields: { commonLbConfig: { healthyPanicThreshold: { value: 60 }, ignoreNewHostsUntilFirstHc: true }, healthChecks: [check()] } });
    engine.endpoints('c', ['a']);
    await engine.listener('in', { routes: [routeTo('c')] });
    await engine.advance(20);
    engine.endpoints('c', ['a', 'b']);
    expect(flags()['b']).toBe('/failed_active_hc/pending_active_hc');
    for (let call = 0; call < 4; call++) await engine.client('in').call();
    expect(b.calls).toBe(0);
    await engine.advance(1_200);
    expect(flags()['b']).toBe('/failed_active_hc/active_hc_timeout');
    for (let call = 0; call < 4; call++) await engine.client('in').call();
    expect(b.calls).toBe(2);
  });
});
