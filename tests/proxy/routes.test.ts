import type { JsonObject } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { clusterJson, listenerJson, typed } from '../../packages/proxy/src/testing/messages.ts';
import { ask, TestApplication } from '../../packages/proxy/src/testing/test-proxy.ts';
import { DataPlane, planes } from './data-plane.ts';

interface Asked {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Record<string, string>;
}

/** Requests to a route that has this match and action before one that answers 404, and what each becomes: what the application saw, or the status. */
interface Case {
  readonly match: JsonObject;
  readonly route?: JsonObject;
  readonly more?: JsonObject;
  readonly asked: readonly (readonly [Asked, string | number])[];
}

const template = (pathTemplate: string): JsonObject => ({
  pathMatchPolicy: {
    name: 'envoy.path.match.uri_template.uri_template_matcher',
    typedConfig: typed('envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig', { pathTemplate }),
  },
});
const rewritten = (pathTemplateRewrite: string): JsonObject => ({
  pathRewritePolicy: {
    name: 'envoy.path.rewrite.uri_template.uri_template_rewriter',
    typedConfig: typed('envoy.extensions.path.rewrite.uri_template.v3.UriTemplateRewriteConfig', { pathTemplateRewrite }),
  },
});
const header = (name: string, fields: JsonObject): JsonObject => ({ prefix: '/', headers: [{ name, ...fields }] });
const x = (value: string): Asked => ({ path: '/h', headers: { 'x-h': value } });
const NONE: Asked = { path: '/h' };
const H = 'app /h';
const path = (text: string): Asked => ({ path: text });

