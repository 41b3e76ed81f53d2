import type { GrpcApiRouteSpec, HttpApiRouteSpec, Resource } from '@outrigger/resources';
import type { Route } from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
import { covers } from '../../hosts.ts';
import type { Reader } from '../../reader.ts';
import { routesOf } from '../../routes/http-route.ts';
import type { RouteRule } from '../../routes/rule.ts';
import type { Visibility } from '../../visibility.ts';
import type { GatewayServer } from '../server.ts';
import { attachedTo } from './attachment.ts';
import type { ApiGateway } from './gateways.ts';
import { grpcRule, httpRule } from './rules.ts';

interface Item {
  readonly route: Resource;
  readonly field: string;
  readonly rule: RouteRule;
}

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
  const items = new Map<string, Item[]>();
  // Its own name even without a route: what comes for it is this listener's, and not a wider one's.
  items.set(server.hosts[0]!.host, []);
  const add = (domains: readonly string[], item: Item): void => {
    for (const domain of domains.filter((one) => !isOthers(server, others, one))) {
      const list = items.get(domain);
      if (list === undefined) items.set(domain, [item]);
      else list.push(item);
    }
  };
  for (const { route, hostnames } of attachedTo<HttpApiRouteSpec>(reader, 'HTTPRoute', gateway, listener)) {
    for (const [index, rule] of (route.spec.rules ?? []).entries())
      for (const match of rule.matches ?? [{}])
        add(hostnames, { route, field: `spec.rules[${index}]`, rule: httpRule(reader, visibility, route, rule, match, at) });
  }
  for (const { route, hostnames } of attachedTo<GrpcApiRouteSpec>(reader, 'GRPCRoute', gateway, listener)) {
    for (const [index, rule] of (route.spec.rules ?? []).entries())
      for (const match of rule.matches ?? [{}])
        add(hostnames, { route, field: `spec.rules[${index}]`, rule: grpcRule(reader, visibility, route, rule, match, at) });
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

/** Listeners are isolated: a request is of the one with the most specific name, and of no other. */
function isOthers(server: GatewayServer, others: readonly GatewayServer[], domain: string): boolean {
  const own = server.hosts[0]!.host;
  return others.some(
    (other) => other !== server && other.listener !== undefined && other.hosts.some(({ host }) => covers(host, domain) && covers(own, host) && host !== own),
  );
}

/** The longest path, a method, the most headers, the most query parameters; else as they stand, the oldest route first. */
function byPrecedence(a: Item, b: Item): number {
  const [left, right] = [weightOf(a.rule), weightOf(b.rule)];
  for (let index = 0; index < left.length; index++) if (left[index] !== right[index]) return right[index]! - left[index]!;
  return 0;
}

function weightOf({ match }: RouteRule): readonly number[] {
  const { uri, method, headers, queryParams } = match![0]!;
  const kind = uri?.exact !== undefined ? 3 : uri?.prefix !== undefined ? 2 : 1;
  const length = (uri?.exact ?? uri?.prefix ?? uri?.regex ?? '').length;
  return [kind, length, method === undefined ? 0 : 1, Object.keys(headers ?? {}).length, Object.keys(queryParams ?? {}).length];
}
