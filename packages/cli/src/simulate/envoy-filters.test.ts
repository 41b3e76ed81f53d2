import { readResources } from '@outrigger/resources';
import { expect, it } from 'vitest';
import { patchTypes } from './envoy-filters.ts';
import { explain } from './explain.ts';
import { inboundPorts, toWorkload } from './inbound.ts';
import { proxyNode } from './node.ts';
import { fromWorkload } from './outbound.ts';
import type { Outcome } from './outcome.ts';
import { parseRequest } from './parse-request.ts';
import { worldOf } from './world.ts';

const SERVICES = `
apiVersion: v1
kind: Service
metadata: { name: orders, namespace: shop }
spec: { clusterIP: 10.0.0.1, selector: { app: orders }, ports: [{ name: http, port: 8080 }] }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: orders, namespace: shop }
spec: { hosts: [orders], http: [{ name: all, route: [{ destination: { host: orders } }] }] }
`;
const filter = (patches: string, name = 'mine') => `
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: { name: ${name}, namespace: shop }
spec:
  configPatches:${patches}
`;
const HOST = 'orders.shop.svc.cluster.local:8080';
const CLUSTER = 'outbound|8080||orders.shop.svc.cluster.local';
const TYPE = 'type.googleapis.com/envoy.extensions.filters.http';
const httpFilter = (type: string, context = 'SIDECAR_OUTBOUND') => `
  - applyTo: HTTP_FILTER
    match: { context: ${context} }
    patch: { operation: INSERT_FIRST, value: { name: x, typed_config: ${type} } }`;
const MUTATION = `{ "@type": ${TYPE}.header_mutation.v3.HeaderMutation, mutations: { request_mutations: [{ append: { header: { key: x-mine, value: "yes" } } }] } }`;
const inVirtualHost = (operation: string, value: string, more = '') => `
  - applyTo: HTTP_ROUTE
    match: { context: SIDECAR_OUTBOUND, routeConfiguration: { vhost: { name: "${HOST}"${more} } } }
    patch: { operation: ${operation}, value: ${value} }`;

async function asked(...filters: readonly string[]): Promise<Outcome> {
  const files = filters.map((text, index) => ({ file: `filter-${index}.yaml`, text }));
  const { resources, others, problems } = await readResources([{ file: 'shop.yaml', text: SERVICES }, ...files]);
  expect(problems).toEqual([]);
  const world = worldOf(resources, others, {}, { types: await patchTypes(resources) });
  return fromWorkload(world, proxyNode({ namespace: 'shop', workload: 'web', labels: { app: 'web' } }), parseRequest('GET http://orders:8080/', []));
}

it('loads nothing where there is no EnvoyFilter', async () => {
  const { resources } = await readResources([{ file: 'shop.yaml', text: SERVICES }]);
  expect(await patchTypes(resources)).toBeUndefined();
  expect((await asked()).patchedBy).toEqual([]);
});

