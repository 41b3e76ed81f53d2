import type { JsonObject } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { clusterJson, listenerJson, routeTo, typed } from '../../packages/proxy/src/testing/messages.ts';
import { ask, TestApplication } from '../../packages/proxy/src/testing/test-proxy.ts';
import { DataPlane, planes } from './data-plane.ts';

const detection = (name: string, type: string, fields: JsonObject): JsonObject => ({
  name: `envoy.http.original_ip_detection.${name}`,
  typedConfig: typed(`envoy.extensions.http.original_ip_detection.${name}.v3.${type}`, fields),
});
const LOOPBACK: JsonObject = { internalAddressConfig: { cidrRanges: [{ addressPrefix: '127.0.0.0', prefixLen: 8 }] } };
const TEN: JsonObject = { internalAddressConfig: { cidrRanges: [{ addressPrefix: '10.0.0.0', prefixLen: 8 }] } };
const EDGE: JsonObject = { useRemoteAddress: true };

interface Case {
  readonly manager: JsonObject;
  readonly headers?: Record<string, string>;
  readonly path?: string;
  /** 200 where it is absent. */
  readonly status?: number;
  /** What the application is told by these headers; undefined: it is not. */
  readonly sees?: Record<string, string | RegExp | undefined>;
  /** The same of the answer. */
  readonly answers?: Record<string, string | RegExp | undefined>;
}

const XFF = (value: string): Record<string, string> => ({ 'x-forwarded-for': value });
/** The RBAC filter lets in by remote_ip 10.0.0.0/8 alone. */
const CASES: Readonly<Record<string, Case>> = {
  'xff is taken for the client': { manager: {}, path: '/ten', headers: XFF('10.1.2.3') },
  'xff: the last one': { manager: {}, path: '/ten', headers: XFF('10.1.2.3, 9.9.9.9'), status: 403 },
  'xff: none': { manager: {}, path: '/ten', status: 403 },
  'xff: no address': { manager: {}, path: '/ten', headers: XFF('nobody'), status: 403 },
  'xff_num_trusted_hops 1': { manager: { xffNumTrustedHops: 1 }, path: '/ten', headers: XFF('10.1.2.3, 9.9.9.9') },
  'xff_num_trusted_hops 2, and fewer came': { manager: { xffNumTrustedHops: 2 }, path: '/ten', headers: XFF('10.1.2.3, 9.9.9.9'), status: 403 },
  'use_remote_address: xff is not believed': { manager: EDGE, path: '/ten', headers: XFF('10.1.2.3'), status: 403 },
  'use_remote_address: but for trusted hops': { manager: { ...EDGE, xffNumTrustedHops: 1 }, path: '/ten', headers: XFF('10.1.2.3') },
  'use_remote_address: two trusted hops': { manager: { ...EDGE, xffNumTrustedHops: 2 }, path: '/ten', headers: XFF('10.1.2.3, 9.9.9.9') },
  'use_remote_address appends to xff': { manager: EDGE, headers: XFF('1.2.3.4'), sees: { 'x-forwarded-for': /^1\.2\.3\.4,[\d.]+$/ } },
  skip_xff_append: { manager: { ...EDGE, skipXffAppend: true }, headers: XFF('1.2.3.4'), sees: { 'x-forwarded-for': '1.2.3.4' } },
  'detection by xff': {
    manager: { originalIpDetectionExtensions: [detection('xff', 'XffConfig', { xffNumTrustedHops: 1 })] },
    path: '/ten',
    headers: XFF('10.1.2.3, 9.9.9.9'),
  },
  'detection by a header': {
    manager: { originalIpDetectionExtensions: [detection('custom_header', 'CustomHeaderConfig', { headerName: 'x-client' })] },
    path: '/ten',
    headers: { 'x-client': '10.1.2.3' },
  },
  'detection by a header, and it is not there': {
    manager: { originalIpDetectionExtensions: [detection('custom_header', 'CustomHeaderConfig', { headerName: 'x-client' })] },
    path: '/ten',
    status: 403,
  },
  'detection by a header that must be there': {
    manager: {
      originalIpDetectionExtensions: [detection('custom_header', 'CustomHeaderConfig', { headerName: 'x-client', rejectWithStatus: { code: 'Unauthorized' } })],
    },
    headers: { 'x-client': 'nobody' },
    status: 401,
  },
  'internal_address_config: from within': { manager: { ...EDGE, ...LOOPBACK }, sees: { 'x-envoy-internal': 'true' } },
  'internal_address_config: from outside': {
    manager: { ...EDGE, ...TEN },
    headers: { 'x-envoy-internal': 'true', 'x-envoy-max-retries': '9' },
    sees: { 'x-envoy-internal': undefined, 'x-envoy-max-retries': undefined },
  },
  'internal_address_config: by xff alone': { manager: TEN, headers: XFF('10.1.2.3'), sees: { 'x-envoy-internal': 'true' } },
  'internal_address_config: not by a chain': { manager: TEN, headers: XFF('10.1.2.3, 10.1.2.4'), sees: { 'x-envoy-internal': undefined } },
  'x-forwarded-proto is made anew at the edge': { manager: EDGE, headers: { 'x-forwarded-proto': 'https' }, sees: { 'x-forwarded-proto': 'http' } },
  'x-forwarded-proto of a trusted hop stands': {
    manager: { ...EDGE, xffNumTrustedHops: 1 },
    headers: { 'x-forwarded-proto': 'https' },
    sees: { 'x-forwarded-proto': 'https' },
  },
  'x-forwarded-proto within the mesh stands': { manager: {}, headers: { 'x-forwarded-proto': 'https' }, sees: { 'x-forwarded-proto': 'https' } },
  'x-forwarded-proto within the mesh is made': { manager: {}, sees: { 'x-forwarded-proto': 'http' } },
  append_x_forwarded_port: {
    manager: { ...EDGE, appendXForwardedPort: true },
    headers: { 'x-forwarded-port': '1' },
    sees: { 'x-forwarded-port': /^\d{4,5}$/ },
  },
  scheme_header_transformation: {
    manager: { schemeHeaderTransformation: { schemeToOverwrite: 'https' } },
    path: '/moved',
    status: 301,
    answers: { location: /^https:/ },
  },
  'scheme of x-forwarded-proto': { manager: {}, path: '/moved', headers: { 'x-forwarded-proto': 'https' }, status: 301, answers: { location: /^https:/ } },
  server_name: { manager: { serverName: 'mesh' }, answers: { server: 'mesh' } },
  'server_name, for its own answers too': { manager: { serverName: 'mesh' }, path: '/moved', status: 301, answers: { server: 'mesh' } },
  'server_name, where none is there': { manager: { serverName: 'mesh', serverHeaderTransformation: 'APPEND_IF_ABSENT' }, answers: { server: 'application' } },
  'server passed through': { manager: { serverName: 'mesh', serverHeaderTransformation: 'PASS_THROUGH' }, answers: { server: 'application' } },
  via: { manager: { via: 'mesh' }, sees: { via: 'mesh' } },
  preserve_external_request_id: {
    manager: { ...EDGE, preserveExternalRequestId: true },
    headers: { 'x-request-id': 'mine' },
    sees: { 'x-request-id': 'mine' },
  },
  'an external request id is made anew': { manager: EDGE, headers: { 'x-request-id': 'mine' }, sees: { 'x-request-id': /^[0-9a-f-]{36}$/ } },
  always_set_request_id_in_response: {
    manager: { preserveExternalRequestId: true, alwaysSetRequestIdInResponse: true },
    headers: { 'x-request-id': 'mine' },
    answers: { 'x-request-id': 'mine' },
  },
  'generate_request_id false': { manager: { generateRequestId: false }, sees: { 'x-request-id': undefined } },
  strip_any_host_port: { manager: { stripAnyHostPort: true }, headers: { host: 'a.test:99' }, sees: { host: 'a.test' } },
  strip_matching_host_port: { manager: { stripMatchingHostPort: true }, headers: { host: 'a.test:99' }, sees: { host: 'a.test:99' } },
  strip_trailing_host_dot: { manager: { stripTrailingHostDot: true }, headers: { host: 'a.test.' }, sees: { host: 'a.test' } },
  merge_slashes: { manager: { mergeSlashes: true }, path: '//a///b?c//d', sees: { ':path': '/a/b?c//d' } },
  normalize_path: { manager: { normalizePath: true }, path: '/a/./b/../%7ec', sees: { ':path': '/a/~c' } },
  'escaped slashes: rejected': { manager: { pathWithEscapedSlashesAction: 'REJECT_REQUEST' }, path: '/a%2fb', status: 400 },
  'escaped slashes: kept': { manager: { pathWithEscapedSlashesAction: 'KEEP_UNCHANGED' }, path: '/a%2Fb', sees: { ':path': '/a%2Fb' } },
  'escaped slashes: unescaped': { manager: { pathWithEscapedSlashesAction: 'UNESCAPE_AND_FORWARD' }, path: '/a%2fb%5cc', sees: { ':path': '/a/b\\c' } },
  'escaped slashes: sent on': {
    manager: { pathWithEscapedSlashesAction: 'UNESCAPE_AND_REDIRECT' },
    path: '/a%2fb',
    status: 307,
    answers: { location: '/a/b' },
  },
};

