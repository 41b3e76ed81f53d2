import { once } from 'node:events';
import tls from 'node:tls';
import type { JsonObject } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { clusterJson, listenerJson, routeTo, typed } from '../../packages/proxy/src/testing/messages.ts';
import { ask, TestApplication } from '../../packages/proxy/src/testing/test-proxy.ts';
import { hashesOf, TestAuthority } from '../../packages/proxy/src/tls/testing/certificates.ts';
import type { CertificatePem } from '../../packages/proxy/src/xds/tls-settings.ts';
import { until } from '../xds/envoy.ts';
import { DataPlane, planes } from './data-plane.ts';

const ca = new TestAuthority('root');
const foreign = new TestAuthority('foreign root');
const ALICE = 'spiffe://example.org/alice';
const alice = ca.issue({ uri: [ALICE], commonName: 'alice' });
const bob = ca.issue({ uri: ['spiffe://example.org/bob'], dns: ['bob.example.org'] });
const wild = ca.issue({ dns: ['*.example.org'], email: ['all@example.org'], ip: ['192.0.2.1'] });
const mallory = foreign.issue({ uri: [ALICE] });

const inline = (inlineString: string): JsonObject => ({ inlineString });
const pem = ({ chainPem, keyPem }: CertificatePem): JsonObject => ({ certificateChain: inline(chainPem), privateKey: inline(keyPem) });
const own = pem(ca.issue({ dns: ['server.example'] }));
const trusting = (fields: JsonObject = {}): JsonObject => ({ validationContext: { trustedCa: inline(ca.pem), ...fields } });
const san = (sanType: string, matcher: JsonObject): JsonObject => trusting({ matchTypedSubjectAltNames: [{ sanType, matcher }] });
const GREET = { match: { prefix: '/' }, directResponse: { status: 200, body: { inlineString: 'in' } } };

function secured(common: JsonObject, fields: JsonObject = {}): JsonObject {
  const context = typed('envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext', {
    commonTlsContext: { tlsCertificates: [own], ...common },
    ...fields,
  });
  const { name: _name, ...listener } = listenerJson('web', { routes: [GREET], chain: { transportSocket: { name: 'tls', typedConfig: context } } });
  return listener;
}

const required = { requireClientCertificate: true };

