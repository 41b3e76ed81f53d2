import { create, type DescMessage, type Message } from '@bufbuild/protobuf';
import type { Svid } from '@outrigger/identity';
import { clusterNames, listenerNames, type Mesh, parseNode, translate } from '@outrigger/translate';
import { createAdsRoutes, createGrpcServer, createSdsRoutes, type GrpcServer, packResource, type SecretStore, TypeUrl } from '@outrigger/xds';
import { ClusterSchema } from '@outrigger/xds/protos/envoy/config/cluster/v3/cluster';
import { ClusterLoadAssignmentSchema } from '@outrigger/xds/protos/envoy/config/endpoint/v3/endpoint';
import { ListenerSchema } from '@outrigger/xds/protos/envoy/config/listener/v3/listener';
import { RouteConfigurationSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route';
import { VirtualHostSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
import { type Secret, SecretSchema } from '@outrigger/xds/protos/envoy/extensions/transport_sockets/tls/v3/secret';

const schemas = new Map<TypeUrl, DescMessage>([
  [TypeUrl.cluster, ClusterSchema],
  [TypeUrl.endpoint, ClusterLoadAssignmentSchema],
  [TypeUrl.listener, ListenerSchema],
  [TypeUrl.route, RouteConfigurationSchema],
  [TypeUrl.virtualHost, VirtualHostSchema],
]);

export interface ServedMesh {
  readonly mesh: () => Mesh;
  /** To be called when the mesh has changed: one for each proxy. */
  readonly changed: Set<() => void>;
  /** What proxies refuse. */
  readonly refusals: string[];
}

/** ADS over a unix socket that says what translation says. */
export function serveMesh(socketPath: string, { mesh, changed, refusals }: ServedMesh): Promise<GrpcServer> {
  const { methods } = createAdsRoutes({
    open: (node, _caller, tellChange) => {
      const proxy = parseNode(node);
      const tell = () => {
        for (const type of schemas.keys()) tellChange(type, 'all');
      };
      changed.add(tell);
      return {
        get: (type, name) => {
          const made = translate(mesh(), proxy, type, name);
          if (made?.message === undefined) return undefined;
          return packResource(schemas.get(type)!, made.name, made.message as Message, made.aliases);
        },
        wildcard: (type) =>
          type === TypeUrl.listener ? listenerNames(mesh(), proxy).names : type === TypeUrl.cluster ? clusterNames(mesh(), proxy).names : [],
        nacked: (type, _versions, message) => refusals.push(`${proxy.id} ${type.split('.').at(-1)}: ${message}`),
        close: () => changed.delete(tell),
      };
    },
  });
  return createGrpcServer({ listen: { socketPath }, methods });
}

/** SDS over a unix socket: the certificate and the roots of one workload, as its agent has them. */
export function serveSecrets(socketPath: string, svid: Svid): Promise<GrpcServer> {
  const inline = (value: string) => ({ specifier: { case: 'inlineString' as const, value } });
  const secrets = new Map<string, Secret>([
    [
      'default',
      create(SecretSchema, {
        name: 'default',
        type: { case: 'tlsCertificate', value: { certificateChain: inline(svid.certificateChainPem.join('\n')), privateKey: inline(svid.privateKeyPem) } },
      }),
    ],
    ['ROOTCA', create(SecretSchema, { name: 'ROOTCA', type: { case: 'validationContext', value: { trustedCa: inline(svid.trustBundlePem.join('\n')) } } })],
  ]);
  const store: SecretStore = { get: (secret) => secrets.get(secret), onChange: () => () => {} };
  return createGrpcServer({ listen: { socketPath }, methods: createSdsRoutes(store).methods });
}
