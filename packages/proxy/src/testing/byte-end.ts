import type { ByteSink } from '../net/byte-sink.ts';
import type { MemoryTransport } from '../net/memory-transport.ts';

/** What an application at one end of a byte stream sees. */
export class ByteEnd implements ByteSink {
  readonly transport: MemoryTransport;
  text = '';
  ended = false;
  closed = false;

  constructor(transport: MemoryTransport) {
    this.transport = transport;
    transport.sink = this;
  }

  write(text: string): boolean {
    return this.transport.write(Buffer.from(text, 'latin1'));
  }

  receive(buffer: Buffer, start: number, end: number): void {
    this.text += buffer.latin1Slice(start, end);
  }

  receiveEnd(): void {
    this.ended = true;
  }

  transportClosed(): void {
    this.closed = true;
  }

  transportDrained(): void {}
}
