import { readResources } from '@outrigger/resources';
import { expect, test } from 'vitest';
import { apiGatewayNeeds } from './api-gateway-needs.ts';

const gateway = `apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec: {selector: {istio: ingressgateway}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]}
---
`;
const route = (gateways: string, header: string): string => `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop}
spec:
  hosts: [shop.example.com]
  gateways: [${gateways}]
  http: [{match: [{headers: {${header}: {exact: gold}}}], route: [{destination: {host: web}}]}]
`;
const policy = (target: string, key: string): string => `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: keys}
spec:
  ${target}
  rules: [{when: [{key: "${key}", values: [secret]}]}]
`;
const filter = (labels: string, name: string): string => `apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: extra}
spec:
  workloadSelector: {labels: {${labels}}}
  configPatches:
    - applyTo: HTTP_FILTER
      match: {context: SIDECAR_INBOUND}
      patch: {operation: INSERT_BEFORE, value: {name: ${name}}}
`;
const ofGateway = 'selector: {matchLabels: {istio: ingressgateway}}';

test.each([
  ['a route by a key', route('edge', 'x-api-key'), ['keys of customers: it routes by the header x-api-key']],
  ['a route by a user', route('edge', 'end-user'), []],
  ['a route by a key between services', route('mesh', 'x-api-key'), []],
  ['a policy that compares a key', policy(ofGateway, 'request.headers[x-api-key]'), ['keys of customers: it compares the header x-api-key']],
  ['a policy by a bearer', policy(ofGateway, 'request.headers[Authorization]'), ['keys of customers: it compares the header Authorization']],
  [
    'a policy of a Gateway of Gateway API',
    policy('targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: edge}]', 'request.headers[apikey]'),
    ['keys of customers: it compares the header apikey'],
  ],
  ['a policy of a service', policy('selector: {matchLabels: {app: web}}', 'request.headers[x-api-key]'), []],
  ['a rate limit', filter('istio: ingressgateway', 'envoy.filters.http.local_ratelimit'), ['quotas for each customer: it limits requests at a gateway']],
  ['a rate limit of a service', filter('app: web', 'envoy.filters.http.local_ratelimit'), []],
  ['a script', filter('istio: ingressgateway', 'envoy.filters.http.lua'), ['transformations of requests: it runs a script at a gateway']],
  [
    'tokens',
    `apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: tokens}
spec: {${ofGateway}, jwtRules: [{issuer: me}]}
`,
    ['keys of customers: it checks tokens of clients at a gateway'],
  ],
  [
    'code',
    `apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
metadata: {name: code}
spec: {${ofGateway}, url: "oci://registry.example.com/code:1"}
`,
    ['transformations of requests: it runs code at a gateway'],
  ],
])('%s', async (_, text, expected) => {
  const { resources, problems } = await readResources([{ file: 'a.yaml', text: gateway + text }]);
  expect(problems).toEqual([]);
  expect(apiGatewayNeeds(resources).map(({ need, by }) => `${need}: ${by}`)).toEqual(expected);
});
