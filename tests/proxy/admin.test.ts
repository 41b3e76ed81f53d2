import type { JsonObject } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { clusterJson, listenerJson, routeTo, typed } from '../../packages/proxy/src/testing/messages.ts';
import { ask, TestApplication } from '../../packages/proxy/src/testing/test-proxy.ts';
import { TestAuthority } from '../../packages/proxy/src/tls/testing/certificates.ts';
import { until } from '../xds/envoy.ts';
import { DataPlane, planes } from './data-plane.ts';

const ca = new TestAuthority();
const served = ca.issue({ dns: ['a.example'], uri: ['spiffe://a/b'] });
const sds = (name: string): JsonObject => ({ name, sdsConfig: { ads: {}, resourceApiVersion: 'V3' } });

async function start(plane: 'outrigger' | 'envoy', application: TestApplication): Promise<DataPlane> {
  const endpoint = { address: { socketAddress: { address: '127.0.0.1', portValue: 9 } } };
  const tls = typed('envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext', {
    commonTlsContext: { tlsCertificateSdsSecretConfigs: [sds('served')], validationContextSdsSecretConfig: sds('roots') },
  });
  const proxy = await DataPlane.start(plane, {
    clusters: { one: clusterJson('one', { endpoints: [application.address] }), two: clusterJson('two', {}) },
    endpoints: {
      two: { endpoints: [{ locality: { region: 'r', zone: 'z' }, loadBalancingWeight: 1, lbEndpoints: [{ endpoint, healthStatus: 'UNHEALTHY' }] }] },
    },
    listeners: {
      web: listenerJson('web', { routes: [routeTo('one')] }),
      tls: listenerJson('tls', { routes: [routeTo('one')], chain: { transportSocket: { name: 'tls', typedConfig: tls } } }),
    },
    secrets: {
      served: { tlsCertificate: { certificateChain: { inlineString: served.chainPem }, privateKey: { inlineString: served.keyPem } } },
      roots: { validationContext: { trustedCa: { inlineString: ca.pem } } },
    },
  });
  await until('a first answer', async () => ((await ask(`127.0.0.1:${proxy.port('web')}`)).status === 200 ? true : undefined));
  return proxy;
}

/** "a[].b: string" of all that is in it. */
function shapeOf(value: unknown, path = ''): string[] {
  if (Array.isArray(value)) return [...new Set(value.flatMap((element) => shapeOf(element, `${path}[]`)))];
  if (typeof value === 'object' && value !== null) return Object.entries(value).flatMap(([key, field]) => shapeOf(field, path === '' ? key : `${path}.${key}`));
  return [`${path}: ${typeof value}`];
}

describe('the admin interface beside Envoy’s', () => {
  let application: TestApplication;
  let ours: DataPlane;
  let envoys: DataPlane;

  beforeAll(async () => {
    application = await TestApplication.start();
    [ours, envoys] = await Promise.all([start('outrigger', application), start('envoy', application)]);
  }, 60_000);
  afterAll(async () => {
    await ours?.stop();
    await envoys?.stop();
    await application.close();
  });

  const both = async (path: string): Promise<[unknown, unknown]> => [JSON.parse(await ours.admin(path)), JSON.parse(await envoys.admin(path))];

  test('/clusters in JSON', async () => {
    const pages = (await both('/clusters?format=json')) as { cluster_statuses: { name: string }[] }[];
    for (const name of ['one', 'two']) {
      const [mine, theirs] = pages.map(({ cluster_statuses }) => new Set(shapeOf(cluster_statuses.find((status) => status.name === name))));
      const known = [...theirs!].filter((key) => !/local_origin|success_rate/.test(key)).sort();
      expect([...mine!].sort()).toEqual(known);
    }
  });

  test('/clusters in text has the same lines of the same limits, endpoints and health', async () => {
    const lines = async (proxy: DataPlane): Promise<string[]> =>
      (await proxy.admin('/clusters')).split('\n').filter((line) => /^(one|two)::/.test(line) && !/cx_|rq_|success_rate|canary/.test(line));
    const mine = new Set(await lines(ours));
    expect((await lines(envoys)).filter((line) => !mine.has(line))).toEqual([]);
  });

  test('/listeners in text and JSON', async () => {
    for (const proxy of [ours, envoys]) {
      const text = ['tls', 'web'].map((name) => `${name}::127.0.0.1:${proxy.port(name)}`);
      expect((await proxy.admin('/listeners')).trim().split('\n').sort()).toEqual(text);
      expect(JSON.parse(await proxy.admin('/listeners?format=json')).listener_statuses).toContainEqual({
        name: 'web',
        local_address: { socket_address: { address: '127.0.0.1', port_value: proxy.port('web') } },
      });
    }
  });

  test('/certs', async () => {
    const [mine, theirs] = await both('/certs');
    expect(new Set(shapeOf(mine))).toEqual(new Set(shapeOf(theirs)));
    expect(JSON.stringify(mine)).not.toContain('PRIVATE');
  });

  test.each(['/memory', '/server_info'])('%s', async (path) => {
    const [mine, theirs] = await both(path);
    const known = new Set(shapeOf(theirs));
    const unknown = shapeOf(mine).filter((key) => !known.has(key) && !key.startsWith('outrigger.'));
    expect(unknown).toEqual([]);
    for (const key of path === '/memory' ? known : ['version: string', 'state: string', 'uptime_all_epochs: string', 'node.id: string'])
      expect(shapeOf(mine)).toContain(key);
  });

  test('/config_dump in Envoy’s messages, with mask, resource and name', async () => {
    const configs = async (proxy: DataPlane, query: string): Promise<JsonObject[]> => JSON.parse(await proxy.admin(`/config_dump${query}`)).configs;
    for (const proxy of [ours, envoys]) {
      const types = (await configs(proxy, '?include_eds')).map((config) => String(config['@type']).split('.').at(-1));
      expect(types).toEqual(
        expect.arrayContaining([
          'BootstrapConfigDump',
          'ClustersConfigDump',
          'EndpointsConfigDump',
          'ListenersConfigDump',
          'RoutesConfigDump',
          'SecretsConfigDump',
        ]),
      );
      expect((await configs(proxy, '')).map((config) => String(config['@type']))).not.toContain('type.googleapis.com/envoy.admin.v3.EndpointsConfigDump');
      const names = await configs(proxy, '?resource=dynamic_listeners&mask=name');
      expect(names.map((config) => config['name']).sort()).toEqual(['tls', 'web']);
      const [cluster, ...others] = await configs(proxy, '?resource=dynamic_active_clusters&mask=cluster.name,cluster.type&name_regex=on.');
      expect([cluster!['@type'], others.length]).toEqual(['type.googleapis.com/envoy.admin.v3.ClustersConfigDump.DynamicCluster', 0]);
      expect(cluster!['cluster']).toMatchObject({ name: 'one' });
      const secrets = await configs(proxy, '?resource=dynamic_active_secrets');
      expect(secrets.map(({ name }) => name).sort()).toEqual(['roots', 'served']);
      expect(secrets.find(({ name }) => name === 'served')).toMatchObject({
        '@type': 'type.googleapis.com/envoy.admin.v3.SecretsConfigDump.DynamicSecret',
        secret: { '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret', name: 'served', tls_certificate: {} },
      });
      expect((await fetch(`http://127.0.0.1:${proxy.adminPort}/config_dump?resource=nonsense`)).status).toBe(404);
      expect(await proxy.admin('/config_dump?include_eds')).not.toContain('PRIVATE KEY');
    }
  });

  test('/stats in text and JSON, by filter and of those that are in use', async () => {
    for (const proxy of [ours, envoys]) {
      const port = proxy.port('web');
      expect((await proxy.admin('/stats?filter=^cluster.one.upstream_rq_total$')).trim()).toMatch(/^cluster\.one\.upstream_rq_total: [1-9]/);
      expect(await proxy.admin('/stats?usedonly&filter=^cluster.two.upstream_rq_total$')).toBe('');
      const { stats } = JSON.parse(await proxy.admin(`/stats?format=json&filter=^listener.127.0.0.1_${port}.downstream_cx_(total|active)$`)) as {
        stats: { name?: string; value?: number }[];
      };
      expect(stats.map(({ name }) => name).filter((name) => name !== undefined)).toEqual([
        `listener.127.0.0.1_${port}.downstream_cx_active`,
        `listener.127.0.0.1_${port}.downstream_cx_total`,
      ]);
      expect((await fetch(`http://127.0.0.1:${proxy.adminPort}/stats?filter=(`)).status).toBe(400);
    }
  });
});

