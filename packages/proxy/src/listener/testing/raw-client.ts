import { type MemoryTransport, memoryPair } from '../../net/memory-transport.ts';
import type { TestEngine } from '../../testing/test-engine.ts';

/** The client's end of a connection to a listener of a test engine, byte by byte (latin1). */
export class RawClient {
  readonly transport: MemoryTransport;
  readonly #engine: TestEngine;
  text = '';
  ended = false;
  closed = false;

  constructor(engine: TestEngine, name: string) {
    this.#engine = engine;
    const [ours, theirs] = memoryPair();
    this.transport = ours;
    ours.sink = {
      receive: (buffer, start, end) => {
        this.text += buffer.latin1Slice(start, end);
      },
      receiveEnd: () => {
        this.ended = true;
      },
      transportClosed: () => {
        this.closed = true;
      },
      transportDrained: () => {},
    };
    engine.runtime.internalListeners.get(name)!(theirs, (sink) => {
      theirs.sink = sink;
    });
  }

  /** All that has come so far. */
  async send(bytes: string | Buffer): Promise<string> {
    this.transport.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
    await this.#engine.settle();
    return this.text;
  }
}
