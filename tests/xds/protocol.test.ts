import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { credentials } from '@grpc/grpc-js';
import { createGrpcServer, createRelay, type GrpcServer, type Relay, TypeUrl } from '@outrigger/xds';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ForeignClient, type Request, type Response } from './foreign-client.ts';
import { cluster, endpoints } from './resources.ts';
import { ControlPlane } from './world.ts';

const CDS = TypeUrl.cluster;
const EDS = TypeUrl.endpoint;
const NODE = { id: 'order-1.default', cluster: 'order' };
const timeout = (seconds: number) => ({ connect_timeout: `${seconds}s` });
const refusal = (message: string) => ({ error_detail: { code: 3, message } });

let folder: string;
let controlPlane: ControlPlane;
let relay: Relay;
let relayServer: GrpcServer;
const clients: ForeignClient[] = [];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'protocol-'));
  controlPlane = new ControlPlane({ listen: { host: '127.0.0.1', port: 0 } });
  await controlPlane.start();
  relay = createRelay({ upstream: { host: '127.0.0.1', port: controlPlane.port }, cacheFolder: join(folder, 'cache') });
  relayServer = await createGrpcServer({ listen: { socketPath: join(folder, 'ads.sock') }, methods: relay.methods });
});

afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  relay.close();
  await relayServer.close();
  await controlPlane.kill();
  rmSync(folder, { recursive: true });
});

const targets = {
  'the control plane': () => `127.0.0.1:${controlPlane.port}`,
  'the relay': () => `unix://${join(folder, 'ads.sock')}`,
};