const CASES: Readonly<Record<string, Case>> = {
  prefix: {
    match: { prefix: '/a' },
    asked: [
      [path('/ab?c'), 'app /ab?c'],
      [path('/b'), 404],
      [path('/A'), 404],
    ],
  },
  path: {
    match: { path: '/a' },
    asked: [
      [path('/a?c'), 'app /a?c'],
      [path('/a/'), 404],
    ],
  },
  'case_sensitive false': {
    match: { prefix: '/AbC', caseSensitive: false },
    asked: [
      [path('/aBcd'), 'app /aBcd'],
      [path('/b'), 404],
    ],
  },
  path_separated_prefix: {
    match: { pathSeparatedPrefix: '/a/b' },
    asked: [
      [path('/a/b'), 'app /a/b'],
      [path('/a/b/c'), 'app /a/b/c'],
      [path('/a/bc'), 404],
      [path('/a/b?x'), 'app /a/b?x'],
    ],
  },
  safe_regex: {
    match: { safeRegex: { regex: '/b[io]t' } },
    asked: [
      [path('/bit?x'), 'app /bit?x'],
      [path('/bite'), 404],
    ],
  },
  template: {
    match: template('/videos/*/{file=**}'),
    asked: [
      [path('/videos/a/b/c?q'), 'app /videos/a/b/c?q'],
      [path('/videos/a'), 404],
      [path('/videos/a/'), 'app /videos/a/'],
    ],
  },
  'template suffix': {
    match: template('/**.mpd'),
    asked: [
      [path('/x/y.mpd'), 'app /x/y.mpd'],
      [path('/x/y.mp'), 404],
    ],
  },
  'template rewrite': {
    match: template('/v/{l=lang/*}/{file}.m4s'),
    route: rewritten('/{file}/{l}'),
    asked: [[path('/v/lang/en/one.m4s?q=1'), 'app /one/lang/en?q=1']],
  },
  'query exact': {
    match: { prefix: '/', queryParameters: [{ name: 'q', stringMatch: { exact: 'a' } }] },
    asked: [
      [path('/?q=a'), 'app /?q=a'],
      [path('/?q=b'), 404],
      [path('/?x=1&q=a'), 'app /?x=1&q=a'],
      [path('/'), 404],
    ],
  },
  'query present': {
    match: { prefix: '/', queryParameters: [{ name: 'q', presentMatch: true }] },
    asked: [
      [path('/?q'), 'app /?q'],
      [path('/?r'), 404],
    ],
  },
  'query absent': {
    match: { prefix: '/', queryParameters: [{ name: 'q', presentMatch: false }] },
    asked: [
      [path('/?q'), 404],
      [path('/'), 'app /'],
    ],
  },
  grpc: {
    match: { prefix: '/', grpc: {} },
    asked: [
      [{ path: '/g', headers: { 'content-type': 'application/grpc+proto' } }, 'app /g'],
      [path('/g'), 404],
    ],
  },
  'header present': {
    match: header('x-h', { presentMatch: true }),
    asked: [
      [x('a'), H],
      [NONE, 404],
    ],
  },
  'header absent': {
    match: header('x-h', { presentMatch: false }),
    asked: [
      [x('a'), 404],
      [NONE, H],
    ],
  },
  'header present, inverted': {
    match: header('x-h', { presentMatch: true, invertMatch: true }),
    asked: [
      [x('a'), 404],
      [NONE, H],
    ],
  },
  'header exact': {
    match: header('x-h', { stringMatch: { exact: 'a' } }),
    asked: [
      [x('a'), H],
      [x('A'), 404],
      [NONE, 404],
    ],
  },
  'header exact, ignoring case': {
    match: header('x-h', { stringMatch: { exact: 'a', ignoreCase: true } }),
    asked: [
      [x('A'), H],
      [x('b'), 404],
    ],
  },
  'header exact, inverted': {
    match: header('x-h', { stringMatch: { exact: 'a' }, invertMatch: true }),
    asked: [
      [x('a'), 404],
      [x('b'), H],
      [NONE, 404],
    ],
  },
  'header missing as empty': {
    match: header('x-h', { stringMatch: { exact: 'a' }, invertMatch: true, treatMissingHeaderAsEmpty: true }),
    asked: [
      [x('a'), 404],
      [NONE, H],
    ],
  },
  'header prefix': {
    match: header('x-h', { stringMatch: { prefix: 'ab' } }),
    asked: [
      [x('abc'), H],
      [x('ba'), 404],
    ],
  },
  'header suffix': {
    match: header('x-h', { stringMatch: { suffix: 'bc' } }),
    asked: [
      [x('abc'), H],
      [x('bcd'), 404],
    ],
  },
  'header contains': {
    match: header('x-h', { stringMatch: { contains: 'b' } }),
    asked: [
      [x('abc'), H],
      [x('ac'), 404],
    ],
  },
  'header regex': {
    match: header('x-h', { stringMatch: { safeRegex: { regex: 'a+' } } }),
    asked: [
      [x('aaa'), H],
      [x('aab'), 404],
    ],
  },
  'header range': {
    match: header('x-h', { rangeMatch: { start: '-10', end: '10' } }),
    asked: [
      [x('-10'), H],
      [x('9'), H],
      [x('10'), 404],
      [x('nine'), 404],
      [NONE, 404],
    ],
  },
  'header method': {
    match: header(':method', { stringMatch: { exact: 'PUT' } }),
    asked: [
      [{ method: 'PUT', path: '/h' }, H],
      [NONE, 404],
    ],
  },
  'fraction of none': { match: { prefix: '/', runtimeFraction: { defaultValue: { numerator: 0 } } }, asked: [[NONE, 404]] },
  prefix_rewrite: { match: { prefix: '/api/' }, route: { prefixRewrite: '/' }, asked: [[path('/api/v1?x=1'), 'app /v1?x=1']] },
  'prefix_rewrite of a whole path': { match: { path: '/api' }, route: { prefixRewrite: '/v2' }, asked: [[path('/api?x=1'), 'app /v2?x=1']] },
  regex_rewrite: {
    match: { prefix: '/' },
    route: { regexRewrite: { pattern: { regex: '^/service/([^/]+)(/.*)$' }, substitution: '\\2/instance/\\1' } },
    asked: [[path('/service/foo/v1/api?x'), 'app /v1/api/instance/foo?x']],
  },
  host_rewrite_literal: { match: { prefix: '/' }, route: { hostRewriteLiteral: 'other.test' }, asked: [[path('/h'), 'other.test /h']] },
  host_rewrite_header: {
    match: { prefix: '/' },
    route: { hostRewriteHeader: 'x-h' },
    asked: [
      [x('there'), 'there /h'],
      [NONE, H],
    ],
  },
  host_rewrite_path_regex: {
    match: { prefix: '/' },
    route: { hostRewritePathRegex: { pattern: { regex: '^/(.+)/.+$' }, substitution: '\\1.test' } },
    asked: [[path('/shop/x?y'), 'shop.test /shop/x?y']],
  },
  append_x_forwarded_host: {
    match: { prefix: '/' },
    route: { hostRewriteLiteral: 'other.test', appendXForwardedHost: true },
    asked: [[path('/h'), 'other.test /h x-forwarded-host=app']],
  },
};

interface Redirected {
  readonly action: JsonObject;
  readonly path: string;
  readonly becomes: readonly [number, string];
}

