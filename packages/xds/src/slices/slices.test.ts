import { describe, expect, test } from 'vitest';
import { atOnce, Slices, type Steps } from './slices.ts';

/** Time passes only where a step says so; `turn` is one turn of the event loop. */
class Loop {
  time = 0;
  #deferred: (() => void)[] = [];
  readonly nowMs = (): number => this.time;
  readonly defer = (run: () => void): void => void this.#deferred.push(run);
  turn(): number {
    const start = this.time;
    const now = this.#deferred;
    this.#deferred = [];
    for (const run of now) run();
    return this.time - start;
  }
}

function* work(loop: Loop, done: string[], name: string, steps: number, stepMs = 1): Steps<string> {
  for (let step = 0; step < steps; step++) {
    loop.time += stepMs;
    done.push(`${name}${step}`);
    yield;
  }
  return name;
}

describe('slices', () => {
  test.each([
    // steps, ms of each, the turns that they take
    [3, 1, [3]],
    [4, 1, [4, 0]],
    [10, 1, [4, 4, 2]],
    [3, 10, [10, 10, 10, 0]],
    [0, 1, [0]],
  ])('%i steps of %i ms hold the loop for %j', async (steps, stepMs, expected) => {
    const loop = new Loop();
    const slices = new Slices(loop);
    const result = slices.run(work(loop, [], 'a', steps, stepMs));
    const held = [loop.time];
    while (held.length < expected.length) held.push(loop.turn());
    expect(held).toEqual(expected);
    expect(await result).toBe('a');
  });

  test('does what is small at once', () => {
    const loop = new Loop();
    const done: string[] = [];
    void new Slices(loop).run(work(loop, done, 'a', 2));
    expect(done).toEqual(['a0', 'a1']);
  });

  test('shares one slice of a turn among all that come in it', () => {
    const loop = new Loop();
    const done: string[] = [];
    const slices = new Slices(loop);
    for (const name of ['a', 'b', 'c']) void slices.run(work(loop, done, name, 3));
    expect(done).toEqual(['a0', 'a1', 'a2', 'b0']);
    loop.turn();
    expect(done).toEqual(['a0', 'a1', 'a2', 'b0', 'b1', 'b2', 'c0', 'c1']);
    loop.turn();
    loop.turn();
    void slices.run(work(loop, done, 'd', 1));
    expect(done.slice(-2)).toEqual(['c2', 'd0']);
  });

  test('ends one before the next begins, in their order, also when one throws', async () => {
    const loop = new Loop();
    const done: string[] = [];
    const slices = new Slices(loop);
    const ended: string[] = [];
    const first = slices.run(work(loop, done, 'a', 6)).then((name) => ended.push(name));
    const broken = slices.run(
      (function* (): Steps<void> {
        yield* work(loop, done, 'b', 5);
        throw new Error('no good');
      })(),
    );
    const refused = broken.catch((error: Error) => ended.push(error.message));
    const last = slices.run(work(loop, done, 'c', 1)).then((name) => ended.push(name));
    for (let turn = 0; turn < 5; turn++) {
      loop.turn();
      await Promise.resolve();
    }
    await Promise.all([first, refused, last]);
    expect(done.map((step) => step[0]).join('')).toBe('aaaaaabbbbbc');
    expect(ended).toEqual(['a', 'no good', 'c']);
  });

  test('leaves what a step itself asks for until later', async () => {
    const loop = new Loop();
    const slices = new Slices(loop);
    const order: string[] = [];
    let inner: Promise<void> | undefined;
    await slices.run(
      (function* (): Steps<void> {
        inner = slices.run(
          (function* (): Steps<void> {
            order.push('inner');
            yield;
          })(),
        );
        order.push('outer');
        yield;
      })(),
    );
    await inner;
    expect(order).toEqual(['outer', 'inner']);
  });

  test('does nothing more once it is closed', () => {
    const loop = new Loop();
    const done: string[] = [];
    const slices = new Slices(loop);
    void slices.run(work(loop, done, 'a', 9));
    slices.close();
    loop.turn();
    void slices.run(work(loop, done, 'b', 1));
    expect(done).toEqual(['a0', 'a1', 'a2', 'a3']);
  });

  test('all steps can be taken at once', () => {
    expect(atOnce(work(new Loop(), [], 'a', 100))).toBe('a');
  });
});
