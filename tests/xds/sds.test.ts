import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { create } from '@bufbuild/protobuf';
import type { Authority, Svid } from '@outrigger/identity';
import { createGrpcServer, createSdsRoutes, type DiscoveryRoutes, type GrpcServer, type SecretStore, TypeUrl } from '@outrigger/xds';
import { type Secret, SecretSchema } from '@outrigger/xds/protos/envoy/extensions/transport_sockets/tls/v3/secret';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { peer } from '../harness/peers.ts';
import { freePort } from '../harness/ports.ts';
import { bootstrap } from './bootstrap.ts';
import { svidOf, testAuthority } from './certificates.ts';
import { type EnvoyProcess, startEnvoy, until } from './envoy.ts';
import { listener, routeConfiguration } from './resources.ts';
import { ControlPlane } from './world.ts';

const binary = peer('envoy');

class MemoryStore implements SecretStore {
  readonly #secrets = new Map<string, Secret>();
  readonly #listeners = new Set<(name: string) => void>();

  get(name: string): Secret | undefined {
    return this.#secrets.get(name);
  }

  onChange(listener: (name: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  setCertificate(name: string, svid: Svid): void {
    const inline = (value: string) => ({ specifier: { case: 'inlineString' as const, value } });
    const value = { certificateChain: inline(svid.certificateChainPem.join('\n')), privateKey: inline(svid.privateKeyPem) };
    this.#secrets.set(name, create(SecretSchema, { name, type: { case: 'tlsCertificate', value } }));
    for (const changed of this.#listeners) changed(name);
  }
}

function overSds(apiType: string) {
  return {
    name: 'envoy.transport_sockets.tls',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext',
      common_tls_context: {
        tls_certificate_sds_secret_configs: [
          {
            name: 'default',
            sds_config: {
              resource_api_version: 'V3',
              api_config_source: { api_type: apiType, transport_api_version: 'V3', grpc_services: [{ envoy_grpc: { cluster_name: 'sds-grpc' } }] },
            },
          },
        ],
      },
    },
  };
}

/** The SAN that the server shows in a new handshake. */
function shownBy(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false }, () => {
      resolve(socket.getPeerCertificate().subjectaltname ?? '');
      socket.destroy();
    });
    socket.once('error', reject);
  });
}

describe.skipIf(binary === undefined).each(['DELTA_GRPC', 'GRPC'])('SDS to a real Envoy over %s', (apiType) => {
  let folder: string;
  let authority: Authority;
  let store: MemoryStore;
  let routes: DiscoveryRoutes;
  let sdsServer: GrpcServer;
  let controlPlane: ControlPlane;
  let envoy: EnvoyProcess;
  let port: number;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'sds-'));
    authority = await testAuthority();
    store = new MemoryStore();
    routes = createSdsRoutes(store);
    sdsServer = await createGrpcServer({ listen: { socketPath: join(folder, 'sds.sock') }, methods: routes.methods });
    controlPlane = new ControlPlane({ listen: { host: '127.0.0.1', port: 0 } });
    await controlPlane.start();
    port = await freePort();
    controlPlane.source.set(TypeUrl.listener, listener('tls', port, 'r', { transportSocket: overSds(apiType) }));
    controlPlane.source.set(TypeUrl.route, routeConfiguration('r', 'nowhere'));
    envoy = await startEnvoy(binary!, folder, 'envoy', bootstrap('DELTA_GRPC', { port: controlPlane.port }, { path: join(folder, 'sds.sock') }));
  });

  afterEach(async () => {
    await envoy.kill();
    await controlPlane.kill();
    await sdsServer.close();
    authority.close();
    rmSync(folder, { recursive: true });
  });

  const shows = (name: string) => until(`a handshake as ${name}`, async () => ((await shownBy(port)).endsWith(`/sa/${name}`) ? true : undefined));

  test('a secret that comes late, its rotation, and its rotation after the agent was restarted', async () => {
    await until('Envoy asks', () => (routes.streams().some(({ types }) => types[0]?.names.has('default')) ? true : undefined));
    store.setCertificate('default', await svidOf(authority, 'first'));
    await shows('first');
    store.setCertificate('default', await svidOf(authority, 'second'));
    await shows('second');
    await sdsServer.close();
    expect(await shownBy(port)).toContain('/sa/second');
    store.setCertificate('default', await svidOf(authority, 'third'));
    sdsServer = await createGrpcServer({ listen: { socketPath: join(folder, 'sds.sock') }, methods: routes.methods });
    await shows('third');
    await until('Envoy has acknowledged', () => (routes.streams()[0]?.types[0]?.sync === 'synced' ? true : undefined));
  });
});
