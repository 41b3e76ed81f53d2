import { type Page, page } from './page.ts';

const MESHED = `
apiVersion: v1
kind: Namespace
metadata: { name: shop, labels: { istio-injection: enabled } }
---
apiVersion: v1
kind: Pod
metadata: { name: orders-1, namespace: shop, labels: { app: orders } }
---`;
const sidecar = (name: string, app: string): string => `
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: { name: ${name}, namespace: shop }
spec: { ${app === '' ? '' : `workloadSelector: { labels: { app: ${app} } }, `}egress: [{ hosts: [./*] }] }`;
const telemetry = (name: string, spec: string, namespace = 'shop'): string => `
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: { name: ${name}, namespace: ${namespace} }
spec: { ${spec} }`;
const allow = (app: string): string => `${MESHED}
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: orders, namespace: shop }
spec: { selector: { matchLabels: { app: ${app} } }, rules: [{}] }`;
const denied = (paths: string): string => `${MESHED}
apiVersion: v1
kind: Service
metadata: { name: orders, namespace: shop }
spec: { selector: { app: orders }, ports: [{ name: http, port: 80 }] }
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: orders, namespace: shop }
spec:
  selector: { matchLabels: { app: orders } }
  rules: [{ to: [{ operation: { paths: [${paths}] } }] }]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: orders, namespace: shop }
spec:
  hosts: [orders]
  http: [{ match: [{ uri: { prefix: /reports } }], route: [{ destination: { host: orders } }] }]`;
const istiod = (env: string): string => `
apiVersion: apps/v1
kind: Deployment
metadata: { name: istiod, namespace: istio-system, labels: { app: istiod } }
spec: { template: { spec: { containers: [{ name: discovery, env: [${env}] }] } } }
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: tokens, namespace: shop }
spec: { jwtRules: [{ issuer: https://id.example.com, jwksUri: https://id.example.com/keys }] }`;
const entry = (status: string): string => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: bank, namespace: shop }
spec: { hosts: [bank.example.com], resolution: DNS, ports: [{ number: 443, name: tls, protocol: TLS }] }
status: { conditions: [{ type: Accepted, status: "${status}", reason: Checked, message: by the waypoint }] }`;

export const policies: Readonly<Record<string, Page>> = {
  IST0110: page(
    'Two Sidecars select one workload. Which one shapes its proxy is chance.',
    'Let each Sidecar select other workloads.',
    `${MESHED}${sidecar('a', 'orders')}\n---${sidecar('b', 'orders')}`,
    `${MESHED}${sidecar('a', 'orders')}`,
  ),
  IST0111: page(
    'Two Sidecars of a namespace have no workloadSelector, and so are both for all of its workloads.',
    'Keep one, or give the other a workloadSelector.',
    `${sidecar('a', '')}\n---${sidecar('b', '')}`,
    sidecar('a', ''),
  ),
  IST0127: page(
    'An AuthorizationPolicy selects no pod that is in the mesh: it protects nobody.',
    'Write labels that pods of its namespace have.',
    allow('order'),
    allow('orders'),
  ),
  IST0157: page(
    'A Telemetry asks for access logs, names no provider, and the mesh has no default one: nothing is logged.',
    'Name a provider, or write `defaultProviders.accessLogging` into the settings of the mesh.',
    telemetry('logs', 'accessLogging: [{ match: { mode: SERVER } }]'),
    telemetry('logs', 'accessLogging: [{ providers: [{ name: envoy }] }]'),
  ),
  IST0159: page(
    'Two Telemetries select one workload. Which one holds is chance.',
    'Put both into one, or let each select other workloads.',
    `${MESHED}${telemetry('a', 'selector: { matchLabels: { app: orders } }')}\n---${telemetry('b', 'selector: { matchLabels: { app: orders } }')}`,
    `${MESHED}${telemetry('a', 'selector: { matchLabels: { app: orders } }')}`,
  ),
  IST0160: page(
    'Two Telemetries of a namespace have no selector, and so are both for all of its workloads.',
    'Put both into one, or give one of them a selector.',
    `${telemetry('a', 'tracing: []')}\n---${telemetry('b', 'tracing: []')}`,
    telemetry('a', 'tracing: []'),
  ),
  IST0167: page(
    'A Sidecar is for workloads in ambient mode, which have no sidecar.',
    'Remove it; what may be called is said there by AuthorizationPolicies and waypoints.',
    `
apiVersion: v1
kind: Namespace
metadata: { name: shop, labels: { istio.io/dataplane-mode: ambient } }
---${sidecar('a', '')}`,
    `
apiVersion: v1
kind: Namespace
metadata: { name: shop, labels: { istio-injection: enabled } }
---${sidecar('a', '')}`,
  ),
  IST0171: page(
    'A control plane has written into the status of a resource that something of it does not hold.',
    'Read the reason and the message of the condition, which say what it is.',
    entry('False'),
    entry('True'),
  ),
  IST0175: page(
    'istiod fetches the keys of tokens from wherever a RequestAuthentication says. Who may write one can make it call addresses inside the network.',
    'Set `BLOCKED_CIDRS_IN_JWKS_URIS` at istiod.',
    istiod(''),
    istiod('{ name: BLOCKED_CIDRS_IN_JWKS_URIS, value: "10.0.0.0/8,169.254.0.0/16" }'),
  ),
  RIG0106: page(
    'The AuthorizationPolicies of the workloads that a rule sends to refuse every request that it matches, whoever makes it: a DENY for its paths, or an ALLOW for others alone.',
    'Allow the path and method of the rule, or send it elsewhere. What depends on who calls is not told.',
    denied('/api/*'),
    denied('/api/*, /reports*'),
  ),
};
