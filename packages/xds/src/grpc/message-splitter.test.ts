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

test('a message that is too large, or compressed, is refused by its prefix', () => {
  const tooLarge = new MessageSplitter(10);
  expect(() => tooLarge.push(frameMessage(new Uint8Array(11)).subarray(0, 5), () => {})).toThrow(expect.objectContaining({ code: 'too-large' }));
  const compressed = frameMessage(new Uint8Array(1));
  compressed[0] = 1;
  expect(() => new MessageSplitter(10).push(compressed, () => {})).toThrow(expect.objectContaining({ code: 'compressed' }));
});