it('runs a filter that one adds, and says where it is written', async () => {
  const outcome = await asked(filter(httpFilter(MUTATION)));
  expect(outcome).toMatchObject({ decision: 'route', request: { headers: { 'x-mine': 'yes' } }, matched: { resource: 'VirtualService shop/orders' } });
  const patch = { resource: 'EnvoyFilter shop/mine', rule: 'spec.configPatches[0]', file: 'filter-0.yaml', line: 7 };
  expect(outcome.patchedBy).toEqual([{ ...patch, to: 'a filter chain of 0.0.0.0_8080' }]);
  expect(explain(outcome)).toMatch(/patched by +EnvoyFilter shop\/mine spec\.configPatches\[0\], filter-0\.yaml:7 \(a filter chain of /);
});

it.each([
  [
    'of a request that has what a route of it wants',
    filter(inVirtualHost('INSERT_FIRST', '{ name: own, match: { prefix: / }, direct_response: { status: 418 } }')),
  ],
  [
    'whatever the virtual host was',
    filter(
      `\n  - { applyTo: VIRTUAL_HOST, match: { context: SIDECAR_OUTBOUND, routeConfiguration: { vhost: { name: "${HOST}" } } }, patch: { operation: REPLACE, value: { domains: [orders, "orders:8080"], routes: [{ name: own, match: { prefix: / }, direct_response: { status: 418 } }] } } }`,
    ),
  ],
])('decides as one says, %s', async (_, text) => {
  expect(await asked(text)).toMatchObject({
    decision: 'direct-response',
    status: 418,
    matched: {
      resource: 'EnvoyFilter shop/mine',
      rule: expect.stringMatching(/^spec\.configPatches\[0\]\.patch\.value.* \(own\)$/) as string,
      file: 'filter-0.yaml',
    },
    patchedBy: [{ resource: 'EnvoyFilter shop/mine', to: `virtual host ${HOST}` }],
  });
});

it('names the patch of the route that matches, not those of others', async () => {
  const add = (name: string) =>
    inVirtualHost('MERGE', `{ response_headers_to_add: [{ header: { key: x-of, value: ${name} } }] }`, `, route: { name: ${name} }`);
  const outcome = await asked(filter(add('all') + add('none')));
  expect(outcome.response!.headers).toEqual({ 'x-of': 'all' });
  expect(outcome.patchedBy).toMatchObject([{ rule: 'spec.configPatches[0]', to: 'route all' }]);
});

it('fails what a fault of one fails, and says how many', async () => {
  const fault = `{ typed_per_filter_config: { envoy.filters.http.fault: { "@type": ${TYPE}.fault.v3.HTTPFault, abort: { http_status: 503, percentage: { numerator: 100 } } } } }`;
  expect(await asked(filter(inVirtualHost('MERGE', fault)))).toMatchObject({ decision: 'fault', status: 503, faults: [{ kind: 'abort', percent: 100 }] });
});

it('goes where a cluster that one adds leads, and nowhere where one takes it away', async () => {
  const cluster = `
  - applyTo: CLUSTER
    match: { context: SIDECAR_OUTBOUND }
    patch: { operation: ADD, value: { name: own, type: STATIC, load_assignment: { cluster_name: own, endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: 10.9.9.9, port_value: 81 } } } }] }] } } }`;
  const toIt = inVirtualHost('INSERT_FIRST', '{ name: own, match: { prefix: / }, route: { cluster: own } }');
  expect(await asked(filter(cluster + toIt))).toMatchObject({ decision: 'route', destinations: [{ host: '10.9.9.9', port: 81 }] });
  const nowhere = await asked(filter(toIt));
  expect(nowhere).toMatchObject({ decision: 'invalid-backend', status: 503, destinations: [] });
  expect(nowhere.explanation).toContain('there is no cluster own');
  const gone = await asked(filter(`\n  - { applyTo: CLUSTER, match: { cluster: { name: "${CLUSTER}" } }, patch: { operation: REMOVE } }`));
  expect(gone).toMatchObject({ decision: 'invalid-backend', status: 503 });
  expect(gone.explanation).toContain(`there is no cluster ${CLUSTER}: EnvoyFilter shop/mine takes it away`);
});

it('takes what others would be asked for as granted, and says so', async () => {
  const authorized = await asked(
    filter(httpFilter(`{ "@type": ${TYPE}.ext_authz.v3.ExtAuthz, http_service: { server_uri: { uri: "http://authz", cluster: authz, timeout: 1s } } }`)),
  );
  expect(authorized.decision).toBe('route');
  expect(authorized.explanation).toContain('x asks another, which is not asked here: it is taken to let the request pass');
});

it('says which of them a proxy does not run, in the same words', async () => {
  const unknown = await asked(filter(httpFilter(`{ "@type": type.googleapis.com/envoy.extensions.filters.http.nobody.v3.Config }`)));
  expect(unknown).toMatchObject({ decision: 'route', patchedBy: [] });
  expect(unknown.explanation).toContain(
    'EnvoyFilter shop/mine spec.configPatches[0].patch.value, filter-0.yaml:9, does nothing: this proxy has no envoy.extensions.filters.http.nobody.v3.Config',
  );
  const lua = `{ "@type": ${TYPE}.lua.v3.Lua, default_source_code: { inline_string: "function envoy_on_request(h) end" } }`;
  const refused = await asked(filter(httpFilter(MUTATION), 'good'), filter(httpFilter(lua), 'lua'));
  expect(refused).toMatchObject({ decision: 'route', request: { headers: { 'x-mine': 'yes' } }, patchedBy: [{ resource: 'EnvoyFilter shop/good' }] });
  expect(refused.assumed.join()).toMatch(/EnvoyFilter shop\/lua, filter-1\.yaml:\d+, is left out: our proxy refuses it, .*lua/);
});

it('leaves one out for what it does to a virtual host that is not asked', async () => {
  const host = `
  - applyTo: VIRTUAL_HOST
    match: { context: SIDECAR_OUTBOUND }
    patch: { operation: ADD, value: { name: own, domains: ["*"], routes: [{ match: { prefix: / }, direct_response: { status: 418 } }] } }`;
  const route = inVirtualHost('INSERT_FIRST', '{ name: own, match: { prefix: / }, direct_response: { status: 418 } }');
  const refused = await asked(filter(route + host));
  expect(refused).toMatchObject({ decision: 'route', patchedBy: [] });
  expect(refused.assumed.join()).toContain('EnvoyFilter shop/mine, filter-0.yaml:2, is left out: our proxy refuses it, routes 8080:');
});

it('is asked in front of a workload too', async () => {
  const { resources, others } = await readResources([
    { file: 'shop.yaml', text: SERVICES },
    { file: 'filter.yaml', text: filter(httpFilter(MUTATION, 'SIDECAR_INBOUND')) },
  ]);
  const world = worldOf(resources, others, {}, { types: await patchTypes(resources) });
  const who = { namespace: 'shop', workload: 'orders', labels: { app: 'orders' }, addresses: [] };
  const node = proxyNode({ ...who, inbound: inboundPorts(world, who) });
  const outcome = toWorkload(world, node, { ...parseRequest('GET /', [], true), port: 8080, tls: undefined });
  expect(outcome).toMatchObject({ decision: 'route', request: { headers: { 'x-mine': 'yes' } }, patchedBy: [{ resource: 'EnvoyFilter shop/mine' }] });
});
