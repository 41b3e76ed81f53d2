import { type BackendReference, GATEWAY_API, type ObjectReference, type ReferenceGrantSpec, type Resource, refOf, type Service } from '@outrigger/resources';
import type { Reader } from '../../reader.ts';
import type { Visibility } from '../../visibility.ts';

/** What a condition says where a reference leads nowhere; the reasons are the specification's. */
export interface BadReference {
  readonly reason: 'InvalidKind' | 'BackendNotFound' | 'RefNotPermitted' | 'InvalidCertificateRef' | 'InvalidCACertificateKind';
  readonly message: string;
}

/** Whether a resource may name another one, of another namespace by that one's ReferenceGrant. */
export function isGranted(
  reader: Reader,
  from: Resource,
  to: { readonly group: string; readonly kind: string; readonly namespace: string; readonly name: string },
): boolean {
  const { group, kind, namespace } = refOf(from);
  if (namespace === to.namespace) return true;
  return reader
    .gatewayApi<ReferenceGrantSpec>('ReferenceGrant')
    .some(
      ({ metadata, spec }) =>
        metadata.namespace === to.namespace &&
        spec.from.some((one) => one.group === group && one.kind === kind && one.namespace === namespace) &&
        spec.to.some((one) => one.group === to.group && one.kind === to.kind && (one.name === undefined || one.name === '' || one.name === to.name)),
    );
}

export interface FoundBackend {
  readonly service: Service;
  readonly port: number;
}

/** The service that a route sends to. */
export function backendOf(reader: Reader, visibility: Visibility, route: Resource, reference: BackendReference): FoundBackend | BadReference {
  const { group = '', kind = 'Service', name, port = 0 } = reference;
  const namespace = reference.namespace ?? route.metadata.namespace;
  const byHost = group === 'networking.istio.io' && kind === 'Hostname';
  if (!byHost && (group !== '' || kind !== 'Service'))
    return { reason: 'InvalidKind', message: `${group === '' ? kind : `${kind}.${group}`} ${name} is no backend; a Service is` };
  if (!byHost && !isGranted(reader, route, { group, kind, namespace, name }))
    return {
      reason: 'RefNotPermitted',
      message: `no ReferenceGrant of namespace ${namespace} lets ${route.kind}s of ${route.metadata.namespace} name its Service ${name}`,
    };
  const host = byHost ? name.toLowerCase() : `${name}.${namespace}.svc.${reader.settings.domainSuffix}`;
  const service = visibility.service(host);
  if (service === undefined) return { reason: 'BackendNotFound', message: `there is no service ${host}` };
  if (!service.ports.some((candidate) => candidate.port === port)) return { reason: 'BackendNotFound', message: `service ${host} has no port ${port}` };
  return { service, port };
}

/** "NAMESPACE/NAME" of a secret (or, of authorities, of a config map) that a gateway names. */
export function secretOf(reader: Reader, gateway: Resource, reference: ObjectReference, kinds: readonly string[]): string | BadReference {
  const { group = '', kind = 'Secret', name } = reference;
  const namespace = reference.namespace ?? gateway.metadata.namespace;
  if (group !== '' || !kinds.includes(kind))
    return { reason: 'InvalidCertificateRef', message: `${group === '' ? kind : `${kind}.${group}`} ${name} is no ${kinds.join(' or ')}` };
  if (!isGranted(reader, gateway, { group, kind, namespace, name }))
    return {
      reason: 'RefNotPermitted',
      message: `no ReferenceGrant of namespace ${namespace} lets ${GATEWAY_API} Gateways of ${gateway.metadata.namespace} name its ${kind} ${name}`,
    };
  return `${namespace}/${name}`;
}
