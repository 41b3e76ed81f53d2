const maxHostLength = 255;
const labelPattern = /^[a-zA-Z0-9_](?:[-a-zA-Z0-9_]{0,61}[a-zA-Z0-9_])?$/;

/** What is wrong with a host of a VirtualService or DestinationRule: a DNS name, maybe with "*" before or in place of it, or an IP address. */
export function hostFault(host: string): string | undefined {
  if (host === '') return 'host must not be empty';
  if (host === '*') return undefined;
  if (host.length > maxHostLength) return `a domain name may have at most ${maxHostLength} characters`;
  // IPv6; IPv4 passes as a name.
  if (/^[0-9a-fA-F:.]*:[0-9a-fA-F:.]*$/.test(host)) return undefined;
  const labels = (host.endsWith('.') ? host.slice(0, -1) : host).split('.');
  for (const [index, label] of labels.entries()) {
    if (index === 0 && (label === '*' || (label.startsWith('*') && labelPattern.test(label.replace(/^\*-?/, ''))))) continue;
    if (!labelPattern.test(label)) {
      return label.includes('*')
        ? 'a wildcard may stand only at the beginning of a host'
        : `domain label "${label}" invalid: letters, digits and "-", at most 63 of them`;
    }
  }
  return undefined;
}
