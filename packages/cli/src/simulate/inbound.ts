import { kubernetesServices, protocolOf } from '@outrigger/resources';
import { type InboundPort, type ProxyNode, sidecarOf } from '@outrigger/translate';
import type { Call } from './call.ts';
import { selects, targetPort } from './kubernetes-instances.ts';
import { proxyNode } from './node.ts';
import type { Outcome } from './outcome.ts';
import { atWorkload } from './simulate.ts';
import { type World, workloadLabels } from './world.ts';

const ANYWHERE = '0.0.0.0';
const LOOPBACK = '127.0.0.1';

/** Who a workload is to its services: its labels, and its addresses where they are known. */
export interface WorkloadIdentity {
  readonly namespace: string;
  readonly workload: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly addresses: readonly string[];
}

/** A port of a workload, as its sidecar takes connections for it. */
export interface WorkloadPort extends InboundPort {
  /** Where the application listens; '' : at the address that was dialled. */
  readonly endpoint: string;
}

/** The ports of a workload: those of its Sidecar's ingress where it has one, else those that services send to. */
export function inboundPorts(world: World, who: WorkloadIdentity): readonly WorkloadPort[] {
  const ports = new Map<number, WorkloadPort>();
  const add = (name: string, protocol: InboundPort['protocol'], servicePort: number, own: number, endpoint = ''): void => {
    if (!ports.has(own))
      ports.set(own, { name, protocol, servicePort, mesh: { host: ANYWHERE, port: own }, application: { host: LOOPBACK, port: own }, endpoint });
  };
  const ingress = sidecarOf(world.mesh, proxyNode(who))?.spec.ingress ?? [];
  for (const { port, defaultEndpoint } of ingress) {
    const { name = '', number = 0, protocol } = port;
    add(name, protocolOf(name, protocol, '', number), number, number, defaultEndpoint ?? '');
  }
  if (ingress.length > 0) return [...ports.values()];
  for (const instance of world.instances) {
    if (!who.addresses.includes(instance.address)) continue;
    for (const { name, protocol, servicePort, applicationPort } of instance.ports) add(name, protocol, servicePort, applicationPort);
  }
  if (who.addresses.length > 0) return [...ports.values()];
  const pod = world.others.find(({ kind, name }) => kind === 'Pod' && name === who.workload);
  for (const one of kubernetesServices(world.others)) {
    if (one.service.namespace !== who.namespace || !selects(one.selector, who.labels)) continue;
    for (const { name, port, protocol } of one.service.ports) {
      const own = targetPort(one, port, pod);
      if (own !== undefined) add(name, protocol, port, own);
    }
  }
  return [...ports.values()];
}

/** A port that nobody knows is let through to the application, under the same mutual TLS. */
export function unknownPort(port: number): InboundPort {
  return { name: '', protocol: 'UNSUPPORTED', servicePort: port, mesh: { host: ANYWHERE, port }, application: { host: LOOPBACK, port } };
}

export function toWorkload(world: World, node: ProxyNode, call: Call): { readonly outcome: Outcome; readonly known: boolean } {
  const known = node.inbound.some(({ application }) => application.port === call.port);
  const asked = known ? node : { ...node, inbound: [...node.inbound, unknownPort(call.port)] };
  return { outcome: atWorkload(world, asked, call), known };
}

/** As the files say, else as `rig run` labels what it starts. */
export function labelsOf(world: World, namespace: string, workload: string): Readonly<Record<string, string>> {
  return workloadLabels(world.others, namespace, workload) ?? { app: workload };
}
