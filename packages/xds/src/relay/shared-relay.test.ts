import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create } from '@bufbuild/protobuf';
import { ClusterSchema } from '@outrigger/xds/protos/envoy/config/cluster/v3/cluster';
import { NodeSchema } from '@outrigger/xds/protos/envoy/config/core/v3/base';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { AdsClient } from '../client/ads-client.ts';
import type { Verdict } from '../client/handler.ts';
import { createGrpcServer, type GrpcServer } from '../grpc/server.ts';
import { createAdsRoutes, type DiscoveryRoutes } from '../server/ads.ts';
import { TypeUrl } from '../source.ts';
import { cluster, updateText } from '../testing/clusters.ts';
import { Mailbox } from '../testing/mailbox.ts';
import { MapSource } from '../testing/map-source.ts';
import { createSharedRelay, type SharedRelay } from './shared-relay.ts';

const backoff = { initialMs: 5, maxMs: 20 };
const node = create(NodeSchema, { id: 'payment-1.default', cluster: 'payment' });

let folder: string;
let source: MapSource;
let routes: DiscoveryRoutes;
let controlPlane: GrpcServer;
let upstream: AdsClient;
let relay: SharedRelay;
let relayServer: GrpcServer;
const clients: AdsClient[] = [];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'shared-relay-'));
  source = new MapSource();
  routes = createAdsRoutes(source);
  controlPlane = await createGrpcServer({ listen: { socketPath: join(folder, 'cp.sock') }, methods: routes.methods });
  upstream = new AdsClient({ target: { socketPath: join(folder, 'cp.sock') }, node, backoff });
  relay = createSharedRelay(upstream);
  upstream.start();
  relayServer = await createGrpcServer({ listen: { socketPath: join(folder, 'relay.sock') }, methods: relay.methods });
});

afterEach(async () => {
  for (const made of clients.splice(0)) made.close();
  relay.close();
  upstream.close();
  await relayServer.close();
  await controlPlane.close();
  rmSync(folder, { recursive: true });
});

/** A process that wants these, and answers each update as `answer` says. */
function worker(names: readonly string[], answer: () => Verdict | Promise<Verdict> = () => undefined) {
  const client = new AdsClient({ target: { socketPath: join(folder, 'relay.sock') }, node, backoff });
  clients.push(client);
  const heard = new Mailbox<string>();
  const subscription = client.subscribe(ClusterSchema, names, (update) => {
    heard.put(updateText(update));
    return answer();
  });
  client.start();
  return { client, heard, subscription };
}

test('several processes are one client, which has what any of them wants', async () => {
  source.set(TypeUrl.cluster, cluster('a'), cluster('b'));
  const first = worker(['a']);
  expect(await first.heard.take()).toBe('+a');
  const second = worker(['a', 'b', 'ghost']);
  // What is known is there at once; what is not is asked for.
  const heard = [await second.heard.take()];
  while (!heard.join(' ').includes('b')) heard.push(await second.heard.take());
  await source.until((event) => event.kind === 'subscribed' && ['a', 'b', 'ghost'].every((name) => event.names.includes(name)));
  expect(routes.streams()).toHaveLength(1);
  source.set(TypeUrl.cluster, cluster('a', 2));
  expect(await first.heard.take()).toBe('+a');
  second.client.close();
  await source.until((event) => event.kind === 'subscribed' && event.names.join() === 'a');
  const third = worker(['a']);
  expect(await third.heard.take()).toBe('+a');
  expect([...relay.entries(TypeUrl.cluster)].map(({ name }) => name)).toEqual(['a']);
});

test('a wildcard that is known is given at once', async () => {
  source.set(TypeUrl.cluster, cluster('a'), cluster('b'));
  const first = worker(['*']);
  expect(await first.heard.take()).toBe('+a +b');
  const second = worker(['*']);
  expect(await second.heard.take()).toBe('+a +b');
  source.remove(TypeUrl.cluster, 'b');
  expect([await first.heard.take(), await second.heard.take()]).toEqual(['-b', '-b']);
});

test('is acknowledged once all have taken it', async () => {
  source.set(TypeUrl.cluster, cluster('a'));
  const first = worker(['a']);
  await first.heard.take();
  let release: (verdict: Verdict) => void = () => {};
  const second = worker(['a'], () => new Promise<Verdict>((resolve) => (release = resolve)));
  await second.heard.take();
  release(undefined);
  const changed = cluster('a', 2);
  source.set(TypeUrl.cluster, changed);
  await Promise.all([first.heard.take(), second.heard.take()]);
  const acked = () => source.events.some((event) => event.kind === 'acked' && event.versions.get('a') === changed.version);
  // The first has answered by now.
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(acked()).toBe(false);
  release(undefined);
  await source.until((event) => event.kind === 'acked' && event.versions.get('a') === changed.version);
});

test('is refused where one has refused, in its words; one that has died has refused nothing', async () => {
  source.set(TypeUrl.cluster, cluster('a'));
  const first = worker(['a']);
  await first.heard.take();
  let verdict: Verdict;
  const second = worker(['a'], () => verdict);
  await second.heard.take();
  verdict = [{ name: 'a', message: 'too long' }];
  source.set(TypeUrl.cluster, cluster('a', 66));
  const nacked = await source.until((event) => event.kind === 'nacked');
  expect(nacked).toMatchObject({ message: expect.stringContaining('too long') });
  const third = worker(['a'], () => new Promise(() => {}));
  await third.heard.take();
  verdict = undefined;
  const changed = cluster('a', 3);
  source.set(TypeUrl.cluster, changed);
  await first.heard.take();
  third.client.close();
  await source.until((event) => event.kind === 'acked' && event.versions.get('a') === changed.version);
});

test('a process that begins after a refusal is given what the others serve, and no more of what they have refused', async () => {
  source.set(TypeUrl.cluster, cluster('a'), cluster('b'));
  /** Cluster and seconds, as they come. */
  const serving = (names: readonly string[]): Mailbox<string> => {
    const client = new AdsClient({ target: { socketPath: join(folder, 'relay.sock') }, node, backoff });
    clients.push(client);
    const heard = new Mailbox<string>();
    client.subscribe(ClusterSchema, names, (update) => {
      const added = update.added as readonly { readonly name: string; readonly message: { readonly connectTimeout?: { readonly seconds: bigint } } }[];
      heard.put(
        added
          .map(({ name, message }) => `${name}${message.connectTimeout?.seconds}`)
          .sort()
          .join(' '),
      );
      return added.filter(({ message }) => message.connectTimeout?.seconds === 66n).map(({ name }) => ({ name, message: 'too long' }));
    });
    client.start();
    return heard;
  };
  const first = serving(['*']);
  expect(await first.take()).toBe('a1 b1');
  source.set(TypeUrl.cluster, cluster('a', 66), cluster('b', 2), cluster('c', 66));
  expect(await first.take()).toBe('a66 b2 c66');
  const { versions } = (await source.until((event) => event.kind === 'nacked')) as { readonly versions: ReadonlyMap<string, string> };
  expect([...versions.keys()].sort()).toEqual(['a', 'b', 'c']);
  expect(await serving(['*']).take()).toBe('a1 b2');
  // The next word of the control plane is everybody's.
  source.set(TypeUrl.cluster, cluster('a', 3));
  expect(await first.take()).toBe('a3');
  expect(await serving(['*']).take()).toBe('a3 b2');
});
