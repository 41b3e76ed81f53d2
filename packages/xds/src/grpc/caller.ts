import type { ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Caller } from '../source.ts';
import { spiffeIdOf } from './spiffe.ts';

/** Who connected a Unix socket; undefined: unknown. */
export type PeerCredentialsReader = (socket: Socket) => Caller['peer'];

/** Who makes a call. The identity counts only where the certificate was verified against the trusted roots. */
export function callerOf({ session }: ServerHttp2Stream, peerCredentials: PeerCredentialsReader | undefined): Caller {
  const socket = session?.socket as Partial<TLSSocket> | undefined;
  if (socket === undefined) return { spiffeId: undefined, remote: 'unknown' };
  const remote = socket.remoteAddress === undefined ? 'unix' : `${socket.remoteAddress}:${socket.remotePort}`;
  const peer = remote === 'unix' ? peerCredentials?.(socket as Socket) : undefined;
  const spiffeId = socket.encrypted && socket.authorized ? spiffeIdOf(socket.getPeerCertificate?.()?.subjectaltname) : undefined;
  return peer === undefined ? { spiffeId, remote } : { spiffeId, remote, peer };
}
