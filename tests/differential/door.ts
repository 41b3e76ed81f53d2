import http from 'node:http';
import http2 from 'node:http2';
import net from 'node:net';
import tls from 'node:tls';
import { CALL_HEADER, joined } from './echo-backend.ts';

/** From outside of everything that a mesh has; as a simulation takes it. */
const CLIENT = { ipv4: '192.0.2.1', ipv6: '2001:db8::1', port: 40_000 };
/** Of a call that says no address: one that belongs to nothing. */
const NOWHERE = '192.0.2.2';
const PATIENCE_MS = 10_000;

/** Where the client connects, and where its connection was going before it was turned round. */
export interface Door {
  /** On loopback. */
  readonly port: number;
  readonly address: string;
  readonly dialledPort: number;
}

export interface DoorTls {
  readonly sni: string;
  readonly alpn: readonly string[];
  readonly certificate: { readonly key: string; readonly cert: string } | undefined;
}

export interface DoorRequest {
  readonly version: 'http/1.1' | 'h2';
  readonly method: string;
  readonly scheme: 'http' | 'https';
  readonly authority: string;
  readonly path: string;
  /** name, value, name, value ... */
  readonly headers: readonly string[];
}

export type Answer =
  | { readonly kind: 'answer'; readonly status: number; readonly headers: Readonly<Record<string, string>>; readonly shown: string }
  | { readonly kind: 'bytes'; readonly shown: string }
  /** Refused, or ended without an answer. */
  | { readonly kind: 'closed'; readonly why: string };

function opened({ port, address, dialledPort }: Door): net.Socket {
  const socket = net.connect(port, '127.0.0.1');
  // Whoever uses it hears of its end; one that is refused between two users has nobody.
  socket.on('error', () => {});
  const to = address === '' ? NOWHERE : address;
  const [family, from] = net.isIPv6(to) ? ['TCP6', CLIENT.ipv6] : ['TCP4', CLIENT.ipv4];
  socket.write(`PROXY ${family} ${from} ${to} ${CLIENT.port} ${dialledPort}\r\n`);
  return socket;
}

/** Connections for requests in plain text, kept open by where they were going. */
export class Doors extends http.Agent {
  constructor() {
    super({ keepAlive: true, maxSockets: 4 });
  }

  override getName(options: object = {}): string {
    return JSON.stringify((options as { readonly door?: Door }).door);
  }

  override createConnection(options: http.ClientRequestArgs): net.Socket {
    return opened((options as unknown as { readonly door: Door }).door);
  }
}

/** One call from end to end: connection, TLS if there is any, and the request or the bytes in it. */
export async function send(doors: Doors, door: Door, call: string, secure: DoorTls | undefined, request: DoorRequest | undefined): Promise<Answer> {
  if (secure === undefined && request?.version === 'http/1.1') return requested(request, call, { agent: doors, door });
  const socket = opened(door);
  try {
    const shown = { certificate: '' };
    const stream = secure === undefined ? socket : await secured(socket, secure, shown);
    if (request === undefined) return { ...(await exchanged(stream, call)), shown: shown.certificate } as Answer;
    const chosen = (stream as Partial<tls.TLSSocket>).alpnProtocol === 'h2' ? 'h2' : request.version;
    const answer = chosen === 'h2' ? await requestedHttp2(stream, request, call) : await requested(request, call, { createConnection: () => stream });
    return answer.kind === 'answer' ? { ...answer, shown: shown.certificate } : answer;
  } catch (error) {
    return closed(error);
  } finally {
    socket.destroy();
  }
}

function closed(error: unknown): Answer {
  return { kind: 'closed', why: error instanceof Error ? ((error as NodeJS.ErrnoException).code ?? error.message) : String(error) };
}

function secured(socket: net.Socket, { sni, alpn, certificate }: DoorTls, shown: { certificate: string }): Promise<tls.TLSSocket> {
  return new Promise((resolve, reject) => {
    const stream = tls.connect({
      socket,
      servername: sni,
      ...(alpn.length === 0 ? {} : { ALPNProtocols: [...alpn] }),
      rejectUnauthorized: false,
      ...certificate,
    });
    stream.setTimeout(PATIENCE_MS, () => stream.destroy(new Error('no handshake in time')));
    // Both more than once: the stream says again what its socket has said.
    stream.on('error', reject);
    socket.on('error', reject);
    socket.once('close', () => reject(new Error('closed in the handshake')));
    stream.once('secureConnect', () => {
      shown.certificate = stream.getPeerX509Certificate()?.subjectAltName ?? '';
      resolve(stream);
    });
  });
}

/** Bytes that are no HTTP, and what comes back. */
function exchanged(stream: net.Socket, call: string): Promise<{ readonly kind: 'bytes' } | { readonly kind: 'closed'; readonly why: string }> {
  return new Promise((resolve) => {
    stream.setTimeout(PATIENCE_MS, () => stream.destroy());
    stream.on('error', () => {});
    let text = '';
    stream.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      if (text.includes('\n')) {
        // Bytes that are no HTTP, at a port of HTTP.
        resolve(/^HTTP\/1\.1 400 /.test(text) ? { kind: 'closed', why: '400' } : { kind: 'bytes' });
        stream.destroy();
      }
    });
    stream.once('close', () => resolve({ kind: 'closed', why: text === '' ? 'no answer' : text.slice(0, 40) }));
    stream.write(`\u0000call ${call}\n`, 'latin1');
  });
}

function requested(request: DoorRequest, call: string, options: object): Promise<Answer> {
  return new Promise((resolve) => {
    const { method, path, authority, headers } = request;
    const sent = http.request(
      { ...options, method, path, setHost: false, headers: ['host', authority, ...headers, CALL_HEADER, call], timeout: PATIENCE_MS },
      (response) => {
        response.resume();
        response.on('error', (error) => resolve(closed(error)));
        response.once('end', () => resolve({ kind: 'answer', status: response.statusCode!, headers: joined(response.rawHeaders), shown: '' }));
      },
    );
    sent.once('timeout', () => sent.destroy(new Error('no answer in time')));
    sent.on('error', (error) => resolve(closed(error)));
    sent.end();
  });
}

function requestedHttp2(stream: net.Socket, { method, scheme, authority, path, headers }: DoorRequest, call: string): Promise<Answer> {
  return new Promise((resolve) => {
    // Node asks for ALPN where Istio's clients have names of their own for it.
    if (stream instanceof tls.TLSSocket) Object.assign(stream, { alpnProtocol: 'h2' });
    const session = http2.connect(`${scheme}://any.invalid`, { createConnection: () => stream });
    session.on('error', (error) => resolve(closed(error)));
    session.once('close', () => resolve({ kind: 'closed', why: 'the session ended' }));
    const own: Record<string, string> = { ':method': method, ':scheme': scheme, ':authority': authority, ':path': path, [CALL_HEADER]: call };
    for (let at = 0; at < headers.length; at += 2) own[headers[at]!.toLowerCase()] = headers[at + 1]!;
    const sent = session.request(own, { endStream: true });
    sent.setTimeout(PATIENCE_MS, () => sent.close());
    sent.on('error', (error) => resolve(closed(error)));
    let answer: Answer = { kind: 'closed', why: 'no answer' };
    sent.once('response', (fields, _flags, raw: readonly string[]) => {
      const { ':status': _status, ...own } = joined(raw);
      answer = { kind: 'answer', status: Number(fields[':status']), headers: own, shown: '' };
    });
    sent.resume();
    sent.once('close', () => {
      resolve(answer);
      session.destroy();
    });
  });
}
