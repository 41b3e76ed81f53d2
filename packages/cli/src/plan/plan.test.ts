import { readResources } from '@outrigger/resources';
import { loadTypeRegistry } from '@outrigger/xds';
import { describe, expect, test } from 'vitest';
import type { Side } from './input.ts';
import { planMarkdown } from './markdown.ts';
import { type Plan, planOf } from './plan.ts';
import { planText } from './print.ts';
import { inputOfFiles } from './sources.ts';

const types = await loadTypeRegistry();

const deployment = (name: string, app: string, version = 'v1') => `
apiVersion: apps/v1
kind: Deployment
metadata: {name: ${name}}
spec: {template: {metadata: {labels: {app: ${app}, version: ${version}}}, spec: {serviceAccountName: ${app}}}}
`;
const shop = [
  deployment('web', 'web'),
  deployment('batch', 'batch'),
  deployment('orders-v1', 'orders'),
  deployment('orders-v2', 'orders', 'v2'),
  `
apiVersion: v1
kind: Service
metadata: {name: orders}
spec: {selector: {app: orders}, ports: [{name: http, port: 8080}]}
`,
  `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: orders}
spec: {host: orders, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}
`,
];
const routes = (http: string) => `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [orders], http: ${http}}
`;
const to = (...targets: [string, number][]) =>
  `[{route: [${targets.map(([subset, weight]) => `{destination: {host: orders, subset: ${subset}}, weight: ${weight}}`).join(', ')}]}]`;
const policy = (rules: string, name = 'orders') => `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: ${name}}
spec: {selector: {matchLabels: {app: orders}}, action: ALLOW, rules: ${rules}}
`;
const HOST = 'orders.default.svc.cluster.local';

async function plan(before: readonly string[], after: readonly string[]): Promise<Plan> {
  const read = (documents: readonly string[], file: string) => readResources([{ file, text: documents.join('\n---\n') }]);
  const [old, now] = [await read(before, 'before.yaml'), await read(after, 'after.yaml')];
  expect(now.problems).toEqual([]);
  return planOf(inputOfFiles(old, now, { types }), types);
}
const planned = (before: readonly string[], after: readonly string[]) => plan([...shop, ...before], [...shop, ...after]);

