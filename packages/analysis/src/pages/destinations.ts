import { type Page, page } from './page.ts';

const rule = (spec: string): string => `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: payments }
spec:
  host: payments.example.com
  trafficPolicy:
    ${spec}`;
const entry = (name: string, spec: string, namespace = 'default'): string => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ${name}, namespace: ${namespace} }
spec: { hosts: [payments.example.com], resolution: DNS, ${spec} }`;
const ORDERS = `
apiVersion: v1
kind: Service
metadata: { name: orders }
spec: { selector: { app: orders }, ports: [{ name: http, port: 80 }] }
---
apiVersion: v1
kind: Pod
metadata: { name: orders-1, labels: { app: orders, version: v1 } }
---`;
const subset = (version: string): string => `${ORDERS}
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: orders }
spec: { host: orders, subsets: [{ name: ${version}, labels: { version: ${version} } }] }`;
const STRICT = `${ORDERS}
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default }
spec: { mtls: { mode: STRICT } }
---`;
const mode = (tls: string): string => `${STRICT}
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: orders }
spec: { host: orders, trafficPolicy: { tls: { mode: ${tls} } } }`;

export const destinations: Readonly<Record<string, Page>> = {
  IST0128: page(
    'A DestinationRule makes TLS to a host and says nothing by which the server is to be known: whoever answers is taken for it.',
    'Name the authorities by `caCertificates`, or by `credentialName` where the rule has a workloadSelector.',
    rule('tls: { mode: SIMPLE }'),
    rule('tls: { mode: SIMPLE, caCertificates: /etc/ssl/certs/ca-certificates.crt }'),
  ),
  IST0129: page(
    'The same as IST0128, for one port.',
    'Name the authorities by `caCertificates` at the port.',
    rule('portLevelSettings: [{ port: { number: 443 }, tls: { mode: SIMPLE } }]'),
    rule('portLevelSettings: [{ port: { number: 443 }, tls: { mode: SIMPLE, caCertificates: /etc/ssl/certs/ca-certificates.crt } }]'),
  ),
  IST0134: page(
    'Plain TCP to a host without an address: nothing in its bytes says whose connection it is, so that it is told apart from others by its port alone.',
    'Write `addresses`, or a protocol that names the host in its first bytes (HTTP, TLS).',
    entry('payments', 'ports: [{ number: 5432, name: tcp, protocol: TCP }]'),
    entry('payments', 'addresses: [192.0.2.7], ports: [{ number: 5432, name: tcp, protocol: TCP }]'),
  ),
  IST0173: page(
    'None of the pods of a host has the labels of a subset. What is sent to the subset is answered 503.',
    'Write labels that pods have, or remove the subset.',
    subset('v2'),
    subset('v1'),
  ),
  IST0174: page(
    'A DestinationRule is for a host that no Service and no ServiceEntry declares.',
    'Write a host that is there. A short name is completed with the namespace of the rule.',
    `${ORDERS}
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: orders }
spec: { host: order }`,
    `${ORDERS}
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: orders }
spec: { host: orders }`,
  ),
  IST0177: page(
    'ServiceEntries give one port of one host different protocols where somebody sees both. One of them is believed, and the bytes of the other are read wrongly.',
    'Give the port one protocol, or let each entry be seen in its own namespace by `exportTo`.',
    `${entry('a', 'ports: [{ number: 443, name: p, protocol: TLS }]')}\n---${entry('b', 'ports: [{ number: 443, name: p, protocol: HTTP }]')}`,
    `${entry('a', 'ports: [{ number: 443, name: p, protocol: TLS }]')}\n---${entry('b', 'ports: [{ number: 443, name: p, protocol: TLS }]')}`,
  ),
  RIG0103: page(
    'ServiceEntries of two namespaces declare one host where somebody sees both. Whose endpoints a caller gets depends on which is older.',
    'Let one namespace export the host, or keep each to itself by `exportTo: ["."]`.',
    `${entry('payments', 'ports: [{ number: 443, name: tls, protocol: TLS }]', 'shop')}\n---${entry('payments', 'ports: [{ number: 443, name: tls, protocol: TLS }]', 'bank')}`,
    `${entry('payments', 'exportTo: ["."], ports: [{ number: 443, name: tls, protocol: TLS }]', 'shop')}\n---${entry('payments', 'exportTo: ["."], ports: [{ number: 443, name: tls, protocol: TLS }]', 'bank')}`,
  ),
  RIG0107: page(
    'A DestinationRule calls a service without mTLS though a PeerAuthentication takes nothing else there, or with it where it is switched off: no call gets through.',
    'Leave `tls` out: each side then does what the other takes. `--fix` writes the mode that is taken.',
    mode('DISABLE'),
    mode('ISTIO_MUTUAL'),
  ),
};
