// node bench/routing/telemetry.mjs: what a request pays for counters, histograms, ids, log line and balancing.
import {
  compileJsonLog,
  continueTrace,
  EMPTY_STREAM,
  FastRandom,
  Histogram,
  ISTIO_JSON_FORMAT,
  MetricRegistry,
  makeRequestId,
  traceHeaders,
} from '@outrigger/telemetry';
import { LbContext } from '../../packages/proxy/src/lb/context.ts';
import { Host } from '../../packages/proxy/src/lb/host.ts';
import { LoadBalancer } from '../../packages/proxy/src/lb/load-balancer.ts';
import { DEFAULT_LB_OPTIONS } from '../../packages/proxy/src/lb/options.ts';
import { measure } from './measure.mjs';

const random = new FastRandom([1, 2, 3, 4]);
const counter = new MetricRegistry().counter('a_total', 'A.', 'x').with('1');
measure('counter', () => counter.inc());
const histogram = new Histogram();
measure('histogram', (i) => histogram.record((i % 1000) / 10));
measure('request id', () => makeRequestId(random));
measure('trace, new', () => traceHeaders(continueTrace([], random)));
const carried = ['user-agent', 'bench', 'traceparent', '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'];
measure('trace, continued', () => traceHeaders(continueTrace(carried, random)));
const log = compileJsonLog(ISTIO_JSON_FORMAT);
const stream = {
  ...EMPTY_STREAM,
  startTimeMs: 1_790_000_000_000,
  durationMs: 3.2,
  protocol: 'HTTP/1.1',
  method: 'GET',
  path: '/orders?page=2',
  authority: 'order-service:8080',
  requestHeaders: ['User-Agent', 'curl/8', 'Accept', '*/*', 'x-request-id', makeRequestId(random), 'x-forwarded-proto', 'http'],
  responseHeaders: ['content-type', 'application/json', 'x-envoy-upstream-service-time', '2'],
  responseCode: 200,
  responseCodeDetails: 'via_upstream',
  bytesSent: 1024,
  routeName: 'default',
  upstreamCluster: 'outbound|8080||order-service.default.svc.cluster.local',
  upstreamHost: '127.0.0.1:15006',
  downstreamLocalAddress: '127.0.0.1:15001',
  downstreamRemoteAddress: '127.0.0.1:51000',
};
measure('access log line', () => log.format.write(stream));
for (const policy of ['round-robin', 'least-request', 'random', 'ring-hash', 'maglev']) {
  const lb = new LoadBalancer({ ...DEFAULT_LB_OPTIONS, policy }, random);
  lb.update({ hosts: Array.from({ length: 100 }, (_, i) => new Host(`10.0.0.${i}:80`, 0)), localityWeights: new Map(), overprovisioning: 1.4 });
  const context = new LbContext();
  measure(`pick, ${policy}, 100 hosts`, () => lb.pick(context));
}
