import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JsonObject } from '@bufbuild/protobuf';
import { ISTIO_JSON_FORMAT } from '@outrigger/telemetry';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { listener, routeTo, typed } from '../testing/messages.ts';
import { TestEngine } from '../testing/test-engine.ts';

let engine: TestEngine;
let folder: string;

beforeEach(() => {
  engine = new TestEngine();
  folder = mkdtempSync(join(tmpdir(), 'access-log-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

function file(fields: JsonObject, path = join(folder, 'access.log')): JsonObject {
  return { accessLog: [{ name: 'file', typedConfig: typed('envoy.extensions.access_loggers.file.v3.FileAccessLog', { path, ...fields }) }] };
}

const jsonFormat = { logFormat: { jsonFormat: { ...ISTIO_JSON_FORMAT, attempts: '%UPSTREAM_REQUEST_ATTEMPT_COUNT%' } } };

it('is a line of JSON for each request, with the flags of Envoy', async () => {
  engine.upstream('a').script(200, 503);
  engine.cluster('orders', { endpoints: ['a'] });
  await engine.listener('in', {
    routes: [{ match: { path: '/none' }, route: { cluster: 'gone' } }, routeTo('orders', {}, { name: 'default' })],
    manager: file(jsonFormat),
  });
  await engine.client('in').call({ body: 'four', path: '/a?b=c', headers: ['user-agent', 'curl "7"', 'x-request-id', 'id-1'] });
  await engine.client('in').call({ path: '/none' });
  expect(await engine.close()).toEqual([]);
  const lines = readFileSync(join(folder, 'access.log'), 'utf8').trimEnd().split('\n');
  const [good, none] = lines.map((line) => JSON.parse(line) as JsonObject);
  expect(good).toMatchObject({
    method: 'POST',
    path: '/a?b=c',
    authority: 'service',
    protocol: 'HTTP/1.1',
    response_code: 200,
    response_flags: '-',
    response_code_details: 'via_upstream',
    bytes_received: 4,
    bytes_sent: 0,
    request_id: 'id-1',
    user_agent: 'curl "7"',
    upstream_cluster: 'orders',
    upstream_host: 'internal:a',
    route_name: 'default',
    attempts: 1,
  });
  expect(good!['start_time']).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  expect(none).toMatchObject({ response_code: 503, response_flags: 'NC', response_code_details: 'cluster_not_found', upstream_host: null });
});

it('is text where that is asked for, in the format given or in that of Envoy', async () => {
  await engine.listener('b', { routes: [], manager: file({ logFormat: { textFormat: '%RESPONSE_CODE% %RESPONSE_FLAGS%\n' } }, join(folder, 'b')) });
  await engine.listener('c', { routes: [], manager: file({}, join(folder, 'c')) });
  await engine.client('b').call();
  await engine.client('c').call();
  expect(await engine.close()).toEqual([]);
  expect(readFileSync(join(folder, 'b'), 'utf8')).toBe('404 NR\n');
  expect(readFileSync(join(folder, 'c'), 'utf8')).toMatch(/^\[.*Z\] "GET \/ HTTP\/1\.1" 404 NR 0 0 \d+ - "-" "-" "[0-9a-f-]{36}" "service" "-"\n$/);
});

it('of two listeners goes to one file, line by line', async () => {
  const manager = file({ logFormat: { textFormat: `%REQ(:PATH)% ${'x'.repeat(200)}\n` } });
  await engine.listener('a', { routes: [], manager });
  await engine.listener('b', { routes: [], manager });
  await Promise.all(Array.from({ length: 200 }, (_one, i) => engine.client(i % 2 === 0 ? 'a' : 'b').call({ path: `/${i}` })));
  expect(await engine.close()).toEqual([]);
  const lines = readFileSync(join(folder, 'access.log'), 'utf8').trimEnd().split('\n');
  expect(lines).toHaveLength(200);
  for (const line of lines) expect(line).toMatch(/^\/\d+ x{200}$/);
});

it('that cannot be written costs lines, never a request, and is written again when it can be', async () => {
  vi.useFakeTimers({ toFake: ['Date'] });
  const deep = join(folder, 'later');
  await engine.listener('in', { routes: [], manager: file({ logFormat: { textFormat: '%REQ(:PATH)%\n' } }, join(deep, 'log')) });
  expect((await engine.client('in').call({ path: '/lost' })).status).toBe(404);
  await expect.poll(() => engine.log.join('\n')).toMatch(/warn access log .*ENOENT.*its lines are lost until/);
  mkdirSync(deep);
  vi.setSystemTime(Date.now() + 6_000);
  expect((await engine.client('in').call({ path: '/kept' })).status).toBe(404);
  await expect.poll(() => engine.log.join('\n')).toMatch(/info access log .*written again/);
  expect(await engine.close()).toEqual([]);
  vi.useRealTimers();
  expect(readFileSync(join(deep, 'log'), 'utf8')).toContain('/kept\n');
});

it('is of those streams alone that its filter lets through', async () => {
  engine.upstream('a').answer((received) => received.respond(200, { headers: ['grpc-status', received.head.path.slice(1)] }));
  engine.cluster('a', { endpoints: ['a'] });
  const filters: Record<string, JsonObject> = {
    status: { statusCodeFilter: { comparison: { op: 'GE', value: { defaultValue: 400, runtimeKey: 'x' } } } },
    flags: { responseFlagFilter: {} },
    header: { headerFilter: { header: { name: ':path', stringMatch: { exact: '/14' } } } },
    grpc: { grpcStatusFilter: { statuses: ['UNAVAILABLE'], exclude: true } },
    quick: { durationFilter: { comparison: { op: 'LE', value: { defaultValue: 1000, runtimeKey: 'x' } } } },
    never: { runtimeFilter: { runtimeKey: 'x', percentSampled: { numerator: 0 } } },
    unsampled: { traceableFilter: {} },
    metadata: { metadataFilter: { matcher: { filter: 'f', path: [{ key: 'k' }], value: { boolMatch: true } }, matchIfKeyNotFound: false } },
    begun: { logTypeFilter: { types: ['DownstreamStart'] } },
    over: { logTypeFilter: { types: ['DownstreamEnd'] } },
  };
  const accessLog = Object.entries(filters).flatMap(([name, filter]) =>
    (file({ logFormat: { textFormat: '%REQ(:PATH)% ' } }, join(folder, name))['accessLog'] as JsonObject[]).map((one) => ({ ...one, filter })),
  );
  await engine.listener('in', { routes: [routeTo('a', {}, { match: { prefix: '/1' } })], manager: { accessLog } });
  for (const path of ['/14', '/13', '/none']) await engine.client('in').call({ path });
  expect(await engine.close()).toEqual([]);
  const written = Object.fromEntries(Object.keys(filters).map((name) => [name, readFileSync(join(folder, name), 'utf8').trim()]));
  expect(written).toEqual({
    status: '/none',
    flags: '/none',
    header: '/14',
    grpc: '/13 /none',
    quick: '/14 /13 /none',
    never: '',
    unsampled: '',
    metadata: '',
    begun: '',
    over: '/14 /13 /none',
  });
});

describe('what is not written', () => {
  const compile = (manager: JsonObject) => engine.listeners.compile(listener('in', { routes: [], manager }));

  it('is named: the access log service of Envoy, and a filter by an extension', () => {
    const als = { name: 'als', typedConfig: typed('envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig') };
    const [filtered] = (file({})['accessLog'] as JsonObject[]).map((one) => ({
      ...one,
      filter: { orFilter: { filters: [{ extensionFilter: { name: 'cel' } }] } },
    }));
    const config = compile({ accessLog: [als, filtered!] });
    if (typeof config === 'string') throw new Error(config);
    const at = 'filter_chains[0].filters[0].typed_config.access_log';
    expect(config.ignored).toEqual([`${at}[0]`, `${at}[1].filter`]);
  });

  it('because it cannot be read is refused with the reason', () => {
    expect(compile(file({ logFormat: { textFormat: '%NO_SUCH_OPERATOR%' } }))).toContain('access_log[0].typed_config.log_format: ');
    expect(compile(file({}, ''))).toContain('access_log[0].typed_config.path: must not be empty');
  });
});
