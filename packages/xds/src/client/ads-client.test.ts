import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create } from '@bufbuild/protobuf';
import { ClusterSchema } from '@outrigger/xds/protos/envoy/config/cluster/v3/cluster';
import { NodeSchema } from '@outrigger/xds/protos/envoy/config/core/v3/base';
import { VirtualHostSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { packResource } from '../any/pack.ts';
import { LastGoodCache } from '../cache/last-good-cache.ts';
import { createGrpcServer, type GrpcServer } from '../grpc/server.ts';
import { createAdsRoutes, type DiscoveryRoutes } from '../server/ads.ts';
import { TypeUrl, type VersionedResource } from '../source.ts';
import { Mailbox } from '../testing/mailbox.ts';
import { MapSource, textResource } from '../testing/map-source.ts';
import { AdsClient, type AdsClientEvent, type AdsClientOptions } from './ads-client.ts';
import type { ResourceUpdate, Verdict } from './handler.ts';

const node = create(NodeSchema, { id: 'order-service-v1-1.default', cluster: 'order-service' });

function cluster(name: string, connectTimeoutSeconds = 1): VersionedResource {
  return packResource(ClusterSchema, name, create(ClusterSchema, { name, connectTimeout: { seconds: BigInt(connectTimeoutSeconds) } }));
}

/** "+a +b -c cache" */
function text(update: ResourceUpdate<unknown>): string {
  const added = update.added.map(({ name }) => `+${name}`).sort();
  const removed = [...update.removed].sort().map((name) => `-${name}`);
  return [...added, ...removed, ...(update.from === 'cache' ? ['cache'] : [])].join(' ');
}

describe('AdsClient', () => {
  let folder: string;
  let socketPath: string;
  let source: MapSource;
  let routes: DiscoveryRoutes;
  let server: GrpcServer | undefined;
  const clients: AdsClient[] = [];

  async function serve(): Promise<void> {
    routes = createAdsRoutes(source);
    server = await createGrpcServer({ listen: { socketPath }, methods: routes.methods });
  }

  async function stopServing(): Promise<void> {
    await server?.close();
    server = undefined;
  }

  function client(events?: Mailbox<AdsClientEvent>, options: Partial<AdsClientOptions> = {}): AdsClient {
    const made = new AdsClient({ target: { socketPath }, node, backoff: { initialMs: 5, maxMs: 20 }, onEvent: (event) => events?.put(event), ...options });
    clients.push(made);
    return made;
  }

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'xds-'));
    socketPath = join(folder, 'ads.sock');
    source = new MapSource();
    await serve();
  });

  afterEach(async () => {
    for (const made of clients.splice(0)) made.close();
    await stopServing();
    rmSync(folder, { recursive: true });
  });

  test('takes a wildcard, then single changes and removals, and acknowledges each', async () => {
    source.set(TypeUrl.cluster, cluster('a'), cluster('b'));
    const updates = new Mailbox<string>();
    const made = client();
    made.subscribe(ClusterSchema, ['*'], (update) => {
      updates.put(text(update));
      return undefined;
    });
    made.start();
    expect(await updates.take()).toBe('+a +b');
    source.set(TypeUrl.cluster, cluster('b', 2));
    expect(await updates.take()).toBe('+b');
    source.remove(TypeUrl.cluster, 'a');
    expect(await updates.take()).toBe('-a');
    const acked = await source.until((event) => event.kind === 'acked' && event.versions.get('a') === '');
    expect(acked).toMatchObject({ typeUrl: TypeUrl.cluster });
    expect(source.events[0]).toMatchObject({ kind: 'opened', node: { id: node.id }, caller: { spiffeId: undefined, remote: 'unix' } });
  });

  test('subscribes and unsubscribes names as they come and go; one that is not there is said to be so', async () => {
    source.set(TypeUrl.cluster, cluster('a'), cluster('b'), cluster('c'));
    const updates = new Mailbox<string>();
    const made = client();
    const subscription = made.subscribe(ClusterSchema, ['a'], (update) => {
      updates.put(text(update));
      return undefined;
    });
    made.start();
    expect(await updates.take()).toBe('+a');
    subscription.add(['b', 'ghost']);
    expect(await updates.take()).toBe('+b -ghost');
    subscription.remove(['a']);
    await source.until((event) => event.kind === 'subscribed' && !event.names.includes('a') && event.names.includes('b'));
    source.set(TypeUrl.cluster, cluster('a', 9), cluster('b', 9), cluster('c', 9), cluster('ghost'));
    expect(await updates.take()).toBe('+b +ghost');
    await source.until((event) => event.kind === 'acked' && event.versions.has('ghost') && event.versions.get('ghost') !== '');
    expect(made.status().types[0]).toMatchObject({ subscribed: 2, known: 2 });
  });

  test('holds the ACK until the handler says that the change is in effect', async () => {
    source.set(TypeUrl.cluster, cluster('a'));
    const waiting = new Mailbox<() => void>();
    const made = client();
    made.subscribe(ClusterSchema, ['*'], () => new Promise<Verdict>((resolve) => waiting.put(() => resolve(undefined))));
    made.start();
    const release = await waiting.take();
    source.set(TypeUrl.cluster, cluster('a', 2));
    source.set(TypeUrl.cluster, cluster('a', 3));
    expect(source.events.some((event) => event.kind === 'acked')).toBe(false);
    release();
    (await waiting.take())();
    // Two changes collapsed into one push while the first was not answered.
    const version = cluster('a', 3).version;
    await source.until((event) => event.kind === 'acked' && event.versions.get('a') === version);
    expect(source.events.filter((event) => event.kind === 'acked')).toHaveLength(2);
  });

  test('a rejected resource is NACKed with its reason, the others of the response stay, and its last good version is told on reconnect', async () => {
    source.set(TypeUrl.cluster, cluster('a'), cluster('b'));
    const updates = new Mailbox<string>();
    const made = client();
    made.subscribe(ClusterSchema, ['*'], (update) => {
      updates.put(text(update));
      return update.added.filter(({ message }) => message.connectTimeout?.seconds === 66n).map(({ name }) => ({ name, message: '66 s is too long' }));
    });
    made.start();
    await updates.take();
    source.set(TypeUrl.cluster, cluster('a', 66), cluster('b', 2));
    await updates.take();
    const nacked = await source.until((event) => event.kind === 'nacked');
    expect(nacked).toMatchObject({ message: 'a: 66 s is too long' });
    expect(routes.streams()[0]!.types[0]).toMatchObject({ sync: 'refused', nacked: { message: 'a: 66 s is too long' } });
    await stopServing();
    await serve();
    // Only what it does not hold comes again.
    expect(await updates.take()).toBe('+a');
  });

  test('a resource of another type or with broken bytes is rejected by name', async () => {
    const broken = { ...cluster('broken'), body: { ...cluster('broken').body, value: new Uint8Array([0x0a, 0xff]) } };
    source.set(TypeUrl.cluster, cluster('good'), textResource('text', '1'), broken);
    const updates = new Mailbox<string>();
    const made = client();
    made.subscribe(ClusterSchema, ['*'], (update) => {
      updates.put(text(update));
      return undefined;
    });
    made.start();
    expect(await updates.take()).toBe('+good');
    const nacked = await source.until((event) => event.kind === 'nacked');
    expect(nacked).toMatchObject({ message: expect.stringMatching(/text: cannot be decoded: is a .*StringValue[\s\S]*broken: cannot be decoded/) });
  });

  test('VHDS: an alias is answered by its virtual host, an unknown host by an empty resource', async () => {
    const host = packResource(VirtualHostSchema, 'http_proxy/order:80', create(VirtualHostSchema, { name: 'order:80', domains: ['order'] }), [
      'http_proxy/order',
      'http_proxy/order.default',
    ]);
    source.set(TypeUrl.virtualHost, host);
    const updates = new Mailbox<ResourceUpdate<unknown>>();
    const made = client();
    const subscription = made.subscribe(VirtualHostSchema, ['http_proxy/order'], (update) => {
      updates.put(update);
      return undefined;
    });
    made.start();
    expect((await updates.take()).added).toMatchObject([{ name: 'http_proxy/order:80', aliases: ['http_proxy/order', 'http_proxy/order.default'] }]);
    subscription.add(['http_proxy/nowhere']);
    expect(text(await updates.take())).toBe('-http_proxy/nowhere');
  });

  test('reconnects after the server is gone and sends what it holds: only differences and removals come', async () => {
    source.set(TypeUrl.cluster, cluster('same'), cluster('changes'), cluster('goes'));
    const updates = new Mailbox<string>();
    const events = new Mailbox<AdsClientEvent>();
    const made = client(events);
    made.subscribe(ClusterSchema, ['*'], (update) => {
      updates.put(text(update));
      return undefined;
    });
    made.start();
    await updates.take();
    await source.until((event) => event.kind === 'acked');
    await stopServing();
    await events.takeUntil((event) => event.kind === 'disconnected');
    expect(made.status()).toMatchObject({ connected: false, lastError: expect.stringContaining('ads.sock') });
    source.apply([
      [TypeUrl.cluster, 'changes', cluster('changes', 2)],
      [TypeUrl.cluster, 'goes', undefined],
      [TypeUrl.cluster, 'comes', cluster('comes')],
    ]);
    await serve();
    expect(await updates.take()).toBe('+changes +comes -goes');
  });

  test('serves its cache while the server is away, and takes only the difference when it is back', async () => {
    source.set(TypeUrl.cluster, cluster('a'), cluster('b'));
    const path = join(folder, 'cache');
    const first = client(undefined, { cache: LastGoodCache.open(path) });
    first.subscribe(ClusterSchema, ['*'], () => undefined);
    first.start();
    await source.until((event) => event.kind === 'acked');
    first.close();
    await stopServing();

    const updates = new Mailbox<string>();
    const events = new Mailbox<AdsClientEvent>();
    const cache = LastGoodCache.open(path);
    expect(cache.lastContactMs).toBeGreaterThan(Date.now() - 60_000);
    const second = client(events, { cache });
    second.subscribe(ClusterSchema, ['*'], (update) => {
      updates.put(text(update));
      return undefined;
    });
    second.start();
    expect(await updates.take()).toBe('+a +b cache');
    expect(await events.takeUntil((event) => event.kind === 'cache-used')).toMatchObject({ resources: 2, lastContactMs: cache.lastContactMs });
    source.apply([
      [TypeUrl.cluster, 'a', undefined],
      [TypeUrl.cluster, 'c', cluster('c')],
    ]);
    await serve();
    expect(await updates.take()).toBe('+c -a');
    await events.takeUntil((event) => event.kind === 'connected');
  });

  test('with the server there, what the cache holds comes together with the difference, in one update', async () => {
    source.set(TypeUrl.cluster, cluster('a'), cluster('b'));
    const path = join(folder, 'cache');
    const first = client(undefined, { cache: LastGoodCache.open(path) });
    first.subscribe(ClusterSchema, ['*'], () => undefined);
    first.start();
    await source.until((event) => event.kind === 'acked');
    first.close();
    source.set(TypeUrl.cluster, cluster('b', 2));
    const updates = new Mailbox<string>();
    const second = client(undefined, { cache: LastGoodCache.open(path) });
    second.subscribe(ClusterSchema, ['*'], (update) => {
      updates.put(`${text(update)} ${update.added.find(({ name }) => name === 'b')?.message.connectTimeout?.seconds}`);
      return undefined;
    });
    second.start();
    expect(await updates.take()).toBe('+a +b 2');
  });
});
