import type { ProxyNode } from '@outrigger/translate';
import { TypeUrl } from '@outrigger/xds';
import { expect, test } from 'vitest';
import { ClientView, outstandingKey } from './client-view.ts';

/** A client that waits for the acknowledgement of these listeners. */
function waitingFor(...names: string[]): ClientView {
  const context = { progressed: () => {}, refused: () => {}, closed: () => {} } as unknown as ConstructorParameters<typeof ClientView>[1];
  const view = new ClientView({ id: 'edge.default' } as ProxyNode, context, () => {});
  view.announce(1, new Map([[TypeUrl.listener, new Set(names)]]));
  return view;
}

test.each([
  ['the one that it names', '0.0.0.0_80: cannot listen', ['0.0.0.0_80']],
  ['not one whose name is the beginning of another', 'Error adding listener(s) 0.0.0.0_8080: cannot bind', ['0.0.0.0_8080']],
  ['all where it names none', 'no', ['0.0.0.0_80', '0.0.0.0_8080', '0.0.0.0_443']],
])('a refusal is of %s', (_, message, refused) => {
  const names = ['0.0.0.0_80', '0.0.0.0_8080', '0.0.0.0_443'];
  const view = waitingFor(...names);
  view.nacked(TypeUrl.listener, new Map(names.map((name) => [name, ''])), message);
  expect([...view.refused.values()].map(({ name }) => name)).toEqual(refused);
  expect(names.filter((name) => view.outstanding.has(outstandingKey(TypeUrl.listener, name)))).toEqual([]);
});

test('what was refused and is taken after all is refused no more', () => {
  const view = waitingFor('0.0.0.0_80');
  const versions = new Map([['0.0.0.0_80', '']]);
  view.nacked(TypeUrl.listener, versions, '0.0.0.0_80: in use');
  view.acked(TypeUrl.listener, versions);
  expect([view.refused.size, view.outstanding.size]).toEqual([0, 0]);
});
