import { X509Certificate } from 'node:crypto';
import { field, type KubernetesDocument, list, namespaceOf, podOf, stringMap, text } from '@outrigger/resources';
import { isSignedBy, secretText } from './client-certificate.ts';
import { selects } from './kubernetes-instances.ts';

export interface WantedServer {
  /** PEM; undefined: whom it trusts is not of the files. */
  readonly authorities: string | undefined;
  /** Any of them; none: whatever the name. */
  readonly names: readonly { readonly kind: 'dns' | 'uri'; readonly name: string }[];
}

/**
 * Why no certificate that the pods of a Service mount is one that its callers take; undefined: one is, or the files show none. Which of its
 * secrets a server shows only it knows: any that fits is taken to be the one.
 */
export function untrustedServer(documents: readonly KubernetesDocument[], host: string, wanted: WantedServer): string | undefined {
  const certificates = mounted(documents, host);
  if (certificates.length === 0) return undefined;
  const reasons = certificates.map(({ secret, certificate }) => {
    if (wanted.authorities !== undefined && !isSignedBy(certificate, wanted.authorities))
      return `${secret} is not signed by an authority that is trusted for it`;
    if (wanted.names.length > 0 && !wanted.names.some((name) => isFor(certificate, name)))
      return `${secret} is for ${certificate.subjectAltName ?? certificate.subject}, not for ${wanted.names.map(({ name }) => name).join(' or ')}`;
    return undefined;
  });
  return reasons.includes(undefined) ? undefined : `of the certificates that its pods mount, ${reasons.join('; ')}`;
}

function isFor(certificate: X509Certificate, { kind, name }: WantedServer['names'][number]): boolean {
  if (kind === 'dns') return certificate.checkHost(name, { subject: 'never' }) !== undefined;
  return (certificate.subjectAltName ?? '').split(', ').includes(`URI:${name}`);
}

function mounted(documents: readonly KubernetesDocument[], host: string): readonly { readonly secret: string; readonly certificate: X509Certificate }[] {
  const [name, namespace] = host.split('.');
  const here = documents.filter((document) => namespaceOf(document) === namespace);
  const service = here.find((document) => document.kind === 'Service' && document.apiVersion === 'v1' && document.name === name);
  if (service === undefined) return [];
  const selector = stringMap(service.value, 'spec', 'selector');
  const secrets = new Set(
    here.flatMap((document) => {
      const pod = podOf(document);
      return selects(selector, stringMap(pod, 'metadata', 'labels'))
        ? list(field(pod, 'spec', 'volumes')).map((volume) => text(field(volume, 'secret', 'secretName')))
        : [];
    }),
  );
  return here
    .filter((document) => document.kind === 'Secret' && secrets.has(document.name))
    .flatMap((document) => {
      try {
        return [{ secret: `Secret ${namespace}/${document.name}`, certificate: new X509Certificate(secretText(document, 'tls.crt')) }];
      } catch {
        return [];
      }
    });
}
