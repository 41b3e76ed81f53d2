import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { peer } from '../harness/peers.ts';
import { type Contestant, type Name, names, startContestant } from './differential/contestants.ts';
import { differences, page, reasonOf, unlike } from './differential/differences.ts';
import type { Outcome } from './differential/outcome.ts';
import { type Trial, trials } from './differential/trials.ts';

const path = fileURLToPath(new URL('../../docs/http1-differences.md', import.meta.url));
const LANES = 16;
/** What came out otherwise than it did before is looked at again, with so many times the waiting: a busy machine is no difference. */
const PATIENCE = [5, 5, 10];

async function runAll(contestant: Contestant, chosen: readonly Trial[], patience: number): Promise<Map<string, Outcome>> {
  const outcomes = new Map<string, Outcome>();
  const queue = [...chosen];
  await Promise.all(
    contestant.lanes.map(async (lane) => {
      for (let trial = queue.shift(); trial !== undefined; trial = queue.shift()) outcomes.set(trial.name, await trial.run(lane, patience));
    }),
  );
  return outcomes;
}

describe.skipIf(peer('envoy') === undefined || peer('haproxy') === undefined)('raw HTTP/1 through Outrigger, Envoy and HAProxy', () => {
  let contestants: Contestant[] = [];
  let outcomes: Record<Name, Map<string, Outcome>>;

  beforeAll(async () => {
    contestants = await Promise.all(names.map((name) => startContestant(name, LANES)));
    const run = async (chosen: readonly Trial[], patience: number) => {
      const [outrigger, envoy, haproxy] = await Promise.all(contestants.map((contestant) => runAll(contestant, chosen, patience)));
      return { outrigger: outrigger!, envoy: envoy!, haproxy: haproxy! };
    };
    outcomes = await run(trials, 1);
    const before = readFileSync(path, 'utf8');
    for (const patience of PATIENCE) {
      const changed = unlike(before, differences(outcomes));
      const again = trials.filter((trial) => changed.includes(trial) || outcomes.outrigger.get(trial.name)!.kind !== trial.expected);
      if (again.length === 0) break;
      const next = await run(again, patience);
      for (const name of names) for (const [trial, outcome] of next[name]) outcomes[name].set(trial, outcome);
    }
  }, 120_000);

  afterAll(async () => {
    for (const contestant of contestants) await contestant.stop();
  });

  test('nothing that we pass can be read in two ways', () => {
    const ambiguous = trials.flatMap(({ name }) => {
      const habits = outcomes.outrigger.get(name)!.ambiguous;
      return habits.length === 0 ? [] : [`${name}: ${habits.join('; ')}`];
    });
    expect(ambiguous).toEqual([]);
  });

  test('we pass what has one meaning and refuse the rest', () => {
    const wrong = trials.flatMap(({ name, expected }) => {
      const { kind, text } = outcomes.outrigger.get(name)!;
      return kind === expected ? [] : [`${name}: ${text}, not ${expected}`];
    });
    expect(wrong).toEqual([]);
  });

  test('each difference has its reason, and is on the page', () => {
    const found = differences(outcomes);
    expect(found.filter(({ trial }) => reasonOf(trial) === '').map(({ trial, texts }) => `${trial.noun}: ${trial.name}: ${texts.join(' | ')}`)).toEqual([]);
    const made = page(found);
    if (process.env['OUTRIGGER_WRITE'] === '1') writeFileSync(path, made);
    expect(readFileSync(path, 'utf8')).toBe(made);
  });
});
