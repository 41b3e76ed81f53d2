import { TrafficDirection } from '@outrigger/xds/protos/envoy/config/core/v3/base';
import { describe, expect, it, test } from 'vitest';
import { buildMesh } from '../mesh.ts';
import { node, resource, service } from '../testing/shop.ts';
import { cluster, clusterNames, listener, listenerNames, routeConfiguration } from '../translate.ts';

const capture = { outbound: { host: '0.0.0.0', port: 15_001 }, inbound: { host: '0.0.0.0', port: 15_006 }, addresses: ['10.1.0.1'] };
const captured = node('web', { httpProxy: undefined, capture });
const plain = node('web', { httpProxy: undefined, capture: undefined });
const ORDERS = 'orders.default.svc.cluster.local';
const PAYMENTS = 'payments.default.svc.cluster.local';
const proxyPort = {
  port: { number: 15_080, protocol: 'HTTP_PROXY', name: 'egress' },
  captureMode: 'NONE',
  hosts: [`*/${ORDERS}`, '*/db.default.svc.cluster.local'],
};
const sidecar = (egress: readonly object[], more: object = {}) => resource('Sidecar', 'web', { egress, ...more });
const services = [service('orders', 8080), service('payments', 80), service('db', 5432, 'TCP')];
const meshOf = (...config: readonly ReturnType<typeof resource>[]) => buildMesh({ config, services, instances: [] });
const domains = (mesh: ReturnType<typeof meshOf>, who = captured) =>
  Object.fromEntries((routeConfiguration(mesh, who, '15080').message?.virtualHosts ?? []).map((host) => [host.name, host.domains]));

describe.each([
  ['whose connections are redirected', captured],
  ['that is called otherwise', plain],
])('an HTTP_PROXY port of a Sidecar, of a proxy %s', (_, who) => {
  const mesh = meshOf(sidecar([proxyPort]));

  it('is a listener that is bound, and one within for what comes out of a CONNECT', () => {
    expect(listenerNames(mesh, who).names.filter((name) => name.includes('15080'))).toEqual(['127.0.0.1_15080', 'http_tunnel_15080']);
    expect(listener(mesh, who, '127.0.0.1_15080')).toMatchObject({
      message: { bindToPort: true, trafficDirection: TrafficDirection.OUTBOUND, filterChains: [{ filters: [{}] }] },
      sources: [expect.objectContaining({ kind: 'Sidecar' })],
      notes: [],
    });
    expect(listener(mesh, who, 'http_tunnel_15080').message).toMatchObject({ listenerSpecifier: { case: 'internalListener' } });
    expect(cluster(mesh, who, 'http_tunnel_15080').message?.name).toBe('http_tunnel_15080');
    expect(['127.0.0.1_15081', 'http_tunnel_15081'].map((name) => listener(mesh, who, name).message)).toEqual([undefined, undefined]);
    expect(cluster(mesh, who, 'http_tunnel_15081').message).toBeUndefined();
  });

  it('takes requests for its hosts alone, on all their ports', () => {
    expect(domains(mesh, who)).toEqual({
      'db.default.svc.cluster.local:5432': expect.arrayContaining(['db:5432']) as string[],
      [`${ORDERS}:8080`]: ['orders:8080', 'orders.default:8080', 'orders.default.svc:8080', `${ORDERS}:8080`],
      allow_any: ['*'],
    });
  });

  it('has the clusters that it sends to, and those that it was asked for by name', () => {
    const { names } = clusterNames(mesh, who);
    for (const name of [`outbound|8080||${ORDERS}`, 'http_tunnel_15080']) {
      expect(names).toContain(name);
      expect(cluster(mesh, who, name).message?.name).toBe(name);
    }
    expect(names).not.toContain(`outbound|80||${PAYMENTS}`);
    const outward = routeConfiguration(mesh, who, '15080')
      .message!.virtualHosts.find(({ name }) => name === 'allow_any')!
      .routes.at(-1)!.action;
    const to = outward.case === 'route' ? outward.value.clusterSpecifier.value : undefined;
    // The connection went to the proxy: only the host says where the request was going.
    expect(cluster(mesh, who, String(to)).message?.clusterDiscoveryType).toMatchObject({ value: { name: 'envoy.clusters.dynamic_forward_proxy' } });
    expect(names).toContain(to);
  });
});

test('what is only sent to the proxy port is not called at its own', () => {
  const mesh = meshOf(sidecar([proxyPort, { hosts: [`*/${PAYMENTS}`] }]));
  expect(listenerNames(mesh, captured).names).toEqual(['127.0.0.1_15080', 'http_tunnel_15080', 'virtualOutbound', 'virtualInbound', '0.0.0.0_80']);
  expect(Object.keys(domains(mesh))).not.toContain(`${PAYMENTS}:80`);
});

test('where a request names no port it is 80, and what is unknown is refused under REGISTRY_ONLY', () => {
  const mesh = meshOf(sidecar([{ ...proxyPort, hosts: ['./*'] }], { outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } }));
  const found = domains(mesh);
  expect(found[`${PAYMENTS}:80`]).toEqual(expect.arrayContaining(['payments', 'payments:80']));
  expect(found['block_all']).toEqual(['*']);
  expect(clusterNames(mesh, captured).names).not.toContain('AllowAnyDynamicDNSCluster');
});

test.each([
  ['bound where it says', { bind: '127.0.0.9' }, '127.0.0.9_15080', true],
  ['a port of connections that are redirected', { captureMode: 'DEFAULT' }, '0.0.0.0_15080', false],
])('%s', (_, more, name, bindToPort) => {
  expect(listener(meshOf(sidecar([{ ...proxyPort, ...more }])), captured, name).message).toMatchObject({ bindToPort });
});

test('rules of its hosts hold, also of hosts that are no service', () => {
  const rule = (name: string, hosts: readonly string[]) =>
    resource('VirtualService', name, { hosts, http: [{ name, route: [{ destination: { host: 'orders' } }] }] });
  const mesh = meshOf(sidecar([{ ...proxyPort, hosts: [...proxyPort.hosts, '*/shop.example'] }]), rule('own', ['orders']), rule('shop', ['shop.example']));
  const hosts = routeConfiguration(mesh, captured, '15080').message!.virtualHosts;
  expect(hosts.find(({ name }) => name === `${ORDERS}:8080`)!.routes.map(({ name }) => name)).toContain('own');
  expect(hosts.find(({ name }) => name === 'shop.example:80')!.domains).toEqual(['shop.example', 'shop.example:*']);
  expect(routeConfiguration(mesh, captured, '80').message?.virtualHosts.map(({ name }) => name)).not.toContain('shop.example:80');
});
