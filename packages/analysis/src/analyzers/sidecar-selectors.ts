import { matchesLabels, type Resource, type SidecarSpec } from '@outrigger/resources';
import type { Analyzer } from '../analyzer.ts';
import type { Context } from '../context.ts';
import { isAmbient } from '../injection.ts';
import { selectorText } from '../selector-text.ts';

interface Workload {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly isAmbient: boolean;
}

/** Several Sidecars for one workload or for one whole namespace, and Sidecars where no sidecar runs. */
export const sidecarSelectors: Analyzer = {
  name: 'sidecar.SelectorAnalyzer',
  codes: ['IST0101', 'IST0110', 'IST0111', 'IST0167'],
  run(context) {
    const workloads = workloadsOf(context);
    for (const [namespace, sidecars] of Map.groupBy(context.ofKind('Sidecar'), (sidecar) => sidecar.metadata.namespace)) {
      reportDefaults(
        context,
        namespace,
        sidecars.filter((sidecar) => !hasSelector(sidecar)),
      );
      const own = workloads.filter((workload) => workload.namespace === namespace);
      reportSelecting(context, namespace, sidecars.filter(hasSelector), own);
    }
  },
};

function reportDefaults(context: Context, namespace: string, sidecars: readonly Resource<SidecarSpec>[]): void {
  if (isAmbient(context.namespace(namespace))) {
    for (const sidecar of sidecars) context.report(sidecar, 'metadata.name', 'IST0167', 'the workloads of the namespace are in ambient mode, without sidecars');
    return;
  }
  const names = sidecars.map(({ metadata }) => metadata.name);
  if (sidecars.length > 1) for (const sidecar of sidecars) context.report(sidecar, 'metadata.name', 'IST0111', names, namespace);
}

function reportSelecting(context: Context, namespace: string, sidecars: readonly Resource<SidecarSpec>[], workloads: readonly Workload[]): void {
  const selects = ({ spec }: Resource<SidecarSpec>, { labels }: Workload): boolean => matchesLabels(spec.workloadSelector?.labels, labels);
  for (const sidecar of sidecars) {
    const selected = workloads.filter((workload) => selects(sidecar, workload));
    // In a mesh that runs, instances come and go; in files, what is not there is not meant.
    if (selected.length === 0 && context.isOfFiles && context.knowsWorkloads)
      context.report(sidecar, 'spec.workloadSelector', 'IST0101', 'selector', selectorText(sidecar.spec.workloadSelector?.labels ?? {}));
    if (selected.some((workload) => workload.isAmbient))
      context.report(sidecar, 'metadata.name', 'IST0167', 'a workload that it selects is in ambient mode, without a sidecar');
  }
  for (const workload of workloads.filter((candidate) => !candidate.isAmbient)) {
    const selecting = sidecars.filter((sidecar) => selects(sidecar, workload));
    if (selecting.length < 2) continue;
    const names = selecting.map(({ metadata }) => metadata.name);
    for (const sidecar of selecting) context.report(sidecar, 'spec.workloadSelector', 'IST0110', names, namespace, workload.name);
  }
}

function workloadsOf(context: Context): readonly Workload[] {
  return [
    ...context.instances.map(({ namespace, labels, id }) => ({ namespace, labels, name: id, isAmbient: false })),
    ...context.pods.map(({ namespace, labels, name, annotations }) => {
      return { namespace, labels, name, isAmbient: annotations['ambient.istio.io/redirection'] === 'enabled' };
    }),
  ];
}

function hasSelector({ spec }: Resource<SidecarSpec>): boolean {
  return Object.keys(spec.workloadSelector?.labels ?? {}).length > 0;
}
