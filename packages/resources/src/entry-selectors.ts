import type { ServiceEntrySpec, WorkloadEntrySpec } from './kinds/workloads.ts';
import { LabelIndex, type LabelsIn, SelectorIndex } from './label-index.ts';
import type { Resource } from './resource.ts';

type Entry = Resource<ServiceEntrySpec>;
type Workload = Resource<WorkloadEntrySpec>;

/** Of the workload: what its resource is labelled with, and what its spec says, which goes first. */
export function workloadLabels({ metadata, spec }: Workload): LabelsIn['labels'] {
  return { ...metadata.labels, ...spec.labels };
}

/** WorkloadEntries, found by the ServiceEntry that selects them. */
export class LabelledWorkloads extends LabelIndex<Workload> {
  constructor() {
    super(labelsIn);
  }

  selectedBy(entry: Entry): readonly Workload[] {
    const selector = selectorOf(entry);
    return selector === undefined ? [] : this.selected(selector);
  }
}

/** ServiceEntries with a workloadSelector, found by the WorkloadEntry that they select. */
export class EntrySelectors extends SelectorIndex<Entry> {
  constructor() {
    super(selectorOf);
  }

  /** By name: in what order they came must not change which instance of a workload is which. */
  selectingWorkload(workload: Workload): readonly Entry[] {
    return [...this.selecting(labelsIn(workload))].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  }
}

function labelsIn(workload: Workload): LabelsIn {
  return { namespace: workload.metadata.namespace, labels: workloadLabels(workload) };
}

function selectorOf({ metadata, spec }: Entry): LabelsIn | undefined {
  return spec.workloadSelector === undefined ? undefined : { namespace: metadata.namespace, labels: spec.workloadSelector.labels ?? {} };
}
