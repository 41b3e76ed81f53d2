import { once } from 'node:events';
import tls from 'node:tls';
import type { JsonObject } from '@bufbuild/protobuf';
import { TypeUrl } from '@outrigger/xds';
import { SecretSchema } from '@outrigger/xds/protos/envoy/extensions/transport_sockets/tls/v3/secret';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { listener, message, typed } from '../testing/messages.ts';
import { TestControlPlane } from '../testing/test-control-plane.ts';
import { TestProxy } from '../testing/test-proxy.ts';
import { SecretTable } from '../tls/secrets.ts';
import { TestAuthority } from '../tls/testing/certificates.ts';
import type { CertificatePem } from '../xds/tls-settings.ts';
import { applySecret } from './secret-subscription.ts';

const SERVER = 'spiffe://cluster.local/ns/default/sa/web';
const CLIENT = 'spiffe://cluster.local/ns/default/sa/client';

const authority = new TestAuthority();

function certificateJson({ chainPem, keyPem }: CertificatePem): JsonObject {
  return { tlsCertificate: { certificateChain: { inlineString: chainPem }, privateKey: { inlineString: keyPem } } };
}

const rootsJson = (pem: string): JsonObject => ({ validationContext: { trustedCa: { inlineString: pem } } });

describe('a secret', () => {
  const good = authority.issue({ uri: [SERVER] });
  const other = authority.issue({ uri: [SERVER] });

  function apply(table: SecretTable, name: string, json: JsonObject): string {
    try {
      applySecret(table, message(SecretSchema, { name, ...json }));
      return '';
    } catch (error) {
      return (error as Error).message;
    }
  }

  it('is put into the table', () => {
    const table = new SecretTable();
    expect(apply(table, 'default', certificateJson(good))).toBe('');
    expect(apply(table, 'ROOTCA', rootsJson(authority.pem))).toBe('');
    expect(table.certificate('default')).toEqual(good);
    expect(table.rules('ROOTCA')?.trustedCaPem).toBe(authority.pem);
  });

  it.each<[string, string, JsonObject, string]>([
    [
      'with the key of another certificate',
      'default',
      certificateJson({ chainPem: good.chainPem, keyPem: other.keyPem }),
      'tls_certificate: the certificate or key cannot be used',
    ],
    [
      'that is no certificate',
      'default',
      certificateJson({ chainPem: 'garbage', keyPem: good.keyPem }),
      'tls_certificate: the certificate or key cannot be used',
    ],
    ['without a key', 'default', { tlsCertificate: { certificateChain: { inlineString: good.chainPem } } }, 'tls_certificate.private_key'],
    ['of roots that are none', 'ROOTCA', rootsJson('garbage'), 'validation_context.trusted_ca: holds no certificate in PEM'],
    [
      'of roots that are damaged',
      'ROOTCA',
      rootsJson('-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----'),
      'validation_context.trusted_ca: holds a certificate that cannot be read',
    ],
    ['of another kind', 'default', { sessionTicketKeys: { keys: [] } }, 'only tls_certificate and validation_context'],
  ])('%s is refused with the reason, the one before stays, and no key is in the message', (_what, name, json, words) => {
    const table = new SecretTable();
    apply(table, 'default', certificateJson(good));
    apply(table, 'ROOTCA', rootsJson(authority.pem));
    const { generation } = table;
    const reason = apply(table, name, json);
    expect(reason).toContain(words);
    expect(reason).not.toContain('PRIVATE');
    expect([table.certificate('default'), table.rules('ROOTCA')?.trustedCaPem, table.generation]).toEqual([good, authority.pem, generation]);
  });
});

describe('SDS', () => {
  const TLS = 'envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext';
  let plane: TestControlPlane;
  let made: TestProxy;

  beforeEach(async () => {
    plane = await TestControlPlane.start();
    const sds = (name: string): JsonObject => ({ name, sdsConfig: { ads: {} } });
    plane.listener(
      listener('in', {
        routes: [{ match: { prefix: '/' }, directResponse: { status: 200, body: { inlineString: 'in' } } }],
        chain: {
          transportSocket: {
            name: 'tls',
            typedConfig: typed(TLS, {
              requireClientCertificate: true,
              commonTlsContext: {
                tlsCertificateSdsSecretConfigs: [sds('default')],
                validationContextSdsSecretConfig: sds('ROOTCA'),
                alpnProtocols: ['http/1.1'],
              },
            }),
          },
        },
        fields: { address: { socketAddress: { address: '127.0.0.1', portValue: 0 } } },
      }),
    );
  });
  afterEach(async () => {
    await made.proxy.close();
    await plane.close();
  });

  /** Serial number of the certificate that the proxy shows, and the first line of its answer. */
  async function ask(own: CertificatePem): Promise<{ serial: string; line: string }> {
    const [host, port] = made.proxy.listenerAddress('in')!.split(':');
    const socket = tls.connect({ host, port: Number(port), ca: authority.pem, cert: own.chainPem, key: own.keyPem, checkServerIdentity: () => undefined });
    await once(socket, 'secureConnect');
    const serial = socket.getPeerX509Certificate()!.serialNumber;
    socket.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    const [bytes] = (await once(socket, 'data')) as [Buffer];
    socket.destroy();
    return { serial, line: bytes.toString().split('\r\n')[0]! };
  }

  it('brings what a listener names, which is bound when it is there; a new one holds for the next handshake', async () => {
    plane.secret('ROOTCA', rootsJson(authority.pem));
    const starting = TestProxy.start(plane);
    plane.secret('default', certificateJson(authority.issue({ uri: [SERVER] })));
    made = await starting;
    const client = authority.issue({ uri: [CLIENT] });
    const first = await ask(client);
    expect(first.line).toBe('HTTP/1.1 200 OK');
    plane.secret('default', certificateJson(authority.issue({ uri: [SERVER] })));
    await expect.poll(async () => (await ask(client)).serial).not.toBe(first.serial);
  });

  it('that goes wrong or away leaves the good secrets in use', async () => {
    plane.secret('ROOTCA', rootsJson(authority.pem));
    plane.secret('default', certificateJson(authority.issue({ uri: [SERVER] })));
    made = await TestProxy.start(plane);
    const client = authority.issue({ uri: [CLIENT] });
    const { serial } = await ask(client);
    plane.secret('default', certificateJson({ chainPem: 'garbage', keyPem: 'garbage' }));
    await expect.poll(() => made.log.join('\n')).toContain('a secret was not taken');
    expect((await ask(client)).serial).toBe(serial);
    await plane.stop();
    await expect.poll(() => made.log.join('\n')).toContain('SDS at');
    expect((await ask(client)).serial).toBe(serial);
    await plane.serve();
    plane.secret('default', certificateJson(authority.issue({ uri: [SERVER] })));
    await expect.poll(async () => (await ask(client)).serial, { timeout: 5_000 }).not.toBe(serial);
  });

  it('that never brings a secret does not hold the listener back for ever: each connection is told what lacks', async () => {
    plane.secret('ROOTCA', rootsJson(authority.pem));
    made = await TestProxy.start(plane);
    await plane.verdict(TypeUrl.listener, 'in');
    await expect(ask(authority.issue({ uri: [CLIENT] }))).rejects.toThrow();
    const { listener_statuses } = JSON.parse((await made.admin('/listeners?format=json&detail')).body) as { listener_statuses: { last_tls_refusal: string }[] };
    expect(listener_statuses[0]!.last_tls_refusal).toBe('the secret default has not come yet');
  }, 15_000);
});
