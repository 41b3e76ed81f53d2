import { clusterPage, type Page, page } from './page.ts';

const virtualService = (http: string): string => `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: orders }
spec: { hosts: [orders], http: [{ ${http} }] }`;
const TO = 'route: [{ destination: { host: orders } }]';
const annotated = (kind: string, annotation: string): string => `
apiVersion: v1
kind: ${kind}
metadata: { name: web, annotations: { ${annotation} } }
spec: { ports: [{ name: http, port: 80 }] }`;
const patch = (applyTo: string, operation: string, more = ''): string => `
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: { name: ours }
spec:
  ${more}configPatches:
  - applyTo: ${applyTo}
    match: { context: SIDECAR_INBOUND }
    patch: { operation: ${operation}, value: { name: ours } }`;
const versioned = (priority: string): string => `
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: { name: ours }
spec:
  ${priority}configPatches:
  - applyTo: HTTP_FILTER
    match: { proxy: { proxyVersion: "1\\\\.28.*" } }
    patch: { operation: INSERT_FIRST, value: { name: ours } }
  - applyTo: HTTP_FILTER
    match: { context: SIDECAR_INBOUND }
    patch: { operation: INSERT_BEFORE, value: { name: ours } }`;
const webhook = (config: string): string => `
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: { name: istio-sidecar-injector-external }
webhooks: [{ name: sidecar-injector.istio.io, clientConfig: { ${config} } }]`;
const NETWORKS = (registry: string): string => `networks:
  west:
    endpoints: [{ fromRegistry: ${registry} }]
    gateways: [{ address: 192.0.2.1, port: 15443 }]`;
const SERVICE = `
apiVersion: v1
kind: Service
metadata: { name: web }
spec: { selector: { app: web }, ports: [{ name: http, port: 80 }] }`;
const injectors = (second: string): string => `
apiVersion: v1
kind: Service
metadata: { name: istiod, namespace: istio-system }
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: { name: a }
webhooks:
- name: sidecar-injector.istio.io
  clientConfig: { service: { name: istiod, namespace: istio-system } }
  namespaceSelector: { matchLabels: { istio-injection: enabled } }
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: { name: b }
webhooks:
- name: sidecar-injector.istio.io
  clientConfig: { service: { name: istiod, namespace: istio-system } }
  namespaceSelector: { matchLabels: { ${second} } }`;

const operator = (meshConfig: string): string => `
apiVersion: install.istio.io/v1alpha1
kind: IstioOperator
metadata: { name: mesh }
spec:
  meshConfig:
    ${meshConfig}`;

