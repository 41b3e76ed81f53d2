/** RFC 3986 section 3.2 without userinfo, and "_" as container names have it. */
const AUTHORITY = /^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-._~%!$&'()*+,;=]+)(?::[0-9]{0,5})?$/;

/** Host, or host and port, as a Host header and :authority have it. */
export function isAuthority(text: string): boolean {
  return AUTHORITY.test(text);
}

/** As a CONNECT needs it. */
export function isAuthorityWithPort(text: string): boolean {
  return AUTHORITY.test(text) && /:[0-9]+$/.test(text);
}
