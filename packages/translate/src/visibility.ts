import {
  covers,
  type Destination,
  fullHost,
  type IstioEgressListener,
  isExportedTo,
  matchesLabels,
  type Protocol,
  protocolOf,
  type Service,
} from '@outrigger/resources';
import { coveringHosts } from './hosts.ts';
import { byAge, type DestinationRule, type Sidecar, type VirtualService } from './mesh.ts';
import { isHttp } from './protocols.ts';
import type { Reader } from './reader.ts';
import { httpRules } from './routes/delegate.ts';
import type { OutboundPolicy } from './settings.ts';

/** Name of the proxy's scope: what of the mesh its Sidecar lets it see. */
interface EgressHost {
  readonly namespace: string;
  readonly host: string;
  /** Of the egress listener; undefined: every port that no other listener has. */
  readonly port: number | undefined;
  /** Only what is sent to that port as to a proxy. */
  readonly proxied: boolean;
}

/** A port of HTTP_PROXY in a Sidecar's egress. */
export interface EgressProxy {
  readonly port: number;
  readonly address: string;
  /** Not a port of redirected connections, but one that the proxy itself binds. */
  readonly bound: boolean;
}

const LOOPBACK = '127.0.0.1';
const ANY_ADDRESS = '0.0.0.0';

/** A port that a Sidecar's egress names, and how it is listened on. */
export interface EgressPort {
  readonly port: number;
  readonly protocol: Protocol;
  /** '' : the addresses of its services. */
  readonly bind: string;
  /** Not a port of redirected connections, but one that the proxy itself binds. */
  readonly bound: boolean;
}

/** What one node may see: exportTo of every resource, and its Sidecar. */
export class Visibility {
  readonly #reader: Reader;
  readonly sidecar: Sidecar | undefined;
  readonly #egress: readonly EgressHost[] | undefined;
  /** But for what is only sent to a proxy port. */
  readonly #own: readonly EgressHost[] | undefined;
  /** What is asked is a proxy that requests are sent to, whatever their host: so that is what says where they go. */
  readonly isForProxy: boolean;

  constructor(reader: Reader, proxy?: EgressProxy) {
    this.#reader = reader;
    this.isForProxy = proxy !== undefined;
    // A Sidecar is about sidecars.
    this.sidecar = reader.node.gateway === undefined ? sidecarOf(reader) : undefined;
    const egress = this.sidecar === undefined ? undefined : egressOf(this.sidecar, reader);
    this.#egress =
      proxy === undefined
        ? egress
        : egress?.filter((one) => one.proxied && one.port === proxy.port).map((one) => ({ ...one, port: undefined, proxied: false }));
    this.#own = this.#egress?.some(({ proxied }) => proxied) ? this.#egress.filter(({ proxied }) => !proxied) : this.#egress;
    if (this.sidecar !== undefined) reader.uses(this.sidecar);
  }

  get outboundPolicy(): OutboundPolicy {
    const own = this.sidecar?.spec.outboundTrafficPolicy;
    // The enumeration's first value is what a policy without a mode has.
    return own === undefined ? this.#reader.settings.outboundPolicy : (own.mode ?? 'REGISTRY_ONLY');
  }

  /** Of a resource that says nothing of it the mesh's settings do. */
  #isExported(own: readonly string[] | undefined, otherwise: readonly string[], namespace: string): boolean {
    return isExportedTo(own === undefined || own.length === 0 ? otherwise : own, namespace, this.#reader.node.namespace);
  }

