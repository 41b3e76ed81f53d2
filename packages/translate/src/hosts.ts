import type { Service } from '@outrigger/resources';

/** Full names that an application in `namespace` may mean by `host`: "a", "a.ns", "a.ns.svc", or the name as it is. */
export function meantHosts(host: string, namespace: string, domainSuffix: string): readonly string[] {
  const name = host.toLowerCase().replace(/\.$/, '');
  const labels = name.split('.');
  if (labels.length === 1) return [`${name}.${namespace}.svc.${domainSuffix}`, name];
  if (labels.length === 2) return [name, `${name}.svc.${domainSuffix}`];
  if (labels.length === 3 && labels[2] === 'svc') return [name, `${name}.${domainSuffix}`];
  return [name];
}

/** The host itself, then the wildcards that cover it, most specific first: a.b.c, *.b.c, *.c, *. */
export function coveringHosts(host: string): readonly string[] {
  const found = [host];
  let rest = host.startsWith('*.') ? host.slice(2) : host;
  for (let dot = rest.indexOf('.'); dot >= 0; dot = rest.indexOf('.')) {
    rest = rest.slice(dot + 1);
    if (found[found.length - 1] !== `*.${rest}`) found.push(`*.${rest}`);
  }
  if (host !== '*') found.push('*');
  return found;
}

/** Names by which a workload of `namespace` may call the service; without ports. */
export function callNames(service: Pick<Service, 'hostname' | 'addresses'>, namespace: string, domainSuffix: string): readonly string[] {
  const { hostname } = service;
  const names = [hostname];
  const suffix = `.svc.${domainSuffix}`;
  if (hostname.endsWith(suffix) && !hostname.startsWith('*')) {
    const stem = hostname.slice(0, -suffix.length);
    const [name, ns, more] = stem.split('.');
    if (ns !== undefined && more === undefined) {
      names.unshift(`${name}.${ns}`, `${name}.${ns}.svc`);
      if (ns === namespace) names.unshift(name!);
    }
  }
  for (const address of service.addresses) if (!address.includes('/') && address !== '0.0.0.0') names.push(address.includes(':') ? `[${address}]` : address);
  return names;
}

/** "host", "host:80", "[::1]:80". `port` is undefined where none is named; undefined where it is no authority. */
export function parseAuthority(authority: string): { readonly host: string; readonly port: number | undefined } | undefined {
  const match = /^(\[[0-9a-fA-F:.]+\]|[^:/?#@\s]+)(?::(\d{1,5}))?$/.exec(authority);
  if (match === null) return undefined;
  const port = match[2] === undefined ? undefined : Number(match[2]);
  if (port !== undefined && (port < 1 || port > 65_535)) return undefined;
  return { host: match[1]!.toLowerCase(), port };
}
