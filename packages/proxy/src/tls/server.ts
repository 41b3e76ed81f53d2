import { constants } from 'node:crypto';
import type net from 'node:net';
import tls from 'node:tls';
import type { DownstreamTlsSettings } from '../xds/tls-settings.ts';
import type { TlsContexts, TlsMaterial } from './contexts.ts';
import { checkPeer, NO_PEER, peerOf, type TlsPeer } from './peer.ts';
import type { SecretTable } from './secrets.ts';

export interface TlsServerEvents {
  /** `raw` is what `accept` was given. */
  onSecure(socket: tls.TLSSocket, raw: net.Socket, peer: TlsPeer, localUri: string): void;
  /** The handshake failed or the peer is not who it must be; the socket is closed. */
  onRefused(reason: string, raw: net.Socket): void;
}

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
  readonly #server: tls.Server;
  readonly #stop: () => void;
  /** What new handshakes are made with. */
  #material: TlsMaterial | undefined;
  /** Why there is none. */
  #missing = '';

  constructor(settings: DownstreamTlsSettings, handshakeTimeoutMs: number, contexts: TlsContexts, secrets: SecretTable, events: TlsServerEvents) {
    this.#settings = settings;
    this.#contexts = contexts;
    this.#events = events;
    this.#server = tls.createServer({
      requestCert: settings.validation !== null,
      // Decided in #secured, where the reason can be told and names are checked too.
      rejectUnauthorized: false,
      handshakeTimeout: handshakeTimeoutMs > 0 ? handshakeTimeoutMs : DEFAULT_HANDSHAKE_TIMEOUT_MS,
      allowHalfOpen: true,
      noDelay: true,
      ...(settings.alpn.length > 0 ? { ALPNProtocols: [...settings.alpn] } : {}),
    });
    this.#server.on('secureConnection', (socket) => this.#secured(socket));
    this.#server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
      socket.destroy();
      events.onRefused(`TLS handshake failed: ${error.code ?? ''} ${error.message}`, underlying(socket));
    });
    this.#reload();
    this.#stop = secrets.onChange(() => this.#reload());
  }

  /** Takes over an accepted socket; bytes already read must have been put back with `unshift`. */
  accept(socket: net.Socket): void {
    if (this.#material === undefined) {
      socket.destroy();
      this.#events.onRefused(this.#missing, socket);
      return;
    }
    this.#server.emit('connection', socket);
  }

  close(): void {
    this.#stop();
  }

  #reload(): void {
    const material = this.#contexts.material(this.#settings);
    if (typeof material === 'string') {
      this.#material = undefined;
      this.#missing = material;
      return;
    }
    try {
      // A resumed session would carry the trust of the time when it was made.
      this.#server.setSecureContext({ ...material.options, secureOptions: constants.SSL_OP_NO_TICKET });
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
    const certificate = socket.getPeerCertificate();
    if (certificate.raw === undefined) return requireClientCertificate ? 'the client showed no certificate' : '';
    if (!socket.authorized) return `the client's certificate was not accepted: ${String(socket.authorizationError)}`;
    // Of now, not of the begin of the handshake.
    const material = this.#material;
    if (material === undefined) return this.#missing;
    // A chain that nothing was verified against proves nothing.
    if (!material.verify) return 'there is no trusted CA to verify the client with';
    const mismatch = checkPeer(certificate, material.rules);
    return mismatch === '' ? '' : `the client is not accepted: ${mismatch}`;
  }
}

/** Node has no public word for it. */
function underlying(socket: tls.TLSSocket): net.Socket {
  return (socket as unknown as { readonly _parent: net.Socket })._parent;
}
