import http from 'node:http';
import type { JsonObject } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { clusterJson, listenerJson } from '../../packages/proxy/src/testing/messages.ts';
import { ask, TestApplication } from '../../packages/proxy/src/testing/test-proxy.ts';
import { DataPlane, planes } from './data-plane.ts';

const GRPC = { 'content-type': 'application/grpc' };
const gRPC = (timeout: string): Record<string, string> => ({ ...GRPC, 'grpc-timeout': timeout });

interface Case {
  readonly action: JsonObject;
  readonly headers?: Record<string, string>;
  /** Of the answer to a request that the application leaves open. */
  readonly becomes: readonly [status: number, grpcStatus: string | undefined, details: RegExp, body: string];
}

/** All end within a second, where the route's own default would be 15. */
const CASES: Readonly<Record<string, Case>> = {
  timeout: { action: { timeout: '0.3s' }, becomes: [504, undefined, /details="response_timeout; UT"/, 'upstream request timeout'] },
  'timeout of a gRPC call': { action: { timeout: '0.3s' }, headers: GRPC, becomes: [200, '14', /response_timeout/, ''] },
  idle_timeout: { action: { timeout: '0s', idleTimeout: '0.4s' }, becomes: [504, undefined, /stream_idle_timeout/, 'stream timeout'] },
  max_stream_duration: {
    action: { timeout: '0s', maxStreamDuration: { maxStreamDuration: '0.3s' } },
    becomes: [504, undefined, /max_duration_timeout/, 'downstream duration timeout'],
  },
  'max_stream_duration beside timeout': {
    action: { timeout: '0.2s', maxStreamDuration: { maxStreamDuration: '0.5s' } },
    becomes: [504, undefined, /max_duration_timeout/, 'downstream duration timeout'],
  },
  'timeout beside grpc_timeout_header_max': {
    action: { timeout: '0.2s', idleTimeout: '0.6s', maxStreamDuration: { grpcTimeoutHeaderMax: '5s' } },
    becomes: [504, undefined, /stream_idle_timeout/, 'stream timeout'],
  },
  'max_stream_duration of a gRPC call': {
    action: { timeout: '0s', maxStreamDuration: { maxStreamDuration: '0.3s' } },
    headers: GRPC,
    becomes: [200, '4', /max_duration_timeout/, ''],
  },
  'grpc_timeout_header_max: the call says less': {
    action: { timeout: '5s', maxStreamDuration: { grpcTimeoutHeaderMax: '5s' } },
    headers: gRPC('300m'),
    becomes: [200, '4', /max_duration_timeout/, ''],
  },
  'grpc_timeout_header_max: the call says more': {
    action: { timeout: '5s', maxStreamDuration: { grpcTimeoutHeaderMax: '0.3s' } },
    headers: gRPC('5S'),
    becomes: [200, '4', /max_duration_timeout/, ''],
  },
  'grpc_timeout_header_max: without limit': {
    action: { timeout: '5s', maxStreamDuration: { grpcTimeoutHeaderMax: '0s' } },
    headers: gRPC('300000u'),
    becomes: [200, '4', /max_duration_timeout/, ''],
  },
  grpc_timeout_header_offset: {
    action: { timeout: '5s', maxStreamDuration: { grpcTimeoutHeaderMax: '0s', grpcTimeoutHeaderOffset: '4.7s' } },
    headers: gRPC('5S'),
    becomes: [200, '4', /max_duration_timeout/, ''],
  },
};

describe.each(planes)('timeouts of %s', (plane) => {
  let proxy: DataPlane;
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start((request, response) => {
      if (request.url === '/early') response.writeHead(413).end('too much');
      const asked = request.headers['grpc-timeout'];
      if (request.url === '/told') response.end(String(asked));
    });
    const routes = [
      ...Object.entries(CASES).map(([name, { action }]) => ({ match: { path: `/${encodeURIComponent(name)}` }, route: { cluster: 'app', ...action } })),
      { match: { path: '/early' }, route: { cluster: 'app' } },
      { match: { path: '/told' }, route: { cluster: 'app', maxGrpcTimeout: '2s' } },
    ];
    proxy = await DataPlane.start(plane, {
      listeners: { web: listenerJson('web', { routes }) },
      clusters: { app: clusterJson('app', { endpoints: [application.address] }) },
    });
  });

  afterAll(async () => {
    await proxy?.stop();
    await application.close();
  });

  test.concurrent.each(Object.keys(CASES))('%s', async (name) => {
    const { headers = {}, becomes } = CASES[name]!;
    const answer = await ask(`127.0.0.1:${proxy.port('web')}`, { path: `/${encodeURIComponent(name)}`, headers });
    expect([answer.status, answer.headers['grpc-status'], answer.body]).toEqual([becomes[0], becomes[1], becomes[3]]);
    // Envoy has no error of RFC 9209 for the longest time of a stream, and signs nothing.
    if (plane === 'outrigger' || answer.headers['proxy-status'] !== undefined) expect(answer.headers['proxy-status']).toMatch(becomes[2]);
  });

  test('a gRPC call’s time is told to the upstream', async () => {
    const { body } = await ask(`127.0.0.1:${proxy.port('web')}`, { path: '/told', headers: gRPC('5S') });
    const left = Number(/^(\d+)m$/.exec(body)![1]);
    expect(left).toBeLessThanOrEqual(2000);
    expect(left).toBeGreaterThan(1500);
  });

  test('an answer that comes while the request is still coming is passed on', async () => {
    const status = await new Promise<number>((resolve, reject) => {
      const request = http.request(
        { host: '127.0.0.1', port: proxy.port('web'), path: '/early', method: 'POST', headers: { 'content-length': '100000' } },
        (response) => {
          response.resume();
          resolve(response.statusCode!);
          request.destroy();
        },
      );
      request.on('error', reject);
      request.write('the first of it');
    });
    expect(status).toBe(413);
  });
});
