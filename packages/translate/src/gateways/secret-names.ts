/** SDS names as Istio has them: what a gateway's agent serves from its machine. */
const CREDENTIAL = 'kubernetes://';
const API_CREDENTIAL = 'kubernetes-gateway://';
const FILE_CERTIFICATE = 'file-cert:';
const FILE_ROOT = 'file-root:';
const AUTHORITIES = '-cacert';
/** No name of Kubernetes has one in it. */
const SEPARATOR = ',';

export function credentialSecret(name: string): string {
  return CREDENTIAL + name;
}

/** "NAMESPACE/NAME", of a Gateway API Gateway. */
export function apiCredentialSecret(name: string): string {
  return API_CREDENTIAL + name;
}

/** Several secrets (or config maps) of authorities, "NAMESPACE/NAME" each, as one: a connection has one name for all whom it trusts. */
export function apiAuthoritiesSecret(names: readonly string[]): string {
  return API_CREDENTIAL + names.map((name) => name + AUTHORITIES).join(SEPARATOR);
}

/** The names that a credential's stands for: several of authorities, else one. */
export function credentialNames(name: string): readonly string[] {
  return name.split(SEPARATOR);
}

export function fileCertificateSecret(certificate: string, key: string): string {
  return `${FILE_CERTIFICATE}${certificate}~${key}`;
}

export function fileRootSecret(authorities: string): string {
  return FILE_ROOT + authorities;
}

/** Authorities with the file of what they have revoked; '' none. */
export function withRevocations(authorities: string, crl: string): string {
  return crl === '' ? authorities : `${authorities}~${crl}`;
}

export type SecretName =
  /** `crl`: a file that holds beside the credential's own list of what is revoked; '' none. */
  | { readonly kind: 'credential'; readonly name: string; readonly crl: string }
  | { readonly kind: 'certificate'; readonly certificate: string; readonly key: string }
  | { readonly kind: 'authorities'; readonly authorities: string; readonly crl: string };

/** undefined: none of these, as "default" is. */
export function parseSecretName(text: string): SecretName | undefined {
  const scheme = [CREDENTIAL, API_CREDENTIAL, FILE_ROOT, FILE_CERTIFICATE].find((candidate) => text.startsWith(candidate));
  if (scheme === undefined) return undefined;
  const rest = text.slice(scheme.length);
  const tilde = rest.indexOf('~');
  const [first, second] = tilde < 0 ? [rest, ''] : [rest.slice(0, tilde), rest.slice(tilde + 1)];
  if (scheme === FILE_ROOT) return { kind: 'authorities', authorities: first, crl: second };
  if (scheme === FILE_CERTIFICATE) return tilde < 0 ? undefined : { kind: 'certificate', certificate: first, key: second };
  return { kind: 'credential', name: first, crl: second };
}
