import { create, createRegistry, fromJson, type JsonObject } from '@bufbuild/protobuf';
import { ClusterSchema } from '@outrigger/xds/protos/envoy/config/cluster/v3/cluster';
import { LeastRequestSchema } from '@outrigger/xds/protos/envoy/extensions/load_balancing_policies/least_request/v3/least_request';
import { RoundRobinSchema } from '@outrigger/xds/protos/envoy/extensions/load_balancing_policies/round_robin/v3/round_robin';
import { WrrLocalitySchema } from '@outrigger/xds/protos/envoy/extensions/load_balancing_policies/wrr_locality/v3/wrr_locality';
import { describe, expect, it } from 'vitest';
import { compileLbOptions } from './compile-lb.ts';

const registry = createRegistry(LeastRequestSchema, WrrLocalitySchema, RoundRobinSchema);
const compile = (json: JsonObject) => compileLbOptions(fromJson(ClusterSchema, json, { registry }));
const policy = (type: string, fields: JsonObject = {}): JsonObject => ({
  typedExtensionConfig: { name: 'p', typedConfig: { '@type': `type.googleapis.com/envoy.extensions.load_balancing_policies.${type}`, ...fields } },
});

describe('balancing of a cluster', () => {
  it.each<[string, JsonObject, JsonObject]>([
    ['nothing said', {}, { policy: 'round-robin', panicThreshold: 0.5 }],
    ['panic threshold 0', { commonLbConfig: { healthyPanicThreshold: { value: 0 } } }, { panicThreshold: 0 }],
    ['least request', { lbPolicy: 'LEAST_REQUEST', leastRequestLbConfig: { choiceCount: 3 } }, { policy: 'least-request', choiceCount: 3 }],
    [
      'slow start',
      { roundRobinLbConfig: { slowStartConfig: { slowStartWindow: '30s' } } },
      { slowStart: { windowMs: 30_000, aggression: 1, minWeightRatio: 0.1 } },
    ],
    ['ring hash', { lbPolicy: 'RING_HASH', ringHashLbConfig: { minimumRingSize: '64' } }, { policy: 'ring-hash', minimumRingSize: 64 }],
    ['Maglev', { lbPolicy: 'MAGLEV', maglevLbConfig: { tableSize: '1009' } }, { policy: 'maglev', maglevTableSize: 1009 }],
    [
      'hashing',
      { lbPolicy: 'MAGLEV', commonLbConfig: { consistentHashingLbConfig: { useHostnameForHashing: true, hashBalanceFactor: 150 } } },
      { useHostname: true, hashBalancePercent: 150 },
    ],
    ['localities', { commonLbConfig: { localityWeightedLbConfig: {} } }, { localityWeighted: true }],
    [
      'a typed policy',
      { loadBalancingPolicy: { policies: [policy('least_request.v3.LeastRequest', { choiceCount: 5 })] } },
      { policy: 'least-request', choiceCount: 5 },
    ],
    [
      'localities around a typed policy',
      {
        loadBalancingPolicy: {
          policies: [policy('wrr_locality.v3.WrrLocality', { endpointPickingPolicy: { policies: [policy('round_robin.v3.RoundRobin')] } })],
        },
      },
      { policy: 'round-robin', localityWeighted: true },
    ],
  ])('%s', (_name, cluster, expected) => {
    const result = compile(cluster);
    expect(result.ok && result.value).toMatchObject(expected);
  });

  it.each<[string, JsonObject, string]>([
    ['a table that is not prime', { lbPolicy: 'MAGLEV', maglevLbConfig: { tableSize: '1000' } }, 'maglev_lb_config.table_size'],
    ['a ring without points', { lbPolicy: 'RING_HASH', ringHashLbConfig: { maximumRingSize: '0' } }, 'ring_hash_lb_config.minimum_ring_size'],
    ['a ring that fills the memory', { lbPolicy: 'RING_HASH', ringHashLbConfig: { maximumRingSize: '99999999' } }, 'ring_hash_lb_config.maximum_ring_size'],
    ['another hash', { lbPolicy: 'RING_HASH', ringHashLbConfig: { hashFunction: 'MURMUR_HASH_2' } }, 'ring_hash_lb_config.hash_function'],
    [
      'a balance below the average',
      { lbPolicy: 'MAGLEV', commonLbConfig: { consistentHashingLbConfig: { hashBalanceFactor: 99 } } },
      'common_lb_config.consistent_hashing_lb_config.hash_balance_factor',
    ],
    [
      'a list of fallbacks',
      { lbSubsetConfig: { subsetSelectors: [{ keys: ['v'] }], metadataFallbackPolicy: 'FALLBACK_LIST' } },
      'lb_subset_config.metadata_fallback_policy',
    ],
    [
      'a fallback that would not end',
      { lbSubsetConfig: { subsetSelectors: [{ keys: ['v'], fallbackPolicy: 'KEYS_SUBSET', fallbackKeysSubset: ['v'] }] } },
      'lb_subset_config.subset_selectors[0].fallback_keys_subset',
    ],
    ['policies that nobody knows', { loadBalancingPolicy: { policies: [{ typedExtensionConfig: { name: 'x' } }] } }, 'load_balancing_policy'],
  ])('refuses %s', (_name, cluster, path) => {
    const result = compile(cluster);
    expect(result.ok ? [] : result.errors.map((error) => error.path)).toEqual([path]);
  });

  it('knows the cluster that is empty', () => {
    expect(compileLbOptions(create(ClusterSchema)).ok).toBe(true);
  });
});
