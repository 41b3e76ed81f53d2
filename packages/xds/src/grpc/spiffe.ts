const PREFIX = 'URI:spiffe://';

/**
 * The SPIFFE id in Node's text of a certificate's subject alternative names. undefined where there is none, more than
 * one (X.509-SVID, section 2: exactly one), or text that needs quoting, which no SPIFFE id does.
 */
export function spiffeIdOf(subjectAltName: string | undefined): string | undefined {
  if (subjectAltName === undefined || subjectAltName.includes('"')) return undefined;
  const uris = subjectAltName.split(', ').filter((entry) => entry.startsWith('URI:'));
  const only = uris[0];
  return uris.length === 1 && only?.startsWith(PREFIX) ? only.slice('URI:'.length) : undefined;
}
