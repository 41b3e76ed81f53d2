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
    httpProxy: addresses.httpProxy === undefined ? undefined : { host: loopback, port: addresses.httpProxy },
    upstreams: options.upstreams.map(({ service, port, address }) => ({ service, port, address: hostPort(address, '--upstream') })),
    inbound: options.ports.map((port, index) => ({
      // The name of a port is its protocol, as Istio reads it; a second one of the same gets its number.
      name: options.ports.findIndex(({ protocol }) => protocol === port.protocol) === index ? port.protocol : `${port.protocol}-${port.servicePort}`,
      protocol: port.protocol.toUpperCase() as InboundPort['protocol'],
      servicePort: port.servicePort,
      mesh: { host: loopback, port: addresses.mesh[index] ?? 0 },
      application: { host: loopback, port: port.applicationPort },
    })),
    accessLog: addresses.accessLog,
    otlp: options.otlp === '' ? undefined : hostPort(options.otlp, '--otlp'),
    certificates: false,
    gateway: undefined,
  };
}
