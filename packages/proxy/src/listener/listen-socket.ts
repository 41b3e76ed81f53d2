import { renameSync, statSync, unlinkSync } from 'node:fs';
import net from 'node:net';
import { dirname, join } from 'node:path';
import { addressText, hostPort } from '../xds/compile-endpoints.ts';
import type { EndpointAddress } from '../xds/endpoint-config.ts';

export type SocketAddress = Exclude<EndpointAddress, { kind: 'internal' }>;

export interface ListenOptions {
  readonly backlog: number;
  readonly reusePort: boolean;
}

export class ListenerError extends Error {
  readonly code: 'bind' | 'in-use';
  constructor(code: 'bind' | 'in-use', message: string, cause: unknown) {
    super(message, { cause });
    this.code = code;
  }
}

/** A socket that listens: its own, or taken over from the process before this one. */
export class ListenSocket {
  readonly address: SocketAddress;
  readonly #server: net.Server;
  #onConnection: (socket: net.Socket) => void = (socket) => socket.destroy();

  private constructor(address: SocketAddress) {
    this.address = address;
    this.#server = net.createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true }, (socket) => this.#onConnection(socket));
  }

  /** `taken`: what `handleOf` gave in the process before; undefined: it is bound. */
  static async open(address: SocketAddress, options: ListenOptions, what: string, taken: object | undefined): Promise<ListenSocket> {
    const made = new ListenSocket(address);
    // Bound aside and moved into place: what closes the socket removes the name that it was bound to, also when it is another's by then.
    const aside = address.kind === 'pipe' ? asideOf(address.path) : '';
    await new Promise<void>((resolve, reject) => {
      made.#server.once('error', (cause: NodeJS.ErrnoException) => reject(bindError(what, address, cause)));
      if (taken !== undefined) made.#server.listen(taken, resolve);
      else if (address.kind === 'pipe') made.#server.listen({ path: aside, backlog: options.backlog }, resolve);
      else made.#server.listen({ host: address.host, port: address.port, backlog: options.backlog, reusePort: options.reusePort }, resolve);
    });
    if (taken === undefined && address.kind === 'pipe') {
      try {
        moveInto(aside, address.path);
      } catch (cause) {
        made.#server.close();
        throw bindError(what, address, cause as NodeJS.ErrnoException);
      }
    }
    return made;
  }

  set onConnection(take: (socket: net.Socket) => void) {
    this.#onConnection = take;
  }

  set onError(tell: (error: Error) => void) {
    this.#server.removeAllListeners('error');
    this.#server.on('error', tell);
  }

  /** "ip:port" or a path, as bound. */
  get bound(): string {
    if (this.address.kind === 'pipe') return this.address.path;
    const address = this.#server.address();
    return address === null || typeof address === 'string' ? '' : hostPort(address.address, address.port);
  }

  /** What another process can be given over a channel between processes; it stays ours too. */
  get handle(): object | null {
    return handleOf(this.#server);
  }

  /** Others may listen on it still: a path stays where it is unless `last`. */
  close(last: boolean): void {
    this.#server.close();
    if (last && this.address.kind === 'pipe') remove(this.address.path);
  }
}

/** Node has no public word for it; null where it is not to be had. */
export function handleOf(server: net.Server): object | null {
  const handle = (server as unknown as { readonly _handle?: unknown })._handle;
  return typeof handle === 'object' ? handle : null;
}

export function sameAddress(one: EndpointAddress, other: EndpointAddress): boolean {
  if (one.kind === 'socket' && other.kind === 'socket') return one.host === other.host && one.port === other.port;
  return one.kind === 'pipe' && other.kind === 'pipe' && one.path === other.path;
}

function bindError(what: string, address: SocketAddress, cause: NodeJS.ErrnoException): ListenerError {
  const inUse = cause.code === 'EADDRINUSE';
  const why = inUse ? 'the address is in use by another process; stop that one or choose another port' : cause.message;
  return new ListenerError(inUse ? 'in-use' : 'bind', `${what} cannot listen on ${addressText(address)}: ${why}`, cause);
}

/** Short, and of nobody else: paths of sockets may have 107 bytes. */
function asideOf(path: string): string {
  for (let number = 0; ; number++) {
    const aside = join(dirname(path), `.${process.pid}-${number}`);
    if (statSync(aside, { throwIfNoEntry: false }) === undefined) return aside;
  }
}

/** Over a socket that a dead process left behind, and over nothing else. */
function moveInto(from: string, to: string): void {
  const there = statSync(to, { throwIfNoEntry: false });
  if (there !== undefined && !there.isSocket()) throw new Error('something that is no socket is there; remove it or choose another path');
  renameSync(from, to);
}

function remove(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Somebody else has removed it.
  }
}
