import type { TLSSocket } from 'node:tls';

/** A session that a server gave, with what its certificate proved when the handshake was whole. */
export interface ClientSession {
  readonly ticket: Buffer;
  /** First URI of the server's certificate: a resumed session shows none. */
  readonly peerUri: string;
  /** Unix ms; the certificate proves nothing after it. */
  readonly peerValidToMs: number;
}

/**
 * Sessions of one TLS context, the latest of each server. One is offered again until the server gives another: RFC 8446 appendix C.4
 * advises against it for the sake of who would not be recognised, which a proxy with a name need not hide; OpenSSL as a server gives
 * none on a connection that is itself resumed.
 */
export class ClientSessions {
  readonly #max: number;
  readonly #sessions = new Map<string, ClientSession>();

  constructor(max: number) {
    this.#max = max;
  }

  get enabled(): boolean {
    return this.#max > 0;
  }

  get(server: string, nowUnixMs: number): ClientSession | undefined {
    const session = this.#sessions.get(server);
    return session === undefined || session.peerValidToMs <= nowUnixMs ? undefined : session;
  }

  put(server: string, session: ClientSession): void {
    this.#sessions.delete(server);
    this.#sessions.set(server, session);
    if (this.#sessions.size > this.#max) for (const [oldest] of this.#sessions) return void this.#sessions.delete(oldest);
  }
}

/** Keeps the sessions that a server gives on one connection, once it is known who that server is. */
export class SessionKeeper {
  readonly #sessions: ClientSessions;
  readonly #server: string;
  #proven: Omit<ClientSession, 'ticket'> | undefined;
  /** Came before the end of the handshake (TLS 1.2). */
  #early: Buffer | undefined;

  constructor(socket: TLSSocket, sessions: ClientSessions, server: string) {
    this.#sessions = sessions;
    this.#server = server;
    socket.on('session', (ticket) => this.#keep(ticket));
  }

  /** The server is accepted: by its certificate, or by the session that it has resumed. */
  accepted(socket: TLSSocket, peerUri: string, resumed: ClientSession | undefined): void {
    this.#proven = resumed ?? { peerUri, peerValidToMs: socket.getPeerX509Certificate()?.validToDate.getTime() ?? 0 };
    if (this.#early !== undefined) this.#keep(this.#early);
  }

  #keep(ticket: Buffer): void {
    if (this.#proven === undefined) this.#early = ticket;
    else this.#sessions.put(this.#server, { ticket, peerUri: this.#proven.peerUri, peerValidToMs: this.#proven.peerValidToMs });
  }
}
