import type { JsonObject } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { clusterJson, typed } from '../../packages/proxy/src/testing/messages.ts';
import { TestApplication } from '../../packages/proxy/src/testing/test-proxy.ts';
import { until } from '../xds/envoy.ts';
import { DataPlane, planes } from './data-plane.ts';
import { DnsServer } from './dns-server.ts';
import { anyCluster, hostField, spread } from './endpoints.ts';

describe.each(planes)('clusters by DNS through %s', (plane) => {
  let proxy: DataPlane;
  let dns: DnsServer;
  let application: TestApplication;

  beforeAll(async () => {
    dns = await DnsServer.start();
    application = await TestApplication.start();
    proxy = await DataPlane.start(plane, { listeners: { web: anyCluster() } });
  });
  afterAll(async () => {
    await proxy?.stop();
    await application.close();
    dns.close();
  });

  const port = (): number => Number(application.address.split(':')[1]);
  const byName = (name: string, fields: JsonObject): JsonObject => ({
    ...clusterJson(name, { endpoints: [] }),
    type: 'STRICT_DNS',
    dnsLookupFamily: 'V4_ONLY',
    dnsRefreshRate: '60s',
    loadAssignment: {
      clusterName: name,
      endpoints: [{ lbEndpoints: [{ endpoint: { address: { socketAddress: { address: `${name}.example`, portValue: port() } } } }] }],
    },
    typedDnsResolverConfig: {
      name: 'envoy.network.dns_resolver.cares',
      typedConfig: typed('envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig', {
        resolvers: [{ socketAddress: { address: '127.0.0.1', portValue: dns.port } }],
        dnsResolverOptions: { noDefaultSearchDomain: true },
      }),
    },
    ...fields,
  });
  const asked = (name: string): number => dns.asked.filter((query) => query.name === `${name}.example`).length;
  const hosts = async (name: string): Promise<string[]> => Object.keys(await hostField(proxy, name, 'health_flags')).sort();
  const has = (name: string, addresses: readonly string[]) =>
    until(`${plane}: ${name} is at ${addresses.join(' ')}`, async () =>
      JSON.stringify(await hosts(name)) === JSON.stringify(addresses.map((address) => `${address}:${port()}`).sort()) ? true : undefined,
    );

  test('every address of a name is an endpoint, and many are', async () => {
    const many = Array.from({ length: 25 }, (_, i) => `127.0.1.${i + 1}`);
    dns.records.set('many.example', { addresses: many, ttlS: 300 });
    await proxy.apply({ clusters: { many: byName('many', {}) } });
    await has('many', many);
    dns.records.set('logical.example', { addresses: many, ttlS: 300 });
    await proxy.apply({ clusters: { logical: byName('logical', { type: 'LOGICAL_DNS' }) } });
    await until('one', async () => ((await hosts('logical')).length === 1 ? true : undefined));
  });

  test('respect_dns_ttl: the records say when they are asked for again', async () => {
    dns.records.set('ttl.example', { addresses: ['127.0.0.1'], ttlS: 1 });
    dns.records.set('rate.example', { addresses: ['127.0.0.1'], ttlS: 1 });
    await proxy.apply({ clusters: { ttl: byName('ttl', { respectDnsTtl: true }), rate: byName('rate', {}) } });
    await has('ttl', ['127.0.0.1']);
    dns.records.set('ttl.example', { addresses: ['127.0.0.2'], ttlS: 1 });
    await has('ttl', ['127.0.0.2']);
    expect(asked('rate')).toBe(1);
    await proxy.apply({ clusters: { ttl: null, rate: null } });
  });

  test('a look-up that fails leaves the last addresses in place, and is repeated by dns_failure_refresh_rate', async () => {
    dns.records.set('ill.example', { addresses: ['127.0.0.1'], ttlS: 1 });
    await proxy.apply({ clusters: { ill: byName('ill', { respectDnsTtl: true, dnsFailureRefreshRate: { baseInterval: '0.1s', maxInterval: '0.4s' } }) } });
    await has('ill', ['127.0.0.1']);
    dns.records.set('ill.example', 'fail');
    const before = asked('ill');
    await until('it has been asked for in vain', () => (asked('ill') > before + 3 ? true : undefined));
    await has('ill', ['127.0.0.1']);
    expect(await spread(proxy, 'ill', 3)).toEqual({ ok: 3 });
    dns.records.set('ill.example', { addresses: ['127.0.0.3'], ttlS: 300 });
    await has('ill', ['127.0.0.3']);
  });
});
