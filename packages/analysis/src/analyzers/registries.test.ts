import { describe, expect, test } from 'vitest';
import { object, said } from '../testing/said.ts';
import { conditions } from './conditions.ts';
import { deprecations } from './deprecations.ts';
import { meshNetworks } from './mesh-networks.ts';
import { serviceEntryAddresses } from './service-entry-addresses.ts';

describe('service entry addresses', () => {
  const entry = (port: object, more: object = {}, status: object = {}) =>
    object('ServiceEntry', 's', { spec: { hosts: ['a.test'], resolution: 'DNS', ports: [{ number: 22, name: 'p', ...port }], ...more }, ...status });
  const found = ['IST0134 ServiceEntry default/s:1'];

  test.each<[string, string, string[]]>([
    ['TCP', entry({ protocol: 'TCP' }), found],
    ['tcp', entry({ protocol: 'tcp' }), found],
    ['nothing said', entry({}), found],
    ['HTTP', entry({ protocol: 'HTTP' }), []],
    ['TLS', entry({ protocol: 'TLS' }), []],
    ['an address', entry({ protocol: 'TCP' }, { addresses: ['10.0.0.1'] }), []],
    ['an address that it was given', entry({ protocol: 'TCP' }, {}, { status: { addresses: [{ host: 'a.test', value: '240.240.0.1' }] } }), []],
    ['no address given', entry({ protocol: 'TCP' }, {}, { status: { addresses: [] } }), found],
  ])('%s', async (_, yaml, expected) => {
    expect(await said(serviceEntryAddresses, yaml)).toEqual(expected);
  });

  test.each([
    ['DNS and addresses', { ISTIO_META_DNS_CAPTURE: 'true', ISTIO_META_DNS_AUTO_ALLOCATE: 'true' }, []],
    ['addresses of the control plane', { ISTIO_META_DNS_CAPTURE: 'true', PILOT_ENABLE_IP_AUTOALLOCATE: 'true' }, []],
    ['DNS alone', { ISTIO_META_DNS_CAPTURE: 'true' }, found],
    ['addresses alone', { ISTIO_META_DNS_AUTO_ALLOCATE: 'true' }, found],
  ])('proxies that take over %s', async (_, proxyMetadata, expected) => {
    expect(await said(serviceEntryAddresses, entry({ protocol: 'TCP' }), { meshConfig: JSON.stringify({ defaultConfig: { proxyMetadata } }) })).toEqual(
      expected,
    );
  });
});

describe('mesh networks', () => {
  const networks = (registry: string) => `networks:\n  near:\n    endpoints:\n    - fromCidr: 10.0.0.0/8\n    - fromRegistry: ${registry}\n`;
  const secret = (labels: object, data: Record<string, unknown>) => object('Secret', 's', data, { labels });
  const remote = { 'istio/multiCluster': 'true' };

  test.each<[string, string, string, boolean]>([
    ['a built-in registry', '', 'Kubernetes', false],
    ['in another case', '', 'kubernetes', true],
    ['unknown', '', 'far', true],
    ['a remote cluster', secret(remote, { data: { far: 'YQ==' } }), 'far', false],
    ['in plain text', secret(remote, { stringData: { far: 'a' } }), 'far', false],
    ['a secret of something else', secret({}, { data: { far: 'YQ==' } }), 'far', true],
  ])('%s', async (_, yaml, registry, isUnknown) => {
    expect(await said(meshNetworks, yaml, { meshNetworks: networks(registry) })).toEqual(isUnknown ? ['IST0126 MeshNetworks istio-system/meshnetworks:5'] : []);
  });
});

describe('conditions', () => {
  const status = (...conditions: object[]) => ({ status: { conditions } });
  const bad = { type: 'Ready', status: 'False', reason: 'Broken', message: 'no' };
  const entry = { spec: { hosts: ['a.test'], ports: [{ number: 80, name: 'http', protocol: 'HTTP' }], resolution: 'DNS' } };

  test.each<[string, string, string[]]>([
    ['a Service', object('Service', 's', status(bad, { ...bad, type: 'Other' })), ['Service default/s:1', 'Service default/s:1']],
    ['a ServiceEntry', object('ServiceEntry', 's', { ...entry, ...status(bad) }), ['ServiceEntry default/s:1']],
    ['an AuthorizationPolicy', object('AuthorizationPolicy', 's', { spec: {}, ...status(bad) }), ['AuthorizationPolicy default/s:1']],
    ['what is well', object('Service', 's', status({ ...bad, status: 'True' }, { ...bad, status: 'Unknown' })), []],
    ['another kind', object('DestinationRule', 's', { spec: { host: 'a' }, ...status(bad) }), []],
  ])('%s', async (_, yaml, expected) => {
    expect(await said(conditions, yaml)).toEqual(expected.map((place) => `IST0171 ${place}`));
  });
});

describe('deprecations', () => {
  const route = (http: object) => object('VirtualService', 'v', { spec: { hosts: ['a'], http: [{ route: [{ destination: { host: 'a' } }], ...http }] } });
  const definition = (group: string, kind: string) => object('CustomResourceDefinition', `x.${group}`, { spec: { group, names: { kind } } });

  test.each<[string, string, string[]]>([
    ['a percent of delays', route({ fault: { delay: { percent: 10, fixedDelay: '1s' } } }), ['IST0002 VirtualService default/v:1']],
    ['a percentage of delays', route({ fault: { delay: { percentage: { value: 10 }, fixedDelay: '1s' } } }), []],
    ['a kind that was removed', definition('rbac.istio.io', 'ServiceRole'), ['IST0002 CustomResourceDefinition x.rbac.istio.io:1']],
    ['a kind of that name', definition('example.com', 'ServiceRole'), []],
  ])('%s', async (_, yaml, expected) => {
    expect(await said(deprecations, yaml)).toEqual(expected);
  });
});