describe.each(planes)('the HTTP connection manager of %s', (plane) => {
  let proxy: DataPlane;
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start((request, response) =>
      response.setHeader('server', 'application').end(JSON.stringify({ ...request.headers, ':path': request.url })),
    );
    const inTen: JsonObject = {
      name: 'rbac',
      typedConfig: typed('envoy.extensions.filters.http.rbac.v3.RBAC', {
        rules: {
          policies: {
            ten: { permissions: [{ urlPath: { path: { exact: '/ten' } } }], principals: [{ remoteIp: { addressPrefix: '10.0.0.0', prefixLen: 8 } }] },
            others: { permissions: [{ notRule: { urlPath: { path: { exact: '/ten' } } } }], principals: [{ any: true }] },
          },
        },
      }),
    };
    const routes = [{ match: { path: '/moved' }, redirect: { pathRedirect: '/new' } }, routeTo('app')];
    const listeners = Object.fromEntries(Object.values(CASES).map(({ manager }, i) => [`l${i}`, listenerJson(`l${i}`, { routes, filters: [inTen], manager })]));
    proxy = await DataPlane.start(plane, { listeners, clusters: { app: clusterJson('app', { endpoints: [application.address] }) } });
  });

  afterAll(async () => {
    await proxy?.stop();
    await application.close();
  });

  const expectHeaders = (found: Record<string, unknown>, wanted: Record<string, string | RegExp | undefined>): void => {
    for (const [name, value] of Object.entries(wanted)) {
      if (value instanceof RegExp) expect(found[name]).toMatch(value);
      else expect([name, found[name]]).toEqual([name, value]);
    }
  };

  test.each(Object.keys(CASES))('%s', async (name) => {
    const { headers = {}, path = '/', status = 200, sees = {}, answers = {} } = CASES[name]!;
    const answer = await ask(`127.0.0.1:${proxy.port(`l${Object.keys(CASES).indexOf(name)}`)}`, { path, headers });
    expect(answer.status).toBe(status);
    if (status === 200) expectHeaders(JSON.parse(answer.body) as Record<string, unknown>, sees);
    expectHeaders(answer.headers, answers);
  });
});
