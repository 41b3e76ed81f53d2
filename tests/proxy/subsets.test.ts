import type { JsonObject } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { clusterJson, listenerJson, typed } from '../../packages/proxy/src/testing/messages.ts';
import { ask, TestApplication } from '../../packages/proxy/src/testing/test-proxy.ts';
import { DataPlane, planes } from './data-plane.ts';

const METADATA: Readonly<Record<string, JsonObject>> = {
  a: { version: 'v1', stage: 'prod' },
  b: { version: 'v1', stage: 'canary' },
  c: { version: 'v2', stage: 'prod' },
};
const lb = (fields: JsonObject): JsonObject => ({ filterMetadata: { 'envoy.lb': fields } });
const byVersion: JsonObject = { subsetSelectors: [{ keys: ['version'] }] };

const CLUSTERS: Readonly<Record<string, JsonObject>> = {
  none: { lbSubsetConfig: byVersion },
  any: { lbSubsetConfig: { ...byVersion, fallbackPolicy: 'ANY_ENDPOINT' } },
  default: { lbSubsetConfig: { ...byVersion, fallbackPolicy: 'DEFAULT_SUBSET', defaultSubset: { stage: 'canary' } } },
  keys: {
    lbSubsetConfig: {
      subsetSelectors: [{ keys: ['version'] }, { keys: ['version', 'stage'], fallbackPolicy: 'KEYS_SUBSET', fallbackKeysSubset: ['version'] }],
    },
  },
  selector: { lbSubsetConfig: { fallbackPolicy: 'ANY_ENDPOINT', subsetSelectors: [{ keys: ['version'], fallbackPolicy: 'NO_FALLBACK' }] } },
  hashed: { lbPolicy: 'RING_HASH', lbSubsetConfig: byVersion },
  typed: {
    loadBalancingPolicy: {
      policies: [
        {
          typedExtensionConfig: {
            name: 'subset',
            typedConfig: typed('envoy.extensions.load_balancing_policies.subset.v3.Subset', {
              ...byVersion,
              subsetLbPolicy: {
                policies: [{ typedExtensionConfig: { name: 'rr', typedConfig: typed('envoy.extensions.load_balancing_policies.round_robin.v3.RoundRobin') } }],
              },
            }),
          },
        },
      ],
    },
  },
};

/** By x-to: what the route asks of the endpoints. */
const MATCHES: Readonly<Record<string, JsonObject | undefined>> = {
  v1: { version: 'v1' },
  v3: { version: 'v3' },
  nothing: undefined,
  'v2-dark': { version: 'v2', stage: 'dark' },
};

/** Who may answer: letters of endpoints, '503' where none does. */
const CASES: readonly (readonly [string, string, string])[] = [
  ['none', 'v1', 'ab'],
  ['none', 'v3', '503'],
  ['none', 'nothing', '503'],
  ['any', 'v1', 'ab'],
  ['any', 'v3', 'abc'],
  ['any', 'nothing', 'abc'],
  ['default', 'v3', 'b'],
  ['default', 'nothing', 'b'],
  ['keys', 'v2-dark', 'c'],
  ['keys', 'v3', '503'],
  ['selector', 'v3', '503'],
  ['selector', 'nothing', 'abc'],
  ['typed', 'v1', 'ab'],
  ['typed', 'v3', '503'],
  ['hashed', 'v1', 'ab'],
];

describe.each(planes)('subsets of endpoints through %s', (plane) => {
  let proxy: DataPlane;
  const applications: TestApplication[] = [];

  beforeAll(async () => {
    const lbEndpoints: JsonObject[] = [];
    for (const [name, metadata] of Object.entries(METADATA)) {
      const application = await TestApplication.start((_request, response) => response.end(name));
      applications.push(application);
      const portValue = Number(application.address.split(':')[1]);
      lbEndpoints.push({ endpoint: { address: { socketAddress: { address: '127.0.0.1', portValue } } }, metadata: lb(metadata) });
    }
    const clusters = Object.fromEntries(
      Object.entries(CLUSTERS).map(([name, fields]) => [
        name,
        { ...clusterJson(name, { endpoints: [], fields }), loadAssignment: { clusterName: name, endpoints: [{ lbEndpoints }] } },
      ]),
    );
    const routes = Object.entries(MATCHES).map(([to, match]) => ({
      match: { prefix: '/', headers: [{ name: 'x-to', stringMatch: { exact: to } }] },
      route: { clusterHeader: 'x-cluster', ...(match === undefined ? {} : { metadataMatch: lb(match) }) },
    }));
    const weighted = {
      match: { prefix: '/' },
      route: { metadataMatch: lb({ version: 'v1' }), weightedClusters: { clusters: [{ name: 'none', weight: 1, metadataMatch: lb({ version: 'v2' }) }] } },
    };
    proxy = await DataPlane.start(plane, { listeners: { web: listenerJson('web', { routes: [...routes, weighted] }) }, clusters });
  });

  afterAll(async () => {
    await proxy?.stop();
    await Promise.all(applications.map((application) => application.close()));
  });

  async function reached(headers: Record<string, string>): Promise<string> {
    const seen = new Set<string>();
    for (let call = 0; call < 12; call++) {
      const { status, body } = await ask(`127.0.0.1:${proxy.port('web')}`, { headers });
      seen.add(status === 200 ? body : String(status));
    }
    return [...seen].sort().join('');
  }

  test.each(CASES)('%s, asked for %s: %s', async (cluster, to, wanted) => {
    const found = await reached({ 'x-cluster': cluster, 'x-to': to });
    // Without a key it is chance who of them it is.
    if (cluster === 'hashed') expect(wanted).toContain(found[0]);
    else expect(found).toBe(wanted);
  });

  test('what a weighted cluster asks for stands over what its route does', async () => {
    expect(await reached({})).toBe('c');
  });
});
