import { describe, expect, test } from 'vitest';
import { buildMesh, changeMesh } from './mesh.ts';
import { node, service, shopInstances, shopServices } from './testing/shop.ts';
import { listener, routeConfiguration } from './translate.ts';
import { upstreamProblems } from './upstream.ts';

const upstream = (name: string, port: number) => ({ service: name, port, address: { host: '127.0.0.1', port: 7001 } });
const twoPorts = service('two', 8080, 'HTTP', {
  ports: [
    { name: 'http', port: 8080, protocol: 'HTTP' },
    { name: 'tcp', port: 9090, protocol: 'TCP' },
  ],
});
const mesh = buildMesh({ config: [], services: [...shopServices, service('redis', 6379, 'TCP'), twoPorts], instances: shopInstances });

/** What the declared port's listener does, and where its one route goes. */
function made(name: string, port: number, of = mesh) {
  const web = node('web', { upstreams: [upstream(name, port)] });
  const { message, keys } = listener(of, web, 'upstream_127.0.0.1_7001');
  const text = JSON.stringify(message, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
  const filter = message?.filterChains[0]?.filters[0]?.name.split('.').at(-1);
  return { web, keys, filter, text };
}

describe('an upstream that names no port', () => {
  test("is its service's only port", () => {
    expect(made('order-service', 0).filter).toBe('http_connection_manager');
    const { web } = made('order-service', 0);
    const routes = routeConfiguration(mesh, web, 'upstream|0|order-service.default.svc.cluster.local').message;
    expect(routes?.virtualHosts[0]?.routes.at(-1)?.action).toMatchObject({
      value: { clusterSpecifier: { value: 'outbound|8080||order-service.default.svc.cluster.local' } },
    });
    expect(upstreamProblems(mesh, web)).toEqual([]);
  });

  test('is a TCP proxy where that is a TCP port', () => {
    expect(made('redis', 0).filter).toBe('tcp_proxy');
  });

  test('of a service with several ports is answered with what is wrong, and shown as a problem', () => {
    const { web, filter } = made('two', 0);
    expect(filter).toBe('http_connection_manager');
    const routes = routeConfiguration(mesh, web, 'upstream|0|two.default.svc.cluster.local').message;
    expect(routes?.virtualHosts[0]?.routes[0]?.action).toMatchObject({ case: 'directResponse', value: { status: 503 } });
    expect(JSON.stringify(routes?.virtualHosts[0]?.routes[0]?.action.value)).toContain('several ports (8080, 9090)');
    expect(routes?.virtualHosts[0]?.routes[0]?.responseHeadersToAdd[0]?.header).toMatchObject({
      key: 'proxy-status',
      value: 'web.default; error=proxy_configuration_error; details="ambiguous_port"',
    });
    expect(upstreamProblems(mesh, web)).toEqual([expect.stringContaining('127.0.0.1:7001 answers 503: two.default.svc.cluster.local has several ports')]);
    expect(upstreamProblems(mesh, made('two', 9090).web)).toEqual([]);
  });

  test('of a service that is not there yet follows it when it comes', () => {
    const { web, keys } = made('later', 0);
    const name = 'upstream|0|later.default.svc.cluster.local';
    const before = routeConfiguration(mesh, web, name);
    const [absent] = before.message!.virtualHosts;
    expect(absent?.routes[0]?.action).toMatchObject({ case: 'directResponse', value: { status: 503 } });
    expect(JSON.stringify(absent?.routes[0]?.action.value)).toContain('later.default.svc.cluster.local is no service of the mesh yet');
    expect(absent?.routes[0]?.responseHeadersToAdd[0]?.header).toMatchObject({ key: 'proxy-status', value: expect.stringContaining('destination_not_found') });
    // Of a name that the node has not declared there is nothing.
    expect(routeConfiguration(mesh, web, 'upstream|0|other.default.svc.cluster.local').message).toBeUndefined();
    expect(upstreamProblems(mesh, web)).toEqual([]);
    const { mesh: after, touched } = changeMesh(mesh, { putServices: [service('later', 5432, 'TCP')] });
    expect([...touched].some((key) => keys.has(key))).toBe(true);
    expect([...touched].some((key) => before.keys.has(key))).toBe(true);
    expect(made('later', 0, after).filter).toBe('tcp_proxy');
  });
});
