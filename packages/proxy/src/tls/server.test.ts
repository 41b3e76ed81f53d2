import { once } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { DownstreamTlsSettings, PeerRules } from '../xds/tls-settings.ts';
import { TlsContexts } from './contexts.ts';
import type { TlsPeer } from './peer.ts';
import { SecretTable } from './secrets.ts';
import { TlsServer } from './server.ts';
import { hashesOf, TestAuthority } from './testing/certificates.ts';

const SERVER = 'spiffe://cluster.local/ns/default/sa/payment';
const CLIENT = 'spiffe://cluster.local/ns/default/sa/order';
const ca = new TestAuthority();
/** The same in all but its key. */
const foreign = new TestAuthority();
const client = ca.issue({ uri: [CLIENT], commonName: 'order' });

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

function settingsOf(given: Partial<DownstreamTlsSettings> = {}): DownstreamTlsSettings {
  return {
    certificates: [{ kind: 'sds', name: 'default' }],
    validation: { rules: { trustedCaPem: '', sanMatchers: [], spkiSha256: [], certificateSha256: [], crlPem: '' }, sdsName: 'ROOTCA' },
    alpn: ['h2', 'http/1.1'],
    minVersion: 'TLSv1.2',
    maxVersion: 'TLSv1.3',
    cipherSuites: '',
    curves: '',
    signatureAlgorithms: '',
    sessionTickets: false,
    sessionTicketKey: null,
    sessionTimeoutSeconds: 0,
    requireClientCertificate: true,
    requireSni: false,
    ...given,
  };
}

class Server {
  readonly secrets = new SecretTable();
  readonly accepted: { socket: tls.TLSSocket; peer: TlsPeer; localUri: string }[] = [];
  readonly refused: string[] = [];
  port = 0;
  /** What a listener filter has seen of the ALPN of the next clients. */
  offered: readonly string[] = [];
  #changed: () => void = () => {};
  readonly #raw = new Map<number, net.Socket>();
  #tls: TlsServer | undefined;

  static async listen(given: Partial<DownstreamTlsSettings> = {}, rules: PeerRules | null = ca.rules(), handshakeTimeoutMs = 0): Promise<Server> {
    const server = new Server();
    if (rules !== null) {
      server.secrets.setCertificate('default', ca.issue({ uri: [SERVER] }));
      server.secrets.setRules('ROOTCA', rules);
    }
    server.#tls = new TlsServer(settingsOf(given), handshakeTimeoutMs, new TlsContexts(server.secrets), server.secrets, {
      onSecure: (socket, raw, peer, localUri) => {
        expect(raw).toBe(server.#raw.get(socket.remotePort!));
        socket.on('error', () => {});
        server.accepted.push({ socket, peer, localUri });
        // Echoes, so that a client can see that its connection lives.
        socket.pipe(socket);
        server.#changed();
      },
      onRefused: (reason) => {
        server.refused.push(reason);
        server.#changed();
      },
    });
    const listener = net.createServer((socket) => {
      socket.on('error', () => {});
      server.#raw.set(socket.remotePort!, socket);
      server.#tls!.accept(socket, server.offered);
    });
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    server.port = (listener.address() as net.AddressInfo).port;
    cleanups.push(() => {
      for (const { socket } of server.accepted) socket.destroy();
      listener.close();
      server.#tls!.close();
    });
    return server;
  }

  /** The verdict about one more client: 'accepted', or why not. */
  async verdict(options: tls.ConnectionOptions): Promise<string> {
    const before = this.accepted.length + this.refused.length;
    const refusals = this.refused.length;
    const socket = this.connect(options);
    while (this.accepted.length + this.refused.length === before) {
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
    if (this.refused.length > refusals) {
      socket.destroy();
      return this.refused.at(-1)!;
    }
    return 'accepted';
  }

  connect(options: tls.ConnectionOptions): tls.TLSSocket {
    const socket = tls.connect({ port: this.port, host: '127.0.0.1', rejectUnauthorized: false, servername: 'payment', ...options });
    socket.on('error', () => {});
    cleanups.push(() => socket.destroy());
    return socket;
  }
}

