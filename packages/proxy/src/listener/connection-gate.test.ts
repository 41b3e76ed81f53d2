import { describe, expect, it } from 'vitest';
import { ALLOW_EVERYTHING, RbacFilter, RbacRules } from '../filters/rbac/rbac.ts';
import { ConnectionGates } from './connection-gate.ts';
import { ConnectionInfo, NOT_SECURE } from './connection-info.ts';
import { ConnectionOrigin } from './connection-origin.ts';

const info = new ConnectionInfo({ id: 1, origin: new ConnectionOrigin('10.0.0.1', 80, '10.0.0.9', 9), ...NOT_SECURE });
const DENY_EVERYTHING = new RbacFilter(new RbacRules('allow', []), null);

describe('what stands before the filter that serves a connection', () => {
  it('a limit of connections refuses what is beyond it, after its delay, until one is gone', () => {
    const gates = new ConnectionGates([{ kind: 'connection-limit', maxConnections: 2, delayMs: 500 }]);
    expect([1, 2, 3].map(() => gates.refuse(info, 0))).toEqual([undefined, undefined, 500]);
    gates.release();
    expect([1, 2].map(() => gates.refuse(info, 0))).toEqual([undefined, 500]);
  });

  it('a rate fills its bucket by whole intervals, and never beyond its rim', () => {
    const gates = new ConnectionGates([{ kind: 'rate-limit', maxTokens: 2, tokensPerFill: 1, fillIntervalMs: 1000 }]);
    const at = (...times: number[]) => times.map((nowMs) => gates.refuse(info, nowMs) === undefined);
    expect(at(0, 0, 0, 999)).toEqual([true, true, false, false]);
    expect(at(1000, 1001)).toEqual([true, false]);
    expect(at(2500, 2500, 3000)).toEqual([true, false, true]);
    expect(at(60_000, 60_000, 60_000)).toEqual([true, true, false]);
  });

  it('who is refused by a later one takes no place of an earlier one', () => {
    const gates = new ConnectionGates([
      { kind: 'connection-limit', maxConnections: 1, delayMs: 0 },
      { kind: 'rbac', policy: DENY_EVERYTHING },
    ]);
    expect([1, 2, 3].map(() => gates.refuse(info, 0))).toEqual([0, 0, 0]);
    const open = new ConnectionGates([
      { kind: 'connection-limit', maxConnections: 1, delayMs: 7 },
      { kind: 'rbac', policy: ALLOW_EVERYTHING },
    ]);
    expect([1, 2].map(() => open.refuse(info, 0))).toEqual([undefined, 7]);
  });
});
