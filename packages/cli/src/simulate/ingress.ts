import { field, type Json, type KubernetesDocument, list, type Metadata, namespaceOf, type Resource, text } from '@outrigger/resources';

const CLASS_ANNOTATION = 'kubernetes.io/ingress.class';
/** Of an IngressClass: who serves it. */
const CONTROLLER = 'istio.io/ingress-controller';
const NAME = 'kubernetes-ingress';

/** Which Ingresses are served, and by which workloads. */
export interface IngressSettings {
  readonly className: string;
  /** Those too that say no class. */
  readonly unclassed: boolean;
  /** Label "istio" of the workloads. */
  readonly gateway: string;
}

export const DEFAULT_INGRESS: IngressSettings = { className: 'istio', unclassed: false, gateway: 'ingressgateway' };

/** Kubernetes' Ingresses of a class, as one Gateway and a VirtualService for each host. */
export function ingressResources(
  documents: readonly KubernetesDocument[],
  rootNamespace = 'istio-system',
  { className, unclassed, gateway }: IngressSettings = DEFAULT_INGRESS,
): readonly Resource[] {
  const classes = documents.filter(({ kind, value }) => kind === 'IngressClass' && text(field(value, 'spec', 'controller')) === CONTROLLER);
  const served = new Set([className, ...classes.map(({ name }) => name), ...(unclassed ? [''] : [])]);
  const all = documents.filter((document) => document.kind === 'Ingress' && served.has(classOf(document))).sort((a, b) => compare(createdAt(a), createdAt(b)));
  if (all.length === 0) return [];
  const byHost = new Map<string, HttpPath[]>();
  for (const document of all) {
    for (const [index, rule] of list(field(document.value, 'spec', 'rules')).entries()) {
      const host = text(field(rule, 'host')) || '*';
      byHost.set(host, [...(byHost.get(host) ?? []), ...pathsOf(documents, document, rule, index)]);
    }
  }
  return [gatewayOf(all, rootNamespace, { istio: gateway }), ...[...byHost].map(([host, paths]) => virtualServiceOf(host, paths, rootNamespace))];
}

function classOf({ value }: KubernetesDocument): string {
  return text(field(value, 'metadata', 'annotations', CLASS_ANNOTATION)) || text(field(value, 'spec', 'ingressClassName'));
}

/** Of two Ingresses with TLS for one host the older one's certificate is shown. */
function gatewayOf(all: readonly KubernetesDocument[], namespace: string, selector: object): Resource {
  const taken = new Set<string>();
  const secured = all.flatMap((document) =>
    list(field(document.value, 'spec', 'tls')).flatMap((tls, index) => {
      const hosts = list(field(tls, 'hosts')).map(text);
      const own = (hosts.length === 0 ? ['*'] : hosts).filter((host) => !taken.has(host));
      for (const host of own) taken.add(host);
      if (own.length === 0) return [];
      const port = { number: 443, protocol: 'HTTPS', name: `https-${namespaceOf(document)}-${document.name}-${index}` };
      return [{ port, hosts: own.map((host) => `*/${host}`), tls: { mode: 'SIMPLE', credentialName: text(field(tls, 'secretName')) } }];
    }),
  );
  const servers = [{ port: { number: 80, protocol: 'HTTP', name: 'http' }, hosts: ['*/*'] }, ...secured];
  return { apiVersion: 'networking.istio.io/v1', kind: 'Gateway', metadata: metadata(NAME, namespace, ''), spec: { selector, servers } };
}

interface HttpPath {
  readonly document: KubernetesDocument;
  /** Of the rule in the document. */
  readonly field: string;
  readonly path: string;
  readonly exact: boolean;
  readonly rule: object;
}

function pathsOf(documents: readonly KubernetesDocument[], document: KubernetesDocument, rule: Json, index: number): readonly HttpPath[] {
  const namespace = namespaceOf(document);
  return list(field(rule, 'http', 'paths')).map((written) => {
    const path = text(field(written, 'path')) || '/';
    const type = text(field(written, 'pathType'));
    const service = field(written, 'backend', 'service');
    const name = text(field(service, 'name'));
    const number = portOf(documents, namespace, name, field(service, 'port'));
    const destination = { host: `${name}.${namespace}.svc.cluster.local`, ...(number === undefined ? {} : { port: { number } }) };
    const match = matchesOf(path, type);
    return {
      document,
      field: `spec.rules[${index}]`,
      path,
      exact: match.every(({ uri }) => 'exact' in uri),
      rule: { match, route: [{ destination, weight: 100 }] },
    };
  });
}

/** A backend's port is a number or the name of a port of the Service. */
function portOf(documents: readonly KubernetesDocument[], namespace: string, service: string, port: Json | undefined): number | undefined {
  const number = field(port, 'number');
  if (typeof number === 'number') return number;
  const name = text(field(port, 'name'));
  const document = documents.find((one) => one.kind === 'Service' && one.name === service && namespaceOf(one) === namespace);
  const found = field(
    list(field(document?.value, 'spec', 'ports')).find((one) => text(field(one, 'name')) === name),
    'port',
  );
  return typeof found === 'number' ? found : undefined;
}

/** An exact path goes before a prefix, a longer one before a shorter, whichever Ingress it is of. */
function virtualServiceOf(host: string, paths: readonly HttpPath[], rootNamespace: string): Resource {
  const ordered = [...paths].sort((a, b) => Number(b.exact) - Number(a.exact) || b.path.length - a.path.length);
  const first = paths[0]?.document;
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    metadata: metadata(
      `${NAME}-${host.replace('*', 'any')}`,
      first === undefined ? rootNamespace : namespaceOf(first),
      first === undefined ? '' : createdAt(first),
    ),
    spec: { hosts: [host], gateways: [`${rootNamespace}/${NAME}`], http: ordered.map(({ rule }) => rule) },
    ...(first === undefined
      ? {}
      : {
          origin: first.origin,
          lineOf: (path: string) => {
            const written = ordered[Number(/^spec\.http\[(\d+)\]/.exec(path)?.[1] ?? -1)];
            return written?.document === first ? first.lineOf(written.field) : first.origin.line;
          },
        }),
  };
}

/** A prefix ends where a segment does; what is left to the implementation is exact but for a "*" at its end. */
function matchesOf(path: string, type: string): readonly { readonly uri: { readonly exact: string } | { readonly prefix: string } }[] {
  if (type === 'Exact') return [{ uri: { exact: path } }];
  if (type !== 'Prefix') {
    if (path === '/') return [{ uri: { prefix: '/' } }];
    return [{ uri: path.endsWith('*') ? { prefix: path.replace(/\.?\*$/, '') } : { exact: path } }];
  }
  const whole = path.replace(/\/+$/, '');
  return whole === '' ? [{ uri: { prefix: '/' } }] : [{ uri: { exact: whole } }, { uri: { prefix: `${whole}/` } }];
}

function createdAt({ value }: KubernetesDocument): string {
  return text(field(value, 'metadata', 'creationTimestamp'));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function metadata(name: string, namespace: string, creationTimestamp: string): Metadata {
  return { name, namespace, labels: {}, annotations: {}, creationTimestamp, resourceVersion: '', uid: '', generation: 0 };
}
