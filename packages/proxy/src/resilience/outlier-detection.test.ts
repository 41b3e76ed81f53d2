import { fromJson, type JsonObject } from '@bufbuild/protobuf';
import { FastRandom } from '@outrigger/telemetry';
import { OutlierDetectionSchema } from '@outrigger/xds/protos/envoy/config/cluster/v3/outlier_detection';
import { describe, expect, it } from 'vitest';
import { CompileReport } from '../routing/compile-result.ts';
import { compileOutlierPolicy, grpcToHttpStatus, OutlierDetector } from './outlier-detection.ts';
import { OutlierState } from './outlier-state.ts';

interface TestHost {
  readonly name: string;
  readonly outlier: OutlierState;
}

function setUp(json: JsonObject, mesh: JsonObject | undefined = undefined, count = 4) {
  const policy = compileOutlierPolicy(fromJson(OutlierDetectionSchema, json), mesh, new CompileReport());
  const hosts: TestHost[] = Array.from({ length: count }, (_, i) => ({ name: `h${i}`, outlier: new OutlierState() }));
  const changes: string[] = [];
  const detector = new OutlierDetector<TestHost>(
    policy,
    { onOutlierChange: (host) => changes.push(`${host.name} ${host.outlier.state}`), onOutlierInterval: () => {} },
    new FastRandom([1, 2, 3, 4]),
  );
  detector.setHosts(hosts);
  const fail = (host: TestHost, times: number, status = 500, nowMs = 0): void => {
    for (let i = 0; i < times; i++) detector.onResponse(host, status, nowMs);
  };
  return { detector, hosts, changes, fail };
}

const HALF_OPEN = { outlier: { halfOpen: true } };
const MESH = { consecutive5xx: 5, interval: '10s', baseEjectionTime: '30s', maxEjectionPercent: 100 };

