import { describe, expect, it } from 'vitest';
import { type TimerClock, TimerWheel } from './timer-wheel.ts';

class FakeClock implements TimerClock {
  now = 1_000_003;
  pending: { at: number; callback: () => void }[] = [];
  nowMs(): number {
    return this.now;
  }
  after(delayMs: number, callback: () => void): () => void {
    const entry = { at: this.now + delayMs, callback };
    this.pending.push(entry);
    return () => {
      this.pending = this.pending.filter((p) => p !== entry);
    };
  }
  advanceTo(at: number): void {
    for (;;) {
      this.pending.sort((a, b) => a.at - b.at);
      const next = this.pending[0];
      if (next === undefined || next.at > at) break;
      this.pending.shift();
      this.now = Math.max(this.now, next.at);
      next.callback();
    }
    this.now = at;
  }
}

describe('TimerWheel', () => {
  it('fires once, not early, at most a tick late', () => {
    const clock = new FakeClock();
    const wheel = new TimerWheel(clock, 10);
    for (const delay of [0, 1, 9, 10, 11, 499, 5119, 5120, 5121, 60_000]) {
      const start = clock.now;
      const fired: number[] = [];
      wheel.arm(delay, { onTimer: (kind) => fired.push(kind, clock.now) }, 7);
      clock.advanceTo(start + delay + 20);
      expect(fired[0]).toBe(7);
      expect(fired).toHaveLength(2);
      expect(fired[1]! - start).toBeGreaterThanOrEqual(delay);
      expect(fired[1]! - start).toBeLessThanOrEqual(delay + 20);
    }
    expect(wheel.size).toBe(0);
    expect(clock.pending).toHaveLength(0);
  });

  it('does not fire what was cancelled, also by a neighbour of the same slot', () => {
    const clock = new FakeClock();
    const wheel = new TimerWheel(clock, 10);
    const fired: string[] = [];
    const b = wheel.arm(30, { onTimer: () => fired.push('b') });
    wheel.arm(30, {
      onTimer: () => {
        fired.push('a');
        wheel.cancel(b);
      },
    });
    const c = wheel.arm(25, { onTimer: () => fired.push('c') });
    wheel.cancel(c);
    wheel.cancel(c);
    clock.advanceTo(clock.now + 100);
    expect(fired).toEqual(['a']);
  });

  it('arms anew from inside a callback', () => {
    const clock = new FakeClock();
    const wheel = new TimerWheel(clock, 10);
    let n = 0;
    const target = {
      onTimer(): void {
        if (++n < 5) wheel.arm(0, target);
      },
    };
    wheel.arm(0, target);
    clock.advanceTo(clock.now + 200);
    expect(n).toBe(5);
  });

  it('fires at most once a tick what arms itself anew, also where the clock stands still', () => {
    const clock = new FakeClock();
    clock.now = 1_000_000;
    const wheel = new TimerWheel(clock, 10);
    let n = 0;
    const target = {
      onTimer(): void {
        if (++n > 100) throw new Error('without end');
        wheel.arm(0, target);
      },
    };
    wheel.arm(0, target);
    clock.advanceTo(clock.now + 100);
    expect(n).toBe(10);
  });

  it('forgets all when cleared', () => {
    const clock = new FakeClock();
    const wheel = new TimerWheel(clock, 10);
    const timer = wheel.arm(20, { onTimer: () => expect.unreachable() });
    wheel.clear();
    wheel.cancel(timer);
    expect(wheel.size).toBe(0);
    expect(clock.pending).toHaveLength(0);
    let fired = 0;
    wheel.arm(20, { onTimer: () => fired++ });
    clock.advanceTo(clock.now + 100);
    expect(fired).toBe(1);
    expect(wheel.size).toBe(0);
  });

  it('catches up after a long block', () => {
    const clock = new FakeClock();
    const wheel = new TimerWheel(clock, 10);
    let n = 0;
    for (let i = 0; i < 100; i++) wheel.arm(i * 100, { onTimer: () => n++ });
    clock.now += 20_000;
    clock.advanceTo(clock.now);
    expect(n).toBe(100);
  });
});
