import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ManualTurn } from '../http/testing/manual-turn.ts';
import { Wire } from '../http/testing/wire.ts';
import { HIGH_WATER_BYTES, LARGE_SLAB_BYTES, MAX_FREE_SMALL_SLABS, MAX_QUIET_STREAMS, SMALL_SLAB_BYTES, Turn, TurnWriter } from './turn-writer.ts';

/** A wire that notes each write. */
class CountingWire extends Wire {
  readonly writes: number[] = [];

  override write(chunk: Uint8Array): boolean {
    this.writes.push(chunk.length);
    return super.write(chunk);
  }
}

function open(turn = new ManualTurn()): { turn: ManualTurn; wire: CountingWire; writer: TurnWriter } {
  const wire = new CountingWire();
  return { turn, wire, writer: new TurnWriter(turn.turn, wire) };
}

function bytes(writer: TurnWriter, text: string): void {
  const source = Buffer.from(text, 'latin1');
  writer.bytes(source, 0, source.length);
}

describe('TurnWriter', () => {
  it('joins what is written in a turn into one write, for each connection', () => {
    const turn = new ManualTurn();
    const one = open(turn);
    const two = open(turn);
    one.writer.latin1('a\xe9');
    two.writer.latin1('x');
    bytes(one.writer, 'bc');
    one.writer.reserve(1);
    one.writer.buffer[one.writer.position++] = 0x64;
    expect([one.wire.text, two.wire.text]).toEqual(['', '']);
    turn.end();
    expect([one.wire.text, two.wire.text]).toEqual(['a\xe9bcd', 'x']);
    expect([one.wire.writes, two.wire.writes]).toEqual([[5], [1]]);
    one.writer.latin1('e');
    turn.end();
    expect(one.wire.writes).toEqual([5, 1]);
  });

  it('schedules one end of the turn for all', () => {
    const runs: (() => void)[] = [];
    const turn = new Turn((run) => runs.push(run));
    const writers = [new TurnWriter(turn, new Wire()), new TurnWriter(turn, new Wire())];
    for (const writer of writers) writer.latin1('a');
    for (const writer of writers) writer.latin1('b');
    expect(runs).toHaveLength(1);
    runs[0]!();
    writers[0]!.latin1('c');
    expect(runs).toHaveLength(2);
  });

  describe('where few requests are under way', () => {
    const late: (() => void)[] = [];
    const soon: (() => void)[] = [];
    const openQuiet = (streams: number): { turn: Turn; wire: CountingWire; writer: TurnWriter } => {
      late.length = soon.length = 0;
      const turn = new Turn(
        (run) => late.push(run),
        undefined,
        undefined,
        (run) => soon.push(run),
      );
      turn.streams = streams;
      const wire = new CountingWire();
      return { turn, wire, writer: new TurnWriter(turn, wire) };
    };

    it('sends after the call that brought what was read, all of it in one write', () => {
      const { wire, writer } = openQuiet(MAX_QUIET_STREAMS);
      writer.latin1('a');
      writer.latin1('b');
      expect([soon.length, late.length, wire.text]).toEqual([1, 0, '']);
      soon.shift()!();
      expect([wire.writes, late.length]).toEqual([[2], 0]);
      writer.latin1('c');
      soon.shift()!();
      expect(wire.text).toBe('abc');
    });

    it('waits for the end of the turn where there are more', () => {
      const { wire, writer } = openQuiet(MAX_QUIET_STREAMS + 1);
      writer.latin1('a');
      expect([soon.length, late.length]).toEqual([0, 1]);
      late.shift()!();
      expect(wire.text).toBe('a');
    });

    it('joins the parts of a body within the turn all the same', () => {
      const { wire, writer } = openQuiet(1);
      bytes(writer, 'x'.repeat(8_000));
      soon.shift()!();
      expect([wire.writes, late.length]).toEqual([[], 1]);
      bytes(writer, 'x'.repeat(8_000));
      expect(soon).toHaveLength(0);
      late.shift()!();
      expect(wire.writes).toEqual([16_000]);
    });

    it('gives the slab back at the end of the turn, when TLS has let go of it', () => {
      const { wire, writer } = openQuiet(1);
      wire.full = true;
      writer.latin1('a');
      soon.shift()!();
      expect([wire.writes, soon.length, late.length]).toEqual([[1], 0, 1]);
      wire.drain();
      late.shift()!();
      expect(writer.buffer).toHaveLength(0);
    });
  });

  it('cuts what is larger than a slab, in order, and takes large slabs after that', () => {
    const { turn, wire, writer } = open();
    const text = Array.from({ length: 50_000 }, (_, i) => `${i},`).join('');
    bytes(writer, text);
    turn.end();
    expect(wire.text === text).toBe(true);
    expect(wire.writes[0]).toBe(SMALL_SLAB_BYTES);
    expect(wire.writes[1]).toBe(LARGE_SLAB_BYTES);
  });

  it('gives room of any size in one piece', () => {
    const { turn, wire, writer } = open();
    writer.latin1('head');
    writer.reserve(LARGE_SLAB_BYTES * 3);
    expect(writer.buffer.length - writer.position).toBeGreaterThanOrEqual(LARGE_SLAB_BYTES * 3);
    writer.latin1('tail');
    turn.end();
    expect(wire.text).toBe('headtail');
  });

  it('says when the transport is full, until it drains', () => {
    const { turn, wire, writer } = open();
    wire.full = true;
    bytes(writer, 'x'.repeat(HIGH_WATER_BYTES - 1));
    turn.end();
    expect(writer.blocked).toBe(false);
    writer.latin1('y');
    turn.end();
    expect(writer.blocked).toBe(true);
    wire.drain();
    writer.drained();
    expect(writer.blocked).toBe(false);
    expect(wire.text).toHaveLength(HIGH_WATER_BYTES);
  });

  it('writes into no bytes that its transport still holds', () => {
    const { turn, wire, writer } = open();
    wire.full = true;
    for (let i = 0; i < 20; i++) {
      wire.full = true;
      bytes(writer, `${i}`.padEnd(5000, String.fromCharCode(97 + i)));
      turn.end();
    }
    wire.drain();
    writer.drained();
    const expected = Array.from({ length: 20 }, (_, i) => `${i}`.padEnd(5000, String.fromCharCode(97 + i))).join('');
    expect(wire.text === expected).toBe(true);
  });

  it.each<[string, (writer: TurnWriter) => void]>([
    ['ended', (writer) => writer.end()],
    ['destroyed', (writer) => writer.destroy()],
  ])('lets no other connection write into bytes that the transport of one that was %s still holds', (_name, close) => {
    const turn = new ManualTurn();
    const closing = open(turn);
    closing.wire.full = true;
    const secret = 'the answer of one client'.repeat(100);
    bytes(closing.writer, secret);
    close(closing.writer);
    turn.end();
    const others = Array.from({ length: 3 }, () => open(turn));
    for (const { writer } of others) bytes(writer, 'X'.repeat(SMALL_SLAB_BYTES));
    turn.end();
    // Only now does the kernel take it.
    closing.wire.drain();
    expect(closing.wire.text === secret).toBe(true);
  });

  it('holds no slab when idle, and uses those of others again', () => {
    const turn = new ManualTurn();
    const { wire, writer } = open(turn);
    writer.latin1('a');
    const slab = writer.buffer;
    turn.end();
    expect(writer.buffer).toHaveLength(0);
    const other = open(turn);
    other.writer.latin1('b');
    expect(other.writer.buffer).toBe(slab);
    turn.end();
    // One whose transport takes a turn to let go gives its slab back all the same.
    wire.full = true;
    writer.latin1('c');
    const runs: (() => void)[] = [];
    const late = new Turn((run) => runs.push(run));
    const lateWire = new Wire();
    const lateWriter = new TurnWriter(late, lateWire);
    lateWire.full = true;
    lateWriter.latin1('d');
    runs.shift()!();
    expect(lateWriter.buffer.length).toBeGreaterThan(0);
    lateWire.drain();
    runs.shift()!();
    expect(lateWriter.buffer).toHaveLength(0);
    expect(runs).toHaveLength(0);
  });

  it('uses its slabs again while its transport is never empty', () => {
    const { turn, wire, writer } = open();
    const slabs = new Set<Buffer>();
    let expected = '';
    for (let i = 0; i < 50; i++) {
      wire.full = true;
      const text = `${i}`.padEnd(LARGE_SLAB_BYTES, String.fromCharCode(33 + i));
      bytes(writer, text);
      expected += text;
      slabs.add(writer.buffer);
      turn.end();
      while (wire.writableLength > HIGH_WATER_BYTES) wire.drainOne();
    }
    // What is on its way, what is being filled, and the small one that it began with.
    expect(slabs.size).toBeLessThanOrEqual(HIGH_WATER_BYTES / LARGE_SLAB_BYTES + 4);
    wire.drain();
    expect(wire.text === expected).toBe(true);
  });

  it('keeps a bounded number of free slabs', () => {
    const turn = new ManualTurn();
    const many = Array.from({ length: MAX_FREE_SMALL_SLABS * 2 }, () => open(turn));
    for (const { writer } of many) writer.latin1('a');
    const slabs = new Set(many.map(({ writer }) => writer.buffer));
    expect(slabs.size).toBe(MAX_FREE_SMALL_SLABS * 2);
    turn.end();
    for (const { writer } of many) writer.latin1('a');
    expect(many.filter(({ writer }) => slabs.has(writer.buffer))).toHaveLength(MAX_FREE_SMALL_SLABS);
  });

  it('ends its transport after what was written, and drops what comes later', () => {
    const { turn, wire, writer } = open();
    writer.latin1('last');
    writer.end();
    expect(wire).toMatchObject({ text: 'last', ended: true });
    writer.latin1('late');
    writer.end();
    turn.end();
    expect(wire.text).toBe('last');
    const destroyed = open();
    destroyed.writer.latin1('last');
    destroyed.writer.destroy();
    destroyed.writer.latin1('late');
    destroyed.turn.end();
    expect(destroyed.wire).toMatchObject({ text: 'last', destroyed: true });
  });

  it('sends in order whatever is written, however full the transport is', () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('bytes' as const), size: fc.oneof(fc.nat(100), fc.nat(100_000)) }),
      fc.record({ kind: fc.constant('text' as const), size: fc.oneof(fc.nat(100), fc.nat(40_000)) }),
      fc.constant({ kind: 'turn' as const, size: 0 }),
      fc.constant({ kind: 'full' as const, size: 0 }),
      fc.constant({ kind: 'drain' as const, size: 0 }),
      fc.constant({ kind: 'drain one' as const, size: 0 }),
      fc.constant({ kind: 'flush' as const, size: 0 }),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(2), step), { maxLength: 60 }), (steps) => {
        const turn = new ManualTurn();
        const all = Array.from({ length: 3 }, () => ({ ...open(turn), expected: '' }));
        let n = 0;
        for (const [which, { kind, size }] of steps) {
          const one = all[which]!;
          if (kind === 'turn') turn.end();
          else if (kind === 'full') one.wire.full = true;
          else if (kind === 'flush') one.writer.flush();
          else if (kind === 'drain one') one.wire.drainOne();
          else if (kind === 'drain') {
            one.wire.drain();
            one.writer.drained();
          } else {
            const text = `${n++}`.padEnd(size, String.fromCharCode(33 + (n % 90)));
            one.expected += text;
            if (kind === 'bytes') bytes(one.writer, text);
            else one.writer.latin1(text);
          }
        }
        turn.end();
        for (const { wire, expected } of all) {
          wire.drain();
          expect(wire.text === expected).toBe(true);
        }
      }),
      { numRuns: 300 },
    );
  });
});
