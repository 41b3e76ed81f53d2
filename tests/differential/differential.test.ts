import { existsSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { peer } from '../harness/peers.ts';
import { apiRounds, istioRounds } from './corpus.ts';
import { knownDifferences, unseen } from './differences.ts';
import { type Difference, Duel, type Round } from './duel.ts';
import { type GeneratedRound, generatedRound, REQUESTS_A_ROUND } from './generate/world.ts';
import { reportOf, roundOf } from './generated.ts';

// Cases that nobody here wrote; they stand beside the project.
const corpus = join(import.meta.dirname, '../../../shared/corpus');
const LEAST_OF_CORPUS = 200;

const seed = Number(process.env['OUTRIGGER_DIFFERENTIAL_SEED'] ?? 20_261_127);
/** In short form; `npm run differential` makes 20,000. */
const calls = Number(process.env['OUTRIGGER_DIFFERENTIAL_CALLS'] ?? 600);
const rounds = Math.ceil(calls / REQUESTS_A_ROUND);
const SHRINKING_MS = 60_000;
/** Of a busy machine; otherwise a tenth of it. */
const ROUND_MS = 500;

describe.skipIf(peer('envoy') === undefined)('the same translation in our proxy, in an Envoy and in a simulation', () => {
  let duel: Duel;

  beforeAll(async () => {
    duel = await Duel.start();
  });

  afterAll(async () => {
    await duel?.stop();
  });

  test.skipIf(!existsSync(corpus))(
    'the calls of the corpus (skipped where it is not there)',
    async () => {
      const apart: string[] = [];
      let asked = 0;
      for (const all of [istioRounds(corpus), apiRounds(corpus)]) {
        for await (const round of all) {
          const seen = withoutUnseen(round);
          asked += seen.trials.length;
          for (const { trial, why } of await duel.fight(seen)) apart.push(`${trial}: ${why}`);
        }
      }
      expect(apart).toEqual([]);
      expect(asked).toBeGreaterThanOrEqual(LEAST_OF_CORPUS);
    },
    120_000,
  );

  test(
    `${calls} generated calls (seed ${seed})`,
    async () => {
      const all = fc.sample(generatedRound, { seed, numRuns: rounds });
      // The next one is made while the proxies are busy with this one.
      let next = roundOf(all[0]!);
      for (const [index, written] of all.entries()) {
        const round = await next;
        if (index + 1 < all.length) next = roundOf(all[index + 1]!);
        const found = await duel.fight(round);
        if (found.length > 0) throw new Error(await smallest(written, found, index));
      }
    },
    SHRINKING_MS * 2 + rounds * ROUND_MS,
  );

  /** A round of the same difference with as little in it as can be found in time, for a person to read. */
  async function smallest(written: GeneratedRound, found: readonly Difference[], index: number): Promise<string> {
    let least = written;
    let differences = found;
    const property = fc.asyncProperty(generatedRound, async (one) => {
      const left = await duel.fight(await roundOf(one));
      if (left.length === 0) return;
      least = one;
      differences = left;
      throw new Error('they differ');
    });
    await fc.check(property, { seed, path: String(index), numRuns: index + 1, interruptAfterTimeLimit: SHRINKING_MS });
    return `round ${index} of seed ${seed}:\n${reportOf(least, differences)}`;
  }
});

function withoutUnseen(round: Round): Round {
  const left = [...knownDifferences, ...unseen];
  return { ...round, trials: round.trials.filter((trial) => !left.some(({ concerns }) => concerns(trial))) };
}
