import type { Route } from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
import type { Reader } from '../../reader.ts';
import { type RoutedHost, routesOf } from '../../routes/http-route.ts';
import type { Visibility } from '../../visibility.ts';
import { byPrecedence, bySeniority } from './order.ts';
import { isService, serviceHost } from './parent-services.ts';
import { rulesOf } from './rules-of.ts';

/**
 * The routes by which a sidecar calls a service: those of its own namespace (a consumer's) where there are some, else those of the service's (its
 * producer's); undefined: none names it.
 */
export function serviceRoutes(reader: Reader, visibility: Visibility, target: RoutedHost): readonly Route[] | undefined {
  const { domainSuffix } = reader.settings;
  const owner = target.service?.namespace;
  const portName = target.service?.ports.find(({ port }) => port === target.port)?.name;
  const naming = [...reader.serviceRoutes(target.host)]
    .sort(bySeniority)
    .filter(({ metadata, spec }) =>
      (spec.parentRefs ?? []).some(
        (parent) =>
          isService(parent) &&
          serviceHost(parent, metadata.namespace, domainSuffix) === target.host &&
          (parent.port === undefined || parent.port === target.port) &&
          (parent.sectionName === undefined || parent.sectionName === portName),
      ),
    );
  const consumers = naming.filter(({ metadata }) => metadata.namespace === reader.node.namespace);
  const chosen = consumers.length > 0 ? consumers : naming.filter(({ metadata }) => metadata.namespace === owner);
  if (chosen.length === 0) return undefined;
  return chosen
    .flatMap((route) => rulesOf(reader, visibility, route, { port: target.port, scheme: 'http' }))
    .sort(byPrecedence)
    .flatMap(({ route, field, rule }) => {
      reader.uses(route);
      return routesOf(reader, visibility, route, field, rule, 0, target);
    });
}
