import { expect, it } from 'vitest';
import { KeptSockets, ofOneProcess } from './kept-sockets.ts';

/** A socket, and whether it was closed. */
class Handle {
  closed = 0;
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
  close(): void {
    this.closed++;
  }
}

const names = (sockets: ReadonlyMap<string, object>): string[] => Array.from(sockets, ([key, handle]) => `${key} = ${(handle as Handle).name}`);

it('gives a worker that is started again what the one before it had, and the next process all of it', () => {
  const kept = new KeptSockets(new Map(), 2);
  const [a0, a1, admin] = [new Handle('a0'), new Handle('a1'), new Handle('admin')];
  kept.keep(0, '1.1.1.1:80', a0);
  kept.keep(1, '1.1.1.1:80', a1);
  expect(names(kept.of(1))).toEqual(['1.1.1.1:80 = a1']);
  const all = kept.all([['admin interface', admin]]);
  expect(names(all)).toEqual(['admin interface = admin', 'worker 0 1.1.1.1:80 = a0', 'worker 1 1.1.1.1:80 = a1']);
  const next = new KeptSockets(all, 2);
  expect([names(next.of(0)), next.own('admin interface'), next.own('admin interface')]).toEqual([
    ['admin interface = admin', '1.1.1.1:80 = a0'],
    admin,
    undefined,
  ]);
  next.drop(0, '1.1.1.1:80');
  expect([a0.closed, a1.closed, names(next.of(0))]).toEqual([1, 0, []]);
  next.close();
  expect([a0.closed, a1.closed]).toEqual([1, 1]);
});

it('a queue that nobody would read is closed: of workers that are no more, and where one process takes over', () => {
  const handles = [0, 1, 2].map((index) => new Handle(String(index)));
  const all = new Map<string, Handle>(handles.map((handle, index) => [`worker ${index} x:1`, handle]));
  expect(names(new KeptSockets(all, 2).of(1))).toEqual(['x:1 = 1']);
  expect(handles.map(({ closed }) => closed)).toEqual([0, 0, 1]);
  expect(names(ofOneProcess(new Map([...all, ['admin interface', new Handle('admin')]])))).toEqual(['x:1 = 0', 'admin interface = admin']);
  expect(handles.map(({ closed }) => closed)).toEqual([0, 1, 2]);
});

it('all workers share the socket of a proxy that was one process, until its listener is gone', () => {
  const shared = new Handle('shared');
  const kept = new KeptSockets(new Map([['x:1', shared]]), 2);
  expect([names(kept.of(0)), names(kept.of(1))]).toEqual([['x:1 = shared'], ['x:1 = shared']]);
  kept.drop(1, 'x:1');
  expect([shared.closed, names(kept.of(0))]).toEqual([1, []]);
});

it('a worker that does not come back keeps no connection waiting', () => {
  const kept = new KeptSockets(new Map(), 2);
  const [a0, a1] = [new Handle('a0'), new Handle('a1')];
  kept.keep(0, 'x:1', a0);
  kept.keep(1, 'x:1', a1);
  kept.forget(0);
  expect([a0.closed, a1.closed, names(kept.of(0)), names(kept.of(1))]).toEqual([1, 0, [], ['x:1 = a1']]);
});
