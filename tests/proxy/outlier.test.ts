import type { JsonObject } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { clusterJson } from '../../packages/proxy/src/testing/messages.ts';
import { TestApplication } from '../../packages/proxy/src/testing/test-proxy.ts';
import { freePort } from '../harness/ports.ts';
import { until } from '../xds/envoy.ts';
import { DataPlane, planes } from './data-plane.ts';
import { anyCluster, askCluster, hostField } from './endpoints.ts';

const QUIET: JsonObject = {
  enforcingConsecutive5xx: 0,
  enforcingSuccessRate: 0,
  interval: '0.8s',
  baseEjectionTime: '1s',
  maxEjectionPercent: 100,
  successRateRequestVolume: 10,
  failurePercentageRequestVolume: 10,
};

interface Kind {
  readonly what: string;
  readonly detection: JsonObject;
  /** Of the endpoint that is ill, by call; 0: it ends the connection without an answer. */
  readonly ill: (call: number) => number;
  /** Nobody listens there. */
  readonly gone?: boolean;
  readonly ejects: boolean;
}

const always = (status: number) => () => status;
const everyOther = (call: number) => (call % 2 === 0 ? 500 : 200);

const KINDS: Readonly<Record<string, Kind>> = {
  consecutive: { what: 'failures in a row', detection: { ...QUIET, consecutive5xx: 3, enforcingConsecutive5xx: 100 }, ill: always(500), ejects: true },
  interrupted: {
    what: 'failures that are not in a row',
    detection: { ...QUIET, consecutive5xx: 2, enforcingConsecutive5xx: 100 },
    ill: everyOther,
    ejects: false,
  },
  gateway: {
    what: 'gateway failures',
    detection: { ...QUIET, consecutiveGatewayFailure: 3, enforcingConsecutiveGatewayFailure: 100 },
    ill: always(502),
    ejects: true,
  },
  'gateway-not': {
    what: 'gateway failures: an error of the application is none',
    detection: { ...QUIET, consecutiveGatewayFailure: 3, enforcingConsecutiveGatewayFailure: 100 },
    ill: always(500),
    ejects: false,
  },
  'joined-reset': { what: 'resets count as answers', detection: { ...QUIET, consecutive5xx: 3, enforcingConsecutive5xx: 100 }, ill: always(0), ejects: true },
  'local-origin': {
    what: 'failures of this side in a row, split',
    detection: { ...QUIET, splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailure: 3, enforcingConsecutiveLocalOriginFailure: 100 },
    ill: always(200),
    gone: true,
    ejects: true,
  },
  'success-rate': { what: 'a success rate far below the others', detection: { ...QUIET, enforcingSuccessRate: 100 }, ill: everyOther, ejects: true },
  'success-rate-factor': {
    what: 'a success rate that is below, but not far enough',
    detection: { ...QUIET, enforcingSuccessRate: 100, successRateStdevFactor: 2100 },
    ill: everyOther,
    ejects: false,
  },
  'failure-percentage': {
    what: 'a failure percentage',
    detection: { ...QUIET, enforcingFailurePercentage: 100, failurePercentageThreshold: 40 },
    ill: everyOther,
    ejects: true,
  },
  'failure-percentage-below': {
    what: 'a failure percentage below the threshold',
    detection: { ...QUIET, enforcingFailurePercentage: 100 },
    ill: everyOther,
    ejects: false,
  },
  'local-success-rate': {
    what: 'a success rate of this side far below the others',
    detection: { ...QUIET, splitExternalLocalOriginErrors: true, enforcingConsecutiveLocalOriginFailure: 0, enforcingLocalOriginSuccessRate: 100 },
    ill: always(200),
    gone: true,
    ejects: true,
  },
  'local-failure-percentage': {
    what: 'a failure percentage of this side',
    detection: {
      ...QUIET,
      splitExternalLocalOriginErrors: true,
      enforcingConsecutiveLocalOriginFailure: 0,
      enforcingLocalOriginSuccessRate: 0,
      enforcingFailurePercentageLocalOrigin: 100,
    },
    ill: always(200),
    gone: true,
    ejects: true,
  },
};

describe.each(planes)('outlier detection through %s', (plane) => {
  let proxy: DataPlane;
  const well: TestApplication[] = [];
  const closing: (() => Promise<unknown>)[] = [];
  const ill = new Map<string, string>();

  beforeAll(async () => {
    for (let n = 0; n < 4; n++) well.push(await TestApplication.start());
    const clusters: Record<string, JsonObject> = {};
    for (const [name, kind] of Object.entries(KINDS)) {
      let calls = 0;
      const application = await TestApplication.start((request, response) => {
        const status = kind.ill(calls++);
        if (status === 0) request.socket.destroy();
        else response.writeHead(status).end();
      });
      closing.push(() => application.close());
      const address = kind.gone === true ? `127.0.0.1:${await freePort()}` : application.address;
      ill.set(name, address);
      clusters[name] = clusterJson(name, { endpoints: [address, ...well.map((one) => one.address)], fields: { outlierDetection: kind.detection } });
    }
    proxy = await DataPlane.start(plane, { listeners: { web: anyCluster() }, clusters });
  });

  afterAll(async () => {
    await proxy?.stop();
    await Promise.all([...well.map((one) => one.close()), ...closing.map((close) => close())]);
  });

  const kinds = Object.entries(KINDS).map(([name, kind]) => ({ name, ...kind }));
  // Side by side: each takes intervals of its own cluster.
  test.concurrent.each(kinds)('$name: $what', async ({ name, ejects }) => {
    const address = ill.get(name)!;
    const seen = new Set<string>();
    const watch = async (): Promise<void> => {
      for (const [at, flags] of Object.entries(await hostField(proxy, name, 'health_flags'))) if (flags === '/failed_outlier_check') seen.add(at);
    };
    const rounds = async (): Promise<true | undefined> => {
      for (let call = 0; call < 60; call++) await askCluster(proxy, name);
      await watch();
      return seen.has(address) ? true : undefined;
    };
    if (ejects) await until(`${plane} ejects the endpoint that is ill`, rounds);
    else {
      // Several intervals of it.
      const endMs = Date.now() + 2_000;
      while (Date.now() < endMs) await rounds();
    }
    expect([...seen]).toEqual(ejects ? [address] : []);
    if (ejects) {
      await until(`${plane} lets it back`, async () => ((await hostField(proxy, name, 'health_flags'))[address] === 'healthy' ? true : undefined));
    }
  });
});
