import fc from 'fast-check';
import { expect, test } from 'vitest';
import { frameMessage, MessageSplitter } from './message-splitter.ts';

test('messages come out as they went in, wherever the stream was cut', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 40 })), fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1 }), (messages, cuts) => {
      const stream = Buffer.concat(messages.map(frameMessage));
      const splitter = new MessageSplitter(1024);
      const out: Buffer[] = [];
      for (let offset = 0, turn = 0; offset < stream.length; turn += 1) {
        const end = offset + cuts[turn % cuts.length]!;
        splitter.push(stream.subarray(offset, end), (message) => out.push(message));
        offset = end;
      }
      expect(out.map((message) => [...message])).toEqual(messages.map((message) => [...message]));
    }),
  );
});

test('pieces of a message that is not whole yet are not kept one by one', () => {
  const splitter = new MessageSplitter(100_000);
  const stream = frameMessage(Buffer.from(Array.from({ length: 50_000 }, (_, index) => index % 251)));
  const out: Buffer[] = [];
  let most = 0;
  for (let at = 0; at < stream.length; at++) {
    splitter.push(stream.subarray(at, at + 1), (message) => out.push(message));
    most = Math.max(most, splitter.pieces);
  }
  expect(out.map((message) => message.equals(stream.subarray(5)))).toEqual([true]);
  expect(most).toBeLessThan(50);
});

test('a message that is too large, or compressed, is refused by its prefix', () => {
  const tooLarge = new MessageSplitter(10);
  expect(() => tooLarge.push(frameMessage(new Uint8Array(11)).subarray(0, 5), () => {})).toThrow(expect.objectContaining({ code: 'too-large' }));
  const compressed = frameMessage(new Uint8Array(1));
  compressed[0] = 1;
  expect(() => new MessageSplitter(10).push(compressed, () => {})).toThrow(expect.objectContaining({ code: 'compressed' }));
});
