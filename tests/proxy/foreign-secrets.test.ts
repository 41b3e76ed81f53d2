import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import https from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import { ClusterSchema } from '@outrigger/xds/protos/envoy/config/cluster/v3/cluster';
import { ListenerSchema } from '@outrigger/xds/protos/envoy/config/listener/v3/listener';
import { SecretSchema } from '@outrigger/xds/protos/envoy/extensions/transport_sockets/tls/v3/secret';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { clusterJson, listenerJson, routeTo, typed } from '../../packages/proxy/src/testing/messages.ts';
import { TestApplication } from '../../packages/proxy/src/testing/test-proxy.ts';
import { TestAuthority } from '../../packages/proxy/src/tls/testing/certificates.ts';
import type { CertificatePem } from '../../packages/proxy/src/xds/tls-settings.ts';
import { peer } from '../harness/peers.ts';
import { freePort } from '../harness/ports.ts';
import { until } from '../xds/envoy.ts';
import type { Running } from './data-plane.ts';
import { ForeignControlPlane, json, overAds } from './foreign-control-plane.ts';

const program = peer('go-control-plane');
const ca = new TestAuthority('root');
const other = new TestAuthority('other root');
const alice = ca.issue({ uri: ['spiffe://example.org/alice'] });
const stranger = other.issue({ uri: ['spiffe://example.org/stranger'] });
const certificateOf = (name: string): CertificatePem => ca.issue({ dns: [name] });

describe.skipIf(program === undefined)('secrets of go-control-plane, over ADS', () => {
  const folder = mkdtempSync(join(tmpdir(), 'foreign-secrets-'));
  let plane: ForeignControlPlane;
  let proxy: Running;
  let application: TestApplication;
  let port: number;

  function give({ chainPem, keyPem }: CertificatePem, rootsPem: string): void {
    const context = typed('envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext', {
      requireClientCertificate: true,
      commonTlsContext: {
        tlsCertificateSdsSecretConfigs: [{ name: 'own', sdsConfig: overAds }],
        validationContextSdsSecretConfig: { name: 'roots', sdsConfig: overAds },
      },
    });
    const listener = listenerJson('web', { routes: [routeTo('app')], chain: { transportSocket: { name: 'tls', typedConfig: context } } });
    plane.set({
      listeners: [json(ListenerSchema, { ...listener, address: { socketAddress: { address: '127.0.0.1', portValue: port } } })],
      clusters: [json(ClusterSchema, clusterJson('app', { endpoints: [application.address] }))],
      secrets: [
        json(SecretSchema, { name: 'own', tlsCertificate: { certificateChain: { inlineString: chainPem }, privateKey: { inlineString: keyPem } } }),
        json(SecretSchema, { name: 'roots', validationContext: { trustedCa: { inlineString: rootsPem } } }),
      ],
    });
  }

  function connect({ chainPem, keyPem }: CertificatePem): tls.ConnectionOptions & { host: string; port: number } {
    return { host: '127.0.0.1', port, cert: chainPem, key: keyPem, ca: [ca.pem, other.pem], checkServerIdentity: () => undefined };
  }

  /** One request on a connection of its own: the name in the certificate that was shown, or undefined where the client was not let in. */
  function visit(client: CertificatePem): Promise<string | undefined> {
    return new Promise((resolve) => {
      const request = https.get({ ...connect(client), agent: false }, (response) => {
        const name = (response.socket as tls.TLSSocket).getPeerCertificate().subjectaltname;
        response.resume().on('end', () => resolve(response.statusCode === 200 ? name : undefined));
      });
      request.on('error', () => resolve(undefined));
    });
  }

  const shows = (name: string) => until(`it shows ${name}`, async () => ((await visit(alice)) === `DNS:${name}` ? true : undefined));

  beforeAll(async () => {
    application = await TestApplication.start();
    port = await freePort();
    plane = await ForeignControlPlane.start(program!);
    give(certificateOf('first.example'), ca.pem);
    proxy = await plane.startProxy(folder);
    await shows('first.example');
  });

  afterAll(async () => {
    await proxy?.kill();
    await plane?.stop();
    await application?.close();
    rmSync(folder, { recursive: true });
  });

  test('are what a listener shows, and whom it trusts; they are acknowledged', async () => {
    expect(await visit(alice)).toBe('DNS:first.example');
    expect(await visit(stranger)).toBeUndefined();
    expect(plane.said.filter(({ kind, typeUrl }) => kind === 'ack' && typeUrl!.endsWith('.Secret')).length).toBeGreaterThan(0);
    expect(plane.said.filter(({ kind }) => kind === 'nack')).toEqual([]);
  });

  test('rotate while requests go on, on the connection that is there and on new ones', async () => {
    const held = tls.connect(connect(alice));
    await once(held, 'secureConnect');
    const closed = once(held, 'close');
    const onHeldConnection = async (): Promise<string> => {
      held.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
      let text = '';
      while (!text.endsWith('\r\n\r\nok')) text += String((await once(held, 'data'))[0]);
      return text.slice(0, text.indexOf('\r\n'));
    };
    expect(await onHeldConnection()).toBe('HTTP/1.1 200 OK');
    const answers: (string | undefined)[] = [];
    let rotated = false;
    const load = (async () => {
      while (!rotated) answers.push(await visit(alice));
    })();
    give(certificateOf('second.example'), ca.pem);
    await shows('second.example');
    rotated = true;
    await load;
    expect(new Set(answers)).toEqual(new Set(answers.includes('DNS:first.example') ? ['DNS:first.example', 'DNS:second.example'] : ['DNS:second.example']));
    expect(await onHeldConnection()).toBe('HTTP/1.1 200 OK');
    expect(held.getPeerCertificate().subjectaltname).toBe('DNS:first.example');
    held.destroy();
    await closed;
  });

  test('bring other roots: a client of these is let in from then on, and one of the former is not', async () => {
    give(certificateOf('third.example'), other.pem);
    await until('the stranger is let in', async () => ((await visit(stranger)) === 'DNS:third.example' ? true : undefined));
    expect(await visit(alice)).toBeUndefined();
    give(certificateOf('fourth.example'), ca.pem);
    await shows('fourth.example');
  });

  test.each([
    ['with the key of another', 'own', () => give({ ...certificateOf('bad.example'), keyPem: certificateOf('other.example').keyPem }, ca.pem)],
    ['that are no roots', 'roots', () => give(certificateOf('fourth.example'), 'nothing in PEM')],
  ])('%s are refused with the reason, and the good ones stay in force', async (_what, name, giveBad) => {
    await shows('fourth.example');
    const before = plane.said.length;
    giveBad();
    const refusal = await until('a NACK', () => plane.said.slice(before).find(({ kind }) => kind === 'nack'));
    expect(refusal).toMatchObject({ typeUrl: expect.stringContaining('.Secret'), reason: expect.stringContaining(`${name}: `) });
    expect(await visit(alice)).toBe('DNS:fourth.example');
    expect(await visit(stranger)).toBeUndefined();
    give(certificateOf('fourth.example'), ca.pem);
    await shows('fourth.example');
  });
});
