import type { SampleWindow } from '@outrigger/control-plane/api';
import { readResources } from '@outrigger/resources';
import { bareNode } from '@outrigger/translate';
import { expect, test } from 'vitest';
import { type ReplayReport, replay } from './replay.ts';
import { inputOfFiles } from './sources.ts';
import { CompiledXds, Tables } from './tables.ts';
import { sample, window } from './testing/samples.ts';
import { XdsState } from './xds-state.ts';

const web = bareNode('default', 'web', { httpProxy: { host: '127.0.0.1', port: 15_001 } });
const orders = bareNode('default', 'orders', {
  labels: { app: 'orders' },
  inbound: [{ name: 'http', protocol: 'HTTP', servicePort: 8080, mesh: { host: '127.0.0.1', port: 16_000 }, application: { host: '127.0.0.1', port: 9001 } }],
});
const SERVICE = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: orders}
spec: {hosts: [orders.default.svc.cluster.local], location: MESH_INTERNAL, resolution: STATIC, ports: [{number: 8080, name: http, protocol: HTTP}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: orders}
spec: {host: orders, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}
`;
const routes = (http: string) => `---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [orders], http: ${http}}
`;
const v1 = '{route: [{destination: {host: orders, subset: v1}}]}';

async function replayed(before: string, after: string, windows: readonly SampleWindow[]): Promise<ReplayReport> {
  const read = (text: string) => readResources([{ file: 'mesh.yaml', text: SERVICE + text }]);
  const input = inputOfFiles(await read(before), await read(after), { types: undefined });
  const old = new XdsState(input.before.world.mesh);
  const compiled = new CompiledXds();
  return replay({ windows, nodes: [web, orders] }, new Tables(old, compiled), new Tables(new XdsState(input.after.world.mesh, old, input.touched), compiled));
}

test('of what was seen, that which would be a 404 is counted, with examples', async () => {
  const paths = Array.from({ length: 20 }, (_, index) => sample(index === 7 ? '/legacy/cart' : `/orders/${index}`));
  const report = await replayed(routes(`[${v1}]`), routes(`[{match: [{uri: {prefix: /legacy}}], directResponse: {status: 404}}, ${v1}]`), [
    window(paths, { seen: 2_000 }),
  ]);
  expect(report).toMatchObject({ seen: 2_000, sampled: 20, changedPercent: 5, unjudged: {} });
  expect(report.groups).toEqual([
    {
      workload: 'default/web',
      direction: 'outbound',
      host: 'orders:8080',
      before: expect.stringMatching(/^to orders\.default\.svc\.cluster\.local:8080 v1/) as string,
      after: '404 direct-response',
      requests: 100,
      percent: 5,
      examples: ['GET /legacy/cart (200)'],
    },
  ]);
  const same = await replayed(routes(`[${v1}]`), routes(`[{match: [{uri: {prefix: /never}}], directResponse: {status: 404}}, ${v1}]`), [window(paths)]);
  expect(same).toMatchObject({ changedPercent: 0, groups: [] });
});

test('weights are compared as distributions: what moves is the difference, not a draw', async () => {
  const weighted = (a: number, b: number) =>
    routes(`[{route: [{destination: {host: orders, subset: v1}, weight: ${a}}, {destination: {host: orders, subset: v2}, weight: ${b}}]}]`);
  const windows = [window([sample('/')], { seen: 1_000 })];
  expect(await replayed(weighted(90, 10), weighted(75, 25), windows)).toMatchObject({
    changedPercent: expect.closeTo(15) as number,
    groups: [{ requests: 150, before: expect.stringContaining('v1 90 %') as string, after: expect.stringContaining('v1 75 %') as string }],
  });
  expect((await replayed(weighted(50, 50), weighted(50, 50), windows)).groups).toEqual([]);
  // The same shares in another order are the same.
  const turned = routes('[{route: [{destination: {host: orders, subset: v2}, weight: 10}, {destination: {host: orders, subset: v1}, weight: 90}]}]');
  expect((await replayed(weighted(90, 10), turned, windows)).changedPercent).toBe(0);
});

test.each([
  ['a timeout', `[{timeout: 2s, route: [{destination: {host: orders, subset: v1}}]}]`, /timeout 2000 ms$/],
  [
    'a fault for a quarter',
    `[{fault: {abort: {httpStatus: 503, percentage: {value: 25}}}, route: [{destination: {host: orders, subset: v1}}]}]`,
    /^503 by a fault 25 %/,
  ],
  ['a redirect', '[{redirect: {uri: /new}}]', /^301 to /],
  ['another host for the application', `[{rewrite: {authority: inner}, route: [{destination: {host: orders, subset: v1}}]}]`, /as GET inner\/$/],
])('%s is another fate', async (_, http, after) => {
  const { groups } = await replayed(routes(`[${v1}]`), routes(http), [window([sample('/')], { seen: 100 })]);
  expect(groups).toMatchObject([{ after: expect.stringMatching(after) as string }]);
  expect(groups[0]!.requests).toBe(_ === 'a fault for a quarter' ? 25 : 100);
});

test('who is denied is told at the called, by the certificate that was shown', async () => {
  const policy = `---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: orders}
spec: {selector: {matchLabels: {app: orders}}, rules: [{from: [{source: {principals: [cluster.local/ns/default/sa/web]}}]}]}
`;
  const at = (peer: string) =>
    sample('/', {
      listener: 'inbound_127.0.0.1_16000',
      address: '127.0.0.1:16000',
      tls: true,
      alpn: 'istio-h2',
      peer,
      sni: 'outbound_.8080_._.orders.default.svc.cluster.local',
    });
  const windows = [
    window([at('spiffe://cluster.local/ns/default/sa/web'), at('spiffe://cluster.local/ns/default/sa/batch')], { node: orders.id, direction: 'inbound' }),
  ];
  expect(await replayed('', policy, windows)).toMatchObject({
    changedPercent: 50,
    groups: [{ workload: 'default/orders', direction: 'inbound', after: '403 denied', requests: 1 }],
  });
});

test('a CONNECT is no request of a path, and goes as its routes say', async () => {
  const connect = sample('', { method: 'CONNECT' });
  const tcp = (host: string) => `---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: db}
spec: {hosts: [db.default.svc.cluster.local], location: MESH_INTERNAL, resolution: STATIC, ports: [{number: 5432, name: tcp, protocol: TCP}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: db}
spec: {hosts: [db], tcp: [{route: [{destination: {host: ${host}}}]}]}
`;
  const windows = [window([{ ...connect, authority: 'db:5432' }, connect])];
  expect(await replayed(tcp('db'), tcp('orders'), windows)).toMatchObject({
    changedPercent: 50,
    groups: [
      {
        before: expect.stringMatching(/^to db\.default/) as string,
        after: expect.stringMatching(/^to orders\.default/) as string,
        examples: ['CONNECT db:5432 (200)'],
      },
    ],
  });
});

test('what nothing can be said of is counted and told', async () => {
  const byCookie = `[{match: [{headers: {cookie: {regex: ".*user=jason.*"}}}], route: [{destination: {host: orders, subset: v2}}]}, ${v1}]`;
  const report = await replayed(routes(byCookie), routes(`[${v1}]`), [
    window([sample('/', { headers: ['cookie', 'hash:0123456789abcdef'] })]),
    window([sample('/')], { node: 'gone.default' }),
  ]);
  expect(report).toMatchObject({ seen: 1, unjudged: { 'a rule asks for a header that is kept as a hash': 1, 'their proxy is not there any more': 1 } });
});
