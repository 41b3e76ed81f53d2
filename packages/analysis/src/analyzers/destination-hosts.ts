import type { Resource, VirtualServiceSpec } from '@outrigger/resources';
import type { Analyzer } from '../analyzer.ts';
import type { Context } from '../context.ts';
import { destinationsOf } from './destinations.ts';

/** A VirtualService's destinations: the host, its port, and subsets that a gateway's own route does not use. */
export const destinationHosts: Analyzer = {
  name: 'virtualservice.DestinationHostAnalyzer',
  codes: ['IST0101', 'IST0112', 'IST0140'],
  run(context) {
    const withSubsets = subsetGivers(context);
    for (const resource of context.ofKind('VirtualService')) {
      reportDestinations(context, resource);
      reportSubsetsWithoutEffect(context, resource, withSubsets);
    }
  },
};

function reportDestinations(context: Context, resource: Resource<VirtualServiceSpec>): void {
  const { namespace } = resource.metadata;
  const scope = context.scopeOf(resource);
  for (const { destination, path, mirror } of destinationsOf(resource.spec)) {
    const service = context.serviceFor(context.fullHost(destination.host, namespace), scope === 'all' ? [namespace] : [...scope]);
    if (service === undefined) {
      context.report(resource, `${path}.host`, 'IST0101', mirror ? 'mirror host' : 'host', destination.host);
      continue;
    }
    const port = destination.port?.number;
    if (port === undefined) {
      const numbers = service.ports.map((servicePort) => servicePort.port);
      if (numbers.length > 1) context.report(resource, `${path}.host`, 'IST0112', destination.host, numbers);
    } else if (!service.ports.some((servicePort) => servicePort.port === port)) {
      context.report(resource, `${path}.port.number`, 'IST0101', 'host:port', `${destination.host}:${port}`);
    }
  }
}

/** A gateway reads the VirtualServices bound to it alone: the subsets that another one gives the same host do nothing for its requests. */
function reportSubsetsWithoutEffect(context: Context, resource: Resource<VirtualServiceSpec>, withSubsets: ReadonlyMap<string, readonly Resource[]>): void {
  if ((resource.spec.gateways ?? []).length === 0) return;
  const told = new Set<Resource>();
  for (const [rule, { route }] of (resource.spec.http ?? []).entries()) {
    for (const [index, { destination }] of (route ?? []).entries()) {
      if (destination === undefined || (destination.subset ?? '') !== '') continue;
      for (const other of withSubsets.get(destination.host) ?? []) {
        if (told.has(other)) continue;
        told.add(other);
        context.report(resource, `spec.http[${rule}].route[${index}].destination.host`, 'IST0140', nameOf(other), nameOf(resource));
      }
    }
  }
}

/** VirtualServices that send the requests of a host of theirs to a subset of it, by that host. */
function subsetGivers(context: Context): ReadonlyMap<string, readonly Resource[]> {
  const givers = context.ofKind('VirtualService').flatMap((resource) => {
    const named = (resource.spec.http ?? []).flatMap(({ route }) => (route ?? []).filter(({ destination }) => (destination?.subset ?? '') !== ''));
    const hosts = new Set(named.map(({ destination }) => destination.host));
    return (resource.spec.hosts ?? []).filter((host) => hosts.has(host)).map((host) => ({ host, resource }));
  });
  return new Map([...Map.groupBy(givers, ({ host }) => host)].map(([host, list]) => [host, list.map(({ resource }) => resource)]));
}

function nameOf({ metadata }: Resource): string {
  return `${metadata.namespace}/${metadata.name}`;
}
