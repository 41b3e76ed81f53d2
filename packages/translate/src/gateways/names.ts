import { gatewayName, MESH_GATEWAY } from '@outrigger/resources';

/** The gateways that a VirtualService of a namespace, or a match in it, names: "mesh", or "NAMESPACE/NAME". None named is "mesh". */
export function gatewayNames(gateways: readonly string[] | undefined, namespace: string): readonly string[] {
  if (gateways === undefined || gateways.length === 0) return [MESH_GATEWAY];
  return [...new Set(gateways.map((name) => gatewayName(name, namespace)))];
}
