import { type Page, page } from './page.ts';

const ORDERS = `
apiVersion: v1
kind: Service
metadata: { name: orders }
spec: { selector: { app: orders }, ports: [{ name: http, port: 80 }] }
---`;
const ADMIN = `
apiVersion: v1
kind: Service
metadata: { name: orders }
spec: { selector: { app: orders }, ports: [{ name: http, port: 80 }, { name: http-admin, port: 81 }] }
---`;
const route = (http: string, more = 'hosts: [orders]'): string => `${ORDERS}
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: orders }
spec:
  ${more}
  http:
${http}
`;
const edge = (hosts: string): string => `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: edge }
spec:
  selector: { istio: ingressgateway }
  servers: [{ port: { number: 80, name: http, protocol: HTTP }, hosts: [${hosts}] }]
---`;
/** A rule for every request. */
const ALL = '  - route: [{ destination: { host: orders } }]';
/** What comes for a host by the gateway `edge`. */
const atEdge = (host: string, http = ALL, served = 'shop.example.com'): string => `${edge(served)}${route(http, `hosts: [${host}]\n  gateways: [edge]`)}`;
const SUBSETS = `${ORDERS}
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: orders }
spec:
  host: orders
  subsets: [{ name: v1, labels: { version: v1 } }, { name: v2, labels: { version: v2 } }]
---
apiVersion: v1
kind: Pod
metadata: { name: orders-1, labels: { app: orders, version: v1 } }
---`;
const CHAIN = `
apiVersion: v1
kind: Service
metadata: { name: web }
spec: { selector: { app: web }, ports: [{ name: http, port: 80 }] }
---
apiVersion: v1
kind: Pod
metadata: { name: web-1, labels: { app: web } }
---${ORDERS}
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: { name: web }
spec:
  workloadSelector: { labels: { app: web } }
  egress: [{ hosts: [./orders.default.svc.cluster.local] }]
---`;
const called = (name: string, policy: string, gateways = ''): string => `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: ${name} }
spec:
  hosts: [${name}]${gateways}
  http: [{ route: [{ destination: { host: ${name} } }], ${policy} }]
---`;

