import { type Page, page } from './page.ts';

const namespace = (labels: string): string => `
apiVersion: v1
kind: Namespace
metadata: { name: shop${labels === '' ? '' : `, labels: { ${labels} }`} }`;
const pod = (spec: string, metadata = ''): string => `
apiVersion: v1
kind: Pod
metadata: { name: web-1, namespace: shop${metadata} }
spec: { ${spec} }`;
const PROXY = '{ name: istio-proxy, image: proxyv2:1.28.0 }';
const deployment = (spec: string, labels = 'app: web'): string => `
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: shop }
spec: { template: { metadata: { labels: { ${labels} } }, spec: { ${spec} } } }`;
const service = (name: string, port: string): string => `
apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: shop }
spec: { selector: { app: web }, ports: [{ ${port} }] }`;
const external = (port: string): string => `
apiVersion: v1
kind: Service
metadata: { name: bank, namespace: shop }
spec: { type: ExternalName, externalName: bank.example.com, ports: [{ ${port} }] }`;
const injector = (values: string): string => `
apiVersion: v1
kind: ConfigMap
metadata: { name: istio-sidecar-injector, namespace: istio-system }
data: { values: '${values}' }
---`;
const WEBHOOK = `
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: { name: istio-sidecar-injector }
webhooks: [{ name: sidecar-injector.istio.io, objectSelector: { matchLabels: { sidecar.istio.io/inject: "true" } } }]
---`;
const MESHED = `${namespace('istio-injection: enabled')}\n---`;
const IMAGES = '{"global":{"hub":"hub","tag":"2","proxy":{"image":"proxyv2"}}}';

export const workloads: Readonly<Record<string, Page>> = {
  IST0102: page(
    'A namespace does not say whether its pods are to have a sidecar, so that they have none.',
    'Write the label `istio-injection: enabled`, or `disabled` where that is what is meant.',
    namespace(''),
    namespace('istio-injection: disabled'),
  ),
  IST0103: page(
    'A pod has no sidecar though its namespace asks for one: it was made before the namespace did.',
    'Make the pod anew (`kubectl rollout restart`).',
    `${MESHED}${pod('containers: [{ name: web, image: web }]')}`,
    `${MESHED}${pod(`containers: [{ name: web, image: web }, ${PROXY}]`)}`,
  ),
  IST0116: page(
    'Services that select the same pods give one port of them different transports.',
    'Give the port one transport, or each its own number.',
    `${MESHED}${deployment('containers: []')}\n---${service('a', 'port: 80, protocol: TCP')}\n---${service('b', 'port: 80, protocol: UDP')}`,
    `${MESHED}${deployment('containers: []')}\n---${service('a', 'port: 80, protocol: TCP')}\n---${service('b', 'port: 81, protocol: UDP')}`,
  ),
  IST0118: page(
    'The name of a Service port says no protocol, and there is no appProtocol: the proxy finds it out from the first bytes, and treats what it does not know as plain TCP.',
    'Begin the name with the protocol (`http-web`), or write `appProtocol`.',
    service('web', 'name: web, port: 80'),
    service('web', 'name: http-web, port: 80'),
  ),
  IST0123: page(
    'A namespace asks for sidecars in two ways, or for sidecars and for ambient mode. Which one holds depends on the version.',
    'Keep one of the labels.',
    namespace('istio-injection: enabled, istio.io/rev: canary'),
    namespace('istio.io/rev: canary'),
  ),
  IST0137: page(
    'Services lead to one port of the same pods by different ports of their own. A policy or route for one of them is then not the one for the other.',
    'Use one port, or let each Service have a port of the pods of its own.',
    `${MESHED}${deployment('containers: []')}\n---${service('a', 'port: 80, targetPort: 8080')}\n---${service('b', 'port: 81, targetPort: 8080')}`,
    `${MESHED}${deployment('containers: []')}\n---${service('a', 'port: 80, targetPort: 8080')}\n---${service('b', 'port: 81, targetPort: 8081')}`,
  ),
  IST0144: page(
    "An application runs as user 1337, which is the sidecar: its calls are taken for the sidecar's own and leave the pod past it, without mTLS and without any policy.",
    'Run it as another user.',
    deployment('containers: [{ name: web, securityContext: { runAsUser: 1337 } }]'),
    deployment('containers: [{ name: web, securityContext: { runAsUser: 1000 } }]'),
  ),
  IST0146: page(
    'A Deployment leaves the image of its proxy to the injector (`image: auto`), and no webhook of an injector takes its pods.',
    'Give the pods the label that a webhook asks for.',
    `${WEBHOOK}${deployment('containers: [{ name: istio-proxy, image: auto }]')}`,
    `${WEBHOOK}${deployment('containers: [{ name: istio-proxy, image: auto }]', 'app: web, sidecar.istio.io/inject: "true"')}`,
  ),
  IST0147: page(
    'A pod still has `image: auto`: no injector has seen it, and it cannot start.',
    'Make it anew once an injector takes it.',
    pod('containers: [{ name: istio-proxy, image: auto }]'),
    pod(`containers: [${PROXY}]`),
  ),
  IST0148: page(
    'A namespace says nothing of sidecars, and the injector is set to give them where nobody says otherwise.',
    'Write the label `istio-injection`, so that it is known without looking at the injector.',
    `${injector('{"sidecarInjectorWebhook":{"enableNamespacesByDefault":true}}')}${namespace('')}`,
    `${injector('{"sidecarInjectorWebhook":{"enableNamespacesByDefault":true}}')}${namespace('istio-injection: enabled')}`,
  ),
  IST0150: page(
    'A port of an ExternalName Service is of plain TCP or says no protocol. Such a Service has no address, so that its connections cannot be told from others on that port.',
    'Name the port by a protocol that carries the host: `http`, `tls`.',
    external('name: tcp, port: 443'),
    external('name: tls, port: 443'),
  ),
  IST0158: page(
    'The sidecars of a namespace are of another version than the injector would give them now.',
    'Make the pods anew (`kubectl rollout restart`).',
    `${injector(IMAGES)}${MESHED}${pod('containers: [{ name: istio-proxy, image: "hub/proxyv2:1" }]')}`,
    `${injector(IMAGES)}${MESHED}${pod('containers: [{ name: istio-proxy, image: "hub/proxyv2:2" }]')}`,
  ),
};