async function echo(socket: tls.TLSSocket, text: string): Promise<string> {
  socket.write(text);
  const [bytes] = await once(socket, 'data');
  return `${bytes}`;
}

const shows = ({ chainPem, keyPem }: { chainPem: string; keyPem: string }): tls.ConnectionOptions => ({ cert: chainPem, key: keyPem });

describe('who is accepted', () => {
  it.each(['TLSv1.2', 'TLSv1.3'] as const)('a client of the mesh, and what it is, over %s', async (version) => {
    const server = await Server.listen({}, ca.rules(CLIENT));
    expect(await server.verdict({ ...shows(client), maxVersion: version, ALPNProtocols: ['h2'] })).toBe('accepted');
    const { peer, localUri, socket } = server.accepted[0]!;
    expect(peer).toEqual({ uri: CLIENT, names: { uri: [CLIENT], dns: [], email: [], ip: [] }, sha256: hashesOf(client).certificate, subject: 'CN=order' });
    expect(localUri).toBe(SERVER);
    expect([socket.getProtocol(), socket.alpnProtocol]).toEqual([version, 'h2']);
  });

  it('a client that offers other protocols than ours gets none, as with Envoy, by what is known of it; of new secrets too', async () => {
    const server = await Server.listen({}, ca.rules(CLIENT));
    const options = { ...shows(client), ALPNProtocols: ['istio-http/1.1'] };
    expect(await server.verdict(options)).toMatch(/TLS handshake failed/);
    server.offered = options.ALPNProtocols;
    expect(await server.verdict(options)).toBe('accepted');
    expect(server.accepted[0]!.socket.alpnProtocol).toBe(false);
    server.secrets.setRules('ROOTCA', foreign.rules());
    expect(await server.verdict(options)).toMatch(/was not accepted/);
    server.offered = ['istio', 'h2'];
    expect(await server.verdict({ ...shows(foreign.issue({ uri: [CLIENT] })), ALPNProtocols: ['istio', 'h2'] })).toBe('accepted');
    expect(server.accepted.at(-1)!.socket.alpnProtocol).toBe('h2');
  });

  it.each<[string, () => tls.ConnectionOptions, RegExp]>([
    ['no certificate', () => ({}), /showed no certificate/],
    ['a certificate of a foreign CA with the same name', () => shows(foreign.issue({ uri: [CLIENT] })), /was not accepted: CERT_SIGNATURE_FAILURE/],
    ['a certificate of a CA that nobody knows', () => shows(new TestAuthority('unknown').issue({ uri: [CLIENT] })), /was not accepted: UNABLE/],
    ['an expired certificate', () => shows(ca.issue({ uri: [CLIENT] }, { to: new Date(Date.now() - 60_000) })), /CERT_HAS_EXPIRED/],
    ['a certificate that is not valid yet', () => shows(ca.issue({ uri: [CLIENT] }, { from: new Date(Date.now() + 60_000) })), /CERT_NOT_YET_VALID/],
    [
      'another name',
      () => shows(ca.issue({ uri: ['spiffe://cluster.local/ns/default/sa/ledger'] })),
      /is for spiffe:\/\/cluster\.local\/ns\/default\/sa\/ledger; expected URI spiffe/,
    ],
    ['the name as a DNS name', () => shows(ca.issue({ dns: [CLIENT] })), /is for spiffe/],
    ['the name inside another', () => shows(ca.issue({ uri: [`${CLIENT}-evil`] })), /-evil; expected/],
    ['no name', () => shows(ca.issue({})), /is for nobody/],
    ['a DNS name that pretends to hold a URI', () => shows(ca.issue({ dns: [`x, URI:${CLIENT}`] })), /expected URI/],
    ['a certificate that signs itself', () => shows(new TestAuthority('order').issue({ uri: [CLIENT] })), /was not accepted/],
  ])('nobody with %s', async (_name, options, reason) => {
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const server = await Server.listen({}, ca.rules(CLIENT));
      expect(await server.verdict({ ...options(), maxVersion: version })).toMatch(reason);
      expect(server.accepted).toEqual([]);
    }
  });

  it('a client whose certificate would break a line of a header, told in ASCII without it', async () => {
    const server = await Server.listen();
    const evil = ca.issue({ uri: [CLIENT, 'spiffe://a/b\r\nX-Evil: 1'], dns: ['a\nb', 'good'], commonName: 'a\r\nX-Evil: 1, "\u{1f600}\u010a' });
    expect(await server.verdict(shows(evil))).toBe('accepted');
    const { peer } = server.accepted[0]!;
    expect(peer.names).toEqual({ uri: [CLIENT], dns: ['good'], email: [], ip: [] });
    expect(peer.subject).toBe('CN=a\\0d\\0aX-Evil: 1\\, \\"\\f0\\9f\\98\\80\\c4\\8a');
  });

  it('a client without a certificate only where none is required, and then it is nobody', async () => {
    const server = await Server.listen({ requireClientCertificate: false });
    expect(await server.verdict({})).toBe('accepted');
    expect(server.accepted[0]!.peer.uri).toBe('');
    // But one that shows a wrong one is refused.
    expect(await server.verdict(shows(foreign.issue({ uri: [CLIENT] })))).toMatch(/not accepted/);
  });

  it('nobody by a name where no CA is trusted: a name alone proves nothing', async () => {
    const server = await Server.listen({}, { ...ca.rules(CLIENT), trustedCaPem: '' });
    expect(await server.verdict(shows(client))).toMatch(/no trusted CA/);
    const nameless = await Server.listen({}, { ...ca.rules(), trustedCaPem: '' });
    expect(await nameless.verdict(shows(client))).toMatch(/no trusted CA|not accepted/);
    expect(nameless.accepted).toEqual([]);
  });

  it('whoever has one of the pinned certificates or keys', async () => {
    const hashes = hashesOf(client);
    const other = shows(ca.issue({ uri: [CLIENT] }));
    for (const pins of [{ certificateSha256: [hashes.certificate] }, { spkiSha256: [hashes.spki] }]) {
      const server = await Server.listen({}, { ...ca.rules(), ...pins });
      expect(await server.verdict(shows(client))).toBe('accepted');
      expect(await server.verdict(other)).toMatch(/hash of its (certificate|public key) is not among/);
    }
  });

  it('only who names a server, where that is asked', async () => {
    const server = await Server.listen({ requireSni: true });
    expect(await server.verdict(shows(client))).toBe('accepted');
    expect(await server.verdict({ ...shows(client), servername: '' })).toMatch(/no server name/);
  });

  it('nobody who speaks no TLS, or nothing', async () => {
    const server = await Server.listen({}, ca.rules(), 50);
    const plain = net.connect(server.port, '127.0.0.1');
    plain.on('error', () => {});
    plain.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await once(plain, 'close');
    const silent = net.connect(server.port, '127.0.0.1');
    silent.on('error', () => {});
    await once(silent, 'close');
    expect(server.refused).toEqual([expect.stringMatching(/^TLS handshake failed/), expect.stringMatching(/^TLS handshake failed: ERR_TLS_HANDSHAKE_TIMEOUT/)]);
  });
});

