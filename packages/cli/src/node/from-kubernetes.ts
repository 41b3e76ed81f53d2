import {
  field,
  type Json,
  type KubernetesDocument,
  type KubernetesService,
  kubernetesServices,
  list,
  matchesLabels,
  namespaceOf,
  podOf,
  stringMap,
  text,
} from '@outrigger/resources';

/** Application ports on one machine are each of one workload: from here on, where two want the same. */
const FIRST_OWN_PORT = 19_080;
const WORKLOAD_KINDS = ['Deployment', 'StatefulSet', 'DaemonSet', 'Pod'];

export interface FromKubernetes {
  /** A file for `rig node`, with comments where somebody has to choose. */
  readonly workloads: string;
  /** How many are in it. */
  readonly count: number;
  /** ServiceEntries for Services that select workloads which are another service by their name; '' : there are none. */
  readonly services: string;
}

/** What Deployments and Services say, as a list of workloads. */
export function fromKubernetes(documents: readonly KubernetesDocument[]): FromKubernetes {
  const services = kubernetesServices(documents);
  const made = documents.filter(({ kind }) => WORKLOAD_KINDS.includes(kind)).map((document) => workloadOf(document, services));
  const taken = new Set<number>();
  const own = (wanted: number): number => {
    let port = wanted;
    if (taken.has(port)) for (port = FIRST_OWN_PORT; taken.has(port); port++);
    taken.add(port);
    return port;
  };
  const used = new Set(made.map(({ service }) => service?.service.hostname));
  const others = services.filter(({ service, selector }) => selector !== undefined && service.aliasOf === undefined && !used.has(service.hostname));
  return { workloads: made.map((workload) => entryText(workload, own)).join('\n'), count: made.length, services: others.map(serviceEntryText).join('---\n') };
}

interface Made {
  readonly document: KubernetesDocument;
  readonly labels: Readonly<Record<string, string>>;
  /** The pod's. */
  readonly spec: Json | undefined;
  /** The one by whose name it is called. */
  readonly service: KubernetesService | undefined;
}

function workloadOf(document: KubernetesDocument, services: readonly KubernetesService[]): Made {
  const pod = podOf(document);
  const labels = stringMap(pod, 'metadata', 'labels');
  const spec = field(pod, 'spec');
  const selecting = services.filter(
    ({ service, selector }) =>
      service.namespace === namespaceOf(document) && selector !== undefined && Object.keys(selector).length > 0 && matchesLabels(selector, labels),
  );
  // The one that asks for the least is the service; those of single versions ask for more.
  const [service] = selecting.toSorted((left, right) => Object.keys(left.selector!).length - Object.keys(right.selector!).length);
  return { document, labels, spec, service };
}

