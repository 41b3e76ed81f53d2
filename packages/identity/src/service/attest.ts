import { Code, ConnectError } from '@connectrpc/connect';
import type { Caller } from '@outrigger/xds';
import type { IssuancePolicy } from '../attestation/policy.ts';
import type { TokenRegister } from '../attestation/token-register.ts';
import { formatSpiffeId, type WorkloadIdentity } from '../spiffe/spiffe-id.ts';

export interface Attestors {
  readonly tokens: TokenRegister;
  readonly policy: IssuancePolicy;
}

/** The caller has proven that it may have the identity that it asked for. */
export interface Attested {
  readonly by: 'svid' | 'join-token' | 'peer-credentials';
  /** Uses up what proved it, where that can be used up. */
  redeem(publicKeyDer: Uint8Array): Promise<void>;
}

const NOTHING_TO_REDEEM = () => Promise.resolve();

/**
 * One proof decides, the one that the caller itself brings forward first: a join token, else its SVID, else its socket's peer. A wrong token is
 * never made up for by another proof: who sends one believes to be somebody else than the connection says.
 */
export function attest(caller: Caller, identity: WorkloadIdentity, joinToken: string, attestors: Attestors): Attested {
  const spiffeId = formatSpiffeId(identity);
  if (joinToken !== '') {
    const claim = attestors.tokens.claim(joinToken);
    if (claim.namespace !== identity.namespace || claim.serviceAccount !== identity.serviceAccount) {
      throw new ConnectError(
        `The join token is for service account ${claim.namespace}/${claim.serviceAccount}, not for ${identity.namespace}/${identity.serviceAccount}. Make one for that.`,
        Code.PermissionDenied,
      );
    }
    return { by: 'join-token', redeem: (publicKeyDer) => claim.redeem(publicKeyDer) };
  }
  if (caller.spiffeId !== undefined) {
    if (caller.spiffeId === spiffeId) return { by: 'svid', redeem: NOTHING_TO_REDEEM };
    throw new ConnectError(
      `The connection is of ${caller.spiffeId}, which may renew its own certificate but not have one of ${spiffeId}. Join with a token for that.`,
      Code.PermissionDenied,
    );
  }
  if (caller.peer !== undefined) {
    if (attestors.policy.permitsUid(caller.peer.uid, identity.namespace, identity.serviceAccount)) return { by: 'peer-credentials', redeem: NOTHING_TO_REDEEM };
    throw new ConnectError(
      `Processes of user ${caller.peer.uid} (here process ${caller.peer.pid}) may not have ${spiffeId}. Run it as the control plane's user, allow that user for this identity, or join with a token.`,
      Code.PermissionDenied,
    );
  }
  throw new ConnectError(
    "Nothing proves who is calling. Join with a token, connect with a valid SVID, or use the control plane's Unix socket on the same machine (Linux).",
    Code.Unauthenticated,
  );
}