describe.each(Object.keys(targets) as (keyof typeof targets)[])('a client by grpc-js and protobufjs at %s', (target) => {
  const connect = (protocol: 'delta' | 'sotw'): ForeignClient => {
    const client = new ForeignClient(targets[target](), credentials.createInsecure(), protocol, NODE);
    clients.push(client);
    return client;
  };
  const nacked = () => controlPlane.source.until(({ kind }) => kind === 'nacked');

  describe('delta', () => {
    const names = ({ resources, removed_resources }: Response) => [resources.map(({ name }) => name).sort(), [...removed_resources].sort()];
    const versionOf = (response: Response, name: string) => response.resources.find((resource) => resource.name === name)!.version;
    const subscribe = (client: ForeignClient, type_url: string, more: Partial<Request>) => client.send({ type_url, ...more });

    test.each([
      ['an empty first request', []],
      ['"*"', ['*']],
    ])('wildcard by %s: everything, then what changes, then what goes', async (_, asked) => {
      const { source } = controlPlane;
      source.set(CDS, cluster('one'), cluster('two'));
      const client = connect('delta');
      subscribe(client, CDS, { resource_names_subscribe: asked });
      const first = await client.take();
      expect([first.type_url, ...names(first)]).toEqual([CDS, ['one', 'two'], []]);
      expect(first.resources.every(({ version }) => version !== '')).toBe(true);
      client.ack(first);
      source.set(CDS, cluster('two', timeout(2)));
      const second = await client.take();
      expect(names(second)).toEqual([['two'], []]);
      expect(versionOf(second, 'two')).not.toBe(versionOf(first, 'two'));
      client.ack(second);
      source.remove(CDS, 'one');
      expect(names(await client.take())).toEqual([[], ['one']]);
    });

    test('by name: one that is not there is said to be so, and comes when it is there', async () => {
      const { source } = controlPlane;
      source.set(EDS, endpoints('one', 1001), endpoints('other', 1002));
      const client = connect('delta');
      subscribe(client, EDS, { resource_names_subscribe: ['one', 'ghost'] });
      let got: [string[], string[]] = [[], []];
      while (got[0].length + got[1].length < 2) {
        const response = await client.take();
        const [added, removed] = names(response) as [string[], string[]];
        got = [
          [...got[0], ...added],
          [...got[1], ...removed],
        ];
        client.ack(response);
      }
      expect(got).toEqual([['one'], ['ghost']]);
      source.set(EDS, endpoints('other', 1003));
      source.set(EDS, endpoints('ghost', 1004));
      expect(names(await client.take())).toEqual([['ghost'], []]);
    });

    test('NACK: the words arrive, what was refused is not sent again, what mends it is', async () => {
      const { source } = controlPlane;
      source.set(CDS, cluster('one'), cluster('two'));
      const client = connect('delta');
      subscribe(client, CDS, {});
      client.ack(await client.take());
      source.set(CDS, cluster('one', timeout(9)));
      const bad = await client.take();
      client.ack(bad, refusal('connect_timeout: 9s is no timeout'));
      expect(await nacked()).toMatchObject({ typeUrl: CDS, message: expect.stringContaining('9s is no timeout') });
      source.set(CDS, cluster('two', timeout(2)));
      const other = await client.take();
      expect(names(other)).toEqual([['two'], []]);
      client.ack(other);
      source.set(CDS, cluster('one', timeout(3)));
      const mended = await client.take();
      expect(names(mended)).toEqual([['one'], []]);
      client.ack(mended);
      await controlPlane.source.until(
        ({ kind, ...event }) => kind === 'acked' && (event as { versions: ReadonlyMap<string, string> }).versions.get('one') === versionOf(mended, 'one'),
      );
    });

    test('resubscribe: what was given up is not followed, and asked for again it is sent though it is the same', async () => {
      const { source } = controlPlane;
      source.set(EDS, endpoints('one', 1001), endpoints('two', 1002));
      const client = connect('delta');
      subscribe(client, EDS, { resource_names_subscribe: ['one', 'two'] });
      const first = await client.take();
      expect(names(first)).toEqual([['one', 'two'], []]);
      client.ack(first);
      client.send({ type_url: EDS, resource_names_unsubscribe: ['one'] });
      await controlPlane.source.until((event) => event.kind === 'subscribed' && event.names.join() === 'two');
      source.set(EDS, endpoints('one', 1009));
      source.set(EDS, endpoints('two', 1003));
      const second = await client.take();
      expect(names(second)).toEqual([['two'], []]);
      client.ack(second, { resource_names_subscribe: ['one'] });
      const third = await client.take();
      expect(names(third)).toEqual([['one'], []]);
      // Without giving it up first, too: the protocol wants the answer.
      client.ack(third, { resource_names_subscribe: ['one'] });
      const fourth = await client.take();
      expect([names(fourth), versionOf(fourth, 'one')]).toEqual([[['one'], []], versionOf(third, 'one')]);
    });

    test('from the wildcard to names', async () => {
      const { source } = controlPlane;
      source.set(CDS, cluster('one'), cluster('two'));
      const client = connect('delta');
      subscribe(client, CDS, {});
      client.ack(await client.take(), { resource_names_subscribe: ['one'], resource_names_unsubscribe: ['*'] });
      const one = await client.take();
      expect(names(one)[0]).toEqual(['one']);
      client.ack(one);
      source.set(CDS, cluster('two', timeout(2)));
      source.set(CDS, cluster('one', timeout(2)));
      expect(names(await client.take())).toEqual([['one'], []]);
    });

    test('reconnect with initial versions: what differs and what is gone, and nothing of the rest', async () => {
      const { source } = controlPlane;
      source.set(CDS, cluster('same'), cluster('changed'), cluster('gone'));
      const before = connect('delta');
      subscribe(before, CDS, {});
      const all = await before.take();
      before.ack(all);
      before.close();
      source.set(CDS, cluster('changed', timeout(2)), cluster('new'));
      source.remove(CDS, 'gone');
      const initial_resource_versions = Object.fromEntries(all.resources.map(({ name, version }) => [name, version]));
      const after = connect('delta');
      subscribe(after, CDS, { initial_resource_versions });
      const difference = await after.take();
      expect(names(difference)).toEqual([['changed', 'new'], ['gone']]);
      after.ack(difference);
      const { gone: _, ...kept } = initial_resource_versions;
      for (const { name, version } of difference.resources) kept[name] = version;
      const again = connect('delta');
      subscribe(again, CDS, { initial_resource_versions: kept });
      // An empty answer says that everything is there.
      expect(names(await again.take())).toEqual([[], []]);
    });
  });

  describe('state of the world', () => {
    /** The response's resources, by a word that only one of them has in it. */
    const words = ({ resources }: Response, ...candidates: string[]) =>
      candidates.filter((word) => resources.some(({ value }) => value.includes(`${word}`))).sort();
    const ask = (client: ForeignClient, type_url: string, resource_names: string[], answers?: Response, more: Partial<Request> = {}) =>
      client.send({
        type_url,
        resource_names,
        ...(answers === undefined ? {} : { response_nonce: answers.nonce, version_info: answers.version_info }),
        ...more,
      });

    test('wildcard: every response is the whole state, and what is left out is gone', async () => {
      const { source } = controlPlane;
      source.set(CDS, cluster('alpha'), cluster('beta'));
      const client = connect('sotw');
      ask(client, CDS, []);
      const first = await client.take();
      expect([first.type_url, words(first, 'alpha', 'beta')]).toEqual([CDS, ['alpha', 'beta']]);
      ask(client, CDS, [], first);
      source.set(CDS, cluster('beta', timeout(2)));
      const second = await client.take();
      expect([words(second, 'alpha', 'beta'), second.version_info === first.version_info]).toEqual([['alpha', 'beta'], false]);
      ask(client, CDS, [], second);
      source.remove(CDS, 'alpha');
      expect(words(await client.take(), 'alpha', 'beta')).toEqual(['beta']);
    });

    test('by name: what is asked for, and then only what changed of it', async () => {
      const { source } = controlPlane;
      source.set(EDS, endpoints('alpha', 1001), endpoints('beta', 1002), endpoints('gamma', 1003));
      const client = connect('sotw');
      ask(client, EDS, ['alpha', 'beta']);
      const got = new Set<string>();
      let last: Response | undefined;
      while (got.size < 2) {
        last = await client.take();
        for (const word of words(last, 'alpha', 'beta', 'gamma')) got.add(word);
        ask(client, EDS, ['alpha', 'beta'], last);
      }
      expect([...got].sort()).toEqual(['alpha', 'beta']);
      source.set(EDS, endpoints('gamma', 1004));
      source.set(EDS, endpoints('beta', 1005));
      expect(words(await client.take(), 'alpha', 'beta', 'gamma')).toEqual(['beta']);
    });

    test('NACK: the words arrive, and the next state that differs is sent', async () => {
      const { source } = controlPlane;
      source.set(CDS, cluster('alpha'));
      const client = connect('sotw');
      ask(client, CDS, []);
      const good = await client.take();
      ask(client, CDS, [], good);
      source.set(CDS, cluster('alpha', timeout(9)));
      const bad = await client.take();
      // A NACK names the version that stays in force.
      ask(client, CDS, [], bad, { version_info: good.version_info, ...refusal('connect_timeout: 9s is no timeout') });
      expect(await nacked()).toMatchObject({ typeUrl: CDS, message: expect.stringContaining('9s is no timeout') });
      source.set(CDS, cluster('alpha', timeout(3)));
      const mended = await client.take();
      expect([bad.version_info, good.version_info]).not.toContain(mended.version_info);
    });

    test('resubscribe: given up and asked for again, it is sent again', async () => {
      const { source } = controlPlane;
      source.set(EDS, endpoints('alpha', 1001), endpoints('beta', 1002));
      const client = connect('sotw');
      ask(client, EDS, ['alpha']);
      const alpha = await client.take();
      ask(client, EDS, ['beta'], alpha);
      const beta = await client.take();
      expect(words(beta, 'alpha', 'beta')).toEqual(['beta']);
      ask(client, EDS, ['alpha', 'beta'], beta);
      expect(words(await client.take(), 'alpha', 'beta')).toEqual(['alpha']);
    });

    test('a request that answers an older response is not taken as an answer to the last one', async () => {
      const { source } = controlPlane;
      source.set(CDS, cluster('alpha'));
      const client = connect('sotw');
      ask(client, CDS, []);
      const first = await client.take();
      ask(client, CDS, [], first);
      source.set(CDS, cluster('alpha', timeout(2)));
      const second = await client.take();
      ask(client, CDS, [], first, refusal('too late'));
      ask(client, CDS, [], second);
      await controlPlane.source.until((event) => event.kind === 'acked' && source.events.filter(({ kind }) => kind === 'acked').length === 2);
      expect(source.events.filter(({ kind }) => kind === 'nacked')).toEqual([]);
    });

    test('reconnect: the version of the stream before does not keep the state back', async () => {
      const { source } = controlPlane;
      source.set(CDS, cluster('alpha'));
      const before = connect('sotw');
      ask(before, CDS, []);
      const first = await before.take();
      before.close();
      source.set(CDS, cluster('beta'));
      const after = connect('sotw');
      after.send({ type_url: CDS, version_info: first.version_info, response_nonce: first.nonce });
      expect(words(await after.take(), 'alpha', 'beta')).toEqual(['alpha', 'beta']);
    });
  });
});