describe.each(planes)('what is done by the admin interface of %s', (plane) => {
  let application: TestApplication;
  let proxy: DataPlane;

  beforeAll(async () => {
    application = await TestApplication.start();
    proxy = await start(plane, application);
  }, 60_000);
  afterAll(async () => {
    await proxy?.stop();
    await application.close();
  });

  async function asked(method: string, path: string): Promise<[number, string]> {
    const response = await fetch(`http://127.0.0.1:${proxy.adminPort}${path}`, { method });
    return [response.status, await response.text()];
  }

  test.each(['/logging', '/drain_listeners', '/reset_counters', '/healthcheck/fail', '/healthcheck/ok', '/quitquitquit'])(
    '%s is not done by GET',
    async (path) => {
      expect(await asked('GET', path)).toEqual([405, 'Method GET not allowed, POST required.']);
    },
  );

  test('levels of the log', async () => {
    expect((await asked('POST', '/logging?level=debug'))[0]).toBe(200);
    expect((await asked('POST', '/logging'))[1]).toMatch(/: debug\n/);
    expect((await asked('POST', '/logging?level=loud'))[0]).toBe(400);
    expect((await asked('POST', '/logging?level=info'))[0]).toBe(200);
  });

  test('it is not ready while it was told to fail', async () => {
    expect(await asked('GET', '/ready')).toEqual([200, 'LIVE\n']);
    expect(await asked('POST', '/healthcheck/fail')).toEqual([200, 'OK\n']);
    expect(await asked('GET', '/ready')).toEqual([503, 'DRAINING\n']);
    expect(await asked('POST', '/healthcheck/ok')).toEqual([200, 'OK\n']);
    expect(await asked('GET', '/ready')).toEqual([200, 'LIVE\n']);
  });

  test('counters are set back', async () => {
    expect((await asked('GET', '/stats?filter=cluster.one.upstream_rq_total'))[1]).not.toContain(': 0');
    expect(await asked('POST', '/reset_counters')).toEqual([200, 'OK\n']);
    await until('they are 0', async () => ((await asked('GET', '/stats?filter=cluster.one.upstream_rq_total'))[1].includes(': 0') ? true : undefined));
  });

  test('listeners are closed, and it says what it knows still', async () => {
    expect(await asked('POST', '/drain_listeners')).toEqual([200, 'OK\n']);
    await until('nobody listens', async () =>
      ask(`127.0.0.1:${proxy.port('web')}`).then(
        () => undefined,
        () => true,
      ),
    );
    expect((await asked('GET', '/clusters'))[0]).toBe(200);
    expect((await asked('GET', '/nothing'))[1]).toMatch(/^invalid path\. admin commands are:\n {2}\//);
  });
});
