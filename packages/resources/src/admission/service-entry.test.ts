import { describe, expect, test } from 'vitest';
import type { Json } from '../json.ts';
import type { ServiceEntrySpec } from '../kinds/workloads.ts';
import { changed } from '../testing/changed.ts';
import { serviceEntryErrors } from './service-entry.ts';

const fields = (spec: ServiceEntrySpec, labels: Readonly<Record<string, string>> = {}): string[] => {
  const metadata = { name: 'a', namespace: 'ns', labels, annotations: {}, creationTimestamp: '', resourceVersion: '', uid: '', generation: 0 };
  return serviceEntryErrors({ apiVersion: 'networking.istio.io/v1', kind: 'ServiceEntry', metadata, spec }).map(({ field }) => field);
};

const http = { number: 80, name: 'http', protocol: 'HTTP' };
const tls = { number: 443, name: 'tls', protocol: 'TLS' };
const bases = {
  static: {
    hosts: ['a.example'],
    addresses: ['10.0.0.0/8', '1.2.3.4'],
    ports: [{ ...http, targetPort: 8080 }, tls],
    resolution: 'STATIC',
    endpoints: [{ address: '10.0.0.1', ports: { http: 8080 }, labels: { app: 'a' } }],
    exportTo: ['~'],
  },
  socket: { hosts: ['a'], ports: [http], resolution: 'STATIC', endpoints: [{ address: 'unix:///run/a.sock' }] },
  dns: { hosts: ['a.example', 'b.example'], ports: [http], resolution: 'DNS', endpoints: [{ address: 'c.example' }] },
  dynamic: { hosts: ['*.example'], ports: [tls], location: 'MESH_INTERNAL', resolution: 'DYNAMIC_DNS' },
  none: { hosts: ['*.example', 'b'], ports: [{ number: 6379, name: 'redis', protocol: 'REDIS' }], resolution: 'NONE' },
  selected: { hosts: ['a'], ports: [http], resolution: 'STATIC', workloadSelector: { labels: { app: 'a' } } },
} satisfies Record<string, ServiceEntrySpec>;

test.each(Object.keys(bases) as (keyof typeof bases)[])('accepts %s', (name) => {
  expect(fields(bases[name])).toEqual([]);
});

describe('refuses', () => {
  test.each<[keyof typeof bases, string, Json | undefined, string]>([
    ['static', 'hosts', [], 'spec.hosts'],
    ['static', 'hosts[0]', '*', 'spec.hosts[0]'],
    ['static', 'hosts[0]', 'a b', 'spec.hosts[0]'],
    ['static', 'addresses[0]', '10.0.0.0/40', 'spec.addresses[0]'],
    ['static', 'addresses[0]', 'a.example', 'spec.addresses[0]'],
    ['static', 'ports[1].name', 'a.b', 'spec.ports[1].name'],
    ['static', 'ports[1].name', 'http', 'spec.ports[1].name'],
    ['static', 'ports[0].protocol', 'HTTP3', 'spec.ports[0].protocol'],
    ['static', 'ports[0].number', 0, 'spec.ports[0].number'],
    ['static', 'ports[0].targetPort', 65_536, 'spec.ports[0].targetPort'],
    ['static', 'endpoints[0].address', 'a.example', 'spec.endpoints[0].address'],
    ['socket', 'endpoints[0].ports', { http: 1 }, 'spec.endpoints[0].ports'],
    ['static', 'endpoints[0].ports', { grpc: 1 }, 'spec.endpoints[0].ports.grpc'],
    ['static', 'endpoints[0].ports', { http: 65_536 }, 'spec.endpoints[0].ports.http'],
    ['static', 'endpoints[0].labels', { app: '*' }, 'spec.endpoints[0].labels'],
    ['static', 'exportTo', ['~', 'ns'], 'spec.exportTo'],
    ['static', 'exportTo', ['a', 'a'], 'spec.exportTo[1]'],
    ['socket', 'endpoints[0].address', 'unix://run/a.sock', 'spec.endpoints[0].address'],
    ['socket', 'endpoints[0].address', 'unix:///run/', 'spec.endpoints[0].address'],
    ['socket', 'ports[1]', tls, 'spec.endpoints[0].address'],
    ['dns', 'endpoints', [], 'none'],
    ['dns', 'hosts[1]', '*.example', 'none'],
    ['dns', 'addresses', ['10.0.0.0/8'], 'spec.addresses[0]'],
    ['dns', 'endpoints[0].address', '', 'spec.endpoints[0].address'],
    ['dns', 'endpoints[0].address', 'unix:///a', 'spec.endpoints[0].address'],
    ['dns', 'ports[0].protocol', 'TCP', 'spec.ports[0].protocol'],
    ['dynamic', 'hosts[0]', 'a.example', 'spec.hosts[0]'],
    ['dynamic', 'addresses', ['10.0.0.1'], 'spec.addresses'],
    ['dynamic', 'endpoints', [{ address: 'b.example' }], 'spec.endpoints'],
    ['dynamic', 'ports[0].protocol', 'TCP', 'spec.ports[0].protocol'],
    ['none', 'endpoints', [{ address: '10.0.0.1' }], 'spec.endpoints'],
    ['selected', 'workloadSelector.labels', { app: 'a*' }, 'spec.workloadSelector.labels'],
  ])('%s with %s = %j', (base, path, value, field) => {
    expect(fields(changed(bases[base] as ServiceEntrySpec, path, value))).toEqual(field === 'none' ? [] : [field]);
  });

  test('DNS without endpoints and with a host that is no name, or two endpoints in turn', () => {
    const { endpoints: _, ...without } = bases.dns;
    expect(fields({ ...without, hosts: ['*.example'] })).toEqual(['spec.hosts[0]']);
    expect(fields({ ...bases.dns, resolution: 'DNS_ROUND_ROBIN', endpoints: [{ address: 'a.b' }, { address: 'c.d' }] })).toEqual(['spec.endpoints']);
  });

  test('what a waypoint cannot resolve', () => {
    expect(fields(bases.dynamic, { 'istio.io/use-waypoint': 'w' })).toEqual(['spec.location']);
    expect(fields(bases.dynamic, { 'istio.io/use-waypoint': 'none' })).toEqual([]);
  });
});
