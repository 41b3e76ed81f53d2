import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import type { JsonObject } from '@bufbuild/protobuf';
import { TypeUrl } from '@outrigger/xds';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { assignmentMessage, cluster, listener, routeConfiguration, routesJson, routeTo, virtualHost } from '../testing/messages.ts';
import { TestControlPlane } from '../testing/test-control-plane.ts';
import { bootstrapJson, TestApplication, TestProxy } from '../testing/test-proxy.ts';

const LOOPBACK = { address: { socketAddress: { address: '127.0.0.1', portValue: 0 } } };
const RDS = { rds: { routeConfigName: 'r', configSource: { ads: {} } } };

let plane: TestControlPlane;
let application: TestApplication;
let proxies: TestProxy[];

beforeEach(async () => {
  proxies = [];
  plane = await TestControlPlane.start();
  application = await TestApplication.start();
});
afterEach(async () => {
  for (const { proxy } of proxies) await proxy.close();
  await application.close();
  await plane.close();
});

async function start(options = {}): Promise<TestProxy> {
  const made = await TestProxy.start(plane, options);
  proxies.push(made);
  return made;
}

/** One listener "in" with RDS "r" to the cluster "c", whose endpoint is the application. */
function configure(manager: JsonObject = {}): void {
  plane.listener(listener('in', { manager: { ...RDS, ...manager }, fields: LOOPBACK }));
  plane.route(routeConfiguration(routesJson('r', [routeTo('c')])));
  plane.cluster(cluster('c', {}));
  plane.endpoints(assignmentMessage('c', [application.address]));
}

describe('what comes over ADS', () => {
  it('is in effect when start is over: listener, routes, cluster and endpoints, each asked for by name', async () => {
    configure();
    const made = await start();
    expect((await made.ask('in')).body).toBe('ok');
    expect(made.proxy.state).toBe('LIVE');
    expect(plane.subscribed(TypeUrl.listener)).toEqual(['*']);
    expect([TypeUrl.route, TypeUrl.cluster, TypeUrl.endpoint].map((type) => plane.subscribed(type))).toEqual([['r'], ['c'], ['c']]);
    for (const [type, name] of [
      [TypeUrl.listener, 'in'],
      [TypeUrl.route, 'r'],
      [TypeUrl.cluster, 'c'],
      [TypeUrl.endpoint, 'c'],
    ] as const)
      expect((await plane.verdict(type, name)).kind).toBe('ack');
  });

  it('may be nothing at all: the proxy is up and waits', async () => {
    const made = await start();
    expect(made.proxy.state).toBe('LIVE');
    configure();
    await plane.verdict(TypeUrl.listener, 'in');
    expect((await made.ask('in')).body).toBe('ok');
  });

  it.each<[string, TypeUrl, string, string, () => void]>([
    [
      'a listener',
      TypeUrl.listener,
      'in',
      'filter_chains[0].filters[0].typed_config.original_ip_detection_extensions[0]: x is not supported by this proxy',
      () => plane.listener(listener('in', { manager: { ...RDS, originalIpDetectionExtensions: [{ name: 'x' }] }, fields: LOOPBACK })),
    ],
    [
      'a route',
      TypeUrl.route,
      'r',
      'virtual_hosts[0].routes[0]: needs one of route',
      () => plane.route(routeConfiguration(routesJson('r', [{ match: { prefix: '/' } }]))),
    ],
    ['a cluster', TypeUrl.cluster, 'c', 'lrs_server: not supported by this proxy', () => plane.cluster(cluster('c', { fields: { lrsServer: { self: {} } } }))],
    [
      'endpoints',
      TypeUrl.endpoint,
      'c',
      'endpoints[0].lb_endpoints[0].load_balancing_weight: must be 1 to',
      () => plane.endpoints(assignmentMessage('c', [{ at: '127.0.0.1:1', loadBalancingWeight: 999_999 }])),
    ],
  ])('%s that cannot be taken is refused with the reason, and the last good version stays', async (_what, type, name, words, send) => {
    configure();
    const made = await start();
    await plane.verdict(type, name);
    plane.forget();
    send();
    const verdict = await plane.verdict(type, name);
    expect(verdict.kind).toBe('nack');
    expect(verdict.reason).toContain(words);
    expect((await made.ask('in')).body).toBe('ok');
    expect(made.log.join('\n')).toContain(words);
    // Nothing bad spreads: what is right goes on.
    plane.forget();
    plane.listener(listener('other', { routes: [{ match: { prefix: '/' }, directResponse: { status: 418 } }], fields: LOOPBACK }));
    expect((await plane.verdict(TypeUrl.listener, 'other')).kind).toBe('ack');
    expect((await made.ask('other')).status).toBe(418);
  });

  it('a new table is held back until its cluster is there, and no request falls in between', async () => {
    configure();
    const made = await start();
    plane.hold(TypeUrl.cluster, 'late');
    await plane.verdict(TypeUrl.route, 'r');
    plane.route(routeConfiguration(routesJson('r', [routeTo('late')])));
    await plane.until(() => plane.subscribed(TypeUrl.cluster).includes('late'));
    expect((await made.ask('in')).body).toBe('ok');
    plane.forget();
    const late = await TestApplication.start((_request, response) => response.end('late'));
    plane.endpoints(assignmentMessage('late', [late.address]));
    plane.cluster(cluster('late', {}));
    await plane.verdict(TypeUrl.route, 'r');
    expect((await made.ask('in')).body).toBe('late');
    await late.close();
  });

  it('a listener that is removed accepts no more', async () => {
    configure();
    const made = await start();
    const address = made.proxy.listenerAddress('in')!;
    await plane.verdict(TypeUrl.listener, 'in');
    plane.forget();
    plane.remove(TypeUrl.listener, 'in');
    await plane.verdict(TypeUrl.listener, 'in');
    await expect(connects(address)).resolves.toBe(false);
  });

  it('an address that is in use is said with what to do', async () => {
    const blocker = net.createServer().listen(0, '127.0.0.1');
    await once(blocker, 'listening');
    const { port } = blocker.address() as net.AddressInfo;
    plane.listener(listener('in', { routes: [], fields: { address: { socketAddress: { address: '127.0.0.1', portValue: port } } } }));
    await start();
    expect((await plane.verdict(TypeUrl.listener, 'in')).reason).toContain(
      `listener in cannot listen on 127.0.0.1:${port}: the address is in use by another process; stop that one`,
    );
    blocker.close();
  });
});

