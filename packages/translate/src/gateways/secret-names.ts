/** SDS names as Istio has them: what a gateway's agent serves from its machine. */
const CREDENTIAL = 'kubernetes://';
const API_CREDENTIAL = 'kubernetes-gateway://';
const FILE_CERTIFICATE = 'file-cert:';
const FILE_ROOT = 'file-root:';

export function credentialSecret(name: string): string {
  return CREDENTIAL + name;
}

/** "NAMESPACE/NAME", of a Gateway API Gateway. */
export function apiCredentialSecret(name: string): string {
  return API_CREDENTIAL + name;
}

export function fileCertificateSecret(certificate: string, key: string): string {
  return `${FILE_CERTIFICATE}${certificate}~${key}`;
}

export function fileRootSecret(authorities: string): string {
  return FILE_ROOT + authorities;
}

export type SecretName =
  | { readonly kind: 'credential'; readonly name: string }
  | { readonly kind: 'certificate'; readonly certificate: string; readonly key: string }
  | { readonly kind: 'authorities'; readonly authorities: string };

/** undefined: none of these, as "default" is. */
export function parseSecretName(text: string): SecretName | undefined {
  if (text.startsWith(CREDENTIAL)) return { kind: 'credential', name: text.slice(CREDENTIAL.length) };
  if (text.startsWith(API_CREDENTIAL)) return { kind: 'credential', name: text.slice(API_CREDENTIAL.length) };
  if (text.startsWith(FILE_ROOT)) return { kind: 'authorities', authorities: text.slice(FILE_ROOT.length) };
  const tilde = text.indexOf('~');
  if (!text.startsWith(FILE_CERTIFICATE) || tilde < 0) return undefined;
  return { kind: 'certificate', certificate: text.slice(FILE_CERTIFICATE.length, tilde), key: text.slice(tilde + 1) };
}
