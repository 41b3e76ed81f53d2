/** What stands for every sidecar in a list of gateways. */
export const MESH_GATEWAY = 'mesh';

/** "NAMESPACE/NAME" of a Gateway as a VirtualService of `namespace` names it; "mesh" stays. */
export function gatewayName(name: string, namespace: string): string {
  if (name === MESH_GATEWAY) return MESH_GATEWAY;
  const slash = name.indexOf('/');
  if (slash >= 0) return name.startsWith('./') ? `${namespace}${name.slice(1)}` : name;
  // "NAME.NAMESPACE[.svc.cluster.local]", the spelling from before gateways had namespaces.
  const [first, second] = name.split('.');
  return `${second ?? namespace}/${first}`;
}
