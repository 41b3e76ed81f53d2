import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

const timeoutMs = 20_000;

/** A TCP connection as text: what is sent and what has come, byte for byte (latin1). */
export class Wire {
  readonly socket: Socket;
  #text = '';
  #ended = false;
  #wake: (() => void) | undefined;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.setEncoding('latin1');
    socket.on('data', (chunk: string) => {
      this.#text += chunk;
      this.#wake?.();
    });
    socket.on('error', () => {});
    socket.once('close', () => this.#end());
    socket.once('end', () => this.#end());
  }

  static async open(address: string): Promise<Wire> {
    const [host = '', port = ''] = address.split(':');
    const socket = connect({ host, port: Number(port), allowHalfOpen: true });
    await once(socket, 'connect');
    return new Wire(socket);
  }

  get received(): string {
    return this.#text;
  }

  /** Whether the other side has sent its end. */
  get ended(): boolean {
    return this.#ended;
  }

  send(text: string): void {
    this.socket.write(Buffer.from(text, 'latin1'));
  }

  /** Waits until what has come matches; takes it off up to the end of the match, and gives the match. */
  async expect(pattern: RegExp): Promise<RegExpExecArray> {
    let match: RegExpExecArray | null = null;
    await this.#until(() => {
      match = pattern.exec(this.#text);
      return match !== null;
    }, String(pattern));
    const found = match as unknown as RegExpExecArray;
    this.#text = this.#text.slice(found.index + found[0].length);
    return found;
  }

  /** Everything until the other side's end. */
  async rest(): Promise<string> {
    await this.#until(() => this.#ended, 'the end');
    return this.#text;
  }

  close(): void {
    this.socket.destroy();
  }

  #end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  async #until(test: () => boolean, what: string): Promise<void> {
    const endMs = performance.now() + timeoutMs;
    while (!test()) {
      const leftMs = endMs - performance.now();
      if (leftMs <= 0 || this.#ended)
        throw new Error(`${what}: ${this.#ended ? 'the connection ended first' : 'not in time'}; came: ${this.#text.slice(0, 2000)}`);
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
