import { constants, createHmac, X509Certificate } from 'node:crypto';
import type net from 'node:net';
import tls, { type SecureContext, type SecureContextOptions } from 'node:tls';
import type { DownstreamTlsSettings } from '../xds/tls-settings.ts';
import type { TlsContexts, TlsMaterial } from './contexts.ts';
import { checkPeer, NO_PEER, peerOf, type TlsPeer } from './peer.ts';
import type { SecretTable } from './secrets.ts';
import { parseSubjectAltNames } from './subject-alt-names.ts';

export interface TlsServerEvents {
  /** `raw` is what `accept` was given. */
  onSecure(socket: tls.TLSSocket, raw: net.Socket, peer: TlsPeer, localUri: string): void;
  /** The handshake failed or the peer is not who it must be; the socket is closed. */
  onRefused(reason: string, raw: net.Socket): void;
}

const NO_CONTEXTS: ReadonlyMap<string, SecureContext> = new Map();

/** Envoy has no bound of its own; without one a silent client would keep a socket for ever. */
const DEFAULT_HANDSHAKE_TIMEOUT_MS = 15_000;

/**
 * The TLS of one filter chain. Sockets come to it after inspection; new secrets hold for new handshakes and touch no
 * connection that is there.
 */
export class TlsServer {
  readonly #settings: DownstreamTlsSettings;
  readonly #contexts: TlsContexts;
  readonly #events: TlsServerEvents;
  readonly #handshakeTimeoutMs: number;
  readonly #server: tls.Server;
  /** Of clients that offer other protocols than ours: as with Envoy they get none, where Node would refuse them. Made when the first comes. */
  #withoutAlpn: tls.Server | undefined;
  readonly #stop: () => void;
  #options: SecureContextOptions = {};
  /** What new handshakes are made with. */
  #material: TlsMaterial | undefined;
  #byName: ReadonlyMap<string, SecureContext> = NO_CONTEXTS;
  /** Why there is none. */
  #missing = '';

  constructor(settings: DownstreamTlsSettings, handshakeTimeoutMs: number, contexts: TlsContexts, secrets: SecretTable, events: TlsServerEvents) {
    this.#settings = settings;
    this.#contexts = contexts;
    this.#events = events;
    this.#handshakeTimeoutMs = handshakeTimeoutMs > 0 ? handshakeTimeoutMs : DEFAULT_HANDSHAKE_TIMEOUT_MS;
    this.#server = this.#makeServer(settings.alpn);
    this.#reload();
    this.#stop = secrets.onChange(() => this.#reload());
  }

  #makeServer(alpn: readonly string[]): tls.Server {
    const { validation, certificates } = this.#settings;
    const server = tls.createServer({
      requestCert: validation !== null,
      // Decided in #secured, where the reason can be told and names are checked too.
      rejectUnauthorized: false,
      handshakeTimeout: this.#handshakeTimeoutMs,
      allowHalfOpen: true,
      noDelay: true,
      ...(certificates.length > 1
        ? { SNICallback: (name: string, done: (error: Error | null, context?: SecureContext) => void) => done(null, this.#contextFor(name)) }
        : {}),
      ...(alpn.length > 0 ? { ALPNProtocols: [...alpn] } : {}),
    });
    server.on('secureConnection', (socket) => this.#secured(socket));
    server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
      socket.destroy();
      this.#events.onRefused(`TLS handshake failed: ${error.code ?? ''} ${error.message}`, underlying(socket));
    });
    return server;
  }

  /** Takes over an accepted socket; bytes already read must have been put back with `unshift`. `offered`: its ALPN, as far as it is known. */
  accept(socket: net.Socket, offered: readonly string[] = []): void {
    if (this.#material === undefined) {
      socket.destroy();
      this.#events.onRefused(this.#missing, socket);
      return;
    }
    const { alpn } = this.#settings;
    const other = alpn.length > 0 && offered.length > 0 && !offered.some((protocol) => alpn.includes(protocol));
    (other ? this.#serverWithoutAlpn() : this.#server).emit('connection', socket);
  }

  #serverWithoutAlpn(): tls.Server {
    if (this.#withoutAlpn === undefined) {
      this.#withoutAlpn = this.#makeServer([]);
      this.#withoutAlpn.setSecureContext(this.#options);
    }
    return this.#withoutAlpn;
  }

  close(): void {
    this.#stop();
  }