  /** What one of its HTTP_PROXY ports sees: the hosts of that listener, on every port. */
  ofEgressProxy(proxy: EgressProxy): Visibility {
    return new Visibility(this.#reader, proxy);
  }

  /** One for each port; the first of two has it. */
  get egressProxies(): readonly EgressProxy[] {
    const found = new Map<number, EgressProxy>();
    for (const listener of this.sidecar?.spec.egress ?? []) {
      const { port, bind = '', captureMode } = listener;
      if (port?.number === undefined || !isProxy(listener) || bind.startsWith('unix:') || found.has(port.number)) continue;
      // Where nothing is redirected every port is one that is bound.
      const bound = captureMode === 'NONE' || this.#reader.node.capture === undefined;
      found.set(port.number, { port: port.number, address: bind || (bound ? LOOPBACK : ANY_ADDRESS), bound });
    }
    return [...found.values()];
  }

  /** Whether a service is called through an HTTP_PROXY port. */
  isProxied({ namespace, hostname }: Pick<Service, 'namespace' | 'hostname'>): boolean {
    if (this.#egress === this.#own) return false;
    return this.#imports(
      namespace,
      hostname,
      this.#egress?.filter(({ proxied }) => proxied),
    );
  }

  /** Whether a listener of the Sidecar's egress names the port, for services. */
  namesPort(port: number): boolean {
    return this.#own?.some((egress) => egress.port === port) ?? false;
  }

  /** The listener of the Sidecar's egress that names the port and imports the service; undefined: none does. */
  egressPort({ namespace, hostname }: Pick<Service, 'namespace' | 'hostname'>, port: number): EgressPort | undefined {
    const { egress = [] } = this.sidecar?.spec ?? {};
    const found = egress.find((listener) => listener.port?.number === port && !isProxy(listener));
    if (found === undefined || !this.#imports(namespace, hostname, this.#scopeOf(port))) return undefined;
    const { name = '', protocol } = found.port!;
    return { port, protocol: protocolOf(name, protocol, '', port), bind: found.bind ?? '', bound: found.captureMode === 'NONE' };
  }

  #imports(namespace: string, host: string, scope: readonly EgressHost[] | undefined = this.#own): boolean {
    if (scope === undefined) return true;
    return scope.some((egress) => (egress.namespace === '*' || egress.namespace === namespace) && covers(egress.host, host));
  }

  /** A listener that names a port has it for itself. */
  #scopeOf(port: number): readonly EgressHost[] | undefined {
    const named = this.#own?.filter((egress) => egress.port === port) ?? [];
    return named.length > 0 ? named : this.#catchAll;
  }

