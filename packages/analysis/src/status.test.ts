import { type Instance, readResources, type Service } from '@outrigger/resources';
import { describe, expect, it } from 'vitest';
import { effectContext, statusNotes, withoutEffect } from './status.ts';

async function resourcesOf(...documents: string[]) {
  const { resources, problems } = await readResources([{ file: 'mesh.yaml', text: documents.join('\n---\n') }]);
  expect(problems).toEqual([]);
  return resources;
}

const order: Service = {
  hostname: 'order-service.default.svc.cluster.local',
  name: 'order-service',
  namespace: 'default',
  ports: [{ name: 'http', port: 8080, protocol: 'HTTP' }],
  addresses: [],
  resolution: 'STATIC',
  location: 'MESH_INTERNAL',
  exportTo: ['*'],
  labels: {},
  subjectAltNames: [],
  creationTimestamp: '',
};
const orderInstance: Instance = {
  id: 'default/order-service-1',
  namespace: 'default',
  workload: 'order-service',
  labels: { app: 'order-service' },
  serviceAccount: 'order-service',
  trustDomain: 'cluster.local',
  address: '127.0.0.1',
  locality: '',
  weight: 0,
  network: '',
  meshed: true,
  health: 'HEALTHY',
  ports: [],
  services: [order.hostname],
};
const mesh = { services: [order], instances: [orderInstance] };

const kind = (apiVersion: string, name: string, spec: string, metadata = 'name: a') =>
  `apiVersion: ${apiVersion}\nkind: ${name}\nmetadata: {${metadata}}\nspec: ${spec}`;
const custom = '{action: CUSTOM, provider: {name: x}, rules: [{}]}';
const virtualService = (spec: string) => kind('networking.istio.io/v1', 'VirtualService', spec);
const route = (destination: string) => virtualService(`{hosts: [order-service], http: [{route: [{destination: ${destination}}]}]}`);
const rule = kind('networking.istio.io/v1', 'DestinationRule', '{host: order-service, subsets: [{name: v1, labels: {version: v1}}]}', 'name: order-service');

describe('withoutEffect', () => {
  it.each([
    [
      'a subset that no rule has',
      [route('{host: order-service, subset: v3}'), rule],
      'subset v3 is not in DestinationRule default/order-service (spec.http[0].route[0].destination); until it is there, what is sent to it is answered 503',
    ],
    [
      'a subset without any rule',
      [route('{host: order-service, subset: v1}')],
      'subset v1: no DestinationRule is for host order-service (spec.http[0].route[0].destination); until it is there, what is sent to it is answered 503',
    ],
    [
      'a destination that is no service',
      [route('{host: nowhere}')],
      'host nowhere is no service that namespace default can see (spec.http[0].route[0].destination); until it is there, what is sent to it is answered 503',
    ],
    [
      'hosts that are no service',
      [virtualService('{hosts: [nowhere], http: [{route: [{destination: {host: order-service}}]}]}')],
      'host nowhere is no service that namespace default can see',
    ],
    [
      'a gateway',
      [virtualService('{hosts: [order-service], gateways: [edge], http: [{route: [{destination: {host: order-service}}]}]}')],
      'there is no Gateway edge to which it is bound',
    ],
    [
      'a kind that is not in effect',
      [kind('gateway.networking.k8s.io/v1', 'UDPRoute', '{rules: [{backendRefs: [{name: a, port: 1}]}]}')],
      'UDPRoute is not in effect in this version',
    ],
    ['a route without a parent', [kind('gateway.networking.k8s.io/v1', 'HTTPRoute', '{}')], 'none of its parents is a Gateway or a Service'],
    [
      'a Gateway API gateway that nobody runs',
      [kind('gateway.networking.k8s.io/v1', 'Gateway', '{gatewayClassName: outrigger, listeners: [{name: a, port: 80, protocol: HTTP}]}')],
      'no gateway serves it: `rig gateway --name a --namespace default` starts one',
    ],
    [
      "somebody else's gateway",
      [
        kind('gateway.networking.k8s.io/v1', 'Gateway', '{gatewayClassName: b, listeners: [{name: a, port: 80, protocol: HTTP}]}'),
        kind('gateway.networking.k8s.io/v1', 'GatewayClass', '{controllerName: example.com/b}', 'name: b'),
      ],
      'its class b is of the controller example.com/b',
    ],
    [
      'a class that is not there',
      [kind('gateway.networking.k8s.io/v1', 'Gateway', '{gatewayClassName: b, listeners: [{name: a, port: 80, protocol: HTTP}]}')],
      'there is no GatewayClass b: make one with the controllerName outrigger.dev/gateway, or name the class outrigger, which is there without one',
    ],
    [
      'a gateway that nobody runs',
      [kind('networking.istio.io/v1', 'Gateway', '{selector: {istio: edge}, servers: [{port: {number: 80, protocol: HTTP, name: http}, hosts: ["*"]}]}')],
      'no gateway runs with the labels istio: edge: `rig gateway --name NAME --label istio=edge` starts one',
    ],
    ['a rule for nobody', [kind('networking.istio.io/v1', 'DestinationRule', '{host: nowhere}')], 'host nowhere is no service that namespace default can see'],
    [
      'a policy for nobody',
      [kind('security.istio.io/v1', 'AuthorizationPolicy', '{selector: {matchLabels: {app: x}}}')],
      'no workload of namespace default has the labels app: x',
    ],
    [
      'a policy of the root namespace for nobody',
      [kind('security.istio.io/v1', 'PeerAuthentication', '{selector: {matchLabels: {app: x}}}', 'name: a, namespace: istio-system')],
      'no workload of any namespace has the labels app: x',
    ],
    [
      'an action of logs',
      [kind('security.istio.io/v1', 'AuthorizationPolicy', '{action: AUDIT, rules: [{}]}')],
      'action AUDIT is not in effect in this version',
    ],
    [
      'a workload without a service',
      [kind('networking.istio.io/v1', 'WorkloadEntry', '{address: 10.0.0.1}')],
      'no ServiceEntry of namespace default selects its labels',
    ],
    [
      'the younger of two',
      [
        kind('security.istio.io/v1', 'PeerAuthentication', '{mtls: {mode: STRICT}}', 'name: a, creationTimestamp: "2026-02-01T00:00:00Z"'),
        kind('security.istio.io/v1', 'PeerAuthentication', '{mtls: {mode: DISABLE}}', 'name: b, creationTimestamp: "2026-01-01T00:00:00Z"'),
      ],
      'PeerAuthentication default/b, which is older, holds for the namespace',
    ],
  ])('%s', async (_, documents, reason) => {
    const resources = await resourcesOf(...documents);
    expect(withoutEffect(resources[0]!, effectContext(resources, mesh))).toBe(reason);
  });

  it.each([
    ['a route to a subset that is there', [route('{host: order-service, subset: v1}'), rule]],
    ['a route by the full name', [route('{host: order-service.default.svc.cluster.local}')]],
    ['a rule', [rule]],
    ['an action for want of whose provider requests are denied', [kind('security.istio.io/v1', 'AuthorizationPolicy', custom)]],
    ['a policy for a workload that runs', [kind('security.istio.io/v1', 'AuthorizationPolicy', '{selector: {matchLabels: {app: order-service}}}')]],
    [
      'a policy of the root namespace',
      [kind('security.istio.io/v1', 'PeerAuthentication', '{selector: {matchLabels: {app: order-service}}}', 'name: a, namespace: istio-system')],
    ],
  ])('but not %s', async (_, documents) => {
    const resources = await resourcesOf(...documents);
    expect(withoutEffect(resources[0]!, effectContext(resources, mesh))).toBeUndefined();
  });
});

