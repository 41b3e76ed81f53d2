import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { type ContextKey, type ContextValues, createContextKey, createContextValues } from '@connectrpc/connect';
import type { ConnectNodeAdapterOptions } from '@connectrpc/connect-node';
import type { Caller } from '../source.ts';
import { spiffeIdOf } from './spiffe.ts';

type NodeServerRequest = Parameters<NonNullable<ConnectNodeAdapterOptions['contextValues']>>[0];

/** Under this key a handler finds who calls: `context.values.get(callerKey)`. */
export const callerKey: ContextKey<Caller> = createContextKey<Caller>({ spiffeId: undefined, remote: 'unknown' }, { description: 'caller' });

/** For connect-node's `contextValues`. The identity counts only where the certificate was verified against the trusted roots. */
export function callerContext(request: NodeServerRequest, peerCredentials?: PeerCredentialsReader): ContextValues {
  return createContextValues().set(callerKey, callerOf(request, peerCredentials));
}

/** Who connected a Unix socket; undefined: unknown. */
export type PeerCredentialsReader = (socket: Socket) => Caller['peer'];

/** Who makes a call. */
export function callerOf(request: NodeServerRequest, peerCredentials: PeerCredentialsReader | undefined): Caller {
  const socket = ('stream' in request ? request.stream.session?.socket : request.socket) as Partial<TLSSocket> | undefined;
  if (socket === undefined) return { spiffeId: undefined, remote: 'unknown' };
  const remote = socket.remoteAddress === undefined ? 'unix' : `${socket.remoteAddress}:${socket.remotePort}`;
  const peer = remote === 'unix' ? peerCredentials?.(socket as Socket) : undefined;
  const spiffeId = socket.encrypted && socket.authorized ? spiffeIdOf(socket.getPeerCertificate?.()?.subjectaltname) : undefined;
  return peer === undefined ? { spiffeId, remote } : { spiffeId, remote, peer };
}
