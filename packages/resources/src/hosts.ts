/** A host as a resource of `namespace` writes it, in full: a name without a dot is a service of that namespace. In lower case, for DNS knows no other. */
export function fullHost(host: string, namespace: string, clusterDomain: string): string {
  const name = host.toLowerCase();
  return name.includes('.') || name.includes('*') ? name : `${name}.${namespace}.svc.${clusterDomain}`;
}

/** Whether `pattern` ("*", "*.b.c", "*c" or a name) covers `host`, which may be a wildcard itself. Both are as they are compared: in lower case. */
export function covers(pattern: string, host: string): boolean {
  return pattern === host || (pattern.startsWith('*') && host.endsWith(pattern.slice(1)));
}

/** Whether one of two hosts covers the other. */
export function hostsOverlap(left: string, right: string): boolean {
  return covers(left, right) || covers(right, left);
}

/** A part of a host that "*" stands for other than "*." ("*foo.com"). */
export function isPartialWildcard(host: string): boolean {
  return host.includes('*') && host.length !== 1 && !host.startsWith('*.');
}
