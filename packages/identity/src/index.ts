export { type Clock, systemClock } from './clock.ts';
export { createAuthority, type Authority, type AuthorityOptions, type RootStatus, type TrustBundle } from './ca/authority.ts';
export type { CaStore } from './ca/ca-store.ts';
export { IdentityError, type IdentityErrorCode } from './identity-error.ts';
export {
  formatSpiffeId,
  isMemberOf,
  parseSpiffeId,
  parseWorkloadIdentity,
  type SpiffeFault,
  type SpiffeId,
  trustDomainFault,
  trustDomainId,
  type WorkloadIdentity,
  workloadIdentityFault,
} from './spiffe/spiffe-id.ts';
export type { IssuedSvid, Svid } from './svid.ts';