  get #catchAll(): readonly EgressHost[] | undefined {
    return this.#own?.filter((egress) => egress.port === undefined);
  }

  /** The service that the node means by a full host name: Kubernetes' own, else the oldest; of those that a Sidecar imports its namespace's. */
  service(hostname: string): Service | undefined {
    const seen = this.#reader
      .services(hostname)
      .filter(
        (service) =>
          this.#isExported(service.exportTo, this.#reader.settings.serviceExportTo, service.namespace) &&
          (this.#imports(service.namespace, hostname, this.#egress) || this.#isDestination(hostname)),
      );
    const own = this.#egress === undefined ? undefined : seen.find(({ namespace }) => namespace === this.#reader.node.namespace);
    return own ?? seen.find(({ kubernetes }) => kubernetes) ?? seen[0];
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
    return this.imports(service, port) || this.#isDestination(service.hostname);
  }

  /** The same, for what is called by its own name and not only a destination of routes. */
  imports(service: Service, port: number): boolean {
    const { namespace, hostname, addresses } = service;
    if (this.#imports(namespace, hostname, this.#scopeOf(port))) return true;
    // What has an address of its own shares its port with nobody.
    const declared = service.ports.find((candidate) => candidate.port === port);
    return declared !== undefined && !isHttp(declared.protocol) && addresses.length > 0 && this.#imports(namespace, hostname, this.#catchAll);
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
        for (const { host: destination, namespace } of destinationsOf(this.#reader, virtualService))
          found.add(fullHost(destination, namespace, this.#reader.settings.domainSuffix));
      }
    }
    return found;
  }

  /** VirtualServices bound to a gateway ("NAMESPACE/NAME") that are exported to its workload, oldest first. */
  boundVirtualServices(gateway: string): readonly VirtualService[] {
    return this.#reader
      .boundVirtualServices(gateway)
      .filter(({ metadata, spec }) => this.#isExported(spec.exportTo, this.#reader.settings.virtualServiceExportTo, metadata.namespace));
  }

  #sees(virtualService: VirtualService, host: string): boolean {
    const { namespace } = virtualService.metadata;
    return this.#isExported(virtualService.spec.exportTo, this.#reader.settings.virtualServiceExportTo, namespace) && this.#imports(namespace, host);
  }

  /** The VirtualServices for a host, the likeliest first: the most specific host, of equal ones the oldest. */
  *virtualServices(host: string): IterableIterator<VirtualService> {
    for (const candidate of coveringHosts(host))
      for (const virtualService of this.#reader.virtualServices(candidate)) if (this.#sees(virtualService, host)) yield virtualService;
  }

  /** The one that has a host's requests. */
  virtualService(host: string): VirtualService | undefined {
    return this.virtualServices(host).next().value;
  }

  /** Those that speak of a host's connections, oldest first; under a wildcard service those too that name one of its hosts. */
  connectionServices(host: string): readonly VirtualService[] {
    const found = new Set(this.virtualServices(host));
    if (host.startsWith('*'))
      for (const [named, list] of this.#reader.allVirtualServices())
        if (covers(host, named)) for (const virtualService of list) if (this.#sees(virtualService, named)) found.add(virtualService);
    return [...found].sort(byAge);
  }

  /** Hosts with a VirtualService that the node sees, and the oldest for each. */
  *virtualServiceHosts(): IterableIterator<readonly [string, VirtualService]> {
    for (const [host, list] of this.#reader.allVirtualServices()) {
      const oldest = list.find((virtualService) => this.#sees(virtualService, host));
      if (oldest !== undefined) yield [host, oldest];
    }
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
          (rule) =>
            rule.metadata.namespace === namespace && this.#isExported(rule.spec.exportTo, settings.destinationRuleExportTo, namespace) && selected(rule),
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

function isProxy({ port }: IstioEgressListener): boolean {
  return port?.protocol?.toUpperCase() === 'HTTP_PROXY';
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
  const { egress } = sidecar.spec;
  if (egress === undefined || egress.length === 0) return undefined;
  const hosts: EgressHost[] = [];
  for (const [index, listener] of egress.entries()) {
    if (listener.bind !== undefined && listener.bind !== '' && reader.node.capture === undefined && !isProxy(listener))
      reader.ignored(sidecar, `spec.egress[${index}].bind`, 'calls come through HTTP_PROXY and declared upstream ports, not through bound addresses');
    if (isProxy(listener) && listener.bind?.startsWith('unix:')) reader.ignored(sidecar, `spec.egress[${index}].bind`, 'a proxy port listens on an IP address');
    for (const text of listener.hosts) {
      const slash = text.indexOf('/');
      const scope = slash < 0 ? '*' : text.slice(0, slash);
      if (scope === '~') continue;
      hosts.push({
        namespace: scope === '.' ? reader.node.namespace : scope,
        host: text.slice(slash + 1).toLowerCase(),
        port: listener.port?.number,
        proxied: isProxy(listener),
      });
    }
  }
  return hosts;
}

/** Every destination that a VirtualService names, or one that it delegates to, and the namespace in which it is named. */
function destinationsOf(reader: Reader, virtualService: VirtualService): readonly { readonly host: string; readonly namespace: string }[] {
  const { tls, tcp } = virtualService.spec;
  const named = ({ metadata }: VirtualService, destinations: readonly Destination[]) =>
    destinations.map(({ host }) => ({ host, namespace: metadata.namespace }));
  return [
    ...httpRules(reader, virtualService).flatMap(({ rule, owner }) =>
      named(owner, [
        ...(rule.route ?? []).map(({ destination }) => destination),
        ...(rule.mirror === undefined ? [] : [rule.mirror]),
        ...(rule.mirrors ?? []).map(({ destination }) => destination),
      ]),
    ),
    ...[...(tls ?? []), ...(tcp ?? [])].flatMap(({ route = [] }) =>
      named(
        virtualService,
        route.map(({ destination }) => destination),
      ),
    ),
  ];
}
