import type { TypeUrl } from '@outrigger/xds';
import { beforeEach, expect, test } from 'vitest';
import { FakeClock } from '../testing/fake-clock.ts';
import type { ClientView, Outstanding } from './client-view.ts';
import { Progress } from './progress.ts';

/** As much of a client as progress looks at. */
class Client {
  readonly node: { readonly id: string };
  readonly outstanding = new Map<string, Outstanding>();
  readonly refused = new Map<string, { message: string }>();

  constructor(id: string) {
    this.node = { id };
  }

  sent(flush: number, name = 'a'): this {
    this.outstanding.set(name, { typeUrl: 'cluster' as TypeUrl, version: '1', flush });
    return this;
  }
}

let clock: FakeClock;
let clients: Map<string, Client>;
let progress: Progress;

beforeEach(() => {
  clock = new FakeClock(1_000);
  clients = new Map(['a', 'b'].map((id) => [id, new Client(id)]));
  progress = new Progress(clock, (node) => clients.get(node) as unknown as ClientView | undefined);
});

function push(revision: string, ...nodes: string[]): number {
  const number = progress.begin();
  for (const node of nodes) clients.get(node)!.sent(number, `${number}`);
  progress.pushed(number, revision, clock.now(), new Map(nodes.map((node) => [node, clients.get(node) as unknown as ClientView])));
  return number;
}

function ack(node: string, flush: number): void {
  clients.get(node)!.outstanding.delete(`${flush}`);
  progress.progressed(node);
}

test('a revision is done once all whom it concerns have acknowledged it', async () => {
  const flush = push('1', 'a', 'b');
  const waiting = progress.wait('1', 10_000);
  clock.advance(5);
  ack('a', flush);
  expect(await progress.wait('1', 0)).toMatchObject({ done: false, affected: 2, acknowledged: 1, laggards: ['b'] });
  clock.advance(7);
  ack('b', flush);
  expect(await waiting).toEqual({ done: true, elapsedMs: 12, affected: 2, acknowledged: 2, laggards: [], refused: [] });
});

test('what came later does not keep what came before', async () => {
  const [first, second] = [push('1', 'a'), push('2', 'a', 'b')];
  ack('a', first);
  expect(await progress.wait('1', 0)).toMatchObject({ done: true });
  expect(await progress.wait('2', 0)).toMatchObject({ done: false, laggards: ['a', 'b'] });
  ack('a', second);
  ack('b', second);
  expect(await progress.wait('2', 0)).toMatchObject({ done: true });
});

test('one that has gone is missed, and one that has come back acknowledges all anew', async () => {
  const flush = push('1', 'a');
  clients.delete('a');
  progress.progressed('a');
  expect(await progress.wait('1', 0)).toMatchObject({ done: false, laggards: ['a'] });
  clients.set('a', new Client('a').sent(flush + 7, 'x'));
  progress.progressed('a');
  expect(await progress.wait('1', 0)).toMatchObject({ done: false });
  clients.get('a')!.outstanding.clear();
  progress.progressed('a');
  expect(await progress.wait('1', 0)).toMatchObject({ done: true });
});

test('a revision that concerns nobody is done at once, and a refusal is named', async () => {
  const waiting = progress.wait('3', 10_000);
  push('3');
  expect(await waiting).toMatchObject({ done: true, affected: 0 });
  const flush = push('4', 'a');
  clients.get('a')!.refused.set('x', { message: 'no' });
  ack('a', flush);
  expect(await progress.wait('4', 0)).toMatchObject({ done: true, acknowledged: 0, refused: [{ node: 'a', message: 'no' }] });
});
