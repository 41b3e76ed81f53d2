import type { TLSSocket } from 'node:tls';
import { type ContextKey, type ContextValues, createContextKey, createContextValues } from '@connectrpc/connect';
import type { ConnectNodeAdapterOptions } from '@connectrpc/connect-node';
import type { Caller } from '../source.ts';
import { spiffeIdOf } from './spiffe.ts';

type NodeServerRequest = Parameters<NonNullable<ConnectNodeAdapterOptions['contextValues']>>[0];

/** Under this key a handler finds who calls: `context.values.get(callerKey)`. */
export const callerKey: ContextKey<Caller> = createContextKey<Caller>({ spiffeId: undefined, remote: 'unknown' }, { description: 'caller' });

/** For connect-node's `contextValues`. The identity counts only where the certificate was verified against the trusted roots. */
export function callerContext(request: NodeServerRequest): ContextValues {
  return createContextValues().set(callerKey, callerOf(request));
}

function callerOf(request: NodeServerRequest): Caller {
  const socket = ('stream' in request ? request.stream.session?.socket : request.socket) as Partial<TLSSocket> | undefined;
  if (socket === undefined) return { spiffeId: undefined, remote: 'unknown' };
  const remote = socket.remoteAddress === undefined ? 'unix' : `${socket.remoteAddress}:${socket.remotePort}`;
  const spiffeId = socket.encrypted && socket.authorized ? spiffeIdOf(socket.getPeerCertificate?.()?.subjectaltname) : undefined;
  return { spiffeId, remote };
}
