import net from 'node:net';
import { readResources } from '@outrigger/resources';
import { changeMesh, type Mesh, type ProxyNode, VIRTUAL_OUTBOUND } from '@outrigger/translate';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { proxyNode } from '../../packages/cli/src/simulate/node.ts';
import { worldOf } from '../../packages/cli/src/simulate/world.ts';
import { peer } from '../harness/peers.ts';
import { type Plane, planes } from '../proxy/data-plane.ts';
import { until } from '../xds/envoy.ts';
import { Contestant } from './contestant.ts';
import { EchoBackend } from './echo-backend.ts';
import { Secrets } from './secrets.ts';
import { snapshotOf } from './snapshot.ts';

const HOST = 'shop.example.com';
const CALLS = 10_000;
const LINES = 8;
const SIGMAS = 4;
const KEYS = 200;
/** Asked until they are answered as they must be: then the proxy has all that it was told. */
const FIRST = 20;

/** "eu/a/1-0": the locality, and which of its endpoints; the version is v1, v2 or v3 by that. */
const ENDPOINTS = ['eu/a/1-0', 'eu/a/1-1', 'eu/b/1-0', 'eu/b/1-1', 'us/a/1-0', 'us/a/1-1', 'asia/a/1-0', 'asia/a/1-1'];
const versionOf = (index: number): string => `v${(index % 3) + 1}`;

const istio = (kind: string, name: string, spec: object) => ({
  apiVersion: 'networking.istio.io/v1',
  kind,
  metadata: { name, namespace: 'default' },
  spec,
});
const rule = (trafficPolicy: object) =>
  istio('DestinationRule', 'shop', { host: HOST, trafficPolicy, subsets: ['v1', 'v2', 'v3'].map((name) => ({ name, labels: { version: name } })) });
const weights = (...shares: readonly number[]) =>
  istio('VirtualService', 'shop', {
    hosts: [HOST],
    http: [{ route: shares.map((weight, index) => ({ destination: { host: HOST, subset: `v${index + 1}` }, weight })) }],
  });

/** One request on a connection. */
interface Asked {
  readonly headers?: string;
  readonly source?: string;
}
interface Answered {
  readonly endpoint: string;
  readonly head: string;
}

