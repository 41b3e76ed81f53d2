import type { HttpRoute, Resource, VirtualServiceSpec } from '@outrigger/resources';
import type { Context } from './context.ts';

/** A rule of a VirtualService that sends requests to a host. */
export interface RouteTo {
  readonly resource: Resource<VirtualServiceSpec>;
  readonly rule: HttpRoute;
  /** "spec.http[0]" */
  readonly path: string;
  /** Of sidecars: whoever calls the host. Else of a gateway. */
  readonly ofMesh: boolean;
}

/** The rules that lead to each host (in full), whoever's they are. */
export function routesByHost(context: Context): ReadonlyMap<string, readonly RouteTo[]> {
  return context.once(ROUTES, () => findRoutes(context));
}

const ROUTES = Symbol('routes by host');

function findRoutes(context: Context): ReadonlyMap<string, readonly RouteTo[]> {
  const found = new Map<string, RouteTo[]>();
  for (const resource of context.ofKind('VirtualService')) {
    const gateways = resource.spec.gateways ?? [];
    const ofMesh = gateways.length === 0 || gateways.includes('mesh');
    for (const [index, rule] of (resource.spec.http ?? []).entries()) {
      const hosts = new Set((rule.route ?? []).map(({ destination }) => context.fullHost(destination?.host ?? '', resource.metadata.namespace)));
      for (const host of hosts) {
        const list = found.get(host) ?? [];
        list.push({ resource, rule, path: `spec.http[${index}]`, ofMesh });
        found.set(host, list);
      }
    }
  }
  return found;
}

/** "VirtualService shop/web (line 12)" */
export function routeText({ resource, path }: RouteTo): string {
  const line = resource.lineOf?.(path);
  return `VirtualService ${resource.metadata.namespace}/${resource.metadata.name}${line === undefined ? '' : ` (line ${line})`}`;
}
