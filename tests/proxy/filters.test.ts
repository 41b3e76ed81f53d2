import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { brotliDecompressSync, gunzipSync, gzipSync } from 'node:zlib';
import { create, type JsonObject } from '@bufbuild/protobuf';
import { createGrpcServer, type GrpcServer, unaryMethod } from '@outrigger/xds';
import { type CheckRequest, CheckRequestSchema, CheckResponseSchema } from '@outrigger/xds/protos/envoy/service/auth/v3/external_auth';
import { RateLimitRequestSchema, RateLimitResponseSchema } from '@outrigger/xds/protos/envoy/service/ratelimit/v3/rls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { clusterJson, listenerJson, routeTo, typed } from '../../packages/proxy/src/testing/messages.ts';
import { DataPlane, planes } from './data-plane.ts';
import { type Raw, raw } from './raw-request.ts';

const HTTP = 'envoy.extensions.filters.http';
const ALL: JsonObject = { defaultValue: { numerator: 100, denominator: 'HUNDRED' } };
const TEXT = 'content '.repeat(100);

const filter = (name: string, type: string, fields: JsonObject): JsonObject => ({ name, typedConfig: typed(`${HTTP}.${type}`, fields) });
const at = (path: string, action: JsonObject = {}, route: JsonObject = {}): JsonObject => ({
  ...routeTo('application', action, route),
  match: { prefix: path },
});

/** What each of the applications and services behind the proxies does. */
class World {
  readonly seen: { readonly method: string; readonly url: string; readonly headers: IncomingMessage['headers']; readonly body: Buffer }[] = [];
  readonly checks: CheckRequest[] = [];
  readonly application = createServer((request, response) => this.#application(request, response));
  readonly authorizer = createServer((request, response) => {
    request.resume();
    request.on('end', () => {
      const user = request.headers.authorization;
      if (user === undefined) response.writeHead(401, { 'www-authenticate': 'Basic', 'x-inner': '1' }).end('who?');
      else response.writeHead(200, { 'x-user': user, 'x-other': '1' }).end();
    });
  });
  grpc!: GrpcServer;

  async start(): Promise<void> {
    for (const server of [this.application, this.authorizer]) await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const check = unaryMethod(CheckRequestSchema, CheckResponseSchema, async (request) => {
      this.checks.push(request);
      const user = request.attributes?.request?.http?.headers['authorization'];
      return create(
        CheckResponseSchema,
        user === undefined
          ? {
              status: { code: 7 },
              httpResponse: { case: 'deniedResponse', value: { status: { code: 402 }, body: 'pay', headers: [{ header: { key: 'x-why', value: 'debt' } }] } },
            }
          : { httpResponse: { case: 'okResponse', value: { headers: [{ header: { key: 'x-user', value: user } }], headersToRemove: ['x-drop'] } } },
      );
    });
    const limit = unaryMethod(RateLimitRequestSchema, RateLimitResponseSchema, async (request) => {
      const limited = request.descriptors.some(({ entries }) => entries.some(({ key, value }) => key === 'user' && value === 'greedy'));
      return create(RateLimitResponseSchema, { overallCode: limited ? 2 : 1, responseHeadersToAdd: [{ key: 'x-limiter', value: request.domain }] });
    });
    this.grpc = await createGrpcServer({
      listen: { host: '127.0.0.1', port: 0 },
      methods: new Map([
        ['/envoy.service.auth.v3.Authorization/Check', check],
        ['/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit', limit],
      ]),
    });
  }

  async stop(): Promise<void> {
    for (const server of [this.application, this.authorizer]) {
      server.closeAllConnections();
      server.close();
    }
    await this.grpc.close();
  }

  port(server: 'application' | 'authorizer'): number {
    return (this[server].address() as AddressInfo).port;
  }

  #application(request: IncomingMessage, response: ServerResponse): void {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      this.seen.push({ method: request.method!, url: request.url!, headers: request.headers, body: Buffer.concat(chunks) });
      response.setHeader('content-type', 'text/plain');
      response.end(request.url!.startsWith('/long') ? TEXT : 'ok');
    });
  }
}

