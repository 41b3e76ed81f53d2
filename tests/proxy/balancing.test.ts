import { once } from 'node:events';
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import type { JsonObject, JsonValue } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { clusterJson, listenerJson, typed } from '../../packages/proxy/src/testing/messages.ts';
import { until } from '../xds/envoy.ts';
import { DataPlane, type Plane, planes } from './data-plane.ts';

const ENDPOINTS = 8;
const KEYS = 250;
const LINES = 4;
/** Requests of a distribution that chance makes: one in 10,000 strays by more than 1.7 %. */
const CALLS = 10_000;

/** Of one endpoint: which backend, and what else its message has. */
interface Given extends JsonObject {
  readonly of: number;
}
interface Locality {
  readonly endpoints: readonly Given[];
  readonly locality?: JsonObject;
  readonly loadBalancingWeight?: number;
  readonly priority?: number;
}

const policyOf = (type: string, fields: JsonObject = {}): JsonObject => ({
  typedExtensionConfig: { name: type, typedConfig: typed(`envoy.extensions.load_balancing_policies.${type}`, fields) },
});
const policies = (...list: JsonObject[]): JsonObject => ({ loadBalancingPolicy: { policies: list } });
const all = (count: number, change: (index: number) => JsonObject = () => ({})): Given[] => Array.from({ length: count }, (_, of) => ({ ...change(of), of }));
const in3 = (weights: readonly number[]): Locality[] =>
  weights.map((loadBalancingWeight, zone) => ({
    locality: { region: 'eu', zone: `z${zone}` },
    loadBalancingWeight,
    endpoints: all(ENDPOINTS).filter(({ of }) => of % weights.length === zone),
  }));
const ill = (of: number): JsonObject => ({ of, healthStatus: 'UNHEALTHY' });
const weighted: Locality = { endpoints: all(5, (index) => ({ loadBalancingWeight: [1, 2, 5, 3, 9][index]! })) };

