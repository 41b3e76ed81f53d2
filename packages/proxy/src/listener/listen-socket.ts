import { closeSync, renameSync, statSync, unlinkSync } from 'node:fs';
import net from 'node:net';
import { dirname, join } from 'node:path';
import { descriptorOf, type SocketCalls } from '../net/socket-calls.ts';
import type { SocketHandle } from '../restart/hand-over.ts';
import { addressText, hostPort } from '../xds/compile-endpoints.ts';
import type { EndpointAddress } from '../xds/endpoint-config.ts';
import type { SocketAddress } from '../xds/listener-config.ts';

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
  /** While it is paused: its descriptor, and what `bound` was. */
  #pausedFd = -1;
  #pausedAt = '';
  #onConnection: (socket: net.Socket) => void = (socket) => socket.destroy();

  private constructor(address: SocketAddress) {
    this.address = address;
    this.#server = net.createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true }, (socket) => this.#onConnection(socket));
  }

  /** `taken`: what `handle` gave in the process before; undefined: it is bound. */
  static async open(address: SocketAddress, options: ListenOptions, what: string, taken: object | undefined): Promise<ListenSocket> {
    const made = new ListenSocket(address);
    await listenOn(made.#server, address, options, what, taken);
    return made;
  }

  set onConnection(take: (socket: net.Socket) => void) {
    this.#onConnection = take;
  }

  set onError(tell: (error: Error) => void) {
    this.#server.removeAllListeners('error').on('error', tell);
  }

  /** "ip:port" or a path, as bound. */
  get bound(): string {
    if (this.#pausedAt !== '') return this.#pausedAt;
    if (this.address.kind === 'pipe') return this.address.path;
    const address = this.#server.address();
    return address === null || typeof address === 'string' ? '' : hostPort(address.address, address.port);
  }

  /** What another process can be given over a channel between processes; it stays ours too. */
  get handle(): SocketHandle | null {
    return handleOf(this.#server);
  }

  get descriptor(): number {
    return descriptorOf(this.#server);
  }

  /** Takes nothing more of the kernel's queue, where new connections wait, until `resume`. */
  pause(calls: SocketCalls): void {
    if (this.#pausedFd >= 0) return;
    const at = this.bound;
    const fd = calls.duplicate(this.descriptor);
    if (fd < 0) return;
    this.#pausedFd = fd;
    this.#pausedAt = at;
    this.#server.close();
  }

  resume(): void {
    if (this.#pausedFd < 0) return;
    this.#server.listen({ fd: this.#pausedFd });
    this.#pausedFd = -1;
    this.#pausedAt = '';
  }

  /** `last`: nobody else listens on it; then a path is removed. */
  close(last: boolean): void {
    if (this.#pausedFd >= 0) closeSync(this.#pausedFd);
    else this.#server.close();
    this.#pausedFd = -1;
    if (last && this.address.kind === 'pipe') removePath(this.address.path);
  }
}

/** Listens, with `taken` (of the process before this one) or anew. Rejects with a ListenerError. */
export async function listenOn(server: net.Server, address: SocketAddress, options: ListenOptions, what: string, taken: object | undefined): Promise<void> {
  // Bound aside and moved into place: what closes the socket removes the name that it was bound to, also when it is another's by then.
  const aside = address.kind === 'pipe' ? asideOf(address.path) : '';
  await new Promise<void>((resolve, reject) => {
    const onError = (cause: NodeJS.ErrnoException): void => reject(bindError(what, address, cause));
    server.once('error', onError);
    const listening = (): void => {
      server.off('error', onError);
      resolve();
    };
    if (taken !== undefined) server.listen(taken, listening);
    else if (address.kind === 'pipe') server.listen({ path: aside, backlog: options.backlog }, listening);
    else server.listen({ host: address.host, port: address.port, backlog: options.backlog, reusePort: options.reusePort }, listening);
  });
  if (address.kind !== 'pipe') return;
  try {
    moveInto(aside, address.path);
  } catch (cause) {
    server.close();
    throw bindError(what, address, cause as NodeJS.ErrnoException);
  }
}

/** Node has no public word for it; null where it is not to be had. */
export function handleOf(server: net.Server): SocketHandle | null {
  const handle = (server as unknown as { readonly _handle?: unknown })._handle;
  return typeof handle === 'object' ? (handle as SocketHandle) : null;
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

export function removePath(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Somebody else has removed it.
  }
}