function entryText({ document, labels, spec, service }: Made, own: (port: number) => number): string {
  const containers = list(field(spec, 'containers'));
  const container = containers.find((one) => text(field(one, 'name')) !== 'istio-proxy') ?? containers[0];
  const name = service?.service.name ?? labels['app'] ?? document.name;
  const version = labels['version'] ?? '';
  const lines = [`- name: ${scalar(name)}`];
  const add = (key: string, value: string, comment = ''): void => void lines.push(`  ${key}: ${value}${comment === '' ? '' : ` # ${comment}`}`);
  if (namespaceOf(document) !== 'default') add('namespace', scalar(namespaceOf(document)));
  if (version !== '') add('version', scalar(version));
  const account = text(field(spec, 'serviceAccountName'));
  if (account !== '' && account !== name) add('serviceAccount', scalar(account));
  const more = Object.entries(labels).filter(([key, value]) => key !== 'version' && !(key === 'app' && value === name));
  if (more.length > 0) add('labels', mapping(more));
  const moved: string[] = [];
  const ports = portsOf(service, container).map(({ protocol, servicePort, applicationPort }) => {
    const port = own(applicationPort);
    if (port !== applicationPort) moved.push(`${applicationPort} in its container; here each has a port of its own, which it must be told`);
    return [...(protocol === 'http' ? [] : [protocol]), servicePort, port].join(':');
  });
  if (ports.length > 0) add('port', ports.length === 1 ? ports[0]! : `[${ports.join(', ')}]`, moved[0] ?? '');
  const path = text(field(container, 'readinessProbe', 'httpGet', 'path')) || text(field(container, 'livenessProbe', 'httpGet', 'path'));
  if (path !== '') add('healthPath', scalar(path));
  const command = [...list(field(container, 'command')), ...list(field(container, 'args'))].map(text);
  const image = text(field(container, 'image'));
  if (command.length > 0) add('command', `[${command.map(scalar).join(', ')}]`, image === '' ? '' : `in the image ${image}`);
  else lines.push(`  # command: [...] what the image ${image} starts; without it the application is started by somebody else`);
  const env = list(field(container, 'env'));
  const plain = env
    .filter((one) => field(one, 'valueFrom') === undefined)
    .map((one): [string, string] => [text(field(one, 'name')), text(field(one, 'value'))]);
  if (plain.length > 0) add('env', mapping(plain));
  const referred = env.filter((one) => field(one, 'valueFrom') !== undefined).map((one) => text(field(one, 'name')));
  if (referred.length > 0) lines.push(`  # env of ConfigMaps, Secrets or the pod itself: ${referred.join(', ')}`);
  const replicas = field(document.value, 'spec', 'replicas');
  if (typeof replicas === 'number' && replicas > 1) lines.push(`  # ${replicas} replicas: write this once for each, with a port of its own`);
  if (containers.length > 1) lines.push(`  # of ${containers.length} containers this is ${text(field(container, 'name'))}`);
  return `${lines.join('\n')}\n`;
}

interface Port {
  readonly protocol: 'http' | 'http2' | 'grpc' | 'tcp';
  readonly servicePort: number;
  readonly applicationPort: number;
}

const protocols: Readonly<Record<string, Port['protocol']>> = { HTTP: 'http', HTTP2: 'http2', GRPC: 'grpc', 'GRPC-WEB': 'grpc', UNSUPPORTED: 'http' };

/** None without a Service: a workload that only calls. */
function portsOf(service: KubernetesService | undefined, container: Json | undefined): Port[] {
  return (service?.service.ports ?? []).flatMap(({ port, protocol }) => {
    if (protocol === 'UDP') return [];
    const target = service!.targetPorts.get(port) ?? port;
    const named = list(field(container, 'ports')).find((one) => text(field(one, 'name')) === target);
    const applicationPort = typeof target === 'number' ? target : field(named, 'containerPort');
    return [{ protocol: protocols[protocol] ?? 'tcp', servicePort: port, applicationPort: typeof applicationPort === 'number' ? applicationPort : port }];
  });
}

function serviceEntryText({ service, selector, targetPorts }: KubernetesService): string {
  const ports = service.ports.map(({ name, port, protocol }) => {
    const target = targetPorts.get(port);
    const own = typeof target === 'number' && target !== port ? `, targetPort: ${target}` : '';
    return `    - { number: ${port}, name: ${scalar(name || `port-${port}`)}, protocol: ${protocol === 'UNSUPPORTED' ? 'HTTP' : protocol}${own} }\n`;
  });
  return `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ${scalar(service.name)}, namespace: ${scalar(service.namespace)} }
spec:
  hosts: [${scalar(service.hostname)}]
  location: MESH_INTERNAL
  resolution: STATIC
  ports:
${ports.join('')}  workloadSelector:
    labels: ${mapping(Object.entries(selector!))}
`;
}

function mapping(entries: readonly (readonly [string, string])[]): string {
  return `{ ${entries.map(([key, value]) => `${scalar(key)}: ${scalar(value)}`).join(', ')} }`;
}

/** Plain where nothing else could be read of it. */
function scalar(value: string): string {
  return /^[A-Za-z/][A-Za-z0-9_./-]*$/.test(value) && !/^(true|false|null|yes|no|on|off|y|n)$/i.test(value) ? value : JSON.stringify(value);
}
