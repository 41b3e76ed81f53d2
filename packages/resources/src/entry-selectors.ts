import type { ServiceEntrySpec, WorkloadEntrySpec } from './kinds/workloads.ts';
import { matchesLabels } from './labels.ts';
import type { Resource } from './resource.ts';

type Entry = Resource<ServiceEntrySpec>;
type Workload = Resource<WorkloadEntrySpec>;
type Labels = Readonly<Record<string, string>>;

/** Of the workload: what its resource is labelled with, and what its spec says, which goes first. */
export function workloadLabels({ metadata, spec }: Workload): Labels {
  return { ...metadata.labels, ...spec.labels };
}

/** WorkloadEntries, found by what selects them at a cost that does not grow with how many there are: filed under each of their labels. */
export class LabelledWorkloads {
  readonly #filed = new Map<string, Set<Workload>>();

  put(workload: Workload, instead?: Workload): void {
    if (instead !== undefined) this.remove(instead);
    for (const under of placesOf(workload)) {
      const filed = this.#filed.get(under);
      if (filed === undefined) this.#filed.set(under, new Set([workload]));
      else filed.add(workload);
    }
  }

  remove(workload: Workload): void {
    for (const under of placesOf(workload)) {
      const filed = this.#filed.get(under);
      filed?.delete(workload);
      if (filed?.size === 0) this.#filed.delete(under);
    }
  }

  selectedBy(entry: Entry): readonly Workload[] {
    if (entry.spec.workloadSelector === undefined) return [];
    return [...(this.#filed.get(filedUnder(entry)) ?? [])].filter((workload) => matchesLabels(selectorOf(entry), workloadLabels(workload)));
  }
}

/** ServiceEntries with a workloadSelector, found by what they select in the same way: each is filed under one label. */
export class EntrySelectors {
  readonly #entries = new Map<string, Set<Entry>>();
  readonly #order = new Map<Entry, number>();
  #next = 0;

  /** `instead`: the version of it that is there, whose place in the order it takes. */
  put(entry: Entry, instead?: Entry): void {
    const place = (instead === undefined ? undefined : this.#order.get(instead)) ?? this.#next++;
    if (instead !== undefined) this.remove(instead);
    if (entry.spec.workloadSelector === undefined) return;
    const under = filedUnder(entry);
    const filed = this.#entries.get(under);
    if (filed === undefined) this.#entries.set(under, new Set([entry]));
    else filed.add(entry);
    this.#order.set(entry, place);
  }

  remove(entry: Entry): void {
    const under = filedUnder(entry);
    const filed = this.#entries.get(under);
    filed?.delete(entry);
    if (filed?.size === 0) this.#entries.delete(under);
    this.#order.delete(entry);
  }

  /** In the order in which they came. */
  selecting(workload: Workload): readonly Entry[] {
    const labels = workloadLabels(workload);
    const found: Entry[] = [];
    for (const under of placesOf(workload)) {
      for (const entry of this.#entries.get(under) ?? []) if (matchesLabels(selectorOf(entry), labels)) found.push(entry);
    }
    return found.sort((one, other) => this.#order.get(one)! - this.#order.get(other)!);
  }
}

/** A selector without labels. */
const ANY = '';

function selectorOf(entry: Entry): Labels {
  return entry.spec.workloadSelector?.labels ?? {};
}

function filedUnder(entry: Entry): string {
  const [first] = Object.entries(selectorOf(entry));
  return `${entry.metadata.namespace}/${first === undefined ? ANY : labelText(first)}`;
}

function placesOf(workload: Workload): readonly string[] {
  return [ANY, ...Object.entries(workloadLabels(workload)).map(labelText)].map((label) => `${workload.metadata.namespace}/${label}`);
}

function labelText([key, value]: readonly [string, string]): string {
  return `${key}=${value}`;
}
