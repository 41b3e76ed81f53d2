import { once } from 'node:events';
import type net from 'node:net';
import tls from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import { Faults } from '../engine/faults.ts';
import type { Runtime } from '../engine/runtime.ts';
import { Intake } from '../net/intake.ts';
import { TimerWheel } from '../net/timer-wheel.ts';
import { UpstreamTransport } from '../upstream/upstream-transport.ts';
import type { CertificatePem, PeerRules, UpstreamTlsSettings } from '../xds/tls-settings.ts';
import { TlsContexts } from './contexts.ts';
import { SecretTable } from './secrets.ts';
import { hashesOf, TestAuthority } from './testing/certificates.ts';

/** What a client of ours makes of the server that it meets. */
const PAYMENT = 'spiffe://cluster.local/ns/default/sa/payment';
const ca = new TestAuthority();
const foreign = new TestAuthority();
const us = ca.issue({ uri: ['spiffe://cluster.local/ns/default/sa/order'] });

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

async function serverWith(certificate: CertificatePem, options: tls.TlsOptions = {}): Promise<{ port: number; server: tls.Server }> {
  const server = tls.createServer({
    cert: certificate.chainPem,
    key: certificate.keyPem,
    ca: ca.pem,
    requestCert: true,
    rejectUnauthorized: false,
    ...options,
  });
  const connections: tls.TLSSocket[] = [];
  server.on('secureConnection', (socket) => {
    socket.on('error', () => {});
    connections.push(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanups.push(() => {
    for (const socket of connections) socket.destroy();
    server.close();
  });
  return { port: (server.address() as net.AddressInfo).port, server };
}

function client(
  rules: PeerRules,
  given: Partial<UpstreamTlsSettings> = {},
): { secrets: SecretTable; settings: UpstreamTlsSettings; connect: (port: number) => Promise<UpstreamTransport | string> } {
  const secrets = new SecretTable();
  secrets.setCertificate('default', us);
  secrets.setRules('ROOTCA', rules);
  const settings: UpstreamTlsSettings = {
    certificates: [{ kind: 'sds', name: 'default' }],
    validation: { rules: { trustedCaPem: '', sanMatchers: [], spkiSha256: [], certificateSha256: [], crlPem: '' }, sdsName: 'ROOTCA' },
    alpn: ['istio', 'h2'],
    minVersion: 'TLSv1.2',
    maxVersion: 'TLSv1.3',
    cipherSuites: '',
    curves: '',
    signatureAlgorithms: '',
    maxSessionKeys: 0,
    sni: 'outbound_.8080_._.payment.default.svc.cluster.local',
    ...given,
  };
  const runtime = {
    wheel: new TimerWheel(),
    tls: new TlsContexts(secrets),
    gate: null,
    intake: new Intake(),
    faults: new Faults(() => {}),
    unixMs: () => Date.now(),
  } as unknown as Runtime;
  const connect = (port: number) =>
    new Promise<UpstreamTransport | string>((resolve) => {
      const transport: UpstreamTransport = new UpstreamTransport(runtime, {
        onOpen: () => resolve(transport),
        onOpenFailed: (_timeout, detail) => resolve(detail),
      });
      transport.connect({ kind: 'socket', host: '127.0.0.1', port }, settings, '', 10_000);
      cleanups.push(() => transport.transport?.destroy());
    });
  return { secrets, settings, connect };
}

/** Both ends of a connection. */
async function met(server: tls.Server, connecting: Promise<UpstreamTransport | string>): Promise<[UpstreamTransport, tls.TLSSocket]> {
  const [transport, [socket]] = await Promise.all([connecting, once(server, 'secureConnection')]);
  if (typeof transport === 'string') throw new Error(transport);
  return [transport, socket as tls.TLSSocket];
}

it('an exact DNS name is also that of a wildcard certificate, for one label', async () => {
  const exact = (text: string): PeerRules => ({
    ...ca.rules(),
    sanMatchers: [{ type: 'dns', dnsName: text, matcher: { matches: (name) => name === text }, text: `dns exact ${text}` }],
  });
  const { port } = await serverWith(ca.issue({ dns: ['*.Example.com'] }));
  expect(await client(exact('a.example.com')).connect(port)).toMatchObject({ secure: true });
  for (const name of ['a.b.example.com', 'example.com', '*', 'com']) expect(await client(exact(name)).connect(port)).toMatch(/expected dns exact/);
});

describe('an upstream', () => {
  it('is the one that its certificate proves, and sees ours and what we ask for', async () => {
    const { port, server } = await serverWith(ca.issue({ uri: [PAYMENT] }), { ALPNProtocols: ['h2'] });
    const [transport, seen] = await met(server, client(ca.rules(PAYMENT)).connect(port));
    expect(transport).toMatchObject({ peerUri: PAYMENT, alpn: 'h2', secure: true });
    expect(seen.getPeerCertificate().subjectaltname).toBe('URI:spiffe://cluster.local/ns/default/sa/order');
    expect(seen.servername).toBe('outbound_.8080_._.payment.default.svc.cluster.local');
  });

  it.each<[string, () => CertificatePem, RegExp]>([
    ['a foreign CA, with the same name', () => foreign.issue({ uri: [PAYMENT] }), /certificate signature failure|CERT_SIGNATURE_FAILURE/],
    ['an unknown CA', () => new TestAuthority('unknown').issue({ uri: [PAYMENT] }), /UNABLE_TO_/],
    ['an expired certificate', () => ca.issue({ uri: [PAYMENT] }, { to: new Date(Date.now() - 60_000) }), /CERT_HAS_EXPIRED/],
    [
      'another name',
      () => ca.issue({ uri: ['spiffe://cluster.local/ns/default/sa/ledger'] }),
      /is for spiffe:\/\/cluster\.local\/ns\/default\/sa\/ledger; expected URI spiffe/,
    ],
    ['the name as a DNS name', () => ca.issue({ dns: [PAYMENT] }), /expected URI/],
    ['no name', () => ca.issue({}), /is for nobody/],
  ])('is refused with %s', async (_name, certificate, reason) => {
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      const { port } = await serverWith(certificate(), { maxVersion });
      expect(await client(ca.rules(PAYMENT)).connect(port)).toMatch(reason);
    }
  });

  it('may have any name where none is asked for, and any of several', async () => {
    const { port } = await serverWith(ca.issue({ dns: ['payment'] }));
    expect(await client(ca.rules()).connect(port)).toMatchObject({ peerUri: '' });
    expect(await client(ca.rules('spiffe://a/b', PAYMENT)).connect((await serverWith(ca.issue({ uri: ['spiffe://x/y', PAYMENT] }))).port)).toMatchObject({
      secure: true,
    });
  });

  it('must have one of the pinned keys', async () => {
    const pinned = ca.issue({ uri: [PAYMENT] });
    const rules = { ...ca.rules(PAYMENT), spkiSha256: [hashesOf(pinned).spki] };
    expect(await client(rules).connect((await serverWith(pinned)).port)).toMatchObject({ peerUri: PAYMENT });
    expect(await client(rules).connect((await serverWith(ca.issue({ uri: [PAYMENT] }))).port)).toMatch(/hash of its public key/);
  });

  it('is never met by a name alone', async () => {
    const { port } = await serverWith(ca.issue({ uri: [PAYMENT] }));
    expect(await client({ ...ca.rules(PAYMENT), trustedCaPem: '' }).connect(port)).toBe('TLS: names are to be checked, but there is no trusted CA');
  });
});

describe('secrets that change', () => {
  it('hold for new connections and touch none that is there', async () => {
    const { port, server } = await serverWith(ca.issue({ uri: [PAYMENT] }));
    const { secrets, connect } = client(ca.rules(PAYMENT));
    const fingerprint = (socket: tls.TLSSocket) => socket.getPeerCertificate().fingerprint256.replaceAll(':', '').toLowerCase();
    const [first, seen] = await met(server, connect(port));
    expect(fingerprint(seen)).toBe(hashesOf(us).certificate);
    const renewed = ca.issue({ uri: ['spiffe://cluster.local/ns/default/sa/order'] });
    secrets.setCertificate('default', renewed);
    expect(fingerprint((await met(server, connect(port)))[1])).toBe(hashesOf(renewed).certificate);
    const heard = once(seen, 'data');
    first.transport.write(Buffer.from('still here'));
    expect(`${(await heard)[0]}`).toBe('still here');
    secrets.setRules('ROOTCA', new TestAuthority('next root').rules(PAYMENT));
    expect(await connect(port)).toMatch(/UNABLE_TO_|SELF_SIGNED/);
  });

  it('are never outlived by a session without max_session_keys: each connection checks the server anew', async () => {
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      const { port, server } = await serverWith(ca.issue({ uri: [PAYMENT] }), { maxVersion });
      const { connect } = client(ca.rules(PAYMENT));
      for (let i = 0; i < 2; i++) {
        const [transport, seen] = await met(server, connect(port));
        // A round trip, so that a ticket had the time to come.
        const heard = once(seen, 'data');
        transport.transport.write(Buffer.from('x'));
        await heard;
        expect(transport.peerUri).toBe(PAYMENT);
        expect(seen.isSessionReused()).toBe(false);
      }
    }
  });

  describe.each(['TLSv1.2', 'TLSv1.3'] as const)('are resumed over %s where max_session_keys allows it', (maxVersion) => {
    /** A round trip, so that a ticket had the time to come. */
    async function visit(server: tls.Server, connecting: Promise<UpstreamTransport | string>): Promise<{ peerUri: string; reused: boolean; us: string }> {
      const [transport, seen] = await met(server, connecting);
      const answered = new Promise<void>((resolve) => {
        transport.sink = { receive: () => resolve(), receiveEnd: () => {}, transportClosed: () => {}, transportDrained: () => {} };
      });
      seen.once('data', () => seen.write('y'));
      transport.transport.write(Buffer.from('x'));
      await answered;
      return { peerUri: transport.peerUri, reused: seen.isSessionReused(), us: seen.getPeerCertificate().subjectaltname ?? '' };
    }
    const one = { maxSessionKeys: 1 };

    it('and say whose they are all the same', async () => {
      const { port, server } = await serverWith(ca.issue({ uri: [PAYMENT] }), { maxVersion });
      const { connect } = client(ca.rules(PAYMENT), one);
      const visits = [];
      for (let i = 0; i < 3; i++) visits.push(await visit(server, connect(port)));
      expect(visits.map(({ peerUri, reused }) => [peerUri, reused])).toEqual([
        [PAYMENT, false],
        [PAYMENT, true],
        [PAYMENT, true],
      ]);
    });

    it('but not once we trust another authority, or other names', async () => {
      const { port, server } = await serverWith(ca.issue({ uri: [PAYMENT] }), { maxVersion });
      const { connect, secrets } = client(ca.rules(PAYMENT), one);
      await visit(server, connect(port));
      secrets.setRules('ROOTCA', new TestAuthority('next root').rules(PAYMENT));
      expect(await connect(port)).toMatch(/UNABLE_TO_|SELF_SIGNED/);
      secrets.setRules('ROOTCA', ca.rules(PAYMENT));
      await visit(server, connect(port));
      secrets.setRules('ROOTCA', ca.rules('spiffe://cluster.local/ns/default/sa/ledger'));
      expect(await connect(port)).toMatch(/expected URI/);
    });

    it('but not with the identity that we had before', async () => {
      const { port, server } = await serverWith(ca.issue({ uri: [PAYMENT] }), { maxVersion });
      const { connect, secrets } = client(ca.rules(PAYMENT), one);
      await visit(server, connect(port));
      secrets.setCertificate('default', ca.issue({ uri: ['spiffe://cluster.local/ns/default/sa/renamed'] }));
      expect(await visit(server, connect(port))).toMatchObject({ reused: false, us: 'URI:spiffe://cluster.local/ns/default/sa/renamed' });
    });

    it('but not of a server that was refused', async () => {
      const { port } = await serverWith(foreign.issue({ uri: [PAYMENT] }), { maxVersion });
      const { connect } = client(ca.rules(PAYMENT), one);
      for (let i = 0; i < 2; i++) expect(await connect(port)).toMatch(/SIGNATURE_FAILURE|signature failure/);
      const pinned = await serverWith(ca.issue({ uri: [PAYMENT] }), { maxVersion });
      const unpinned = client({ ...ca.rules(), trustedCaPem: '', certificateSha256: ['00'] }, one);
      for (let i = 0; i < 2; i++) expect(await unpinned.connect(pinned.port)).toMatch(/hash of its certificate/);
    });
  });

  it('are built into a context once, not for each connection', async () => {
    const { secrets, settings } = client(ca.rules(PAYMENT));
    const contexts = new TlsContexts(secrets);
    const first = contexts.client(settings);
    expect(contexts.client(settings)).toBe(first);
    secrets.setCertificate('default', us);
    expect(contexts.client(settings)).not.toBe(first);
    secrets.setCertificate('default', { chainPem: 'broken', keyPem: 'broken' });
    expect(contexts.client(settings)).toMatch(/^the certificate or key cannot be used/);
  });
});
