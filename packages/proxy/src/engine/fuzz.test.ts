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

it('a pipelined request that cannot be taken ends its connection, and not the request before it', async () => {
  const world = new RandomWorld(true);
  await world.start();
  const move = (step: (typeof world.play extends (move: infer M) => unknown ? M : never)['step'], pick = 0, settled = false) =>
    world.play({ step, pick, size: 1, settled });
  await move('request', 899, true);
  await move('begin');
  await move('request', 0, true);
  await move('request', 143);
  await move('trailers');
  await move('mistake');
  await world.end();
  expect(world.calls.map(({ ends }) => ends)).toEqual([1, 1, 1]);
  expect(await world.engine.close()).toEqual([]);
});
