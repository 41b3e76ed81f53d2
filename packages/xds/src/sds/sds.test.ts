import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create } from '@bufbuild/protobuf';
import { type Secret, SecretSchema } from '@outrigger/xds/protos/envoy/extensions/transport_sockets/tls/v3/secret';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createGrpcServer, type GrpcServer } from '../grpc/server.ts';
import type { DiscoveryRoutes } from '../server/ads.ts';
import { Mailbox } from '../testing/mailbox.ts';
import { createSdsRoutes } from './server.ts';
import type { SecretStore } from './store.ts';
import { type SecretWatch, watchSecrets } from './watch.ts';

class MemoryStore implements SecretStore {
  inUse: NonNullable<SecretStore['inUse']> = () => {};
  readonly #secrets = new Map<string, Secret>();
  readonly #listeners = new Set<(name: string) => void>();

  get(name: string): Secret | undefined {
    return this.#secrets.get(name);
  }

  onChange(listener: (name: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  set(name: string, certificate: string): void {
    const inline = (value: string) => ({ specifier: { case: 'inlineString' as const, value } });
    this.#secrets.set(
      name,
      create(SecretSchema, { name, type: { case: 'tlsCertificate', value: { certificateChain: inline(certificate), privateKey: inline('key') } } }),
    );
    for (const listener of this.#listeners) listener(name);
  }
}

function certificateOf(secret: Secret): string {
  const chain = secret.type.case === 'tlsCertificate' ? secret.type.value.certificateChain : undefined;
  return `${secret.name}=${chain?.specifier.value}`;
}

describe('SDS', () => {
  let folder: string;
  let socketPath: string;
  let store: MemoryStore;
  let routes: DiscoveryRoutes;
  let server: GrpcServer;
  let watch: SecretWatch | undefined;

  const serve = async () => {
    routes = createSdsRoutes(store);
    server = await createGrpcServer({ listen: { socketPath }, methods: routes.methods });
  };

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'sds-'));
    socketPath = join(folder, 'sds.sock');
    store = new MemoryStore();
    await serve();
  });

  afterEach(async () => {
    watch?.close();
    await server.close();
    rmSync(folder, { recursive: true });
  });

  test('gives each secret when it is there, and again when it is rotated', async () => {
    const got = new Mailbox<string>();
    store.set('ROOTCA', 'root');
    watch = watchSecrets(socketPath, ['default', 'ROOTCA'], (secret) => got.put(certificateOf(secret)));
    expect(await got.take()).toBe('ROOTCA=root');
    store.set('default', 'one');
    expect(await got.take()).toBe('default=one');
    store.set('default', 'two');
    expect(await got.take()).toBe('default=two');
    expect(got.size).toBe(0);
  });

  test('goes on after the server was restarted, without a second copy of what is unchanged', async () => {
    const got = new Mailbox<string>();
    store.set('default', 'one');
    store.set('ROOTCA', 'root');
    watch = watchSecrets(socketPath, ['default', 'ROOTCA'], (secret) => got.put(certificateOf(secret)));
    expect([await got.take(), await got.take()].sort()).toEqual(['ROOTCA=root', 'default=one']);
    await server.close();
    store.set('default', 'two');
    await serve();
    expect(await got.take()).toBe('default=two');
    expect(got.size).toBe(0);
  });

  test('tells the store which secrets are in use, over all streams', async () => {
    const told = new Mailbox<string>();
    store.inUse = (names) => told.put([...names].sort().join());
    watch = watchSecrets(socketPath, ['a', 'b'], () => {});
    expect(await told.take()).toBe('a,b');
    const other = watchSecrets(socketPath, ['c'], () => {});
    expect(await told.take()).toBe('a,b,c');
    watch.remove(['a']);
    expect(await told.take()).toBe('b,c');
    other.close();
    expect(await told.take()).toBe('b');
  });

  test('a secret that the watcher cannot use is NACKed with its words', async () => {
    const refused = new Mailbox<string>();
    store.set('default', 'garbage');
    watch = watchSecrets(
      socketPath,
      ['default'],
      () => {
        throw new Error('no PEM block in the certificate chain');
      },
      { onEvent: (event) => event.kind === 'rejected' && refused.put(event.reason) },
    );
    expect(await refused.take()).toBe('default: no PEM block in the certificate chain');
  });

  test('only the owner may open the socket', () => {
    expect(statSync(socketPath).mode & 0o777).toBe(0o600);
  });
});
