import { describe, expect, test } from 'vitest';
import { object, said } from '../testing/said.ts';
import { alphaAnnotations, annotations } from './annotations.ts';
import { applicationUids } from './application-uids.ts';
import { deploymentServices } from './deployment-services.ts';
import { destinationRuleWorkloads } from './destination-rule-workloads.ts';
import { servicePortNames } from './service-port-names.ts';
import { sidecarSelectors } from './sidecar-selectors.ts';

describe('deployment services', () => {
  const namespace = object('Namespace', 'default', {}, { labels: { 'istio-injection': 'enabled' } });
  const deployment = (metadata: Record<string, unknown> = {}, labels: object = {}) =>
    object(
      'Deployment',
      'd',
      { spec: { template: { metadata: { labels: { app: 'a', ...labels } }, spec: { containers: [{ name: 'a', image: 'a' }] } } } },
      metadata,
    );
  const service = (name: string, ...ports: object[]) => object('Service', name, { spec: { selector: { app: 'a' }, ports } });

  test.each<[string, string, string[]]>([
    ['one port of two protocols', deployment() + service('s', { port: 53, protocol: 'TCP' }) + service('t', { port: 53, protocol: 'UDP' }), ['IST0116']],
    ['one protocol, which is the default', deployment() + service('s', { port: 53 }) + service('t', { port: 53, protocol: 'TCP' }), []],
    ['two ports to one target', deployment() + service('s', { port: 80, targetPort: 8080 }) + service('t', { port: 8080 }), ['IST0137']],
    ['two ports to one named target', deployment() + service('s', { port: 80, targetPort: 'web' }, { port: 81, targetPort: 'web' }), ['IST0137']],
    ['one port to one target', deployment() + service('s', { port: 80, targetPort: 8080 }) + service('t', { port: 80, targetPort: 8080 }), []],
    ['out of the mesh', deployment({}, { 'sidecar.istio.io/inject': 'false' }) + service('s', { port: 80, targetPort: 1 }, { port: 81, targetPort: 1 }), []],
    [
      'another namespace',
      deployment({ namespace: 'other' }, { 'sidecar.istio.io/inject': 'true' }) + service('s', { port: 80, targetPort: 1 }, { port: 81, targetPort: 1 }),
      [],
    ],
    [
      'a waypoint',
      deployment({ labels: { 'gateway.istio.io/managed': 'istio.io-mesh-controller' } }) +
        service('s', { port: 80, targetPort: 1 }, { port: 81, targetPort: 1 }),
      [],
    ],
  ])('%s', async (_, yaml, codes) => {
    expect(await said(deploymentServices, namespace + yaml)).toEqual(codes.map((code) => `${code} Deployment default/d:3`));
  });
});

describe('application uids', () => {
  const user = (runAsUser: number) => ({ securityContext: { runAsUser } });
  const spec = (more: object, ...containers: object[]) => ({ ...more, containers });

  test.each<[string, string, string[]]>([
    ['a pod', object('Pod', 'p', { spec: spec(user(1337)) }), ['Pod default/p:1']],
    ['its container', object('Pod', 'p', { spec: spec({}, { name: 'a', ...user(1337) }) }), ['Pod default/p:1']],
    ['both, said once', object('Pod', 'p', { spec: spec(user(1337), { name: 'a', ...user(1337) }) }), ['Pod default/p:1']],
    ['the sidecar', object('Pod', 'p', { spec: spec({}, { name: 'istio-proxy', ...user(1337) }) }), []],
    ['another user', object('Pod', 'p', { spec: spec(user(1000), { name: 'a', ...user(0) }) }), []],
    ['a Deployment', object('Deployment', 'd', { spec: { template: { spec: spec({}, { name: 'a', ...user(1337) }) } } }), ['Deployment default/d:1']],
    ['of Istio itself', object('Pod', 'p', { spec: spec(user(1337)) }, { labels: { istio: 'pilot' } }), []],
  ])('%s', async (_, yaml, expected) => {
    expect(await said(applicationUids, yaml)).toEqual(expected.map((place) => `IST0144 ${place}`));
  });
});

