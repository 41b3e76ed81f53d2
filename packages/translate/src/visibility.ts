import { isExportedTo, matchesLabels, type Service } from '@outrigger/resources';
import { coveringHosts, covers, fullHost } from './hosts.ts';
import type { DestinationRule, Sidecar, VirtualService } from './mesh.ts';
import type { Reader } from './reader.ts';

/** Name of the proxy's scope: what of the mesh its Sidecar lets it see. */
interface EgressHost {
  readonly namespace: string;
  readonly host: string;
  /** Of the egress listener; undefined: every port. */
  readonly port: number | undefined;
}

/** What one node may see: exportTo of every resource, and its Sidecar. */
export class Visibility {
  readonly #reader: Reader;
  readonly sidecar: Sidecar | undefined;
  readonly #egress: readonly EgressHost[] | undefined;

  constructor(reader: Reader) {
    this.#reader = reader;
    // A Sidecar is about sidecars.
    this.sidecar = reader.node.gateway === undefined ? sidecarOf(reader) : undefined;
    this.#egress = this.sidecar === undefined ? undefined : egressOf(this.sidecar, reader);
    if (this.sidecar !== undefined) reader.uses(this.sidecar);
  }

  get outboundPolicy(): 'ALLOW_ANY' | 'REGISTRY_ONLY' {
    return this.sidecar?.spec.outboundTrafficPolicy?.mode ?? this.#reader.settings.outboundPolicy;
  }

