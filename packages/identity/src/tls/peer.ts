import type { TLSSocket } from 'node:tls';
import { isMemberOf, parseSpiffeId } from '../spiffe/spiffe-id.ts';

/** Whom a connection's other side may be: one of these ids, or anybody of a trust domain. */
export type PeerExpectation = { readonly spiffeIds: readonly string[] } | { readonly trustDomain: string };

export type PeerVerdict = { readonly ok: true; readonly spiffeId: string } | { readonly ok: false; readonly reason: string };

/**
 * Whether a TLS connection's other side holds an SVID of the trusted roots and is who it should be. With `requestCert` and
 * `rejectUnauthorized: false`, a certificate of a foreign authority shows the very same names, so `authorized` is asked first. A connection that
 * resumed a session shows its client no certificate, and is refused there.
 */
export function verifyPeer(socket: Pick<TLSSocket, 'authorized' | 'authorizationError' | 'getPeerCertificate'>, expected: PeerExpectation): PeerVerdict {
  if (socket.authorized !== true) return { ok: false, reason: `its certificate is not trusted (${socket.authorizationError?.toString() || 'no certificate'})` };
  const spiffeId = spiffeIdOfNames(socket.getPeerCertificate()?.subjectaltname);
  if (spiffeId === undefined) return { ok: false, reason: 'its certificate holds no single valid SPIFFE id' };
  if ('trustDomain' in expected) {
    if (isMemberOf(spiffeId, expected.trustDomain)) return { ok: true, spiffeId };
    return { ok: false, reason: `it is ${spiffeId}, which is not of the trust domain ${expected.trustDomain}` };
  }
  if (expected.spiffeIds.includes(spiffeId)) return { ok: true, spiffeId };
  return { ok: false, reason: `it is ${spiffeId}, not ${expected.spiffeIds.join(' or ')}` };
}

/**
 * The one SPIFFE id in Node's text of a certificate's alternative names ("URI:spiffe://..., DNS:..."). X509-SVID, section 2: exactly one URI. Node
 * quotes an entry that could be taken for several; a SPIFFE id never needs quotes, so a text with any is refused whole.
 */
export function spiffeIdOfNames(subjectAltName: string | undefined): string | undefined {
  if (subjectAltName === undefined || subjectAltName.includes('"')) return undefined;
  const uris = subjectAltName.split(', ').filter((entry) => entry.startsWith('URI:'));
  if (uris.length !== 1) return undefined;
  const text = uris[0]!.slice('URI:'.length);
  return 'fault' in parseSpiffeId(text) ? undefined : text;
}
