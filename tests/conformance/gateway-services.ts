import { type ApiGatewaySpec, GATEWAY_API, isKind, kubernetesServices, type Resource } from '@outrigger/resources';
import type { World } from '../../packages/cli/src/simulate/world.ts';

const SERVICES = 'internal.istio.io/gateway-service';
const NO_TRANSLATION = 'experimental.istio.io/disable-gateway-port-translation';
/** Marks the gateways that this proxy serves by the annotation, as selectors mark the others. */
const SERVED = 'conformance.invalid/served';

/** Where a gateway's own ports are, as its services say: the ports that are bound by the server's. */
export interface BoundPorts {
  readonly resources: readonly Resource[];
  readonly labels: Readonly<Record<string, string>>;
  /** The service that a Gateway of Gateway API has as its address, where it is the proxy's. */
  readonly service?: string;
  readonly ports: ReadonlyMap<number, ReadonlySet<number>>;
}

/** Gateways that stand for the addresses of services (an annotation) are served by the proxies behind those, on the target ports. */
export function boundPorts(world: World, namespace: string, addresses: readonly string[], labels: Readonly<Record<string, string>>): BoundPorts {
  const untranslated = new Set(
    kubernetesServices(world.others)
      .filter(({ service }) => service.labels[NO_TRANSLATION] === 'true')
      .map(({ service }) => service.hostname),
  );
  const own = world.instances.filter(({ address }) => addresses.includes(address));
  const targets = new Map<string, Map<number, number>>();
  for (const { services, ports } of own) {
    for (const host of services) {
      const found = targets.get(host) ?? new Map<number, number>();
      for (const { servicePort, applicationPort } of ports)
        if (!found.has(servicePort)) found.set(servicePort, untranslated.has(host) ? servicePort : applicationPort);
      targets.set(host, found);
    }
  }
  const portMap = new Map<number, Set<number>>();
  for (const found of targets.values()) for (const [port, target] of found) portMap.set(port, (portMap.get(port) ?? new Set()).add(target));
  const resources = world.resources.flatMap((resource): Resource[] => {
    if (!isKind(resource, 'Gateway') || !resource.apiVersion.startsWith('networking.istio.io/')) return [resource];
    const named = resource.metadata.annotations[SERVICES];
    if (named === undefined) return [resource];
    const hosts = named.split(',').map((host) => (host.includes('.') ? host : `${host}.${resource.metadata.namespace}.svc.cluster.local`));
    const ofNamespace = hosts.filter((host) =>
      world.services.some(({ hostname, namespace: owner }) => hostname === host && owner === resource.metadata.namespace),
    );
    const served = ofNamespace.flatMap((host) => [...(targets.get(host) ?? new Map<number, number>()).keys()]);
    if (resource.metadata.namespace !== namespace) return [];
    const servers = (resource.spec.servers ?? []).filter(({ port }) => served.includes(port.number));
    return [{ ...resource, spec: { ...resource.spec, selector: { [SERVED]: 'yes' }, servers } } as Resource];
  });
  const service = addressed(world.resources, namespace, new Set(targets.keys()));
  return { resources, ...(service === undefined ? {} : { service }), labels: { ...labels, [SERVED]: 'yes' }, ports: portMap };
}

function addressed(resources: readonly Resource[], namespace: string, own: ReadonlySet<string>): string | undefined {
  for (const { kind, apiVersion, metadata, spec } of resources) {
    if (kind !== 'Gateway' || !apiVersion.startsWith(`${GATEWAY_API}/`) || metadata.namespace !== namespace) continue;
    const host = ((spec as ApiGatewaySpec).addresses ?? []).map(({ value = '' }) => value).find((value) => own.has(value));
    if (host !== undefined) return host.split('.')[0];
  }
  return undefined;
}
