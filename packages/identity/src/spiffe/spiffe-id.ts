/** SPIFFE-ID standard, section 2.3: an id is at most this long. */
export const MAX_SPIFFE_ID_BYTES = 2048;
/** SPIFFE-ID standard, section 2.1: the trust domain's name is at most this long. */
export const MAX_TRUST_DOMAIN_BYTES = 255;
/** RFC 1123 label. */
const MAX_LABEL = 63;
/** RFC 1123 subdomain, what Kubernetes allows a service account's name to be. */
const MAX_SUBDOMAIN = 253;

const TRUST_DOMAIN = /^[a-z0-9._-]+$/;
const PATH_SEGMENT = /^[a-zA-Z0-9._-]+$/;
const LABEL = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/;
const SCHEME = 'spiffe://';

/** Any valid SPIFFE id; `segments` is empty for the id of a trust domain itself. */
export interface SpiffeId {
  readonly text: string;
  readonly trustDomain: string;
  readonly segments: readonly string[];
}

/** Who a workload of this mesh is: `spiffe://TRUSTDOMAIN/ns/NAMESPACE/sa/SERVICEACCOUNT`. */
export interface WorkloadIdentity {
  readonly trustDomain: string;
  readonly namespace: string;
  readonly serviceAccount: string;
}

/** Why a text is not what it should be: one sentence. */
export interface SpiffeFault {
  readonly fault: string;
}

/** Parses by the SPIFFE-ID standard: no query, fragment, port, user, percent-encoding, empty or dot segment; lower-case trust domain. */
export function parseSpiffeId(text: string): SpiffeId | SpiffeFault {
  // Every character allowed below is one byte long, so the length in UTF-16 units is enough to refuse early.
  if (text.length > MAX_SPIFFE_ID_BYTES) return { fault: `a SPIFFE id is at most ${MAX_SPIFFE_ID_BYTES} bytes long, this one has ${text.length}` };
  if (!text.startsWith(SCHEME)) return { fault: 'a SPIFFE id starts with "spiffe://"' };
  const rest = text.slice(SCHEME.length);
  const slash = rest.indexOf('/');
  const trustDomain = slash === -1 ? rest : rest.slice(0, slash);
  const domainFault = trustDomainFault(trustDomain);
  if (domainFault !== undefined) return { fault: domainFault };
  const segments = slash === -1 ? [] : rest.slice(slash + 1).split('/');
  for (const segment of segments) {
    if (segment === '') return { fault: 'a SPIFFE id has no empty path segment and no slash at its end' };
    if (segment === '.' || segment === '..') return { fault: 'a SPIFFE id has no "." or ".." in its path' };
    if (!PATH_SEGMENT.test(segment)) return { fault: 'a SPIFFE id\'s path has only letters, digits, ".", "-" and "_"' };
  }
  return { text, trustDomain, segments };
}

/** Parses `spiffe://TRUSTDOMAIN/ns/NAMESPACE/sa/SERVICEACCOUNT`, the names by Kubernetes' rules. */
export function parseWorkloadIdentity(text: string): WorkloadIdentity | SpiffeFault {
  const id = parseSpiffeId(text);
  if ('fault' in id) return id;
  const [ns, namespace, sa, serviceAccount] = id.segments;
  if (id.segments.length !== 4 || ns !== 'ns' || sa !== 'sa')
    return { fault: 'a workload\'s SPIFFE id is "spiffe://TRUSTDOMAIN/ns/NAMESPACE/sa/SERVICEACCOUNT"' };
  const identity = { trustDomain: id.trustDomain, namespace: namespace!, serviceAccount: serviceAccount! };
  const fault = workloadIdentityFault(identity);
  return fault === undefined ? identity : { fault };
}

/** What is wrong with an identity's names; undefined: nothing. */
export function workloadIdentityFault(identity: WorkloadIdentity): string | undefined {
  return trustDomainFault(identity.trustDomain) ?? namespaceFault(identity.namespace) ?? serviceAccountFault(identity.serviceAccount);
}

export function trustDomainFault(name: string): string | undefined {
  if (name === '') return 'a trust domain has a name';
  if (name.length > MAX_TRUST_DOMAIN_BYTES) return `a trust domain's name is at most ${MAX_TRUST_DOMAIN_BYTES} bytes long, this one has ${name.length}`;
  if (!TRUST_DOMAIN.test(name)) return 'a trust domain\'s name has only lower-case letters, digits, ".", "-" and "_"';
  return undefined;
}

function namespaceFault(name: string): string | undefined {
  if (name.length === 0 || name.length > MAX_LABEL || !LABEL.test(name)) {
    return `a namespace is 1 to ${MAX_LABEL} lower-case letters, digits and "-", with a letter or digit at both ends`;
  }
  return undefined;
}

function serviceAccountFault(name: string): string | undefined {
  if (name.length === 0 || name.length > MAX_SUBDOMAIN || !name.split('.').every((label) => LABEL.test(label))) {
    return `a service account is 1 to ${MAX_SUBDOMAIN} lower-case letters, digits, "-" and ".", with a letter or digit at both ends of each part`;
  }
  return undefined;
}

/** The id of a workload. The identity must be valid (`workloadIdentityFault`). */
export function formatSpiffeId(identity: WorkloadIdentity): string {
  return `${SCHEME}${identity.trustDomain}/ns/${identity.namespace}/sa/${identity.serviceAccount}`;
}

/** The id of a trust domain, which its roots carry. */
export function trustDomainId(trustDomain: string): string {
  return SCHEME + trustDomain;
}

/** Whether a valid id belongs to a trust domain; false for anything that is no SPIFFE id. */
export function isMemberOf(spiffeId: string, trustDomain: string): boolean {
  const id = parseSpiffeId(spiffeId);
  return !('fault' in id) && id.trustDomain === trustDomain;
}
