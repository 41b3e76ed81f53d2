/** Names of a certificate, as verified by the handshake. */
export interface SubjectAltNames {
  readonly uri: readonly string[];
  readonly dns: readonly string[];
  readonly email: readonly string[];
  readonly ip: readonly string[];
}

const NAME = /^[\x20-\x7e]+$/;

/**
 * Takes Node's one-line form apart (`URI:spiffe://a, DNS:b`). A value that holds a comma or a quote is given by Node as a
 * JSON string, so a name cannot smuggle in another one. Names are IA5 (RFC 5280 section 4.2.1.6): one with a control, such
 * as a line break for the header that it may be told in, is no name.
 */
export function parseSubjectAltNames(text: string | undefined): SubjectAltNames {
  const uri: string[] = [];
  const dns: string[] = [];
  const email: string[] = [];
  const ip: string[] = [];
  let at = 0;
  const all = text ?? '';
  while (at < all.length) {
    const colon = all.indexOf(':', at);
    if (colon < 0) break;
    const kind = all.slice(at, colon);
    let value: string;
    if (all.charCodeAt(colon + 1) === 0x22) {
      let end = colon + 2;
      while (end < all.length && all.charCodeAt(end) !== 0x22) end += all.charCodeAt(end) === 0x5c ? 2 : 1;
      try {
        value = JSON.parse(all.slice(colon + 1, end + 1)) as string;
      } catch {
        break;
      }
      at = end + 1;
    } else {
      const comma = all.indexOf(', ', colon);
      const end = comma < 0 ? all.length : comma;
      value = all.slice(colon + 1, end);
      at = end;
    }
    if (NAME.test(value)) {
      if (kind === 'URI') uri.push(value);
      else if (kind === 'DNS') dns.push(value);
      else if (kind === 'email') email.push(value);
      else if (kind === 'IP Address') ip.push(value);
    }
    if (all.startsWith(', ', at)) at += 2;
    else break;
  }
  return { uri, dns, email, ip };
}
