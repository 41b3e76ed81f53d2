import { bareNode, type InboundPort, type ProxyNode } from '@outrigger/translate';

/** Where Istio's sidecars listen. */
const OUTBOUND = { host: '0.0.0.0', port: 15_001 };
const INBOUND = { host: '0.0.0.0', port: 15_006 };

export interface NodeOptions {
  readonly namespace: string;
  readonly workload: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly inbound?: readonly InboundPort[];
  /** The workload's own. */
  readonly addresses?: readonly string[];
  /** A gateway: the port that is bound by the port that its resources say. */
  readonly gatewayPorts?: Readonly<Record<number, number>>;
}

/** The proxy that is asked. */
export function proxyNode({ namespace, workload, labels, inbound, addresses, gatewayPorts }: NodeOptions): ProxyNode {
  return bareNode(namespace, workload, {
    version: labels['version'] ?? '',
    labels,
    capture: gatewayPorts === undefined ? { outbound: OUTBOUND, inbound: INBOUND, addresses: addresses ?? [] } : undefined,
    inbound: inbound ?? [],
    gateway: gatewayPorts === undefined ? undefined : { address: '0.0.0.0', portMap: gatewayPorts, portOffset: 0 },
  });
}
