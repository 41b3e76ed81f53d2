import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import type { HTTPAccessLogEntrySchema } from '@outrigger/xds/protos/envoy/data/accesslog/v3/accesslog';
import { StreamAccessLogsMessageSchema } from '@outrigger/xds/protos/envoy/service/accesslog/v3/als';
import { expect, test } from 'vitest';
import { accessLogMethods } from './access-logs.ts';
import type { Edge, Party, Traffic, Unreached } from './windows.ts';

const SPIFFE_ID = 'cluster.local/ns/default/sa/web';
const web: Party = { service: 'web', namespace: 'default', version: '' };
const v2: Party = { service: 'orders', namespace: 'default', version: 'v2' };
const V2_CLUSTER = 'outbound|8080|v2|orders.default.svc.cluster.local';

type Entry = MessageInitShape<typeof HTTPAccessLogEntrySchema>;

/** What is recorded of an Envoy's log beside "web". */
function recorded(entries: readonly Entry[], fine: boolean) {
  const seen: { edge: Edge; traffic: Traffic; unreached: boolean }[] = [];
  const unreached: Unreached[] = [];
  const [[, method] = []] = accessLogMethods({
    directory: () => ({
      ofNode: () => ({ ...web, spiffeId: SPIFFE_ID }),
      ofEndpoint: (address) => (address === '127.0.0.1:15001' ? v2 : undefined),
      ofSpiffeId: () => undefined,
    }),
    record: (edge, traffic, isUnreached) => seen.push({ edge, traffic, unreached: isUnreached }),
    recordUnreached: (requests) => unreached.push(requests),
    wantsFine: () => fine,
  });
  const { onMessage, onFinish } = method!({ caller: { spiffeId: SPIFFE_ID, remote: '' }, send: () => true, end: () => {} });
  const identifier = { node: { id: 'web.default' }, logName: 'outrigger' };
  const message = create(StreamAccessLogsMessageSchema, { identifier, logEntries: { case: 'httpLogs', value: { logEntry: [...entries] } } });
  onMessage(toBinary(StreamAccessLogsMessageSchema, message));
  onFinish();
  return { seen, unreached };
}

const called = (status: number, ms: number, flags: Record<string, boolean> = {}): Entry => ({
  commonProperties: {
    upstreamCluster: V2_CLUSTER,
    upstreamRemoteAddress: { address: { case: 'socketAddress', value: { address: '127.0.0.1', portSpecifier: { case: 'portValue', value: 15_001 } } } },
    timeToLastDownstreamTxByte: { seconds: 0n, nanos: ms * 1e6 },
    responseFlags: flags,
  },
  response: { responseCode: status },
});

test('a request is of the version of its endpoint, with its duration in the bucket that is wanted', () => {
  const coarse = recorded([called(200, 30)], false);
  expect(coarse.seen).toMatchObject([
    { edge: { reporter: 'source', from: web, to: v2 }, traffic: { requests: 1, failures: 0, durations: new Map([[50, 1]]) }, unreached: false },
  ]);
  const [fine] = recorded([called(503, 30)], true).seen;
  expect([fine?.traffic.failures, [...(fine?.traffic.durations.keys() ?? [])].map((bound) => bound > 30 && bound < 32)]).toEqual([1, [true]]);
});

test('one whose connection failed, and one for which there was no endpoint, reached nobody', () => {
  const { seen, unreached } = recorded(
    [
      called(503, 1, { upstreamConnectionFailure: true }),
      { commonProperties: { upstreamCluster: V2_CLUSTER, responseFlags: { noHealthyUpstream: true } }, response: { responseCode: 503 } },
      { commonProperties: { upstreamCluster: V2_CLUSTER, responseFlags: { faultInjected: true } }, response: { responseCode: 503 } },
    ],
    false,
  );
  expect(seen.map((one) => one.unreached)).toEqual([true, false, false]);
  expect(unreached).toEqual([{ service: 'orders', namespace: 'default', subset: 'v2', requests: 1 }]);
});
