import type { ServerTlsSettings } from '../kinds/workloads.ts';
import { type FieldError, forbidden, required } from '../schema/field-error.ts';

/** What a gateway has and a sidecar's ingress has not. */
const gatewayFields = ['subjectAltNames', 'credentialName', 'credentialNames', 'tlsCertificates'] as const;

/** TLS that a sidecar ends for callers from outside of the mesh, with files of its machine. */
export function checkIngressTls(tls: ServerTlsSettings, path: string, errors: FieldError[]): void {
  for (const field of gatewayFields) if ((tls[field] ?? []).length > 0) errors.push(forbidden(`${path}.${field}`, 'is not supported on a sidecar'));
  if (tls.httpsRedirect === true) errors.push(forbidden(`${path}.httpsRedirect`, 'is not supported on a sidecar'));
  const { mode = 'PASSTHROUGH', serverCertificate = '', privateKey = '', caCertificates = '' } = tls;
  if (mode === 'ISTIO_MUTUAL' || mode === 'AUTO_PASSTHROUGH') {
    errors.push(forbidden(`${path}.mode`, `${mode} is not for the ingress of a sidecar, which takes mesh mTLS by itself`));
    return;
  }
  const mutual = mode === 'MUTUAL' || mode === 'OPTIONAL_MUTUAL';
  if (mode !== 'SIMPLE' && !mutual) return;
  // Certificates by other means were refused above.
  if (gatewayFields.some((field) => (tls[field] ?? []).length > 0)) return;
  if (serverCertificate === '') errors.push(required(`${path}.serverCertificate`, `${mode} needs the certificate to show`));
  if (privateKey === '') errors.push(required(`${path}.privateKey`, `${mode} needs the private key of the certificate`));
  if (mutual && caCertificates === '') errors.push(required(`${path}.caCertificates`, `${mode} needs the certificates to verify clients by`));
  if (mode === 'SIMPLE' && (tls.caCrl ?? '') !== '') errors.push(forbidden(`${path}.caCrl`, 'SIMPLE asks for no certificate that a list could revoke'));
}
