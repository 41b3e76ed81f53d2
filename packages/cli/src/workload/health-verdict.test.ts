import { describe, expect, it } from 'vitest';
import { HealthVerdict, type Look, WELL } from './health-verdict.ts';

const REFUSED: Look = { reason: 'connect ECONNREFUSED', silent: false };
const SILENT: Look = { reason: 'no answer within 1000 ms', silent: true };

/** After each look. */
function verdicts(...looks: Look[]): boolean[] {
  const verdict = new HealthVerdict();
  return looks.map((look) => {
    verdict.add(look);
    return verdict.failing;
  });
}

describe('an application is taken out', () => {
  it('at the second look in a row at which it says no', () => {
    expect(verdicts(REFUSED, WELL, REFUSED, REFUSED)).toEqual([false, false, false, true]);
  });

  it('at the fifth at which it says nothing: it may be slow', () => {
    expect(verdicts(SILENT, SILENT, SILENT, SILENT, WELL, SILENT, SILENT, SILENT, SILENT, SILENT)).toEqual([...Array<boolean>(9).fill(false), true]);
  });

  it('at the second no among silences', () => {
    expect(verdicts(SILENT, REFUSED, SILENT, REFUSED)).toEqual([false, false, false, true]);
  });

  it('until the first look at which it takes requests', () => {
    expect(verdicts(REFUSED, REFUSED, SILENT, WELL, REFUSED)).toEqual([false, true, true, false, false]);
  });
});

it('says when that changes', () => {
  const verdict = new HealthVerdict();
  expect([WELL, REFUSED, REFUSED, REFUSED, WELL, WELL].map((look) => verdict.add(look))).toEqual([false, false, true, false, true, false]);
});
