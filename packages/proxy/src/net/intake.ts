import type { Socket } from 'node:net';

/** One read of a socket. Larger gains nothing on loopback (facts: the kernel hands over what has arrived). */
export const SHARED_READ_BYTES = 64 * 1024;

/**
 * Where the reads of all sockets of a process land. Held, each of them may bring what it has already begun to read and no more: the loop reads up
 * to 32 times from a socket before it comes to anything else, such as to give back what was let go.
 */
export class Intake {
  readonly buffer = Buffer.allocUnsafeSlow(SHARED_READ_BYTES);
  held = false;
  readonly #waiting = new Set<Socket>();

  hold(): void {
    this.held = true;
  }

  /** Whoever was stopped reads on, unless its owner has paused it. */
  release(): void {
    this.held = false;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const socket of waiting) if (!socket.destroyed && !socket.isPaused()) socket.resume();
  }

  /** False, for Node: this socket is not to be read from. */
  stop(socket: Socket): false {
    this.#waiting.add(socket);
    return false;
  }
}
