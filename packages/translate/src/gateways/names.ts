/** What stands for every sidecar in a list of gateways. */
export const MESH = 'mesh';

/** The gateways that a VirtualService of a namespace, or a match in it, names: "mesh", or "NAMESPACE/NAME". None named is "mesh". */
export function gatewayNames(gateways: readonly string[] | undefined, namespace: string): readonly string[] {
  if (gateways === undefined || gateways.length === 0) return [MESH];
  return [...new Set(gateways.map((name) => gatewayName(name, namespace)))];
}

function gatewayName(name: string, namespace: string): string {
  if (name === MESH) return MESH;
  const slash = name.indexOf('/');
  if (slash >= 0) return name.startsWith('./') ? `${namespace}${name.slice(1)}` : name;
  // "NAME.NAMESPACE[.svc.cluster.local]", the spelling from before gateways had namespaces.
  const [first, second] = name.split('.');
  return `${second ?? namespace}/${first}`;
}
