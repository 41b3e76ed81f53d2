import fc from 'fast-check';
import { expect, it } from 'vitest';
import { moves, RandomWorld } from '../testing/random-world.ts';

it.each([false, true])(
  'whatever either side, time and configuration do, each request has one end and nothing is left of it (HTTP/2 upstream: %s)',
  async (http2) => {
    await fc.assert(
      fc.asyncProperty(moves, async (played) => {
        const world = new RandomWorld(http2);
        const { engine } = world;
        await world.start();
        for (const move of played) await world.play(move);
        await world.end();
        const open = world.calls.filter(({ ends }) => ends !== 1).length;
        expect({ open, underWay: engine.underWay(), left: await engine.close() }).toEqual({ open: 0, underWay: [], left: [] });
        expect(engine.records).toHaveLength(engine.begun);
        expect(engine.runtime.faults.count).toBeLessThanOrEqual(world.mistakes);
        const unexpected = engine.log.filter((line) => line.startsWith('error') && !line.includes('Error: a mistake'));
        expect(unexpected).toEqual([]);
      }),
      { numRuns: 300, interruptAfterTimeLimit: 6_000, markInterruptAsFailure: false },
    );
  },
  60_000,
);
