import type { InboundPort, ProxyNode } from '@outrigger/translate';
import { hostPort } from './control-plane.ts';
import type { WorkloadOptions } from './options.ts';

const loopback = '127.0.0.1';

export interface NodeAddresses {
  /** Port of the forward proxy; undefined: none. */
  readonly httpProxy: number | undefined;
  /** Where the sidecar listens for the mesh, one for each of the workload's ports. */
  readonly mesh: readonly number[];
  readonly accessLog: string | undefined;
}

/** What a workload's proxy says of itself to the control plane. */
export function nodeOf(options: WorkloadOptions, addresses: NodeAddresses): ProxyNode {
  const { gateway } = options;
  return {
    id: `${options.instance}.${options.namespace}`,
    dataPlane: options.dataPlane,
    namespace: options.namespace,
    serviceAccount: options.serviceAccount,
    workload: options.version === '' ? options.name : `${options.name}-${options.version}`,
    service: options.name,
    version: options.version,
    labels: options.labels,
    instance: options.instance,
    locality: options.locality,
    onDemand: options.dataPlane === 'outrigger',
    httpProxy: addresses.httpProxy === undefined || gateway !== undefined ? undefined : { host: loopback, port: addresses.httpProxy },
    upstreams: options.upstreams.map(({ service, port, address }) => ({ service, port, address: hostPort(address, '--upstream') })),
    // Nothing is behind a gateway: its listeners are those of its resources.
    inbound: (gateway === undefined ? options.ports : []).map((port, index) => ({
      name: portName(options.ports, index),
      protocol: port.protocol.toUpperCase() as InboundPort['protocol'],
      servicePort: port.servicePort,
      mesh: { host: loopback, port: addresses.mesh[index] ?? 0 },
      application: { host: loopback, port: port.applicationPort },
    })),
    accessLog: addresses.accessLog,
    otlp: options.otlp === '' ? undefined : hostPort(options.otlp, '--otlp'),
    certificates: false,
    gateway: gateway === undefined ? undefined : { address: gateway.address, portMap: gateway.portMap, portOffset: gateway.portOffset },
    // Nothing is redirected off Kubernetes.
    capture: undefined,
  };
}

/** The name of a port is its protocol, as Istio reads it; a second one of the same gets its number. */
export function portName(ports: WorkloadOptions['ports'], index: number): string {
  const { protocol, servicePort } = ports[index]!;
  return ports.findIndex((port) => port.protocol === protocol) === index ? protocol : `${protocol}-${servicePort}`;
}
