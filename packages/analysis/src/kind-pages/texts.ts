/** What the pages of docs/kinds say beside the fields, by "group/Kind": first a sentence that tells what the kind is for. */
export const kindTexts: Readonly<Record<string, { readonly about: string; readonly example?: string }>> = {
  'networking.istio.io/VirtualService': {
    about:
      'Where requests for a host go. Its rules are tried in order, the first that matches holds; without `gateways` they are for the sidecars of callers. An answer that takes longer than `timeout` is a signed 504; retries that a rule gives hold for every method.',
    example: `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: order-service
spec:
  hosts: [order-service]
  http:
    - match:
        - headers: { end-user: { exact: jason } }
      route:
        - destination: { host: order-service, subset: v2 }
    - route:
        - destination: { host: order-service, subset: v1 }
          weight: 90
        - destination: { host: order-service, subset: v2 }
          weight: 10
      timeout: 2s
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: order-service
spec:
  host: order-service
  subsets:
    - { name: v1, labels: { version: v1 } }
    - { name: v2, labels: { version: v2 } }`,
  },
  'networking.istio.io/DestinationRule': {
    about:
      'How a host is called, once a route has chosen it: balancing, limits, breaker, TLS, and the subsets that routes name. A policy of a port or a subset takes the place of the one above it, field by field of the first level.',
    example: `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: payment-service
spec:
  host: payment-service
  trafficPolicy:
    loadBalancer:
      consistentHash: { httpHeaderName: x-customer }
    connectionPool:
      http: { http2MaxRequests: 200, maxRetries: 10 }
    outlierDetection:
      consecutive5xxErrors: 5
      baseEjectionTime: 30s`,
  },
  'networking.istio.io/ServiceEntry': {
    about:
      'A service that does not register itself: a host outside of the mesh, a database, or a name for workloads that run. With `workloadSelector` its endpoints are the workloads of its namespace with these labels, WorkloadEntries and those of `rig run` alike. With the annotation `outrigger.dev/srv` and `resolution: DNS` they are SRV records, which the control plane looks up ([registries](../registries.md)).',
    example: `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata:
  name: bank
spec:
  hosts: [bank.example.com]
  location: MESH_EXTERNAL
  resolution: DNS
  ports:
    - { number: 443, name: tls, protocol: TLS }
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata:
  name: order-service-v2
spec:
  hosts: [order-service-v2.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports:
    - { number: 8080, name: http, protocol: HTTP }
  workloadSelector:
    labels: { app: order-service, version: v2 }`,
  },
  'networking.istio.io/WorkloadEntry': {
    about:
      'A workload that does not register itself, with its address and labels; a ServiceEntry of its namespace takes it by `workloadSelector`. It is called with the mTLS of the mesh where it has the label `security.istio.io/tlsMode: istio`.',
    example: `apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata:
  name: ledger-1
spec:
  address: 127.0.0.1
  ports: { http: 9105 }
  labels: { app: old-ledger }
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata:
  name: old-ledger
spec:
  hosts: [old-ledger.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports:
    - { number: 8080, name: http, protocol: HTTP }
  workloadSelector:
    labels: { app: old-ledger }`,
  },
  'networking.istio.io/WorkloadGroup': {
    about:
      'What workloads of one kind have in common. Here each says that itself when it registers (`rig run`, `rig node`), so that a group is checked and kept and does nothing.',
  },
  'networking.istio.io/Sidecar': {
    about:
      'What the proxies of a namespace, or of some workloads in it, are told of. It keeps an Envoy small; our own proxy asks for what it uses in any case. `outboundTrafficPolicy` says what becomes of calls to names that nobody knows.',
    example: `apiVersion: networking.istio.io/v1
kind: Sidecar
metadata:
  name: default
spec:
  egress:
    - hosts: ["./*", "istio-system/*"]
  outboundTrafficPolicy: { mode: REGISTRY_ONLY }`,
  },
  'networking.istio.io/Gateway': {
    about:
      'Ports, hosts and TLS of the gateways (`rig gateway`) that its `selector` picks, in any namespace. VirtualServices bind to it by `gateways`. More: [gateways](../gateways.md).',
    example: `apiVersion: networking.istio.io/v1
kind: Gateway
metadata:
  name: edge
spec:
  selector: { istio: ingressgateway }
  servers:
    - port: { number: 80, name: http, protocol: HTTP }
      hosts: [shop.example.com]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: shop
spec:
  hosts: [shop.example.com]
  gateways: [edge]
  http:
    - route:
        - destination: { host: web }`,
  },
  'networking.istio.io/EnvoyFilter': {
    about:
      'Changes of the generated xDS itself, as an Envoy gets it; our proxy takes what it knows. A patch that does not fit does nothing, and `rig get` says at which field; what a proxy refuses is kept from all of its kind, and the rest stays in force. What people use it for most has a way of its own here: limits of requests and connections (DestinationRule), retries by idempotency and a half-open breaker (always on).',
    example: `apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata:
  name: edge-headers
  namespace: istio-system
spec:
  workloadSelector: { labels: { istio: ingressgateway } }
  configPatches:
    - applyTo: HTTP_FILTER
      match:
        context: GATEWAY
        listener: { filterChain: { filter: { name: envoy.filters.network.http_connection_manager } } }
      patch:
        operation: INSERT_FIRST
        value:
          name: edge-headers
          typed_config:
            "@type": type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation
            mutations:
              response_mutations:
                - append: { header: { key: x-frame-options, value: DENY } }`,
  },
  'networking.istio.io/ProxyConfig': { about: 'Settings of proxies, such as their concurrency.' },
  'security.istio.io/PeerAuthentication': {
    about:
      'Whether workloads take plain text. Without one they take both (PERMISSIVE). One of the root namespace (`istio-system`) holds for the mesh, one without `selector` for its namespace.',
    example: `apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata:
  name: default
  namespace: istio-system
spec:
  mtls: { mode: STRICT }`,
  },
  'security.istio.io/AuthorizationPolicy': {
    about:
      'Who may call whom, by the identity in the certificate, by path, method, port, header or address. DENY is asked before ALLOW; with one ALLOW for a workload, what no ALLOW names is refused with a signed 403.',
    example: `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata:
  name: payment-service
spec:
  selector: { matchLabels: { app: payment-service } }
  action: ALLOW
  rules:
    - from:
        - source: { principals: [cluster.local/ns/default/sa/order-service] }
      to:
        - operation: { methods: [POST], paths: [/pay] }`,
  },
  'security.istio.io/RequestAuthentication': {
    about:
      'Tokens (JWT) of end users. Our proxy checks them by xDS; no resource makes that of this kind yet, so a policy with `requestPrincipals` matches nobody.',
  },
  'telemetry.istio.io/Telemetry': {
    about:
      'Access log, traces and metrics by workload. Here every proxy has metrics and an access log, and `--otlp` sends spans. One of the root namespace (`istio-system`) holds for the mesh, one without `selector` for its namespace; it switches the log off or on, by the side of a call, and says which share of traces is kept.',
    example: `apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata:
  name: mesh-default
  namespace: istio-system
spec:
  accessLogging:
    - match: { mode: CLIENT }
      disabled: true
  tracing:
    - randomSamplingPercentage: 10`,
  },
  'extensions.istio.io/WasmPlugin': { about: 'WebAssembly in a proxy.' },
  'extensions.istio.io/TrafficExtension': { about: 'Lua or WebAssembly in a proxy.' },
  'gateway.networking.k8s.io/GatewayClass': {
    about: 'Whose gateways those of a class are. The class `outrigger` is there without a resource; another name becomes ours by this controller.',
    example: `apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata:
  name: istio
spec:
  controllerName: outrigger.dev/gateway`,
  },
  'gateway.networking.k8s.io/Gateway': {
    about: 'Listeners of the gateway of its name and namespace (`rig gateway --name NAME`). More: [gateways](../gateways.md).',
    example: `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata:
  name: edge
spec:
  gatewayClassName: outrigger
  listeners:
    - { name: http, port: 80, protocol: HTTP, hostname: shop.example.org }`,
  },
  'gateway.networking.k8s.io/ListenerSet': {
    about: "Listeners that are added to a Gateway's from elsewhere, where its `allowedListeners` let them.",
    example: `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata:
  name: edge
spec:
  gatewayClassName: outrigger
  allowedListeners: { namespaces: { from: Same } }
  listeners:
    - { name: http, port: 80, protocol: HTTP }
---
apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata:
  name: more
spec:
  parentRef: { name: edge }
  listeners:
    - { name: admin, port: 81, protocol: HTTP }`,
  },
  'gateway.networking.k8s.io/HTTPRoute': {
    about:
      'Where requests go that come by a Gateway, or, with a Service as its parent, the calls of sidecars to that service. The most specific match holds: exact path, longest prefix, method, headers, query parameters, age.',
    example: `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  name: order-service
spec:
  parentRefs:
    - { group: "", kind: Service, name: order-service, port: 8080 }
  rules:
    - matches:
        - path: { type: PathPrefix, value: /v2 }
      filters:
        - type: URLRewrite
          urlRewrite: { path: { type: ReplacePrefixMatch, replacePrefixMatch: / } }
      backendRefs:
        - { name: order-service-v2, port: 8080 }
    - backendRefs:
        - { name: order-service, port: 8080 }`,
  },
  'gateway.networking.k8s.io/GRPCRoute': {
    about: 'As HTTPRoute, for calls of gRPC by service and method.',
    example: `apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata:
  name: greeter
spec:
  parentRefs:
    - { group: "", kind: Service, name: greeter }
  rules:
    - matches:
        - method: { service: helloworld.Greeter, method: SayHello }
      backendRefs:
        - { name: greeter, port: 8080 }`,
  },
  'gateway.networking.k8s.io/TLSRoute': {
    about: 'TLS connections that a Gateway does not look into, by the name in their hello.',
    example: `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata:
  name: edge
spec:
  gatewayClassName: outrigger
  listeners:
    - { name: tls, port: 443, protocol: TLS, tls: { mode: Passthrough } }
---
apiVersion: gateway.networking.k8s.io/v1
kind: TLSRoute
metadata:
  name: bank
spec:
  parentRefs: [{ name: edge }]
  hostnames: [bank.example.com]
  rules:
    - backendRefs:
        - { name: payment-service, port: 8080 }`,
  },
  'gateway.networking.k8s.io/TCPRoute': {
    about: 'Bytes of a port of a Gateway.',
    example: `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata:
  name: edge
spec:
  gatewayClassName: outrigger
  listeners:
    - { name: tcp, port: 9000, protocol: TCP }
---
apiVersion: gateway.networking.k8s.io/v1
kind: TCPRoute
metadata:
  name: bytes
spec:
  parentRefs: [{ name: edge }]
  rules:
    - backendRefs:
        - { name: payment-service, port: 8080 }`,
  },
  'gateway.networking.k8s.io/UDPRoute': { about: 'Datagrams of a port of a Gateway. No proxy of this mesh takes UDP.' },
  'gateway.networking.k8s.io/ReferenceGrant': {
    about:
      "Lets routes of another namespace name Services of this one, or Gateways its Secrets. What is named across namespaces without one is refused: 500, and the route's status says so.",
    example: `apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata:
  name: from-the-edge
spec:
  from:
    - { group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: edge }
  to:
    - { group: "", kind: Service }`,
  },
  'gateway.networking.k8s.io/BackendTLSPolicy': {
    about:
      "TLS from a gateway to a Service, with the names and authorities that its certificate must have. The authorities are files of the gateway's machine, as those of clients are.",
    example: `apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata:
  name: payment-service
spec:
  targetRefs:
    - { group: "", kind: Service, name: payment-service }
  validation:
    hostname: payment.example.com
    caCertificateRefs:
      - { group: "", kind: ConfigMap, name: payment-ca }`,
  },
  'gateway.networking.x-k8s.io/XBackend': { about: 'An experiment of Gateway API: a backend that is no Service. Here a ServiceEntry is that.' },
  'gateway.networking.x-k8s.io/XBackendTrafficPolicy': {
    about: 'An experiment of Gateway API: sessions and retry budgets of a backend. Here a DestinationRule has both.',
  },
  'gateway.networking.x-k8s.io/XMesh': { about: 'An experiment of Gateway API: what a mesh says of itself.' },
  'outrigger.dev/Rollout': {
    about:
      'Shifts the traffic of a service to a new version step by step, while that one is as good as the old one in the same minutes; else all goes back. `rig rollout` makes one; more: [rollouts](../rollouts.md).',
    example: `apiVersion: outrigger.dev/v1alpha1
kind: Rollout
metadata:
  name: order-service
spec:
  service: order-service
  to: v2
  steps: [1, 10, 50, 100]
  every: 60s
  require: ["success>=99.5%", "p99<=1.2x"]`,
  },
};
