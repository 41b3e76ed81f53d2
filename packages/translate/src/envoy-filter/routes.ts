import { type RouteConfiguration, RouteConfigurationSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route';
import { type Route, RouteSchema, type VirtualHost, VirtualHostSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
import { gatewayPorts } from '../gateways/ports.ts';
import { routeNameOf } from '../gateways/server.ts';
import type { Reader } from '../reader.ts';
import { patchedBy } from './applied.ts';
import { PatchError } from './merge.ts';
import { attempt, decodedValue, type Patch, type PatchContext, patchesOf } from './patches.ts';
import { merged, placed, withFields } from './places.ts';

const HTTP_ROUTE_IN_LIST: readonly string[] = ['ADD', 'INSERT_BEFORE', 'INSERT_AFTER', 'INSERT_FIRST'];

/** A route table as EnvoyFilters leave it. `context`: of the listener that it stands in, or by default of what is asked for by RDS. */
export function patchedRoutes(reader: Reader, made: RouteConfiguration, context: PatchContext = outbound(reader)): RouteConfiguration {
  return patchedBy(reader, () => changedRoutes(reader, made, context))!;
}

function changedRoutes(reader: Reader, made: RouteConfiguration, context: PatchContext): RouteConfiguration {
  let table = made;
  for (const patch of patchesOf(reader, 'ROUTE_CONFIGURATION', context)) {
    if (!ofTable(reader, patch, table.name)) continue;
    if (patch.operation !== 'MERGE') {
      reader.ignored(patch.filter, `${patch.field}.patch.operation`, `a route configuration is merged, not ${patch.operation}`);
      continue;
    }
    const { name } = table;
    const next = merged(reader, patch, RouteConfigurationSchema, table);
    next.name = name;
    followed(reader, table, next);
    table = next;
  }
  const hosts = table.virtualHosts.flatMap((host) => patchedVirtualHost(reader, host, table.name, context) ?? []);
  const added = addedHosts(reader, table.name, context);
  if (added.length > 0 || hosts.length !== table.virtualHosts.length || hosts.some((host, index) => host !== table.virtualHosts[index])) {
    table = withFields(table, { virtualHosts: [...hosts, ...added] });
  }
  return table;
}

/** What is known of where routes are written holds for those that take their place. */
function followed(reader: Reader, from: RouteConfiguration, to: RouteConfiguration): void {
  from.virtualHosts.forEach((host, index) => {
    host.routes.forEach((route, at) => {
      reader.replaced(route, to.virtualHosts[index]!.routes[at]!);
    });
  });
}

function outbound(reader: Reader): PatchContext {
  return reader.node.gateway === undefined ? 'SIDECAR_OUTBOUND' : 'GATEWAY';
}

/** undefined: a patch takes it away. */
export function patchedVirtualHost(reader: Reader, made: VirtualHost, table: string, context: PatchContext = outbound(reader)): VirtualHost | undefined {
  return patchedBy(reader, () => changedVirtualHost(reader, made, table, context));
}

function changedVirtualHost(reader: Reader, made: VirtualHost, table: string, context: PatchContext): VirtualHost | undefined {
  let host = made;
  for (const patch of patchesOf(reader, 'VIRTUAL_HOST', context)) {
    if (patch.operation === 'ADD' || !ofTable(reader, patch, table, host) || !ofHost(patch, host)) continue;
    if (patch.operation === 'REMOVE') {
      attempt(reader, patch, () => {});
      return undefined;
    }
    if (patch.operation === 'MERGE') {
      const next = merged(reader, patch, VirtualHostSchema, host);
      host.routes.forEach((route, index) => {
        reader.replaced(route, next.routes[index]!);
      });
      host = withFields(next, { name: made.name });
    } else if (patch.operation === 'REPLACE')
      attempt(reader, patch, (types) => {
        // By its name it is asked for.
        host = withFields(decodedValue(patch, VirtualHostSchema, types), { name: made.name });
        written(reader, patch, host);
      });
    else reader.ignored(patch.filter, `${patch.field}.patch.operation`, `a virtual host is merged, added, replaced or removed, not ${patch.operation}`);
  }
  const routes = patchedList(reader, host, table, context);
  return routes === host.routes ? host : withFields(host, { routes });
}

function patchedList(reader: Reader, host: VirtualHost, table: string, context: PatchContext): Route[] {
  const patches = patchesOf(reader, 'HTTP_ROUTE', context).filter((patch) => ofTable(reader, patch, table, host) && ofHost(patch, host));
  if (patches.length === 0) return host.routes;
  let routes = host.routes.flatMap((route) => patchedBy(reader, () => patchedRoute(reader, route, patches)) ?? []);
  for (const patch of patches) {
    const named = patch.match.routeConfiguration?.vhost?.route;
    if (HTTP_ROUTE_IN_LIST.includes(patch.operation)) {
      const there = new Set(routes);
      routes = placed(reader, patch, routes, { schema: RouteSchema, at: named === undefined ? undefined : (route) => ofRoute(patch, route) });
      const come = routes.filter((route) => !there.has(route));
      reader.places(come, patch.filter, `${patch.field}.patch.value`);
    } else if (patch.operation === 'REPLACE')
      reader.ignored(patch.filter, `${patch.field}.patch.operation`, 'a route is merged, added, inserted or removed, not REPLACE');
  }
  return routes;
}

function patchedRoute(reader: Reader, made: Route, patches: readonly Patch[]): Route | undefined {
  let route = made;
  for (const patch of patches) {
    if (!ofRoute(patch, route)) continue;
    if (patch.operation === 'REMOVE') {
      attempt(reader, patch, () => {});
      return undefined;
    }
    if (patch.operation !== 'MERGE') continue;
    const next = merged(reader, patch, RouteSchema, route);
    reader.replaced(route, next);
    route = next;
  }
  return route;
}

function addedHosts(reader: Reader, table: string, context: PatchContext): readonly VirtualHost[] {
  const hosts: VirtualHost[] = [];
  for (const patch of patchesOf(reader, 'VIRTUAL_HOST', context)) {
    if (patch.operation !== 'ADD' || !ofTable(reader, patch, table)) continue;
    const added = patchedBy(reader, () => {
      let made: VirtualHost | undefined;
      attempt(reader, patch, (types) => {
        const host = decodedValue(patch, VirtualHostSchema, types);
        if (host.name === '' || host.domains.length === 0) throw new PatchError('a virtual host needs a name and domains');
        made = host;
      });
      return made;
    });
    if (added === undefined) continue;
    written(reader, patch, added);
    hosts.push(added);
  }
  return hosts;
}

/** The routes of a virtual host that a patch has brought. */
function written(reader: Reader, patch: Patch, host: VirtualHost): void {
  host.routes.forEach((route, index) => {
    reader.places([route], patch.filter, `${patch.field}.patch.value.routes[${index}]`);
  });
}

/** Istio has a table for each port; here one may stand for several, and its virtual hosts ("HOST:PORT") say which. */
function ofTable(reader: Reader, { match }: Patch, table: string, host?: VirtualHost): boolean {
  const wanted = match.routeConfiguration;
  if (wanted === undefined) return true;
  const { name = '', portNumber = 0, portName = '', gateway = '' } = wanted;
  const ports = portsOf(table, host);
  if (name !== '' && name !== table && !(/^\d+$/.test(name) && ports.includes(Number(name)))) return false;
  if (reader.node.gateway === undefined) return portNumber === 0 || ports.includes(portNumber);
  if (portNumber === 0 && portName === '' && gateway === '') return true;
  return gatewayPorts(reader).some(({ port, servers }) =>
    servers.some(
      (server) =>
        routeNameOf(server) === table &&
        (portNumber === 0 || server.port === portNumber || port === portNumber) &&
        (portName === '' || server.portName === portName) &&
        (gateway === '' || `${server.gateway.metadata.namespace}/${server.gateway.metadata.name}` === gateway),
    ),
  );
}

function portsOf(table: string, host: VirtualHost | undefined): readonly number[] {
  const found = /^(?:inbound\||upstream\|)?(\d{1,5})(?:\||$)/.exec(table) ?? /:(\d{1,5})$/.exec(table);
  const ofHost = /:(\d{1,5})$/.exec(host?.name ?? '') ?? /^inbound\|http\|(\d{1,5})$/.exec(host?.name ?? '');
  return [found, ofHost].flatMap((match) => (match === null ? [] : [Number(match[1])]));
}

function ofHost({ match }: Patch, host: VirtualHost): boolean {
  const { name = '', domainName = '' } = match.routeConfiguration?.vhost ?? {};
  return (name === '' || name === host.name) && (domainName === '' || host.domains.includes(domainName));
}

function ofRoute({ match }: Patch, route: Route): boolean {
  const { name = '', action = 'ANY' } = match.routeConfiguration?.vhost?.route ?? {};
  if (name !== '' && name !== route.name) return false;
  const kinds: Readonly<Record<string, Route['action']['case']>> = { ROUTE: 'route', REDIRECT: 'redirect', DIRECT_RESPONSE: 'directResponse' };
  return action === 'ANY' || kinds[action] === route.action.case;
}
