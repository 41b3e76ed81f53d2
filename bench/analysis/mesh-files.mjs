// Files of a whole mesh, as somebody keeps them: a namespace for each forty services, and of each service what people write beside it.
const SERVICES_PER_NAMESPACE = 40;
/** What each service has in the files: five resources, and a gateway and a namespace for each forty. */
const RESOURCES_PER_SERVICE = 5;

/** `count` resources, within a handful, in files of one namespace each. */
export function meshFiles(count) {
  const services = Math.max(1, Math.round(count / (RESOURCES_PER_SERVICE + 2 / SERVICES_PER_NAMESPACE)));
  const files = [];
  for (let start = 0; start < services; start += SERVICES_PER_NAMESPACE) {
    const namespace = `team-${start / SERVICES_PER_NAMESPACE}`;
    const indexes = Array.from({ length: Math.min(SERVICES_PER_NAMESPACE, services - start) }, (_, index) => start + index);
    files.push({ file: `${namespace}.yaml`, text: [ofNamespace(namespace), ...indexes.map((index) => ofService(index, namespace, services))].join('---\n') });
  }
  return files;
}

/** A file for each resource, or for each service with all that is its own, in one namespace: `count` files. */
export function singleFiles(count, { of }) {
  const namespace = 'team-0';
  const perService = of === 'service' ? 1 : RESOURCES_PER_SERVICE;
  const services = Math.ceil((count - 1) / perService);
  const texts = Array.from({ length: services }, (_, index) => ofService(index, namespace, services)).flatMap((text) =>
    of === 'service' ? [text] : text.split('---\n'),
  );
  return [ofNamespace(namespace), ...texts].slice(0, count).map((text, index) => ({ file: `${index}.yaml`, text }));
}

function ofNamespace(namespace) {
  return `apiVersion: v1
kind: Namespace
metadata: { name: ${namespace}, labels: { istio-injection: enabled } }
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: edge, namespace: ${namespace} }
spec:
  selector: { istio: ingressgateway }
  servers: [{ port: { number: 80, name: http, protocol: HTTP }, hosts: ["*.${namespace}.example.com"] }]
`;
}

function ofService(index, namespace, services) {
  const name = `svc-${index}`;
  const caller = `svc-${(index + 1) % services}`;
  return `apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: ${namespace} }
spec: { selector: { app: ${name} }, ports: [{ name: http, port: 80, targetPort: 8080 }] }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: ${name}, namespace: ${namespace} }
spec:
  template:
    metadata: { labels: { app: ${name}, version: v1 } }
    spec: { serviceAccountName: ${name}, containers: [{ name: app, image: app }] }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: ${name}, namespace: ${namespace} }
spec:
  hosts: [${name}, ${name}.${namespace}.example.com]
  gateways: [mesh, edge]
  http:
  - match: [{ uri: { prefix: /v1 }, headers: { x-beta: { exact: "1" } } }, { uri: { exact: /health } }]
    route: [{ destination: { host: ${name}, port: { number: 80 }, subset: v1 } }]
    timeout: 2s
    retries: { attempts: 2, perTryTimeout: 1s }
  - route: [{ destination: { host: ${name}, port: { number: 80 } } }]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: ${name}, namespace: ${namespace} }
spec:
  host: ${name}
  trafficPolicy: { outlierDetection: { consecutive5xxErrors: 5 } }
  subsets: [{ name: v1, labels: { version: v1 } }]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ${name}, namespace: ${namespace} }
spec:
  selector: { matchLabels: { app: ${name} } }
  rules: [{ from: [{ source: { principals: ["cluster.local/ns/${namespace}/sa/${caller}"] } }], to: [{ operation: { methods: [GET, POST], paths: ["/*"] } }] }]
`;
}