export const routes: Readonly<Record<string, Page>> = {
  IST0101: page(
    'A resource names another one that is not there: a host, port or subset of a destination, a gateway, what a selector is to find, a namespace, a secret. What is sent to a host that nobody knows is answered 503; a gateway that does not exist gives nobody a route.',
    'Write the name of something that is there, or add what is missing. A short host name is completed with the namespace of the resource that has it.',
    route('  - route: [{ destination: { host: order } }]'),
    route(ALL),
  ),
  IST0109: page(
    'Two VirtualServices of the mesh claim one host where a caller sees both. Sidecars take one of them, the older, and the rules of the other do nothing.',
    'Put the rules into one VirtualService, or give each its own namespace by `exportTo: ["."]`.',
    `${route(ALL)}---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: orders-beta }
spec: { hosts: [orders], http: [{ route: [{ destination: { host: orders } }] }] }`,
    route(
      '  - match: [{ headers: { x-beta: { exact: "1" } } }]\n    route: [{ destination: { host: orders } }]\n  - route: [{ destination: { host: orders } }]',
    ),
  ),
  IST0112: page(
    'A destination names no port, and its host has several: which one is meant cannot be told.',
    'Add `port: { number: N }` to the destination.',
    `${ADMIN}
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: orders }
spec: { hosts: [orders], http: [{ route: [{ destination: { host: orders } }] }] }`,
    `${ADMIN}
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: orders }
spec: { hosts: [orders], http: [{ route: [{ destination: { host: orders, port: { number: 80 } } }] }] }`,
  ),
  IST0130: page(
    'A rule gets no request: one before it has no match and so takes everything, or all of its matches stand in rules before it.',
    'Put the rule before the one that takes its requests, or remove it. The rule without a match goes last.',
    route('  - route: [{ destination: { host: orders } }]\n  - match: [{ uri: { prefix: /new } }]\n    route: [{ destination: { host: orders } }]'),
    route('  - match: [{ uri: { prefix: /new } }]\n    route: [{ destination: { host: orders } }]\n  - route: [{ destination: { host: orders } }]'),
  ),
  IST0131: page(
    'One of several matches of a rule is already taken by an earlier rule, so that it adds nothing.',
    'Remove the match, or put its rule first.',
    route(
      '  - match: [{ uri: { prefix: /a } }]\n    route: [{ destination: { host: orders } }]\n  - match: [{ uri: { prefix: /a } }, { uri: { prefix: /b } }]\n    route: [{ destination: { host: orders } }]',
    ),
    route(
      '  - match: [{ uri: { prefix: /a } }]\n    route: [{ destination: { host: orders } }]\n  - match: [{ uri: { prefix: /b } }]\n    route: [{ destination: { host: orders } }]',
    ),
  ),
  IST0132: page(
    'A VirtualService is bound to a Gateway that serves none of its hosts: no request comes to it that way.',
    'Add the host to a server of the Gateway, or write a host that it serves. A host of a server may carry the namespace that may use it, as in `shop/a.example.com`.',
    atEdge('store.example.com'),
    atEdge('store.example.com', ALL, '"*.example.com"'),
  ),
  IST0140: page(
    'A gateway sends requests to a host by a VirtualService of its own, so that the subsets which another VirtualService gives this host for sidecars are not looked at.',
    'Write the subsets into the VirtualService that is bound to the gateway.',
    `${atEdge('shop.example.com')}---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: orders-subsets }
spec: { hosts: [orders], http: [{ route: [{ destination: { host: orders, subset: v2 } }] }] }`,
    atEdge('shop.example.com', '  - route: [{ destination: { host: orders, subset: v2 } }]'),
  ),
  IST0149: page(
    'A rule looks at a claim of the token of its caller, at a gateway where no RequestAuthentication has tokens checked: there are no claims, and the rule never matches.',
    'Add a RequestAuthentication that selects the pods of the gateway.',
    `${atEdge('shop.example.com', '  - match: [{ headers: { "@request.auth.claims.group": { exact: admin } } }]\n    route: [{ destination: { host: orders } }]')}---
apiVersion: v1
kind: Pod
metadata: { name: edge-1, namespace: istio-system, labels: { istio: ingressgateway } }`,
    `${atEdge('shop.example.com', '  - match: [{ headers: { "@request.auth.claims.group": { exact: admin } } }]\n    route: [{ destination: { host: orders } }]')}---
apiVersion: v1
kind: Pod
metadata: { name: edge-1, namespace: istio-system, labels: { istio: ingressgateway } }
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: tokens, namespace: istio-system }
spec:
  selector: { matchLabels: { istio: ingressgateway } }
  jwtRules: [{ issuer: https://id.example.com, jwksUri: https://id.example.com/keys }]`,
  ),
  IST0165: page(
    'A VirtualService names a Gateway that is made of a Gateway of Kubernetes and has its name from a program. With the next version it may be another.',
    'Attach an HTTPRoute to the Gateway of Kubernetes, or write a Gateway of your own and name that.',
    route(ALL, 'hosts: [shop.example.com]\n  gateways: [edge-istio-autogenerated-k8s-gateway]'),
    atEdge('shop.example.com'),
  ),
  RIG0101: page(
    'Earlier rules together take every request of a later one, though none has the very same match: a shorter prefix, or a match with fewer conditions.',
    'Put the narrower rule first.',
    route(
      '  - match: [{ uri: { prefix: /api } }]\n    route: [{ destination: { host: orders } }]\n  - match: [{ uri: { exact: /api/health } }]\n    directResponse: { status: 200 }',
    ),
    route(
      '  - match: [{ uri: { exact: /api/health } }]\n    directResponse: { status: 200 }\n  - match: [{ uri: { prefix: /api } }]\n    route: [{ destination: { host: orders } }]',
    ),
  ),
  RIG0102: page(
    'A share of the requests goes to a host or subset that none of the pods of the files is in: as many of them are answered 503.',
    'Give the weight to a subset that has pods until the new ones are there.',
    `${SUBSETS}
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: orders }
spec:
  hosts: [orders]
  http: [{ route: [{ destination: { host: orders, subset: v1 }, weight: 90 }, { destination: { host: orders, subset: v2 }, weight: 10 }] }]`,
    `${SUBSETS}
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: orders }
spec:
  hosts: [orders]
  http: [{ route: [{ destination: { host: orders, subset: v1 }, weight: 100 }, { destination: { host: orders, subset: v2 }, weight: 0 }] }]`,
  ),
  RIG0104: page(
    'A call may take longer than its caller is itself waited for, or one try longer than all of them together. What comes in that time nobody reads, and the work is done all the same. Who calls whom is known from Sidecars that name hosts, from AuthorizationPolicies that name identities and from rules with sourceLabels.',
    'Let timeouts grow shorter from the edge inwards.',
    `${CHAIN}${called('web', 'timeout: 2s')}${called('orders', 'timeout: 10s')}`,
    `${CHAIN}${called('web', 'timeout: 10s')}${called('orders', 'timeout: 2s')}`,
  ),
  RIG0105: page(
    'Each try of a caller makes all the tries of the calls below it, so that retries written at several places of a chain multiply. When the last service is slow, that is what keeps it so. Retries that nobody has written do not multiply: a proxy that has given up tells the one before it.',
    'Let one place of a chain try again, the one next to what fails, and write `attempts: 0` at the others.',
    `${CHAIN}${called('web', 'retries: { attempts: 3 }')}${called('orders', 'retries: { attempts: 3 }')}
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: { name: front }
spec:
  workloadSelector: { labels: { app: front } }
  egress: [{ hosts: [./web.default.svc.cluster.local] }]
---
apiVersion: v1
kind: Service
metadata: { name: front }
spec: { selector: { app: front }, ports: [{ name: http, port: 80 }] }
---
apiVersion: v1
kind: Pod
metadata: { name: front-1, labels: { app: front } }`,
    `${CHAIN}${called('web', 'retries: { attempts: 0 }')}${called('orders', 'retries: { attempts: 3 }')}`,
  ),
  RIG0108: page(
    'A repetition that is counted is written out as often as it is counted, and one within another multiplies. Each step is tried at every character, for every request.',
    'Write an exact text, a prefix, or a repetition without a count.',
    route('  - match: [{ uri: { regex: "/(([a-z]{1,50}-){1,20}[0-9]{1,30}/?){1,10}" } }]\n    route: [{ destination: { host: orders } }]'),
    route('  - match: [{ uri: { regex: "/[-a-z0-9/]+" } }]\n    route: [{ destination: { host: orders } }]'),
  ),
  RIG0110: page(
    'A regular expression says no more than an exact text or a prefix, which are looked up in a table.',
    'Write `exact` or `prefix`: `--fix` does it.',
    route('  - match: [{ uri: { regex: /api/.* } }]\n    route: [{ destination: { host: orders } }]'),
    route('  - match: [{ uri: { prefix: /api/ } }]\n    route: [{ destination: { host: orders } }]'),
  ),
  RIG0111: page(
    'A rule hands on to a VirtualService that does not answer: it is not there, has hosts of its own, or hands on in turn, which is not looked at (and would lead round in a circle). Requests of the rule get 404.',
    'Name a VirtualService without hosts that has the routes itself.',
    route('  - match: [{ uri: { prefix: /api } }]\n    delegate: { name: api }'),
    `${route('  - match: [{ uri: { prefix: /api } }]\n    delegate: { name: api }')}---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: api }
spec: { http: [{ route: [{ destination: { host: orders } }] }] }`,
  ),
  RIG0112: page(
    'A resource is exported to a namespace that is not among those of the files, most often by a slip of the pen: who was to see it does not.',
    'Write the name of a namespace, `.` for its own, or `*` for all.',
    `apiVersion: v1
kind: Namespace
metadata: { name: shop, labels: { istio-injection: enabled } }
---${route(ALL, 'hosts: [orders]\n  exportTo: [shopp]')}`,
    `apiVersion: v1
kind: Namespace
metadata: { name: shop, labels: { istio-injection: enabled } }
---${route(ALL, 'hosts: [orders]\n  exportTo: [shop]')}`,
  ),
};
