import { anyUnpack } from '@bufbuild/protobuf/wkt';
import { readResources } from '@outrigger/resources';
import { UpstreamTlsContextSchema } from '@outrigger/xds/protos/envoy/extensions/transport_sockets/tls/v3/tls';
import { expect, it } from 'vitest';
import { buildMesh } from '../mesh.ts';
import { node, service } from '../testing/shop.ts';
import { cluster } from '../translate.ts';

const orders = service('orders', 443, 'HTTPS', {
  hostname: 'orders.shop.svc.cluster.local',
  namespace: 'shop',
  ports: [
    { name: 'https', port: 443, protocol: 'HTTPS' },
    { name: 'other', port: 444, protocol: 'HTTPS' },
  ],
});
const gateway = node('edge', { namespace: 'shop', httpProxy: undefined, inbound: [], gateway: { address: '0.0.0.0', portMap: {}, portOffset: 0 } });
const policy = (name: string, target: string, validation: string): string => `
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: { name: ${name}, namespace: shop }
spec: { targetRefs: [{ group: "", kind: Service, name: orders${target} }], validation: { ${validation} } }
---`;
const AUTHORITIES = 'caCertificateRefs: [{ group: "", kind: ConfigMap, name: authorities }]';

async function contextOf(text: string, port: number, from = gateway) {
  const { resources, problems } = await readResources([{ file: 'a.yaml', text }]);
  expect(problems).toEqual([]);
  const { message, notes } = cluster(buildMesh({ config: resources, services: [orders], instances: [] }), from, `outbound|${port}||${orders.hostname}`);
  const config = message?.transportSocket?.configType;
  return { context: config?.case === 'typedConfig' ? anyUnpack(config.value, UpstreamTlsContextSchema) : undefined, notes };
}

it('is of the port that it names, before one of the whole service; of equals the first by name', async () => {
  const text =
    policy('b', ', sectionName: https', `hostname: named.example.com, ${AUTHORITIES}`) +
    policy('a', '', `hostname: all.example.com, ${AUTHORITIES}`) +
    policy('c', '', `hostname: late.example.com, ${AUTHORITIES}`);
  expect((await contextOf(text, 443)).context?.sni).toBe('named.example.com');
  const other = await contextOf(text, 444);
  expect(other.context?.sni).toBe('all.example.com');
  expect(other.notes.map(({ resource }) => resource.name)).toEqual(['c']);
});

it('verifies by the authorities and names that it has', async () => {
  const { context } = await contextOf(policy('a', '', `hostname: a.example.com, subjectAltNames: [{ type: URI, uri: "spiffe://a/b" }], ${AUTHORITIES}`), 443);
  const validation = context?.commonTlsContext?.validationContextType;
  if (validation?.case !== 'combinedValidationContext') return expect.unreachable('no authorities of a secret');
  expect(validation.value.validationContextSdsSecretConfig?.name).toBe('kubernetes-gateway://shop/authorities-cacert');
  expect(validation.value.defaultValidationContext?.matchTypedSubjectAltNames.map(({ matcher }) => matcher?.matchPattern.value)).toEqual(['spiffe://a/b']);
  const system = (await contextOf(policy('a', '', 'hostname: a.example.com, wellKnownCACertificates: System'), 443)).context;
  expect(system?.commonTlsContext?.validationContextType.case).toBe('validationContext');
});

it('trusts all the authorities that it names, and nobody where it names none that can be', async () => {
  const reference = (name: string, kind = 'ConfigMap', group = '""') => `{ group: ${group}, kind: ${kind}, name: ${name} }`;
  const trusted = async (...references: string[]) => {
    const { context, notes } = await contextOf(policy('a', '', `hostname: a.example.com, caCertificateRefs: [${references.join()}]`), 443);
    const validation = context?.commonTlsContext?.validationContextType;
    const name = validation?.case === 'combinedValidationContext' ? validation.value.validationContextSdsSecretConfig?.name : undefined;
    return [name, ...notes.map(({ field }) => field)];
  };
  const field = 'spec.validation.caCertificateRefs';
  expect(await trusted(reference('old'), reference('new', 'Secret'))).toEqual(['kubernetes-gateway://shop/old-cacert,shop/new-cacert']);
  expect(await trusted(reference('old', 'Bundle', 'trust.example'), reference('new'))).toEqual(['kubernetes-gateway://shop/new-cacert', `${field}[0]`]);
  expect(await trusted(reference('old', 'Bundle', 'trust.example'))).toEqual(['kubernetes-gateway://shop/nobody.invalid-cacert', `${field}[0]`]);
});

it('shows the certificate of the Gateway', async () => {
  const served = `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: edge, namespace: shop }
spec:
  gatewayClassName: outrigger
  listeners: [{ name: http, port: 80, protocol: HTTP }]
  tls: { backend: { clientCertificateRef: { group: "", kind: Secret, name: ours } } }
---`;
  const { context } = await contextOf(served + policy('a', '', `hostname: a.example.com, ${AUTHORITIES}`), 443);
  expect(context?.commonTlsContext?.tlsCertificateSdsSecretConfigs.map(({ name }) => name)).toEqual(['kubernetes-gateway://shop/ours']);
});

it("is a gateway's affair: a sidecar has no such authorities", async () => {
  const sidecar = { ...gateway, gateway: undefined, httpProxy: { host: '127.0.0.1', port: 1 } };
  expect((await contextOf(policy('a', '', `hostname: a.example.com, ${AUTHORITIES}`), 443, sidecar)).context).toBeUndefined();
});
