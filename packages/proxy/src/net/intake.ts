import type { Socket } from 'node:net';
import type { BufferGrowth } from '../memory/buffer-growth.ts';

/** One read of a socket. Larger gains nothing on loopback (facts: the kernel hands over what has arrived). */
export const SHARED_READ_BYTES = 64 * 1024;

/** About what a connection takes outside V8 (OpenSSL's buffers, libuv's handle). */
const TLS_BYTES = 96 * 1024;
const PLAIN_BYTES = 4 * 1024;

/** Of a `net.Socket`, not public: what reads. `pause` would not do: its owner pauses and resumes it too, and knows nothing of this. */
interface WithHandle {
  readonly _handle: { reading: boolean; readStop(): void } | null;
}

/**
 * Where the reads of all sockets of a process land. While it is held no socket is read from: else the loop reads up to 32 times from each that has
 * something before it comes to anything else, such as to give back what was let go.
 */
export class Intake {
  readonly buffer = Buffer.allocUnsafeSlow(SHARED_READ_BYTES);
  readonly #sockets = new Set<Socket>();
  readonly #stopped = new Set<Socket>();
  readonly #growth: BufferGrowth | null;
  held = false;

  /** `growth` is told of the memory of connections. */
  constructor(growth: BufferGrowth | null = null) {
    this.#growth = growth;
  }

  /** `socket` reads into the buffer. */
  add(socket: Socket): void {
    this.#growth?.took('encrypted' in socket ? TLS_BYTES : PLAIN_BYTES);
    this.#sockets.add(socket);
  }

  delete(socket: Socket): void {
    this.#sockets.delete(socket);
  }

  hold(): void {
    this.held = true;
    for (const socket of this.#sockets) {
      const { _handle: handle } = socket as unknown as WithHandle;
      if (socket.connecting || handle?.reading !== true) continue;
      handle.reading = false;
      handle.readStop();
      this.#stopped.add(socket);
    }
  }

  /** Whoever was stopped reads on, unless its owner has paused it. */
  release(): void {
    this.held = false;
    const stopped = [...this.#stopped];
    this.#stopped.clear();
    for (const socket of stopped) if (!socket.destroyed && !socket.isPaused()) socket.resume();
  }

  /** To one that began to read since: false, with which Node stops. */
  stop(socket: Socket): false {
    this.#stopped.add(socket);
    return false;
  }
}
