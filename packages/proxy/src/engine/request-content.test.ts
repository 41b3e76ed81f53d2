import { describe, expect, it } from 'vitest';
import type { ClientStream, ServerStream } from '../http/message.ts';
import { NO_EVENTS } from '../http/no-events.ts';
import { Slabs } from '../net/turn-writer.ts';
import { type BufferBudget, RequestContent } from './request-content.ts';

class Downstream {
  paused = false;
  readonly stream = {
    events: NO_EVENTS,
    pause: () => {
      this.paused = true;
    },
    resume: () => {
      this.paused = false;
    },
  } as unknown as ServerStream;
}

/** Takes what it is sent; has no more room after `room` pieces. */
class Upstream {
  readonly sent: string[] = [];
  room: number;

  constructor(room = 1000) {
    this.room = room;
  }

  readonly stream = {
    sendBody: (buffer: Buffer, start: number, end: number, fin: boolean) => {
      this.sent.push(buffer.latin1Slice(start, end) + (fin ? '!' : ''));
      return --this.room > 0;
    },
    sendTrailers: (trailers: string[]) => this.sent.push(trailers.join('=')),
  } as unknown as ClientStream;
}

const unlimited = (): BufferBudget => ({ bufferedBytes: 0, maxBufferedBytes: Number.POSITIVE_INFINITY });

function receive(content: RequestContent, text: string, fin: boolean, upstream: Upstream | null): void {
  // The source is shared, and other bytes are in it by the next read.
  const shared = Buffer.from(text);
  if (fin) content.ended = true;
  content.receive(shared, 0, shared.length, fin, upstream === null ? null : upstream.stream);
  shared.fill('?');
}

describe('content that comes before there is a connection', () => {
  it('waits, and goes with the end that came with it', () => {
    const content = new RequestContent(new Downstream().stream, false, 100, unlimited(), new Slabs());
    receive(content, 'one ', false, null);
    content.prepare(-1, 100, false);
    receive(content, 'two', true, null);
    const upstream = new Upstream();
    expect(content.headIsAll).toBe(false);
    content.sendTo(upstream.stream);
    expect(upstream.sent).toEqual(['one ', 'two!']);
  });

  it('that is too much holds the client back until it has been sent', () => {
    const downstream = new Downstream();
    const content = new RequestContent(downstream.stream, false, 10, unlimited(), new Slabs());
    content.prepare(-1, 10, false);
    receive(content, 'x'.repeat(11), false, null);
    expect(downstream.paused).toBe(true);
    const upstream = new Upstream();
    content.sendTo(upstream.stream);
    expect([downstream.paused, upstream.sent, content.replayable]).toEqual([false, ['x'.repeat(11)], false]);
  });

  it('is followed by its trailers, which end it', () => {
    const content = new RequestContent(new Downstream().stream, false, 100, unlimited(), new Slabs());
    content.prepare(-1, 100, false);
    receive(content, 'one', false, null);
    content.ended = true;
    content.receiveTrailers(['a', 'b'], null);
    const upstream = new Upstream();
    content.sendTo(upstream.stream);
    expect(upstream.sent).toEqual(['one', 'a=b']);
    expect(content.headIsAll).toBe(false);
  });
});

