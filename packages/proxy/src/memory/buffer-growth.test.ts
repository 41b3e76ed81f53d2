import { expect, it } from 'vitest';
import { Slabs } from '../net/turn-writer.ts';
import { BufferGrowth } from './buffer-growth.ts';

it('tells at each step, until nobody wants to know', () => {
  const growth = new BufferGrowth(100);
  let told = 0;
  const unwatch = growth.watch(() => told++);
  growth.took(99);
  expect(told).toBe(0);
  growth.took(1);
  growth.took(250);
  growth.took(99);
  expect([told, growth.steps]).toEqual([2, 2]);
  unwatch();
  growth.took(100);
  expect([told, growth.steps]).toEqual([2, 3]);
});

it('is told of slabs that are made and of copies, and not of slabs that are used again', () => {
  const growth = new BufferGrowth(1);
  const slabs = new Slabs(growth);
  const [small, large] = [slabs.take(false), slabs.take(true)];
  slabs.make(200_000);
  expect(growth.steps).toBe(3);
  for (const slab of [small, large]) slabs.give(slab);
  expect([slabs.take(true), slabs.take(false)]).toEqual([large, small]);
  expect(growth.steps).toBe(3);
  expect(slabs.copy(Buffer.from('hello'), 1, 4).toString()).toBe('ell');
  expect(growth.steps).toBe(4);
});
