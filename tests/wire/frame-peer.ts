import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { FrameLines, PREFACE, settings } from '../../packages/proxy/src/http2/testing/frames.ts';

/** A client that speaks HTTP/2 frame by frame, well or not. */
export class FramePeer {
  readonly socket: Socket;
  /** What has come, a line for each frame. */
  readonly lines: string[] = [];
  closed = false;
  readonly #reader = new FrameLines();
  #wake: () => void = () => {};

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.setNoDelay();
    socket.on('data', (chunk: Buffer) => {
      this.lines.push(...this.#reader.read(chunk.toString('latin1')));
      this.#wake();
    });
    socket.on('error', () => {});
    socket.on('end', () => this.#end());
    socket.on('close', () => this.#end());
  }

  static async open(port: number): Promise<FramePeer> {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    await once(socket, 'connect');
    return new FramePeer(socket);
  }

  /** Past the preface. */
  static async begin(port: number, ours: Buffer = settings()): Promise<FramePeer> {
    const peer = await FramePeer.open(port);
    peer.socket.write(Buffer.concat([PREFACE, ours]));
    return peer;
  }

  /** Once the kernel has it, and what came meanwhile was read. */
  async send(bytes: Buffer): Promise<void> {
    if (this.closed || this.socket.destroyed) return;
    await new Promise<void>((resolve) => this.socket.write(bytes, () => setImmediate(resolve)));
  }

  get goaway(): string | undefined {
    return this.lines.find((line) => line.startsWith('GOAWAY'));
  }

  /** Frames without end, until the other side cuts it off or `most` are out. */
  async flood(make: (i: number) => Buffer, most: number): Promise<void> {
    const batch = 100;
    for (let i = 0; i < most && !this.closed && this.goaway === undefined; i += batch) {
      await this.send(Buffer.concat(Array.from({ length: batch }, (_, k) => make(i + k))));
    }
  }

  /** Until there is a line like that, or the other side's end; null: not in time. */
  async line(pattern: RegExp, withinMs = 10_000): Promise<string | null> {
    const find = () => this.lines.find((line) => pattern.test(line));
    await this.#until(() => find() !== undefined || this.closed, withinMs);
    return find() ?? null;
  }

  async end(withinMs = 10_000): Promise<boolean> {
    await this.#until(() => this.closed, withinMs);
    return this.closed;
  }

  close(): void {
    this.socket.destroy();
  }

  #end(): void {
    this.closed = true;
    this.#wake();
  }

  async #until(test: () => boolean, withinMs: number): Promise<void> {
    const endMs = performance.now() + withinMs;
    while (!test()) {
      const leftMs = endMs - performance.now();
      if (leftMs <= 0) return;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }
}
