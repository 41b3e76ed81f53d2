import { connect } from 'node:net';
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { createGrpcTransport, Http2SessionManager } from '@connectrpc/connect-node';
import { CertificateService, type SignResponse } from '@outrigger/xds/protos/outrigger/v1/workload';
import { parseJoinToken } from '../attestation/join-token.ts';
import { IdentityError } from '../identity-error.ts';
import { formatSpiffeId, parseWorkloadIdentity, type SpiffeFault } from '../spiffe/spiffe-id.ts';
import type { Svid } from '../svid.ts';
import { tlsOptions } from '../tls/options.ts';
import { spiffeIdOfNames } from '../tls/peer.ts';
import { fetchPinnedRoot } from '../tls/pinned-root.ts';

/** Where an agent finds its control plane: a Unix socket of this machine, else an address with TLS. */
export interface ControlPlaneTarget {
  readonly socketPath?: string;
  /** Asked for anew at each try. */
  readonly address: () => { readonly host: string; readonly port: number };
  /** Needed for the first certificate where there is no socket, and again if that ended before it was renewed. */
  readonly joinToken?: string;
  /** Default istio-system/outrigger: who the control plane has to be. */
  readonly identity?: { readonly namespace: string; readonly serviceAccount: string };
}

export interface SignCall {
  readonly csrDer: Uint8Array;
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly ttlSeconds: number;
  /** The identity held now, if it is still valid. */
  readonly current: Svid | undefined;
  readonly timeoutMs: number;
}

/** One try to get a certificate; throws an `IdentityError` (`unreachable`, `refused`, `pin-mismatch`, `token-malformed`). */
export type SignClient = (call: SignCall) => Promise<SignResponse>;

const CONTROL_PLANE = { namespace: 'istio-system', serviceAccount: 'outrigger' };
/** A name for SNI, which may not be an address; the server's certificate is checked by its SPIFFE id. */
const SERVER_NAME = 'outrigger';
const MAX_ANSWER_BYTES = 1024 * 1024;

/** The id that the control plane has to show in the trust domain of a workload. */
export function controlPlaneIdOf(trustDomain: string, target: ControlPlaneTarget): string {
  return formatSpiffeId({ trustDomain, ...(target.identity ?? CONTROL_PLANE) });
}

export function signClient(target: ControlPlaneTarget): SignClient {
  return async (call) => {
    if (target.socketPath !== undefined) return overSocket(target.socketPath, call);
    if (call.current === undefined) return withToken(target, call);
    try {
      return await withSvid(target, call, call.current);
    } catch (error) {
      // The control plane may have a new root by now, under which only the token still counts.
      if (target.joinToken === undefined || (error as IdentityError).code === 'refused') throw error;
      return await withToken(target, call).catch(() => Promise.reject(error));
    }
  };
}

function overSocket(path: string, call: SignCall): Promise<SignResponse> {
  return sign(new Http2SessionManager('http://localhost', undefined, { createConnection: () => connect(path) }), `unix:${path}`, call, '');
}

function withSvid(target: ControlPlaneTarget, call: SignCall, svid: Svid): Promise<SignResponse> {
  const identity = parseWorkloadIdentity(svid.spiffeId) as Exclude<ReturnType<typeof parseWorkloadIdentity>, SpiffeFault>;
  return overTls(target, tlsOptions(svid), identity.trustDomain, call, '');
}

async function withToken(target: ControlPlaneTarget, call: SignCall): Promise<SignResponse> {
  if (target.joinToken === undefined) {
    throw new IdentityError(
      'refused',
      "There is no valid certificate to renew, no join token, and no socket of a control plane on this machine. Make a join token on the control plane's machine and start the workload with it.",
    );
  }
  const { pins } = parseJoinToken(target.joinToken);
  const root = await fetchPinnedRoot(target.address(), pins, call.timeoutMs);
  return overTls(target, { ca: [root.pem] }, root.trustDomain, call, target.joinToken);
}

function overTls(
  target: ControlPlaneTarget,
  tls: { ca: string[]; key?: string; cert?: string },
  trustDomain: string,
  call: SignCall,
  joinToken: string,
): Promise<SignResponse> {
  const { host, port } = target.address();
  const expected = controlPlaneIdOf(trustDomain, target);
  const authority = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  const manager = new Http2SessionManager(`https://${authority}`, undefined, {
    ...tls,
    servername: SERVER_NAME,
    minVersion: 'TLSv1.2',
    // Called only once the chain leads to `ca`. No session is ever offered, so it is always called.
    checkServerIdentity: (_name, certificate) => {
      const shown = spiffeIdOfNames(certificate.subjectaltname);
      return shown === expected ? undefined : new Error(`the server is ${shown ?? 'of no SPIFFE id'}, expected ${expected}`);
    },
  });
  return sign(manager, authority, call, joinToken);
}

async function sign(manager: Http2SessionManager, where: string, call: SignCall, joinToken: string): Promise<SignResponse> {
  const transport = createGrpcTransport({ baseUrl: manager.authority, sessionManager: manager, readMaxBytes: MAX_ANSWER_BYTES, acceptCompression: [] });
  const { csrDer, namespace, serviceAccount, ttlSeconds, timeoutMs } = call;
  try {
    return await createClient(CertificateService, transport).sign({ csrDer, namespace, serviceAccount, ttlSeconds, joinToken }, { timeoutMs });
  } catch (cause) {
    throw asIdentityError(cause, where);
  } finally {
    manager.abort();
  }
}

const REFUSALS: readonly Code[] = [Code.InvalidArgument, Code.PermissionDenied, Code.Unauthenticated, Code.Unimplemented];

function asIdentityError(cause: unknown, where: string): IdentityError {
  const error = ConnectError.from(cause);
  if (REFUSALS.includes(error.code)) return new IdentityError('refused', `The control plane at ${where} refused: ${error.rawMessage}`, { cause });
  return new IdentityError('unreachable', `No certificate from the control plane at ${where}: ${error.rawMessage}`, { cause });
}
