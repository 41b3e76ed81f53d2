import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { canary, paymentLock, resource, strict, subsets } from '../../packages/translate/src/testing/shop.ts';
import { peer } from '../harness/peers.ts';
import { freePort } from '../harness/ports.ts';
import { until } from '../xds/envoy.ts';
import { MeshOfEnvoys, type Sidecar, send, through, tunnel } from './mesh-of-envoys.ts';

const binary = peer('envoy');

describe.skipIf(binary === undefined)('real Envoys on what translation says', () => {
  const mesh = new MeshOfEnvoys(binary!);
  let web: Sidecar;
  let order1: Sidecar;
  let order2: Sidecar;
  let payment: Sidecar;
  let redis: Sidecar;

  beforeAll(async () => {
    await mesh.start();
    web = await mesh.sidecar('web', '');
    order1 = await mesh.sidecar('order-service', 'v1');
    order2 = await mesh.sidecar('order-service', 'v2');
    payment = await mesh.sidecar('payment-service', '');
    redis = await mesh.sidecar('redis', '', { protocol: 'TCP' });
    await until('web reaches redis', async () => ((await through(web, 'http://payment-service:8080/')).status === 200 ? true : undefined));
  });

  afterAll(async () => {
    await mesh.close();
  });

  test('they refuse nothing', () => {
    expect(mesh.refusals).toEqual([]);
  });

  test('a call goes over mTLS and HTTP/2, with the peer header taken off and nothing added that no application asked for', async () => {
    const answer = await through(web, 'http://payment-service:8080/pay?x=1', { headers: { 'x-outrigger-peer': 'forged' } });
    expect(answer).toMatchObject({ status: 200, body: payment.application.name });
    const seen = payment.application.seen.at(-1)!;
    expect(seen.path).toBe('/pay?x=1');
    expect(seen.headers['host']).toBe('payment-service:8080');
    expect(seen.headers['x-forwarded-client-cert']).toContain('URI=spiffe://cluster.local/ns/default/sa/web');
    expect(seen.headers['x-outrigger-peer']).toBeUndefined();
    expect(await payment.envoy.stat(String.raw`http\.inbound.*downstream_cx_http2_total`)).toBeGreaterThan(0);
    expect(Object.keys(answer.headers).filter((name) => name.startsWith('x-envoy') || name === 'server')).toEqual([]);
  });

  test.each(['payment-service:8080', 'payment-service.default:8080', 'payment-service.default.svc.cluster.local:8080'])(
    '%s is the service',
    async (authority) => {
      expect((await through(web, `http://${authority}/`)).body).toBe(payment.application.name);
    },
  );

  test('CONNECT to an HTTP port: HTTP/1.1 and the HTTP/2 preface inside are routed', async () => {
    const text = await tunnel(web, 'payment-service:8080', 'GET /inside HTTP/1.1\r\nHost: payment-service:8080\r\nConnection: close\r\n\r\n', (all) =>
      all.includes(payment.application.name),
    );
    expect(text).toMatch(/^HTTP\/1.1 200/);
    expect(payment.application.seen.at(-1)!.path).toBe('/inside');
    const preface = Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0])]);
    const settings = await tunnel(web, 'payment-service:8080', preface, (all) => all.length >= 9);
    expect(settings.charCodeAt(3)).toBe(4);
  });

  test('CONNECT to a TCP port goes straight through, over mTLS', async () => {
    const text = await tunnel(web, 'redis:8080', 'GET /raw HTTP/1.0\r\n\r\n', (all) => all.includes(redis.application.name));
    expect(text).toMatch(/^HTTP\/1.1 200/);
    expect(await redis.envoy.stat('listener.127.0.0.1_.*.ssl.handshake')).toBeGreaterThan(0);
  });

  test('a host outside the mesh is passed on, by request and by CONNECT; REGISTRY_ONLY refuses it', async () => {
    const outside = await mesh.application('outside');
    const url = `http://localhost:${outside.port}/out`;
    expect(await through(web, url)).toMatchObject({ status: 200, body: 'outside' });
    expect(await tunnel(web, `localhost:${outside.port}`, 'GET /tunnel HTTP/1.0\r\n\r\n', (all) => all.includes('outside'))).toMatch(/^HTTP\/1.1 200/);
    const closed = resource('Sidecar', 'default', { egress: [{ hosts: ['*/*'] }], outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } });
    mesh.apply(closed);
    await until('the host is refused', async () => ((await through(web, url)).status === 502 ? true : undefined));
    mesh.delete(closed);
    await until('the host is passed on again', async () => ((await through(web, url)).status === 200 ? true : undefined));
    expect(mesh.refusals).toEqual([]);
  });

  test('the canary splits', async () => {
    mesh.apply(canary, subsets);
    await until('the canary is in effect', async () =>
      (await web.envoy.stat(String.raw`cluster\.outbound\|8080\|v2\|.*membership_healthy`)) === 1 ? true : undefined,
    );
    order1.application.seen.length = 0;
    order2.application.seen.length = 0;
    for (let i = 0; i < 300; i++) expect((await through(web, 'http://order-service:8080/')).status).toBe(200);
    const share = order2.application.seen.length / 300;
    // Eight sigma of a fair 10 %.
    expect(share).toBeGreaterThan(0);
    expect(share).toBeLessThan(0.24);
    expect(mesh.refusals).toEqual([]);
  });

  test('an EnvoyFilter: a filter more, a field of a cluster, a route; what an Envoy knows and we do not goes to it as well', async () => {
    const hcm = { listener: { filterChain: { filter: { name: 'envoy.filters.network.http_connection_manager' } } } };
    const header = (type: string, key: string) => ({
      '@type': `type.googleapis.com/envoy.extensions.filters.http.${type}`,
      mutations: { response_mutations: [{ append: { header: { key, value: 'yes' } } }] },
    });
    const patch = (applyTo: string, match: object, operation: string, value: object) => ({ applyTo, match, patch: { operation, value } });
    const filter = resource('EnvoyFilter', 'patched', {
      workloadSelector: { labels: { app: 'web' } },
      configPatches: [
        patch('HTTP_FILTER', { context: 'SIDECAR_OUTBOUND', ...hcm }, 'INSERT_FIRST', {
          name: 'mine',
          typed_config: header('header_mutation.v3.HeaderMutation', 'x-filter'),
        }),
        patch('HTTP_FILTER', { context: 'SIDECAR_OUTBOUND', ...hcm }, 'INSERT_FIRST', {
          name: 'unknown-to-us',
          typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.header_to_metadata.v3.Config' },
        }),
        patch('CLUSTER', { cluster: { service: 'order-service.default.svc.cluster.local' } }, 'MERGE', {
          circuit_breakers: { thresholds: [{ priority: 'HIGH', max_connections: 77 }] },
        }),
        patch('HTTP_ROUTE', { routeConfiguration: { portNumber: 8080, vhost: { route: { name: 'default' } } } }, 'MERGE', {
          response_headers_to_add: [{ header: { key: 'x-route', value: 'yes' } }],
        }),
      ],
    });
    mesh.apply(filter);
    const answer = await until('both are in effect', async () => {
      const { headers, status } = await through(web, 'http://payment-service:8080/');
      return headers['x-filter'] === 'yes' && headers['x-route'] === 'yes' ? { status } : undefined;
    });
    expect(answer.status).toBe(200);
    const clusters = await (await fetch(`http://127.0.0.1:${web.envoy.adminPort}/clusters`)).text();
    const limits = clusters.split('\n').filter((line) => line.includes('high_priority::max_connections::77'));
    expect(limits.map((line) => line.split('::')[0])).toContain('outbound|8080||order-service.default.svc.cluster.local');
    expect(limits.filter((line) => !line.includes('order-service'))).toEqual([]);
    expect((await through(order1, 'http://payment-service:8080/')).headers).not.toHaveProperty('x-filter');
    expect(mesh.refusals).toEqual([]);
    mesh.delete(filter);
    await until('it is gone', async () => ((await through(web, 'http://payment-service:8080/')).headers['x-filter'] === undefined ? true : undefined));
  });

  test('STRICT: plain text is cut off at the sidecar, the mesh goes on', async () => {
    const { host, port } = payment.node.inbound[0]!.mesh;
    expect((await send({ host, port, path: '/', method: 'GET', headers: { host: 'x' } })).status).toBe(200);
    mesh.apply(strict);
    await until('plain text is refused', async () =>
      send({ host, port, path: '/', method: 'GET', headers: { host: 'x', connection: 'close' } }).then(
        () => undefined,
        () => true,
      ),
    );
    expect((await through(web, 'http://payment-service:8080/')).status).toBe(200);
    mesh.delete(strict);
  });

  test('an AuthorizationPolicy: 403 signed for everybody but order-service', async () => {
    mesh.apply(paymentLock);
    const refused = await until('web is refused', async () => {
      const answer = await through(web, 'http://payment-service:8080/');
      return answer.status === 403 ? answer : undefined;
    });
    expect(refused.headers['proxy-status']).toMatch(/^payment-service\.default;/);
    expect((await through(order1, 'http://payment-service:8080/')).status).toBe(200);
    mesh.delete(paymentLock);
    await until('web is let in again', async () => ((await through(web, 'http://payment-service:8080/')).status === 200 ? true : undefined));
  });

  test.each([
    { what: 'a GET is tried until it is good', method: 'GET', headers: {}, statuses: [503, 503], status: 200, tries: 3 },
    { what: 'a GET is given up after four', method: 'GET', headers: {}, statuses: [503, 503, 503, 503, 503], status: 503, tries: 4 },
    { what: 'a 404 is asked once', method: 'GET', headers: {}, statuses: [404], status: 404, tries: 1 },
    { what: 'a POST is asked once', method: 'POST', headers: {}, statuses: [503], status: 503, tries: 1 },
    { what: 'a POST with an idempotency key is tried again', method: 'POST', headers: { 'Idempotency-Key': 'a' }, statuses: [503], status: 200, tries: 2 },
  ])('retries: $what', async ({ method, headers, statuses, status, tries }) => {
    payment.application.statuses.splice(0, 99, ...statuses);
    payment.application.seen.length = 0;
    expect((await through(web, 'http://payment-service:8080/', { method, headers: headers as Record<string, string> })).status).toBe(status);
    expect(payment.application.seen.length).toBe(tries);
    payment.application.statuses.length = 0;
    // A success keeps the breaker of the next row closed.
    await through(web, 'http://payment-service:8080/');
  });

  test('explicit retries hold for every method', async () => {
    const retried = resource('VirtualService', 'payment', {
      hosts: ['payment-service'],
      http: [{ name: 'pay', route: [{ destination: { host: 'payment-service' } }], retries: { attempts: 1, retryOn: '503' } }],
    });
    mesh.apply(retried);
    await until('the route is in effect', async () => {
      payment.application.statuses.splice(0, 99, 503);
      payment.application.seen.length = 0;
      await through(web, 'http://payment-service:8080/', { method: 'POST' });
      payment.application.statuses.length = 0;
      return payment.application.seen.length === 2 ? true : undefined;
    });
    mesh.delete(retried);
    expect(mesh.refusals).toEqual([]);
  });

  test('an endpoint that fails five times is out at once, and what Envoy answers then is signed', async () => {
    payment.application.statuses.splice(0, 99, ...Array.from({ length: 8 }, () => 500));
    for (let i = 0; i < 5; i++) expect((await through(web, 'http://payment-service:8080/', { method: 'POST' })).status).toBe(500);
    // Envoy's workers count, its main thread ejects: a moment after.
    const ejected = String.raw`cluster\.outbound\|8080\|\|payment-service\..*\.outlier_detection\.ejections_active`;
    await until('the endpoint is out', async () => ((await web.envoy.stat(ejected)) === 1 ? true : undefined), 3_000);
    const open = await through(web, 'http://payment-service:8080/', { method: 'POST' });
    expect(open.status).toBe(503);
    expect(open.headers['proxy-status']).toMatch(/^web\.default;/);
    payment.application.statuses.length = 0;
  });

  test('bytes that are no TLS of the mesh get nowhere on a STRICT port', async () => {
    mesh.apply(strict);
    const { host, port } = redis.node.inbound[0]!.mesh;
    const closed = await until(
      'the connection is closed',
      () =>
        new Promise<true | undefined>((resolve) => {
          const socket = connect({ host, port }, () => socket.write('PING\r\n'));
          let got = '';
          socket.setEncoding('latin1').on('data', (text: string) => {
            got += text;
          });
          socket.once('close', () => resolve(got === '' ? true : undefined));
          socket.once('error', () => resolve(true));
        }),
    );
    expect(closed).toBe(true);
    mesh.delete(strict);
  });

  test('everything that a VirtualService and a DestinationRule can say is accepted', async () => {
    const to = (subset?: string) => ({ destination: { host: 'order-service', ...(subset === undefined ? {} : { subset }) } });
    const everything = resource('VirtualService', 'everything', {
      hosts: ['order-service'],
      http: [
        { name: 'redirect', match: [{ uri: { exact: '/redirect' } }], redirect: { uri: '/new', authority: 'b', scheme: 'https', redirectCode: 308 } },
        {
          name: 'direct',
          match: [{ uri: { regex: '/direct.*' } }],
          directResponse: { status: 418, body: { string: 'tea' } },
          headers: { response: { set: { 'x-made': 'here' } } },
        },
        { name: 'absent', match: [{ uri: { prefix: '/absent' }, withoutHeaders: { a: { exact: '1' }, b: {} } }], directResponse: { status: 410 } },
        {
          name: 'fault',
          match: [{ uri: { prefix: '/fault' } }],
          fault: { delay: { fixedDelay: '1ms', percentage: { value: 100 } }, abort: { httpStatus: 555, percentage: { value: 100 } } },
          route: [to()],
        },
        {
          name: 'matches',
          match: [
            {
              uri: { prefix: '/MATCH' },
              ignoreUriCase: true,
              method: { exact: 'GET' },
              headers: { 'X-A': { regex: 'a+' } },
              queryParams: { q: { exact: '1' }, r: {} },
              authority: { prefix: 'order' },
              scheme: { exact: 'http' },
            },
          ],
          rewrite: { uri: '/rewritten', authority: 'inside' },
          timeout: '5s',
          corsPolicy: { allowOrigins: [{ exact: 'https://a' }], allowMethods: ['GET'], maxAge: '1h' },
          mirror: { host: 'payment-service' },
          mirrorPercentage: { value: 50 },
          headers: { request: { set: { 'x-set': '1' }, remove: ['x-a'] } },
          route: [
            { ...to('v1'), weight: 1, headers: { request: { add: { 'x-version': 'v1' } } } },
            { ...to('v2'), weight: 1 },
          ],
        },
        {
          name: 'regex',
          match: [{ uri: { prefix: '/regex' } }],
          rewrite: { uriRegexRewrite: { match: '^/regex/(.*)$', rewrite: '/was/\\1' } },
          retries: { attempts: 3, perTryTimeout: '1s', retryOn: 'gateway-error,503', backoff: '5ms' },
          route: [to()],
        },
        { route: [to()] },
      ],
    });
    const rule = resource('DestinationRule', 'order-service', {
      host: 'order-service',
      trafficPolicy: {
        loadBalancer: { consistentHash: { httpCookie: { name: 'user', ttl: '1h' } }, localityLbSetting: { failover: [{ from: 'a', to: 'b' }] } },
        connectionPool: {
          tcp: { maxConnections: 10, connectTimeout: '2s', tcpKeepalive: { time: '60s', interval: '10s', probes: 3 } },
          http: { http2MaxRequests: 10, maxRequestsPerConnection: 100, maxRetries: 2, idleTimeout: '10s' },
        },
        outlierDetection: { consecutive5xxErrors: 0, consecutiveGatewayErrors: 20, splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailures: 20 },
      },
      subsets: [
        { name: 'v1', labels: { version: 'v1' }, trafficPolicy: { loadBalancer: { simple: 'RANDOM' } } },
        { name: 'v2', labels: { version: 'v2' }, trafficPolicy: { loadBalancer: { warmup: { duration: '1s' } } } },
      ],
    });
    mesh.delete(canary);
    mesh.apply(everything, rule);
    const call = (path: string, headers = {}) => through(web, `http://order-service:8080${path}`, { headers });
    await until('the routes are in effect', async () => ((await call('/direct')).status === 418 ? true : undefined));
    expect(await call('/direct-too')).toMatchObject({ status: 418, body: 'tea', headers: { 'x-made': 'here' } });
    expect(await call('/redirect')).toMatchObject({ status: 308, headers: { location: 'https://b/new' } });
    expect((await call('/absent')).status).toBe(410);
    expect((await call('/absent', { a: '2' })).status).toBe(410);
    expect((await call('/absent', { a: '1' })).status).toBe(200);
    expect((await call('/absent', { b: '1' })).status).toBe(200);
    expect((await call('/fault')).status).toBe(555);
    const forget = () => {
      order1.application.seen.length = 0;
      order2.application.seen.length = 0;
    };
    const onlySeen = () => {
      const all = [...order1.application.seen, ...order2.application.seen];
      expect(all.length).toBe(1);
      return all[0]!;
    };
    forget();
    expect((await call('/match/x?q=1&r=', { 'x-a': 'aa', origin: 'https://a' })).headers['access-control-allow-origin']).toBe('https://a');
    const seen = onlySeen();
    expect(seen).toMatchObject({ path: '/rewritten/x?q=1&r=', headers: { host: 'inside', 'x-set': '1' } });
    expect(seen.headers['x-a']).toBeUndefined();
    forget();
    expect((await call('/regex/a')).status).toBe(200);
    expect(onlySeen().path).toBe('/was/a');
    expect(mesh.refusals).toEqual([]);
    mesh.delete(everything, rule);
  });

  test('every condition of an AuthorizationPolicy is accepted, on HTTP and on TCP', async () => {
    const all = resource('AuthorizationPolicy', 'all', {
      action: 'DENY',
      rules: [
        {
          from: [
            {
              source: {
                principals: ['*/sa/evil', 'cluster.local/*'],
                notNamespaces: ['default'],
                ipBlocks: ['10.0.0.0/8'],
                remoteIpBlocks: ['1.2.3.4'],
                requestPrincipals: ['a/*'],
                serviceAccounts: ['default/x'],
              },
            },
          ],
          to: [{ operation: { hosts: ['*.a.com'], methods: ['G*'], paths: ['/a/{*}/b', '/c/{**}', '*.php'], ports: ['80'], notPaths: ['/x'] } }],
          when: [
            { key: 'request.headers[x-a]', values: ['a*'] },
            { key: 'request.auth.claims[a][b]', values: ['c'] },
            { key: 'connection.sni', notValues: ['x'] },
            { key: 'destination.ip', values: ['127.0.0.0/8'] },
            { key: 'experimental.envoy.filters.a[b]', values: ['c'] },
          ],
        },
      ],
    });
    const audit = resource('AuthorizationPolicy', 'audit', { action: 'AUDIT', rules: [{}] });
    const tried = resource('AuthorizationPolicy', 'tried', { action: 'ALLOW' }, { annotations: { 'istio.io/dry-run': 'true' } });
    const before = await web.envoy.stat(String.raw`listener_manager\.lds\.update_success`);
    mesh.apply(all, audit, tried);
    await until('the listeners are there', async () => ((await web.envoy.stat(String.raw`listener_manager\.lds\.update_success`)) > before ? true : undefined));
    expect((await through(web, 'http://web:8080/')).status).toBe(200);
    expect(mesh.refusals).toEqual([]);
    mesh.delete(all, audit, tried);
  });

  test('DNS services, TLS of their own, declared upstream ports, spans and virtual hosts on demand are accepted', async () => {
    const outside = await mesh.application('dns-backend');
    const entry = (host: string, port: number, resolution: 'DNS' | 'DNS_ROUND_ROBIN' | 'NONE') => ({
      hostname: host,
      name: host,
      namespace: 'default',
      ports: [{ name: 'http', port, protocol: 'HTTP' as const }],
      addresses: [],
      resolution,
      location: 'MESH_EXTERNAL' as const,
      exportTo: ['*'],
      labels: {},
      subjectAltNames: [],
      creationTimestamp: '',
    });
    mesh.change({
      putServices: [entry('localhost', outside.port, 'DNS'), entry('once.localhost', outside.port, 'DNS_ROUND_ROBIN'), entry('127.0.0.1.nip', 443, 'NONE')],
    });
    mesh.apply(
      resource('DestinationRule', 'tls', {
        host: '127.0.0.1.nip',
        trafficPolicy: { tls: { mode: 'SIMPLE', caCertificates: '/etc/ssl/certs/ca-certificates.crt' } },
      }),
    );
    const collector = await mesh.application('collector');
    const own = await freePort();
    const more = await mesh.sidecar('batch', '', {
      node: {
        onDemand: false,
        otlp: { host: '127.0.0.1', port: collector.port },
        upstreams: [{ service: 'web', port: 8080, address: { host: '127.0.0.1', port: own } }],
      },
    });
    const { host, port } = { host: '127.0.0.1', port: own };
    expect((await send({ host, port, path: '/up', method: 'GET', headers: { host: 'whatever', connection: 'close' } })).body).toBe(web.application.name);
    expect((await through(more, `http://localhost:${outside.port}/`)).body).toBe('dns-backend');
    const sampled = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const id = '0af76519-16cd-43dd-8448-eb211c80319c';
    expect((await through(more, 'http://web:8080/', { headers: { traceparent: sampled, 'x-request-id': id } })).status).toBe(200);
    const { headers } = web.application.seen.at(-1)!;
    expect(headers['x-request-id']).toBe(id);
    expect(headers['traceparent']).toMatch(/^00-0af7651916cd43dd8448eb211c80319c-(?!b7ad6b7169203331)[0-9a-f]{16}-01$/);
    await through(more, 'http://web:8080/', { headers: { traceparent: sampled.replace(/01$/, '00') } });
    expect(web.application.seen.at(-1)!.headers['traceparent']).toMatch(/-00$/);
    await until('a span arrives', () => (collector.seen.some(({ path }) => path === '/v1/traces') ? true : undefined));
    expect(mesh.refusals).toEqual([]);
  });
});
