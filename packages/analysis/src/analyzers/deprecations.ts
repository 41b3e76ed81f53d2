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
          const path = `spec.http[${index}].fault.delay.percent`;
          const { percent = 0, percentage } = route.fault!.delay!;
          // Beside its successor it is to be taken out, and which of the two is meant only a person knows.
          const fix = percentage === undefined ? { path, rename: 'percentage', value: { value: percent } } : undefined;
          context.reportWithFix(resource, path, fix, 'IST0002', 'use of fault.delay.percent, write fault.delay.percentage.value');
        }
        const percent = route.mirrorPercent ?? route.mirror_percent;
        if (percent !== undefined && percent !== null) {
          const path = `spec.http[${index}].${route.mirrorPercent == null ? 'mirror_percent' : 'mirrorPercent'}`;
          const fix = route.mirrorPercentage === undefined ? { path, rename: 'mirrorPercentage', value: { value: percent } } : undefined;
          context.reportWithFix(resource, path, fix, 'IST0002', 'use of mirrorPercent, write mirrorPercentage.value');
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
