import { covers } from '@outrigger/resources';
import type { Route } from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
import type { Reader } from '../../reader.ts';
import { routesOf } from '../../routes/http-route.ts';
import type { Visibility } from '../../visibility.ts';
import type { GatewayServer } from '../server.ts';
import { attachedTo } from './attachment.ts';
import type { ApiGateway } from './gateways.ts';
import { byPrecedence, type OrderedRule } from './order.ts';
import { rulesOf } from './rules-of.ts';

/** The routes of a listener by domain, each domain's in the order of precedence that the specification gives. `others`: listeners that share its port. */
export function apiRoutes(
  reader: Reader,
  visibility: Visibility,
  server: GatewayServer,
  others: readonly GatewayServer[],
): ReadonlyMap<string, readonly Route[]> {
  const listener = server.listener!;
  const gateway = server.gateway as ApiGateway;
  const at = { port: server.port, scheme: server.tls === undefined ? 'http' : 'https' } as const;
  const items = new Map<string, OrderedRule[]>();
  // Its own name even without a route: what comes for it is this listener's, and not a wider one's.
  items.set(server.hosts[0]!.host, []);
  const add = (domains: readonly string[], item: OrderedRule): void => {
    for (const domain of domains.filter((one) => !isOthers(server, others, one))) {
      const list = items.get(domain);
      if (list === undefined) items.set(domain, [item]);
      else list.push(item);
    }
  };
  for (const kind of ['HTTPRoute', 'GRPCRoute']) {
    for (const { route, hostnames } of attachedTo(reader, kind, gateway, listener))
      for (const item of rulesOf(reader, visibility, route, at)) add(hostnames, item);
  }
  return new Map(
    [...items].map(([domain, list]) => [
      domain,
      list.sort(byPrecedence).flatMap(({ route, field, rule }) => {
        reader.uses(route);
        return routesOf(reader, visibility, route, field, rule, 0, { host: domain, port: server.port, service: undefined });
      }),
    ]),
  );
}

/**
 * Host names of the other listeners with TLS on its port, as far as they are not its own: a request for one of them came on the wrong connection, which
 * a client keeps open because the certificate holds for both (RFC 9110 15.5.20).
 */
export function misdirectedHosts(server: GatewayServer, others: readonly GatewayServer[]): readonly string[] {
  if (server.protocol !== 'HTTPS') return [];
  const own = server.hosts[0]!.host;
  return others.filter((other) => other.protocol === 'HTTPS' && other.hosts[0]!.host !== own).map((other) => other.hosts[0]!.host);
}

/** Listeners are isolated: a request is of the one with the most specific name, and of no other. */
function isOthers(server: GatewayServer, others: readonly GatewayServer[], domain: string): boolean {
  const own = server.hosts[0]!.host;
  return others.some(
    (other) => other !== server && other.listener !== undefined && other.hosts.some(({ host }) => covers(host, domain) && covers(own, host) && host !== own),
  );
}