describe('service port names', () => {
  const service = (port: object, more: object = {}, metadata: object = {}) =>
    object('Service', 's', { spec: { ports: [{ port: 8080, ...port }], ...more } }, metadata as Record<string, unknown>);

  test.each<[string, string, string[]]>([
    ['a protocol', service({ name: 'http' }), []],
    ['a protocol and more', service({ name: 'grpc-api' }), []],
    ['no protocol', service({ name: 'api' }), ['IST0118']],
    ['no name', service({}), ['IST0118']],
    ['appProtocol', service({ name: 'api', appProtocol: 'http' }), []],
    ['a port of a known protocol', service({ name: 'db', port: 3306 }), []],
    ['UDP', service({ name: 'x', protocol: 'UDP' }), []],
    ['of an external name', service({ name: 'x' }, { type: 'ExternalName' }), ['IST0150']],
    ['tcp of an external name', service({ name: 'tcp' }, { type: 'ExternalName' }), ['IST0150']],
    ['http of an external name', service({ name: 'http' }, { type: 'ExternalName' }), []],
    ['of Kubernetes itself', service({}, {}, { namespace: 'kube-system' }), []],
    ['of Istio itself', service({}, {}, { labels: { istio: 'pilot' } }), []],
  ])('%s', async (_, yaml, codes) => {
    expect((await said(servicePortNames, yaml)).map((found) => found.split(' ', 1)[0])).toEqual(codes);
  });
});

describe('annotations', () => {
  const annotated = (kind: string, name: string, value = '', labels: object = {}) => object(kind, 'x', {}, { annotations: { [name]: value }, labels });

  test.each<[string, string, string, string[]]>([
    ['unknown', annotated('Pod', 'sidecar.istio.io/injekt'), 'IST0108 Pod default/x', []],
    ["somebody else's", annotated('Pod', 'example.com/inject'), '', []],
    ['in its place', annotated('Service', 'networking.istio.io/exportTo', '*'), '', []],
    ['out of its place', annotated('Deployment', 'sidecar.istio.io/proxyCPU', '1'), 'IST0107 Deployment default/x', []],
    ['anywhere', annotated('Namespace', 'install.operator.istio.io/version', '1'), '', []],
    ['deprecated', annotated('Pod', 'sidecar.istio.io/inject', 'true'), 'IST0135 Pod default/x', []],
    ['deprecated, with the label', annotated('Pod', 'sidecar.istio.io/inject', 'true', { 'sidecar.istio.io/inject': 'true' }), '', []],
    ['a class of ingresses', annotated('Service', 'kubernetes.io/ingress.class', 'istio'), 'IST0107 Service default/x', []],
  ])('%s', async (_, yaml, expected) => {
    expect((await said(annotations, yaml)).map((found) => found.replace(/:\d+$/, ''))).toEqual(expected === '' ? [] : [expected]);
  });

  test.each([
    ['sidecar.istio.io/interceptionMode', 'TPROXY', 'SIDEWAYS'],
    ['status.sidecar.istio.io/port', '15020', '65536'],
    ['readiness.status.sidecar.istio.io/periodSeconds', '30', '-1'],
    ['traffic.sidecar.istio.io/includeOutboundIPRanges', '*', '10.0.0.0'],
    ['traffic.sidecar.istio.io/includeOutboundIPRanges', '10.0.0.0/8,fd00::/8', '10.0.0.0/33'],
    ['traffic.sidecar.istio.io/excludeOutboundIPRanges', '', '*'],
    ['traffic.sidecar.istio.io/includeInboundPorts', '80, 443', '80,http'],
    ['traffic.sidecar.istio.io/excludeInboundPorts', '80', '*'],
    ['prometheus.istio.io/merge-metrics', 'true', 'yes'],
    ['proxy.istio.io/config', 'concurrency: 2', 'concurrency: ['],
  ])('the value of %s: %j, not %j', async (name, right, wrong) => {
    expect(await said(annotations, annotated('Pod', name, right))).toEqual([]);
    expect(await said(annotations, annotated('Pod', name, wrong))).toEqual(['IST0125 Pod default/x:1']);
  });

  test.each<[string, string, string[]]>([
    ['alpha', annotated('Pod', 'sidecar.istio.io/proxyCPU', '1'), ['IST0136 Pod default/x:1']],
    ['settled', annotated('Pod', 'proxy.istio.io/config', ''), []],
    ['written by the injector', annotated('Pod', 'sidecar.istio.io/status', '{}'), []],
    ['written where the node redirects', annotated('Pod', 'sidecar.istio.io/interceptionMode', 'REDIRECT'), []],
  ])('%s', async (_, yaml, expected) => {
    expect(await said(alphaAnnotations, yaml)).toEqual(expected);
  });
});

