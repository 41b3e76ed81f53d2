import { expect, it, vi } from 'vitest';
import { LoopLag } from './loop-lag.ts';
import { OWN_MEMORY } from './overload-config.ts';
import { makeMonitor, ProcessMemory } from './resource-monitors.ts';

it('looks at the memory of the process once for all proxies in it that ask at the same time', () => {
  let nowMs = 1_000;
  const memory = new ProcessMemory(() => nowMs);
  const monitors = [1, 2, 3].map(() => makeMonitor({ name: OWN_MEMORY, kind: 'own-memory' }, new LoopLag(), memory, 1));
  const usage = vi.spyOn(process, 'memoryUsage');
  try {
    const pressures = monitors.map((monitor) => monitor.pressure());
    expect(pressures[0]).toBeGreaterThan(0);
    expect(pressures[0]).toBeLessThan(1);
    expect(new Set(pressures).size).toBe(1);
    expect(usage).toHaveBeenCalledTimes(1);
    nowMs += 25;
    monitors[0]!.pressure();
    expect(usage).toHaveBeenCalledTimes(2);
  } finally {
    usage.mockRestore();
  }
});

it('counts its share of the limit against each of several processes', () => {
  const limit = vi.spyOn(process, 'constrainedMemory').mockReturnValue(2_000_000_000);
  try {
    const [alone, four] = [1, 4].map((processes) => new ProcessMemory(() => 0).pressure(processes));
    expect(four).toBeGreaterThan(alone!);
  } finally {
    limit.mockRestore();
  }
});
