import { describe, expect, test } from 'vitest';
import { LabelIndex, type LabelsIn, SelectorIndex } from './label-index.ts';
import { matchesLabels } from './labels.ts';

interface Named extends LabelsIn {
  readonly name: string;
}
const named = (name: string, labels: LabelsIn['labels'], namespace = 'one'): Named => ({ name, namespace, labels });
const things = [
  named('a', { app: 'a', version: 'v1' }),
  named('b', { app: 'a', version: 'v2' }),
  named('c', { app: 'c' }),
  named('d', {}),
  named('e', { app: 'a', version: 'v1' }, 'two'),
];
const names = (found: readonly Named[]): string[] => found.map(({ name }) => name);
/** By looking at each. */
const plainly = (selector: LabelsIn, labelled: LabelsIn): boolean =>
  selector.namespace === labelled.namespace && matchesLabels(selector.labels, labelled.labels);

describe('what has labels', () => {
  const index = new LabelIndex<Named>((one) => one);
  for (const thing of things) index.put(thing);

  test.each([{ app: 'a' }, { version: 'v1', app: 'a' }, { version: 'v2', app: 'c' }, { tier: 'x' }, {}])('is found by what selects it: %j', (labels) => {
    for (const namespace of ['one', 'two', 'three']) {
      const selector = { namespace, labels };
      expect(names(index.selected(selector))).toEqual(names(things.filter((thing) => plainly(selector, thing))));
    }
  });

  test('is found as it is now', () => {
    const changing = new LabelIndex<Named>((one) => one);
    const [before, after] = [named('a', { app: 'a' }), named('a', { app: 'b' })];
    changing.put(before);
    changing.put(after, before);
    expect([changing.selected(before), changing.selected(after)]).toEqual([[], [after]]);
    changing.remove(after);
    expect(changing.selected({ namespace: 'one', labels: {} })).toEqual([]);
  });
});

describe('what selects', () => {
  test('is found by what it selects, in the order in which it came', () => {
    const index = new SelectorIndex<Named>((one) => one);
    const selectors = [
      named('v1', { version: 'v1' }),
      named('both', { app: 'a', version: 'v1' }),
      named('all', {}),
      named('a', { app: 'a' }),
      named('there', {}, 'two'),
    ];
    for (const selector of selectors) index.put(selector);
    for (const thing of things) expect(names(index.selecting(thing))).toEqual(names(selectors.filter((selector) => plainly(selector, thing))));
    index.put(named('again', { version: 'v1' }), selectors[0]);
    expect(names(index.selecting(things[0]!))).toEqual(['again', 'both', 'all', 'a']);
    index.remove(selectors[2]!);
    expect(names(index.selecting(things[3]!))).toEqual([]);
  });

  test('selects nothing without a selector', () => {
    const index = new SelectorIndex<Named>(() => undefined);
    index.put(things[0]!);
    expect(index.selecting(things[0]!)).toEqual([]);
  });
});
