import { matchesLabels, type PeerAuthenticationSpec, type Resource, refOf, refText } from '@outrigger/resources';
import type { Analyzer } from '../analyzer.ts';
import type { Context } from '../context.ts';
import type { KubernetesWorkload } from '../kubernetes.ts';

/** DestinationRules that call a service of the mesh in another way than its workloads take: no call gets through. */
export const mtlsMismatches: Analyzer = {
  name: 'rig.MtlsMismatches',
  codes: ['RIG0107'],
  ofFiles: true,
  run(context) {
    const policies = context.ofKind('PeerAuthentication').toSorted((a, b) => (a.metadata.creationTimestamp < b.metadata.creationTimestamp ? -1 : 1));
    for (const resource of context.ofKind('DestinationRule')) {
      const { metadata, spec } = resource;
      const mode = spec.trafficPolicy?.tls?.mode;
      const host = context.fullHost(spec.host ?? '', metadata.namespace);
      const selector = context.selectorOf(host);
      if (mode === undefined || selector === undefined || Object.keys(selector.labels).length === 0) continue;
      const asked = context.workloadsWith(selector).map((workload) => askedOf(context, policies, workload));
      const refusing = asked.find(({ mode: own }) => (own === 'STRICT' && mode !== 'ISTIO_MUTUAL') || (own === 'DISABLE' && mode === 'ISTIO_MUTUAL'));
      if (refusing === undefined) continue;
      const wanted = refusing.mode === 'STRICT' ? 'ISTIO_MUTUAL' : 'DISABLE';
      context.reportWithFix(
        resource,
        'spec.trafficPolicy.tls.mode',
        { path: 'spec.trafficPolicy.tls.mode', value: wanted },
        'RIG0107',
        mode,
        host,
        refText(refOf(refusing.policy!)),
        refusing.mode,
        wanted,
      );
    }
  },
};

interface Asked {
  readonly mode: 'STRICT' | 'PERMISSIVE' | 'DISABLE';
  readonly policy: Resource<PeerAuthenticationSpec> | undefined;
}

/** The narrowest policy that says something: of the workload, of its namespace, of the mesh; of equals the oldest. */
function askedOf({ rootNamespace }: Context, all: readonly Resource<PeerAuthenticationSpec>[], workload: KubernetesWorkload): Asked {
  const hasSelector = ({ spec }: Resource<PeerAuthenticationSpec>): boolean => Object.keys(spec.selector?.matchLabels ?? {}).length > 0;
  const here = all.filter(({ metadata }) => metadata.namespace === workload.namespace);
  const layers = [
    here.filter((one) => hasSelector(one) && matchesLabels(one.spec.selector?.matchLabels, workload.labels)),
    here.filter((one) => !hasSelector(one)),
    all.filter((one) => one.metadata.namespace === rootNamespace && !hasSelector(one)),
  ];
  for (const layer of layers) {
    const policy = layer.find(({ spec }) => spec.mtls?.mode !== undefined && spec.mtls.mode !== 'UNSET');
    const mode = policy?.spec.mtls?.mode;
    if (mode === 'STRICT' || mode === 'DISABLE' || mode === 'PERMISSIVE') return { mode, policy };
  }
  return { mode: 'PERMISSIVE', policy: undefined };
}
