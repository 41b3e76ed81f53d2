import type { SecretTable } from '../tls/secrets.ts';
import { REDACTED } from './config-dump.ts';

/** envoy.admin.v3.SecretsConfigDump.DynamicSecret. */
export interface SecretDump {
  readonly name: string;
  readonly secret: object;
}

const SECRET = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret';

/** What TLS has by name, of SDS. Never a key. */
export function dumpSecrets(secrets: SecretTable): SecretDump[] {
  const dump = (name: string, fields: object): SecretDump => ({ name, secret: { '@type': SECRET, name, ...fields } });
  return [
    ...Array.from(secrets.certificates(), ([name, { chainPem }]) =>
      dump(name, { tls_certificate: { certificate_chain: { inline_string: chainPem }, private_key: { inline_string: REDACTED } } }),
    ),
    ...Array.from(secrets.trustBundles(), ([name, { trustedCaPem }]) => dump(name, { validation_context: { trusted_ca: { inline_string: trustedCaPem } } })),
  ];
}
