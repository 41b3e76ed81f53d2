import { GATEWAY_API, type PolicyTargetReference } from '@outrigger/resources';
import type { Reader } from '../../reader.ts';
import { ourGateways, servesGateway } from './gateways.ts';

/** Whether one of these, of a resource in `namespace`, means the gateway that the node is: a Gateway of that namespace, or, in the root namespace, its class. */
export function targetsNode(reader: Reader, namespace: string, targets: readonly PolicyTargetReference[]): boolean {
  if (reader.node.gateway === undefined) return false;
  const served = ourGateways(reader).filter((gateway) => servesGateway(reader.node, gateway, reader.settings.domainSuffix));
  return targets.some(({ group = '', kind, name }) => {
    if (group !== GATEWAY_API) return false;
    if (kind === 'GatewayClass') return namespace === reader.settings.rootNamespace && served.some(({ spec }) => spec.gatewayClassName === name);
    return kind === 'Gateway' && served.some(({ metadata }) => metadata.name === name && metadata.namespace === namespace);
  });
}