describe('secrets that change', () => {
  it('hold for new handshakes and touch no connection that is there', async () => {
    const server = await Server.listen();
    const old = server.connect(shows(client));
    await once(old, 'secureConnect');
    const before = old.getPeerCertificate().fingerprint256;
    for (let i = 0; i < 20; i++) {
      server.secrets.setCertificate('default', ca.issue({ uri: [`${SERVER}-${i}`] }));
      expect(await server.verdict(shows(client))).toBe('accepted');
      expect(server.accepted.at(-1)!.localUri).toBe(`${SERVER}-${i}`);
      expect(await echo(old, `${i}`)).toBe(`${i}`);
    }
    const fresh = server.connect(shows(client));
    await once(fresh, 'secureConnect');
    expect(fresh.getPeerCertificate().fingerprint256).not.toBe(before);
    expect(server.refused).toEqual([]);
  });

  it('end the trust in a CA for new handshakes', async () => {
    const server = await Server.listen();
    const next = new TestAuthority('next root');
    const both = { ...ca.rules(), trustedCaPem: ca.pem + next.pem };
    server.secrets.setRules('ROOTCA', both);
    expect(await server.verdict(shows(client))).toBe('accepted');
    expect(await server.verdict(shows(next.issue({ uri: [CLIENT] })))).toBe('accepted');
    server.secrets.setRules('ROOTCA', next.rules());
    expect(await server.verdict(shows(client))).toMatch(/not accepted/);
    expect(await server.verdict(shows(next.issue({ uri: [CLIENT] })))).toBe('accepted');
  });

  it('end the trust in a CA for a handshake that had begun before', async () => {
    const server = await Server.listen();
    // Carries the first flight of the client over, and the next ones when the rules have changed.
    const relay = net.createServer((inner) => {
      const outer = net.connect(server.port, '127.0.0.1');
      inner.on('error', () => {}).on('close', () => outer.destroy());
      outer.on('error', () => {}).on('close', () => inner.destroy());
      outer.pipe(inner);
      inner.once('data', (hello) => {
        outer.write(hello);
        inner.once('data', (rest) => {
          server.secrets.setRules('ROOTCA', ca.rules('spiffe://cluster.local/ns/default/sa/other'));
          outer.write(rest);
          inner.pipe(outer);
        });
      });
    });
    relay.listen(0, '127.0.0.1');
    await once(relay, 'listening');
    cleanups.push(() => relay.close());
    const slow = server.connect({ ...shows(client), port: (relay.address() as net.AddressInfo).port });
    await once(slow, 'close');
    expect(server.accepted).toEqual([]);
    expect(server.refused[0]).toMatch(/expected URI spiffe:\/\/cluster\.local\/ns\/default\/sa\/other/);
  });

  it('are waited for: a client is refused until they are there', async () => {
    const server = await Server.listen({}, null);
    expect(await server.verdict(shows(client))).toBe('the secret default has not come yet');
    server.secrets.setCertificate('default', ca.issue({ uri: [SERVER] }));
    expect(await server.verdict(shows(client))).toBe('the secret ROOTCA has not come yet');
    server.secrets.setRules('ROOTCA', ca.rules());
    expect(await server.verdict(shows(client))).toBe('accepted');
  });

  it.each<[string, { uri?: string[]; dns?: string[] }]>([
    ['with a URI', { uri: [SERVER] }],
    ['without a URI', { dns: ['payment'] }],
  ])('that cannot be used leave the last good ones in force, %s', async (_name, names) => {
    const server = await Server.listen();
    server.secrets.setCertificate('default', ca.issue(names));
    expect(await server.verdict(shows(client))).toBe('accepted');
    server.secrets.setCertificate('default', { chainPem: 'broken', keyPem: 'broken' });
    expect(await server.verdict(shows(client))).toBe('accepted');
    expect(server.accepted.at(-1)!.localUri).toBe(names.uri?.[0] ?? '');
  });

  it('that cannot be used from the begin let nobody in', async () => {
    const server = await Server.listen({}, null);
    server.secrets.setRules('ROOTCA', ca.rules());
    server.secrets.setCertificate('default', { chainPem: 'broken', keyPem: 'broken' });
    expect(await server.verdict(shows(client))).toMatch(/^the certificate or key cannot be used/);
  });
});