describe('another attempt', () => {
  it('gets everything from the beginning, as often as it takes', () => {
    const content = new RequestContent(new Downstream().stream, false, 100, unlimited(), new Slabs());
    content.prepare(-1, 100, false);
    const first = new Upstream();
    receive(content, 'one ', false, first);
    expect(content.replayable).toBe(true);
    const second = new Upstream();
    content.sendTo(second.stream);
    receive(content, 'two', true, second);
    const third = new Upstream();
    content.sendTo(third.stream);
    expect([first.sent, second.sent, third.sent]).toEqual([['one '], ['one ', 'two!'], ['one ', 'two!']]);
  });

  it.each<[string, number, boolean, boolean]>([
    ['of content without end within the limit', -1, false, true],
    ['of a length within it', 6, false, true],
    ['of a length beyond it', 11, false, false],
    ['of a tunnel', -1, true, false],
  ])('%s (length %i, tunnel %s): %s', (_what, length, tunnel, expected) => {
    const content = new RequestContent(new Downstream().stream, false, 10, unlimited(), new Slabs());
    content.prepare(length, 10, tunnel);
    receive(content, 'six by', false, new Upstream());
    expect(content.replayable).toBe(expected);
  });

  it('is not possible once something was let go', () => {
    const content = new RequestContent(new Downstream().stream, false, 10, unlimited(), new Slabs());
    content.prepare(-1, 10, false);
    const upstream = new Upstream();
    receive(content, 'six by', false, upstream);
    receive(content, 'six by', false, upstream);
    expect([content.replayable, content.whole]).toEqual([false, null]);
    content.ended = true;
    expect(content.whole).toBeNull();
  });

  it('of a request without content is always possible', () => {
    const content = new RequestContent(new Downstream().stream, true, 10, unlimited(), new Slabs());
    content.prepare(0, 10, false);
    expect([content.replayable, content.headIsAll, content.whole]).toEqual([true, true, []]);
  });
});

it('an upstream without room holds the client back, and lets it go on', () => {
  const downstream = new Downstream();
  const content = new RequestContent(downstream.stream, false, 100, unlimited(), new Slabs());
  content.prepare(-1, 100, false);
  receive(content, 'one', false, new Upstream(1));
  expect(downstream.paused).toBe(true);
  content.resume();
  expect(downstream.paused).toBe(false);
  // At its end nobody is held back any more.
  receive(content, 'two', true, new Upstream(1));
  expect(downstream.paused).toBe(false);
});

it('keeps nothing when nothing is sent again', () => {
  const content = new RequestContent(new Downstream().stream, false, 100, unlimited(), new Slabs());
  content.prepare(-1, 100, false);
  receive(content, 'one', true, new Upstream());
  expect(content.whole).toHaveLength(1);
  content.stopKeeping(true);
  expect(content.whole).toBeNull();
});

describe('what all requests keep together', () => {
  it('is bounded: those that have a connection keep nothing for another attempt, the others hold their clients back', () => {
    const budget = { bufferedBytes: 0, maxBufferedBytes: 10 };
    const made = (): { readonly downstream: Downstream; readonly content: RequestContent } => {
      const downstream = new Downstream();
      const content = new RequestContent(downstream.stream, false, 100, budget, new Slabs());
      content.prepare(-1, 100, false);
      return { downstream, content };
    };
    const [sent, waiting, late] = [made(), made(), made()];
    const upstream = new Upstream();
    receive(sent.content, '12345678', false, upstream);
    expect([budget.bufferedBytes, sent.content.replayable]).toEqual([8, true]);
    receive(waiting.content, '1234', false, null);
    expect([budget.bufferedBytes, waiting.downstream.paused]).toEqual([12, true]);
    receive(sent.content, '9', false, upstream);
    expect([budget.bufferedBytes, sent.content.replayable, upstream.sent]).toEqual([4, false, ['12345678', '9']]);
    receive(late.content, '1234', false, null);
    expect([budget.bufferedBytes, late.downstream.paused]).toEqual([8, false]);
    waiting.content.sendTo(upstream.stream);
    for (const { content } of [sent, waiting, late]) content.stopKeeping(true);
    expect(budget.bufferedBytes).toBe(0);
  });

  it('is given back by what comes once more', () => {
    const budget = { bufferedBytes: 0, maxBufferedBytes: 10 };
    const content = new RequestContent(new Downstream().stream, false, 100, budget, new Slabs());
    receive(content, '1234', true, null);
    expect(content.rewind().chunks).toHaveLength(1);
    expect(budget.bufferedBytes).toBe(0);
  });
});
