import { anyUnpack } from '@bufbuild/protobuf/wkt';
import { GATEWAY_API, type ObjectReference } from '@outrigger/resources';
import { DownstreamTlsContextSchema } from '@outrigger/xds/protos/envoy/extensions/transport_sockets/tls/v3/tls';
import { expect, test } from 'vitest';
import { buildMesh } from '../../mesh.ts';
import { node, resource, shopInstances, shopServices } from '../../testing/shop.ts';
import { listener } from '../../translate.ts';

const edge = node('edge', { inbound: [], httpProxy: undefined, gateway: { address: '0.0.0.0', portMap: {}, portOffset: 0 } });
const api = (kind: string, name: string, spec: object) => ({ ...resource(kind, name, spec), apiVersion: `${GATEWAY_API}/v1` });

/** Under which name a gateway gets whom it trusts to vouch for clients, and what is said of that. */
function clientAuthorities(...caCertificateRefs: readonly ObjectReference[]): readonly (string | undefined)[] {
  const config = [
    api('Gateway', 'edge', {
      gatewayClassName: 'outrigger',
      listeners: [{ name: 'https', port: 443, protocol: 'HTTPS', tls: { certificateRefs: [{ name: 'c' }] } }],
      tls: { frontend: { default: { validation: { caCertificateRefs } } } },
    }),
    api('HTTPRoute', 'r', { parentRefs: [{ name: 'edge' }], rules: [{ backendRefs: [{ name: 'web', port: 8080 }] }] }),
  ];
  const { message, notes } = listener(buildMesh({ config, services: shopServices, instances: shopInstances }), edge, '0.0.0.0_443');
  const socket = message?.filterChains[0]?.transportSocket?.configType.value;
  const tls = socket === undefined ? undefined : anyUnpack(socket as never, DownstreamTlsContextSchema);
  const validation = tls?.commonTlsContext?.validationContextType;
  const name =
    validation?.case === 'combinedValidationContext'
      ? validation.value.validationContextSdsSecretConfig?.name
      : validation?.case === 'validationContextSdsSecretConfig'
        ? validation.value.name
        : undefined;
  return [name, ...notes.map(({ message: text }) => text)];
}

test('clients are vouched for by all the authorities that a Gateway names', () => {
  expect(clientAuthorities({ kind: 'ConfigMap', name: 'old' }, { kind: 'Secret', name: 'new' })).toEqual([
    'kubernetes-gateway://default/old-cacert,default/new-cacert',
  ]);
});

test('and by the others where one may not be named', () => {
  expect(clientAuthorities({ kind: 'ConfigMap', name: 'old', namespace: 'other' }, { kind: 'ConfigMap', name: 'new' })).toEqual([
    'kubernetes-gateway://default/new-cacert',
    expect.stringMatching(/^no ReferenceGrant of namespace other .* ConfigMap old; the other caCertificateRefs hold$/),
  ]);
});

test('and nothing is served where none may', () => {
  expect(clientAuthorities({ kind: 'Bundle', group: 'trust.example', name: 'old' })[0]).toBeUndefined();
});
