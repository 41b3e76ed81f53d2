import { expect, it } from 'vitest';
import { nearest } from './suggest.ts';

it.each([
  ['VirtualServce', 'VirtualService'],
  ['virtualservice', 'VirtualService'],
  ['Vitrual', undefined],
  ['Sidecra', 'Sidecar'],
  ['Deployment', undefined],
])('%s is likely %s', (word, expected) => expect(nearest(word, ['VirtualService', 'Sidecar', 'Gateway'])).toBe(expected));