describe('virtual hosts on demand', () => {
  const VHDS = { name: 'r', vhds: { configSource: { ads: {} } } };

  beforeEach(() => {
    configure();
    plane.route(routeConfiguration(VHDS));
  });

  it('come when a request names them, with their cluster', async () => {
    const made = await start();
    expect(plane.subscribed(TypeUrl.virtualHost)).toEqual([]);
    plane.virtualHost('r/orders:8080', virtualHost({ name: 'orders:8080', domains: ['orders:8080', 'orders.default:8080'], routes: [routeTo('c')] }), [
      'r/orders.default:8080',
    ]);
    const answers = await Promise.all([1, 2, 3].map(() => made.ask('in', { headers: { host: 'Orders.Default:8080' } })));
    expect(answers.map(({ body }) => body)).toEqual(['ok', 'ok', 'ok']);
    expect(plane.subscribed(TypeUrl.virtualHost)).toEqual(['r/orders.default:8080']);
    expect(plane.subscribed(TypeUrl.cluster)).toEqual(['c']);
  });

  it('that are not there are 404, at once', async () => {
    const made = await start();
    const answer = await made.ask('in', { headers: { host: 'nobody' } });
    expect(answer.status).toBe(404);
    expect(answer.headers['proxy-status']).toContain('route_not_found; NR');
  });

  it('change for the next request, and are gone when they are taken away', async () => {
    const made = await start();
    const host = (routes: JsonObject[]) => virtualHost({ name: 'orders', domains: ['orders'], routes });
    const ask = () => made.ask('in', { headers: { host: 'orders' } });
    plane.virtualHost('r/orders', host([routeTo('c')]));
    expect((await ask()).body).toBe('ok');
    plane.forget();
    plane.virtualHost('r/orders', host([{ match: { prefix: '/' }, directResponse: { status: 418 } }]));
    await plane.verdict(TypeUrl.virtualHost, 'r/orders');
    expect((await ask()).status).toBe(418);
    plane.forget();
    plane.remove(TypeUrl.virtualHost, 'r/orders');
    await plane.verdict(TypeUrl.virtualHost, 'r/orders');
    expect((await ask()).status).toBe(404);
  });

  it('take over a domain that another gives up in the same update, whichever comes first', async () => {
    const made = await start();
    const says = (status: number, ...domains: string[]) =>
      virtualHost({ name: domains[0]!, domains, routes: [{ match: { prefix: '/' }, directResponse: { status } }] });
    const ask = () => Promise.all(['orders', 'orders:80'].map(async (host) => (await made.ask('in', { headers: { host } })).status));
    plane.virtualHost('r/orders:80', says(418, 'orders:80', 'orders'), ['r/orders']);
    expect(await ask()).toEqual([418, 418]);
    expect([...plane.subscribed(TypeUrl.virtualHost)].sort()).toEqual(['r/orders', 'r/orders:80']);
    await plane.verdict(TypeUrl.virtualHost, 'r/orders:80');
    plane.forget();
    plane.virtualHost('r/orders', says(201, 'orders'));
    plane.virtualHost('r/orders:80', says(202, 'orders:80'));
    await plane.verdict(TypeUrl.virtualHost, 'r/orders');
    expect(await ask()).toEqual([201, 202]);
  });

  it('give domains to each other in one update', async () => {
    const made = await start();
    const says = (status: number, ...domains: string[]) =>
      virtualHost({ name: domains[0]!, domains, routes: [{ match: { prefix: '/' }, directResponse: { status } }] });
    const ask = () => Promise.all(['orders', 'audit'].map(async (host) => (await made.ask('in', { headers: { host } })).status));
    plane.virtualHost('r/a', says(201, 'orders'), ['r/orders']);
    plane.virtualHost('r/b', says(202, 'audit'), ['r/audit']);
    expect(await ask()).toEqual([201, 202]);
    for (const name of ['r/a', 'r/b']) await plane.verdict(TypeUrl.virtualHost, name);
    plane.forget();
    plane.virtualHost('r/a', says(201, 'audit'), ['r/audit']);
    plane.virtualHost('r/b', says(202, 'orders'), ['r/orders']);
    await plane.verdict(TypeUrl.virtualHost, 'r/a');
    expect(await ask()).toEqual([202, 201]);
  });
});