export const configuration: Readonly<Record<string, Page>> = {
  IST0002: page(
    'A field, a provider or a kind is deprecated or gone: proxies may not heed it, and a later release refuses it.',
    'Write what has taken its place, which the message names; `--fix` does it where that is mechanical.',
    virtualService(`fault: { delay: { fixedDelay: 1s, percent: 50 } }, ${TO}`),
    virtualService(`fault: { delay: { fixedDelay: 1s, percentage: { value: 50 } } }, ${TO}`),
  ),
  IST0106: page(
    'A resource is not as its schema or the rules of its kind want it: an API server or the admission webhook would refuse it, in these very words.',
    'Correct the field that the message names; `--fix` does it where a name or value is one letter or two off.',
    virtualService('rout: [{ destination: { host: orders } }]'),
    virtualService(TO),
  ),
  IST0107: page(
    'An annotation of Istio, or of ours, stands on a kind where it does nothing.',
    'Move it to a kind that the message names.',
    annotated('Service', 'sidecar.istio.io/proxyCPU: 100m'),
    annotated('Service', 'networking.istio.io/exportTo: "."'),
  ),
  IST0108: page(
    'There is no such annotation of Istio, or of ours (`outrigger.dev/`): nothing reads it.',
    'Correct its name, or remove it.',
    annotated('Service', 'networking.istio.io/exportsTo: "."'),
    annotated('Service', 'networking.istio.io/exportTo: "."'),
  ),
  IST0125: page(
    'The value of an annotation is none that it may have: it is not heeded, or the pod is not injected.',
    'Write a value such as the message names.',
    annotated('Pod', 'status.sidecar.istio.io/port: http'),
    annotated('Pod', 'status.sidecar.istio.io/port: "15021"'),
  ),
  IST0126: page(
    'A network of the mesh takes its endpoints from a registry that there is none of: neither a built-in one nor that of a remote cluster, by its secret.',
    'Write the name of the cluster as its secret has it, or `Kubernetes`.',
    SERVICE,
    SERVICE,
    { meshNetworks: NETWORKS('west-1'), rightMeshNetworks: NETWORKS('Kubernetes') },
  ),
  IST0135: page(
    'An annotation is deprecated.',
    'Write what has taken its place: for `sidecar.istio.io/inject` the label of the same name.',
    annotated('Pod', 'sidecar.istio.io/inject: "true"'),
    `
apiVersion: v1
kind: Pod
metadata: { name: web, labels: { sidecar.istio.io/inject: "true" } }`,
  ),
  IST0136: page(
    'An annotation is of a feature that is not settled. Told with `--all-codes` alone: most meshes have some on purpose.',
    'Know that it may change with a release.',
    annotated('Service', 'networking.istio.io/exportTo: "."'),
    SERVICE,
    { allCodes: true },
  ),
  IST0139: page(
    'Two webhooks of injectors take one pod, which then is injected twice, or a webhook calls a control plane whose Service is not there.',
    'Let their selectors tell namespaces apart; remove those of a control plane that is gone.',
    injectors('istio-injection: enabled'),
    injectors('istio.io/rev: canary, istio-injection: none'),
  ),
  IST0151: page(
    'A patch is placed by another filter, and the EnvoyFilter has no priority: whether it applies depends on which is applied first.',
    'Write a `priority`, or use INSERT_FIRST or ADD.',
    patch('HTTP_FILTER', 'INSERT_BEFORE'),
    patch('HTTP_FILTER', 'INSERT_BEFORE', 'priority: 10\n  '),
  ),
  IST0152: page('REPLACE is for filters alone: elsewhere nothing is replaced.', 'Use MERGE.', patch('CLUSTER', 'REPLACE'), patch('CLUSTER', 'MERGE')),
  IST0153: page(
    'ADD at a route configuration or a route is ignored.',
    'Use MERGE, or add a virtual host.',
    patch('HTTP_ROUTE', 'ADD'),
    patch('HTTP_ROUTE', 'MERGE'),
  ),
  IST0154: page(
    'REMOVE at a route configuration or a route is ignored.',
    'Use MERGE, or remove the virtual host.',
    patch('HTTP_ROUTE', 'REMOVE'),
    patch('HTTP_ROUTE', 'MERGE'),
  ),
  IST0155: page(
    'As IST0151, after a patch of the same filter for some versions of the proxy alone: during an upgrade it may apply to half of them.',
    'Write a `priority`.',
    versioned(''),
    versioned('priority: 10\n  '),
  ),
  IST0163: page(
    'The URL by which webhooks reach a control plane in another cluster is missing, is no URL, or has a host that no DNS may know.',
    'Write the URL of the gateway of that control plane.',
    webhook('url: "https://mesh.invalid/inject"'),
    webhook('url: "https://mesh.example.com:15017/inject"'),
  ),
  IST0164: page(
    'Webhooks reach a control plane in another cluster by an IP address, which its certificate has to name, and which changes.',
    'Write a host name.',
    webhook('url: "https://192.0.2.1:15017/inject"'),
    webhook('url: "https://mesh.example.com:15017/inject"'),
  ),
  IST0001: clusterPage('The analysis itself has failed: a mistake in this program, not in what was read.', 'Report it with what was read.'),
  IST0133: clusterPage("Istio's webhook warns of what it takes all the same. What files show of that is told by the other codes.", 'Read the warning.'),
  IST0141: clusterPage('Installing needs permissions in a cluster. Only the cluster knows who has which.', 'Ask for them.'),
  IST0142: clusterPage('Only a cluster says of which version it is.', 'Upgrade Kubernetes.'),
  IST0143: clusterPage(
    'Only within a running pod can be seen on which address a port is listened on. Beside our own sidecars `rig check` looks.',
    'Listen on 0.0.0.0, or on ::.',
  ),
  IST0156: clusterPage('Which definitions of Gateway API are installed a cluster says. Of definitions that stand in the files IST0176 tells.', 'Upgrade them.'),
  IST0168: clusterPage('What a default was before an upgrade only the installation knows.', 'Read the release notes of the version.'),
  IST0169: clusterPage('What an upgrade changes only the installation knows.', 'Read the release notes of the version.'),
  IST0170: clusterPage('Whether a Service is the same in several clusters can only be seen in all of them.', 'Keep them from one source.'),
  IST0172: clusterPage('Which definitions of Gateway API are installed a cluster says.', 'Upgrade them before the next release.'),
  RIG0115: page(
    'A field of MeshConfig does nothing in this mesh. Istio would act on it, so that who moves from there may count on it.',
    'Remove it, or do what [settings of the mesh](../mesh-config.md) says in its place.',
    operator('verifyCertificateAtClient: false'),
    operator('outboundTrafficPolicy: { mode: REGISTRY_ONLY }'),
  ),
};
