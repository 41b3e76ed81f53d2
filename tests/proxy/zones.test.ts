import type { JsonObject } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { clusterJson } from '../../packages/proxy/src/testing/messages.ts';
import { TestApplication } from '../../packages/proxy/src/testing/test-proxy.ts';
import { DataPlane, planes } from './data-plane.ts';
import { anyCluster, spread } from './endpoints.ts';

/** Requests of which chance decides: one in 10,000 strays by more than 6 %. */
const CALLS = 1_000;
const CLOSE_PERCENT = 6;
/** Endpoints of a zone. */
const MOST = 4;

const zone = (name: string): JsonObject => ({ region: 'eu', zone: name });
const endpoint = (portValue: number): JsonObject => ({ endpoint: { address: { socketAddress: { address: '127.0.0.1', portValue } } } });

describe.each(planes)('zone-aware balancing through %s', (plane) => {
  let proxy: DataPlane;
  const applications = new Map<string, readonly TestApplication[]>();

  /** A cluster with so many endpoints in each zone. */
  function inZones(name: string, counts: Readonly<Record<string, number>>, fields: JsonObject = {}): JsonObject {
    const endpoints = Object.entries(counts).map(([at, count]) => {
      const chosen = applications.get(at)!.slice(0, count);
      return { locality: zone(at), lbEndpoints: chosen.map(({ address }) => endpoint(Number(address.split(':')[1]))) };
    });
    return { ...clusterJson(name, { endpoints: [], fields }), loadAssignment: { clusterName: name, endpoints } };
  }

  beforeAll(async () => {
    for (const at of ['a', 'b', 'c']) {
      const started = Array.from({ length: MOST }, () => TestApplication.start((_request, response) => response.end(at)));
      applications.set(at, await Promise.all(started));
    }
    // Two proxies in each of two zones, and one in the third; this one is in "a".
    const peers = Object.entries({ a: 2, b: 2, c: 1 }).map(([at, count]) => ({
      locality: zone(at),
      lbEndpoints: Array.from({ length: count }, (_, index) => endpoint(1000 + at.charCodeAt(0) * 10 + index)),
    }));
    const self = { ...clusterJson('self', { endpoints: [] }), loadAssignment: { clusterName: 'self', endpoints: peers } };
    proxy = await DataPlane.start(
      plane,
      {
        listeners: { web: anyCluster() },
        clusters: {
          enough: inZones('enough', { a: 4, b: 4, c: 2 }),
          short: inZones('short', { a: 2, b: 4, c: 2 }),
          elsewhere: inZones('elsewhere', { b: 4, c: 4 }),
          small: inZones('small', { a: 2, b: 2 }),
          'small-allowed': inZones(
            'small-allowed',
            { a: 2, b: 2 },
            { commonLbConfig: { healthyPanicThreshold: {}, zoneAwareLbConfig: { minClusterSize: '2' } } },
          ),
          never: inZones('never', { a: 4, b: 4 }, { commonLbConfig: { healthyPanicThreshold: {}, zoneAwareLbConfig: { routingEnabled: { value: 0 } } } }),
          random: inZones('random', { a: 4, b: 4, c: 2 }, { lbPolicy: 'RANDOM' }),
          least: inZones('least', { a: 4, b: 4, c: 2 }, { lbPolicy: 'LEAST_REQUEST' }),
        },
      },
      { node: { locality: zone('a') }, clusters: [self], cluster_manager: { local_cluster_name: 'self' } },
    );
  });

  afterAll(async () => {
    await proxy?.stop();
    await Promise.all([...applications.values()].flat().map((application) => application.close()));
  });

  test.each<readonly [string, Readonly<Record<string, number>>, number]>([
    ['enough', { a: 100 }, 60],
    // 40 % ask, 25 % are offered: 62.5 % stay. 50 - 40 and 25 - 20 have room: two thirds and one third of the rest.
    ['short', { a: 62.5, b: 25, c: 12.5 }, CALLS],
    // Room of 50 - 40 and 50 - 20.
    ['elsewhere', { b: 25, c: 75 }, CALLS],
    ['small', { a: 50, b: 50 }, 60],
    ['small-allowed', { a: 100 }, 60],
    ['never', { a: 50, b: 50 }, 64],
    ['random', { a: 100 }, 60],
    ['least', { a: 100 }, 60],
  ])('%s', async (cluster, wanted, calls) => {
    const found = await spread(proxy, cluster, calls);
    const percent = Object.fromEntries(Object.entries(found).map(([at, count]) => [at, (count * 100) / calls]));
    expect(Object.keys(percent).sort()).toEqual(Object.keys(wanted).sort());
    for (const [at, share] of Object.entries(wanted)) expect(Math.abs(percent[at]! - share), `${at}: ${percent[at]} %`).toBeLessThanOrEqual(CLOSE_PERCENT);
  });
});
