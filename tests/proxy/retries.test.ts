import type { JsonObject } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { clusterJson, listenerJson, typed } from '../../packages/proxy/src/testing/messages.ts';
import { ask, TestApplication } from '../../packages/proxy/src/testing/test-proxy.ts';
import { freePort } from '../harness/ports.ts';
import { DataPlane, planes } from './data-plane.ts';

/** What the application does with one call after another: a status, or what else it does. */
type Does = number | 'end' | 'hang' | readonly [number, Record<string, string>];

interface Case {
  readonly policy: JsonObject;
  readonly does: readonly Does[];
  readonly headers?: Record<string, string>;
  readonly action?: JsonObject;
  /** Status and number of calls that came. */
  readonly becomes: readonly [number, number];
}

const on = (retryOn: string, more: JsonObject = {}): JsonObject => ({ retryOn, numRetries: 2, ...more });
const GRPC = { 'content-type': 'application/grpc' };
const grpc = (status: number): Does => [200, { ...GRPC, 'grpc-status': String(status) }];

const CASES: Readonly<Record<string, Case>> = {
  '5xx: an error': { policy: on('5xx'), does: [500, 503, 200], becomes: [200, 3] },
  '5xx: spent': { policy: on('5xx'), does: [500], becomes: [500, 3] },
  '5xx: the connection ended': { policy: on('5xx'), does: ['end', 200], becomes: [200, 2] },
  '5xx: not a 4xx': { policy: on('5xx'), does: [404, 200], becomes: [404, 1] },
  'gateway-error: 502': { policy: on('gateway-error'), does: [502, 200], becomes: [200, 2] },
  'gateway-error: not 500': { policy: on('gateway-error'), does: [500, 200], becomes: [500, 1] },
  'gateway-error: the connection ended': { policy: on('gateway-error'), does: ['end', 200], becomes: [200, 2] },
  'reset: the connection ended': { policy: on('reset'), does: ['end', 200], becomes: [200, 2] },
  'reset: not an answer': { policy: on('reset'), does: [503, 200], becomes: [503, 1] },
  'reset-before-request: the request was sent': { policy: on('reset-before-request'), does: ['end', 200], becomes: [503, 1] },
  'connect-failure: the request was sent': { policy: on('connect-failure'), does: ['end', 200], becomes: [503, 1] },
  'retriable-4xx: 409': { policy: on('retriable-4xx'), does: [409, 200], becomes: [200, 2] },
  'retriable-4xx: not 404': { policy: on('retriable-4xx'), does: [404, 200], becomes: [404, 1] },
  'retriable-status-codes: one of them': { policy: on('retriable-status-codes', { retriableStatusCodes: [418] }), does: [418, 200], becomes: [200, 2] },
  'retriable-headers: it has one': {
    policy: on('retriable-headers', { retriableHeaders: [{ name: 'x-again', presentMatch: true }] }),
    does: [
      [200, { 'x-again': 'y' }],
      [201, {}],
    ],
    becomes: [201, 2],
  },
  'envoy-ratelimited: it says so': { policy: on('envoy-ratelimited'), does: [[429, { 'x-envoy-ratelimited': 'true' }], 200], becomes: [200, 2] },
  'envoy-ratelimited: not by 5xx': { policy: on('5xx'), does: [[503, { 'x-envoy-ratelimited': 'true' }], 200], becomes: [503, 1] },
  cancelled: { policy: on('cancelled'), does: [grpc(1), grpc(0)], headers: GRPC, becomes: [200, 2] },
  'deadline-exceeded': { policy: on('deadline-exceeded'), does: [grpc(4), grpc(0)], headers: GRPC, becomes: [200, 2] },
  internal: { policy: on('internal'), does: [grpc(13), grpc(0)], headers: GRPC, becomes: [200, 2] },
  'resource-exhausted': { policy: on('resource-exhausted'), does: [grpc(8), grpc(0)], headers: GRPC, becomes: [200, 2] },
  unavailable: { policy: on('unavailable'), does: [grpc(14), grpc(0)], headers: GRPC, becomes: [200, 2] },
  'unavailable: not another status': { policy: on('unavailable'), does: [grpc(5), grpc(0)], headers: GRPC, becomes: [200, 1] },
  'retriable_request_headers: it has one': {
    policy: on('5xx', { retriableRequestHeaders: [{ name: 'x-please', presentMatch: true }] }),
    does: [503, 200],
    headers: { 'x-please': 'y' },
    becomes: [200, 2],
  },
  'retriable_request_headers: it has none': {
    policy: on('5xx', { retriableRequestHeaders: [{ name: 'x-please', presentMatch: true }] }),
    does: [503, 200],
    becomes: [503, 1],
  },
  per_try_timeout: { policy: on('5xx', { perTryTimeout: '0.2s' }), does: ['hang', 200], becomes: [200, 2] },
  'per_try_timeout: spent': { policy: on('5xx', { numRetries: 1, perTryTimeout: '0.1s' }), does: ['hang'], becomes: [504, 2] },
  per_try_idle_timeout: { policy: on('5xx', { perTryIdleTimeout: '0.2s' }), does: ['hang', 200], becomes: [200, 2] },
  'the timeout of the route ends it all': {
    policy: on('5xx', { numRetries: 9, perTryTimeout: '0.3s' }),
    action: { timeout: '0.5s' },
    does: ['hang'],
    becomes: [504, 2],
  },
  hedge_on_per_try_timeout: {
    policy: on('5xx', { perTryTimeout: '0.2s' }),
    action: { hedgePolicy: { hedgeOnPerTryTimeout: true } },
    does: ['hang', 200],
    becomes: [200, 2],
  },
};

