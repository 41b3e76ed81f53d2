import { type Json, matchesLabels, type Resource, stringMap } from '@outrigger/resources';
import type { Analyzer } from '../analyzer.ts';
import { selectorText } from '../selector-text.ts';

/** Telemetries that select nothing, and several for one workload. */
export const telemetrySelectors: Analyzer = {
  name: 'telemetry.SelectorAnalyzer',
  codes: ['IST0101', 'IST0159'],
  ofFiles: true,
  run(context) {
    const selecting = context.ofOtherKind('telemetry.istio.io', 'Telemetry').filter((resource) => Object.keys(selectorOf(resource)).length > 0);
    const workloads = [
      ...context.pods.map(({ namespace, name, labels }) => ({ namespace, name, labels })),
      ...context.instances.map(({ namespace, id, labels }) => ({ namespace, name: id, labels })),
    ];
    const isSelected = (resource: Resource<Json>, { namespace, labels }: { namespace: string; labels: Readonly<Record<string, string>> }): boolean =>
      resource.metadata.namespace === namespace && matchesLabels(selectorOf(resource), labels);
    for (const resource of selecting) {
      if (context.knowsWorkloads && !workloads.some((workload) => isSelected(resource, workload)))
        context.report(resource, 'spec.selector', 'IST0101', 'selector', selectorText(selectorOf(resource)));
    }
    for (const workload of workloads) {
      const rivals = selecting.filter((resource) => isSelected(resource, workload));
      const names = rivals.map(({ metadata }) => metadata.name);
      if (rivals.length > 1) for (const resource of rivals) context.report(resource, 'metadata.name', 'IST0159', names, workload.namespace, workload.name);
    }
  },
};

function selectorOf({ spec }: Resource<Json>): Readonly<Record<string, string>> {
  return stringMap(spec, 'selector', 'matchLabels');
}
