import { describe, expect, test } from 'vitest';
import type { Json } from '../json.ts';
import type { VirtualServiceSpec } from '../kinds/virtual-service.ts';
import { changed } from '../testing/changed.ts';
import { virtualServiceErrors } from './virtual-service.ts';

const fields = (spec: VirtualServiceSpec): string[] => {
  const metadata = { name: 'a', namespace: 'ns', labels: {}, annotations: {}, creationTimestamp: '', resourceVersion: '', uid: '', generation: 0 };
  return virtualServiceErrors({ apiVersion: 'networking.istio.io/v1', kind: 'VirtualService', metadata, spec }).map(({ field }) => field);
};

const whole: VirtualServiceSpec = {
  hosts: ['shop.example', '*.example.com', '10.0.0.1'],
  gateways: ['mesh', 'other/gateway'],
  exportTo: ['.', 'other'],
  http: [
    {
      match: [
        {
          uri: { prefix: '' },
          headers: { ':authority': { exact: 'a' }, x: { prefix: 'a' } },
          withoutHeaders: { y: { regex: '*' } },
          queryParams: { q: { regex: 'a+' } },
          method: { exact: 'GET' },
          port: 80,
          sourceLabels: { app: 'web', 'example.com/tier': '' },
          sourceNamespace: 'ns',
          gateways: ['mesh'],
        },
      ],
      route: [
        { destination: { host: 'order-service', subset: 'v1', port: { number: 80 } }, weight: 90, headers: { request: { add: { a: '%REQ(x)% 100%%' } } } },
        { destination: { host: 'order-service.default.svc.cluster.local.' }, weight: 10 },
      ],
      headers: { request: { set: { host: 'b' }, remove: ['c'] }, response: { set: { d: '%DYNAMIC_METADATA(["a", "b"])%' } } },
      timeout: '5s',
      retries: { attempts: 2, perTryTimeout: '1s', retryOn: '5xx, 503', backoff: '10ms' },
      fault: { delay: { percentage: { value: 0.1 }, fixedDelay: '1s' }, abort: { percentage: { value: 0 }, httpStatus: 500 } },
      mirrors: [{ destination: { host: 'copy' }, percentage: { value: 10 } }],
      corsPolicy: { allowOrigins: [{ exact: 'https://a' }], allowMethods: ['GET', '*'], allowHeaders: ['*'], exposeHeaders: ['x'], maxAge: '1h' },
      rewrite: { uri: '/b' },
    },
    { match: [{ uri: { prefix: '/old' } }], redirect: { uri: '/new', scheme: 'https', redirectCode: 302 } },
    { match: [{ uri: { prefix: '/made' } }], directResponse: { status: 200, body: { string: 'here' } } },
    { delegate: { name: 'part' } },
  ],
  tls: [{ match: [{ sniHosts: ['a.example.com'], port: 443, destinationSubnets: ['10.0.0.0/8', '::1'] }], route: [{ destination: { host: 'a' } }] }],
  tcp: [{ match: [{ port: 80 }], route: [{ destination: { host: 'a' }, weight: 1 }, { destination: { host: 'b' } }] }],
};

test('accepts what can be meant', () => {
  expect(fields(whole)).toEqual([]);
  expect(fields({ http: [{ route: [{ destination: { host: 'a' } }] }] })).toEqual([]);
  expect(
    fields({
      hosts: ['*'],
      gateways: ['gateway'],
      http: [{ match: [{ headers: { '@request.auth.claims.sub': {} } }], route: [{ destination: { host: 'a' } }] }],
    }),
  ).toEqual([]);
  expect(
    fields({
      hosts: ['outbound_.80_._.a.b'],
      gateways: ['g'],
      tls: [{ match: [{ sniHosts: ['outbound_.80_._.a.b'] }], route: [{ destination: { host: 'a' } }] }],
    }),
  ).toEqual([]);
});