describe('breaker', () => {
  it('goes CLOSED, OPEN, HALF-OPEN and CLOSED again', () => {
    const { detector, hosts, changes, fail } = setUp(MESH, HALF_OPEN);
    const host = hosts[0]!;
    fail(host, 4);
    expect(host.outlier.state).toBe('closed');
    fail(host, 1);
    expect(host.outlier.state).toBe('open');
    expect(detector.nextSweepMs()).toBe(30_000);
    detector.sweep(29_999);
    expect(host.outlier.state).toBe('open');
    detector.sweep(30_000);
    expect(host.outlier.state).toBe('half-open');
    detector.onAttempt(host);
    expect(host.outlier.trialInFlight).toBe(true);
    detector.onResponse(host, 200, 30_010);
    expect(host.outlier.state).toBe('closed');
    expect(detector.nextSweepMs()).toBe(Number.POSITIVE_INFINITY);
    expect(changes).toEqual(['h0 open', 'h0 half-open', 'h0 half-open', 'h0 closed']);
  });

  it('opens again for the same time when the trial fails', () => {
    const { detector, hosts, fail } = setUp(MESH, HALF_OPEN);
    const host = hosts[0]!;
    fail(host, 5);
    detector.sweep(30_000);
    detector.onAttempt(host);
    detector.onLocalOriginFailure(host, 'connect-failure', 30_010);
    expect(host.outlier).toMatchObject({ state: 'open', ejectedUntilMs: 60_010, ejections: 2, trialInFlight: false });
    // Closed anew, it takes as many failures as before.
    detector.sweep(60_010);
    detector.onAttempt(host);
    detector.onResponse(host, 204, 60_020);
    fail(host, 4);
    expect(host.outlier.state).toBe('closed');
  });

  it.each([
    ['is tried at once', HALF_OPEN, 'half-open'],
    ['is let in, without half-open', undefined, 'closed'],
  ])('whose endpoint has recovered by its health check %s', (_, mesh, state) => {
    const { detector, hosts, fail } = setUp(MESH, mesh);
    const [host, well] = hosts as [TestHost, TestHost];
    fail(host, 5);
    detector.onRecovered(host);
    detector.onRecovered(well);
    expect([host.outlier.state, well.outlier.state]).toEqual([state, 'closed']);
    expect(host.outlier.trialInFlight).toBe(false);
  });

  it('gives the trial back when its caller goes away', () => {
    const { detector, hosts, fail } = setUp(MESH, HALF_OPEN);
    const host = hosts[0]!;
    fail(host, 5);
    detector.sweep(30_000);
    detector.onAttempt(host);
    detector.onAttemptCancelled(host);
    expect(host.outlier).toMatchObject({ state: 'half-open', trialInFlight: false });
  });

  it.each([200, 302, 404, 429])('an answer with %i between failures begins the count anew', (status) => {
    const { detector, hosts, fail } = setUp(MESH);
    fail(hosts[0]!, 4);
    detector.onResponse(hosts[0]!, status, 0);
    fail(hosts[0]!, 4);
    expect(hosts[0]!.outlier.state).toBe('closed');
  });

  it('counts resets and timeouts with the answers, unless they are split', () => {
    const joined = setUp(MESH);
    joined.fail(joined.hosts[0]!, 3);
    joined.detector.onLocalOriginFailure(joined.hosts[0]!, 'timeout', 0);
    joined.detector.onLocalOriginFailure(joined.hosts[0]!, 'reset', 0);
    expect(joined.hosts[0]!.outlier.state).toBe('open');
    const split = setUp({ ...MESH, splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailure: 2 });
    split.fail(split.hosts[0]!, 4);
    split.detector.onLocalOriginFailure(split.hosts[0]!, 'reset', 0);
    expect(split.hosts[0]!.outlier.state).toBe('closed');
    split.detector.onLocalOriginFailure(split.hosts[0]!, 'connect-timeout', 0);
    expect(split.hosts[0]!.outlier.state).toBe('open');
  });

  it('ejects on gateway failures where that is enforced', () => {
    const { hosts, fail } = setUp({ ...MESH, consecutive5xx: 100, consecutiveGatewayFailure: 3, enforcingConsecutiveGatewayFailure: 100 });
    fail(hosts[0]!, 10, 500);
    expect(hosts[0]!.outlier.state).toBe('closed');
    fail(hosts[0]!, 3, 503);
    expect(hosts[0]!.outlier.state).toBe('open');
  });

  it('leaves as many in as max_ejection_percent asks for', () => {
    const { detector, hosts, fail } = setUp({ ...MESH, maxEjectionPercent: 50 });
    for (const host of hosts) fail(host, 5);
    expect(detector.ejected).toBe(2);
    const ten = setUp({ ...MESH, maxEjectionPercent: 10 });
    for (const host of ten.hosts) ten.fail(host, 5);
    expect(ten.detector.ejected).toBe(0);
    const one = setUp({ ...MESH, maxEjectionPercent: 10, alwaysEjectOneHost: true });
    for (const host of one.hosts) one.fail(host, 5);
    expect(one.detector.ejected).toBe(1);
  });

  it("without half-open, ejects longer each time and forgives by intervals, as Envoy's", () => {
    const { detector, hosts, fail } = setUp(MESH);
    const host = hosts[0]!;
    fail(host, 5, 500, 0);
    expect(host.outlier.ejectedUntilMs).toBe(30_000);
    for (let now = 10_000; now <= 30_000; now += 10_000) detector.sweep(now);
    expect(host.outlier).toMatchObject({ state: 'closed', multiplier: 1 });
    fail(host, 5, 500, 31_000);
    expect(host.outlier.ejectedUntilMs).toBe(91_000);
    for (let now = 40_000; now <= 120_000; now += 10_000) detector.sweep(now);
    expect(host.outlier).toMatchObject({ state: 'closed', multiplier: 0 });
    expect(detector.nextSweepMs()).toBe(Number.POSITIVE_INFINITY);
  });

  it('caps the ejection time', () => {
    const { detector, hosts, fail } = setUp({ ...MESH, baseEjectionTime: '200s' });
    const host = hosts[0]!;
    fail(host, 5, 500, 0);
    detector.sweep(200_000);
    fail(host, 5, 500, 200_000);
    expect(host.outlier.ejectedUntilMs).toBe(500_000);
  });

  it('does nothing without outlier_detection', () => {
    const policy = compileOutlierPolicy(undefined, undefined, new CompileReport());
    const host: TestHost = { name: 'h', outlier: new OutlierState() };
    const detector = new OutlierDetector<TestHost>(
      policy,
      { onOutlierChange: () => expect.unreachable(), onOutlierInterval: () => expect.unreachable() },
      new FastRandom([1, 2, 3, 4]),
    );
    detector.setHosts([host]);
    for (let i = 0; i < 100; i++) detector.onResponse(host, 500, 0);
    expect(host.outlier.state).toBe('closed');
  });
});

/** Requests of each endpoint: how many, and how many of them failed. */
function serve({ detector, hosts }: ReturnType<typeof setUp>, counts: readonly (readonly [number, number])[], nowMs = 0): void {
  counts.forEach(([total, failed], i) => {
    // Never so many failures in a row that those eject.
    for (let n = 0; n < total; n++) detector.onResponse(hosts[i]!, n % Math.ceil(total / Math.max(1, failed)) === 0 && failed > 0 ? 500 : 200, nowMs);
  });
}
const RATES = { consecutive5xx: 1000, enforcingConsecutive5xx: 0, interval: '10s', baseEjectionTime: '30s', maxEjectionPercent: 100 };
const ejected = ({ hosts }: ReturnType<typeof setUp>): string[] => hosts.filter(({ outlier }) => outlier.state !== 'closed').map(({ name }) => name);

