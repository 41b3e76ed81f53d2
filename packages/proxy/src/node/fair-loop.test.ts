import { describe, expect, it } from 'vitest';
import { FairLoop, type FairShare, type Waiting } from './fair-loop.ts';

/** An event loop that a test turns by hand; work takes the time that it says. */
class Loop {
  nowMs = 1_000;
  readonly done: string[] = [];
  #after: (() => void)[] = [];
  readonly fair = new FairLoop({ nowMs: () => this.nowMs, afterReads: (run) => this.#after.push(run) }, 1);

  /** What is readable for one workload: dealt with at once, or waiting. */
  read(share: FairShare, name: string, ms: number): void {
    const work: Waiting = {
      proceed: () => {
        this.nowMs += ms;
        this.done.push(name);
        return false;
      },
      abandon: () => this.done.push(`${name} abandoned`),
    };
    if (!share.open) {
      share.wait(work);
      return;
    }
    share.enter();
    work.proceed();
    share.leaveRead();
  }

  /** Two others have been read of lately. */
  beContended(): void {
    for (const name of ['a', 'b']) this.read(this.fair.share(), name, 0);
    this.done.length = 0;
    while (!this.idle) this.turn();
  }

  /** The end of one turn of the loop. */
  turn(): void {
    const after = this.#after;
    this.#after = [];
    for (const run of after) run();
  }

  get idle(): boolean {
    return this.#after.length === 0;
  }
}

describe('FairLoop', () => {
  it('knows whether there has been traffic, of workloads that are gone too', () => {
    const loop = new Loop();
    const share = loop.fair.share();
    share.enter();
    share.leave();
    expect(loop.fair.trafficSeen).toBe(false);
    loop.read(share, 'a', 0.1);
    share.close();
    expect(loop.fair.trafficSeen).toBe(true);
  });

  it('lets as many read on as it has time for, by what reads have taken', () => {
    const loop = new Loop();
    const one = loop.fair.share();
    loop.beContended();
    let resumed = 0;
    one.enter();
    loop.nowMs += 5;
    one.leaveRead();
    expect(one.averageReadMs).toBeCloseTo(0.25);
    for (let i = 0; i < 100; i++) one.wait({ proceed: () => ++resumed > 0, abandon: () => {} });
    for (let round = 0; round < 2; round++) loop.turn();
    // One round for what was taken beforehand, as far as that is held against it, and one with 1 ms to spend.
    expect(resumed).toBe(4);
  });

  it('lets a workload go on in the next round, and sleeps when all is done', () => {
    const loop = new Loop();
    const one = loop.fair.share();
    loop.beContended();
    for (let i = 0; i < 6; i++) loop.read(one, `${i}`, 0.5);
    expect(loop.done).toEqual(['0', '1']);
    loop.turn();
    expect(loop.done).toEqual(['0', '1', '2', '3']);
    loop.turn();
    expect(loop.done).toHaveLength(6);
    for (let i = 0; i < 10 && !loop.idle; i++) loop.turn();
    expect(loop.idle).toBe(true);
    expect(one.usedMs).toBeCloseTo(3);
    expect(one.deferred).toBe(4);
  });

  it('gives one that is alone longer rounds, until another is read of', () => {
    const loop = new Loop();
    const [one, other] = [loop.fair.share(), loop.fair.share()];
    for (let i = 0; i < 100; i++) loop.read(one, 'one', 0.5);
    loop.turn();
    loop.done.length = 0;
    loop.turn();
    expect(loop.done).toHaveLength(8);
    loop.read(other, 'other', 0);
    loop.done.length = 0;
    loop.turn();
    expect(loop.done).toHaveLength(1);
    loop.nowMs += 1_001;
    loop.turn();
    loop.done.length = 0;
    loop.turn();
    expect(loop.done).toHaveLength(8);
  });

  it('gives a quiet workload its answer within a round, whatever a noisy one has waiting', () => {
    const loop = new Loop();
    const noisy = loop.fair.share();
    const quiet = loop.fair.share();
    for (let i = 0; i < 100; i++) loop.read(noisy, 'noise', 0.5);
    loop.turn();
    const before = loop.nowMs;
    loop.read(quiet, 'quiet', 0.1);
    expect(loop.done.at(-1)).toBe('quiet');
    expect(loop.nowMs - before).toBeCloseTo(0.1);
    let longestMs = 0;
    for (let round = 0; round < 20; round++) {
      const startMs = loop.nowMs;
      loop.read(quiet, `quiet ${round}`, 0.1);
      loop.turn();
      longestMs = Math.max(longestMs, loop.nowMs - startMs);
      expect(loop.done).toContain(`quiet ${round}`);
    }
    // Its own 0.1 ms, and at most one piece of the noisy one's work beyond its part of a round.
    expect(longestMs).toBeLessThanOrEqual(1.2);
  });

  it('gives two that want all of it the same', () => {
    const loop = new Loop();
    const shares = [loop.fair.share(), loop.fair.share()];
    for (let i = 0; i < 400; i++) {
      loop.read(shares[0]!, 'small', 0.05);
      loop.read(shares[1]!, 'large', 0.3);
    }
    for (let round = 0; round < 20; round++) loop.turn();
    const [small, large] = shares.map(({ usedMs }) => usedMs);
    expect(small! / large!).toBeGreaterThan(0.75);
    expect(small! / large!).toBeLessThan(1.33);
  });

  it('takes from later rounds what a call has taken too much, up to a limit', () => {
    const loop = new Loop();
    const one = loop.fair.share();
    loop.beContended();
    loop.read(one, 'long', 3.5);
    loop.read(one, 'next', 0.1);
    loop.turn();
    expect(loop.done).toEqual(['long']);
    loop.turn();
    expect(loop.done).toEqual(['long', 'next']);
  });

  it('writes first for those that do not wait', () => {
    const loop = new Loop();
    const noisy = loop.fair.share();
    const quiet = loop.fair.share();
    loop.beContended();
    for (let i = 0; i < 10; i++) loop.read(noisy, 'noise', 0.6);
    noisy.flushLater(() => loop.done.push('noise written'));
    quiet.flushLater(() => loop.done.push('quiet written'));
    const from = loop.done.length;
    loop.turn();
    expect(loop.done.slice(from)).toEqual(['quiet written', 'noise', 'noise written']);
  });

  it('with slices off lets nobody wait', () => {
    const fair = new FairLoop({ nowMs: () => 0, afterReads: () => {} }, Number.POSITIVE_INFINITY);
    const share = fair.share();
    share.charge(1_000_000);
    expect(share.open).toBe(true);
  });

  it('ends what waits with its workload, or lets it go on at once', () => {
    const loop = new Loop();
    const [gone, moved] = [loop.fair.share(), loop.fair.share()];
    for (let i = 0; i < 2; i++) {
      loop.read(gone, `gone ${i}`, 2);
      loop.read(moved, `moved ${i}`, 2);
    }
    gone.close();
    moved.hurry();
    expect(loop.done).toEqual(['gone 0', 'moved 0', 'gone 1 abandoned', 'moved 1']);
  });

  it('keeps the other workloads from a mistake of one', () => {
    const faults: unknown[] = [];
    const after: (() => void)[] = [];
    const fair = new FairLoop({ nowMs: () => 0, afterReads: (run) => after.push(run) }, 1, (error) => faults.push(error));
    const [bad, good] = [fair.share(), fair.share()];
    let written = false;
    bad.flushLater(() => {
      throw new Error('a mistake');
    });
    good.flushLater(() => {
      written = true;
    });
    for (const run of after) run();
    expect(faults).toHaveLength(1);
    expect(written).toBe(true);
  });
});
