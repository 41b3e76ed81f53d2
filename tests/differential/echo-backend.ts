import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createHttp2Server, type Http2Server, type Http2ServerRequest, type Http2ServerResponse, type Http2Session } from 'node:http2';
import net from 'node:net';
import { Duplex } from 'node:stream';
import { createSecureContext, TLSSocket, type TLSSocketOptions } from 'node:tls';

/** Says which call a request or the first bytes of a connection belong to. */
export const CALL_HEADER = 'x-call';
const CALL_IN_BYTES = /call (\S+)/;
const TLS_HANDSHAKE = 0x16;
const REQUEST_LINE = /^[A-Z]+ /;
const PREFACE = 'PRI ';

/** What came of one call. */
export interface Arrival {
  readonly cluster: string;
  readonly protocol: 'http/1.1' | 'h2' | 'bytes';
  readonly tls: boolean;
  readonly method: string;
  readonly path: string;
  readonly authority: string;
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string>>;
}

interface Reached {
  readonly cluster: string;
  readonly tls: boolean;
}

/** How the backend answers one call; absent: 200. */
export interface Behavior {
  readonly headers?: Readonly<Record<string, string>>;
}

/** By lower-case name; several of one name joined by ",". */
export function joined(raw: readonly string[]): Record<string, string> {
  const found: Record<string, string> = {};
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at]!.toLowerCase();
    found[name] = found[name] === undefined ? raw[at + 1]! : `${found[name]},${raw[at + 1]}`;
  }
  return found;
}

/** A socket of which something has been read already. HTTP/2 of Node fails where that was put back and the client is gone at once. */
class Replayed extends Duplex {
  readonly #socket: net.Socket;
  #first: Buffer | undefined;

  constructor(socket: net.Socket, first: Buffer) {
    super();
    this.#socket = socket;
    this.#first = first;
    socket.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) socket.pause();
    });
    socket.on('end', () => this.push(null));
    socket.on('close', () => this.destroy());
  }

  override _read(): void {
    const first = this.#first;
    this.#first = undefined;
    if (first === undefined || this.push(first)) this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.#socket.write(chunk, done);
  }

  override _final(done: () => void): void {
    this.#socket.end(done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#socket.destroy();
    done(error);
  }
}

/** Stands for all endpoints of all clusters: each cluster has a loopback address of its own, by which it is known. */
export class EchoBackend {
  readonly #clusters: string[] = [];
  readonly #addresses = new Map<string, string>();
  readonly #arrivals = new Map<string, Arrival[]>();
  readonly #behaviors = new Map<string, Behavior>();
  readonly #sockets = new Set<net.Socket>();
  readonly #sessions = new WeakMap<Http2Session, Reached>();
  /** Of the connection that is being handed to HTTP/2. */
  #reached: Reached = { cluster: '', tls: false };
  readonly #secure: TLSSocketOptions;
  readonly #http1: Server;
  readonly #http2: Http2Server;
  readonly #server: net.Server;

  constructor(tls: { readonly key: string; readonly cert: string }) {
    this.#secure = {
      isServer: true,
      secureContext: createSecureContext(tls),
      // Whatever a client asks for.
      ALPNCallback: ({ protocols }) => protocols[0],
    };
    this.#http1 = createServer({ keepAliveTimeout: 0 }, (request, response) => this.#answer(request, response, request.socket as unknown as Reached));
    this.#http2 = createHttp2Server();
    this.#http2.on('session', (session) => this.#sessions.set(session, this.#reached));
    this.#http2.on('request', (request, response) => this.#answer(request, response, this.#sessions.get(request.stream.session!)!));
    this.#http2.on('sessionError', () => {});
    this.#server = net.createServer((socket) => this.#accept(socket));
  }

  async start(): Promise<void> {
    this.#server.listen(0, '0.0.0.0');
    await once(this.#server, 'listening');
  }

  get port(): number {
    return (this.#server.address() as net.AddressInfo).port;
  }

  /** The same for one name, always. */
  addressOf(cluster: string): string {
    const known = this.#addresses.get(cluster);
    if (known !== undefined) return known;
    const index = this.#clusters.push(cluster) - 1;
    const address = `127.${1 + (index >> 16)}.${(index >> 8) & 0xff}.${index & 0xff}`;
    this.#addresses.set(cluster, address);
    return address;
  }

  behave(call: string, behavior: Behavior): void {
    this.#behaviors.set(call, behavior);
  }

  /** So far. */
  arrivalsOf(call: string): readonly Arrival[] {
    return this.#arrivals.get(call) ?? [];
  }

  forget(): void {
    this.#arrivals.clear();
    this.#behaviors.clear();
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #accept(socket: net.Socket): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    const [, high = '1', middle = '0', low = '0'] = (socket.localAddress ?? '').split('.');
    const cluster = this.#clusters[((Number(high) - 1) << 16) + (Number(middle) << 8) + Number(low)] ?? socket.localAddress ?? '';
    this.#read(socket, cluster, false);
  }

  /** By its first bytes. */
  #read(socket: net.Socket, cluster: string, tls: boolean): void {
    socket.on('error', () => {});
    socket.once('data', (chunk: Buffer) => {
      const text = chunk.toString('latin1');
      if (text.startsWith(PREFACE)) {
        socket.pause();
        this.#reached = { cluster, tls };
        this.#http2.emit(
          'connection',
          new Replayed(socket, chunk).on('error', () => {}),
        );
      } else if (chunk[0] === TLS_HANDSHAKE || REQUEST_LINE.test(text)) {
        socket.pause();
        socket.unshift(chunk);
        if (chunk[0] === TLS_HANDSHAKE) this.#read(new TLSSocket(socket, this.#secure), cluster, true);
        else this.#http1.emit('connection', Object.assign(socket, { cluster, tls }));
        process.nextTick(() => socket.resume());
      } else {
        this.#note(CALL_IN_BYTES.exec(text)?.[1] ?? '', { cluster, protocol: 'bytes', tls, method: '', path: '', authority: '', headers: {} });
        socket.end(`${cluster}\n`);
      }
    });
  }

  #answer(request: IncomingMessage | Http2ServerRequest, response: ServerResponse | Http2ServerResponse, { cluster, tls }: Reached): void {
    const { ':method': _method, ':path': _path, ':scheme': _scheme, ':authority': authority, host, ...headers } = joined(request.rawHeaders);
    const call = headers[CALL_HEADER] ?? '';
    delete headers[CALL_HEADER];
    this.#note(call, {
      cluster,
      protocol: request.httpVersionMajor === 2 ? 'h2' : 'http/1.1',
      tls,
      method: request.method ?? '',
      path: request.url ?? '',
      authority: authority ?? host ?? '',
      headers,
    });
    request.resume();
    for (const [name, value] of Object.entries(this.#behaviors.get(call)?.headers ?? {})) response.setHeader(name, value);
    response.end(cluster);
  }

  #note(call: string, arrival: Arrival): void {
    const all = this.#arrivals.get(call);
    if (all === undefined) this.#arrivals.set(call, [arrival]);
    else all.push(arrival);
  }
}
