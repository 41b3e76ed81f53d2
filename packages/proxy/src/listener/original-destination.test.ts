import type net from 'node:net';
import { expect, it } from 'vitest';
import type { SocketCalls } from '../net/socket-calls.ts';
import { ConnectionOrigin } from './connection-origin.ts';
import { restoreOriginalDestination } from './original-destination.ts';

const socket = { _handle: { fd: 7 } } as unknown as net.Socket;

/** What the kernel answers, and what it was asked. */
function kernel(answer: Buffer | null): SocketCalls & { readonly asked: number[][] } {
  const asked: number[][] = [];
  return {
    asked,
    setOption: () => '',
    duplicate: () => -1,
    getOption: (...given) => {
      asked.push(given);
      return answer;
    },
  };
}

it('brings back an IPv4 destination', () => {
  const origin = new ConnectionOrigin('127.0.0.1', 15001, '10.0.0.9', 9);
  const calls = kernel(Buffer.from([2, 0, 0x1f, 0x90, 10, 0, 0, 7, ...Array<number>(8).fill(0)]));
  restoreOriginalDestination(calls, socket, origin);
  expect(origin).toMatchObject({ localIp: '10.0.0.7', localPort: 8080, restored: true, remoteIp: '10.0.0.9' });
  expect(calls.asked).toEqual([[7, 0, 80, 16]]);
});

it('brings back an IPv6 destination', () => {
  const origin = new ConnectionOrigin('::1', 15001, '::1', 9);
  const calls = kernel(Buffer.from([10, 0, 0x1f, 0x90, 0, 0, 0, 0, 0x20, 1, 0x0d, 0xb8, ...Array<number>(11).fill(0), 7, 0, 0, 0, 0]));
  restoreOriginalDestination(calls, socket, origin);
  expect(origin).toMatchObject({ localIp: '2001:db8::7', localPort: 8080, restored: true });
  expect(calls.asked).toEqual([[7, 41, 80, 28]]);
});

it('leaves a connection as it is that was not redirected', () => {
  for (const answer of [null, Buffer.from([2, 0, 0x3a, 0x99, 127, 0, 0, 1, ...Array<number>(8).fill(0)])]) {
    const origin = new ConnectionOrigin('127.0.0.1', 15001, '127.0.0.1', 9);
    restoreOriginalDestination(kernel(answer), socket, origin);
    expect(origin).toMatchObject({ localIp: '127.0.0.1', localPort: 15001, restored: false });
  }
});

it('takes the address that a connection has at a transparent socket for where it was going, and asks nobody', () => {
  const origin = new ConnectionOrigin('10.9.9.9', 80, '10.0.0.9', 9);
  const calls = kernel(null);
  restoreOriginalDestination(calls, socket, origin, true);
  expect(origin).toMatchObject({ localIp: '10.9.9.9', localPort: 80, restored: true });
  expect(calls.asked).toEqual([]);
});