describe.each(planes)('HTTP filters in %s', (plane) => {
  const world = new World();
  let proxy: DataPlane;

  beforeAll(async () => {
    await world.start();
    const grpc = `127.0.0.1:${world.grpc.port}`;
    const library = (kind: 'gzip' | 'brotli'): JsonObject => ({
      compressorLibrary: { name: kind, typedConfig: typed(`envoy.extensions.compression.${kind}.compressor.v3.${kind === 'gzip' ? 'Gzip' : 'Brotli'}`) },
    });
    const mutation = (name: string): JsonObject =>
      filter(name, 'header_mutation.v3.HeaderMutation', {
        mutations: {
          requestMutations: [{ append: { header: { key: 'x-order', value: name }, appendAction: 'APPEND_IF_EXISTS_OR_ADD' } }],
          responseMutations: [{ append: { header: { key: 'x-order', value: name }, appendAction: 'APPEND_IF_EXISTS_OR_ADD' } }],
        },
      });
    const off = { typedPerFilterConfig: { buffer: typed('envoy.config.route.v3.FilterConfig', { disabled: true }) } };
    const byUser = { rateLimits: [{ actions: [{ requestHeaders: { headerName: 'x-user', descriptorKey: 'user' } }] }] };
    const chains: Record<string, readonly [filters: readonly JsonObject[], routes: readonly JsonObject[]]> = {
      buffer: [[filter('buffer', 'buffer.v3.Buffer', { maxRequestBytes: 10 })], [at('/off', {}, off), at('/')]],
      local: [
        [
          filter('local', 'local_ratelimit.v3.LocalRateLimit', {
            statPrefix: 'local',
            tokenBucket: { maxTokens: 2, tokensPerFill: 1, fillInterval: '600s' },
            filterEnabled: ALL,
            filterEnforced: ALL,
            enableXRatelimitHeaders: 'DRAFT_VERSION_03',
            responseHeadersToAdd: [{ header: { key: 'x-limited', value: 'yes' } }],
          }),
        ],
        [at('/')],
      ],
      global: [
        [
          filter('global', 'ratelimit.v3.RateLimit', {
            domain: 'shop',
            timeout: '2s',
            failureModeDeny: true,
            rateLimitService: { grpcService: { envoyGrpc: { clusterName: 'services' } }, transportApiVersion: 'V3' },
          }),
        ],
        [at('/', byUser)],
      ],
      'http-authz': [
        [
          filter('http-authz', 'ext_authz.v3.ExtAuthz', {
            transportApiVersion: 'V3',
            httpService: {
              serverUri: { uri: 'http://authorizer', cluster: 'authorizer', timeout: '2s' },
              authorizationResponse: { allowedUpstreamHeaders: { patterns: [{ exact: 'x-user' }] } },
            },
          }),
        ],
        [at('/')],
      ],
      'grpc-authz': [
        [filter('grpc-authz', 'ext_authz.v3.ExtAuthz', { transportApiVersion: 'V3', grpcService: { envoyGrpc: { clusterName: 'services' }, timeout: '2s' } })],
        [at('/')],
      ],
      compressor: [[filter('gzip', 'compressor.v3.Compressor', library('gzip')), filter('brotli', 'compressor.v3.Compressor', library('brotli'))], [at('/')]],
      decompressor: [
        [
          filter('inflate', 'decompressor.v3.Decompressor', {
            decompressorLibrary: { name: 'gzip', typedConfig: typed('envoy.extensions.compression.gzip.decompressor.v3.Gzip') },
          }),
        ],
        [at('/')],
      ],
      both: [[mutation('first'), mutation('second')], [at('/')]],
    };
    const listeners = Object.fromEntries(Object.entries(chains).map(([name, [filters, routes]]) => [name, listenerJson(name, { routes, filters })]));
    proxy = await DataPlane.start(plane, {
      listeners,
      clusters: {
        application: clusterJson('application', { endpoints: [`127.0.0.1:${world.port('application')}`] }),
        authorizer: clusterJson('authorizer', { endpoints: [`127.0.0.1:${world.port('authorizer')}`] }),
        services: clusterJson('services', { endpoints: [grpc], http2: true }),
      },
    });
  });

  afterAll(async () => {
    await proxy?.stop();
    await world.stop();
  });

  const ask = (listener: string, path: string, more: Partial<Raw> = {}) => raw(proxy.port(listener), { path, ...more });
  const last = () => world.seen.at(-1)!;

  test('nothing is refused', () => {
    expect(proxy.refusals).toEqual([]);
  });

  test('buffer: the length of what came in chunks is known; too much is 413', async () => {
    expect((await ask('buffer', '/', { method: 'POST', chunks: ['four', 'five'] })).status).toBe(200);
    expect([last().headers['content-length'], last().body.toString()]).toEqual(['8', 'fourfive']);
    expect((await ask('buffer', '/', { method: 'POST', chunks: ['x'.repeat(11)] })).status).toBe(413);
    expect((await ask('buffer', '/off', { method: 'POST', chunks: ['x'.repeat(11)] })).status).toBe(200);
  });

  test('local_ratelimit: two and no more, and it says so', async () => {
    const first = await ask('local', '/');
    expect([first.status, first.headers['x-ratelimit-limit'], first.headers['x-ratelimit-remaining'], first.headers['x-limited']]).toEqual([
      200,
      '2',
      '1',
      undefined,
    ]);
    await ask('local', '/');
    const third = await ask('local', '/');
    expect([third.status, third.body.toString(), third.headers['x-limited'], third.headers['x-ratelimit-remaining']]).toEqual([
      429,
      'local_rate_limited',
      'yes',
      '0',
    ]);
    expect(Number(third.headers['x-ratelimit-reset'])).toBeGreaterThan(590);
  });

  test('ratelimit: the service decides by descriptor', async () => {
    const good = await ask('global', '/', { headers: { 'x-user': 'modest' } });
    expect([good.status, good.headers['x-limiter']]).toEqual([200, 'shop']);
    const limited = await ask('global', '/', { headers: { 'x-user': 'greedy' } });
    expect([limited.status, limited.headers['x-envoy-ratelimited'], limited.headers['x-limiter']]).toEqual([429, 'true', 'shop']);
    // Without a descriptor nobody is asked.
    expect((await ask('global', '/')).headers['x-limiter']).toBeUndefined();
  });

  test('ext_authz over HTTP', async () => {
    const denied = await ask('http-authz', '/');
    expect([denied.status, denied.body.toString(), denied.headers['www-authenticate'], denied.headers['x-inner']]).toEqual([401, 'who?', 'Basic', '1']);
    const allowed = await ask('http-authz', '/', { method: 'POST', headers: { authorization: 'ann', 'x-user': 'forged' }, chunks: ['content'] });
    expect(allowed.status).toBe(200);
    expect([last().headers['x-user'], last().headers['x-other'], last().body.toString()]).toEqual(['ann', undefined, 'content']);
  });

  test('ext_authz over gRPC', async () => {
    const denied = await ask('grpc-authz', '/x?a=b');
    expect([denied.status, denied.body.toString(), denied.headers['x-why']]).toEqual([402, 'pay', 'debt']);
    const { request, source } = world.checks.at(-1)!.attributes!;
    expect(request!.http).toMatchObject({
      method: 'GET',
      path: '/x?a=b',
      host: `127.0.0.1:${proxy.port('grpc-authz')}`,
      scheme: 'http',
      protocol: 'HTTP/1.1',
    });
    expect(request!.http!.headers).toMatchObject({ ':method': 'GET', ':path': '/x?a=b' });
    expect(source!.address!.address.value).toMatchObject({ address: '127.0.0.1' });
    await ask('grpc-authz', '/', { headers: { authorization: 'ann', 'x-drop': '1' } });
    expect([last().headers['x-user'], last().headers['x-drop']]).toEqual(['ann', undefined]);
  });

  test('compressor: what the client wants most', async () => {
    const packed = await ask('compressor', '/long', { headers: { 'accept-encoding': 'gzip;q=0.5, br' } });
    expect([packed.headers['content-encoding'], packed.headers['vary'], brotliDecompressSync(packed.body).toString()]).toEqual(['br', 'Accept-Encoding', TEXT]);
    const other = await ask('compressor', '/long', { headers: { 'accept-encoding': 'gzip' } });
    expect([other.headers['content-encoding'], gunzipSync(other.body).toString()]).toEqual(['gzip', TEXT]);
    expect((await ask('compressor', '/long')).body.toString()).toBe(TEXT);
  });

  test('decompressor: the application gets plain content', async () => {
    await ask('decompressor', '/', { method: 'POST', headers: { 'content-encoding': 'gzip' }, chunks: [gzipSync(TEXT)] });
    expect([last().body.toString(), last().headers['content-encoding'], last().headers['accept-encoding']]).toEqual([TEXT, undefined, 'gzip']);
  });

  test('two of a kind run in their order, and back in reverse', async () => {
    const answer = await ask('both', '/');
    expect([last().headers['x-order'], answer.headers['x-order']]).toEqual(['first, second', 'second, first']);
  });
});