describe('balancing beside Envoy', () => {
  const proxies = new Map<Plane, DataPlane>();
  const servers: http.Server[] = [];
  let made = 0;
  /** Requests that no backend has answered yet. */
  const held: { readonly index: number; readonly response: http.ServerResponse }[] = [];

  beforeAll(async () => {
    for (let index = 0; index < ENDPOINTS; index++) {
      const server = http.createServer((request, response) => {
        if (request.headers['x-hold'] === undefined) response.end(String(index));
        else held.push({ index, response });
      });
      server.keepAliveTimeout = 60_000;
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      servers.push(server);
    }
    const route = { clusterHeader: 'x-cluster', hashPolicy: [{ header: { headerName: 'x-key' } }] };
    const web = listenerJson('web', { routes: [{ match: { prefix: '/' }, route }] });
    for (const plane of planes) proxies.set(plane, await DataPlane.start(plane, { listeners: { web } }));
  });

  afterAll(async () => {
    for (const proxy of proxies.values()) await proxy.stop();
    for (const server of servers) {
      server.closeAllConnections();
      server.close();
    }
  });

  async function cluster(localities: readonly Locality[], fields: JsonObject): Promise<string> {
    const name = `c${made++}`;
    const endpoints = localities.map(({ endpoints: given, ...rest }) => ({
      ...rest,
      lbEndpoints: given.map(({ of, hostname, ...other }) => ({
        endpoint: {
          address: { socketAddress: { address: '127.0.0.1', portValue: (servers[of]!.address() as AddressInfo).port } },
          ...(hostname === undefined ? {} : { hostname: hostname as JsonValue }),
        },
        ...other,
      })),
    }));
    const json = { ...clusterJson(name, { endpoints: [], fields }), loadAssignment: { clusterName: name, endpoints } };
    for (const [plane, proxy] of proxies) {
      const before = proxy.refusals.length;
      await proxy.apply({ clusters: { [name]: json } });
      const outcome = await until(`${plane} has ${name}`, async () => {
        if (proxy.refusals.length > before) return proxy.refusals[before];
        return (await proxy.admin('/clusters')).includes(`${name}::`) ? 'taken' : undefined;
      });
      expect(outcome, plane).toBe('taken');
    }
    return name;
  }

  /** The backend that answered each, or the status. One after another on each of the lines; where there is one, each waits for the answer before. */
  async function askMany(plane: Plane, name: string, keys: readonly string[], lines = LINES): Promise<string[]> {
    const answers: string[] = [];
    const port = proxies.get(plane)!.port('web');
    const one = async (line: number): Promise<void> => {
      const mine = keys.flatMap((_key, index) => (index % lines === line ? [index] : []));
      const socket = net.connect(port, '127.0.0.1').setNoDelay();
      const asked = mine.map((index) => `GET / HTTP/1.1\r\nhost: x\r\nx-cluster: ${name}\r\nx-key: ${keys[index]}\r\n\r\n`);
      socket.write(lines === 1 ? asked[0]! : asked.join(''));
      let text = '';
      let at = 0;
      for await (const chunk of socket) {
        text += String(chunk);
        for (let head = text.indexOf('\r\n\r\n'); head >= 0; head = text.indexOf('\r\n\r\n')) {
          const end = head + 4 + Number(/content-length: (\d+)/i.exec(text)![1]);
          if (text.length < end) break;
          const status = text.slice(9, 12);
          answers[mine[at++]!] = status === '200' ? text.slice(head + 4, end) : status;
          text = text.slice(end);
          if (lines === 1 && at < asked.length) socket.write(asked[at]!);
        }
        if (at === mine.length) break;
      }
    };
    await Promise.all(Array.from({ length: lines }, (_, line) => one(line)));
    return answers;
  }

  async function owners(plane: Plane, localities: readonly Locality[], fields: JsonObject, name?: string): Promise<string[]> {
    const keys = Array.from({ length: KEYS }, (_, index) => `key-${index}`);
    return askMany(plane, name ?? (await cluster(localities, fields)), keys);
  }

  /** By backend, in percent. */
  async function distribution(plane: Plane, name: string, calls: number, lines: number): Promise<number[]> {
    const answers = await askMany(
      plane,
      name,
      Array.from({ length: calls }, () => 'x'),
      lines,
    );
    return Array.from({ length: ENDPOINTS }, (_, index) => (answers.filter((answer) => answer === String(index)).length * 100) / calls);
  }

  describe('each key has the same endpoint', () => {
    const ring = { lbPolicy: 'RING_HASH' };
    const maglev = { lbPolicy: 'MAGLEV' };
    const localities = { commonLbConfig: { localityWeightedLbConfig: {}, healthyPanicThreshold: {} } };
    const hostnames: Locality = { endpoints: all(ENDPOINTS, (index) => ({ hostname: `host-${index}.example` })) };
    const keyed: Locality = { endpoints: all(ENDPOINTS, (index) => ({ metadata: { filterMetadata: { 'envoy.lb': { hash_key: `k${index}` } } } })) };
    const spill: Locality[] = [
      { endpoints: [{ of: 0 }, ill(1) as Given, ill(2) as Given, { of: 3 }] },
      { priority: 1, endpoints: [{ of: 4 }, { of: 5 }, { of: 6 }, { of: 7 }] },
    ];
    // Envoy allows it for these alone.
    const byHostname = { type: 'STRICT_DNS', commonLbConfig: { healthyPanicThreshold: {}, consistentHashingLbConfig: { useHostnameForHashing: true } } };

    test.each<readonly [string, readonly Locality[], JsonObject]>([
      ['RING_HASH', [{ endpoints: all(ENDPOINTS) }], ring],
      ['RING_HASH, weighted', [weighted], ring],
      ['RING_HASH, small', [weighted], { ...ring, ringHashLbConfig: { minimumRingSize: '50', maximumRingSize: '200' } }],
      ['RING_HASH, one ill', [{ endpoints: [...all(4), ill(4) as Given] }], ring],
      ['RING_HASH by localities', in3([1, 2, 5]), { ...ring, ...localities }],
      ['RING_HASH by priorities', spill, ring],
      ['RING_HASH by hostnames', [hostnames], { ...ring, ...byHostname }],
      ['RING_HASH by metadata', [keyed], ring],
      ['MAGLEV', [{ endpoints: all(ENDPOINTS) }], maglev],
      ['MAGLEV, weighted', [weighted], maglev],
      ['MAGLEV, small', [weighted], { ...maglev, maglevLbConfig: { tableSize: '251' } }],
      ['MAGLEV by localities', in3([1, 2, 5]), { ...maglev, ...localities }],
      ['MAGLEV by priorities', spill, maglev],
      ['MAGLEV by hostnames', [hostnames], { ...maglev, ...byHostname }],
      ['a typed ring_hash', [weighted], policies(policyOf('ring_hash.v3.RingHash', { minimumRingSize: '300' }))],
      ['a typed maglev by localities', in3([1, 2, 5]), policies(policyOf('maglev.v3.Maglev', { tableSize: '1009', localityWeightedLbConfig: {} }))],
    ])('%s', async (_what, given, fields) => {
      const name = await cluster(given, fields);
      const ours = await owners('outrigger', given, fields, name);
      expect(new Set(ours).size).toBeGreaterThan(2);
      expect(ours).toEqual(await owners('envoy', given, fields, name));
    });

    test.each([
      ['RING_HASH', ring],
      ['MAGLEV', maglev],
    ])('%s: the same keys move when one endpoint leaves', async (_what, fields) => {
      const before = await cluster([{ endpoints: all(ENDPOINTS) }], fields);
      const after = await cluster([{ endpoints: all(ENDPOINTS).filter(({ of }) => of !== 3) }], fields);
      const moved = async (plane: Plane): Promise<string[]> => {
        const was = await owners(plane, [], {}, before);
        const is = await owners(plane, [], {}, after);
        return was.map((owner, index) => (owner === is[index] ? '' : `${owner}>${is[index]}`));
      };
      const ours = await moved('outrigger');
      expect(ours.filter((move) => move !== '').length).toBeGreaterThan(15);
      expect(ours).toEqual(await moved('envoy'));
    });
  });

  test.each(['RING_HASH', 'MAGLEV'])('%s with bounded loads: the same endpoints take what one has too much of', async (lbPolicy) => {
    const commonLbConfig = { healthyPanicThreshold: {}, consistentHashingLbConfig: { hashBalanceFactor: 110 } };
    const name = await cluster([weighted], { lbPolicy, commonLbConfig });
    const taken: Record<string, number[]> = {};
    for (const plane of planes) {
      const asked: Promise<unknown>[] = [];
      for (let call = 0; call < 24; call++) {
        const request = http.request({ port: proxies.get(plane)!.port('web'), headers: { 'x-cluster': name, 'x-key': 'one', 'x-hold': '1' } });
        asked.push(once(request, 'response').then(([response]) => (response as http.IncomingMessage).resume()));
        request.end();
        await until('a backend has it', () => (held.length === call + 1 ? true : undefined));
      }
      taken[plane] = held.map(({ index }) => index);
      for (const { response } of held.splice(0)) response.end();
      await Promise.all(asked);
    }
    expect(new Set(taken['outrigger']).size).toBeGreaterThan(2);
    expect(taken['outrigger']).toEqual(taken['envoy']);
  });

  describe('the distribution is the same within 2 %', () => {
    const evenly = (count: number): number[] => Array.from({ length: ENDPOINTS }, (_, index) => (index < count ? 100 / count : 0));
    const noPanic = { healthyPanicThreshold: {} };
    /** `calls`: fewer where the order is fixed. */
    test.each<readonly [string, readonly Locality[], JsonObject, readonly number[], number]>([
      ['ROUND_ROBIN', [{ endpoints: all(4) }], {}, evenly(4), 400],
      ['ROUND_ROBIN, weighted', [weighted], {}, [5, 10, 25, 15, 45, 0, 0, 0], 1_000],
      ['LEAST_REQUEST, weighted', [weighted], { lbPolicy: 'LEAST_REQUEST' }, [5, 10, 25, 15, 45, 0, 0, 0], 1_000],
      ['RANDOM', [{ endpoints: all(4) }], { lbPolicy: 'RANDOM' }, evenly(4), CALLS],
      [
        'localities by weight, one half ill',
        [
          { locality: { zone: 'a' }, loadBalancingWeight: 3, endpoints: [{ of: 0 }, ill(1) as Given] },
          { locality: { zone: 'b' }, loadBalancingWeight: 1, endpoints: [{ of: 2 }, { of: 3 }] },
        ],
        { commonLbConfig: { ...noPanic, localityWeightedLbConfig: {} } },
        // 3 x 0.7 against 1.
        [67.74, 0, 16.13, 16.13, 0, 0, 0, 0],
        CALLS,
      ],
      ['panic', [{ endpoints: [{ of: 0 }, ill(1) as Given, ill(2) as Given, ill(3) as Given] }], { commonLbConfig: {} }, evenly(4), 400],
    ])('%s', async (_what, given, fields, wanted, calls) => {
      const name = await cluster(given, fields);
      const both = await Promise.all(
        // Where the order is fixed one asks after another: what is under way would weigh too.
        planes.map((plane) => distribution(plane, name, calls, calls === CALLS ? LINES : 1)),
      );
      both.forEach((shares, which) => {
        shares.forEach((share, index) => {
          expect(Math.abs(share - wanted[index]!), `${planes[which]}: backend ${index} has ${share} %, not ${wanted[index]} %`).toBeLessThanOrEqual(2);
        });
      });
    });
  });
});
