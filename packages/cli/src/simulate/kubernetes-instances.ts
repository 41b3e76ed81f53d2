import {
  field,
  type Instance,
  type Json,
  type KubernetesDocument,
  type KubernetesService,
  labelsOf,
  list,
  matchesLabels,
  namespaceOf,
  text,
} from '@outrigger/resources';

const SLICE_OF = 'kubernetes.io/service-name';

/** The endpoints of Kubernetes' services: of their EndpointSlices where there are some, else the pods that they select. */
export function kubernetesInstances(services: readonly KubernetesService[], documents: readonly KubernetesDocument[]): readonly Instance[] {
  const pods = documents.filter(({ kind }) => kind === 'Pod');
  return services.flatMap((one) => {
    const { service } = one;
    const slices = documents.filter(
      (document) =>
        document.kind === 'EndpointSlice' &&
        namespaceOf(document) === service.namespace &&
        text(field(document.value, 'metadata', 'labels', SLICE_OF)) === service.name,
    );
    if (slices.length > 0) return slices.flatMap((slice) => ofSlice(one, slice, pods));
    const selected = pods.filter((pod) => namespaceOf(pod) === service.namespace && selects(one.selector, labelsOf(pod)));
    return selected.flatMap((pod) => ofPod(one, pod));
  });
}

export function selects(selector: Readonly<Record<string, string>> | undefined, labels: Readonly<Record<string, string>>): boolean {
  return selector !== undefined && Object.keys(selector).length > 0 && matchesLabels(selector, labels);
}

function ofSlice(one: KubernetesService, slice: KubernetesDocument, pods: readonly KubernetesDocument[]): Instance[] {
  const ports = new Map(list(field(slice.value, 'ports')).map((port) => [text(field(port, 'name')), field(port, 'port')]));
  return list(field(slice.value, 'endpoints')).flatMap((endpoint) =>
    list(field(endpoint, 'addresses')).map((address) => {
      const pod = pods.find((candidate) => text(field(candidate.value, 'status', 'podIP')) === address);
      return instance(one, text(address), pod, (port, name) => {
        const number = ports.get(name);
        return typeof number === 'number' ? number : ports.has(name) ? port : undefined;
      });
    }),
  );
}

function ofPod(one: KubernetesService, pod: KubernetesDocument): Instance[] {
  const address = text(field(pod.value, 'status', 'podIP'));
  return address === '' ? [] : [instance(one, address, pod, (port) => targetPort(one, port, pod))];
}

/** The workload's own port for a service's; undefined: it has none of that name. */
export function targetPort(one: KubernetesService, port: number, pod: KubernetesDocument | undefined): number | undefined {
  const target = one.targetPorts.get(port) ?? port;
  if (typeof target === 'number') return target;
  const containers = list(field(pod?.value, 'spec', 'containers'));
  const named = containers.flatMap((container) => list(field(container, 'ports'))).find((entry) => text(field(entry, 'name')) === target);
  const number: Json | undefined = field(named, 'containerPort');
  return typeof number === 'number' ? number : undefined;
}

function instance(
  { service }: KubernetesService,
  address: string,
  pod: KubernetesDocument | undefined,
  portOf: (port: number, name: string) => number | undefined,
): Instance {
  return {
    id: `${service.namespace}/${service.name}/${address}`,
    namespace: service.namespace,
    workload: pod?.name ?? service.name,
    labels: pod === undefined ? {} : labelsOf(pod),
    serviceAccount: text(field(pod?.value, 'spec', 'serviceAccountName')) || 'default',
    trustDomain: 'cluster.local',
    address,
    locality: '',
    weight: 0,
    network: '',
    meshed: true,
    health: 'HEALTHY',
    ports: service.ports.flatMap(({ name, port, protocol }) => {
      const own = portOf(port, name);
      return own === undefined ? [] : [{ name, servicePort: port, protocol, meshPort: own, applicationPort: own }];
    }),
    services: [service.hostname],
  };
}
