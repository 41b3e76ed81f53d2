import type { MemoryTransport } from '../../net/memory-transport.ts';
import type { TestEngine } from '../../testing/test-engine.ts';
import { data, FrameLines, headers, OK, settings } from './frames.ts';

/** What the server does on its first connection, when the request is there. */
export interface Conduct {
  /** Before anything was received; default: SETTINGS. */
  readonly first?: Buffer;
  readonly frames: readonly Buffer[];
  /** Then the server's half ends, or all of it. */
  readonly after?: 'end' | 'destroy';
}

/** An HTTP/2 server that does as it is told with its first request, and answers the others "good" as it should. */
export class HostileUpstream {
  /** What it was sent on each connection. */
  readonly received: string[][] = [];
  readonly #conduct: Conduct;
  #told = false;

  constructor(engine: TestEngine, name: string, conduct: Conduct) {
    this.#conduct = conduct;
    engine.runtime.internalListeners.set(name, (transport, setSink) => this.#accept(transport, setSink));
  }

  #accept(transport: MemoryTransport, setSink: (sink: MemoryTransport['sink']) => void): void {
    const lines: string[] = [];
    this.received.push(lines);
    const reader = new FrameLines(true);
    const first = this.received.length === 1;
    transport.write(first ? (this.#conduct.first ?? settings()) : settings());
    setSink({
      receive: (buffer, start, end) => {
        for (const line of reader.read(buffer.latin1Slice(start, end))) {
          lines.push(line);
          const id = Number(/^HEADERS (\d+)/.exec(line)?.[1]);
          if (id > 0) this.#answer(transport, id);
        }
      },
      receiveEnd: () => transport.end(),
      transportClosed: () => {},
      transportDrained: () => {},
    });
  }

  #answer(transport: MemoryTransport, id: number): void {
    if (this.#told) {
      transport.write(Buffer.concat([headers(id, OK, false), data(id, 'good', true)]));
      return;
    }
    this.#told = true;
    const { frames, after } = this.#conduct;
    if (frames.length > 0) transport.write(Buffer.concat(frames));
    if (after === 'end') transport.end();
    else if (after === 'destroy') transport.destroy();
  }
}