  /** Of the certificate for that name; undefined: the default. */
  #contextFor(serverName: string): SecureContext | undefined {
    const name = serverName.toLowerCase();
    return this.#byName.get(name) ?? this.#byName.get(`*${name.slice(name.indexOf('.'))}`);
  }

  #sessionOptions(material: TlsMaterial): SecureContextOptions & { ticketKeys?: Buffer } {
    const { sessionTickets, sessionTicketKey, sessionTimeoutSeconds } = this.#settings;
    if (!sessionTickets) return { secureOptions: constants.SSL_OP_NO_TICKET };
    return {
      secureOptions: 0,
      ...(sessionTimeoutSeconds === 0 ? {} : { sessionTimeout: sessionTimeoutSeconds }),
      ...(sessionTicketKey === null ? {} : { ticketKeys: ticketKeys(sessionTicketKey, material) }),
    };
  }

  #reload(): void {
    const settings = this.#settings;
    const material = this.#contexts.material(settings);
    if (typeof material === 'string') {
      this.#material = undefined;
      this.#missing = material;
      return;
    }
    try {
      const options = { ...material.options, ...this.#sessionOptions(material) };
      const contexts = settings.certificates.length > 1 ? contextsByName(material, options) : NO_CONTEXTS;
      // Tickets of the context before, and with them the trust of its time, are nothing to this one.
      this.#server.setSecureContext(options);
      this.#withoutAlpn?.setSecureContext(options);
      this.#options = options;
      this.#byName = contexts;
      this.#material = material;
    } catch (cause) {
      // The last good context stays, if there was one.
      this.#missing = `the certificate or key cannot be used: ${(cause as Error).message}`;
    }
  }

  #secured(socket: tls.TLSSocket): void {
    const reason = this.#refusal(socket);
    if (reason !== '') {
      socket.on('error', () => {});
      socket.destroy();
      this.#events.onRefused(reason, underlying(socket));
      return;
    }
    this.#events.onSecure(socket, underlying(socket), socket.authorized ? peerOf(socket) : NO_PEER, this.#material?.localUri ?? '');
  }

  #refusal(socket: tls.TLSSocket): string {
    const { requireClientCertificate, requireSni, validation } = this.#settings;
    if (requireSni && !socket.servername) return 'the client sent no server name';
    if (validation === null) return '';
    const certificate = socket.getPeerX509Certificate();
    if (certificate === undefined) return requireClientCertificate ? 'the client showed no certificate' : '';
    if (!socket.authorized) return `the client's certificate was not accepted: ${String(socket.authorizationError)}`;
    // Of now, not of the begin of the handshake.
    const material = this.#material;
    if (material === undefined) return this.#missing;
    // A chain that nothing was verified against proves nothing.
    if (!material.verify) return 'there is no trusted CA to verify the client with';
    // Its dates were looked at when its session was made.
    if (socket.isSessionReused() && certificate.validToDate.getTime() <= Date.now()) return "the client's certificate has expired";
    const mismatch = checkPeer(certificate, material.rules);
    return mismatch === '' ? '' : `the client is not accepted: ${mismatch}`;
  }
}

/** Envoy's order: a name of its own before a wildcard, and of two certificates for one name the first. */
function contextsByName(material: TlsMaterial, options: SecureContextOptions): ReadonlyMap<string, SecureContext> {
  const contexts = new Map<string, SecureContext>();
  for (const { chainPem, keyPem } of material.certificates) {
    const context = tls.createSecureContext({ ...options, cert: chainPem, key: keyPem });
    for (const name of namesOf(chainPem)) if (!contexts.has(name)) contexts.set(name, context);
  }
  return contexts;
}

/** Subject alternative names of DNS, or where there are none the common name. */
function namesOf(chainPem: string): string[] {
  const certificate = new X509Certificate(chainPem);
  const { dns } = parseSubjectAltNames(certificate.subjectAltName);
  const common = /^CN=(.*)$/m.exec(certificate.subject)?.[1];
  return (dns.length > 0 || common === undefined ? dns : [common]).map((name) => name.toLowerCase());
}

/** Node's are of 48 bytes. Worked out from the trust too, so that a ticket ends with the trust that it was given under. */
function ticketKeys(key: Buffer, material: TlsMaterial): Buffer {
  const trust = JSON.stringify([material.options.ca ?? [], material.options.crl ?? [], material.certificates.map(({ chainPem }) => chainPem)]);
  const derive = (part: string) => createHmac('sha256', key).update(part).update(trust).digest();
  return Buffer.concat([derive('name and mac'), derive('cipher').subarray(0, 16)]);
}

/** Node has no public word for it. */
function underlying(socket: tls.TLSSocket): net.Socket {
  return (socket as unknown as { readonly _parent: net.Socket })._parent;
}