describe.each(planes)('TLS of %s', (plane) => {
  let proxy: DataPlane;
  let application: TestApplication;
  let upstream: tls.Server;
  /** Whether each handshake of the upstream was a resumed one. */
  const resumed: boolean[] = [];

  beforeAll(async () => {
    application = await TestApplication.start((_request, response) => response.end('in'));
    const { chainPem, keyPem } = ca.issue({ uri: ['spiffe://example.org/upstream'], dns: ['*.upstream.example'] });
    upstream = tls.createServer({ cert: chainPem, key: keyPem }, (socket) => {
      resumed.push(socket.isSessionReused());
      socket.on('error', () => {});
      socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nin'));
    });
    upstream.listen(0, '127.0.0.1');
    await once(upstream, 'listening');
    const address = `127.0.0.1:${(upstream.address() as { port: number }).port}`;
    const to = (name: string, common: JsonObject, fields: JsonObject = {}): [string, JsonObject] => [
      name,
      clusterJson(name, {
        endpoints: [address],
        fields: {
          transportSocket: {
            name: 'tls',
            typedConfig: typed('envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext', { commonTlsContext: common, ...fields }),
          },
        },
      }),
    ];
    const over = (cluster: string): JsonObject => {
      const { name: _name, ...listener } = listenerJson('web', { routes: [routeTo(cluster)] });
      return listener;
    };
    proxy = await DataPlane.start(plane, {
      clusters: Object.fromEntries([
        to('right', san('DNS', { exact: 'a.upstream.example' })),
        to('wrong', san('DNS', { exact: 'a.b.upstream.example' })),
        to('once', trusting(), { maxSessionKeys: 0 }),
        to('again', trusting(), { maxSessionKeys: 4, sni: 'a.upstream.example' }),
      ]),
      listeners: {
        required: secured(trusting(), required),
        requested: secured(trusting()),
        untold: secured({}),
        'uri-exact': secured(san('URI', { exact: ALICE }), required),
        'uri-prefix': secured(san('URI', { prefix: 'spiffe://example.org/b' }), required),
        dns: secured(san('DNS', { exact: 'bob.example.org' }), required),
        'dns-suffix': secured(san('DNS', { suffix: '.example.org' }), required),
        email: secured(san('EMAIL', { exact: 'all@example.org' }), required),
        ip: secured(san('IP_ADDRESS', { exact: '192.0.2.1' }), required),
        regex: secured(san('URI', { safeRegex: { regex: 'spiffe://example\\.org/(alice|carol)' } }), required),
        hash: secured(trusting({ verifyCertificateHash: [hashesOf(alice).certificate] }), required),
        spki: secured(trusting({ verifyCertificateSpki: [hashesOf(alice).spki] }), required),
        crl: secured(trusting({ crl: inline(ca.revoke(bob)) }), required),
        named: secured({ tlsCertificates: [own, pem(ca.issue({ dns: ['*.wild.example'] })), pem(ca.issue({ dns: ['a.wild.example'] }))] }),
        newest: secured({ tlsParams: { tlsMinimumProtocolVersion: 'TLSv1_3' } }),
        older: secured({
          tlsParams: { tlsMaximumProtocolVersion: 'TLSv1_2', cipherSuites: ['[ECDHE-ECDSA-CHACHA20-POLY1305|ECDHE-ECDSA-AES256-GCM-SHA384]'] },
        }),
        chosen: secured({ alpnProtocols: ['h2', 'http/1.1'] }),
        resuming: secured({}),
        fresh: secured({}, { disableStatelessSessionResumption: true, disableStatefulSessionResumption: true }),
        told: secured({ tlsCertificates: [], tlsCertificateSdsSecretConfigs: [{ name: 'own', sdsConfig: { ads: {}, resourceApiVersion: 'V3' } }] }),
        'to-right': over('right'),
        'to-wrong': over('wrong'),
        'to-once': over('once'),
        'to-again': over('again'),
      },
      secrets: { own: { tlsCertificate: pem(ca.issue({ dns: ['first.example'] })) } },
    });
  }, 60_000);

  afterAll(async () => {
    await proxy?.stop();
    await application.close();
    upstream.close();
  });

  /** What the server answers: 'in', or 'refused' where it does not speak to such a client. */
  async function visit(
    name: string,
    options: tls.ConnectionOptions & { certificate?: CertificatePem } = {},
  ): Promise<{ text: string; socket: tls.TLSSocket; session: Buffer | undefined }> {
    const { certificate, ...given } = options;
    const shown = certificate === undefined ? {} : { cert: certificate.chainPem, key: certificate.keyPem };
    const socket = tls.connect({ host: '127.0.0.1', port: proxy.port(name), rejectUnauthorized: false, servername: 'server.example', ...shown, ...given });
    let session: Buffer | undefined;
    let text = '';
    socket.on('session', (ticket) => {
      session = ticket;
    });
    socket.on('error', () => {});
    socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    await new Promise<void>((resolve) => {
      socket.on('data', (chunk) => {
        text += chunk.toString('latin1');
        if (/\r\n\r\nin$/.test(text)) resolve();
      });
      socket.on('close', () => resolve());
    });
    // TLS 1.2 gives none afterwards.
    if (session === undefined && socket.getProtocol() === 'TLSv1.2') session = socket.getSession();
    return { text: text.endsWith('in') ? 'in' : 'refused', socket, session };
  }
  const answer = async (name: string, options?: Parameters<typeof visit>[1]): Promise<string> => {
    const { text, socket } = await visit(name, options);
    socket.destroy();
    return text;
  };

  test.each<[string, string, string, string]>([
    // nobody, alice, mallory
    ['required', 'refused', 'in', 'refused'],
    ['requested', 'in', 'in', 'refused'],
    ['untold', 'in', 'in', 'in'],
  ])('a client certificate where it is %s', async (name, nobody, known, unknown) => {
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      expect(await answer(name, { maxVersion })).toBe(nobody);
      expect(await answer(name, { maxVersion, certificate: alice })).toBe(known);
      expect(await answer(name, { maxVersion, certificate: mallory })).toBe(unknown);
    }
  });

  test.each<[string, string, string, string]>([
    // alice, bob, "*.example.org"
    ['uri-exact', 'in', 'refused', 'refused'],
    ['uri-prefix', 'refused', 'in', 'refused'],
    ['dns', 'refused', 'in', 'in'],
    ['dns-suffix', 'refused', 'in', 'in'],
    ['email', 'refused', 'refused', 'in'],
    ['ip', 'refused', 'refused', 'in'],
    ['regex', 'in', 'refused', 'refused'],
    ['hash', 'in', 'refused', 'refused'],
    ['spki', 'in', 'refused', 'refused'],
    ['crl', 'in', 'refused', 'in'],
  ])('whom %s lets in', async (name, ...expected) => {
    const found: string[] = [];
    for (const certificate of [alice, bob, wild]) found.push(await answer(name, { certificate }));
    expect(found).toEqual(expected);
  });

  test('the certificate for the name that is asked for', async () => {
    const names: (string | undefined)[] = [];
    for (const servername of ['a.wild.example', 'b.wild.example', 'x.y.wild.example', 'other.example']) {
      const { socket } = await visit('named', { servername });
      names.push(socket.getPeerCertificate().subjectaltname);
      socket.destroy();
    }
    expect(names).toEqual(['DNS:a.wild.example', 'DNS:*.wild.example', 'DNS:server.example', 'DNS:server.example']);
  });

  test('versions, ciphers and protocols as they were said', async () => {
    expect(await answer('newest', { maxVersion: 'TLSv1.2' })).toBe('refused');
    expect(await answer('newest')).toBe('in');
    expect(await answer('older', { minVersion: 'TLSv1.3' })).toBe('refused');
    expect(await answer('older', { ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256', maxVersion: 'TLSv1.2' })).toBe('refused');
    expect(await answer('older', { ciphers: 'ECDHE-ECDSA-AES256-GCM-SHA384', maxVersion: 'TLSv1.2' })).toBe('in');
    const { socket } = await visit('chosen', { ALPNProtocols: ['spdy', 'http/1.1'] });
    expect(socket.alpnProtocol).toBe('http/1.1');
    socket.destroy();
  });

  test.each(['TLSv1.2', 'TLSv1.3'] as const)('sessions are resumed over %s, unless that is switched off', async (maxVersion) => {
    for (const [name, expected] of [
      ['resuming', true],
      ['fresh', false],
    ] as const) {
      const first = await visit(name, { maxVersion });
      first.socket.destroy();
      const second = await visit(name, { maxVersion, ...(first.session === undefined ? {} : { session: first.session }) });
      expect([name, second.socket.isSessionReused(), second.text]).toEqual([name, expected, 'in']);
      second.socket.destroy();
    }
  });

  test('a secret that changes holds for new connections, and ends none', async () => {
    const shown = async (): Promise<string | undefined> => {
      const { socket } = await visit('told');
      const names = socket.getPeerCertificate().subjectaltname;
      socket.destroy();
      return names;
    };
    await until('the first certificate', async () => ((await shown()) === 'DNS:first.example' ? true : undefined));
    const open = tls.connect({ host: '127.0.0.1', port: proxy.port('told'), rejectUnauthorized: false });
    await once(open, 'secureConnect');
    await proxy.apply({ secrets: { own: { tlsCertificate: pem(ca.issue({ dns: ['second.example'] })) } } });
    await until('the second certificate', async () => ((await shown()) === 'DNS:second.example' ? true : undefined));
    open.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    const [chunk] = (await once(open, 'data')) as [Buffer];
    expect(chunk.toString()).toMatch(/^HTTP\/1\.1 200 OK/);
    open.destroy();
  });

  test('an upstream is who it must be', async () => {
    expect((await ask(`127.0.0.1:${proxy.port('to-right')}`)).status).toBe(200);
    expect((await ask(`127.0.0.1:${proxy.port('to-wrong')}`)).status).toBe(503);
  });

  test('sessions of upstreams are kept by max_session_keys', async () => {
    for (const [name, expected] of [
      ['to-once', [false, false, false]],
      ['to-again', [false, true, true]],
    ] as const) {
      resumed.length = 0;
      for (let n = 0; n < 3; n++) expect((await ask(`127.0.0.1:${proxy.port(name)}`)).status).toBe(200);
      expect([name, ...resumed]).toEqual([name, ...expected]);
    }
  });

  test.each<[string, JsonObject]>([
    ['a cipher that is none', { tlsParams: { cipherSuites: ['NO-SUCH-CIPHER'] } }],
    ['a certificate that is none', { tlsCertificates: [{ certificateChain: inline('nothing'), privateKey: inline('nothing') }] }],
  ])('refuses %s', async (_name, common) => {
    const before = proxy.refusals.length;
    await proxy.apply({ listeners: { bad: secured(common) } });
    await until('a refusal', () => (proxy.refusals.length > before ? true : undefined));
    await proxy.apply({ listeners: { bad: null } });
  });
});
