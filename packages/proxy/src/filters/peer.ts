/** In what header a caller's sidecar says what its SVID does not (docs/xds.md); stripped before an application. */
export const PEER_HEADER = 'x-outrigger-peer';

/** Longer ones are not read: it comes from the other side. */
const MAX_PEER_LENGTH = 1024;

/** A workload, as it tells the other side of a call. */
export interface Peer {
  readonly workload: string;
  readonly namespace: string;
  readonly service: string;
  readonly version: string;
}

const FIELD = /^[A-Za-z0-9._-]*$/;

/** "WORKLOAD;NAMESPACE;SERVICE;VERSION"; undefined where it is anything else. Endpoint metadata carries the same with a ";" behind. */
export function parsePeer(text: string): Peer | undefined {
  if (text.length > MAX_PEER_LENGTH) return undefined;
  const [workload, namespace, service, version, ...more] = text.split(';');
  if (
    workload === undefined ||
    namespace === undefined ||
    service === undefined ||
    version === undefined ||
    more.some((field) => field !== '') ||
    more.length > 1
  )
    return undefined;
  if (workload === '' || namespace === '') return undefined;
  for (const field of [workload, namespace, service, version]) if (!FIELD.test(field)) return undefined;
  return { workload, namespace, service, version };
}

export function formatPeer(peer: Peer): string {
  return `${peer.workload};${peer.namespace};${peer.service};${peer.version}`;
}

/**
 * The namespace that a caller claims must be the one its SVID proves: the rest of the header is only believed about
 * workloads of that namespace.
 */
export function peerMatchesIdentity(peer: Peer, spiffeId: string): boolean {
  return namespaceOf(spiffeId) === peer.namespace;
}

/** "default" of spiffe://cluster.local/ns/default/sa/order-service, or ''. */
export function namespaceOf(spiffeId: string): string {
  return /^spiffe:\/\/[^/]+\/ns\/([^/]+)\/sa\/[^/]+$/.exec(spiffeId)?.[1] ?? '';
}
