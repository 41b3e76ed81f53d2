import { type KubernetesDocument, labelsOf, namespaceOf } from './document.ts';
import { field, isJsonObject, type Json, list, stringMap, text } from './json.ts';
import type { Service } from './mesh.ts';
import { protocolOf } from './protocol.ts';

const EXPORT_TO = 'networking.istio.io/exportTo';

/** A Service of Kubernetes, with what only Kubernetes says of it. */
export interface KubernetesService {
  readonly service: Service;
  /** undefined: its endpoints are written by hand. */
  readonly selector: Readonly<Record<string, string>> | undefined;
  /** A number, or the name of a container's port, by the service's port. */
  readonly targetPorts: ReadonlyMap<number, number | string>;
}

export function kubernetesServices(documents: readonly KubernetesDocument[], clusterDomain = 'cluster.local'): readonly KubernetesService[] {
  const written = documents.filter((document) => document.kind === 'Service' && document.apiVersion === 'v1');
  const all = written.map((document) => serviceOf(document, clusterDomain));
  const byHost = new Map(all.map((one) => [one.service.hostname, one]));
  return all.map((one, index) => aliased(one, written[index]!, byHost));
}

function serviceOf(document: KubernetesDocument, clusterDomain: string): KubernetesService {
  const namespace = namespaceOf(document);
  const spec = field(document.value, 'spec');
  const selector = field(spec, 'selector');
  const targetPorts = new Map<number, number | string>();
  const ports = list(field(spec, 'ports')).flatMap((port) => {
    const number = field(port, 'port');
    if (typeof number !== 'number') return [];
    const name = text(field(port, 'name'));
    const transport = text(field(port, 'protocol'));
    const target = field(port, 'targetPort');
    targetPorts.set(number, typeof target === 'number' || typeof target === 'string' ? target : number);
    return [{ name, port: number, protocol: protocolOf(name, transport === 'TCP' ? '' : transport, text(field(port, 'appProtocol')), number) }];
  });
  const exportTo = text(field(document.value, 'metadata', 'annotations', EXPORT_TO));
  return {
    service: {
      hostname: `${document.name}.${namespace}.svc.${clusterDomain}`,
      name: document.name,
      namespace,
      ports,
      addresses: clusterIps(spec),
      kubernetes: true,
      ...(text(field(spec, 'clusterIP')) === 'None' ? { headless: true } : {}),
      resolution: 'STATIC',
      location: 'MESH_INTERNAL',
      exportTo: exportTo === '' ? [] : exportTo.split(',').map((target) => target.trim()),
      labels: labelsOf(document),
      subjectAltNames: [],
      creationTimestamp: text(field(document.value, 'metadata', 'creationTimestamp')),
    },
    selector: isJsonObject(selector) ? stringMap(selector) : undefined,
    targetPorts,
  };
}

/** An ExternalName of a service of the files has that one's ports. */
function aliased(one: KubernetesService, document: KubernetesDocument, byHost: ReadonlyMap<string, KubernetesService>): KubernetesService {
  if (text(field(document.value, 'spec', 'type')) !== 'ExternalName') return one;
  const aliasOf = text(field(document.value, 'spec', 'externalName'))
    .toLowerCase()
    .replace(/\.$/, '');
  const target = byHost.get(aliasOf);
  const ports = one.service.ports.length > 0 ? one.service.ports : (target?.service.ports ?? []);
  return {
    ...one,
    service: { ...one.service, ports, resolution: target === undefined ? 'DNS' : 'STATIC', addresses: [], ...(aliasOf === '' ? {} : { aliasOf }) },
  };
}

function clusterIps(spec: Json | undefined): readonly string[] {
  const all = [text(field(spec, 'clusterIP')), ...list(field(spec, 'clusterIPs')).map(text)];
  return [...new Set(all.filter((address) => address !== '' && address !== 'None'))];
}
