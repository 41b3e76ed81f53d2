import { describe, expect, it } from 'vitest';
import { listenerAt } from './listener-at.ts';

const listeners = [
  { name: 'any', addresses: [{ host: '0.0.0.0', port: 80 }] },
  { name: 'own', addresses: [{ host: '10.0.0.1', port: 80 }] },
  { name: 'later', addresses: [{ host: '::', port: 80 }] },
];

describe('the listener for where a connection was going', () => {
  it.each([
    ['10.0.0.1', 80, 'own'],
    ['10.0.0.2', 80, 'any'],
    ['10.0.0.1', 81, undefined],
  ] as const)('%s:%i: %s', (ip, port, name) => {
    expect(listenerAt(listeners, ({ addresses }) => addresses, ip, port)?.name).toBe(name);
  });
});
