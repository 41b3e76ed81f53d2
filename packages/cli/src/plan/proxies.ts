import {
  field,
  GATEWAY_API,
  GATEWAY_NAME_LABEL,
  type GatewaySpec,
  isKind,
  type KubernetesDocument,
  namespaceOf,
  podOf,
  stringMap,
  text,
} from '@outrigger/resources';
import { bareNode, type ProxyNode } from '@outrigger/translate';
import { inboundPorts } from '../simulate/inbound.ts';
import type { World } from '../simulate/world.ts';
import type { PlannedProxy } from './input.ts';

const TEMPLATED: ReadonlySet<string> = new Set(['Deployment', 'StatefulSet', 'DaemonSet', 'ReplicaSet', 'Job']);

interface Workload {
  readonly namespace: string;
  readonly workload: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly serviceAccount: string;
  readonly addresses: readonly string[];
}

/**
 * The proxies of a mesh that only files tell of: one for each workload that they name, one for each gateway, and for a namespace that names no
 * workload one that stands for whoever calls from there.
 */
export function proxiesOf(world: World): PlannedProxy[] {
  const workloads = new Map<string, Workload>();
  for (const workload of [...templates(world.others), ...instances(world)]) {
    const key = `${workload.namespace}/${workload.workload}`;
    const known = workloads.get(key);
    workloads.set(key, known === undefined ? workload : { ...known, addresses: [...known.addresses, ...workload.addresses] });
  }
  const nodes = [...workloads.values()].map((workload) => workloadNode(world, workload));
  const taken = new Set(nodes.map(({ namespace }) => namespace));
  for (const namespace of namespacesOf(world)) if (!taken.has(namespace)) nodes.push(callerOf(namespace));
  nodes.push(...gatewayNodes(world));
  return nodes.sort((a, b) => (a.id < b.id ? -1 : 1)).map((node) => ({ node, uses: undefined }));
}

/** Of `rig run`; where it is has no effect on what is compared. */
const HTTP_PROXY = { host: '127.0.0.1', port: 15_001 };

/** Whoever calls from a namespace of which no workload is known. */
function callerOf(namespace: string): ProxyNode {
  return bareNode(namespace, 'any-workload', { httpProxy: HTTP_PROXY });
}

function* templates(documents: readonly KubernetesDocument[]): Generator<Workload> {
  for (const document of documents) {
    const template = TEMPLATED.has(document.kind);
    if (!template && document.kind !== 'Pod') continue;
    // A copy of what is listed itself.
    if (!template && field(document.value, 'metadata', 'ownerReferences') !== undefined) continue;
    const pod = podOf(document);
    const address = template ? '' : text(field(document.value, 'status', 'podIP'));
    yield {
      namespace: namespaceOf(document),
      workload: document.name,
      labels: stringMap(pod, 'metadata', 'labels'),
      serviceAccount: text(field(pod, 'spec', 'serviceAccountName')) || 'default',
      addresses: address === '' ? [] : [address],
    };
  }
}

function* instances({ instances }: World): Generator<Workload> {
  for (const { namespace, workload, labels, serviceAccount, address, meshed } of instances)
    if (meshed) yield { namespace, workload, labels, serviceAccount, addresses: [address] };
}

function workloadNode(world: World, who: Workload): ProxyNode {
  const { namespace, workload, labels, serviceAccount } = who;
  return bareNode(namespace, workload, {
    labels,
    serviceAccount,
    version: labels['version'] ?? '',
    service: labels['app'] ?? labels['app.kubernetes.io/name'] ?? workload,
    httpProxy: HTTP_PROXY,
    inbound: inboundPorts(world, who),
  });
}

/** Istio's Gateways of one selector are one proxy. */
function gatewayNodes(world: World): ProxyNode[] {
  const nodes = new Map<string, ProxyNode>();
  const add = (namespace: string, name: string, labels: Readonly<Record<string, string>>): void => {
    const key = JSON.stringify([namespace, Object.entries(labels).sort()]);
    if (!nodes.has(key)) nodes.set(key, bareNode(namespace, name, { labels, gateway: { address: '0.0.0.0', portMap: {}, portOffset: 0 } }));
  };
  for (const resource of world.resources) {
    const { name, namespace } = resource.metadata;
    if (isKind(resource, 'Gateway')) add(namespace, name, (resource.spec as GatewaySpec).selector ?? {});
    else if (resource.kind === 'Gateway' && resource.apiVersion.startsWith(`${GATEWAY_API}/`)) add(namespace, name, { [GATEWAY_NAME_LABEL]: name });
  }
  return [...nodes.values()];
}

function namespacesOf({ resources, services }: World): ReadonlySet<string> {
  const all = [...resources.map(({ metadata }) => metadata.namespace), ...services.map(({ namespace }) => namespace)];
  return new Set(all.filter((namespace) => namespace !== ''));
}
