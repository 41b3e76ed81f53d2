import { chmodSync, renameSync, statSync, unlinkSync } from 'node:fs';
import {
  createSecureServer,
  createServer,
  type Http2SecureServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import type { Server as TlsServer } from 'node:tls';
import { callerOf, type PeerCredentialsReader } from './caller.ts';
import { type StreamMethods, serveStream } from './stream-method.ts';

/** What a server shows and whom it trusts, PEM. */
export interface ServerTls {
  readonly key: string | Buffer;
  /** Leaf first. */
  readonly cert: string | Buffer;
  /** Roots against which client certificates are verified. */
  readonly ca: string | Buffer | readonly (string | Buffer)[];
}

export interface GrpcServerOptions {
  readonly listen: { readonly socketPath: string } | { readonly host: string; readonly port: number };
  /** Absent: in the clear. A client without a certificate is let in, as a caller without identity: each service decides. */
  readonly tls?: ServerTls;
  readonly methods: StreamMethods;
  /** Bytes of one request message. Default 8 MiB; 64 KiB, if that is less, of who shows no certificate where `tls` asks for one. */
  readonly maxRequestBytes?: number;
  /** Connections at once. Default 10,000. */
  readonly maxConnections?: number;
  /** HTTP/2 PING at this interval; a connection that does not answer until the next one is ended. Default 15,000. */
  readonly keepAliveIntervalMs?: number;
  /** Unix sockets: reads who connected, for `Caller.peer`. */
  readonly peerCredentials?: PeerCredentialsReader;
}

export interface GrpcServer {
  /** TCP: the port that was bound. Unix socket: 0. */
  readonly port: number;
  /** For new handshakes; connections that are open stay. */
  setTls(tls: ServerTls): void;
  /** Ends every connection and frees the address. */
  close(): Promise<void>;
}

export type GrpcServerErrorCode = 'address-in-use' | 'listen-failed' | 'path-too-long';

export class GrpcServerError extends Error {
  readonly code: GrpcServerErrorCode;

  constructor(code: GrpcServerErrorCode, message: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
  }
}

const DEFAULT_MAX_REQUEST_BYTES = 8 * 1024 * 1024;
/** A request for a certificate has less. */
const MAX_UNPROVEN_REQUEST_BYTES = 64 * 1024;
const DEFAULT_MAX_CONNECTIONS = 10_000;
const DEFAULT_KEEP_ALIVE_INTERVAL_MS = 15_000;
const MAX_STREAMS_PER_CONNECTION = 256;
const RECEIVE_WINDOW_BYTES = 1024 * 1024;
/** sockaddr_un.sun_path on Linux, with its final zero. */
const MAX_SOCKET_PATH_BYTES = 107;

/** A gRPC server (HTTP/2 only) on a TCP port with mTLS, or on a Unix socket that only this user may open (0600). */
export async function createGrpcServer(options: GrpcServerOptions): Promise<GrpcServer> {
  const { methods, peerCredentials, maxRequestBytes = DEFAULT_MAX_REQUEST_BYTES } = options;
  const settings = { settings: { maxConcurrentStreams: MAX_STREAMS_PER_CONNECTION, initialWindowSize: RECEIVE_WINDOW_BYTES } };
  const server: Http2Server | Http2SecureServer =
    options.tls === undefined
      ? createServer(settings)
      : createSecureServer({ ...settings, ...secureOptions(options.tls), requestCert: true, rejectUnauthorized: false, ALPNCallback: chooseHttp2 });
  server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    const caller = callerOf(stream, peerCredentials);
    const unproven = options.tls !== undefined && caller.spiffeId === undefined;
    serveStream(methods, stream, headers, caller, unproven ? Math.min(maxRequestBytes, MAX_UNPROVEN_REQUEST_BYTES) : maxRequestBytes);
  });
  server.maxConnections = options.maxConnections ?? DEFAULT_MAX_CONNECTIONS;

  const sessions = new Set<ServerHttp2Session>();
  server.on('session', (session) => {
    sessions.add(session);
    session.on('error', () => {});
    const stopPings = keepAlive(session, options.keepAliveIntervalMs ?? DEFAULT_KEEP_ALIVE_INTERVAL_MS);
    session.once('close', () => {
      sessions.delete(session);
      stopPings();
    });
  });
  server.on('sessionError', () => {});
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });

  const { listen } = options;
  const release = 'socketPath' in listen ? await listenOnPath(server, listen.socketPath) : await listenOnPort(server, listen.host, listen.port);
  const address = server.address() as AddressInfo | string | null;
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    setTls(tls) {
      // http2's types leave it out; its secure server is a tls.Server.
      if (options.tls !== undefined) (server as unknown as TlsServer).setSecureContext(secureOptions(tls));
    },
    async close() {
      release();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      // GOAWAY does not end a discovery stream: only this does.
      for (const session of sessions) session.destroy();
      // Nor does that end a connection in its handshake, or one whose client died at this moment.
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

function secureOptions(tls: ServerTls): { key: string | Buffer; cert: string | Buffer; ca: string | Buffer | (string | Buffer)[]; minVersion: 'TLSv1.2' } {
  const ca = typeof tls.ca === 'string' || Buffer.isBuffer(tls.ca) ? tls.ca : [...tls.ca];
  return { key: tls.key, cert: tls.cert, ca, minVersion: 'TLSv1.2' };
}

/** Not `ALPNProtocols`: Node copies those for each connection, to where the copy keeps 64 kB with it. */
function chooseHttp2({ protocols }: { readonly protocols: readonly string[] }): string | undefined {
  return protocols.includes('h2') ? 'h2' : undefined;
}

function keepAlive(session: ServerHttp2Session, intervalMs: number): () => void {
  let waiting = false;
  const timer = setInterval(() => {
    if (session.destroyed) return;
    if (waiting) {
      session.destroy();
      return;
    }
    waiting = true;
    session.ping(() => {
      waiting = false;
    });
  }, intervalMs);
  timer.unref();
  return () => clearInterval(timer);
}

async function listenOnPort(server: Http2Server | Http2SecureServer, host: string, port: number): Promise<() => void> {
  await listening(server, () => server.listen(port, host), `${host}:${port}`);
  return () => {};
}

/**
 * Binds a name beside the path and renames it: a socket that a dead process left is replaced in one step, and closing an
 * older server (which unlinks the name that it bound) cannot take away the path of a newer one.
 */
async function listenOnPath(server: Http2Server | Http2SecureServer, path: string): Promise<() => void> {
  const own = `${path}.${process.pid}`;
  if (Buffer.byteLength(own) > MAX_SOCKET_PATH_BYTES)
    throw new GrpcServerError(
      'path-too-long',
      `the socket path ${path} is too long for the system (${MAX_SOCKET_PATH_BYTES - String(process.pid).length - 1} bytes at most); choose a shorter run directory`,
    );
  removeIfThere(own);
  await listening(server, () => server.listen(own), path);
  chmodSync(own, 0o600);
  const inode = statSync(own).ino;
  renameSync(own, path);
  return () => {
    if (statSync(path, { throwIfNoEntry: false })?.ino === inode) removeIfThere(path);
  };
}

function removeIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

function listening(server: Http2Server | Http2SecureServer, listen: () => void, where: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE')
        reject(new GrpcServerError('address-in-use', `cannot listen on ${where}: the address is in use; stop what listens there or choose another`, error));
      else reject(new GrpcServerError('listen-failed', `cannot listen on ${where}: ${error.message}`, error));
    };
    server.once('error', failed);
    server.once('listening', () => {
      server.off('error', failed);
      resolve();
    });
    listen();
  });
}
