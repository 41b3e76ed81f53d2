/** A URL as Go's `url.ParseRequestURI` takes it, on which Kubernetes' CEL functions `url` and `isURL` stand. */
export interface RequestUrl {
  readonly scheme: string;
  /** "host:port" */
  readonly host: string;
  readonly hostname: string;
  readonly port: string;
  readonly path: string;
  readonly query: string;
}

const schemePattern = /^([A-Za-z][-A-Za-z0-9+.]*):/;
// Go's validation of a registered name: what RFC 3986 allows, and what browsers have taken besides.
const hostPattern = /^[-A-Za-z0-9._~!$&'()*+,;=:<>"\u0080-\uffff]*$/;
const userPattern = /^[-A-Za-z0-9._:~!$&'()*+,;=%@]*$/;
const brokenEscape = /%(?![0-9A-Fa-f]{2})/;

/** undefined for what Go refuses. */
export function parseRequestUrl(text: string): RequestUrl | undefined {
  if (text === '' || /[\u0000-\u001f\u007f]/.test(text)) return undefined;
  const scheme = schemePattern.exec(text);
  if (scheme === null && text.startsWith(':')) return undefined;
  let rest = scheme === null ? text : text.slice(scheme[0].length);
  const name = (scheme?.[1] ?? '').toLowerCase();
  const question = rest.indexOf('?');
  const query = question < 0 ? '' : rest.slice(question + 1);
  if (question >= 0) rest = rest.slice(0, question);
  if (!rest.startsWith('/')) {
    return name === '' ? undefined : { scheme: name, host: '', hostname: '', port: '', path: '', query };
  }
  let authority = '';
  if (name !== '' ? rest.startsWith('//') : rest.startsWith('//') && !rest.startsWith('///')) {
    const end = rest.indexOf('/', 2);
    authority = end < 0 ? rest.slice(2) : rest.slice(2, end);
    rest = end < 0 ? '' : rest.slice(end);
  }
  if (brokenEscape.test(rest)) return undefined;
  const host = hostOf(authority);
  return host === undefined ? undefined : { scheme: name, ...host, path: rest, query };
}

function hostOf(authority: string): Pick<RequestUrl, 'host' | 'hostname' | 'port'> | undefined {
  const at = authority.lastIndexOf('@');
  if (at >= 0 && !userPattern.test(authority.slice(0, at))) return undefined;
  const host = authority.slice(at + 1);
  if (host.startsWith('[')) {
    const match = /^\[([0-9A-Fa-f:.]+(?:%25[^\]]+)?)\](?::(\d*))?$/.exec(host);
    return match === null ? undefined : { host, hostname: match[1] as string, port: match[2] ?? '' };
  }
  if (!hostPattern.test(host)) return undefined;
  const colon = host.lastIndexOf(':');
  if (colon < 0) return { host, hostname: host, port: '' };
  // An IPv6 address stands in brackets.
  if (host.indexOf(':') !== colon) return undefined;
  return /^\d*$/.test(host.slice(colon + 1)) ? { host, hostname: host.slice(0, colon), port: host.slice(colon + 1) } : undefined;
}
