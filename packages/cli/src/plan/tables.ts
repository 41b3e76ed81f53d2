import { create } from '@bufbuild/protobuf';
import { anyUnpack } from '@bufbuild/protobuf/wkt';
import {
  ConnectionOrigin,
  compileListener,
  compileRouteConfiguration,
  describeErrors,
  FilterChainMatcher,
  type HttpManagerConfig,
  type ListenerConfig,
  parseIp,
  type RouteTable,
} from '@outrigger/proxy/pure';
import { refText } from '@outrigger/resources';
import { type ProxyNode, parseAuthority } from '@outrigger/translate';
import { TypeUrl } from '@outrigger/xds';
import type { Listener } from '@outrigger/xds/protos/envoy/config/listener/v3/listener';
import { type RouteConfiguration, RouteConfigurationSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route';
import type { VirtualHost } from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
import { HttpConnectionManagerSchema } from '@outrigger/xds/protos/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager';
import { type Routes, routeRequest } from '../simulate/http.ts';
import { type Outcome, outcome } from '../simulate/outcome.ts';
import { targetOf } from '../simulate/target.ts';
import { routeNames, type XdsResource, type XdsState } from './xds-state.ts';

/** A request as a proxy saw it come. */
export interface SeenRequest {
  readonly listener: string;
  /** Where the connection was made to. */
  readonly address: string;
  readonly port: number;
  readonly remote: string;
  readonly tls: boolean;
  readonly sni: string;
  readonly alpn: readonly string[];
  /** SPIFFE id of the certificate that was shown; '' : none. */
  readonly peer: string;
  readonly method: string;
  readonly scheme: 'http' | 'https';
  readonly authority: string;
  readonly path: string;
  /** name, value, name, value ... */
  readonly headers: readonly string[];
}

interface Compiled {
  readonly listener: ListenerConfig;
  readonly matcher: FilterChainMatcher;
  readonly resource: XdsResource;
}

interface CompiledRoutes extends Routes {
  readonly table: RouteTable;
}

const CLIENT_PORT = 40_000;
const UNKNOWN_ADDRESS = '192.0.2.1';

/** The proxy's own words. */
class RefusedXds extends Error {}

/** What is compiled of xDS, for all tables that have it. */
export class CompiledXds {
  readonly listeners = new Map<XdsResource, Compiled>();
  readonly routes = new Map<XdsResource, CompiledRoutes>();
}

/** The tables that the proxies of a mesh would run, each compiled once; what `rig simulate` asks one question, is asked thousands here. */
export class Tables {
  readonly #state: XdsState;
  readonly #compiledXds: CompiledXds;
  readonly #earlier: Tables | undefined;
  readonly #deciding = new Map<string, readonly (XdsResource | undefined)[]>();

  /** `earlier`: what a proxy keeps where it refuses what would be new. */
  constructor(state: XdsState, compiled: CompiledXds, earlier?: Tables) {
    this.#state = state;
    this.#compiledXds = compiled;
    this.#earlier = earlier;
  }

  /** All that decides about a request: where two tables have the same, they decide the same. */
  deciding(node: ProxyNode, { listener, authority }: Pick<SeenRequest, 'listener' | 'authority'>): readonly (XdsResource | undefined)[] {
    const key = `${node.id}\n${listener}\n${authority}`;
    let deciding = this.#deciding.get(key);
    if (deciding === undefined) {
      const found = this.#state.get(node, TypeUrl.listener, listener);
      const routes = found === undefined ? [] : routeNames(found.message as Listener).flatMap((name) => this.#routeResources(node, name, authority));
      deciding = [found, ...routes];
      this.#deciding.set(key, deciding);
    }
    return deciding;
  }

  decide(node: ProxyNode, seen: SeenRequest): Outcome {
    try {
      return this.#decide(node, seen);
    } catch (error) {
      if (!(error instanceof RefusedXds)) throw error;
      return this.#earlier?.decide(node, seen) ?? outcome({ decision: 'no-listener', explanation: [error.message] });
    }
  }

  /** Why a proxy of ours would refuse what it is sent; undefined: it takes it. */
  refusal(node: ProxyNode, resource: XdsResource): string | undefined {
    try {
      if (resource.typeUrl === TypeUrl.listener) this.#listener(node, resource.name);
      else if (resource.typeUrl === TypeUrl.route) this.#compiled(resource, resource.message as RouteConfiguration);
      else if (resource.typeUrl === TypeUrl.virtualHost) this.#compiled(resource, tableOfOne(resource));
      return undefined;
    } catch (error) {
      if (error instanceof RefusedXds) return error.message;
      throw error;
    }
  }

  #decide(node: ProxyNode, seen: SeenRequest): Outcome {
    const found = this.#listener(node, seen.listener);
    if (found === undefined) return outcome({ decision: 'no-listener', explanation: [`there is no listener ${seen.listener}`] });
    const origin = new ConnectionOrigin(seen.address || UNKNOWN_ADDRESS, seen.port, seen.remote || UNKNOWN_ADDRESS, CLIENT_PORT);
    if (seen.tls && found.listener.listenerFilters.some(({ kind }) => kind === 'tls-inspector')) {
      origin.transportProtocol = 'tls';
      origin.serverName = seen.sni;
      origin.applicationProtocols = seen.alpn;
    }
    if (!seen.tls && found.listener.listenerFilters.some(({ kind }) => kind === 'http-inspector')) origin.applicationProtocols = ['http/1.1'];
    const chain = found.matcher.match(origin);
    if (chain === null) return outcome({ decision: 'no-filter-chain', explanation: [`no filter chain of ${seen.listener} takes it`] });
    if (chain.tls !== null && !seen.tls) return outcome({ decision: 'tls-error', explanation: ['TLS is wanted, and the connection is in plain text'] });
    if (chain.tls?.requireClientCertificate === true && seen.peer === '')
      return outcome({ decision: 'tls-error', explanation: ['a certificate of the client is wanted, and none is shown'] });
    const facts = {
      destinationIp: parseIp(seen.address || UNKNOWN_ADDRESS),
      destinationPort: seen.port,
      directRemoteIp: parseIp(seen.remote || UNKNOWN_ADDRESS),
      remoteIp: parseIp(seen.remote || UNKNOWN_ADDRESS),
      secure: seen.tls,
      peerUris: seen.peer === '' ? [] : [seen.peer],
      peerDnsNames: [],
      peerSubject: '',
      requestedServerName: seen.sni,
    };
    const { filter } = chain;
    if (filter.kind === 'tcp') {
      for (const policy of filter.tcp.policies) {
        const verdict = policy.decide(facts, null);
        if (!verdict.allowed) return outcome({ decision: 'denied', authorization: { allowed: false, policy: verdict.policy } });
      }
      return carried(filter.tcp.clusters);
    }
    const routes = this.#routesFor(node, found, chain.name, filter.http, seen.authority);
    if (routes === undefined) return outcome({ decision: 'no-route', status: 404, explanation: [`there are no routes for ${seen.authority}`] });
    return routeRequest({
      manager: { ...filter.http, routes: { kind: 'inline', table: routes.table } },
      routes,
      facts,
      request: seen,
      matched: (place) => ({ resource: place === undefined ? '' : refText(place.resource), file: '', line: 0, rule: place?.field ?? '' }),
      explained: false,
    });
  }

  #listener(node: ProxyNode, name: string): Compiled | undefined {
    const resource = this.#state.get(node, TypeUrl.listener, name);
    if (resource === undefined) return undefined;
    const { listeners } = this.#compiledXds;
    let compiled = listeners.get(resource);
    if (compiled === undefined) {
      const result = compileListener(resource.message as Listener, node.id);
      if (!result.ok) throw new RefusedXds(describeErrors(result.errors));
      compiled = { listener: result.value, matcher: new FilterChainMatcher(result.value.filterChains, result.value.defaultFilterChain), resource };
      listeners.set(resource, compiled);
    }
    return compiled;
  }

  /** A route configuration, and the virtual host that a proxy would ask for where it has none of its own. */
  #routeResources(node: ProxyNode, name: string, authority: string): readonly (XdsResource | undefined)[] {
    const resource = this.#state.get(node, TypeUrl.route, name);
    if (resource === undefined || (resource.message as RouteConfiguration).vhds === undefined) return [resource];
    const host = parseAuthority(authority) === undefined ? undefined : this.#state.get(node, TypeUrl.virtualHost, `${name}/${authority.toLowerCase()}`);
    return [resource, host];
  }

  #routesFor(node: ProxyNode, found: Compiled, chain: string, manager: HttpManagerConfig, authority: string): CompiledRoutes | undefined {
    if (manager.routes.kind === 'inline') {
      const { table } = manager.routes;
      return { table, configuration: inlineRoutes(found.resource.message as Listener, chain), places: new Map(), patches: new Map(), sources: [] };
    }
    const [resource, host] = this.#routeResources(node, manager.routes.name, authority);
    if (resource === undefined) return undefined;
    const configuration = resource.message as RouteConfiguration;
    if (configuration.vhds === undefined) return this.#compiled(resource, configuration);
    if (host === undefined) return undefined;
    return this.#compiled(host, tableOfOne(host));
  }

  #compiled(resource: XdsResource, configuration: RouteConfiguration): CompiledRoutes {
    const { routes } = this.#compiledXds;
    const known = routes.get(resource);
    if (known !== undefined) return known;
    const result = compileRouteConfiguration(configuration);
    if (!result.ok) throw new RefusedXds(describeErrors(result.errors));
    const compiled: CompiledRoutes = { table: result.value, configuration, places: resource.places, patches: resource.patches, sources: resource.sources };
    routes.set(resource, compiled);
    return compiled;
  }
}

/** For a virtual host that came by itself, which is found by its name before. */
function tableOfOne({ name, message }: XdsResource): RouteConfiguration {
  return create(RouteConfigurationSchema, { name, virtualHosts: [{ ...(message as VirtualHost), domains: ['*'] }] });
}

/** Bytes that are no requests. */
function carried(clusters: readonly { readonly name: string; readonly weight: number }[]): Outcome {
  const total = clusters.reduce((sum, { weight }) => sum + weight, 0);
  return outcome({ decision: 'route', destinations: clusters.map(({ name, weight }) => ({ ...targetOf(name), weight: (weight * 100) / (total || 1) })) });
}

/** Of a filter chain that has its routes within itself. */
function inlineRoutes(listener: Listener, chain: string): RouteConfiguration {
  for (const { configType } of listener.filterChains.find(({ name }) => name === chain)?.filters ?? []) {
    const manager = configType.case === 'typedConfig' ? anyUnpack(configType.value, HttpConnectionManagerSchema) : undefined;
    if (manager?.routeSpecifier.case === 'routeConfig') return manager.routeSpecifier.value;
  }
  return create(RouteConfigurationSchema, {});
}
