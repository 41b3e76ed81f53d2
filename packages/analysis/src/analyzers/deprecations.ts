import { field, text } from '@outrigger/resources';
import type { Analyzer } from '../analyzer.ts';

/** Fields that Istio has deprecated, and what to write in their place. */
export const deprecations: Analyzer = {
  name: 'deprecation.FieldAnalyzer',
  codes: ['IST0002'],
  once: true,
  run(context) {
    for (const resource of context.ofKind('VirtualService')) {
      for (const [index, route] of (resource.spec.http ?? []).entries()) {
        if ((route.fault?.delay?.percent ?? 0) > 0) {
          context.report(resource, `spec.http[${index}].fault.delay.percent`, 'IST0002', 'use of fault.delay.percent, write fault.delay.percentage.value');
        }
        if ((route.mirrorPercent ?? route.mirror_percent) !== undefined) {
          context.report(resource, `spec.http[${index}].mirrorPercent`, 'IST0002', 'use of mirrorPercent, write mirrorPercentage.value');
        }
      }
    }
    for (const resource of context.ofKind('Sidecar')) {
      if (resource.spec.outboundTrafficPolicy?.egressProxy !== undefined) {
        context.report(resource, 'spec.outboundTrafficPolicy.egressProxy', 'IST0002', 'use of outboundTrafficPolicy.egressProxy, which no proxy acts on');
      }
    }
    for (const definition of context.otherOfKind('CustomResourceDefinition')) {
      const group = text(field(definition.value, 'spec', 'group'));
      const kind = text(field(definition.value, 'spec', 'names', 'kind'));
      if (removedKinds.has(`${group}/${kind}`))
        context.reportOn(definition, 'spec.names.kind', 'IST0002', `${kind} of ${group} is removed, write AuthorizationPolicy of security.istio.io`);
    }
  },
};

const removedKinds: ReadonlySet<string> = new Set(
  ['ClusterRbacConfig', 'RbacConfig', 'ServiceRole', 'ServiceRoleBinding'].map((kind) => `rbac.istio.io/${kind}`),
);