  #imports(namespace: string, host: string, port?: number): boolean {
    if (this.#egress === undefined) return true;
    return this.#egress.some(
      (egress) =>
        (egress.namespace === '*' || egress.namespace === namespace) &&
        covers(egress.host, host) &&
        (port === undefined || egress.port === undefined || egress.port === port),
    );
  }

  /** The service that the node means by a full host name: its own namespace's first, then the oldest. */
  service(hostname: string): Service | undefined {
    const seen = this.#reader
      .services(hostname)
      .filter(
        (service) =>
          isExportedTo(service.exportTo, service.namespace, this.#reader.node.namespace) &&
          (this.#imports(service.namespace, hostname) || this.#isDestination(hostname)),
      );
    return seen.find(({ namespace }) => namespace === this.#reader.node.namespace) ?? seen[0];
  }

  /** The services that are listed for the node, one for each hostname. */
  *services(): IterableIterator<Service> {
    const hostnames = new Set<string>();
    for (const service of this.#reader.allServices()) {
      if (hostnames.has(service.hostname)) continue;
      hostnames.add(service.hostname);
      const seen = this.service(service.hostname);
      if (seen !== undefined) yield seen;
    }
  }

  /** Whether the port of a service is in scope: an egress listener may name one. */
  port(service: Service, port: number): boolean {
    return this.#imports(service.namespace, service.hostname, port) || this.#isDestination(service.hostname);
  }

  /** A VirtualService that is imported brings the services that it routes to with it. */
  #isDestination(hostname: string): boolean {
    if (this.#egress === undefined) return false;
    this.#destinations ??= this.#importedDestinations();
    return this.#destinations.has(hostname);
  }

  #destinations: ReadonlySet<string> | undefined;

  #importedDestinations(): ReadonlySet<string> {
    const found = new Set<string>();
    for (const [host, list] of this.#reader.allVirtualServices()) {
      for (const virtualService of list) {
        if (!this.#sees(virtualService, host)) continue;
        for (const { host: destination } of destinationsOf(virtualService))
          found.add(fullHost(destination, virtualService.metadata.namespace, this.#reader.settings.domainSuffix));
      }
    }
    return found;
  }

  /** VirtualServices bound to a gateway ("NAMESPACE/NAME") that are exported to its workload, oldest first. */
  boundVirtualServices(gateway: string): readonly VirtualService[] {
    return this.#reader
      .boundVirtualServices(gateway)
      .filter(({ metadata, spec }) => isExportedTo(spec.exportTo, metadata.namespace, this.#reader.node.namespace));
  }

  #sees(virtualService: VirtualService, host: string): boolean {
    const { namespace } = virtualService.metadata;
    return isExportedTo(virtualService.spec.exportTo, namespace, this.#reader.node.namespace) && this.#imports(namespace, host);
  }

  /** The VirtualService for a host: the most specific host wins, of equal ones the oldest. */
  virtualService(host: string): VirtualService | undefined {
    for (const candidate of coveringHosts(host)) {
      const found = this.#reader.virtualServices(candidate).find((virtualService) => this.#sees(virtualService, host));
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** Hosts with a VirtualService that the node sees. */
  *virtualServiceHosts(): IterableIterator<string> {
    for (const [host, list] of this.#reader.allVirtualServices()) if (list.some((virtualService) => this.#sees(virtualService, host))) yield host;
  }

  /**
   * The DestinationRules for a service, to be merged in this order: those of the client's namespace, else of the service's,
   * else of the root namespace; of one namespace those with the most specific host; oldest first.
   */
  destinationRules(service: Pick<Service, 'hostname' | 'namespace'>): readonly DestinationRule[] {
    const { node, settings } = this.#reader;
    const hosts = coveringHosts(service.hostname);
    const all = hosts.map((host) => this.#reader.destinationRules(host));
    const selected = (rule: DestinationRule): boolean => {
      const selector = rule.spec.workloadSelector?.matchLabels;
      return selector === undefined || (rule.metadata.namespace === node.namespace && matchesLabels(selector, node.labels));
    };
    for (const namespace of new Set([node.namespace, service.namespace, settings.rootNamespace])) {
      for (const list of all) {
        const rules = list.filter(
          (rule) => rule.metadata.namespace === namespace && isExportedTo(rule.spec.exportTo, namespace, node.namespace) && selected(rule),
        );
        if (rules.length === 0) continue;
        // A rule for these workloads alone goes before one for everybody.
        const forMe = rules.filter((rule) => rule.spec.workloadSelector !== undefined);
        return forMe.length > 0 ? forMe : rules;
      }
    }
    return [];
  }
}

function sidecarOf(reader: Reader): Sidecar | undefined {
  const { node, settings } = reader;
  const own = reader.sidecars(node.namespace);
  const selecting = own.find(
    ({ spec }) => Object.keys(spec.workloadSelector?.labels ?? {}).length > 0 && matchesLabels(spec.workloadSelector?.labels, node.labels),
  );
  const forAll = ({ spec }: Sidecar): boolean => Object.keys(spec.workloadSelector?.labels ?? {}).length === 0;
  return selecting ?? own.find(forAll) ?? (node.namespace === settings.rootNamespace ? undefined : reader.sidecars(settings.rootNamespace).find(forAll));
}

function egressOf(sidecar: Sidecar, reader: Reader): readonly EgressHost[] | undefined {
  const { ingress, egress, inboundConnectionPool, outboundTrafficPolicy } = sidecar.spec;
  if (ingress !== undefined && ingress.length > 0)
    reader.ignored(
      sidecar,
      'spec.ingress',
      "inbound listeners come from the ports that the workload registered; its tls is in effect where the mesh's own is off",
    );
  if (inboundConnectionPool !== undefined) reader.ignored(sidecar, 'spec.inboundConnectionPool', 'connections to the application are not limited yet');
  if (outboundTrafficPolicy?.egressProxy !== undefined) reader.ignored(sidecar, 'spec.outboundTrafficPolicy.egressProxy', 'unknown hosts are called directly');
  if (egress === undefined || egress.length === 0) return undefined;
  const hosts: EgressHost[] = [];
  for (const [index, listener] of egress.entries()) {
    if (listener.bind !== undefined && listener.bind !== '')
      reader.ignored(sidecar, `spec.egress[${index}].bind`, 'calls come through HTTP_PROXY and declared upstream ports, not through bound addresses');
    for (const text of listener.hosts) {
      const slash = text.indexOf('/');
      const scope = slash < 0 ? '*' : text.slice(0, slash);
      if (scope === '~') continue;
      hosts.push({ namespace: scope === '.' ? reader.node.namespace : scope, host: text.slice(slash + 1).toLowerCase(), port: listener.port?.number });
    }
  }
  return hosts;
}

/** Every destination that a VirtualService names. */
export function destinationsOf(virtualService: VirtualService): readonly { readonly host: string }[] {
  const { http, tls, tcp } = virtualService.spec;
  return [
    ...(http ?? []).flatMap((route) => [
      ...(route.route ?? []).map(({ destination }) => destination),
      ...(route.mirror === undefined ? [] : [route.mirror]),
      ...(route.mirrors ?? []).map(({ destination }) => destination),
    ]),
    ...(tls ?? []).flatMap((route) => (route.route ?? []).map(({ destination }) => destination)),
    ...(tcp ?? []).flatMap((route) => (route.route ?? []).map(({ destination }) => destination)),
  ];
}
