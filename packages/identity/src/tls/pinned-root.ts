import { X509Certificate } from 'node:crypto';
import { connect, type DetailedPeerCertificate } from 'node:tls';
import { certificateFingerprint } from '../ca/fingerprint.ts';
import { IdentityError } from '../identity-error.ts';
import { parseSpiffeId } from '../spiffe/spiffe-id.ts';
import { spiffeIdOfNames } from './peer.ts';

export interface PinnedRoot {
  readonly pem: string;
  readonly trustDomain: string;
}

/** A server's chain is its leaf, perhaps an intermediate, and the root. */
const MAX_CHAIN = 8;

/**
 * Asks a server for its chain and takes from it the root with a pinned fingerprint. Nothing is sent to the server and nothing else of what it shows
 * is believed: the connection that carries the join token is a second one, which trusts this root alone and checks the server's name.
 */
export async function fetchPinnedRoot(
  address: { readonly host: string; readonly port: number },
  pins: readonly string[],
  timeoutMs: number,
): Promise<PinnedRoot> {
  for (const der of await shownChain(address, timeoutMs)) {
    if (!pins.includes(certificateFingerprint(der))) continue;
    const root = new X509Certificate(der);
    const id = parseSpiffeId(spiffeIdOfNames(root.subjectAltName) ?? '');
    if (!root.ca || 'fault' in id || id.segments.length !== 0) break;
    return { pem: root.toString(), trustDomain: id.trustDomain };
  }
  throw new IdentityError(
    'pin-mismatch',
    `The server at ${address.host}:${address.port} does not show the root certificate that the join token pins: it is another control plane, or its root was replaced since. Check the address, or make a new join token.`,
  );
}

function shownChain(address: { readonly host: string; readonly port: number }, timeoutMs: number): Promise<readonly Buffer[]> {
  return new Promise((resolve, reject) => {
    const where = `${address.host}:${address.port}`;
    const fail = (cause: Error) => reject(new IdentityError('unreachable', `Cannot reach the control plane at ${where}: ${cause.message}.`, { cause }));
    // The pin decides about trust, not the system's roots.
    const socket = connect({ host: address.host, port: address.port, rejectUnauthorized: false, ALPNProtocols: ['h2'], minVersion: 'TLSv1.2' });
    socket.setTimeout(timeoutMs, () => socket.destroy(new Error(`no answer within ${timeoutMs} ms`)));
    socket.once('error', fail);
    socket.once('close', () => fail(new Error('the server closed the connection')));
    socket.once('secureConnect', () => {
      const chain: Buffer[] = [];
      let certificate: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
      while (certificate?.raw !== undefined && chain.length < MAX_CHAIN) {
        chain.push(certificate.raw);
        certificate = certificate.issuerCertificate === certificate ? undefined : certificate.issuerCertificate;
      }
      resolve(chain);
      socket.destroy();
    });
  });
}
