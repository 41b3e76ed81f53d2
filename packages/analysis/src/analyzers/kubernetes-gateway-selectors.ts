import { field, GATEWAY_NAME_LABEL, type Json, list, matchesLabels, type Resource, stringMap } from '@outrigger/resources';
import type { Analyzer } from '../analyzer.ts';

const kinds: readonly (readonly [group: string, kind: string])[] = [
  ['security.istio.io', 'AuthorizationPolicy'],
  ['security.istio.io', 'RequestAuthentication'],
  ['telemetry.istio.io', 'Telemetry'],
  ['extensions.istio.io', 'WasmPlugin'],
];

/** Policies that select the pods of a Gateway of Kubernetes by their labels: there they hold only by targetRefs. */
export const kubernetesGatewaySelectors: Analyzer = {
  name: 'k8sgateway.SelectorAnalyzer',
  codes: ['IST0166'],
  ofFiles: true,
  run(context) {
    const pods = context.pods.filter(({ labels }) => labels[GATEWAY_NAME_LABEL] !== undefined);
    for (const [group, kind] of kinds) {
      for (const resource of context.ofOtherKind(group, kind) as readonly Resource<Json>[]) {
        const { spec, metadata } = resource;
        const selector = field(spec, 'selector');
        if (selector === undefined || field(spec, 'targetRef') !== undefined || list(field(spec, 'targetRefs')).length > 0) continue;
        const selected = pods.filter(({ namespace, labels }) => namespace === metadata.namespace && matchesLabels(stringMap(selector, 'matchLabels'), labels));
        for (const gateway of new Set(selected.map(({ labels }) => labels[GATEWAY_NAME_LABEL]!))) context.report(resource, 'spec.selector', 'IST0166', gateway);
      }
    }
  },
};
