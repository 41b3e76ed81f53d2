import { type AgentEvent, IdentityError } from '@outrigger/identity';
import { expect, test } from 'vitest';
import { followRoots, identityLog } from './identity.ts';

const failed = (code: 'unreachable' | 'refused', message: string): AgentEvent => ({ kind: 'failed', error: new IdentityError(code, message), retryAtMs: 0 });
const issued: AgentEvent = { kind: 'issued', spiffeId: 'spiffe://cluster.local/ns/default/sa/web', notAfterMs: 0 };

test('a fault is logged once, and its end', () => {
  const said: string[] = [];
  const log = identityLog((message) => said.push(message));
  for (const event of [failed('unreachable', 'away'), failed('unreachable', 'away'), failed('unreachable', 'still away'), issued, issued]) log(event);
  expect(said).toEqual([
    'away; trying again',
    'still away; trying again',
    'certified as spiffe://cluster.local/ns/default/sa/web until 1970-01-01T00:00:00.000Z',
  ]);
});

test('a refusal is logged where nobody waits for the first certificate any more', () => {
  const said: string[] = [];
  const log = identityLog((message) => said.push(message));
  for (const event of [failed('refused', 'no'), issued, failed('refused', 'no')]) log(event);
  expect(said).toEqual(['no; trying again']);
});

test.each([
  [['a\n', 'b\n'], ['b', 'a'], 0],
  [['a'], ['a', 'b'], 1],
  [undefined, ['a'], 1],
])('with the roots %j, told %j, renews %i times', (own, told, times) => {
  let renewals = 0;
  const current = () => (own === undefined ? undefined : ({ trustBundlePem: own } as never));
  followRoots({ current, renew: () => renewals++ }, told);
  expect(renewals).toBe(times);
});