describe('refuses', () => {
  test.each<[string, Json | undefined, string]>([
    ['hosts[0]', '', 'spec.hosts[0]'],
    ['hosts[0]', 'a_b', 'spec.hosts[0]'],
    ['hosts[0]', 'a..b', 'spec.hosts[0]'],
    ['hosts[0]', '-a.b', 'spec.hosts[0]'],
    ['hosts[0]', 'a.*.b', 'spec.hosts[0]'],
    ['hosts[0]', 'a.123', 'spec.hosts[0]'],
    ['hosts[0]', `${'a'.repeat(64)}.b`, 'spec.hosts[0]'],
    ['hosts[0]', 'a/b', 'spec.hosts[0]'],
    ['hosts[0]', '*', 'spec.hosts[0]'],
    ['hosts[2]', 'shop.example', 'spec.hosts[2]'],
    ['hosts[2]', 'a.example.com', 'spec.hosts[2]'],
    ['hosts[2]', '*.com', 'spec.hosts[2]'],
    ['gateways[1]', '/gateway', 'spec.gateways[1]'],
    ['gateways[1]', 'other/', 'spec.gateways[1]'],
    ['gateways[1]', 'other/a.b', 'spec.gateways[1]'],
    ['gateways[0]', 'a b', 'spec.gateways[0]'],
    ['exportTo[1]', 'A B', 'spec.exportTo[1]'],
    ['exportTo[1]', '~', 'spec.exportTo[1]'],
    ['exportTo[1]', 'ns', 'spec.exportTo[1]'],
    ['exportTo[1]', '*', 'spec.exportTo'],
    ['http[0].match[0].headers', { '': {} }, 'spec.http[0].match[0].headers'],
    ['http[0].match[0].headers', { 'a b': {} }, 'spec.http[0].match[0].headers'],
    ['http[0].match[0].headers', { '@request.auth.claims.sub': {} }, 'spec.http[0].match[0].headers'],
    ['http[0].match[0].headers', { x: { prefix: '' } }, 'spec.http[0].match[0].headers.x.prefix'],
    ['http[0].match[0].headers', { x: { regex: '*' } }, 'spec.http[0].match[0].headers.x.regex'],
    ['http[0].match[0].withoutHeaders', { x: { regex: '(' } }, 'spec.http[0].match[0].withoutHeaders.x.regex'],
    ['http[0].match[0].uri', { regex: '' }, 'spec.http[0].match[0].uri.regex'],
    ['http[0].match[0].uri', { regex: 'a'.repeat(1025) }, 'spec.http[0].match[0].uri.regex'],
    ['http[0].match[0].method', { prefix: '' }, 'spec.http[0].match[0].method.prefix'],
    ['http[0].match[0].queryParams.q', { regex: '[' }, 'spec.http[0].match[0].queryParams.q.regex'],
    ['http[0].match[0].port', 65_536, 'spec.http[0].match[0].port'],
    ['http[0].match[0].sourceLabels', { 'a b': 'c' }, 'spec.http[0].match[0].sourceLabels'],
    ['http[0].match[0].sourceLabels', { a: '-' }, 'spec.http[0].match[0].sourceLabels'],
    ['http[0].match[0].sourceNamespace', 'a.b', 'spec.http[0].match[0].sourceNamespace'],
    ['http[0].match[0].gateways', ['a b'], 'spec.http[0].match[0].gateways[0]'],
    ['http[0].route[0].weight', -1, 'spec.http[0].route[0].weight'],
    ['http[0].route[0].destination.host', '*', 'spec.http[0].route[0].destination.host'],
    ['http[0].route[0].destination.host', '', 'spec.http[0].route[0].destination.host'],
    ['http[0].route[0].destination.subset', 'v.1', 'spec.http[0].route[0].destination.subset'],
    ['http[0].route[0].destination.port', {}, 'spec.http[0].route[0].destination.port.number'],
    ['http[0].route[0].headers.request.add', { a: '100%' }, 'spec.http[0].route[0].headers.request.add.a'],
    ['http[0].headers.request.set', { ':path': '/' }, 'spec.http[0].headers.request.set'],
    ['http[0].headers.request.add', { ':authority': 'c' }, 'spec.http[0].headers.request'],
    ['http[0].headers.request.remove[0]', 'Host', 'spec.http[0].headers.request.remove[0]'],
    ['http[0].headers.response.set', { host: 'a' }, 'spec.http[0].headers.response.set'],
    ['http[0].headers.response.set', { a: '\u0001' }, 'spec.http[0].headers.response.set.a'],
    ['http[0].timeout', '0.5ms', 'spec.http[0].timeout'],
    ['http[0].timeout', '1.0001s', 'spec.http[0].timeout'],
    ['http[0].timeout', '1 s', 'spec.http[0].timeout'],
    ['http[0].retries.attempts', -1, 'spec.http[0].retries.attempts'],
    ['http[0].retries.attempts', 0, 'spec.http[0].retries.attempts'],
    ['http[0].retries.retryOn', '5xx,nonsense', 'spec.http[0].retries.retryOn'],
    ['http[0].retries.retryOn', '999', 'spec.http[0].retries.retryOn'],
    ['http[0].retries.backoff', '0', 'spec.http[0].retries.backoff'],
    ['http[0].fault', {}, 'spec.http[0].fault'],
    ['http[0].fault.delay.percentage.value', 100.1, 'spec.http[0].fault.delay.percentage.value'],
    ['http[0].fault.abort.percentage.value', 0.00001, 'spec.http[0].fault.abort.percentage.value'],
    ['http[0].fault.abort.httpStatus', 600, 'spec.http[0].fault.abort.httpStatus'],
    ['http[0].fault.abort', { http2Error: 'REFUSED_STREAM' }, 'spec.http[0].fault.abort.http2Error'],
    ['http[0].fault.abort', { grpcStatus: '5' }, 'spec.http[0].fault.abort.grpcStatus'],
    ['http[0].fault.delay', { exponentialDelay: '1s' }, 'spec.http[0].fault.delay.exponentialDelay'],
    ['http[0].mirror', { host: 'copy' }, 'spec.http[0].mirrors'],
    ['http[0].mirrorPercentage', { value: 101 }, 'spec.http[0].mirrorPercentage.value'],
    ['http[0].mirrors[0].destination.host', 'a b', 'spec.http[0].mirrors[0].destination.host'],
    ['http[0].mirrors[0].percentage.value', -1, 'spec.http[0].mirrors[0].percentage.value'],
    ['http[0].corsPolicy.allowOrigins[0]', { exact: '' }, 'spec.http[0].corsPolicy.allowOrigins[0]'],
    ['http[0].corsPolicy.allowMethods[0]', 'get', 'spec.http[0].corsPolicy.allowMethods[0]'],
    ['http[0].corsPolicy.allowHeaders[0]', 'a b', 'spec.http[0].corsPolicy.allowHeaders[0]'],
    ['http[0].corsPolicy.maxAge', '1500ms', 'spec.http[0].corsPolicy.maxAge'],
    ['http[0].rewrite', {}, 'spec.http[0].rewrite'],
    ['http[0].rewrite', { uri: '/a', uriRegexRewrite: { match: 'a', rewrite: 'b' } }, 'spec.http[0].rewrite.uriRegexRewrite'],
    ['http[0].rewrite', { uriRegexRewrite: { match: '(', rewrite: 'b' } }, 'spec.http[0].rewrite.uriRegexRewrite.match'],
    ['http[0].rewrite', { uriRegexRewrite: { match: 'a' } }, 'spec.http[0].rewrite.uriRegexRewrite'],
    ['http[0].rewrite.authority', 'c', 'spec.http[0].headers.request'],
    ['http[0].route', undefined, 'spec.http[0]'],
    ['http[1].route', [{ destination: { host: 'a' } }], 'spec.http[1].redirect'],
    ['http[1].fault', { abort: { httpStatus: 500 } }, 'spec.http[1].redirect'],
    ['http[1].directResponse', { status: 200 }, 'spec.http[1].directResponse'],
    ['http[1].redirect', {}, 'spec.http[1].redirect'],
    ['http[1].redirect.redirectCode', 200, 'spec.http[1].redirect.redirectCode'],
    ['http[1].redirect.scheme', 'ftp', 'spec.http[1].redirect.scheme'],
    ['http[1].redirect.prefixRewrite', '/c', 'spec.http[1].redirect.prefixRewrite'],
    ['http[1].redirect.port', 70_000, 'spec.http[1].redirect.port'],
    ['http[2].directResponse.status', 99, 'spec.http[2].directResponse.status'],
    ['http[2].directResponse.body.string', 'x'.repeat(1024 * 1024 + 1), 'spec.http[2].directResponse.body'],
    ['http[2].rewrite', { uri: '/' }, 'spec.http[2].directResponse'],
    ['http[3].route', [{ destination: { host: 'a' } }], 'spec.http[3].route'],
    ['http[3].redirect', { uri: '/' }, 'spec.http[3].redirect'],
    ['tls[0].match', [], 'spec.tls[0].match'],
    ['tls[0].match[0].sniHosts', [], 'spec.tls[0].match[0].sniHosts'],
    ['tls[0].match[0].sniHosts[0]', 'elsewhere.org', 'spec.tls[0].match[0].sniHosts[0]'],
    ['tls[0].match[0].sniHosts[0]', 'a b', 'spec.tls[0].match[0].sniHosts[0]'],
    ['tls[0].match[0].destinationSubnets[0]', '10.0.0.0/33', 'spec.tls[0].match[0].destinationSubnets[0]'],
    ['tls[0].route', [], 'spec.tls[0].route'],
    ['tcp[0].route', [], 'spec.tcp[0].route'],
    ['tcp[0].route[0].weight', 0, 'spec.tcp[0].route'],
    ['tcp[0].match[0].port', 65_536, 'spec.tcp[0].match[0].port'],
  ])('%s = %j', (path, value, field) => {
    expect(fields(changed(whole, path, value))).toEqual([field]);
  });

  test('a delegate with what only its root may have', () => {
    const { hosts: _, ...delegate } = whole;
    expect(fields(delegate).filter((field) => /^spec\.(gateways|tcp|tls|http\[3\]\.delegate)$/.test(field))).toEqual([
      'spec.gateways',
      'spec.tls',
      'spec.tcp',
      'spec.http[3].delegate',
    ]);
    expect(fields({ hosts: ['a'] })).toEqual(['spec.http']);
  });
});
