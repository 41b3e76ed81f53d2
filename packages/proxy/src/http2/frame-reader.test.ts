import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { errorCodeName } from './error-code.ts';
import { Flag, FrameType } from './frame.ts';
import { FrameReader, type FrameSink } from './frame-reader.ts';
import { data, frame, PREFACE, settings } from './testing/frames.ts';

class Frames implements FrameSink {
  readonly lines: string[] = [];
  reader: FrameReader | undefined;
  #open = false;

  onDataFrame(id: number, flags: number, length: number): void {
    this.#open = false;
    this.lines.push(`DATA ${id} ${flags} ${length}:`);
  }

  onDataBytes(buffer: Buffer, start: number, end: number, last: boolean): void {
    const line = this.lines.length - 1;
    if (this.#open) this.lines[line] += buffer.latin1Slice(start, end);
    else this.lines[line] += ` ${buffer.latin1Slice(start, end)}`;
    this.#open = true;
    if (last) this.lines[line] += ';';
  }

  onFrame(type: number, flags: number, id: number, buffer: Buffer, start: number, end: number): void {
    this.lines.push(`${type} ${flags} ${id} ${buffer.toString('hex', start, end)}`);
  }

  fail(code: number, detail: string): void {
    this.lines.push(`fail ${errorCodeName(code)} ${detail}`);
    this.reader!.stop();
  }
}

function read(bytes: Buffer, size: number, preface = false): string[] {
  const frames = new Frames();
  frames.reader = new FrameReader(frames, 16_384, preface);
  for (let p = 0; p < bytes.length; p += size) {
    const piece = Buffer.from(bytes.subarray(p, p + size));
    frames.reader.receive(piece, 0, piece.length);
    piece.fill(0x5a);
  }
  return frames.lines;
}

function everySize(bytes: Buffer, preface = false): string[] {
  const whole = read(bytes, Math.max(1, bytes.length), preface);
  for (let size = 1; size < Math.min(bytes.length, 30); size++) expect(read(bytes, size, preface)).toEqual(whole);
  return whole;
}

describe('FrameReader', () => {
  it('reads the preface and then frames', () => {
    expect(everySize(Buffer.concat([PREFACE, settings({ 1: 2 }), frame(99, 7, 5, 'unknown')]), true)).toEqual([
      '4 0 0 000100000002',
      `99 7 5 ${Buffer.from('unknown').toString('hex')}`,
    ]);
  });

  it.each([
    ['GET / HTTP/1.1\r\n\r\n', 'another request'],
    ['PRI * HTTP/2.0\r\n\r\nSM\r\n\rX', 'a wrong last byte'],
  ])('refuses %j: %s', (text) => {
    expect(everySize(Buffer.from(text, 'latin1'), true)).toEqual(['fail PROTOCOL_ERROR no HTTP/2 connection preface']);
  });

  it('hands on content as it comes, and leaves out padding', () => {
    expect(everySize(Buffer.concat([data(1, 'hello', false), data(1, '', true), data(3, '', false), data(1, 'x', true)]))).toEqual([
      'DATA 1 0 5: hello;',
      'DATA 1 1 0: ;',
      'DATA 3 0 0: ;',
      'DATA 1 1 1: x;',
    ]);
    const padded = frame(FrameType.DATA, Flag.PADDED | Flag.END_STREAM, 1, '\x03hello\0\0\0');
    expect(everySize(Buffer.concat([padded, settings()]))).toEqual(['DATA 1 9 9: hello;', '4 0 0 ']);
    const onlyPadding = frame(FrameType.DATA, Flag.PADDED, 1, '\x03\0\0\0');
    expect(everySize(Buffer.concat([onlyPadding, settings()]))).toEqual(['DATA 1 8 4: ;', '4 0 0 ']);
  });

  it.each([
    ['padding longer than its frame', frame(FrameType.DATA, Flag.PADDED, 1, '\x04abc'), 'fail PROTOCOL_ERROR padding longer than its frame'],
    ['padding without its length', frame(FrameType.DATA, Flag.PADDED, 1), 'fail FRAME_SIZE_ERROR padded DATA frame without pad length'],
    ['a frame too large', frame(FrameType.HEADERS, 0, 1, Buffer.alloc(16_385)), 'fail FRAME_SIZE_ERROR frame larger than SETTINGS_MAX_FRAME_SIZE'],
    ['a DATA frame too large', frame(FrameType.DATA, 0, 1, Buffer.alloc(16_385)), 'fail FRAME_SIZE_ERROR frame larger than SETTINGS_MAX_FRAME_SIZE'],
  ])('refuses %s, and reads no more', (_name, bytes, line) => {
    expect(everySize(Buffer.concat([bytes, settings()])).at(-1)).toBe(line);
  });

  it('takes a frame of the largest size, and no notice of the reserved bit', () => {
    expect(read(frame(FrameType.HEADERS, 0, 1, Buffer.alloc(16_384)), 1000)[0]).toHaveLength('1 0 1 '.length + 32_768);
    expect(everySize(frame(FrameType.PING, 0, 0x80000001, Buffer.alloc(8)))).toEqual(['6 0 1 0000000000000000']);
  });

  it('reads the same, however the bytes are cut', () => {
    const one = fc.record({
      type: fc.integer({ min: 0, max: 12 }),
      flags: fc.integer({ min: 0, max: 255 }),
      id: fc.nat(9),
      payload: fc.string({ unit: 'binary-ascii', maxLength: 30 }),
    });
    fc.assert(
      fc.property(fc.array(one, { maxLength: 6 }), fc.integer({ min: 1, max: 40 }), (all, size) => {
        const bytes = Buffer.concat(all.map(({ type, flags, id, payload }) => frame(type, flags, id, payload)));
        expect(read(bytes, size)).toEqual(read(bytes, bytes.length + 1));
      }),
    );
  });
});
