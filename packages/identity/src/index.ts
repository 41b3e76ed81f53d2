export { type AgentClientTls, type AgentEvent, type AgentOptions, type AgentState, createAgent, type WorkloadAgent } from './agent/agent.ts';
export { type KeyAndCsr, makeKeyAndCsr } from './agent/key-and-csr.ts';
export { SVID_SECRET, TRUST_BUNDLE_SECRET } from './agent/secrets.ts';
export { type ControlPlaneTarget, type SignCall, type SignClient, signClient } from './agent/sign-client.ts';
export { type PeerCredentials, peerCredentialsReader, type ReadPeerCredentials } from './attestation/peer-credentials.ts';
export { type IssuancePolicy, issuancePolicy, type UidGrant } from './attestation/policy.ts';
export { createTokenRegister, type NewToken, type TokenRegister, type TokenView } from './attestation/token-register.ts';
export { type Authority, type AuthorityOptions, createAuthority, type RootStatus, type TrustBundle } from './ca/authority.ts';
export type { CaStore } from './ca/ca-store.ts';
export { type Clock, systemClock } from './clock.ts';
export { IdentityError, type IdentityErrorCode } from './identity-error.ts';
export type { Attestors } from './service/attest.ts';
export { type CertificateServiceOptions, certificateMethods, type IssuanceRecord } from './service/certificate-service.ts';
export { type ControlPlaneCertificate, type ControlPlaneCertificateOptions, createControlPlaneCertificate } from './service/control-plane-certificate.ts';
export type { RateLimit } from './service/rate-limit.ts';
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
export { type SvidTlsOptions, tlsOptions } from './tls/options.ts';
export { type PeerExpectation, type PeerVerdict, spiffeIdOfNames, verifyPeer } from './tls/peer.ts';
