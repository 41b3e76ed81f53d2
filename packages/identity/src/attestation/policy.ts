/** Allows processes of one user to ask for identities; '*' is every name. */
export interface UidGrant {
  readonly uid: number;
  readonly namespace: string;
  readonly serviceAccount: string;
}

export interface IssuancePolicy {
  /** Whether a local process of this user may have this identity. */
  permitsUid(uid: number, namespace: string, serviceAccount: string): boolean;
}

/** The control plane's own user may have any identity (it could read the authority's key anyway); others what is listed. Everybody else nothing. */
export function issuancePolicy(ownUid: number, grants: readonly UidGrant[] = []): IssuancePolicy {
  return {
    permitsUid(uid, namespace, serviceAccount) {
      if (uid === ownUid) return true;
      return grants.some((grant) => grant.uid === uid && covers(grant.namespace, namespace) && covers(grant.serviceAccount, serviceAccount));
    },
  };
}

function covers(pattern: string, name: string): boolean {
  return pattern === '*' || pattern === name;
}
