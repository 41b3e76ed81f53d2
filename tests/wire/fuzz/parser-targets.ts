import { type DescMessage, fromBinary, type JsonObject, type MessageShape, toBinary } from '@bufbuild/protobuf';
import { compileFormat, compileTextLog, continueTrace, FastRandom } from '@outrigger/telemetry';
import { ClusterSchema } from '@outrigger/xds/protos/envoy/config/cluster/v3/cluster';
import { ClusterLoadAssignmentSchema } from '@outrigger/xds/protos/envoy/config/endpoint/v3/endpoint';
import { ListenerSchema } from '@outrigger/xds/protos/envoy/config/listener/v3/listener';
import { RouteConfigurationSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route';
import { BootstrapError, readBootstrap } from '../../../packages/proxy/src/bootstrap/bootstrap-config.ts';
import { normalizePath } from '../../../packages/proxy/src/engine/path-normalizer.ts';
import { parseIp } from '../../../packages/proxy/src/filters/rbac/ip-address.ts';
import { compileRouteConfiguration } from '../../../packages/proxy/src/routing/compile-routes.ts';
import { assignment, clusterJson, listenerJson, message, routesJson, routeTo } from '../../../packages/proxy/src/testing/messages.ts';
import { bootstrapJson } from '../../../packages/proxy/src/testing/test-proxy.ts';
import { sniffClientHello } from '../../../packages/proxy/src/tls/client-hello.ts';
import { parseSubjectAltNames } from '../../../packages/proxy/src/tls/subject-alt-names.ts';
import { compileCluster } from '../../../packages/proxy/src/xds/compile-cluster.ts';
import { compileLoadAssignment } from '../../../packages/proxy/src/xds/compile-endpoints.ts';
import { compileListener } from '../../../packages/proxy/src/xds/compile-listener.ts';
import type { Target } from './target.ts';

type Compiled = { readonly ok: true } | { readonly ok: false; readonly errors: readonly unknown[] };

const latin1 = (text: string) => Buffer.from(text, 'latin1');

/** A text that is read without a throw, whatever it is. */
function textTarget(name: string, corpus: readonly string[], read: (text: string) => unknown): Target {
  return { name, corpus: corpus.map(latin1), run: (input) => void read(input.toString('latin1')) };
}

/** A resource of xDS: what cannot be decoded is refused by the client; the rest is compiled or refused, with a reason. */
function resourceTarget<Desc extends DescMessage>(
  name: string,
  schema: Desc,
  corpus: readonly JsonObject[],
  compile: (message: MessageShape<Desc>) => Compiled,
): Target {
  return {
    name,
    corpus: corpus.map((json) => Buffer.from(toBinary(schema, message(schema, json)))),
    run(input) {
      let decoded: MessageShape<Desc>;
      try {
        decoded = fromBinary(schema, input);
      } catch {
        return;
      }
      const result = compile(decoded);
      if (!result.ok && result.errors.length === 0) throw new Error('refused without a reason');
    },
  };
}

const routes = [
  routeTo('a', { retryPolicy: { retryOn: '5xx', numRetries: 2, perTryTimeout: '1s' }, hashPolicy: [{ header: { headerName: 'x' } }] }),
  { match: { safeRegex: { regex: '^/a(b|c)*$' }, headers: [{ name: 'x', stringMatch: { prefix: 'y' } }] }, redirect: { pathRedirect: '/b' } },
  {
    match: { path: '/x', queryParameters: [{ name: 'q', presentMatch: true }] },
    route: {
      weightedClusters: {
        clusters: [
          { name: 'a', weight: 1 },
          { name: 'b', weight: 3 },
        ],
      },
    },
  },
  {
    match: { prefix: '/d' },
    directResponse: { status: 200, body: { inlineString: 'x' } },
    responseHeadersToAdd: [{ header: { key: 'a', value: '%REQ(b)%' } }],
  },
];

const listeners: readonly JsonObject[] = [
  listenerJson('l', { routes, fields: { internalListener: {} } }),
  listenerJson('m', {
    routes,
    fields: { address: { socketAddress: { address: '127.0.0.1', portValue: 80 } }, trafficDirection: 'INBOUND' },
    manager: {
      http2ProtocolOptions: { connectionKeepalive: { timeout: '1s', interval: '1s' } },
      upgradeConfigs: [{ upgradeType: 'websocket' }],
      via: 'x',
      normalizePath: true,
    },
    chain: { filterChainMatch: { destinationPort: 80, prefixRanges: [{ addressPrefix: '10.0.0.0', prefixLen: 8 }], serverNames: ['*.a.b'] } },
  }),
];
const clusters: readonly JsonObject[] = [
  clusterJson('a', {
    endpoints: ['127.0.0.1:80', '127.0.0.1:81'],
    http2: true,
    fields: { circuitBreakers: { thresholds: [{ maxRequests: 5, retryBudget: {} }] }, outlierDetection: { consecutive5xx: 3 } },
  }),
  clusterJson('b', {
    fields: {
      lbPolicy: 'RING_HASH',
      ringHashLbConfig: { minimumRingSize: 64 },
      healthChecks: [{ timeout: '1s', interval: '1s', unhealthyThreshold: 1, healthyThreshold: 1, httpHealthCheck: { path: '/' } }],
    },
  }),
];

/** Of a TLS client, for "a.example" with ALPN h2. */
const hello = Buffer.from(
  '16030100610100005d0303' +
    '00'.repeat(32) +
    '00' +
    '0002' +
    '1301' +
    '0100' +
    '0032' +
    '0000000e000c0000096' +
    '12e6578616d706c65' +
    '001000050003026832' +
    '002b0003020304' +
    '000a00040002001d' +
    '000d00040002' +
    '0403',
  'hex',
);

export const parserTargets: readonly Target[] = [
  {
    name: 'ClientHello',
    corpus: [hello, latin1('GET / HTTP/1.1\r\n'), Buffer.from('1603010002', 'hex'), Buffer.alloc(0)],
    run(input) {
      const sniffed = sniffClientHello(input);
      // What is decided stays so, whatever follows.
      if (sniffed !== 'more' && JSON.stringify(sniffClientHello(Buffer.concat([input, Buffer.alloc(20, 1)]))) !== JSON.stringify(sniffed))
        throw new Error('changes its mind');
    },
  },
  textTarget(
    'subject alternative names',
    ['URI:spiffe://a/ns/b/sa/c, DNS:a.b, IP Address:127.0.0.1', 'DNS:"a, b\\"c"', 'othername:<unsupported>', ''],
    parseSubjectAltNames,
  ),
  textTarget('IP addresses', ['127.0.0.1', '::1', '::ffff:1.2.3.4', 'fe80::1%eth0', '1:2:3:4:5:6:7:8', '999.1.1.1', ''], parseIp),
  textTarget('paths', ['/a/../b', '/%2e%2e/a', '//a//b', '/a%2fb%5c', '/a\\b', '/%zz', '/'], (text) =>
    (['keep', 'reject', 'unescape-redirect', 'unescape-forward'] as const).map((escapedSlashes) =>
      normalizePath(`/${text}`, { normalizePath: true, mergeSlashes: true, escapedSlashes }),
    ),
  ),
  textTarget('log formats', ['%REQ(:method)?x:10% %START_TIME(%Y)%', '%DOWNSTREAM_REMOTE_ADDRESS% %%', '%DYNAMIC_METADATA(a:b):5%'], (text) => [
    compileFormat(text),
    compileTextLog(text),
  ]),
  textTarget(
    'trace headers',
    ['00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', '463ac35c9f6413ad48485a3953bb6124-a2fb4a1d1a96d312-1', 'zz-', ''],
    (text) => ['traceparent', 'b3', 'tracestate', 'x-b3-traceid'].map((name) => continueTrace([name, text], new FastRandom([1, 2, 3, 4]))),
  ),
  resourceTarget('listeners', ListenerSchema, listeners, (decoded) => compileListener(decoded, 'node')),
  resourceTarget('clusters', ClusterSchema, clusters, compileCluster),
  resourceTarget('route configurations', RouteConfigurationSchema, [routesJson('r', routes)], (decoded) => compileRouteConfiguration(decoded)),
  resourceTarget(
    'endpoints',
    ClusterLoadAssignmentSchema,
    [assignment('a', ['127.0.0.1:80', { at: '[::1]:81', healthStatus: 'UNHEALTHY' }])],
    compileLoadAssignment,
  ),
  {
    name: 'bootstraps',
    corpus: [
      latin1(JSON.stringify(bootstrapJson(null, { staticResources: { listeners: [...listeners], clusters: [...clusters] } }))),
      latin1('{}'),
      latin1(''),
    ],
    async run(input) {
      try {
        await readBootstrap(input.toString('latin1'), 'bootstrap.json');
      } catch (error) {
        if (!(error instanceof BootstrapError)) throw error;
      }
    },
  },
];
