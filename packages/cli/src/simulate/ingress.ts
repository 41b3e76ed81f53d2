import { field, type Json, type KubernetesDocument, list, type Metadata, namespaceOf, type Resource, text } from '@outrigger/resources';

const DEFAULT_CLASS = 'istio';
const CLASS_ANNOTATION = 'kubernetes.io/ingress.class';
const NAME = 'kubernetes-ingress';
/** Labels of the workload that serves Ingresses. */
const SELECTOR = { istio: 'ingressgateway' };

/** Kubernetes' Ingresses of a class, as one Gateway and a VirtualService for each of their rules. */
export function ingressResources(documents: readonly KubernetesDocument[], rootNamespace = 'istio-system', ingressClass = DEFAULT_CLASS): readonly Resource[] {
  const all = documents.filter((document) => document.kind === 'Ingress' && classOf(document) === ingressClass);
  if (all.length === 0) return [];
  return [
    gatewayOf(all, rootNamespace),
    ...all.flatMap((document) => list(field(document.value, 'spec', 'rules')).map((rule, index) => virtualServiceOf(document, rule, index, rootNamespace))),
  ];
}

function classOf({ value }: KubernetesDocument): string {
  return text(field(value, 'spec', 'ingressClassName')) || text(field(value, 'metadata', 'annotations', CLASS_ANNOTATION));
}

/** Of two Ingresses with TLS for one host the older one's certificate is shown. */
function gatewayOf(all: readonly KubernetesDocument[], namespace: string): Resource {
  const taken = new Set<string>();
  const byAge = [...all].sort((a, b) => (createdAt(a) < createdAt(b) ? -1 : 1));
  const secured = byAge.flatMap((document) =>
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
  return { apiVersion: 'networking.istio.io/v1', kind: 'Gateway', metadata: metadata(NAME, namespace, ''), spec: { selector: SELECTOR, servers } };
}

function virtualServiceOf(document: KubernetesDocument, rule: Json, index: number, rootNamespace: string): Resource {
  const namespace = namespaceOf(document);
  const http = list(field(rule, 'http', 'paths'))
    .map((path) => ({ path: text(field(path, 'path')) || '/', type: text(field(path, 'pathType')), service: field(path, 'backend', 'service') }))
    // An exact path goes before a prefix, a longer one before a shorter.
    .sort((a, b) => Number(b.type === 'Exact') - Number(a.type === 'Exact') || b.path.length - a.path.length)
    .map(({ path, type, service }) => {
      const number = field(service, 'port', 'number');
      const host = `${text(field(service, 'name'))}.${namespace}.svc.cluster.local`;
      return {
        match: matchesOf(path, type),
        route: [{ destination: { host, ...(typeof number === 'number' ? { port: { number } } : {}) }, weight: 100 }],
      };
    });
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    metadata: metadata(`${NAME}-${document.name}-${index}`, namespace, createdAt(document)),
    spec: { hosts: [text(field(rule, 'host')) || '*'], gateways: [`${rootNamespace}/${NAME}`], http },
    origin: document.origin,
    lineOf: () => document.lineOf(`spec.rules[${index}]`),
  };
}

/** A prefix ends where a segment does. */
function matchesOf(path: string, type: string) {
  if (type === 'Exact') return [{ uri: { exact: path } }];
  const whole = path.replace(/\/+$/, '');
  return whole === '' ? [{ uri: { prefix: '/' } }] : [{ uri: { exact: whole } }, { uri: { prefix: `${whole}/` } }];
}

function createdAt({ value }: KubernetesDocument): string {
  return text(field(value, 'metadata', 'creationTimestamp'));
}

function metadata(name: string, namespace: string, creationTimestamp: string): Metadata {
  return { name, namespace, labels: {}, annotations: {}, creationTimestamp, resourceVersion: '', uid: '', generation: 0 };
}
