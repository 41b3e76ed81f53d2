import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { readByRfc, readRequests } from './readers.ts';

export const ANSWER = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok';

/** What a backend answers, and whether it then ends its side of the connection. */
export interface Script {
  readonly bytes: string;
  readonly after: 'end' | 'stay' | 'reset';
}

const USUAL: Script = { bytes: ANSWER, after: 'end' };

/**
 * A raw socket that keeps every byte of each connection. It answers the first whole request of a connection and
 * reads on, so that whatever else a proxy sends there is on record.
 */
export class RecordingBackend {
  readonly #server: Server;
  readonly #open = new Map<Socket, { text: string }>();
  #records: { text: string }[] = [];
  #script = USUAL;
  #idle: (() => void) | undefined;
  /** Called at each sign of life. */
  onActivity: () => void = () => {};

  private constructor() {
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#accept(socket));
  }

  static async start(): Promise<RecordingBackend> {
    const backend = new RecordingBackend();
    backend.#server.listen(0, '127.0.0.1');
    await once(backend.#server, 'listening');
    return backend;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** A new case: what was recorded is forgotten. */
  begin(script: Script = USUAL): void {
    this.#records = [];
    this.#script = script;
  }

  /** Bytes of each connection, in order. */
  get received(): readonly string[] {
    return this.#records.map(({ text }) => text);
  }

  /** Once no connection is open; those that stay open too long are cut, sooner where nothing was asked on them. */
  async idle(withinMs: number): Promise<void> {
    if (this.#open.size === 0) return;
    const cut = (unused: boolean) => {
      for (const [socket, record] of this.#open) if (!unused || record.text === '') socket.destroy();
    };
    const timers = [setTimeout(cut, withinMs / 10, true), setTimeout(cut, withinMs, false)];
    await new Promise<void>((resolve) => {
      this.#idle = resolve;
    });
    for (const timer of timers) clearTimeout(timer);
  }

  async close(): Promise<void> {
    for (const socket of this.#open.keys()) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #accept(socket: Socket): void {
    const record = { text: '' };
    this.#records.push(record);
    this.#open.set(socket, record);
    let answered = 0;
    // Those of one case come one after the other: its script is for the first.
    const first = this.#records.length === 1;
    socket.setEncoding('latin1');
    socket.on('data', (chunk: string) => {
      record.text += chunk;
      this.onActivity();
      const { messages, rest } = readByRfc((reader) => readRequests(record.text, reader));
      const asked = messages.length + (rest === 'nonsense' ? 1 : 0);
      for (; answered < asked && socket.writable; answered++) answer(socket, first && answered === 0 ? this.#script : USUAL);
    });
    socket.on('end', () => socket.end());
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#open.delete(socket);
      this.onActivity();
      if (this.#open.size > 0) return;
      this.#idle?.();
      this.#idle = undefined;
    });
  }
}

function answer(socket: Socket, { bytes, after }: Script): void {
  const raw = Buffer.from(bytes, 'latin1');
  if (after === 'end') socket.end(raw);
  else if (after === 'stay') socket.write(raw);
  else socket.write(raw, () => socket.resetAndDestroy());
}
