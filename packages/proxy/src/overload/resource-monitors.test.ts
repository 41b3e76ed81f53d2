import { describe, expect, it } from 'vitest';
import { LoopLag } from './loop-lag.ts';
import { OWN_MEMORY } from './overload-config.ts';
import { makeMonitor, ProcessMemory } from './resource-monitors.ts';

const MB = 1_000_000;

/** A process that may have 100 MB. `freeMb` of what is resident are the allocator's, which `trim` gives back. */
class Scene {
  nowMs = 1_000;
  v8Mb = 20;
  nativeMb = 20;
  freeMb = 0;
  trimmable = true;
  looks = 0;
  trims = 0;
  loads = 0;
  readonly memory = new ProcessMemory({
    nowMs: () => this.nowMs,
    limitBytes: () => 100 * MB,
    look: () => {
      this.looks++;
      return { v8Bytes: this.v8Mb * MB, residentBytes: (this.v8Mb + this.nativeMb + this.freeMb) * MB };
    },
    load: () => {
      this.loads++;
      return Promise.resolve();
    },
    trim: () => {
      if (!this.trimmable) return false;
      this.trims++;
      this.freeMb = 0;
      return true;
    },
  });

  /** After `change`, 25 ms later. */
  pressureWith(change: Partial<Pick<Scene, 'v8Mb' | 'nativeMb' | 'freeMb' | 'trimmable'>> = {}): number {
    Object.assign(this, change);
    this.nowMs += 25;
    return this.memory.pressure(1);
  }
}

it('looks at the memory of the process once for all proxies in it that ask at the same time', () => {
  const scene = new Scene();
  const monitors = [1, 2, 3].map(() => makeMonitor({ name: OWN_MEMORY, kind: 'own-memory' }, new LoopLag(), scene.memory, 1));
  expect(monitors.map((monitor) => monitor.pressure())).toEqual([0.4, 0.4, 0.4]);
  expect(scene.looks).toBe(1);
  scene.nowMs += 25;
  monitors[0]!.pressure();
  expect(scene.looks).toBe(2);
});

it('looks once more as soon as buffers have taken a hundredth of it', () => {
  const scene = new Scene();
  scene.memory.pressure(1);
  scene.v8Mb = 50;
  scene.memory.growth.took(0.9 * MB);
  expect(scene.memory.pressure(1)).toBe(0.4);
  scene.memory.growth.took(0.2 * MB);
  expect(scene.memory.pressure(1)).toBe(0.7);
});

it('counts its share of the limit against each of several processes', () => {
  expect(new Scene().memory.pressure(2)).toBe(0.8);
});

describe('what the allocator has free', () => {
  it('is not in use', () => {
    const scene = new Scene();
    scene.pressureWith();
    expect([scene.pressureWith({ v8Mb: 10, freeMb: 25 }), scene.trims]).toEqual([0.3, 0]);
  });

  it('is given back where memory is nearly all gone, and what is left is in use', () => {
    const scene = new Scene();
    scene.pressureWith();
    // All that is more may be free: nobody can tell.
    expect([scene.pressureWith({ nativeMb: 45, freeMb: 20 }), scene.trims, scene.loads]).toEqual([0.65, 1, 1]);
    expect(scene.pressureWith({ v8Mb: 40 })).toBe(0.85);
  });

  it('is asked for no more often than each tenth of a second', () => {
    const scene = new Scene();
    scene.pressureWith();
    scene.pressureWith({ freeMb: 50 });
    scene.pressureWith();
    scene.pressureWith({ freeMb: 50 });
    expect(scene.trims).toBe(1);
    scene.nowMs += 50;
    expect(scene.pressureWith()).toBe(0.4);
    expect(scene.trims).toBe(2);
  });

  it('is looked for each quarter of a second where all seems to be in use', () => {
    const scene = new Scene();
    scene.pressureWith();
    expect([scene.pressureWith({ v8Mb: 65 }), scene.trims]).toEqual([0.85, 1]);
    for (let i = 0; i < 20; i++) scene.pressureWith();
    expect(scene.trims).toBe(3);
  });

  it('is not mistaken for what V8 has collected and still counts', () => {
    const scene = new Scene();
    scene.pressureWith();
    // Trimmed with 20 MB of garbage counted: as though nothing was beside it.
    scene.freeMb = 40;
    scene.v8Mb = 40;
    scene.nativeMb = 0;
    scene.pressureWith();
    expect(scene.trims).toBe(1);
    expect(scene.pressureWith({ v8Mb: 20, nativeMb: 20 })).toBe(0.4);
    scene.nowMs += 25;
    expect(scene.pressureWith({ v8Mb: 50 })).toBe(0.7);
  });

  it('is taken for half of what more is resident where it cannot be given back', () => {
    const scene = new Scene();
    scene.pressureWith({ trimmable: false });
    expect(scene.pressureWith({ nativeMb: 70 })).toBe(0.65);
  });
});
