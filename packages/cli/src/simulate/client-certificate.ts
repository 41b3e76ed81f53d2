import { X509Certificate } from 'node:crypto';
import { field, isJsonObject, type KubernetesDocument, namespaceOf, text } from '@outrigger/resources';
import { credentialNames, parseSecretName } from '@outrigger/translate';
import type { ClientCertificate } from './call.ts';

/** Why a client's certificate is refused by who asks for it under the name of a secret; undefined: it is taken. */
export type ClientVerifier = (certificate: ClientCertificate, secretName: string) => string | undefined;

/** By the authorities that the files hold. One that they do not hold is taken to be the client's own. */
export function clientVerifier(documents: readonly KubernetesDocument[]): ClientVerifier {
  return (certificate, secretName) => {
    const asked = parseSecretName(secretName);
    const ofMesh = asked === undefined;
    if (certificate === 'mesh') return ofMesh ? undefined : 'the client shows its certificate of the mesh, and another authority is trusted here';
    if (ofMesh) return 'only certificates of the mesh are trusted here';
    if ('signedBy' in certificate)
      return asked.kind === 'authorities' && asked.authorities === certificate.signedBy
        ? undefined
        : `certificates that ${certificate.signedBy} signed are not trusted here`;
    const held = asked.kind === 'credential' ? credentialNames(asked.name).map((name) => authoritiesOf(documents, name)) : [];
    const authorities = held.every((pem) => pem !== undefined) ? held.join('\n') : '';
    if (authorities === '' || certificate.pem === '') return undefined;
    return isSignedBy(new X509Certificate(certificate.pem), authorities)
      ? undefined
      : 'the client certificate is not signed by an authority that is trusted here';
  };
}

const CA_SUFFIX = '-cacert';

/** PEM of ConfigMaps or Secrets, "NAMESPACE/NAME-cacert" each; undefined: none of them is there. */
export function authoritiesOf(documents: readonly KubernetesDocument[], asked: string): string | undefined {
  const held = credentialNames(asked).flatMap((name) => oneAuthorities(documents, name) ?? []);
  return held.length === 0 ? undefined : held.join('\n');
}

function oneAuthorities(documents: readonly KubernetesDocument[], asked: string): string | undefined {
  const [name = '', namespace = ''] = asked.split('/').reverse();
  const stem = name.endsWith(CA_SUFFIX) ? name.slice(0, -CA_SUFFIX.length) : name;
  for (const document of documents) {
    if (document.name !== stem && document.name !== name) continue;
    if (namespace !== '' && namespaceOf(document) !== namespace) continue;
    const pem =
      document.kind === 'ConfigMap' ? text(field(document.value, 'data', 'ca.crt')) : document.kind === 'Secret' ? secretText(document, 'ca.crt') : '';
    if (pem !== '') return pem;
  }
  return undefined;
}

/** One entry of a Secret, '' where it has none. */
export function secretText(document: KubernetesDocument, key: string): string {
  const encoded = field(document.value, 'data', key);
  if (typeof encoded === 'string') return Buffer.from(encoded, 'base64').toString('utf8');
  const plain = isJsonObject(document.value) ? field(document.value, 'stringData', key) : undefined;
  return text(plain);
}

/** A certificate that is itself among the authorities is trusted as well. */
export function isSignedBy(certificate: X509Certificate, authorities: string): boolean {
  return (authorities.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []).some((one) => {
    const authority = new X509Certificate(one);
    return authority.fingerprint256 === certificate.fingerprint256 || (certificate.checkIssued(authority) && certificate.verify(authority.publicKey));
  });
}
