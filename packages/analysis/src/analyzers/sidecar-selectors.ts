import type { Resource, SidecarSpec } from '@outrigger/resources';
import type { Analyzer } from '../analyzer.ts';
import { type Context, matchesLabels } from '../context.ts';
import { kubernetesWorkloads, labelsOf } from '../kubernetes.ts';

/** Several Sidecars for one workload or for one whole namespace, and Sidecars where no sidecar runs. */
export const sidecarSelectors: Analyzer = {
  name: 'sidecar.SelectorAnalyzer',
  codes: ['IST0110', 'IST0111', 'IST0167'],
  run(context) {
    for (const [namespace, sidecars] of Map.groupBy(context.ofKind('Sidecar'), (sidecar) => sidecar.metadata.namespace)) {
      const forAll = sidecars.filter((sidecar) => !hasSelector(sidecar));
      if (forAll.length > 1) {
        const names = forAll.map(({ metadata }) => metadata.name);
        for (const sidecar of forAll) context.report(sidecar, 'metadata.name', 'IST0111', names, namespace);
      }
      reportSharedWorkloads(context, namespace, sidecars.filter(hasSelector));
      if (isAmbient(context, namespace))
        for (const sidecar of sidecars) context.report(sidecar, 'metadata.name', 'IST0167', 'the workloads it is for are in ambient mode, without sidecars');
    }
  },
};

function reportSharedWorkloads(context: Context, namespace: string, sidecars: readonly Resource<SidecarSpec>[]): void {
  const instances = context.instances.map(({ namespace: own, labels, id }) => ({ namespace: own, labels, name: id }));
  const pods = kubernetesWorkloads(context.others).map(({ namespace: own, labels }) => ({
    namespace: own,
    labels,
    name: `${own}/${labels.app ?? 'workload'}`,
  }));
  for (const workload of [...instances, ...pods].filter((candidate) => candidate.namespace === namespace)) {
    const selecting = sidecars.filter((sidecar) => matchesLabels(sidecar.spec.workloadSelector?.labels, workload.labels));
    if (selecting.length < 2) continue;
    const names = selecting.map(({ metadata }) => metadata.name);
    for (const sidecar of selecting) context.report(sidecar, 'spec.workloadSelector', 'IST0110', names, namespace, workload.name);
  }
}

function hasSelector({ spec }: Resource<SidecarSpec>): boolean {
  return Object.keys(spec.workloadSelector?.labels ?? {}).length > 0;
}

function isAmbient(context: Context, namespace: string): boolean {
  const document = context.otherOfKind('Namespace').find((candidate) => candidate.name === namespace);
  if (document === undefined) return false;
  const labels = labelsOf(document);
  return labels['istio.io/dataplane-mode'] === 'ambient' && labels['istio-injection'] !== 'enabled' && labels['istio.io/rev'] === undefined;
}
