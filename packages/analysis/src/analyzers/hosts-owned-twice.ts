import type { Resource, ServiceEntrySpec } from '@outrigger/resources';
import type { Analyzer } from '../analyzer.ts';
import { type Context, scopesMeet } from '../context.ts';

interface Claim {
  readonly resource: Resource<ServiceEntrySpec>;
  readonly host: string;
  readonly path: string;
}

/** ServiceEntries of two namespaces that declare one host where somebody sees both. Within a namespace that is how one is split. */
export const hostsOwnedTwice: Analyzer = {
  name: 'rig.HostsOwnedTwice',
  codes: ['RIG0103'],
  run(context) {
    const claims = context
      .ofKind('ServiceEntry')
      .flatMap((resource) => (resource.spec.hosts ?? []).map((host, index): Claim => ({ resource, host: host.toLowerCase(), path: `spec.hosts[${index}]` })));
    for (const [host, owners] of Map.groupBy(claims, (claim) => claim.host)) {
      for (const { resource, path } of owners) {
        const others = owners
          .filter((other) => compete(context, resource, other.resource))
          .map(({ resource: { metadata } }) => `${metadata.namespace}/${metadata.name}`);
        if (others.length > 0) context.report(resource, path, 'RIG0103', host, `ServiceEntry ${others.sort().join(', ')}`);
      }
    }
  },
};

function compete(context: Context, left: Resource<ServiceEntrySpec>, right: Resource<ServiceEntrySpec>): boolean {
  return left.metadata.namespace !== right.metadata.namespace && scopesMeet(context.scopeOf(left), context.scopeOf(right));
}
