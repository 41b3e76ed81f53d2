import { ipFamily } from '../address/ip.ts';
import { isCidr } from './names.ts';

// What is wrong with one value of an AuthorizationPolicy; undefined: nothing.

type ValueFault = (value: string) => string | undefined;

const maxServiceAccountLength = 320;
const maxPort = 65_535;

export function addressFault(value: string): string | undefined {
  return (value.includes('/') ? isCidr(value) : ipFamily(value) !== undefined) ? undefined : 'must be an IP address or a CIDR block';
}

export function portFault(value: string): string | undefined {
  return /^\d+$/.test(value) && Number(value) <= maxPort ? undefined : `must be a port number, at most ${maxPort}`;
}

export function serviceAccountFault(value: string): string | undefined {
  if (value.includes('*')) return 'a wildcard is not allowed in a service account';
  if (value.length > maxServiceAccountLength) return `may have at most ${maxServiceAccountLength} characters`;
  return /^[^/]+(?:\/[^/]+)?$/.test(value) ? undefined : 'must be SERVICE_ACCOUNT or NAMESPACE/SERVICE_ACCOUNT';
}

function wildcardFault(value: string): string | undefined {
  const count = value.split('*').length - 1;
  return count === 0 || (count === 1 && (value.startsWith('*') || value.endsWith('*'))) ? undefined : 'may have one wildcard, at its beginning or end';
}

export function trustDomainFault(value: string): string | undefined {
  return wildcardFault(value) ?? (value.includes('/') ? 'a trust domain has no "/" in it' : undefined);
}

/** RFC 3986 section 3.3, pchar: what Envoy takes in a template between its operators. */
const literalPattern = /^[-A-Za-z0-9._~%!$&'()+,;:@=]+$/;

/** A path, maybe with the operators "{*}" (one segment) and, last of them, "{**}" (any number). */
export function pathFault(path: string): string | undefined {
  const isTemplate = path.includes('{*}') || path.includes('{**}');
  let rest = false;
  for (const segment of path.replace(/^\/+|\/+$/g, '').split('/')) {
    if (segment === '{*}' || segment === '{**}') {
      if (rest) return '{**} must be the last operator of a path';
      rest = segment === '{**}';
    } else if (/[{}]/.test(segment)) return '"{" and "}" may stand only in {*} and {**}, each a whole segment';
    else if (isTemplate && !literalPattern.test(segment)) return `"${segment}" is no segment of a path`;
  }
  return undefined;
}

/** The attributes that a condition can be about, and what is wrong with their values; those of a map by the name before "[". */
const attributes: Readonly<Record<string, ValueFault | undefined>> = {
  'source.ip': addressFault,
  'remote.ip': addressFault,
  'source.namespace': undefined,
  'source.serviceAccount': serviceAccountFault,
  'source.principal': undefined,
  'source.trustDomain': wildcardFault,
  'request.auth.principal': undefined,
  'request.auth.audiences': undefined,
  'request.auth.presenter': undefined,
  'destination.ip': addressFault,
  'destination.port': portFault,
  'connection.sni': undefined,
};
const maps = ['request.headers', 'request.auth.claims', 'experimental.envoy.filters.'];
const elsewhere: Readonly<Record<string, string>> = {
  'destination.namespace': 'a policy is for workloads of its own namespace',
  'destination.labels': 'workloads are picked by the selector',
  'destination.name': 'workloads are picked by the selector',
  'destination.user': 'workloads are picked by the selector',
};

export function attributeFault(key: string): string | undefined {
  if (maps.some((name) => key.startsWith(name))) return /^[^[].*\[.+\]$/s.test(key) ? undefined : `must name one of them, as in ${key.split('[', 1)[0]}[x]`;
  if (Object.hasOwn(attributes, key)) return undefined;
  const name = key.split('[', 1)[0] as string;
  return Object.hasOwn(elsewhere, name)
    ? `${name}: ${elsewhere[name]}`
    : `unknown attribute; known are ${[...Object.keys(attributes), 'request.headers[NAME]', 'request.auth.claims[NAME]'].join(', ')}`;
}

export function attributeValueFault(key: string, value: string): string | undefined {
  return Object.hasOwn(attributes, key) ? attributes[key]?.(value) : undefined;
}