describe('statusNotes', () => {
  it('names the fields that no proxy acts on, where they stand', async () => {
    const [resource] = await resourcesOf(
      kind(
        'networking.istio.io/v1',
        'DestinationRule',
        '{host: a, trafficPolicy: {retryBudget: {percent: 20, budgetInterval: 10s}, connectionPool: {tcp: {maxConnections: 1}}}, subsets: [{name: v1}, {name: v2, trafficPolicy: {tls: {mode: SIMPLE, credentialName: c}}}]}',
      ),
    );
    expect(statusNotes(resource!)).toEqual([
      'spec.subsets[1].trafficPolicy.tls.credentialName is accepted, but not in effect in this version: secrets by name are not served yet: give files',
      'spec.trafficPolicy.retryBudget.budgetInterval is accepted, but not in effect in this version: the budget is a share of the requests that are under way',
    ]);
  });

  it('says what a field without effect leads to', async () => {
    const [policy, retries, entry] = await resourcesOf(
      kind('security.istio.io/v1', 'AuthorizationPolicy', custom),
      kind(
        'networking.istio.io/v1',
        'VirtualService',
        '{hosts: [a], http: [{route: [{destination: {host: a}}], retries: {attempts: 1, retryRemoteLocalities: true}}]}',
      ),
      kind('networking.istio.io/v1', 'WorkloadEntry', '{address: 10.0.0.1, network: west}'),
    );
    expect(statusNotes(policy!)).toEqual([expect.stringMatching(/^spec\.provider .* CUSTOM denies what its rules match$/)]);
    expect(statusNotes(retries!)).toEqual([expect.stringMatching(/^spec\.http\[0\]\.retries\.retryRemoteLocalities .* priorities/)]);
    // By MeshNetworks.
    expect(statusNotes(entry!)).toEqual([]);
  });

  it('names a kind that is not in effect, and nothing of what is', async () => {
    const [wasm, service] = await resourcesOf(kind('extensions.istio.io/v1alpha1', 'WasmPlugin', '{url: "oci://a"}'), route('{host: order-service}'));
    expect(statusNotes(wasm!)).toEqual([expect.stringMatching(/^WasmPlugin is accepted and kept, but not in effect in this version: no proxy .* passes/)]);
    expect(statusNotes(service!)).toEqual([]);
  });
});
