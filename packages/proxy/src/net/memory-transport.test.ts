import { describe, expect, it } from 'vitest';
import type { ByteSink } from './byte-sink.ts';
import { type MemoryTransport, memoryPair } from './memory-transport.ts';

class Log implements ByteSink {
  readonly lines: string[] = [];
  onBytes: () => void = () => {};

  receive(buffer: Buffer, start: number, end: number): void {
    this.lines.push(buffer.latin1Slice(start, end));
    this.onBytes();
  }

  receiveEnd(): void {
    this.lines.push('end');
  }

  transportClosed(detail: string): void {
    this.lines.push(`closed${detail}`);
  }

  transportDrained(): void {
    this.lines.push('drained');
  }
}

function pair(): { a: MemoryTransport; b: MemoryTransport; atA: Log; atB: Log } {
  const [a, b] = memoryPair();
  const atA = new Log();
  const atB = new Log();
  a.sink = atA;
  b.sink = atB;
  return { a, b, atA, atB };
}

/** Until no microtask is left. */
const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

describe('MemoryTransport', () => {
  it('brings what one end writes to the other, later, as it was when written', async () => {
    const { a, atB } = pair();
    const bytes = Buffer.from('hello');
    expect(a.write(bytes)).toBe(true);
    expect(a.writableLength).toBe(5);
    bytes.fill('x');
    expect(atB.lines).toEqual([]);
    await settled();
    expect(atB.lines).toEqual(['hello']);
    expect(a.writableLength).toBe(0);
  });

  it('closes each half by itself, and both ends when both halves are', async () => {
    const { a, b, atA, atB } = pair();
    a.write(Buffer.from('last'));
    a.end();
    await settled();
    expect(atB.lines).toEqual(['last', 'end']);
    b.write(Buffer.from('answer'));
    await settled();
    expect(atA.lines).toEqual(['answer']);
    b.end();
    await settled();
    expect(atA.lines).toEqual(['answer', 'end', 'closed']);
    expect(atB.lines).toEqual(['last', 'end', 'closed']);
  });

  it('takes nothing after its own end', async () => {
    const { a, atB } = pair();
    a.end();
    a.write(Buffer.from('late'));
    await settled();
    expect(atB.lines).toEqual(['end']);
  });

  it('tells both ends when one is destroyed, once, and what was written before still arrives', async () => {
    const { a, b, atA, atB } = pair();
    a.write(Buffer.from('last'));
    a.destroy();
    a.destroy();
    expect(atA.lines).toEqual([]);
    await settled();
    expect(atA.lines).toEqual(['closed']);
    expect(atB.lines).toEqual(['last', 'end', 'closed']);
    expect(b.write(Buffer.from('x'))).toBe(true);
    await settled();
    expect(atA.lines).toEqual(['closed']);
  });

  it('holds what comes while it is paused, its end too', async () => {
    const { a, b, atB } = pair();
    b.pause();
    a.write(Buffer.from('one'));
    a.end();
    await settled();
    expect(atB.lines).toEqual([]);
    b.resume();
    await settled();
    expect(atB.lines).toEqual(['one', 'end']);
  });

  it('stops where its reader pauses in the midst', async () => {
    const { a, b, atB } = pair();
    atB.onBytes = () => b.pause();
    a.write(Buffer.from('one'));
    a.write(Buffer.from('two'));
    await settled();
    expect(atB.lines).toEqual(['one']);
    b.resume();
    await settled();
    expect(atB.lines).toEqual(['one', 'two']);
  });

  it('is destroyed although paused, so that nothing waits for ever', async () => {
    const { a, b, atA, atB } = pair();
    b.pause();
    a.write(Buffer.from('one'));
    await settled();
    b.destroy();
    await settled();
    expect(atB.lines).toEqual(['closed']);
    expect(atA.lines).toEqual(['end', 'closed']);
  });

  it('tells its writer to stop, and when to go on', async () => {
    const { a, b, atA } = pair();
    b.pause();
    expect(a.write(Buffer.alloc(100_000))).toBe(true);
    expect(a.write(Buffer.alloc(100_000))).toBe(false);
    await settled();
    expect(atA.lines).toEqual([]);
    b.resume();
    await settled();
    expect(atA.lines).toEqual(['drained']);
  });

  it('passes bytes by hand to hand in whichever order they come', async () => {
    const { a, b, atA, atB } = pair();
    atB.onBytes = () => void b.write(Buffer.from(`re:${atB.lines.at(-1)}`));
    for (let i = 0; i < 5; i++) a.write(Buffer.from(`${i}`));
    await settled();
    expect(atB.lines).toEqual(['0', '1', '2', '3', '4']);
    expect(atA.lines).toEqual(['re:0', 're:1', 're:2', 're:3', 're:4']);
  });
});