describe('sessions', () => {
  interface Visit {
    readonly reused: boolean;
    readonly session: Buffer;
    readonly socket: tls.TLSSocket;
  }

  /** Connects, talks, and gives what can be resumed. */
  async function visit(server: Server, options: tls.ConnectionOptions): Promise<Visit> {
    const socket = server.connect(options);
    const sessions: Buffer[] = [];
    socket.on('session', (session) => sessions.push(session));
    await once(socket, 'secureConnect');
    expect(await echo(socket, 'x')).toBe('x');
    expect(server.accepted.at(-1)!.socket.isSessionReused()).toBe(socket.isSessionReused());
    return { reused: socket.isSessionReused(), session: sessions.at(-1) ?? socket.getSession()!, socket };
  }

  const over = (version: 'TLSv1.2' | 'TLSv1.3') => ({ ...shows(client), minVersion: version, maxVersion: version });
  const versions = ['TLSv1.2', 'TLSv1.3'] as const;

  it.each(versions)('are not resumed over %s where tickets are switched off: each connection proves who it is', async (version) => {
    const server = await Server.listen();
    const { session } = await visit(server, over(version));
    expect((await visit(server, { ...over(version), session })).reused).toBe(false);
  });

  it.each(versions)('are resumed over %s, and show whose they are', async (version) => {
    const server = await Server.listen({ sessionTickets: true }, ca.rules(CLIENT));
    const { session } = await visit(server, over(version));
    expect((await visit(server, { ...over(version), session })).reused).toBe(true);
    expect(server.accepted.map(({ peer }) => peer.uri)).toEqual([CLIENT, CLIENT]);
  });

  it.each(versions)('end over %s with our certificate, and with the trust under which they were given', async (version) => {
    for (const sessionTicketKey of [null, Buffer.alloc(80, 'k')]) {
      const server = await Server.listen({ sessionTickets: true, sessionTicketKey });
      const first = await visit(server, over(version));
      server.secrets.setCertificate('default', ca.issue({ uri: [SERVER] }));
      const second = await visit(server, { ...over(version), session: first.session });
      expect(second.reused).toBe(false);
      const next = new TestAuthority('next root');
      server.secrets.setRules('ROOTCA', next.rules());
      expect(await server.verdict({ ...over(version), session: second.session })).toMatch(/not accepted/);
      // A name that is accepted no longer, of the same authority.
      server.secrets.setRules('ROOTCA', ca.rules());
      const third = await visit(server, over(version));
      server.secrets.setRules('ROOTCA', ca.rules('spiffe://cluster.local/ns/default/sa/other'));
      expect(await server.verdict({ ...over(version), session: third.session })).toMatch(/expected URI/);
    }
  });

  it.each(versions)('end over %s with the revocation of the certificate that they were given to', async (version) => {
    for (const sessionTicketKey of [null, Buffer.alloc(80, 'k')]) {
      const server = await Server.listen({ sessionTickets: true, sessionTicketKey });
      const { session } = await visit(server, over(version));
      server.secrets.setRules('ROOTCA', { ...ca.rules(), crlPem: ca.revoke(client) });
      expect(await server.verdict({ ...over(version), session })).toMatch(/CERT_REVOKED/);
    }
  });

  it.each(versions)('do not outlive the certificate of the client over %s', async (version) => {
    const server = await Server.listen({ sessionTickets: true });
    const { session } = await visit(server, over(version));
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 2 * 3_600_000 });
    try {
      expect(await server.verdict({ ...over(version), session })).toBe("the client's certificate has expired");
    } finally {
      vi.useRealTimers();
    }
  });

  it.each(versions)('of somebody who was refused are refused over %s', async (version) => {
    const server = await Server.listen({ sessionTickets: true }, ca.rules());
    const stranger = { ...over(version), ...shows(foreign.issue({ uri: [CLIENT] })) };
    const socket = server.connect(stranger);
    const sessions: Buffer[] = [];
    socket.on('session', (session) => sessions.push(session));
    await new Promise((resolve) => socket.once('close', resolve));
    const session = sessions.at(-1);
    if (session !== undefined) expect(await server.verdict({ ...stranger, session })).toMatch(/not accepted/);
    expect(server.accepted).toEqual([]);
  });

  it('are taken by another proxy that has the same key, certificate and trust', async () => {
    const certificate = ca.issue({ uri: [SERVER] });
    const key = { sessionTickets: true, sessionTicketKey: Buffer.alloc(80, 'k') };
    const [one, two, other] = [await Server.listen(key), await Server.listen(key), await Server.listen({ ...key, sessionTicketKey: Buffer.alloc(80, 'l') })];
    for (const server of [one, two, other]) server.secrets.setCertificate('default', certificate);
    const { session } = await visit(one, over('TLSv1.3'));
    expect((await visit(other, { ...over('TLSv1.3'), session })).reused).toBe(false);
    const { session: again } = await visit(one, over('TLSv1.3'));
    expect((await visit(two, { ...over('TLSv1.3'), session: again })).reused).toBe(true);
  });
});

