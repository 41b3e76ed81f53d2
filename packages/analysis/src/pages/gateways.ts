import { CERTIFICATE, type Page, PRIVATE_KEY, page } from './page.ts';

const gateway = (name: string, server: string): string => `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: ${name} }
spec:
  selector: { istio: ingressgateway }
  servers: [{ ${server} }]`;
const http = (name: string, host: string): string => gateway(name, `port: { number: 80, name: http, protocol: HTTP }, hosts: [${host}]`);
const https = (name: string, host: string, credential: string): string =>
  gateway(name, `port: { number: 443, name: https-${name}, protocol: HTTPS }, hosts: [${host}], tls: { mode: SIMPLE, credentialName: ${credential} }`);
const secret = (certificate: string, key = PRIVATE_KEY): string => `
apiVersion: v1
kind: Secret
metadata: { name: shop, namespace: istio-system }
type: kubernetes.io/tls
data: { tls.crt: ${certificate}, tls.key: ${key} }
---`;
const definition = (version: string): string => `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: grpcroutes.gateway.networking.k8s.io
  annotations: { gateway.networking.k8s.io/bundle-version: ${version} }`;
const httpRoute = (backend: string): string => `
apiVersion: v1
kind: Service
metadata: { name: orders }
spec: { selector: { app: orders }, ports: [{ name: http, port: 80 }] }
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: orders }
spec:
  parentRefs: [{ name: edge }]
  rules: [{ backendRefs: [{ name: ${backend}, port: 80 }] }]`;
const POD = `
apiVersion: v1
kind: Pod
metadata: { name: edge-1, labels: { gateway.networking.k8s.io/gateway-name: edge } }
---`;
const policy = (how: string): string => `${POD}
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: edge }
spec: { ${how}, rules: [{}] }`;

export const gateways: Readonly<Record<string, Page>> = {
  IST0138: page(
    'Gateways of one proxy show one certificate for different hosts. A browser that has a connection to one host uses it for the other too, and gets 404 from the Gateway that does not know it.',
    'Put the hosts of a certificate into one Gateway, or give each a certificate of its own.',
    `${https('shop', 'shop.example.com', 'wildcard')}\n---${https('bank', 'bank.example.com', 'wildcard')}`,
    `${https('shop', 'shop.example.com', 'shop')}\n---${https('bank', 'bank.example.com', 'bank')}`,
  ),
  IST0145: page(
    'Two Gateways of one proxy claim one host on one port. The older one has it.',
    'Give each its own hosts, or its own port or proxy. A name beside the wildcard above it is no conflict.',
    `${http('a', 'shop.example.com')}\n---${http('b', 'shop.example.com')}`,
    `${http('a', 'shop.example.com')}\n---${http('b', 'bank.example.com')}`,
  ),
  IST0161: page(
    'The secret that a Gateway names holds no certificate with its key, or one that has expired: TLS to its hosts fails.',
    'Put `tls.crt` and `tls.key`, in PEM, into the secret.',
    `${secret('bm9uZQ==')}${https('shop', 'shop.example.com', 'shop')}`,
    `${secret(CERTIFICATE)}${https('shop', 'shop.example.com', 'shop')}`,
  ),
  IST0162: page(
    'A Gateway has a port that no Service of its proxies has: it is listened on, and nobody comes there through the Service.',
    "Write a port of the Service, or add it there. Istio's own gateway has 80, 443, 15443 and 31400.",
    gateway('edge', 'port: { number: 8888, name: http, protocol: HTTP }, hosts: [shop.example.com]'),
    http('edge', 'shop.example.com'),
  ),
  IST0166: page(
    'A policy selects the pods of a Gateway of Kubernetes by their labels. There only `targetRefs` are looked at, so that it protects nothing.',
    'Name the Gateway by `targetRefs`.',
    policy('selector: { matchLabels: { gateway.networking.k8s.io/gateway-name: edge } }'),
    policy('targetRefs: [{ group: gateway.networking.k8s.io, kind: Gateway, name: edge }]'),
  ),
  IST0176: page(
    'The definition of a kind of Gateway API is older than what is read of it: resources of this kind are left out without a word.',
    'Install a newer bundle of Gateway API.',
    definition('v1.0.0'),
    definition('v1.4.0'),
  ),
  RIG0109: page(
    'The certificate that a gateway shows expires within 30 days. Whatever was to renew it has not done so.',
    'Renew it, and look at why that did not happen by itself.',
    `${secret(CERTIFICATE)}${https('shop', 'shop.example.com', 'shop')}`,
    http('shop', 'shop.example.com'),
  ),
  RIG0113: page(
    'The private key in a secret that a gateway shows is none, or that of another certificate: TLS to its hosts fails. Of keys of RSA alone it can be told whose they are.',
    'Put the key into the secret that the certificate was made with.',
    `${secret(CERTIFICATE, 'bm9uZQ==')}${https('shop', 'shop.example.com', 'shop')}`,
    `${secret(CERTIFICATE)}${https('shop', 'shop.example.com', 'shop')}`,
  ),
  RIG0114: page(
    'A route of Gateway API names a parent or a backend that is not there, or that lies in another namespace and no ReferenceGrant there lets it be named. A route without a parent routes nothing; the share of a backend that is none is answered 500, UNAVAILABLE or not at all.',
    'Write the name of one that is there. In the namespace of a Service of somebody else a ReferenceGrant has to name the kind and the namespace of the route.',
    httpRoute('order'),
    httpRoute('orders'),
  ),
};