describe('an update of a listener under load', () => {
  it('refuses no connection, and fails no request', async () => {
    configure();
    const made = await start();
    const failures: string[] = [];
    let asked = 0;
    let stop = false;
    const load = async (): Promise<void> => {
      const agent = new http.Agent({ keepAlive: true, maxSockets: 2 });
      while (!stop) {
        // Half of them on connections of their own, half on ones that are told to close.
        const answer = await made.ask('in', asked++ % 2 === 0 ? {} : { agent }).catch((error: Error) => ({ status: 0, body: error.message }));
        if (answer.status !== 200) failures.push(`${answer.status} ${answer.body}`);
      }
      agent.destroy();
    };
    const workers = [load(), load(), load()];
    const address = made.proxy.listenerAddress('in')!;
    await plane.verdict(TypeUrl.listener, 'in');
    for (let i = 0; i < 15; i++) {
      plane.forget();
      plane.listener(listener('in', { manager: { ...RDS, via: `v${i}` }, fields: LOOPBACK }));
      await plane.verdict(TypeUrl.listener, 'in');
      await made.ask('in');
    }
    stop = true;
    await Promise.all(workers);
    expect(failures).toEqual([]);
    expect(application.requests.at(-1)!.headers['via']).toBe('v14');
    expect(made.proxy.listenerAddress('in')).toBe(address);
  });
});

describe('the control plane away', () => {
  it('is served from the cache by a proxy that starts meanwhile, and by one that goes on', async () => {
    configure();
    const first = await start();
    expect((await first.ask('in')).body).toBe('ok');
    await Promise.all(
      [TypeUrl.listener, TypeUrl.route, TypeUrl.cluster, TypeUrl.endpoint].map((type) =>
        plane.verdict(type, type === TypeUrl.listener ? 'in' : type === TypeUrl.route ? 'r' : 'c'),
      ),
    );
    await plane.stop();
    expect((await first.ask('in')).body).toBe('ok');
    await first.proxy.close();
    const second = await start();
    expect((await second.ask('in')).body).toBe('ok');
    expect(second.log.join('\n')).toMatch(/serving \d+ .*Listener from the cache/);
    const info = JSON.parse((await second.admin('/server_info')).body) as {
      outrigger: { control_plane: { connected: boolean; configuration_age_seconds: number } };
    };
    expect(info.outrigger.control_plane.connected).toBe(false);
    expect(info.outrigger.control_plane.configuration_age_seconds).toBeLessThan(60);
    // It is back, with something new.
    plane.forget();
    plane.route(routeConfiguration(routesJson('r', [{ match: { prefix: '/' }, directResponse: { status: 418 } }])));
    await plane.serve();
    await plane.verdict(TypeUrl.route, 'r');
    expect((await second.ask('in')).status).toBe(418);
  });
});