describe('certificates', () => {
  const named = (...dns: string[]) => ({ kind: 'inline', certificate: ca.issue({ dns }) }) as const;
  it('are chosen by the name that the client asks for; the first one where none is meant', async () => {
    const server = await Server.listen({
      certificates: [named('first.example'), named('*.wild.example'), named('a.wild.example', 'second.example')],
      requireClientCertificate: false,
    });
    const shown = async (servername: string): Promise<string | undefined> => {
      const socket = server.connect({ servername });
      await once(socket, 'secureConnect');
      await echo(socket, 'x');
      return socket.getPeerCertificate().subjectaltname;
    };
    expect(await shown('second.example')).toBe('DNS:a.wild.example, DNS:second.example');
    expect(await shown('A.wild.example')).toBe('DNS:a.wild.example, DNS:second.example');
    expect(await shown('b.wild.example')).toBe('DNS:*.wild.example');
    expect(await shown('b.c.wild.example')).toBe('DNS:first.example');
    expect(await shown('')).toBe('DNS:first.example');
    // Whoever asks for a name is looked at no less.
    expect(await server.verdict({ servername: 'second.example', ...shows(foreign.issue({ uri: [CLIENT] })) })).toMatch(/not accepted/);
  });

  it('that were revoked let nobody in', async () => {
    const revoked = ca.issue({ uri: [CLIENT] });
    const server = await Server.listen({}, { ...ca.rules(), crlPem: ca.revoke(revoked) });
    expect(await server.verdict(shows(revoked))).toMatch(/CERT_REVOKED/);
    expect(await server.verdict(shows(client))).toBe('accepted');
  });
});

it('versions, ciphers and curves are as they were said', async () => {
  const cipherSuites = 'ECDHE-ECDSA-AES256-GCM-SHA384:TLS_AES_128_GCM_SHA256';
  const server = await Server.listen({ cipherSuites, curves: 'P-384:P-256', signatureAlgorithms: 'ecdsa_secp256r1_sha256' });
  const told = async (options: tls.ConnectionOptions): Promise<string> => {
    const socket = server.connect({ ...shows(client), ...options });
    await once(socket, 'secureConnect');
    return `${socket.getProtocol()} ${socket.getCipher().name} ${(socket.getEphemeralKeyInfo() as tls.EphemeralKeyInfo).name}`;
  };
  expect(await told({})).toBe('TLSv1.3 TLS_AES_128_GCM_SHA256 secp384r1');
  expect(await told({ maxVersion: 'TLSv1.2' })).toBe('TLSv1.2 ECDHE-ECDSA-AES256-GCM-SHA384 secp384r1');
  const newest = await Server.listen({ minVersion: 'TLSv1.3' });
  expect(await newest.verdict({ ...shows(client), maxVersion: 'TLSv1.2' })).toMatch(/UNSUPPORTED_PROTOCOL/);
});
