import { describe, expect, test } from 'vitest';
import { type Trigger, triggered } from './trigger.ts';

const threshold: Trigger = { kind: 'threshold', value: 0.9 };
const scaled: Trigger = { kind: 'scaled', scalingThreshold: 0.5, saturationThreshold: 0.9 };

describe('how far an action goes at a pressure', () => {
  test.each([
    [threshold, 0, 0],
    [threshold, 0.899, 0],
    [threshold, 0.9, 1],
    [threshold, 1, 1],
    [scaled, 0.5, 0],
    [scaled, 0.6, 0.25],
    [scaled, 0.7, 0.5],
    [scaled, 0.9, 1],
    [scaled, 1, 1],
    [{ kind: 'scaled', scalingThreshold: 0.5, saturationThreshold: 0.5 } as const, 0.6, 1],
  ])('%j at %d: %d', (trigger, pressure, state) => {
    expect(triggered(trigger, pressure)).toBeCloseTo(state, 10);
  });
});
