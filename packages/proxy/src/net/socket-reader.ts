import net from 'node:net';
import type { ByteSink } from './byte-sink.ts';
import type { Intake } from './intake.ts';

/**
 * Brings what a socket receives to its sink. The reads of all sockets of a process land in one shared buffer (`onread`), so
 * that an idle connection holds none and a busy one allocates none.
 */
export class SocketReader {
  sink: ByteSink;
  /** For `net.Socket`, `net.connect` and `tls.connect`. */
  readonly onread: { buffer: Buffer; callback: (bytes: number, buffer: Uint8Array) => boolean };
  readonly #intake: Intake;
  #error = '';
  #socket: net.Socket | undefined;

  constructor(sink: ByteSink, intake: Intake) {
    this.sink = sink;
    this.#intake = intake;
    const { buffer } = intake;
    this.onread = {
      buffer,
      callback: (bytes) => {
        this.sink.receive(buffer, 0, bytes);
        return intake.held && this.#socket !== undefined ? intake.stop(this.#socket) : true;
      },
    };
  }

  /** Starts to bring the events of a socket that was made with `onread`. */
  watch(socket: net.Socket): void {
    this.#socket = socket;
    this.#intake.add(socket);
    this.#watchRest(socket);
  }

  #watchRest(socket: net.Socket): void {
    socket.on('end', () => this.sink.receiveEnd());
    socket.on('drain', () => this.sink.transportDrained());
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#error = error.code === undefined ? error.message : `${error.code}: ${error.message}`;
    });
    socket.on('close', () => {
      this.#intake.delete(socket);
      this.sink.transportClosed(this.#error);
    });
  }

  /** The same for the server side of TLS, which Node gives no `onread`: from here on it reads into the shared buffer, where this Node lets it. */
  watchSecured(socket: net.Socket): void {
    const { _handle: handle } = socket as unknown as { readonly _handle: { useUserBuffer?(buffer: Uint8Array): void } | null };
    if (ONREAD_KEYS !== null && typeof handle?.useUserBuffer === 'function') {
      const holder = socket as unknown as Record<symbol, unknown>;
      holder[ONREAD_KEYS.buffer] = this.onread.buffer;
      holder[ONREAD_KEYS.callback] = this.onread.callback;
      handle.useUserBuffer(this.onread.buffer);
      this.#socket = socket;
      this.#intake.add(socket);
    }
    this.watchData(socket);
  }

  /** The same for a socket that gives its bytes as events (the server side of TLS, bytes put back after sniffing). */
  watchData(socket: net.Socket): void {
    this.#watchRest(socket);
    socket.on('data', (chunk: Buffer) => this.sink.receive(chunk, 0, chunk.length));
  }
}

/** Where a `net.Socket` keeps its `onread`: not public, so it is looked for on one that was made with it. Null: this Node has it elsewhere. */
const ONREAD_KEYS = onreadKeys();

function onreadKeys(): { readonly buffer: symbol; readonly callback: symbol } | null {
  const buffer = Buffer.alloc(1);
  const callback = (): boolean => true;
  const socket = new net.Socket({ onread: { buffer, callback } } as net.SocketConstructorOpts) as unknown as Record<symbol, unknown>;
  const keys = Object.getOwnPropertySymbols(socket);
  const found = { buffer: keys.find((key) => socket[key] === buffer), callback: keys.find((key) => socket[key] === callback) };
  return found.buffer === undefined || found.callback === undefined ? null : { buffer: found.buffer, callback: found.callback };
}

/** Of a `net.Socket`, not public: what the kernel knows it by, and whose count of connections it is in. */
interface WithHandle {
  _handle: unknown;
  _server: unknown;
}

/**
 * Takes over an accepted, still paused socket so that it reads into the shared buffer. Node has no public way to give an
 * accepted socket `onread`; where its handle cannot be had the socket itself is used, with a buffer per read.
 */
export function adoptAccepted(accepted: net.Socket, reader: SocketReader): net.Socket {
  const holder = accepted as unknown as WithHandle;
  const handle = holder._handle;
  if (handle === null || typeof handle !== 'object') {
    reader.watchData(accepted);
    return accepted;
  }
  holder._handle = null;
  const options = { handle, onread: reader.onread, allowHalfOpen: true } as unknown as net.SocketConstructorOpts;
  const socket = new net.Socket(options);
  // Its end counts for the server in place of the accepted one's, which never comes: `close` waits for it.
  (socket as unknown as WithHandle)._server = holder._server;
  holder._server = null;
  reader.watch(socket);
  return socket;
}