describe('a plan of two states of files', () => {
  test('of the same is none, whatever the order of documents and keys', async () => {
    const same = await plan([...shop, routes(to(['v1', 100]))], [routes(to(['v1', 100])), ...shop.toReversed()]);
    expect(same).toMatchObject({
      risk: 'none',
      reasons: [],
      resources: [],
      services: [],
      access: [],
      proxies: [],
      xdsBytes: 0,
      messages: { new: [], gone: [] },
    });
    expect(same.allProxies).toBe(4);
    expect(planText(same)).toMatch(/^risk: none\n\nproxies: 0 of 4 touched/);
  });

  test('names the routes that move, for whom, and what it costs', async () => {
    const moved = await planned([routes(to(['v1', 100]))], [routes(to(['v1', 90], ['v2', 10]))]);
    expect(moved).toMatchObject({ risk: 'medium', resources: [{ resource: { kind: 'VirtualService', name: 'orders' }, change: 'configured' }] });
    expect(moved.reasons).toEqual([{ risk: 'medium', reason: `requests to ${HOST}:8080 are routed otherwise` }]);
    expect(moved.services).toMatchObject([
      {
        service: HOST,
        routes: [
          {
            host: `${HOST}:8080`,
            change: 'changed',
            proxies: ['default/batch', 'default/orders-v1', 'default/orders-v2', 'default/web'],
            before: [expect.stringMatching(new RegExp(`^/\\* -> ${HOST}:8080 v1;`)) as string],
            after: [expect.stringMatching(new RegExp(`^/\\* -> ${HOST}:8080 v1 90 %, ${HOST}:8080 v2 10 %;`)) as string],
          },
        ],
        destinations: [],
        policies: [],
      },
    ]);
    expect(moved.proxies.map(({ workload, changes }) => [workload, changes.map(({ type, change }) => `${type} ${change}`)])).toContainEqual([
      'default/web',
      ['VHDS changed'],
    ]);
    expect(moved.xdsBytes).toBeGreaterThan(100);
    expect(moved.access).toEqual([]);
  });

  test('a route that leads nowhere is of high risk', async () => {
    const absent = await planned([routes(to(['v1', 100]))], [routes('[{match: [{uri: {prefix: /api}}], route: [{destination: {host: orders, subset: v1}}]}]')]);
    expect(absent.reasons[0]).toEqual({ risk: 'high', reason: `some requests to ${HOST}:8080 have no route any more (404)` });
    expect(planText(absent)).toMatch(/\n {4}- \/\* -> .*\n {4}\+ \/api\* -> /);
    const answered = await planned(
      [routes(to(['v1', 100]))],
      [routes('[{match: [{uri: {prefix: /old}}], directResponse: {status: 404}}, {route: [{destination: {host: orders, subset: v1}}]}]')],
    );
    expect(answered.risk).toBe('high');
    expect(answered.reasons[0]).toEqual({ risk: 'high', reason: `a route of ${HOST}:8080 would lead nowhere` });
    const missing = await planned([routes(to(['v1', 100]))], [routes(to(['v1', 50], ['v9', 50]))]);
    expect(missing).toMatchObject({ risk: 'high', messages: { new: [expect.objectContaining({ code: 'IST0101', level: 'Error', file: 'after.yaml' })] } });
  });

  test('connections that are no requests move too, and what no line has is told field by field', async () => {
    const tcp = [
      deployment('db-v1', 'db'),
      'apiVersion: v1\nkind: Service\nmetadata: {name: db}\nspec: {selector: {app: db}, ports: [{name: tcp, port: 5432}]}\n',
    ];
    const target = (host: string) =>
      `apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: db}\nspec: {hosts: [db], tcp: [{route: [{destination: {host: ${host}}}]}]}\n`;
    const connections = await planned([...tcp, target('db')], [...tcp, target('orders')]);
    expect(connections.risk).toBe('medium');
    expect(connections.services.find(({ service }) => service.startsWith('db.'))?.routes[0]).toMatchObject({
      before: expect.arrayContaining([`connections -> db.default.svc.cluster.local:5432`]) as unknown,
      after: expect.arrayContaining([`connections -> ${HOST}:8080`]) as unknown,
    });
    const cors = (origin: string) => [routes(`[{corsPolicy: {allowOrigins: [{exact: "${origin}"}]}, route: [{destination: {host: orders, subset: v1}}]}]`)];
    const { services, risk } = await planned(cors('https://a.example'), cors('https://b.example'));
    expect(risk).toBe('medium');
    expect(services[0]!.routes[0]!.after.join('\n')).toMatch(/allowOriginStringMatch.*: https:\/\/b\.example$/m);
  });

  test('says who loses and who gains access, by asking the tables of the called', async () => {
    const all = policy('[{}]');
    const web = policy('[{from: [{source: {principals: [cluster.local/ns/default/sa/web]}}], to: [{operation: {methods: [GET]}}]}]');
    const loses = await planned([all], [web]);
    expect(loses.risk).toBe('high');
    const told = loses.access.map(({ caller, target, change, request }) => `${caller} ${change} ${target} ${request}`);
    expect(told).toContain('default/batch loses default/orders-v1:8080 GET /');
    expect(told).toContain('anybody without mTLS loses default/orders-v2:8080 GET /');
    expect(told.filter((line) => line.startsWith('default/web'))).toEqual([]);
    expect(loses.services.find(({ service }) => service === HOST)?.policies[0]?.because).toEqual(['AuthorizationPolicy default/orders']);

    const gains = await planned([web], [all]);
    expect(gains.risk).toBe('medium');
    expect(gains.access).toContainEqual(expect.objectContaining({ caller: 'default/batch', change: 'gains', because: 'no policy allows it' }));
    const paths = await planned([all], [all, policy('[{to: [{operation: {paths: ["/admin*"]}}]}]', 'closed').replace('ALLOW', 'DENY')]);
    expect(paths.access).toContainEqual(
      expect.objectContaining({ caller: 'default/web', change: 'loses', request: 'GET /admin', because: expect.stringContaining('closed') as string }),
    );
    expect(paths.access.map(({ request }) => request)).not.toContain('GET /');
  });

  test('says so of proxies too to which the kernel turns connections', async () => {
    const read = (text: string) => readResources([{ file: 'mesh.yaml', text: [...shop, text].join('\n---\n') }]);
    const input = inputOfFiles(await read(policy('[{}]')), await read(policy('[{from: [{source: {namespaces: [shop]}}]}]')), { types });
    const capture = { outbound: { host: '0.0.0.0', port: 15_001 }, inbound: { host: '0.0.0.0', port: 15_006 }, addresses: ['10.0.0.7'] };
    const captured = (side: Side): Side => ({
      ...side,
      proxies: side.proxies.map(({ node, uses }) => ({ node: { ...node, httpProxy: undefined, capture }, uses })),
    });
    const { access } = planOf({ ...input, before: captured(input.before), after: captured(input.after) }, types);
    expect(access.map(({ caller, target, change }) => `${caller} ${change} ${target}`)).toContain('default/web loses default/orders-v1:8080');
  });

  test('strict mutual TLS takes access from whoever has none', async () => {
    const strict = 'apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: default}\nspec: {mtls: {mode: STRICT}}\n';
    const { risk, access } = await planned([], [strict]);
    expect(risk).toBe('high');
    expect([...new Set(access.map(({ caller, change }) => `${caller} ${change}`))]).toEqual(['anybody without mTLS loses']);
  });

  test('fields of a destination, with what they were', async () => {
    const pool =
      'apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: orders}\nspec: {host: orders, trafficPolicy: {connectionPool: {tcp: {connectTimeout: 5s}}}}\n';
    const before = shop.slice(0, -1);
    const { services, risk } = await plan(before, [...before, pool]);
    expect(risk).toBe('medium');
    expect(services[0]!.destinations).toContainEqual(
      expect.objectContaining({
        cluster: `outbound|8080||${HOST}`,
        change: 'changed',
        fields: expect.arrayContaining([{ field: 'connectTimeout', before: '1s', after: '5s' }]) as unknown,
      }),
    );
  });

  test('workloads and gateways that come and go are named, and a gateway has routes of its own', async () => {
    const gateway = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec: {selector: {istio: edge}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [shop.example.com]}]}
`;
    const bound = routes(to(['v1', 100])).replace('hosts: [orders]', 'hosts: [shop.example.com], gateways: [edge]');
    const come = await planned([], [gateway, bound, deployment('mail', 'mail')]);
    expect(come.newProxies.toSorted()).toEqual(['edge.default', 'mail.default']);
    const moved = await planned([gateway, bound], [gateway, bound.replace('subset: v1', 'subset: v2')]);
    expect(moved.services.map(({ service }) => service)).toEqual(['gateway default/edge']);
    expect(moved.proxies).toMatchObject([{ workload: 'default/edge', gateway: true }]);
    expect((await planned([gateway, bound], [])).goneProxies).toEqual(['edge.default']);
  });

  test('where no workload is named, somebody of the namespace is taken to call', async () => {
    const bare = (http: string) => [routes(http).replace('name: orders', 'name: orders, namespace: shop').replace('hosts: [orders]', 'hosts: [example.com]')];
    const { services, assumed } = await plan(
      bare('[{route: [{destination: {host: a.example.com}}]}]'),
      bare('[{timeout: 2s, route: [{destination: {host: a.example.com}}]}]'),
    );
    expect(services[0]!.routes).toMatchObject([{ proxies: ['shop/any-workload'] }]);
    expect(services[0]!.routes[0]!.after[0]).toContain('timeout 2 s');
    expect(assumed[0]).toContain('no mesh was asked');
  });
});

test('an EnvoyFilter is in it as a proxy has it, and is named where it is applied', async () => {
  const patch = (applyTo: string, match: string, operation: string, value: string) =>
    `{applyTo: ${applyTo}, match: ${match}, patch: {operation: ${operation}, value: ${value}}}`;
  const filter = (patches: readonly string[]) => `
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: mine}
spec: {configPatches: [${patches.join(', ')}]}
`;
  const vhost = `{context: SIDECAR_OUTBOUND, routeConfiguration: {vhost: {name: "${HOST}:8080"}}}`;
  const after = filter([
    patch('HTTP_ROUTE', vhost, 'INSERT_FIRST', '{match: {prefix: /gone}, direct_response: {status: 410}}'),
    patch('CLUSTER', `{cluster: {name: "outbound|8080|v1|${HOST}"}}`, 'MERGE', '{connect_timeout: 7s}'),
  ]);
  const { services, assumed, risk } = await planned([], [after]);
  const [orders] = services;
  expect(orders).toMatchObject({
    service: HOST,
    routes: [{ patchedBy: ['EnvoyFilter default/mine'] }],
    destinations: [{ patchedBy: ['EnvoyFilter default/mine'] }],
  });
  expect(orders!.routes[0]!.after[0]).toContain('/gone* -> answers 410');
  expect(orders!.destinations[0]!.fields).toMatchObject([{ field: 'connectTimeout', after: '7s' }]);
  expect([risk, assumed.join()]).toEqual(['medium', expect.not.stringContaining('EnvoyFilter')]);
  expect(planText(await planned([after], []))).toMatch(/routes of .* by EnvoyFilter default\/mine\n +- \/gone\* -> answers 410/);
});

test('Markdown is no longer than a comment may be, and nothing in it ends its blocks', async () => {
  const evil = '[{match: [{uri: {exact: "/```</details>"}}], directResponse: {status: 404}}, {route: [{destination: {host: orders, subset: v1}}]}]';
  const markdown = planMarkdown(await planned([routes(to(['v1', 100]))], [routes(evil)]));
  expect(markdown).toMatch(/^### Risk: high\n\n- \*\*high\*\*: a route of /);
  expect(markdown).toContain('\n````diff\n');
  const paths = Array.from(
    { length: 400 },
    (_, index) => `{match: [{uri: {exact: /${'x'.repeat(150)}${index}}}], route: [{destination: {host: orders, subset: v1}}]}`,
  );
  expect(planMarkdown(await planned([routes(to(['v1', 100]))], [routes(`[${paths.join(', ')}]`)])).length).toBeLessThan(65_536);
});
