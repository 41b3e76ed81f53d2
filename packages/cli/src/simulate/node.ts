import type { InboundPort, ProxyNode } from '@outrigger/translate';

const OUTBOUND_PROXY = { host: '127.0.0.1', port: 15_001 };

export interface NodeOptions {
  readonly namespace: string;
  readonly workload: string;
  readonly serviceAccount?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly inbound?: readonly InboundPort[];
  /** A gateway: the port that is bound by the port that its resources say. */
  readonly gatewayPorts?: Readonly<Record<number, number>>;
}

/** The proxy that is asked. */
export function proxyNode({ namespace, workload, serviceAccount, labels, inbound, gatewayPorts }: NodeOptions): ProxyNode {
  return {
    id: `${workload}.${namespace}`,
    dataPlane: 'outrigger',
    namespace,
    serviceAccount: serviceAccount ?? workload,
    workload,
    service: workload,
    version: labels['version'] ?? '',
    labels,
    instance: workload,
    locality: '',
    onDemand: true,
    httpProxy: gatewayPorts === undefined ? OUTBOUND_PROXY : undefined,
    upstreams: [],
    inbound: inbound ?? [],
    accessLog: undefined,
    otlp: undefined,
    certificates: false,
    gateway: gatewayPorts === undefined ? undefined : { address: '0.0.0.0', portMap: gatewayPorts, portOffset: 0 },
  };
}