describe.each(planes)('retries through %s', (plane) => {
  let proxy: DataPlane;
  let application: TestApplication;
  const calls = new Map<string, number>();
  const tried = new Map<string, string[]>();
  const others: TestApplication[] = [];

  /** Applications that refuse with 503, all but the last, and are told apart. */
  async function failing(name: string, count: number): Promise<string[]> {
    const addresses: string[] = [];
    for (let i = 0; i < count; i++) {
      const one = await TestApplication.start((request, response) => {
        const seen = tried.get(request.url!) ?? [];
        tried.set(request.url!, [...seen, `${name}${i}`]);
        response.writeHead(503).end();
      });
      others.push(one);
      addresses.push(one.address);
    }
    return addresses;
  }

  beforeAll(async () => {
    application = await TestApplication.start((request, response) => {
      const name = decodeURIComponent(request.url!.slice(1));
      const call = calls.get(name) ?? 0;
      calls.set(name, call + 1);
      const { does } = CASES[name]!;
      const now = does[Math.min(call, does.length - 1)]!;
      if (now === 'end') request.socket.destroy();
      else if (now === 'hang') return;
      else if (typeof now === 'number') response.writeHead(now).end();
      else response.writeHead(now[0], now[1]).end();
    });
    const [hosts, canaries, marked, priorities] = [await failing('h', 3), await failing('c', 2), await failing('m', 2), await failing('p', 2)];
    const metadata = (at: string, fields: JsonObject) => ({ at, metadata: { filterMetadata: { 'envoy.lb': fields } } });
    const predicate = (name: string, type: string, fields: JsonObject = {}): JsonObject => ({
      numRetries: 2,
      retryOn: '5xx',
      hostSelectionRetryMaxAttempts: '50',
      retryHostPredicate: [{ name: `envoy.retry_host_predicates.${name}`, typedConfig: typed(`envoy.extensions.retry.host.${name}.v3.${type}`, fields) }],
    });
    const choosing: Record<string, JsonObject> = {
      hosts: predicate('previous_hosts', 'PreviousHostsPredicate'),
      canaries: predicate('omit_canary_hosts', 'OmitCanaryHostsPredicate'),
      marked: predicate('omit_host_metadata', 'OmitHostMetadataConfig', { metadataMatch: { filterMetadata: { 'envoy.lb': { old: 'yes' } } } }),
      priorities: {
        numRetries: 3,
        retryOn: '5xx',
        retryPriority: {
          name: 'envoy.retry_priorities.previous_priorities',
          typedConfig: typed('envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig', { updateFrequency: 1 }),
        },
      },
    };
    const routes = [
      ...Object.keys(choosing).map((name) => ({ match: { prefix: `/${name}` }, route: { cluster: name, retryPolicy: choosing[name]! } })),
      { match: { prefix: '/gone' }, route: { cluster: 'gone', retryPolicy: on('connect-failure') } },
      ...Object.entries(CASES).map(([name, { policy, action = {} }]) => ({
        match: { path: `/${encodeURIComponent(name)}` },
        route: { cluster: 'application', timeout: '5s', ...action, retryPolicy: policy },
      })),
    ];
    const random = { lbPolicy: 'RANDOM' };
    const byPriority = (name: string, addresses: readonly string[]): JsonObject => {
      const json = clusterJson(name, { endpoints: [...addresses] });
      const { endpoints } = json['loadAssignment'] as { endpoints: { lbEndpoints: JsonObject[] }[] };
      return {
        ...json,
        loadAssignment: { clusterName: name, endpoints: endpoints[0]!.lbEndpoints.map((one, priority) => ({ priority, lbEndpoints: [one] })) },
      };
    };
    proxy = await DataPlane.start(plane, {
      listeners: {
        inner: listenerJson('inner', {
          routes: [{ match: { prefix: '/inner' }, route: { cluster: 'hosts' } }],
          manager: { useRemoteAddress: true, internalAddressConfig: { cidrRanges: [{ addressPrefix: '127.0.0.0', prefixLen: 8 }] } },
        }),
        web: listenerJson('web', { routes, virtualHost: { includeRequestAttemptCount: true } }),
      },
      clusters: {
        application: clusterJson('application', {
          endpoints: [application.address],
          fields: { circuitBreakers: { thresholds: [{ maxRetries: 1000 }] } },
        }),
        gone: clusterJson('gone', { endpoints: [`127.0.0.1:${await freePort()}`] }),
        hosts: clusterJson('hosts', { endpoints: hosts, fields: random }),
        canaries: clusterJson('canaries', { endpoints: [metadata(canaries[0]!, { canary: true }), canaries[1]!], fields: random }),
        marked: clusterJson('marked', { endpoints: [metadata(marked[0]!, { old: 'yes' }), marked[1]!], fields: random }),
        priorities: byPriority('priorities', priorities),
      },
    });
  });

  afterAll(async () => {
    await proxy?.stop();
    await Promise.all([application, ...others].map((one) => one.close()));
  });

  const get = (path: string, headers: Record<string, string> = {}) =>
    // Not one that is safe to send twice on a connection that ended at the wrong moment.
    ask(`127.0.0.1:${proxy.port('web')}`, { method: 'POST', path, headers });

  test.concurrent.each(Object.keys(CASES))('%s', async (name) => {
    const { headers = {}, becomes } = CASES[name]!;
    const { status } = await get(`/${encodeURIComponent(name)}`, headers);
    expect([status, calls.get(name)]).toEqual(becomes);
  });

  test('x-envoy-retry-on of a caller from within, and of no other', async () => {
    const headers = { 'x-envoy-retry-on': '5xx', 'x-envoy-max-retries': '2' };
    await ask(`127.0.0.1:${proxy.port('inner')}`, { path: '/inner', headers });
    expect(tried.get('/inner')).toHaveLength(3);
    await get('/hosts/none', { 'x-envoy-max-retries': '9' });
    expect(tried.get('/hosts/none')).toHaveLength(3);
  });

  test('connect-failure: nobody listens', async () => {
    const { status, headers } = await get('/gone');
    expect(status).toBe(503);
    expect(headers['proxy-status']).toMatch(/; (UF,URX|URX,UF)"$/);
  });

  test('previous_hosts: each is tried once', async () => {
    for (let i = 0; i < 20; i++) await get(`/hosts/${i}`);
    for (let i = 0; i < 20; i++) expect([...tried.get(`/hosts/${i}`)!].sort()).toEqual(['h0', 'h1', 'h2']);
  });

  test.each([
    ['canaries', 'c'],
    ['marked', 'm'],
  ])('%s: a retry goes to the other', async (name, letter) => {
    for (let i = 0; i < 20; i++) await get(`/${name}/${i}`);
    const orders = Array.from({ length: 20 }, (_one, i) => tried.get(`/${name}/${i}`)!.join());
    expect(new Set(orders)).toEqual(new Set([`${letter}0,${letter}1,${letter}1`, `${letter}1,${letter}1,${letter}1`]));
  });

  test('previous_priorities: the next priority is tried, and then all again', async () => {
    await get('/priorities');
    expect(tried.get('/priorities')).toEqual(['p0', 'p1', 'p0', 'p1']);
  });
});
