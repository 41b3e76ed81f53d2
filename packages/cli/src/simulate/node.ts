import { bareNode, type InboundPort, type ProxyNode } from '@outrigger/translate';

const OUTBOUND_PROXY = { host: '127.0.0.1', port: 15_001 };

export interface NodeOptions {
  readonly namespace: string;
  readonly workload: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly inbound?: readonly InboundPort[];
  /** A gateway: the port that is bound by the port that its resources say. */
  readonly gatewayPorts?: Readonly<Record<number, number>>;
}

/** The proxy that is asked. */
export function proxyNode({ namespace, workload, labels, inbound, gatewayPorts }: NodeOptions): ProxyNode {
  return bareNode(namespace, workload, {
    version: labels['version'] ?? '',
    labels,
    httpProxy: gatewayPorts === undefined ? OUTBOUND_PROXY : undefined,
    inbound: inbound ?? [],
    gateway: gatewayPorts === undefined ? undefined : { address: '0.0.0.0', portMap: gatewayPorts, portOffset: 0 },
  });
}