describe('success rate', () => {
  it.each([
    // Envoy's example: 50, 100, 100, 100, 100 have a mean of 90, a deviation of 20, and a threshold of 52.
    ['ejects who is far below the others', {}, 5, [100, 50], ['h0']],
    ['leaves who is not far enough', { successRateStdevFactor: 2001 }, 5, [100, 50], []],
    ['needs five endpoints', {}, 4, [100, 50], []],
    ['needs as many endpoints as it is told', { successRateMinimumHosts: 6 }, 5, [100, 50], []],
    ['needs a hundred requests', {}, 5, [99, 50], []],
    ['needs as many requests as it is told', { successRateRequestVolume: 20 }, 5, [20, 10], ['h0']],
    ['does nothing where it is not enforced', { enforcingSuccessRate: 0 }, 5, [100, 50], []],
    ['ejects not more than it may', { maxEjectionPercent: 10 }, 5, [100, 50], []],
  ] as const)('%s', (_what, fields, count, [total, failed], out) => {
    const scene = setUp({ ...RATES, ...fields }, undefined, count);
    serve(scene, [[total, failed], ...Array.from({ length: count - 1 }, () => [total, 0] as const)]);
    scene.detector.sweep(9_999);
    expect(ejected(scene)).toEqual([]);
    scene.detector.sweep(10_000);
    expect(ejected(scene)).toEqual(out);
  });

  it('counts each interval anew, and rests when there is nothing to count', () => {
    const scene = setUp(RATES, undefined, 5);
    serve(scene, [[60, 60], ...Array.from({ length: 4 }, () => [60, 0] as const)]);
    scene.detector.sweep(10_000);
    serve(scene, [[60, 60], ...Array.from({ length: 4 }, () => [60, 0] as const)], 11_000);
    expect(scene.detector.nextSweepMs()).toBe(20_000);
    scene.detector.sweep(20_000);
    expect(ejected(scene)).toEqual([]);
    scene.detector.sweep(30_000);
    expect(scene.detector.nextSweepMs()).toBe(Number.POSITIVE_INFINITY);
  });

  it('ends as another ejection, half-open too', () => {
    for (const mesh of [undefined, HALF_OPEN]) {
      const scene = setUp(RATES, mesh, 5);
      serve(scene, [[100, 50], ...Array.from({ length: 4 }, () => [100, 0] as const)]);
      for (let now = 10_000; now <= 40_000; now += 10_000) scene.detector.sweep(now);
      expect(scene.hosts[0]!.outlier.state).toBe(mesh === undefined ? 'closed' : 'half-open');
    }
  });
});

describe('failure percentage', () => {
  it.each([
    ['ejects who fails too much, be the others no better', { enforcingFailurePercentage: 100 }, 5, [50, 50], ['h0', 'h1', 'h2', 'h3', 'h4']],
    ['is not enforced unless it is told to', {}, 5, [50, 50], []],
    ['leaves who fails less', { enforcingFailurePercentage: 100 }, 5, [100, 50], []],
    ['takes the threshold that it is given', { enforcingFailurePercentage: 100, failurePercentageThreshold: 50 }, 5, [100, 50], ['h0', 'h1', 'h2', 'h3', 'h4']],
    ['needs fifty requests', { enforcingFailurePercentage: 100 }, 5, [49, 49], []],
    ['needs as many endpoints as it is told', { enforcingFailurePercentage: 100, failurePercentageMinimumHosts: 1 }, 1, [50, 50], ['h0']],
  ] as const)('%s', (_what, fields, count, each, out) => {
    const scene = setUp({ ...RATES, ...fields }, undefined, count);
    serve(
      scene,
      Array.from({ length: count }, () => each),
    );
    scene.detector.sweep(10_000);
    expect(ejected(scene)).toEqual(out);
  });
});

describe('what this side sees itself', () => {
  const split = { ...RATES, splitExternalLocalOriginErrors: true, enforcingConsecutiveLocalOriginFailure: 0, enforcingSuccessRate: 0 };
  const refuse = ({ detector, hosts }: ReturnType<typeof setUp>, times: number): void => {
    for (let n = 0; n < times; n++) detector.onLocalOriginFailure(hosts[0]!, 'connect-failure', 0);
  };

  it.each([
    ['is compared apart', split, ['h0']],
    ['is not compared where that is not enforced', { ...split, enforcingLocalOriginSuccessRate: 0 }, []],
    ['has a percentage of its own', { ...split, enforcingLocalOriginSuccessRate: 0, enforcingFailurePercentageLocalOrigin: 100 }, ['h0']],
    ['counts as an answer where it is not apart', RATES, ['h0']],
  ])('%s', (_what, fields, out) => {
    const scene = setUp(fields, undefined, 5);
    refuse(scene, 100);
    serve(scene, [[0, 0], ...Array.from({ length: 4 }, () => [100, 0] as const)]);
    scene.detector.sweep(10_000);
    expect(ejected(scene)).toEqual(out);
  });
});

it.each([
  [0, 200],
  [2, 500],
  [4, 504],
  [14, 503],
  [16, 401],
  [99, 500],
])('gRPC status %i counts as %i', (grpc, http) => {
  expect(grpcToHttpStatus(grpc)).toBe(http);
});
