import { hostsOverlap, type Resource, type VirtualServiceSpec } from '@outrigger/resources';
import type { Analyzer } from '../analyzer.ts';
import { type Context, type ExportScope, scopesMeet } from '../context.ts';

/** VirtualServices of the mesh that claim the same host where somebody sees both: which one holds is then chance. */
export const conflictingHosts: Analyzer = {
  name: 'virtualservice.ConflictingMeshGatewayHostsAnalyzer',
  codes: ['IST0109'],
  run(context) {
    const ofMesh = context.ofKind('VirtualService').filter(({ spec }) => (spec.gateways ?? []).length === 0 || spec.gateways?.includes('mesh'));
    const claims = ofMesh.flatMap((resource) => (resource.spec.hosts ?? []).map((host, index) => claimOf(context, resource, host, index)));
    const byHost = Map.groupBy(claims, (claim) => claim.host);
    const wildcards = claims.filter(({ host }) => host.startsWith('*'));
    for (const [resource, own] of Map.groupBy(claims, (claim) => claim.resource)) {
      const contested = own
        .map((claim) => {
          const rivals = claim.host.startsWith('*') ? wildcards : (byHost.get(claim.host) ?? []);
          return [claim, rivals.filter((other) => other.resource !== resource && conflict(claim, other))] as const;
        })
        .filter(([, others]) => others.length > 0);
      const first = contested[0];
      if (first === undefined) continue;
      const names = new Set(
        [resource, ...contested.flatMap(([, others]) => others.map((other) => other.resource))].map(({ metadata }) => `${metadata.namespace}/${metadata.name}`),
      );
      context.report(resource, first[0].path, 'IST0109', [...names].join(','), contested.map(([claim]) => claim.host).join(','));
    }
  },
};

interface Claim {
  readonly resource: Resource<VirtualServiceSpec>;
  readonly host: string;
  readonly path: string;
  readonly scope: ExportScope;
}

function claimOf(context: Context, resource: Resource<VirtualServiceSpec>, host: string, index: number): Claim {
  const { namespace } = resource.metadata;
  return { resource, host: context.fullHost(host, namespace), path: `spec.hosts[${index}]`, scope: context.scopeOf(resource) };
}

function conflict(left: Claim, right: Claim): boolean {
  if (!scopesMeet(left.scope, right.scope)) return false;
  if (left.host === right.host) return true;
  // A name beside the wildcard that covers it is how exceptions are written; two wildcards are not.
  const wildcards = left.host.startsWith('*') && right.host.startsWith('*');
  return wildcards && hostsOverlap(left.host, right.host);
}