const REDIRECTS: Readonly<Record<string, Redirected>> = {
  host: { action: { hostRedirect: 'new.test' }, path: '/r?q=1', becomes: [301, 'http://new.test/r?q=1'] },
  path: { action: { pathRedirect: '/new' }, path: '/r?q=1', becomes: [301, 'http://redirects/new?q=1'] },
  'path with a query': { action: { pathRedirect: '/new?z=2' }, path: '/r?q=1', becomes: [301, 'http://redirects/new?z=2'] },
  prefix: { action: { prefixRewrite: '/new' }, path: '/r/s?q=1', becomes: [301, 'http://redirects/new/s?q=1'] },
  regex: { action: { regexRewrite: { pattern: { regex: '/r/(.*)' }, substitution: '/\\1/r' } }, path: '/r/s?q=1', becomes: [301, 'http://redirects/s/r?q=1'] },
  https: { action: { httpsRedirect: true }, path: '/r', becomes: [301, 'https://redirects/r'] },
  scheme: { action: { schemeRedirect: 'wss' }, path: '/r', becomes: [301, 'wss://redirects/r'] },
  port: { action: { portRedirect: 8443, httpsRedirect: true }, path: '/r', becomes: [301, 'https://redirects:8443/r'] },
  strip_query: { action: { hostRedirect: 'new.test', stripQuery: true }, path: '/r?q=1', becomes: [301, 'http://new.test/r'] },
  '302': { action: { hostRedirect: 'n', responseCode: 'FOUND' }, path: '/r', becomes: [302, 'http://n/r'] },
  '303': { action: { hostRedirect: 'n', responseCode: 'SEE_OTHER' }, path: '/r', becomes: [303, 'http://n/r'] },
  '307': { action: { hostRedirect: 'n', responseCode: 'TEMPORARY_REDIRECT' }, path: '/r', becomes: [307, 'http://n/r'] },
  '308': { action: { hostRedirect: 'n', responseCode: 'PERMANENT_REDIRECT' }, path: '/r', becomes: [308, 'http://n/r'] },
};

const DOMAINS: readonly (readonly [string, string | number])[] = [
  ['a.domains.test', 'exact'],
  ['A.Domains.Test', 'exact'],
  ['b.domains.test', 'suffix'],
  ['x.b.domains.test', 'longer suffix'],
  ['domains.anything', 'prefix'],
  ['domains.b.x', 'longer prefix'],
  ['-x-.domains.test', 'suffix'],
];

describe.each(planes)('routes of %s', (plane) => {
  let proxy: DataPlane;
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start((request, response) => {
      const forwarded = request.headers['x-forwarded-host'];
      response.end(`${request.headers.host} ${request.url}${forwarded === undefined ? '' : ` x-forwarded-host=${String(forwarded)}`}`);
    });
    const says = (body: string): JsonObject => ({ match: { prefix: '/' }, directResponse: { status: 200, body: { inlineString: body } } });
    const hosts: JsonObject[] = Object.entries(CASES).map(([name, { match, route = {}, more = {} }], i) => ({
      name,
      domains: [`case-${i}`, `case-${i}:*`],
      routes: [{ match, route: { cluster: 'app', ...route }, ...more }],
    }));
    hosts.push(
      {
        name: 'redirects',
        domains: ['redirects'],
        routes: Object.entries(REDIRECTS).map(([name, { action }]) => ({
          match: { prefix: '/r', headers: [{ name: 'x-case', stringMatch: { exact: name } }] },
          redirect: action,
        })),
      },
      { name: 'tls', domains: ['tls.test'], requireTls: 'EXTERNAL_ONLY', routes: [says('tls')] },
      { name: 'exact', domains: ['a.domains.test'], routes: [says('exact')] },
      { name: 'suffix', domains: ['*.domains.test'], routes: [says('suffix')] },
      { name: 'longer suffix', domains: ['*.b.domains.test'], routes: [says('longer suffix')] },
      { name: 'prefix', domains: ['domains.*'], routes: [says('prefix')] },
      { name: 'longer prefix', domains: ['domains.b.*'], routes: [says('longer prefix')] },
    );
    proxy = await DataPlane.start(plane, {
      listeners: { web: listenerJson('web', { manager: { routeConfig: { name: 'r', virtualHosts: hosts } } }) },
      clusters: { app: clusterJson('app', { endpoints: [application.address] }) },
    });
  });

  afterAll(async () => {
    await proxy?.stop();
    await application.close();
  });

  const get = (host: string, asked: Asked = {}) => ask(`127.0.0.1:${proxy.port('web')}`, { ...asked, headers: { host, ...asked.headers } });

  test.each(Object.keys(CASES))('%s', async (name) => {
    const host = `case-${Object.keys(CASES).indexOf(name)}`;
    for (const [asked, becomes] of CASES[name]!.asked) {
      const { status, body } = await get(host, asked);
      expect([asked, status === 200 ? body.replaceAll(host, 'app') : status]).toEqual([asked, becomes]);
    }
  });

  test.each(Object.keys(REDIRECTS))('redirect: %s', async (name) => {
    const { path: asked, becomes } = REDIRECTS[name]!;
    const { status, headers } = await get('redirects', { path: asked, headers: { 'x-case': name } });
    expect([status, headers['location']]).toEqual(becomes);
  });

  test.each(DOMAINS)('domain %s', async (host, becomes) => {
    expect((await get(host)).body).toBe(becomes);
  });

  test('require_tls EXTERNAL_ONLY sends plain text from outside to https', async () => {
    const { status, headers } = await get('tls.test', { path: '/x' });
    expect([status, headers['location']]).toEqual([301, 'https://tls.test/x']);
  });
});
