import { type Instance, kubernetesServices, protocolOf } from '@outrigger/resources';
import { type InboundPort, listener, type ProxyNode, sidecarOf, VIRTUAL_INBOUND } from '@outrigger/translate';
import type { Call } from './call.ts';
import { withoutRefused } from './envoy-filters.ts';
import { selects, targetPort } from './kubernetes-instances.ts';
import { proxyNode } from './node.ts';
import type { Outcome } from './outcome.ts';
import { throughListener } from './simulate.ts';
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
  // Of services that want one port of the workload the oldest has it.
  for (const instance of world.instances.filter(({ address }) => who.addresses.includes(address)).sort(byAge(world)))
    for (const { name, protocol, servicePort, applicationPort } of instance.ports) add(name, protocol, servicePort, applicationPort);
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

function byAge({ services }: World): (a: Instance, b: Instance) => number {
  const keys = new Map(services.map(({ hostname, creationTimestamp, name, namespace }) => [hostname, `${creationTimestamp} ${name}.${namespace}`]));
  const keyOf = (instance: Instance): string => keys.get(instance.services[0] ?? '') ?? '';
  return (a, b) => (keyOf(a) < keyOf(b) ? -1 : keyOf(a) > keyOf(b) ? 1 : 0);
}

/** What the proxy beside a workload does with a connection to it, which the kernel turns round into it. */
export function toWorkload(files: World, node: ProxyNode, call: Call): Outcome {
  return withoutRefused(files, (world) => throughListener(world, node, listener(world.mesh, node, VIRTUAL_INBOUND), call));
}

/** As the files say, else as `rig run` labels what it starts. */
export function labelsOf(world: World, namespace: string, workload: string): Readonly<Record<string, string>> {
  return workloadLabels(world.others, namespace, workload) ?? { app: workload };
}