describe('static resources', () => {
  it('serve without any control plane', async () => {
    const fields = { listeners: [JSON.parse(JSON.stringify(staticListener([routeTo('s')])))], clusters: [staticCluster('s', application.address)] };
    const made = await TestProxy.make(bootstrapJson(null, { staticResources: fields }));
    proxies.push(made);
    await made.proxy.start();
    expect((await made.ask('in')).body).toBe('ok');
    const before = performance.now();
    expect((await made.ask('in', { path: '/nowhere' })).status).toBe(503);
    expect(performance.now() - before).toBeLessThan(4_000);
  });

  it('may name routes that come over ADS', async () => {
    configure();
    plane.remove(TypeUrl.listener, 'in');
    const json = bootstrapJson(plane, {
      staticResources: { listeners: [staticListener(undefined)] },
      dynamicResources: { ldsConfig: null } as unknown as JsonObject,
    });
    const made = await TestProxy.make(json);
    proxies.push(made);
    await made.proxy.start();
    expect((await made.ask('in')).body).toBe('ok');
  });
});

function staticListener(routes: JsonObject[] | undefined): JsonObject {
  const router = { name: 'router', typedConfig: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' } };
  return {
    name: 'in',
    ...LOOPBACK,
    filterChains: [
      {
        filters: [
          {
            name: 'http',
            typedConfig: {
              '@type': 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
              statPrefix: 'in',
              httpFilters: [router],
              ...(routes === undefined
                ? RDS
                : { routeConfig: routesJson('in', [{ match: { prefix: '/nowhere' }, route: { cluster: 'nowhere' } }, ...routes]) }),
            },
          },
        ],
      },
    ],
  };
}

function staticCluster(name: string, address: string): JsonObject {
  const [host, port] = address.split(':');
  return {
    name,
    loadAssignment: {
      clusterName: name,
      endpoints: [{ lbEndpoints: [{ endpoint: { address: { socketAddress: { address: host!, portValue: Number(port) } } } }] }],
    },
  };
}

describe('drain', () => {
  it('lets the request under way have its answer, takes no new connection, and leaves nothing', async () => {
    await application.close();
    let answer = (): void => {};
    application = await TestApplication.start((_request, response) => {
      answer = () => response.end('at last');
    });
    configure();
    const made = await start();
    const address = made.proxy.listenerAddress('in')!;
    const under = made.ask('in', { agent: new http.Agent({ keepAlive: true }) });
    while (application.requests.length === 0) await new Promise((resolve) => setImmediate(resolve));
    const drained = made.proxy.drain();
    expect(made.proxy.state).toBe('DRAINING');
    expect((await made.admin('/ready')).status).toBe(503);
    await expect(connects(address)).resolves.toBe(false);
    answer();
    expect(await under).toMatchObject({ status: 200, body: 'at last', headers: { connection: 'close' } });
    await drained;
    await expect(connects(made.proxy.adminAddress || address)).resolves.toBe(false);
  });

  it('waits no longer than it may, and says for what', async () => {
    await application.close();
    application = await TestApplication.start(() => {});
    configure();
    const made = await start({ drainTimeoutMs: 600 });
    const under = made.ask('in').catch((error: Error) => error);
    while (application.requests.length === 0) await new Promise((resolve) => setImmediate(resolve));
    await made.proxy.drain();
    expect(await under).toBeInstanceOf(Error);
    const why = 'open connections: 1, of which TCP, that say nothing of being idle: 0; requests under way: 1';
    expect(made.log.join('\n')).toContain(`drains, for at most 0.6 s; ${why}`);
    expect(made.log.join('\n')).toContain(`has drained for 0.6 s and ends all the same; ${why}`);
  });
});

it('takes no more connections than it may, and counts those that it refused', async () => {
  configure();
  const made = await start({ maxConnections: 2 });
  const [host, port] = made.proxy.listenerAddress('in')!.split(':');
  const sockets = await Promise.all(
    [1, 2].map(async () => {
      const socket = net.connect(Number(port), host);
      await once(socket, 'connect');
      socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
      await once(socket, 'data');
      return socket;
    }),
  );
  await expect(made.ask('in')).rejects.toThrow();
  for (const socket of sockets) socket.destroy();
  await expect
    .poll(() =>
      made.ask('in').then(
        ({ status }) => status,
        () => 0,
      ),
    )
    .toBe(200);
  const listeners = JSON.parse((await made.admin('/listeners?format=json&detail')).body) as { listener_statuses: { overload_refused: number }[] };
  expect(listeners.listener_statuses[0]!.overload_refused).toBeGreaterThanOrEqual(1);
});

/** Whether somebody takes a connection there. */
async function connects(address: string): Promise<boolean> {
  const [host, port] = address.split(':');
  const socket = net.connect(Number(port), host);
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
