import { describe, expect, test } from 'vitest';
import { parserTargets } from './fuzz/parser-targets.ts';
import { fuzz } from './fuzz/target.ts';
import { wireTargets } from './fuzz/wire-targets.ts';

const CI_SECONDS = 14;
/** Of all targets together; `npm run fuzz` gives it ten minutes and a seed of the day. */
const seconds = Number(process.env['OUTRIGGER_FUZZ_SECONDS'] ?? CI_SECONDS);
const seed = Number(process.env['OUTRIGGER_FUZZ_SEED'] ?? 1);

/** Whole ways through the proxy are slower, and have more to find. */
const targets = [...wireTargets.map((target) => ({ target, share: 4 })), ...parserTargets.map((target) => ({ target, share: 1 }))];
const shares = targets.reduce((sum, { share }) => sum + share, 0);

describe('whatever bytes come, nothing is thrown, nothing is left, and nothing is passed that has two meanings:', () => {
  test.each(targets.map(({ target, share }) => ({ name: target.name, target, forMs: (seconds * 1000 * share) / shares })))(
    '$name',
    async ({ target, forMs }) => {
      expect(await fuzz(target, forMs, seed)).toBeGreaterThanOrEqual(target.corpus.length);
    },
    (seconds + 60) * 1000,
  );
});
