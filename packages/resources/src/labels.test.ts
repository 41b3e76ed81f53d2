import { describe, expect, it } from 'vitest';
import { isExportedTo } from './export-to.ts';
import type { Json } from './json.ts';
import { matchesLabels, selects } from './labels.ts';

const labels = { app: 'web', version: 'v1' };

describe('a selector', () => {
  it.each([
    [undefined, true],
    [{}, true],
    [{ app: 'web' }, true],
    [{ app: 'web', version: 'v1' }, true],
    [{ app: 'web', version: 'v2' }, false],
    [{ tier: 'front' }, false],
  ])('of labels: %j', (selector, matches) => {
    expect(matchesLabels(selector, labels)).toBe(matches);
  });

  const expression = (key: string, operator: string, ...values: string[]): Json => ({ matchExpressions: [{ key, operator, values }] });
  it.each<readonly [Json | undefined, boolean]>([
    [undefined, true],
    [{}, true],
    [{ matchLabels: { app: 'web' } }, true],
    [{ matchLabels: { app: 'orders' } }, false],
    [expression('app', 'In', 'orders', 'web'), true],
    [expression('app', 'In', 'orders'), false],
    [expression('tier', 'In', 'front'), false],
    [expression('app', 'NotIn', 'web'), false],
    [expression('tier', 'NotIn', 'front'), true],
    [expression('app', 'Exists'), true],
    [expression('tier', 'Exists'), false],
    [expression('app', 'DoesNotExist'), false],
    [expression('tier', 'DoesNotExist'), true],
    [expression('app', 'Near', 'web'), false],
    [{ matchLabels: { app: 'web' }, matchExpressions: [{ key: 'version', operator: 'NotIn', values: ['v1'] }] }, false],
  ])('of Kubernetes: %j', (selector, matches) => {
    expect(selects(selector, labels)).toBe(matches);
  });
});

describe('what namespace a has', () => {
  it.each<readonly [readonly string[] | undefined, boolean, boolean]>([
    [undefined, true, true],
    [[], true, true],
    [['*'], true, true],
    [['.'], true, false],
    [['b'], false, true],
    [['.', 'b'], true, true],
    [['c'], false, false],
    [['~'], false, false],
  ])('exported to %j', (exportTo, inOwn, inOther) => {
    expect([isExportedTo(exportTo, 'a', 'a'), isExportedTo(exportTo, 'a', 'b')]).toEqual([inOwn, inOther]);
  });
});
