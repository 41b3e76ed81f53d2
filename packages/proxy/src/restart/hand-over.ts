import type { SendHandle, Serializable } from 'node:child_process';

/** In the environment of a process that is to take over the sockets of the one before it. */
export const TAKE_OVER = 'OUTRIGGER_TAKE_OVER';
/** What the process before, or whoever stands between, may take to answer, ms. */
const HAND_OVER_TIMEOUT_MS = 5_000;

/** What a proxy and its parent say to each other over the channel that Node makes between them. */
export type HandOverMessage =
  /** Child: whose turn it is. */
  | { readonly outrigger: 'take-sockets' }
  /** Child: its listeners are bound, and all that it was given is in use. */
  | { readonly outrigger: 'serving' }
  /** Child: it was asked (SIGHUP) to be followed by another. */
  | { readonly outrigger: 'restart' }
  /** Parent: a socket for each, then how many there were. */
  | { readonly outrigger: 'give-sockets' }
  | { readonly outrigger: 'socket'; readonly key: string }
  | { readonly outrigger: 'sockets'; readonly count: number }
  /** Parent: the next one serves; what is under way is to come to its end. */
  | { readonly outrigger: 'retire' };

/** `process`, or a child of this one. */
export interface Channel {
  on(event: 'message' | 'disconnect', listener: (...given: unknown[]) => void): unknown;
  off(event: 'message' | 'disconnect', listener: (...given: unknown[]) => void): unknown;
  readonly send?: unknown;
}
/** A listening socket as Node passes it between processes: not accepting before somebody listens with it. */
export type SocketHandle = object & { close?(): void };

export function isHandOver(message: unknown): message is HandOverMessage {
  return typeof message === 'object' && message !== null && 'outrigger' in message;
}

export function tell(channel: Channel, message: HandOverMessage): void {
  // A side that has gone has no use for it.
  (channel.send as (message: Serializable, callback: () => void) => boolean).call(channel, message, ignore);
}

/** Gives each socket, and keeps its own; with `close` it is not kept. */
export function sendSockets(channel: Channel, sockets: ReadonlyMap<string, SocketHandle>, close = false): void {
  for (const [key, handle] of sockets) sendSocket(channel, key, handle, close);
  tell(channel, { outrigger: 'sockets', count: sockets.size });
}

export function sendSocket(channel: Channel, key: string, handle: SocketHandle, close = false): void {
  const send = channel.send as (message: Serializable, handle: SendHandle, options: object, callback: () => void) => boolean;
  send.call(channel, { outrigger: 'socket', key }, handle as SendHandle, { keepOpen: !close }, () => {
    if (close) handle.close?.();
  });
}

/** Asks for the sockets, and waits until all are there. Rejects where nobody answers. */
export function receiveSockets(channel: Channel, ask: 'take-sockets' | 'give-sockets'): Promise<Map<string, SocketHandle>> {
  return new Promise((resolve, reject) => {
    const sockets = new Map<string, SocketHandle>();
    let count = -1;
    const timer = setTimeout(() => done(new Error(`the sockets did not come within ${HAND_OVER_TIMEOUT_MS / 1000} s`)), HAND_OVER_TIMEOUT_MS);
    const onMessage = (message: unknown, handle: unknown): void => {
      if (!isHandOver(message)) return;
      if (message.outrigger === 'socket') {
        // One that could not be passed is bound anew, or is not needed.
        if (typeof handle === 'object' && handle !== null) sockets.set(message.key, handle as SocketHandle);
      } else if (message.outrigger === 'sockets') count = message.count;
      if (count >= 0) done();
    };
    const onGone = (): void => done(new Error('the process that has the sockets has ended'));
    const done = (error?: Error): void => {
      clearTimeout(timer);
      channel.off('message', onMessage);
      channel.off('disconnect', onGone);
      if (error === undefined) resolve(sockets);
      else {
        for (const handle of sockets.values()) handle.close?.();
        reject(error);
      }
    };
    channel.on('message', onMessage);
    channel.on('disconnect', onGone);
    tell(channel, { outrigger: ask });
  });
}

function ignore(): void {}

/** What the process before this one had, where this one was started to take over. */
export async function inheritedSockets(parent: Channel): Promise<ReadonlyMap<string, SocketHandle>> {
  const wanted = process.env[TAKE_OVER] !== undefined;
  // Not for those that this process starts.
  delete process.env[TAKE_OVER];
  return wanted && process.connected ? await receiveSockets(parent, 'take-sockets') : new Map();
}
