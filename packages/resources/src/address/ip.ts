const ipv4Pattern = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)$/;
const maxAddressLength = 45;

/** 4 or 6, or undefined for what is no IP address (a zone such as "%eth0" makes it none). */
export function ipFamily(text: string): 4 | 6 | undefined {
  if (text.length > maxAddressLength) return undefined;
  if (ipv4Pattern.test(text)) return 4;
  return isIpv6(text) ? 6 : undefined;
}

/** RFC 4291 section 2.2: eight groups, one "::" for the zeros left out, the last two groups maybe as IPv4. */
function isIpv6(text: string): boolean {
  const halves = text.split('::');
  if (halves.length > 2) return false;
  let groups = 0;
  for (const [index, half] of halves.entries()) {
    if (half === '') continue;
    const parts = half.split(':');
    for (const [position, part] of parts.entries()) {
      const last = index === halves.length - 1 && position === parts.length - 1;
      if (last && ipv4Pattern.test(part)) groups += 2;
      else if (/^[0-9a-fA-F]{1,4}$/.test(part)) groups++;
      else return false;
    }
  }
  return halves.length === 2 ? groups < 8 : groups === 8;
}