describe('sidecar selectors', () => {
  const sidecar = (name: string, app?: string) =>
    object('Sidecar', name, { spec: { egress: [{ hosts: ['./*'] }], ...(app === undefined ? {} : { workloadSelector: { labels: { app } } }) } });
  const pod = (app: string, annotations: object = {}) => object('Pod', app, {}, { labels: { app }, annotations });
  const ambient = { 'ambient.istio.io/redirection': 'enabled' };

  test.each<[string, string, string[]]>([
    ['of a pod and of all', pod('a') + sidecar('s', 'a') + sidecar('t'), []],
    ['of none', pod('a') + sidecar('s', 'b'), ['IST0101 s:3']],
    ['where nothing is known to run', sidecar('s', 'b'), []],
    ['two of a pod', pod('a') + sidecar('s', 'a') + sidecar('t', 'a'), ['IST0110 s:3', 'IST0110 t:5']],
    ['two of all', sidecar('s') + sidecar('t'), ['IST0111 s:1', 'IST0111 t:3']],
    ['of an ambient pod', pod('a', ambient) + sidecar('s', 'a') + sidecar('t', 'a'), ['IST0167 s:3', 'IST0167 t:5']],
    [
      'of an ambient namespace',
      object('Namespace', 'default', {}, { labels: { 'istio.io/dataplane-mode': 'ambient' } }) + sidecar('s') + sidecar('t'),
      ['IST0167 s:3', 'IST0167 t:5'],
    ],
  ])('%s', async (_, yaml, expected) => {
    expect(await said(sidecarSelectors, yaml)).toEqual(expected.map((found) => found.replace(' ', ' Sidecar default/')));
  });
});

test('subsets of endpoints that DNS tells of are held against the labels that their ServiceEntry gives them', async () => {
  const entry = (endpoints: readonly object[] = []) =>
    object(
      'ServiceEntry',
      's',
      { spec: { hosts: ['a.default.svc.cluster.local'], resolution: 'DNS', endpoints, ports: [{ number: 80, name: 'http', protocol: 'HTTP' }] } },
      { annotations: { 'outrigger.dev/srv': '_http._tcp.a.example' } },
    );
  const subsets = object('DestinationRule', 'r', { spec: { host: 'a', subsets: ['v1', 'v2'].map((version) => ({ name: version, labels: { version } })) } });
  // That there are workloads of other services says nothing of these.
  const other = object('Pod', 'p', { spec: { containers: [{ name: 'p', image: 'p' }] } });
  expect(await said(destinationRuleWorkloads, entry() + subsets + other)).toEqual([]);
  expect(await said(destinationRuleWorkloads, entry([{ address: 'a.example', labels: { version: 'v1' } }]) + subsets + other)).toEqual([
    'IST0173 DestinationRule default/r:3',
  ]);
});
