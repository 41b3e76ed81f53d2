import { EmptySchema } from '@bufbuild/protobuf/wkt';
import { Code, type ConnectError } from '@connectrpc/connect';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Caller } from '../source.ts';
import type { ServerCall, ServerCallEvents } from './stream-method.ts';
import { unaryMethod } from './unary-method.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function begin(answer: () => Promise<{ $typeName: 'google.protobuf.Empty' }>): { events: ServerCallEvents; ended: unknown[]; sent: Uint8Array[] } {
  const ended: unknown[] = [];
  const sent: Uint8Array[] = [];
  const call: ServerCall = {
    caller: {} as Caller,
    send: (message) => sent.push(message) > 0,
    end: (error) => void ended.push(error),
  };
  return { events: unaryMethod(EmptySchema, EmptySchema, answer)(call), ended, sent };
}

test('ends a call whose request does not come', () => {
  const { ended } = begin(async () => ({ $typeName: 'google.protobuf.Empty' }));
  vi.advanceTimersByTime(9_999);
  expect(ended).toEqual([]);
  vi.advanceTimersByTime(1);
  expect((ended[0] as ConnectError).code).toBe(Code.DeadlineExceeded);
});

test('gives an answer its time', async () => {
  let give: (value: { $typeName: 'google.protobuf.Empty' }) => void = () => {};
  const { events, ended, sent } = begin(() => new Promise((resolve) => (give = resolve)));
  events.onMessage(new Uint8Array());
  vi.advanceTimersByTime(60_000);
  expect(ended).toEqual([]);
  give({ $typeName: 'google.protobuf.Empty' });
  await vi.advanceTimersByTimeAsync(0);
  expect([sent.length, ended]).toEqual([1, [undefined]]);
});

test('leaves no timer behind a call that has ended', () => {
  const { events } = begin(async () => ({ $typeName: 'google.protobuf.Empty' }));
  events.onEnd(undefined);
  expect(vi.getTimerCount()).toBe(0);
});