describe.skipIf(peer('envoy') === undefined)('shares and stickiness, as Istio resources ask for them, beside Envoy', () => {
  const secrets = new Secrets();
  const node: ProxyNode = { ...proxyNode({ namespace: 'default', workload: 'client', labels: {} }), locality: 'eu/a/1' };
  const contestants = new Map<Plane, Contestant>();
  let backend: EchoBackend;

  beforeAll(async () => {
    backend = new EchoBackend(await secrets.certificate());
    await backend.start();
    for (const plane of planes) contestants.set(plane, await Contestant.start(plane, secrets, backend));
  });

  afterAll(async () => {
    for (const contestant of contestants.values()) await contestant.stop();
    backend.close();
  });

  /** `ill`: endpoints that are known to be unhealthy. */
  async function meshOf(written: readonly object[], ill: readonly string[] = []): Promise<Mesh> {
    const entry = istio('ServiceEntry', 'shop', {
      hosts: [HOST],
      location: 'MESH_INTERNAL',
      resolution: 'STATIC',
      ports: [{ number: 80, name: 'http', protocol: 'HTTP' }],
      endpoints: ENDPOINTS.map((name, index) => ({
        address: backend.addressOf(name),
        ports: { http: backend.port },
        locality: name.split('-')[0],
        labels: { version: versionOf(index) },
      })),
    });
    const { resources, problems } = await readResources([{ file: 'shop.yaml', text: [entry, ...written].map((one) => stringify(one)).join('---\n') }]);
    expect(problems).toEqual([]);
    const { mesh, instances } = worldOf(resources, []);
    const addresses = ill.map((name) => backend.addressOf(name));
    const unhealthy = instances.filter(({ address }) => addresses.includes(address)).map((instance) => ({ ...instance, health: 'UNHEALTHY' as const }));
    return changeMesh(mesh, { putInstances: unhealthy }).mesh;
  }

  /** Answers of both planes, in the order that was asked; `settled`: what the first answers must be, for the proxies to have all that they were told. */
  async function askBoth(mesh: Mesh, asked: readonly Asked[], settled: (answers: readonly Answered[]) => boolean): Promise<Record<Plane, readonly Answered[]>> {
    const ask = async (plane: Plane): Promise<readonly Answered[]> => {
      const contestant = contestants.get(plane)!;
      const own: ProxyNode = plane === 'envoy' ? { ...node, dataPlane: 'envoy', onDemand: false } : node;
      expect(await contestant.take(snapshotOf(mesh, own, undefined, (name) => contestant.portOf(name)))).toEqual([]);
      const port = contestant.portOf(VIRTUAL_OUTBOUND);
      await until(`${plane} has its endpoints`, async () => (settled(await askMany(port, asked.slice(0, FIRST))) ? true : undefined));
      return askMany(port, asked);
    };
    const [outrigger, envoy] = await Promise.all([ask('outrigger'), ask('envoy')]);
    return { outrigger, envoy };
  }

  const allAnswered = (answers: readonly Answered[]): boolean => answers.every(({ endpoint }) => endpoint !== '');
  const anything = (count: number): Asked[] => Array.from({ length: count }, () => ({}));

  function expectShares(answers: readonly Answered[], groupOf: (endpoint: string) => string, wanted: Readonly<Record<string, number>>, what: string): void {
    const found = Map.groupBy(answers, ({ endpoint }) => groupOf(endpoint));
    expect([...found.keys()].sort(), what).toEqual(Object.keys(wanted).sort());
    for (const [group, share] of Object.entries(wanted)) {
      const count = found.get(group)!.length;
      const sigma = Math.sqrt(answers.length * share * (1 - share));
      expect(Math.abs(count - answers.length * share), `${what}: ${group} has ${count} of ${answers.length}`).toBeLessThanOrEqual(SIGMAS * sigma);
    }
  }

  test.each([
    ['90/10', [90, 10], { v1: 0.9, v2: 0.1 }],
    ['33/33/34', [33, 33, 34], { v1: 0.33, v2: 0.33, v3: 0.34 }],
  ] as const)('weights %s', async (_what, shares, wanted) => {
    const mesh = await meshOf([rule({ loadBalancer: { simple: 'ROUND_ROBIN' } }), weights(...shares)]);
    const both = await askBoth(mesh, anything(CALLS), allAnswered);
    for (const plane of planes) expectShares(both[plane], (name) => versionOf(ENDPOINTS.indexOf(name)), wanted, plane);
  });

  const outlierDetection = { consecutive5xxErrors: 5 };
  const failover = { outlierDetection, loadBalancer: { simple: 'ROUND_ROBIN', localityLbSetting: { enabled: true, failover: [{ from: 'eu', to: 'us' }] } } };
  const distribute = {
    outlierDetection,
    loadBalancer: { simple: 'ROUND_ROBIN', localityLbSetting: { enabled: true, distribute: [{ from: 'eu/*', to: { 'eu/a/*': 80, 'us/*': 20 } }] } },
  };
  const near = ENDPOINTS.slice(0, 2);
  test.each<readonly [string, object, readonly string[], Readonly<Record<string, number>>]>([
    ['the nearest while it is well', failover, [], { 'eu/a/1': 1 }],
    ['the next zone', failover, near, { 'eu/b/1': 1 }],
    ['the region that is named for it', failover, ENDPOINTS.slice(0, 4), { 'us/a/1': 1 }],
    ['any other where that is gone too', failover, ENDPOINTS.slice(0, 6), { 'asia/a/1': 1 }],
    // Half of it is well, which is counted 1.4 times.
    ['a part of the calls where a part is ill', failover, near.slice(1), { 'eu/a/1': 0.7, 'eu/b/1': 0.3 }],
    ['as it is distributed', distribute, [], { 'eu/a/1': 0.8, 'us/a/1': 0.2 }],
  ])('locality: %s', async (_what, policy, ill, wanted) => {
    const settled = (answers: readonly Answered[]): boolean => answers.every(({ endpoint }) => wanted[endpoint.split('-')[0]!] !== undefined);
    const both = await askBoth(await meshOf([rule(policy)], ill), anything(Object.keys(wanted).length === 1 ? FIRST * 5 : 2_000), settled);
    for (const plane of planes) expectShares(both[plane], (name) => name.split('-')[0]!, wanted, plane);
  });

  const keyed = (make: (index: number) => Asked): Asked[] => Array.from({ length: KEYS }, (_, index) => make(index % (KEYS / 2)));
  const byHeader = keyed((index) => ({ headers: `x-user: user-${index}\r\n` }));
  const byCookie = keyed((index) => ({ headers: `cookie: other=1; user=user-${index}\r\n` }));
  const bySource = keyed((index) => ({ source: `192.0.2.${index + 1}` }));
  test.each<readonly [string, object, readonly Asked[]]>([
    ['a header, ring hash', { httpHeaderName: 'x-user' }, byHeader],
    ['a header, Maglev', { httpHeaderName: 'x-user', maglev: { tableSize: 1009 } }, byHeader],
    ['a cookie, ring hash', { httpCookie: { name: 'user', ttl: '60s' }, ringHash: { minimumRingSize: 256 } }, byCookie],
    ['a cookie, Maglev', { httpCookie: { name: 'user', ttl: '0s' }, maglev: { tableSize: 65_537 } }, byCookie],
    ['the source IP, ring hash', { useSourceIp: true }, bySource],
    ['the source IP, Maglev', { useSourceIp: true, maglev: { tableSize: 65_537 } }, bySource],
    ['a query parameter', { httpQueryParameterName: 'x' }, byHeader],
  ])('stickiness by %s: each caller has its endpoint, the same on both planes', async (what, consistentHash, asked) => {
    const both = await askBoth(await meshOf([rule({ loadBalancer: { consistentHash } })]), asked, allAnswered);
    for (const plane of planes) {
      const endpoints = both[plane].map(({ endpoint }) => endpoint);
      // The query parameter is the same for all: they go to one.
      expect(new Set(endpoints).size, plane).toBeGreaterThan(what === 'a query parameter' ? 0 : ENDPOINTS.length / 2);
      expect(endpoints.slice(KEYS / 2), plane).toEqual(endpoints.slice(0, KEYS / 2));
    }
    expect(both.outrigger.map(({ endpoint }) => endpoint)).toEqual(both.envoy.map(({ endpoint }) => endpoint));
  });

  test('a cookie that is made for who has none keeps them where they were', async () => {
    const consistentHash = { httpCookie: { name: 'stick', ttl: '60s', path: '/shop' } };
    const mesh = await meshOf([rule({ loadBalancer: { consistentHash } })]);
    const made = await askBoth(mesh, anything(20), allAnswered);
    for (const plane of planes) {
      const cookies = made[plane].map(({ head }) => /set-cookie: (stick="?[^";]+"?)(.*)/i.exec(head));
      expect(
        cookies.every((cookie) => cookie?.[2] === '; Max-Age=60; Path=/shop; HttpOnly'),
        `${plane}: ${cookies[0]?.[0]}`,
      ).toBe(true);
      const again = await askMany(
        contestants.get(plane)!.portOf(VIRTUAL_OUTBOUND),
        cookies.map((cookie) => ({ headers: `cookie: ${cookie![1]}\r\n` })),
      );
      expect(
        again.map(({ endpoint }) => endpoint),
        plane,
      ).toEqual(made[plane].map(({ endpoint }) => endpoint));
    }
  });
});

/** On a few connections, each of one source; those of one source one behind the other. */
async function askMany(port: number, asked: readonly Asked[]): Promise<readonly Answered[]> {
  const answers: Answered[] = [];
  const lines = Map.groupBy(asked.keys(), (index) => asked[index]!.source ?? `192.0.2.${(index % LINES) + 1}`);
  await Promise.all(
    [...lines].map(async ([source, indices]) => {
      const socket = net.connect(port, '127.0.0.1').setNoDelay();
      const requests = indices.map((index) => `GET /?x=1 HTTP/1.1\r\nhost: ${HOST}\r\n${asked[index]!.headers ?? ''}\r\n`);
      socket.write(`PROXY TCP4 ${source} 192.0.2.200 40000 80\r\n${requests.join('')}`);
      let text = '';
      let at = 0;
      for await (const chunk of socket) {
        text += String(chunk);
        for (let end = text.indexOf('\r\n\r\n'); end >= 0; end = text.indexOf('\r\n\r\n')) {
          const whole = end + 4 + Number(/content-length: (\d+)/i.exec(text)![1]);
          if (text.length < whole) break;
          answers[indices[at++]!] = { endpoint: text.startsWith('HTTP/1.1 200') ? text.slice(end + 4, whole) : '', head: text.slice(0, end) };
          text = text.slice(whole);
        }
        if (at === indices.length) break;
      }
    }),
  );
  return answers;
}
